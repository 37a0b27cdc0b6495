/*
 * frame - the bytes of the shard's log: segment headers and frames. Pure; docs/engine.md has the
 * layout.
 *
 * Invariant: a frame that passes frame_check() was written whole, by this store, at this point of
 * its log. The sum is seeded with the store's secret id, so that no message body can pass for a
 * frame.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum {
	SEG_HEAD = 64,
	SEG_VERSION = 1,        /* of every file that needs no later one */
	SEG_VERSION_PACKED = 2, /* of segments: from here on there may be packed bodies */
	SEG_VERSION_SHARDS = 3, /* of segments: the store has more shards than this */
	FRAME_HEAD = 48,
	FRAME_ALIGN = 8,
	FRAME_ROWS_MAX = 512 << 20,
};

enum seg_kind { SEG_LOG, SEG_BODY };

struct seg_head {
	enum seg_kind kind; /* a log segment, or a file that holds one large body */
	uint64_t no, store_id, first_seq;
	uint64_t replay_from; /* the log begins with this segment; older ones only keep bodies */
	uint32_t version;     /* SEG_VERSION... */
};

struct frame_head {
	uint32_t batches, rows_n;
	uint64_t bodies_n, seq;
};

enum seg_rc { SEG_OK, SEG_BAD, SEG_NEWER };

void seg_head_encode(const struct seg_head *h, uint8_t ret_p[SEG_HEAD]);
enum seg_rc seg_head_decode(const uint8_t p[SEG_HEAD], struct seg_head *ret_h);

/* Fills in the sum over the header and the rows. */
void frame_head_encode(
    const struct frame_head *h, struct slice rows, uint64_t store_id, uint8_t ret_p[FRAME_HEAD]);

/* False: these bytes do not begin a frame. Sizes are within bounds, nothing else is known yet. */
bool frame_head_decode(const uint8_t p[FRAME_HEAD], struct frame_head *ret_h);

/* Sum, and form of every batch and operation. */
bool frame_check(const uint8_t p[FRAME_HEAD], struct slice rows, uint64_t store_id);

static inline uint64_t frame_pad(uint64_t n)
{
	return (n + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* Bytes from this frame's begin to the next frame's. */
static inline uint64_t frame_bytes(const struct frame_head *h)
{
	return FRAME_HEAD + frame_pad(h->rows_n) + h->bodies_n;
}
