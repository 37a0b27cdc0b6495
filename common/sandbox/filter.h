/*
 * filter - compiles a row's groups of sys.def into a seccomp program.
 *
 * Invariant: a call that sys.def does not allow to one of the row's groups never reaches the
 * kernel, whatever its arguments.
 */
#pragma once

#include "common/sandbox/table.h"

#include <linux/filter.h>
#include <sys/types.h>

/* A program in memory. `pid_at` are the instructions that compare with the process's own pid. */
struct filter_program {
	struct sock_filter *insns;
	uint16_t n_insns;
	uint16_t pid_at[8];
	uint16_t n_pid_at;
};

/* Stands in a compiled program where the pid belongs that is known only after the fork. */
#define FILTER_PID_HOLE 0x5ba1a11fu

/* Compiles by libseccomp through a memfd. Returns 0 or -errno; *ret_prog is freed by _fini. */
int filter_compile(const struct sandbox_row *row, struct filter_program *ret_prog)
    __attribute__((warn_unused_result));

/*
 * The program of a child below its parent's: only what the parent may and the child may not, all
 * else is left to the parent's program, which goes on holding (the kernel takes the stricter answer
 * of both). Short, because every fork pays for the kernel's translation of it. 0 or -errno.
 */
int filter_narrow(const struct sandbox_row *child, const struct sandbox_row *parent,
    struct filter_program *ret_prog) __attribute__((warn_unused_result));

void filter_fini(struct filter_program *prog);

/* Puts the calling process (all threads) under the program, for its own pid. 0 or -errno. */
int filter_enter(struct filter_program *prog) __attribute__((warn_unused_result));
