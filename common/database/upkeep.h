/*
 * upkeep - what a database needs from time to time: its dead bytes given back where that pays, and
 * everything in it read and checked. On the owner's loop, by itself or when an operator asks.
 *
 * Invariant: one chore at a time, but that a scrub is broken off for looks and passes and goes on
 * behind them; what was asked for is done once what runs has ended. Nothing here is waited for at
 * the end of the process: a chore that is broken off begins anew.
 */
#pragma once

#include "common/engine/engine.h"

struct conf;
struct event_base;
struct upkeep;

struct upkeep_conf {
	const char *name;      /* of the database, for the log; lives for ever */
	unsigned dead_percent; /* compaction by itself: this share of the files is dead, */
	uint64_t dead_bytes;   /* and so many bytes are; percent 0: never */
	int64_t look_ms;       /* at least between two looks */
	int64_t scrub_s;       /* from the end of a scrub to the next; 0: only when asked for */
	uint64_t compact_bytes_s, scrub_bytes_s;
};

/* From the options that are the same for all databases. */
void upkeep_conf_read(struct upkeep_conf *c, const struct conf *conf, const char *name);

enum upkeep_chore { UPKEEP_NONE, UPKEEP_LOOK, UPKEEP_COMPACT, UPKEEP_SCRUB };

/* `found` (may be NULL) is called for what a scrub finds. 0, -ENOMEM. */
int upkeep_new(struct event_base *base, struct engine *e, const struct upkeep_conf *conf,
    engine_damage_fn *found, void *arg, struct upkeep **ret_u);

/* What runs goes on until the engine closes; its end is told to nobody. Sets *u to NULL. */
void upkeep_free(struct upkeep **u);

void upkeep_set(struct upkeep *u, const struct upkeep_conf *conf);

/* As soon as it may: UPKEEP_COMPACT, UPKEEP_SCRUB. False: it runs, or was asked for before. */
bool upkeep_ask(struct upkeep *u, enum upkeep_chore chore);

/* So many bytes were just deleted: the log's growth does not show it. */
void upkeep_hint(struct upkeep *u, uint64_t dead_bytes);

struct upkeep_last {
	int64_t began_s, ended_s; /* wall clock; 0: never, or not since the process started */
	int rc;                   /* engine_rc */
};

struct upkeep_state {
	enum upkeep_chore runs; /* a scrub that waits for something else is not told */
	bool compact_asked, scrub_asked;
	unsigned compact_ends, scrub_ends; /* how many came to an end, also to a bad one */
	struct upkeep_last compact, scrub;
};

/* One is under way, whatever else runs. */
bool upkeep_scrubs(const struct upkeep *u);

void upkeep_state(const struct upkeep *u, struct upkeep_state *ret_s);
