/*
 * A log frame: its header, then its rows; and a segment's header. The sum is put right for every
 * other input, so that the fuzzer gets behind it: what a damaged disk or a wrong version could make
 * us apply.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#include "common/engine/engine-private.h"
#include "common/engine/lmdb/frame.h"
#include "common/engine/map.h"

enum { STORE_ID = 42 };

static void map_check(const struct map *m)
{
	const struct map_node *prev = NULL;
	struct engine_row row;
	size_t n = 0;

	for (const struct map_node *at = m->head[0]; at != NULL; at = at->next[0], n++) {
		assert(prev == NULL || slice_cmp(map_key(prev), map_key(at)) < 0);
		assert(map_find(m, map_key(at)) == at);
		assert(at->deleted || row_decode(map_val(at), &row));
		prev = at;
	}
	assert(n == m->rows);
	for (size_t i = 0; i < m->n_ranges; i++) {
		assert(slice_cmp(m->ranges[i].from, m->ranges[i].to) < 0);
		assert(i == 0 || slice_cmp(m->ranges[i - 1].to, m->ranges[i].from) <= 0);
	}
}

static void apply_all(struct slice rows, uint32_t batches, bool keep_deletes)
{
	struct map m;

	map_init(&m, keep_deletes);
	for (uint32_t i = 0; i < batches; i++) {
		struct slice one = rows;
		struct batch_reader r;

		assert(batch_read_begin(&rows, &r));
		one.n -= rows.n;
		assert(batch_apply(&m, one) == 0);
	}
	map_check(&m);
	map_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t head[SEG_HEAD] = { 0 };
	struct seg_head seg;
	struct frame_head h;
	struct slice rows;

	memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
	(void)seg_head_decode(head, &seg);
	if (size < FRAME_HEAD || !frame_head_decode(head, &h))
		return 0;
	rows = slice_of(data + FRAME_HEAD, size - FRAME_HEAD);
	h.rows_n = (uint32_t)rows.n;
	if ((data[12] & 1) == 0) /* an unused byte */
		frame_head_encode(&h, rows, STORE_ID, head);
	if (!frame_check(head, rows, STORE_ID))
		return 0;
	apply_all(rows, h.batches, true);
	apply_all(rows, h.batches, false);
	return 0;
}
