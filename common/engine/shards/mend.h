/*
 * mend - shards that are away, and come back by themselves: a thread looks at them again, has the
 * index of one that is damaged made anew, and opens it beside the others, which go on.
 *
 * Invariant: the first shard is none of these. A shard is touched by this thread only while it is
 * out (lmdb/reopen.h), and taken out and in by the owner alone.
 */
#pragma once

#include "common/engine/shards/shards.h"

struct identity;

/* All shards have been added: those that are away are LMDB stores that are out. Takes nothing;
 * duplicates the descriptor. 0, -errno. */
int mend_new(struct shards *w, int dir_fd, const struct identity *store,
    const struct engine_conf *conf) __attribute__((warn_unused_result));
int mend_start(struct shards *w); /* its thread; 0, -errno */
/* The owner's, often: takes out what is broken, takes in what is mended. */
void mend_turn(struct shards *w);
/* Looks at all that are away as soon as it may. */
void mend_now(struct shards *w);
/* Ends the thread; the shards stay as they are. NULL: there is none. */
void mend_free(struct shards *w);
/* It is broken, and will be taken out. */
bool mend_will(const struct shards *w, unsigned shard);
