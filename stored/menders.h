/*
 * menders - processes that make the index of a shard anew in stored's place, because what is read
 * for that may end who reads it. They are forked before the store is opened, wait, and hold the
 * store's directory, the log and one socket: less than stored, whose walls they are behind.
 *
 * Invariant: a mender has a shard's lock while it works there, and ends when stored does, so that
 * no two processes ever have a shard open.
 */
#pragma once

#include "common/proc/proc.h"

enum { MENDERS = 3 };

struct menders {
	_Atomic int fd[MENDERS]; /* -1: it is gone */
};

/* In warm_up, before the store is opened: several. Without any, of a store that has one shard,
 * nothing else is different. 0, or -errno after proc_fail(). */
int menders_start(struct menders *m, struct proc *p, int store_fd);
/* For struct engine_conf. */
int menders_rebuild(void *menders, unsigned shard);
void menders_cancel(void *menders);
void menders_end(struct menders *m);
