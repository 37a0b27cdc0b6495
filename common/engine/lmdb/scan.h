/*
 * scan - the frames of a segment of the log, also of a damaged one: finds the next good frame
 * behind bytes that are none. Pure: bytes in, places out.
 *
 * Invariant: what is told as a frame passed its seeded sum. What is told as a gap is no frame; its
 * rows may be looked at (scan_gap_row()), and whoever uses one must say that it is in doubt.
 */
#pragma once

#include "common/engine/engine-private.h"
#include "common/engine/lmdb/frame.h"

struct scan {
	struct slice seg; /* the whole file */
	uint64_t store_id;
	uint64_t at;
	uint64_t budget; /* bytes that may be summed in vain */
};

struct scan_item {
	bool gap;
	uint64_t off, end;   /* in the segment */
	struct frame_head h; /* of a frame */
	struct slice rows;   /* of a frame */
};

/* `seg` stays the caller's. Its header is not looked at: frames begin behind it. */
void scan_init(struct scan *s, struct slice seg, uint64_t store_id);

/* The next frame or gap; false at the end. Zeros behind the last frame are no gap. */
bool scan_next(struct scan *s, struct scan_item *ret_item);

/*
 * Rows of a frame that fails its sum: those batches and operations that have their form, in order.
 * Deletes are not told: what a damaged frame took away stays. False: no more.
 */
struct gap_reader {
	struct slice rest;
	struct batch_reader batch;
	bool in_batch;
};

void gap_reader_init(struct gap_reader *g, struct slice gap);
bool gap_reader_next(struct gap_reader *g, struct slice *ret_prefix, struct batch_op *ret_op);
