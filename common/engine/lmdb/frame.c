#include "common/engine/lmdb/frame.h"

#include "common/base/wire.h"
#include "common/engine/engine-private.h"

#include <xxhash.h>

static const uint8_t seg_magic[2][8] = { "GHSHLOG\n", "GHBODY1\n" };
static const uint32_t frame_magic = 0x31464847; /* "GHF1" */

enum { SEG_SUMMED = SEG_HEAD - 8, FRAME_SUMMED = FRAME_HEAD - 8 };

void seg_head_encode(const struct seg_head *h, uint8_t ret_p[SEG_HEAD])
{
	memset(ret_p, 0, SEG_HEAD);
	memcpy(ret_p, seg_magic[h->kind], 8);
	wire_store_u32(ret_p + 8, h->version);
	wire_store_u64(ret_p + 16, h->no);
	wire_store_u64(ret_p + 24, h->store_id);
	wire_store_u64(ret_p + 32, h->first_seq);
	wire_store_u64(ret_p + 40, h->replay_from);
	wire_store_u64(ret_p + SEG_SUMMED, XXH3_64bits(ret_p, SEG_SUMMED));
}

enum seg_rc seg_head_decode(const uint8_t p[SEG_HEAD], struct seg_head *ret_h)
{
	bool is_log = memcmp(p, seg_magic[SEG_LOG], 8) == 0;
	uint32_t version = wire_load_u32(p + 8);

	if (!is_log && memcmp(p, seg_magic[SEG_BODY], 8) != 0)
		return SEG_BAD;
	if (wire_load_u64(p + SEG_SUMMED) != XXH3_64bits(p, SEG_SUMMED))
		return SEG_BAD;
	if (version < SEG_VERSION || version > (is_log ? SEG_VERSION_SHARDS : SEG_VERSION))
		return SEG_NEWER;
	*ret_h = (struct seg_head){
		.kind = is_log ? SEG_LOG : SEG_BODY,
		.no = wire_load_u64(p + 16),
		.store_id = wire_load_u64(p + 24),
		.first_seq = wire_load_u64(p + 32),
		.replay_from = wire_load_u64(p + 40),
		.version = version,
	};
	return SEG_OK;
}

static uint64_t frame_sum(const uint8_t p[FRAME_HEAD], struct slice rows, uint64_t store_id)
{
	return XXH3_64bits_withSeed(
	    rows.p, rows.n, XXH3_64bits_withSeed(p, FRAME_SUMMED, store_id));
}

void frame_head_encode(
    const struct frame_head *h, struct slice rows, uint64_t store_id, uint8_t ret_p[FRAME_HEAD])
{
	memset(ret_p, 0, FRAME_HEAD);
	wire_store_u32(ret_p, frame_magic);
	wire_store_u32(ret_p + 4, h->batches);
	wire_store_u32(ret_p + 8, h->rows_n);
	wire_store_u64(ret_p + 16, h->bodies_n);
	wire_store_u64(ret_p + 24, h->seq);
	wire_store_u64(ret_p + FRAME_SUMMED, frame_sum(ret_p, rows, store_id));
}

bool frame_head_decode(const uint8_t p[FRAME_HEAD], struct frame_head *ret_h)
{
	if (wire_load_u32(p) != frame_magic)
		return false;
	*ret_h = (struct frame_head){
		.batches = wire_load_u32(p + 4),
		.rows_n = wire_load_u32(p + 8),
		.bodies_n = wire_load_u64(p + 16),
		.seq = wire_load_u64(p + 24),
	};
	return ret_h->rows_n <= FRAME_ROWS_MAX && ret_h->bodies_n <= UINT32_MAX;
}

bool frame_check(const uint8_t p[FRAME_HEAD], struct slice rows, uint64_t store_id)
{
	uint32_t batches = wire_load_u32(p + 4);
	struct batch_reader r;
	struct batch_op op;
	int more;

	if (wire_load_u64(p + FRAME_SUMMED) != frame_sum(p, rows, store_id))
		return false;
	for (; batches > 0; batches--) {
		if (!batch_read_begin(&rows, &r))
			return false;
		while ((more = batch_read_op(&r, &op)) > 0)
			;
		if (more < 0)
			return false;
	}
	return rows.n == 0;
}
