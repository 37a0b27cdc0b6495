/*
 * verify - reads all of a store that nobody has open and names what is damaged.
 */
#pragma once

#include "stored/salvage/walk.h"

/* Reads every message, at most so many MiB of them in a second (0: as fast as it goes); compares
 * headers with what they count. 0 or negative. */
int verify_store(struct model *m, unsigned mib_per_s, struct report *rep);
