/*
 * spread - a store's rows and bodies into another store that has another number of shards.
 *
 * Invariant: every row that the server can reach is copied as it is but for the places of bodies,
 * and the shards that accounts are in. An account is whole in one shard. Both stores are ours
 * alone.
 */
#pragma once

#include "stored/backup/backup.h"
#include "stored/backup/locmap.h"
#include "stored/record.h"

enum { SPREAD_BODIES_MAX = 100 }; /* new ones in one commit */

struct spread {
	struct report *rep;
	struct engine *from, *to;
	unsigned n;                        /* shards of the second */
	uint64_t bytes[ENGINE_SHARDS_MAX]; /* of rows and bodies in each of them */
	uint64_t left_out;                 /* messages whose bytes were damaged before */
	struct locmap locs;
};

/* The store of one directory into the other, which is empty: 0 or -errno. Files of the
 * second are the caller's. */
int spread_store(
    int from_fd, int to_fd, unsigned shards, struct report *rep, uint64_t *ret_left_out);

/* ---- what its files share ---- */

/* A group, from a shard to a shard. */
struct spread_group {
	struct spread *s;
	struct slice id;
	unsigned from, to;
	/* NULL: all rows are copied. Called for each; false: that one is not. */
	bool (*row)(void *arg, const struct engine_row *row);
	void *arg;
};

/* spread-rows.c: 0 or -errno. */
int spread_rows(const struct spread_group *g);

/* One scan of a group, copied: rows with from <= key. */
struct spread_page {
	struct buf bytes;
	struct engine_row *rows;
	size_t n, cap;
	bool more;
};

void spread_page_fini(struct spread_page *p);
int spread_scan(struct engine *e, struct engine_group *g, struct slice from, struct slice to,
    struct spread_page *ret_p);

/* spread-intents.c: what was begun in several groups is carried out. 0 or -errno. */
int spread_intents(struct engine *e);

/* A body whose bytes do not fit their sums: the message `uid` goes with all that is known of it,
 * and the header does not count it any more. 0 or -errno. */
int spread_leave_out(
    const struct spread_group *g, struct engine_group *to, uint32_t uid, const struct msg_rec *rec);
