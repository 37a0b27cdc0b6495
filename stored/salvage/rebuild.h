/*
 * rebuild - a new index from the log, by the engine itself. The old one is set aside, not removed.
 *
 * Invariant: what cannot be made anew keeps nothing else from it, and has a line of its own.
 */
#pragma once

#include "stored/salvage/report.h"

struct rebuilt {
	unsigned made, left; /* indexes */
	char why[400];       /* the first that was left: its line */
};

/* Of the database in `dir_fd`, all of its shards, or of one shard by itself, which nobody may have
 * open. Adds to *done. */
void rebuild_index(int dir_fd, const char *what, struct report *rep, struct rebuilt *done);
