/*
 * engine-writer - what the two halves of the program share: one store, a plan, and how much of the
 * plan the store holds.
 *
 * Invariant: of each group's batches a store holds the first ones, in the order of the plan.
 */
#pragma once

#include "common/engine/engine.h"
#include "engine-plan.h"

struct answer {
	bool done;
	int rc;
};

struct writer {
	struct engine *store;
	struct engine_group *group[PLAN_GROUPS]; /* NULL: its shard is not there yet */
	struct plan plan;
	unsigned shard[PLAN_GROUPS];
	bool may_grow;           /* it is opened as one of several shards */
	uint8_t *held;           /* by commit: bits of the batches that the store has */
	struct engine_loc *locs; /* by commit: where its body is */
};

extern struct writer w;

/* Waits for answers; a store that says nothing for long is an error. */
void writer_turn(void);
/* An engine_done_fn of a struct answer, and its end. */
void writer_done(void *arg, int rc);
int writer_await(struct answer *a);

/* A commit in whose place an acknowledgement says that there are so many shards. */
static inline unsigned writer_shards_ack(unsigned n)
{
	return w.plan.count + n;
}

/* Both batches take effect, or none. */
static inline bool writer_is_atom(const struct plan_commit *c)
{
	if (c->batches == 1)
		return true;
	if (w.shard[c->batch[0].group] != w.shard[c->batch[1].group])
		return false;
	return engine_limits(w.store)->commit_atomic || engine_shards(w.store) > 1;
}

/* Sets w.held and w.locs. 0, or 1: what was acknowledged is not there, or something is that should
 * not be; it has been said. */
int writer_check(const char *acks);
