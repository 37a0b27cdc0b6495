#include "common/sandbox/filter-private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls newer than the headers or libseccomp; their numbers are the same everywhere. */
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __SNR_fchmodat2
#define __SNR_fchmodat2 452
#endif
#ifndef __SNR_setxattrat
#define __SNR_setxattrat 463
#endif
#ifndef __SNR_removexattrat
#define __SNR_removexattrat 466
#endif
#ifndef __SNR_open_tree_attr
#define __SNR_open_tree_attr 467
#endif

#define INT                0xffffffffull
#define PTR                0xffffffffffffffffull
#define OWN_PID            FILTER_PID_HOLE
#define FUTEX_CMD_MASK_INT (INT & ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))
/* Exactly what glibc's fork() and pthread_create() ask for, nothing more shared or parted. */
#define CLONE_FORK_MASK (PTR & ~(uint64_t)(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID))
#define CLONE_THREAD_FLAGS                                                                  \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD | \
	    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#define CMP(arg_, mask_, value_)                                                           \
	{                                                                                  \
		.arg = (arg_), .op = SCMP_CMP_MASKED_EQ, .datum_a = (scmp_datum_t)(mask_), \
		.datum_b = (scmp_datum_t)(value_)                                          \
	}
#define ALLOW(g, call)             { RULE_ALLOW, SCMP_SYS(call), SYS_##g, 0, { { 0 } } },
#define ALLOW_IF(g, call, a, m, v) { RULE_ALLOW, SCMP_SYS(call), SYS_##g, 1, { CMP(a, m, v) } },
#define ALLOW_IF2(g, call, a, m, v, a2, m2, v2) \
	{ RULE_ALLOW, SCMP_SYS(call), SYS_##g, 2, { CMP(a, m, v), CMP(a2, m2, v2) } },
#define KILL(call)             { RULE_KILL, SCMP_SYS(call), 0, 0, { { 0 } } },
#define KILL_IF(call, a, m, v) { RULE_KILL_IF, SCMP_SYS(call), 0, 1, { CMP(a, m, v) } },
#define KILL_HOST(call)        { RULE_KILL_HOST, SCMP_SYS(call), 0, 0, { { 0 } } },

const struct rule filter_rules[] = {
#include "common/sandbox/sys.def"
};

#define N_RULES (sizeof(filter_rules) / sizeof(filter_rules[0]))
const size_t filter_n_rules = N_RULES;

#if defined(__SANITIZE_ADDRESS__)
/* What the run-time of the sanitizers asks for besides; never in a build for use. */
static const int sanitizer_calls[] = {
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(openat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(futex),
	SCMP_SYS(prctl),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(prlimit64),
};
#else
static const int sanitizer_calls[] = { __NR_SCMP_ERROR };
#endif

bool filter_is_sanitizer_call(int nr)
{
	for (size_t i = 0; i < sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]); i++) {
		if (sanitizer_calls[i] == nr)
			return true;
	}
	return false;
}

bool filter_row_allows(const struct sandbox_row *row, int nr)
{
	for (size_t i = 0; i < N_RULES; i++) {
		if (filter_rules[i].kind == RULE_ALLOW && filter_rules[i].nr == nr &&
		    (filter_rules[i].group & row->sys))
			return true;
	}
	/* ENOSYS, not death: this is how glibc learns to take clone. */
	return nr == SCMP_SYS(clone3) && (row->sys & (SYS_FORK | SYS_THREADS));
}

bool filter_is_deadly(int nr)
{
	for (size_t i = 0; i < N_RULES; i++) {
		if (filter_rules[i].kind == RULE_KILL && filter_rules[i].nr == nr)
			return true;
	}
	return false;
}

void filter_find_pid_holes(struct filter_program *prog)
{
	prog->n_pid_at = 0;
	for (uint16_t i = 0; i < prog->n_insns; i++) {
		if (prog->insns[i].k != FILTER_PID_HOLE)
			continue;
		assert(prog->n_pid_at < sizeof(prog->pid_at) / sizeof(prog->pid_at[0]));
		prog->pid_at[prog->n_pid_at++] = i;
	}
}

/* What a rule means for a row: 0 nothing, else an action. */
static uint32_t rule_action(const struct rule *rule, const struct sandbox_row *row)
{
	bool host = row->sys & SYS_HOST;

	switch (rule->kind) {
	case RULE_ALLOW:
		return (rule->group & row->sys) ? SCMP_ACT_ALLOW : 0;
	case RULE_KILL:
		return host || filter_row_allows(row, rule->nr) ? 0 : ACT_KILL;
	case RULE_KILL_IF:
		return host ? 0 : ACT_KILL;
	case RULE_KILL_HOST:
		return ACT_KILL;
	}
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, const struct sandbox_row *row)
{
	for (size_t i = 0; i < N_RULES; i++) {
		uint32_t action = rule_action(&filter_rules[i], row);
		int r;

		/* Negative: this processor's kernel has no such call. */
		if (action == 0 || filter_rules[i].nr < 0 ||
		    filter_is_sanitizer_call(filter_rules[i].nr))
			continue;
		r = seccomp_rule_add_array(
		    ctx, action, filter_rules[i].nr, filter_rules[i].n_args, filter_rules[i].args);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	for (size_t i = 0; i < sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]); i++) {
		if (sanitizer_calls[i] < 0 || (row->sys & SYS_HOST))
			continue;
		int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sanitizer_calls[i], 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int export_program(scmp_filter_ctx ctx, struct filter_program *ret_prog)
{
	struct filter_program prog = { 0 };
	struct stat st;
	int r, fd;

	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && (st.st_size == 0 || st.st_size > BPF_MAXINSNS * (off_t)sizeof(*prog.insns)))
		r = -E2BIG;
	if (r == 0) {
		prog.insns = malloc((size_t)st.st_size);
		if (prog.insns == NULL)
			r = -ENOMEM;
		else if (pread(fd, prog.insns, (size_t)st.st_size, 0) != st.st_size)
			r = -EIO;
	}
	close(fd);
	if (r < 0) {
		free(prog.insns);
		return r;
	}
	prog.n_insns = (uint16_t)((size_t)st.st_size / sizeof(*prog.insns));
	filter_find_pid_holes(&prog);
	*ret_prog = prog;
	return 0;
}

int filter_compile(const struct sandbox_row *row, struct filter_program *ret_prog)
{
	uint32_t otherwise = (row->sys & SYS_HOST) ? SCMP_ACT_ALLOW : ACT_REFUSE;
	scmp_filter_ctx ctx;
	int r;

	ctx = seccomp_init(otherwise);
	if (ctx == NULL)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0) /* a tree, not a list: the kernel walks it for every call number at each fork */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_rules(ctx, row);
	if (r == 0)
		r = export_program(ctx, ret_prog);
	seccomp_release(ctx);
	return r;
}

void filter_fini(struct filter_program *prog)
{
	free(prog->insns);
	*prog = (struct filter_program){ 0 };
}

int filter_enter(struct filter_program *prog)
{
	struct sock_fprog fprog = { .len = prog->n_insns, .filter = prog->insns };
	uint32_t pid = (uint32_t)getpid();

	for (uint16_t i = 0; i < prog->n_pid_at; i++)
		prog->insns[prog->pid_at[i]].k = pid;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) != 0)
		return -errno;
	return 0;
}
