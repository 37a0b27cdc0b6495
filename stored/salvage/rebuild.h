/*
 * rebuild - a new index from the log, by the engine itself. The old one is set aside, not removed.
 */
#pragma once

#include "stored/salvage/report.h"

/* Of the database in `dir_fd`, which nobody may have open. An exit status. */
int rebuild_index(int dir_fd, const char *what, struct report *rep);
