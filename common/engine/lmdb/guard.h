/*
 * guard - keeps a damaged index away from LMDB, which may end a process that maps one: a look at it
 * before it is mapped, in a process of its own; what was found while it was in use; and the new
 * index that the log makes.
 *
 * Invariant: an index that is known to be damaged is never opened again. It is set aside, and the
 * log alone says what is true.
 */
#pragma once

#include "common/base/slice.h"

#include <stdatomic.h>

struct store;

enum { GUARD_RUN_BYTES = 64 };

struct guard {
	int fd;              /* of the file `running` */
	bool was_there;      /* it was there when we came */
	_Atomic bool marked; /* damage was found, and the file says so */
	bool blamed;         /* the file says so: a process died while it read the index */
	bool making;         /* the same: a new index was begun, and is not whole */
	uint8_t blame[GUARD_RUN_BYTES]; /* what the file is to say when this process does */
	uint64_t rebuilds, first_s;     /* since the last clean stop: how many, the first when */
	bool was_marked, was_blamed,
	    was_making; /* as all was_...: when the operator asked for a new one */
	uint64_t was_rebuilds, was_first_s;
	char aside[48]; /* the name of the index that was set aside now; empty: none was */
	int64_t rebuild_from_ms;
	_Atomic uint64_t bad_rows;
};

/* Before the index is opened. 0; ENGINE_VERSION; ENGINE_CORRUPT: damaged once too often; IO, FULL;
 * ENGINE_REBUILD (see enum engine_how). */
int guard_begin(struct store *s);

/* The index goes aside, to be made again. 0, or ENGINE_CORRUPT: that was done too often lately. */
int guard_set_aside(struct store *s, const char *why);

/* The store is open. */
void guard_opened(struct store *s);

/* It cannot be opened: everything is again as it was. */
void guard_undo(struct store *s);

/* The index agrees with the log, and nothing is under way. */
void guard_end(struct store *s);

/*
 * This thread reads the index (or, NULL, no more): who dies of that says so in the file `running`.
 * Not by the address that was met: a damaged page may lead anywhere.
 */
void guard_reads(struct guard *g);

/* Does the file `running` below this directory say that? */
bool guard_is_blamed(int dir_fd);

/* Any thread: something in the index is not as we left it. The next start makes a new one, and
 * this process is asked to make room for it. `key` may be none. */
void index_damaged(struct store *s, const char *what, struct slice key);
