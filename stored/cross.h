/*
 * cross - messages that move into an account whose mailboxes no commit takes together with theirs:
 * of another shard, or on an engine without an atom over groups.
 *
 * Four steps, each durable before the next: a note in the root of the account that they leave; the
 * copies, and in the same batch a row that says that they are there; the expunge; both rows go.
 * Invariant: nobody uses an account that has such a note but the move itself. Whoever loads it
 * finds out whether the copies are there, and if so expunges what they were made of.
 */
#pragma once

#include "stored/store-private.h"

/* copy-cross.c: a move out of this account is under way: account_load() comes when it is over. */
bool cross_parks(struct account *a);

/* cross-settle.c */
/* A note was read: 0, or 1 when it is damaged. */
int cross_found(struct account *a, struct slice val);
/* Ends what it says, then account_settled(). */
void cross_settle(struct account *a);
/* Into that batch: the note goes. */
bool cross_forget(struct engine_batch *b);
