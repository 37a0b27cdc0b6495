#include "common/sandbox/limits-private.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Never raises: a lower limit that the administrator set stays. */
static int limit_lower(int resource, rlim_t to)
{
	struct rlimit64 old, new;

	/* Not setrlimit(): the child's libc must ask exactly what the filter allows. */
	if (syscall(SYS_prlimit64, 0, resource, NULL, &old) != 0)
		return -errno;
	new.rlim_max = to < old.rlim_max ? to : old.rlim_max;
	new.rlim_cur = new.rlim_max;
	if (new.rlim_cur == old.rlim_cur &&new.rlim_max == old.rlim_max)
		return 0;
	if (syscall(SYS_prlimit64, 0, resource, &new, NULL) != 0)
		return -errno;
	return 0;
}

static int limits_common(const struct sandbox_limits *limits)
{
	int r = limit_lower(RLIMIT_NOFILE, limits->nofile);

#if !defined(__SANITIZE_ADDRESS__) /* its shadow memory is private memory by the terabyte */
	if (r == 0 && limits->data_mb != 0)
		r = limit_lower(RLIMIT_DATA, (rlim_t)limits->data_mb << 20);
#endif
	if (r == 0 && !limits->may_multiply)
		r = limit_lower(RLIMIT_NPROC, 0);
	return r;
}

int limits_enter(const struct sandbox_limits *limits)
{
	static const int none[] = { RLIMIT_CORE, RLIMIT_MSGQUEUE };
	int r = limits_common(limits);

	for (unsigned i = 0; r == 0 && i < sizeof(none) / sizeof(none[0]); i++)
		r = limit_lower(none[i], 0);
	if (r == 0)
		r = limit_lower(RLIMIT_MEMLOCK, (rlim_t)limits->memlock_mb << 20);
	return r;
}

int limits_enter_child(const struct sandbox_limits *limits)
{
	return limits_common(limits);
}
