/*
 * cols - the messages of an open mailbox, column by column, shared by all sessions that have it
 * open; and the few that are expunged but still in somebody's view.
 *
 * Pure. Only what is durable is in here. The columns are ordered by uid, which only grows. A view
 * sees a message when its uid is below the view's limit and it is there, or was expunged with a
 * modseq above the one up to which the view knows of expunges.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/engine/engine.h"

struct cols_row {
	uint32_t uid, flags;
	uint64_t keywords, size, modseq, id, sum; /* keywords: a word, see keysets.h */
	uint64_t thread;                          /* 0: not known yet */
	int64_t date, saved;
	struct engine_loc loc;
};

struct cols_dead {
	struct cols_row row;
	uint64_t gone; /* modseq of the expunge */
	uint32_t by;   /* number of the view that did it; it sees the message no longer */
};

struct cols {
	size_t n, cap;
	uint32_t *uid, *flags;
	uint64_t *keywords, *size, *modseq, *id, *sum, *thread;
	int64_t *date, *saved;
	struct engine_loc *loc;
	struct cols_dead *dead; /* ordered by uid */
	size_t n_dead, cap_dead;
	uint32_t seen_below; /* messages that are not dead, below this uid, are all seen */
};

/* What one session sees. */
struct cols_view {
	uint32_t number;    /* unique per mailbox while it lives */
	uint32_t uid_limit; /* newer messages are not seen */
	uint64_t known;     /* expunges up to this modseq are known */
};

void cols_fini(struct cols *c);

/* uid must be above all others. 0 or -ENOMEM. */
int cols_append(struct cols *c, const struct cols_row *row) __attribute__((warn_unused_result));

/* Room for n more messages, so that cols_append() cannot fail. 0 or -ENOMEM. */
int cols_reserve(struct cols *c, size_t n) __attribute__((warn_unused_result));

/* First index with a uid not below `uid`; n when there is none. */
size_t cols_lower(const struct cols *c, uint32_t uid);
/* The same, from that index on, near which it is as a rule. */
size_t cols_lower_from(const struct cols *c, size_t from, uint32_t uid);
/* The same for the list of the dead. */
size_t cols_dead_lower(const struct cols *c, uint32_t uid);
/* The last index whose message follows the i-th without a gap, before `end`; i < end <= n. */
size_t cols_run_last(const struct cols *c, size_t i, size_t end);
/* The uid of the first one that is not seen, of those that are not dead; 0: there is none. */
uint32_t cols_first_unseen(struct cols *c);
/* Sets the flags of the i-th. */
void cols_set_flags(struct cols *c, size_t i, uint32_t flags);
struct cols_row cols_at(const struct cols *c, size_t i);

/* Room for n more in the list of the dead, so that cols_expunge() cannot fail. 0 or -ENOMEM. */
int cols_reserve_dead(struct cols *c, size_t n) __attribute__((warn_unused_result));

/*
 * Takes the messages with these uids (ascending, each alive) out of the columns: one expunge, of
 * that modseq. Those with keep[i] join the dead.
 */
void cols_expunge(
    struct cols *c, const uint32_t *uids, const bool *keep, size_t n, uint32_t by, uint64_t modseq);

/* The body of the message lies elsewhere from now on. */
void cols_moved(
    struct cols *c, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to);

bool cols_dead_seen(const struct cols_view *v, const struct cols_dead *d);

/* The message as the view sees it: 0, or 1 when it does not. */
int cols_find(const struct cols *c, const struct cols_view *v, uint32_t uid, struct cols_row *ret);

/* Steps through the messages of a view, ascending. The columns must not change meanwhile. */
struct cols_walk {
	const struct cols *c;
	const struct cols_view *v;
	size_t i, d;                  /* next */
	const struct cols_dead *dead; /* the message, or */
	size_t at;                    /* its index, when it is alive */
	uint32_t uid;
};

void cols_walk_from(
    struct cols_walk *w, const struct cols *c, const struct cols_view *v, uint32_t uid);
/* False behind the last one. */
bool cols_walk_next(struct cols_walk *w);
/* The uid that cols_walk_next() finds; UINT32_MAX: none. */
uint32_t cols_walk_peek(struct cols_walk *w);
/* Goes on with the first message that is not below `uid`. */
void cols_walk_skip(struct cols_walk *w, uint32_t uid);
struct cols_row cols_walk_row(const struct cols_walk *w);

/* Drops the dead that no view needs and tells their uids; returns how many (at most max). */
size_t cols_sweep(struct cols *c, bool (*seen)(void *arg, const struct cols_dead *d), void *arg,
    uint32_t *ret_uids, size_t max);
