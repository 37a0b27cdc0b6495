/*
 * held - commits that wait until the bodies that their rows refer to are in their own shard.
 *
 * Invariant: batches of one group go to their shard in the order of their commit calls, so what
 * comes behind a held batch of its group is held, too. Copies are made by pieces: of HELD_RUNNING
 * commits at a time for each shard. The owner's.
 */
#pragma once

#include "common/engine/engine-private.h"

int held_init(struct engine *e); /* 0, -ENOMEM */
/* True: it is held, and goes to e->ops->commit() later. */
bool held_take(struct engine *e, struct commit *c);
/* The engine closes: answers of what is held are dropped. */
void held_fini(struct engine *e);
/* A twin of this shard has come to its end. */
void held_go_on(struct engine *e, const struct engine_body *b);
