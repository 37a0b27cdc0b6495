#include "tests/hostile/probe.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Every number up to here is tried, named by the headers or not. */
#define MAX_NR     512
#define NOBODY_PID 0x3ffffffe
#define BAD        ((long)-1)

static const char *const names[MAX_NR] = {
#define CALL(name, nr) [nr] = #name,
#include "tests/hostile/syscalls.inc"
};

/*
 * Calls whose arguments decide. arg[] are the arguments; V1 and V2 stand for the values that are
 * tried in turn, from..to each.
 */
#define V1 ((long)0x7ffffff1)
#define V2 ((long)0x7ffffff2)
/* What libc asks for. The address of the thread's own storage is bad, so none comes to life. */
#define FORK_FLAGS (SIGCHLD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
#define THREAD_FLAGS                                                                        \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD | \
	    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

bool probe_spares_machine;

struct variant {
	int nr;
	long arg[6];
	long from, to, from2, to2;
};

static const struct variant variants[] = {
	{ SYS_fcntl, { BAD, V1, 0 }, 0, 40, 0, 0 },
	{ SYS_fcntl, { BAD, V1, 0 }, 1024, 1040, 0, 0 },
	{ SYS_ioctl, { BAD, V1, 0 }, 0x5401, 0x5460, 0, 0 },         /* terminals, FIO* */
	{ SYS_ioctl, { BAD, V1, 0 }, 0x8901, 0x8950, 0, 0 },         /* sockets, interfaces */
	{ SYS_ioctl, { BAD, V1, 0 }, 0x40049409, 0x40049409, 0, 0 }, /* FICLONE */
	{ SYS_ioctl, { BAD, V1, 0 }, 0xae00, 0xae04, 0, 0 },         /* KVM */
	{ SYS_setsockopt, { BAD, V1, V2, 0, 0 }, 0, 1, 0, 80 },
	{ SYS_setsockopt, { BAD, V1, V2, 0, 0 }, 6, 6, 0, 45 },
	{ SYS_setsockopt, { BAD, V1, V2, 0, 0 }, 17, 17, 0, 10 },
	{ SYS_setsockopt, { BAD, V1, V2, 0, 0 }, 41, 41, 0, 80 },
	{ SYS_setsockopt, { BAD, V1, V2, 0, 0 }, 255, 290, 0, 10 },
	{ SYS_prctl, { V1, 1, 0, 0, 0 }, 0, 100, 0, 0 },
	{ SYS_prctl, { V1, 9, 0, 0, 0 }, 1, 1, 0, 0 },
	{ SYS_prctl, { V1, 1, 0, 0, 0 }, 0x59616d61, 0x59616d61, 0, 0 }, /* who may trace us */
	{ SYS_prctl, { V1, 0, 0, 0, 0 }, 0x53564d41, 0x53564d41, 0, 0 },
	{ SYS_utimensat, { BAD, V1, 0, 0 }, 0, 1, 0, 0 }, /* futimens(); else a path */
	{ SYS_mmap, { 0, 4096, V1, V2, BAD, 0 }, 0, 7, MAP_PRIVATE, MAP_PRIVATE },
	{ SYS_mmap, { 0, 4096, V1, V2, BAD, 0 }, 0, 7, MAP_SHARED, MAP_SHARED },
	{ SYS_mmap, { 0, 4096, V1, V2, BAD, 0 }, 0, 7, MAP_PRIVATE | MAP_ANONYMOUS,
	    MAP_PRIVATE | MAP_ANONYMOUS },
	{ SYS_mprotect, { 0, 4096, V1 }, 0, 7, 0, 0 },
	{ SYS_madvise, { 0, 4096, V1 }, 0, 25, 0, 0 },
	{ SYS_madvise, { 0, 4096, V1 }, 100, 103, 0, 0 },
	{ SYS_futex, { 0, V1, 0, 0, 0, 0 }, 0, 15, 0, 0 },
	{ SYS_socketpair, { V1, SOCK_STREAM, 0, 0 }, 0, 45, 0, 0 },
	{ SYS_kill, { NOBODY_PID, V1 }, 0, 20, 0, 0 },
	{ SYS_kill, { NOBODY_PID, V1 }, 29, 34, 0, 0 },
	{ SYS_tgkill, { NOBODY_PID, NOBODY_PID, V1 }, 0, 20, 0, 0 },
	{ SYS_prlimit64, { V1, 7, V2, 0 }, 0, 1, 0, 1 },
	{ SYS_seccomp, { V1, V2, 0 }, 0, 3, 0, 31 },
	{ SYS_landlock_restrict_self, { BAD, V1 }, 0, 7, 0, 0 },
	{ SYS_clone, { FORK_FLAGS, 0, 0, 0, BAD }, 0, 0, 0, 0 },
	{ SYS_clone, { THREAD_FLAGS, 0, 0, 0, BAD }, 0, 0, 0, 0 },
};

/* One flag of clone each is also tried turned over, in a fork and in a thread. */
#define N_CLONE_BITS 24
#define N_CLONES     (2 * N_CLONE_BITS)

#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

static size_t variant_count(const struct variant *v)
{
	return (size_t)(v->to - v->from + 1) * (size_t)(v->to2 - v->from2 + 1);
}

size_t probe_numbers_count(void)
{
	return MAX_NR;
}

size_t probe_calls_count(void)
{
	size_t n = MAX_NR + N_CLONES;

	for (size_t i = 0; i < N_VARIANTS; i++)
		n += variant_count(&variants[i]);
	return n;
}

/* The variant that item `i` (counted from the first variant) belongs to, and its values. */
static const struct variant *variant_find(size_t i, long *ret_v1, long *ret_v2)
{
	for (const struct variant *v = variants; v < variants + N_VARIANTS; v++) {
		long n2 = v->to2 - v->from2 + 1;

		if (i < variant_count(v)) {
			*ret_v1 = v->from + (long)i / n2;
			*ret_v2 = v->from2 + (long)i % n2;
			return v;
		}
		i -= variant_count(v);
	}
	return NULL;
}

static long clone_flags(size_t i)
{
	long base = i < N_CLONE_BITS ? FORK_FLAGS : THREAD_FLAGS;

	return base ^ (1l << (8 + i % N_CLONE_BITS));
}

const char *probe_call_name(size_t i)
{
	static char buf[96];
	const struct variant *v;
	long v1, v2;
	int n;

	if (i < MAX_NR) {
		if (names[i] != NULL)
			return names[i];
		snprintf(buf, sizeof(buf), "call-%zu", i);
		return buf;
	}
	i -= MAX_NR;
	if (i < N_CLONES) {
		snprintf(buf, sizeof(buf), "clone(%s^%lx)", i < N_CLONE_BITS ? "fork" : "thread",
		    1l << (8 + i % N_CLONE_BITS));
		return buf;
	}
	v = variant_find(i - N_CLONES, &v1, &v2);
	n = snprintf(buf, sizeof(buf), "%s(", names[v->nr]);
	for (int a = 0; a < 6; a++) {
		const char *comma = a > 0 ? "," : "";

		if (v->arg[a] == V1 || v->arg[a] == V2)
			n += snprintf(buf + n, sizeof(buf) - (size_t)n, "%s%ld", comma,
			    v->arg[a] == V1 ? v1 : v2);
		else if (v->nr == SYS_clone && a == 0)
			n += snprintf(buf + n, sizeof(buf) - (size_t)n, "%s",
			    v->arg[0] & CLONE_VM ? "thread" : "fork");
		else if (v->nr == SYS_prctl && a == 1)
			n += snprintf(buf + n, sizeof(buf) - (size_t)n, ",%ld", v->arg[1]);
		else if (a < 4)
			n += snprintf(buf + n, sizeof(buf) - (size_t)n, "%s_", comma);
	}
	snprintf(buf + n, sizeof(buf) - (size_t)n, ")");
	return buf;
}

static enum verdict verdict_of(long r)
{
	return r == -1 && errno == ENOSYS ? REFUSED : ALLOWED;
}

/* A process that came to life ends at once: the probe goes on in the one that asked. */
static enum verdict try_call(long nr, const long arg[6])
{
	pid_t self = getpid();
	long r = syscall(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);

	if (getpid() != self)
		_exit(0);
	return verdict_of(r);
}

enum verdict probe_call_try(size_t i)
{
	/* Pointers and descriptors that exist nowhere: what is let through fails. */
	long arg[6] = { BAD, BAD, BAD, BAD, BAD, BAD }, v1, v2;
	const struct variant *v;

	if (i == SYS_sync && probe_spares_machine)
		return ALLOWED; /* it would wait for every disk of the machine */
	if (i < MAX_NR)
		return try_call((long)i, arg);
	i -= MAX_NR;
	if (i < N_CLONES) {
		long clone_arg[6] = { clone_flags(i), 0, 0, 0, BAD, 0 };

		return try_call(SYS_clone, clone_arg);
	}
	v = variant_find(i - N_CLONES, &v1, &v2);
	for (int a = 0; a < 6; a++)
		arg[a] = v->arg[a] == V1 ? v1 : v->arg[a] == V2 ? v2 : v->arg[a];
	return try_call(v->nr, arg);
}
