/*
 * A damaged store: a segment of the log with anything in it, and the index as any file. What is
 * told must lie within, in order, and each byte of the segment is told once at most.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "common/base/wire.h"
#include "common/engine/lmdb/check.h"
#include "common/engine/lmdb/pages.h"
#include "common/engine/lmdb/scan.h"

static void scan_all(struct slice seg)
{
	struct scan s;
	struct scan_item item;
	uint64_t at = SEG_HEAD;

	/* The id is in the header: a real segment is a seed. */
	scan_init(&s, seg, seg.n >= SEG_HEAD ? wire_load_u64(seg.p + 24) : 0);
	while (scan_next(&s, &item)) {
		struct gap_reader g;
		struct slice prefix;
		struct batch_op op;

		assert(item.off >= at && item.end > item.off && item.end <= seg.n);
		at = item.end;
		if (!item.gap)
			continue;
		gap_reader_init(&g, slice_part(seg, item.off, item.end - item.off));
		while (gap_reader_next(&g, &prefix, &op))
			assert(op.kind == OP_PUT && prefix.n > 0 &&
			       prefix.n + op.key.n <= ENGINE_KEY_ENCODED_MAX);
	}
}

struct file {
	struct slice bytes;
};

static int file_read(void *arg, uint64_t off, void *p, size_t n)
{
	const struct file *f = arg;
	struct slice part = slice_part(f->bytes, off, n);

	if (off > f->bytes.n || part.n < n)
		return 1;
	memcpy(p, part.p, n);
	return 0;
}

static bool file_row(void *arg, struct slice key, struct slice val)
{
	assert(key.n > 0 && key.n <= ENGINE_KEY_ENCODED_MAX);
	return true;
}

static void file_damaged(void *arg, const char *why)
{
	assert(why != NULL);
}

static void check_all(struct slice file)
{
	struct check_room room = { 0 };
	struct check_result r;

	assert(check_room_init(&room, file.n) == 0);
	index_check(file, &room, &r);
	check_room_fini(&room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pages_ops ops = { file_read, file_row, file_damaged, NULL };
	struct file f = { .bytes = slice_of(data, size) };

	scan_all(slice_of(data, size));
	(void)pages_walk(&ops, &f, size);
	check_all(slice_of(data, size));
	return 0;
}
