/*
 * tail - the end of the log of a store that another process has open, for a copy of it
 * (docs/backup.md).
 *
 * Invariant: nothing is written and nothing is locked. What lies before an end that was told is
 * never changed by the process that has the store, but for the last frame, which it may still take
 * back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/engine/engine.h"

struct tail;

struct tail_end {
	uint64_t segment, off; /* where the next frame will go */
	uint64_t frame;        /* its number */
};

/* `dir_fd` is duplicated. ENGINE_NOTFOUND: there is no log. ENGINE_CORRUPT, ENGINE_VERSION,
 * ENGINE_IO, -ENOMEM. */
int tail_open(int dir_fd, struct tail **ret_t) __attribute__((warn_unused_result));
void tail_close(struct tail **t);

/* The end now. The next call goes on from here. */
int tail_read(struct tail *t, struct tail_end *ret_end) __attribute__((warn_unused_result));

/* A file that a copy needs: a segment of the log, or the file of a large body. */
struct tail_file {
	bool segment;
	uint64_t no;
};

/* Is this the name of such a file? */
bool tail_is_file(const char *name, struct tail_file *ret_f);
