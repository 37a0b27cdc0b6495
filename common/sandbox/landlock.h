/*
 * landlock - the kernel's own walls: paths, TCP, abstract sockets and signals.
 *
 * Invariant: what the running kernel knows is refused unless the row leaves it; a kernel that knows
 * less than LANDLOCK_ABI_WANTED counts as a missing layer.
 */
#pragma once

#include "common/sandbox/table.h"

#include <stddef.h>

/* Linux 6.1 (Debian 12) has 2, files only; 4 brings TCP, 6 abstract sockets and signals. */
#define LANDLOCK_ABI_WANTED 1

/* Makes the ruleset of `fs` with `dir_fds` left open for FS_HELD_DIRS. Returns its descriptor
 * (close-on-exec, owned by the caller) or -errno. */
int landlock_make(enum sandbox_fs fs, const int *dir_fds, size_t n_dirs)
    __attribute__((warn_unused_result));

/* Puts the calling thread under it; needs no_new_privs. 0 or -errno. */
int landlock_enter(int ruleset_fd) __attribute__((warn_unused_result));
