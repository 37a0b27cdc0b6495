/*
 * shards - a store of several engines behind the one interface: the whole.
 *
 * Invariant: the whole keeps nothing itself. Groups, batches and bodies are its shards' own, so
 * that what concerns one (a failed sync, a full disk, damage) is answered by that one alone. One
 * that could not be opened has an engine in its place that answers IO to everything.
 */
#pragma once

#include "common/engine/engine-private.h"

struct shards {
	struct engine e;
	struct engine *at[ENGINE_SHARDS_MAX];
	const char *away[ENGINE_SHARDS_MAX]; /* NULL: it is there */
	unsigned turn;                       /* whose callbacks run first, next */
	struct mend *mend;                   /* NULL: one that is away stays so */
};

struct shards *shards_new(void);
/* Shard n of the whole: `take_e`, or NULL: it is away. 0 or -errno. */
int shards_add(struct shards *w, struct engine *take_e, const char *away);
void shards_free(struct shards *w); /* closes all */
/* Why a shard is away, of an open's answer. */
const char *shards_open_word(int rc);

/*
 * open.c: the directories of an LMDB store. `first` is shard 0, open. Makes those up to `n` that
 * are not counted yet. 0: *ret_n are added to `w`.
 */
/* One of the others has an index of which somebody died. */
bool shards_are_blamed(int dir_fd);
int shards_open_dirs(struct shards *w, unsigned n, const char *child, int dir_fd,
    const struct engine_conf *conf) __attribute__((warn_unused_result));
