/*
 * twin - the body of another shard, once more in this one: made when a row here is to refer to it.
 *
 * Invariant: a twin becomes `ready` only when all its bytes have come, each checked against the sum
 * that it had there. One upload in memory is copied at once; what lies on a disk is read in pieces
 * by twin_start(), and spills like any upload.
 */
#pragma once

#include "common/engine/engine-private.h"

/* In place of *io_body, which is another shard's, the one to put into a batch of `to`; its
 * reference is the caller's. The upload holds another until it is let go. 0, -EINVAL, -ENOMEM. */
int twin_of_body(struct engine *to, struct engine_body **io_body);

/* A new one, owned, of a place in another shard. 0, -ENOMEM. */
int twin_of_place(struct engine *to, const struct engine_loc *loc, struct engine_body **ret_body);

/* Begins, where it has not begun; held_go_on() follows. */
void twin_start(struct engine_body *b);
/* It waits, or is on its way. */
bool twin_unready(const struct engine_body *b);
/* What it is a copy of, when that is a place in `e`. NULL: it is not. */
const struct engine_loc *twin_place(const struct engine_body *b, const struct engine *e);
/* Of a row that refers to this body, what its owner thinks; NULL: the body itself. */
const struct engine_loc *twin_was(const struct engine_body *b);
/* It has all that it needs of what it is a copy of, or will never have it. */
void twin_source_drop(struct engine_body *b);
/* The upload is let go. */
void twins_let_go(struct engine_body *b);
/* With the body. */
void twin_free(struct engine_body *b);
