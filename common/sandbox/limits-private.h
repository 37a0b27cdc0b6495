/* limits-private - the resource limits of a row; they only ever go down. */
#pragma once

#include "common/sandbox/table.h"

/* All limits of a program's row, and those that are 0 for everyone. 0 or -errno. */
int limits_enter(const struct sandbox_limits *limits) __attribute__((warn_unused_result));

/* What a child's row lowers below its parent's. */
int limits_enter_child(const struct sandbox_limits *limits) __attribute__((warn_unused_result));
