/*
 * sync - the engine's calls, waited for: for a program that does one thing after the other. Each
 * answers 0 or -errno (ENGINE_FULL is -ENOSPC, what else goes wrong -EIO).
 */
#pragma once

#include "common/engine/engine.h"
#include "stored/record.h"

struct waiting {
	bool answered;
	int rc;
	struct engine_group *group;
};

/* An engine_done_fn, its argument a struct waiting. */
void sync_done(void *arg, int rc);
int sync_wait(struct engine *e, struct waiting *w);
int sync_rc(int rc);

int sync_group(struct engine *e, struct slice id, struct engine_group **ret_g);
int sync_group_in(struct engine *e, unsigned shard, struct slice id, struct engine_group **ret_g);
/* Takes the batch. */
int sync_commit(struct engine *e, struct engine_batch **take_b);
/* One row of one group. */
int sync_put(struct engine *e, struct slice group, struct rec_key key, struct slice val);
int sync_put_in(
    struct engine *e, unsigned shard, struct slice group, struct rec_key key, struct slice val);

/* ---- the step ahead: what a lost or older store gave out must not be given out again ---- */

#define RECORD_IDS_AHEAD (UINT64_C(1) << 40)

/* Uids and modseqs; the history begins anew: whoever knows a modseq is told of all that is not
 * there. */
void record_head_ahead(struct mbox_head *h);
void record_root_ahead(struct root_rec *r);
