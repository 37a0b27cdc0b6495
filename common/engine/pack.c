#include "common/engine/pack.h"

#include "common/engine/engine.h"
#include "common/engine/limits.h"

#include <errno.h>
#include <zstd.h>

/* Making one takes longer than using it for a message. */
static _Thread_local ZSTD_CCtx *maker;
static _Thread_local ZSTD_DCtx *opener;

static bool maker_ready(void)
{
	if (maker != NULL)
		return true;
	maker = ZSTD_createCCtx();
	return maker != NULL &&
	       !ZSTD_isError(
		   ZSTD_CCtx_setParameter(maker, ZSTD_c_compressionLevel, ENGINE_PACK_LEVEL)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(maker, ZSTD_c_checksumFlag, 1));
}

size_t pack_make(struct slice raw, uint8_t *out)
{
	size_t n;

	if (raw.n < ENGINE_PACK_MIN / 2 || !maker_ready())
		return 0;
	n = ZSTD_compress2(maker, out, raw.n - raw.n / ENGINE_PACK_GAIN, raw.p, raw.n);
	return ZSTD_isError(n) ? 0 : n;
}

int pack_open(struct slice packed, uint8_t *to, size_t n)
{
	if (opener == NULL && (opener = ZSTD_createDCtx()) == NULL)
		return -ENOMEM;
	return ZSTD_decompressDCtx(opener, to, n, packed.p, packed.n) == n ? 0 : ENGINE_CORRUPT;
}

void pack_thread_end(void)
{
	ZSTD_freeCCtx(maker);
	ZSTD_freeDCtx(opener);
	maker = NULL;
	opener = NULL;
}
