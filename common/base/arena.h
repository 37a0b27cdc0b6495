/*
 * arena - memory of one command: allocated piece by piece, given back all at once.
 *
 * An arena never holds more than its maximum. Nothing in it outlives arena_reset(), and no secret
 * may be put in one (it is not wiped).
 */
#pragma once

#include "common/base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t held; /* bytes allocated from the system */
	size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a);

/* Keeps the first block for the next command, frees the others. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type; NULL past the maximum or without memory. */
void *arena_alloc(struct arena *a, size_t n);

/* A copy that lives in the arena; p is NULL (and n 0) when it does not fit. */
struct slice arena_copy(struct arena *a, struct slice s);

/* A NUL-terminated copy; NULL when it does not fit. A NUL inside `s` is kept as it is. */
char *arena_cstr(struct arena *a, struct slice s);
