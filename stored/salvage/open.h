/*
 * open - a database read raw, with what is wrong in its files told to the report.
 */
#pragma once

#include "common/engine/raw.h"
#include "stored/salvage/report.h"

/* `what` names it in the report: "store", "directory", "secrets". `until`, `keep`: see raw.h. 0, or
 * what raw_open() says after a line in the report. */
int open_raw(int dir_fd, const char *what, const struct tail_end *until,
    bool (*keep)(void *arg, struct slice group, struct slice key), struct report *rep,
    struct raw **ret_r);
/* A store that is in use, before these ends. */
int open_raw_shards(int dir_fd, const struct tail_end *until, const struct raw_shard *shards,
    unsigned n, bool (*keep)(void *arg, struct slice group, struct slice key), struct report *rep,
    struct raw **ret_r);
