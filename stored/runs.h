/*
 * runs - which uids of a mailbox are expunged and can be restored: the runs that expunges left, in
 * the order they happened.
 *
 * Pure. Runs may lie in each other: what was expunged between two messages stays between them when
 * these go together later. A uid belongs to the oldest run that has it. No run has a uid of a
 * message that is there.
 */
#pragma once

#include "stored/record.h"

#include <stddef.h>

struct runs {
	struct run_rec *v;
	size_t n, cap;
};

void runs_fini(struct runs *r);
/* Behind all others: `run` is newer. 0 or -ENOMEM. */
int runs_add(struct runs *r, const struct run_rec *run) __attribute__((warn_unused_result));

/* All uids that some run has: ascending and apart. */
struct uid_range {
	uint32_t first, last;
};

struct uid_ranges {
	struct uid_range *v; /* owned */
	size_t n, at;        /* at: where the last look ended */
};

void uid_ranges_fini(struct uid_ranges *u);
/* 0 or -ENOMEM. */
int runs_ranges(const struct runs *r, struct uid_ranges *ret) __attribute__((warn_unused_result));
/* The range that has the uid, or the next one; NULL behind the last. From one call to the next the
 * uid must not become less. */
const struct uid_range *uid_ranges_at(struct uid_ranges *u, uint32_t uid);

/* For n ascending uids the index of the run that each belongs to; r->n: none. 0 or -ENOMEM. */
int runs_owners(const struct runs *r, const uint32_t *uids, size_t n, uint32_t *out)
    __attribute__((warn_unused_result));
