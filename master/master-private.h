/*
 * master-private - between master.c and logs.c.
 */
#pragma once

#include "master/master.h"

/* The sink died: until it is back our own lines go to standard error. */
void master_logs_gone(struct master *m);
