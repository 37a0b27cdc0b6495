/*
 * verify - reads all of a store that nobody has open and names what is damaged.
 */
#pragma once

#include "stored/salvage/walk.h"

/* Reads every message; then compares headers with what they count. 0 or negative. */
int verify_store(struct model *m, struct report *rep);
