/*
 * sandbox - puts the calling process behind the walls its row of table.h describes.
 *
 * Invariant: when a function here returns 0 to a process that started as root, every layer of the
 * row is on; there is no partial success for root. An ordinary user (demo, tests) gets the layers
 * which need no privilege, and the missing ones are named in one line (`sandbox.partial`).
 *
 * Order in a program: read configuration and keys, receive descriptors, warm up crypto and random
 * numbers, sandbox_child_prepare() if it forks children, sandbox_enter(), report ready.
 */
#pragma once

#include "common/sandbox/table.h"

#include <stddef.h>
#include <sys/types.h>

/* What only the caller knows. Zero-initialise, then set what applies; fds stay the caller's. */
struct sandbox_env {
	int root_fd; /* empty directory owned by root; -1 and not root: stay where we are */
	uid_t uid;   /* both 0: looked up by row->user, in the files of the host */
	gid_t gid;
	const int *dir_fds; /* held data directories, for rows with FS_HELD_DIRS */
	size_t n_dirs;
};

/*
 * Enters the sandbox of `row` for good. Returns 0, or -errno after logging which layer failed
 * (`sandbox.failed`); the caller exits then, it is half inside. A row with SYS_FORK needs
 * sandbox_child_prepare() before.
 */
int sandbox_enter(const struct sandbox_row *row, const struct sandbox_env *env)
    __attribute__((warn_unused_result));

/*
 * A child's sandbox, made ready once by the parent: a filter that narrows the parent's and a
 * Landlock ruleset. `row` is the child's, and its parent's row is the one that is entered next.
 * Call before the parent's own sandbox_enter() (it needs a memfd and libseccomp's memory), keep it
 * for the life of the parent. Returns 0 or -errno, logged.
 */
struct sandbox_child;
int sandbox_child_prepare(const struct sandbox_row *row, struct sandbox_child **ret_child)
    __attribute__((warn_unused_result));
void sandbox_child_free(struct sandbox_child *child);

/*
 * In the child, right after fork and after it made its event loop: no allocation, no libseccomp,
 * a handful of system calls. Returns 0 or -errno (not logged: the caller _exit()s). Fork only by
 * fork(): a child in a pid namespace of its own would share its parent's random numbers.
 */
int sandbox_child_enter(struct sandbox_child *child) __attribute__((warn_unused_result));

/* Names of the layers that the last sandbox_enter() of this process could not put on, separated
 * by commas; "" when none. */
const char *sandbox_missing(void);

/* The row that this process, or the one that forked it, has entered; NULL before. */
const struct sandbox_row *sandbox_entered(void);

/*
 * Does a child's death by this signal look like somebody guessing at memory (a bad access, a failed
 * assertion, a system call that its filter forbids)? What an administrator or the kernel's memory
 * shortage does (SIGKILL, SIGTERM) teaches an intruder nothing about the address layout.
 */
bool sandbox_crash_signal(int sig);
