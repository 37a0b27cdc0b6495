/*
 * rebuild - a new index from the log, by the engine itself. The old one is set aside, not removed.
 */
#pragma once

#include "stored/salvage/report.h"

/* Of the database in `dir_fd`, all of its shards, which nobody may have open. A shard that is not
 * there is told, and the others are done. An exit status. */
int rebuild_index(int dir_fd, const char *what, struct report *rep);
