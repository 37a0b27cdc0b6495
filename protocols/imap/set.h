/*
 * set - numbers as ranges: what a client names in a command, what goes to stored as pairs.
 *
 * After set_norm() the ranges ascend and do not touch. Zero is in no set.
 */
#pragma once

#include "common/base/buf.h"

struct set_range {
	uint32_t first, last;
};

struct set {
	struct set_range *r;
	size_t n, cap;
	bool failed; /* no memory, or more than IMAP_RUNS_MAX ranges */
};

void set_fini(struct set *s);
void set_reset(struct set *s);

/* At the end; a range that continues the last one is joined to it. */
void set_add(struct set *s, uint32_t first, uint32_t last);
/* Sorts and joins. */
void set_norm(struct set *s);

/* All of these want a normalised set. */
bool set_has(const struct set *s, uint32_t n);
uint64_t set_count(const struct set *s);
/* Of those from `first` on. */
uint64_t set_count_from(const struct set *s, uint32_t first);
/* The parts of `s` within first..last are added to `out`. */
void set_clip(const struct set *s, uint32_t first, uint32_t last, struct set *out);
/* Takes first..last out. */
void set_remove(struct set *s, uint32_t first, uint32_t last);
/* Takes out what `gone`, normalised, has: one pass, however many ranges both have. */
void set_subtract(struct set *s, const struct set *gone);
/* Pairs as messages carry them, from range `*at` on, at most IMAP_PAIRS_MAX; moves `*at`. */
void set_pairs(const struct set *s, size_t *at, struct buf *out);
/* Adds pairs of a message: false when they are malformed. */
bool set_add_pairs(struct set *s, struct slice pairs);
