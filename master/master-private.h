/*
 * master-private - between master.c and logs.c.
 */
#pragma once

#include "master/master.h"

/* The sink died: until it is back our own lines go to standard error. */
void master_logs_gone(struct master *m);

/* After a reload: our own log level. */
void master_logs_level(struct master *m);
