#pragma once
/*
 * engine-plan - a seeded list of commits, and a model of what a store holds after some of them.
 *
 * The writer carries the plan out; the checker replays it into the model up to the batch that the
 * store says it reached, and compares every row. Invariant: same seed and count, same plan.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_GROUPS = 4, PLAN_STEPS = 4, PLAN_KEY = 16, PLAN_LAG = 16 };

enum plan_what { PLAN_PUT, PLAN_DEL, PLAN_DEL_RANGE, PLAN_BODY, PLAN_REF };

struct plan_step {
	enum plan_what what;
	char key[PLAN_KEY], to[PLAN_KEY]; /* `to` ends a range, "" = end of the group */
	unsigned val;                     /* seed of the value's bytes, and of its length */
	unsigned body;                    /* commit whose body this is, for BODY and REF */
};

struct plan_batch {
	unsigned group, n;
	struct plan_step step[PLAN_STEPS];
};

struct plan_commit {
	unsigned batches; /* 1, or 2 in different groups, one atom */
	struct plan_batch batch[2];
};

struct plan {
	uint64_t seed;
	unsigned count;
	struct plan_commit *commit;
};

struct model_row {
	char key[PLAN_KEY];
	unsigned val, body;
	bool has_body;
};

struct model {
	struct model_row *row; /* ordered by key */
	size_t n;
};

void plan_init(struct plan *p, uint64_t seed, unsigned count);
/* Bytes of a value: at most 120, into `out`; returns the length. */
size_t plan_value(const struct plan *p, unsigned val, uint8_t out[128]);
/* Size of a commit's body, now and then above one MiB. */
size_t plan_body_bytes(const struct plan *p, unsigned commit);
/* Whether it is to be packed. */
bool plan_packs(unsigned commit);
/* Bytes [off, off + n) of it; `off` a multiple of 8. */
void plan_body_fill(const struct plan *p, unsigned commit, size_t off, uint8_t *out, size_t n);

void model_apply(struct model *m, const struct plan_batch *b);
