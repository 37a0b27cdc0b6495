/*
 * secret - bytes that are wiped: passwords, hashes, keys.
 *
 * A secret has a fixed place of its own, kept out of core dumps, wiped on fini, compared in
 * constant time, and never logged or put in an arena.
 */
#pragma once

#include "common/base/slice.h"

enum { SECRET_MAX = 8192 };

struct secret {
	uint8_t *p;
	size_t n;
};

/* A copy: 0, 1 when longer than SECRET_MAX, or -ENOMEM. */
int secret_init(struct secret *s, struct slice from);
void secret_fini(struct secret *s);

static inline struct slice secret_slice(const struct secret *s)
{
	return slice_of(s->p, s->n);
}

/* Equal, in a time that depends on the lengths alone. */
bool secret_eq(struct slice a, struct slice b);

/* Overwrites memory that held a secret; not optimised away. */
void secret_wipe(void *p, size_t n);
