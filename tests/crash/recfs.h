#pragma once
/*
 * recfs - a block device's image as a file that remembers, and later replays, what reached it.
 *
 * Recording: every write and flush of `image` goes to a trace, in order, together with what a test
 * writes to `ack`. Playing: `image` shows the state after some flush plus a chosen part of the
 * writes that were not yet flushed; what a mount changes is forgotten at the next `goto`.
 * Invariant: the durable part only moves forward, by whole flush intervals.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REC_WRITE = 1, REC_FLUSH = 2, REC_ACK = 3 };

/* Trace record, host byte order (a trace never leaves its machine); `len` bytes follow. */
struct rec_head {
	uint32_t type;
	uint32_t len;
	uint64_t off;
};

enum { REC_BLOCK = 4096, REC_SECTOR = 512 };

struct rec_image {
	uint8_t *durable; /* after the flush that ended interval `at - 1` */
	uint8_t *now;     /* what a mount sees */
	uint8_t *dirty;   /* per block: `now` may differ from `durable` */
	uint64_t bytes;
};

struct rec_play {
	struct rec_image img;
	const uint8_t *trace;
	uint64_t trace_bytes;
	uint64_t pos; /* start of interval `at` in the trace */
	uint64_t at;
};

/* How many of an interval's unflushed sectors survive. */
enum rec_subset {
	SUBSET_NONE,    /* the cut right after the flush, everything later lost */
	SUBSET_ALL,     /* everything written, the last flush of the interval still missing */
	SUBSET_PREFIX,  /* writes in order up to a torn one */
	SUBSET_WRITES,  /* whole writes, any of them */
	SUBSET_BLOCKS,  /* any 4096-byte blocks */
	SUBSET_SECTORS, /* any 512-byte sectors */
};

/* Maps the base image and the trace. Exits on error: this is a test program. */
void rec_play_open(struct rec_play *p, const char *base, const char *trace);
/* Shows interval `at` (>= the present one) with a subset drawn from `seed`. -EINVAL going back. */
int rec_play_goto(struct rec_play *p, uint64_t at, enum rec_subset how, uint64_t seed);
void rec_image_write(struct rec_image *img, const void *data, size_t n, uint64_t off);
