/*
 * master-private - between master.c, reload.c and logs.c.
 */
#pragma once

#include "master/master.h"

/* The sink died: until it is back our own lines go to standard error. */
void master_logs_gone(struct master *m);

/* After a reload: our own log level. */
void master_logs_level(struct master *m);

enum { STOP_DEADLINE_MS = 10000 }; /* each stage of an orderly stop */

/* Has the configuration work for it? */
bool master_wants(const struct master *m, const struct program *prog);

/* Starts it; what cannot be started now is tried again, later each time. */
void master_start_child(struct child *c);

/* Reads the file again: a good one is in force afterwards, a bad one changes nothing. */
void master_reload(struct master *m);
