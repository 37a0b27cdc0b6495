/*
 * reopen - a store that is out: its index is not to be read any more, or it is not there at all.
 * Everything that it is asked for is answered IO; handles of groups, places of bodies and uploads
 * that are in memory stay good, and it goes on with them when it is in again.
 *
 * Invariant: while it is out the owner enters neither LMDB nor the log, and once it is unloaded no
 * thread of it does, nor holds a lock or a file that somebody else who repairs it needs.
 */
#pragma once

#include "common/engine/engine-private.h"

/* One that was never loaded, and is out. 0, -ENOMEM. */
int engine_lmdb_out_new(const struct engine_conf *conf, struct engine **ret_e);
/* The owner's, of one that says BROKEN. */
void engine_lmdb_out(struct engine *e);
/* Another thread's, of one that is out: ends its threads, in order, and closes its files. Again: no
 * more is done. */
void engine_lmdb_unload(struct engine *e);
/* The same thread's: everything as at an open with ENGINE_UNSEEN, and its threads. After an answer
 * that is not 0 it is unloaded. */
int engine_lmdb_load(struct engine *e, int dir_fd) __attribute__((warn_unused_result));
/* The owner's, of one that is loaded. */
void engine_lmdb_in(struct engine *e);
