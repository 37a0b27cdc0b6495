#include "common/engine/lmdb/scan.h"

#include "common/base/wire.h"

/*
 * A message may hold any number of pieces that look like a frame's header, each naming many bytes
 * of rows. Sums in vain are counted; when there were too many, only small frames are looked for.
 */
enum { VAIN_TIMES = 16, SMALL_ROWS = 64 << 10 };

void scan_init(struct scan *s, struct slice seg, uint64_t store_id)
{
	*s = (struct scan){ .seg = seg,
		.store_id = store_id,
		.at = SEG_HEAD,
		.budget = VAIN_TIMES * (uint64_t)seg.n };
}

/* A good frame at `off`? */
static bool frame_at(struct scan *s, uint64_t off, struct scan_item *ret_item)
{
	struct frame_head h;
	const uint8_t *p;

	if (off > s->seg.n || s->seg.n - off < FRAME_HEAD)
		return false;
	p = s->seg.p + off;
	if (!frame_head_decode(p, &h) || frame_bytes(&h) > s->seg.n - off)
		return false;
	if (h.rows_n > SMALL_ROWS && s->budget < h.rows_n)
		return false;
	if (!frame_check(p, slice_of(p + FRAME_HEAD, h.rows_n), s->store_id)) {
		s->budget -= s->budget < h.rows_n ? s->budget : h.rows_n;
		return false;
	}
	*ret_item = (struct scan_item){ .off = off,
		.end = off + frame_bytes(&h),
		.h = h,
		.rows = slice_of(p + FRAME_HEAD, h.rows_n) };
	return true;
}

/* Where the zeros at the end of the segment begin. */
static uint64_t zeros_from(struct slice seg)
{
	uint64_t end = seg.n;

	while (end > 0 && seg.p[end - 1] == 0)
		end--;
	return end;
}

bool scan_next(struct scan *s, struct scan_item *ret_item)
{
	uint64_t from = s->at, end;

	if (from >= s->seg.n)
		return false;
	if (frame_at(s, from, ret_item)) {
		s->at = ret_item->end;
		return true;
	}
	for (uint64_t off = from + FRAME_ALIGN; off < s->seg.n; off += FRAME_ALIGN)
		if (frame_at(s, off, ret_item)) {
			*ret_item = (struct scan_item){ .gap = true, .off = from, .end = off };
			s->at = off;
			return true;
		}
	s->at = s->seg.n;
	end = zeros_from(s->seg);
	if (end <= from)
		return false;
	*ret_item = (struct scan_item){ .gap = true, .off = from, .end = end };
	return true;
}

void gap_reader_init(struct gap_reader *g, struct slice gap)
{
	*g = (struct gap_reader){ .rest = slice_from(gap, FRAME_HEAD) };
}

bool gap_reader_next(struct gap_reader *g, struct slice *ret_prefix, struct batch_op *ret_op)
{
	for (;;) {
		if (!g->in_batch) {
			if (!batch_read_begin(&g->rest, &g->batch))
				return false;
			g->in_batch = true;
		}
		if (batch_read_op(&g->batch, ret_op) > 0) {
			if (ret_op->kind != OP_PUT)
				continue;
			*ret_prefix = g->batch.prefix;
			return true;
		}
		g->in_batch = false;
	}
}
