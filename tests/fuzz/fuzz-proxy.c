/* A PROXY header byte by byte and in one piece: the same answer, nothing read beyond its end. */
#include "common/front/proxy.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

enum { MAX = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proxy_header h, whole;
	enum proxy_answer a = PROXY_MORE;
	size_t at = 0, need = PROXY_PREFIX_BYTES;

	while (a == PROXY_MORE && at < n && at < need) {
		a = proxy_parse(slice_of(data, ++at), MAX, &h, &need);
		assert(a != PROXY_MORE || (need > at && need <= MAX));
	}
	if (a != PROXY_DONE)
		return 0;
	assert(at == need && proxy_parse(slice_of(data, at), MAX, &whole, &need) == PROXY_DONE);
	assert(h.none == whole.none);
	assert(h.none || (h.peer.family == whole.peer.family && h.peer.port == whole.peer.port &&
			     (h.local.family == 4 || h.local.family == 6)));
	return 0;
}
