/*
 * stat - what a store that nobody has open holds, and how much of its files that is.
 */
#pragma once

#include "stored/salvage/model.h"

/* 0 or -ENOMEM. */
int stat_store(struct model *m, struct report *rep);
