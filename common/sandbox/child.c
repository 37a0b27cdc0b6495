#include "common/sandbox/sandbox.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/sandbox/filter.h"
#include "common/sandbox/landlock.h"
#include "common/sandbox/limits-private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct sandbox_child {
	const struct sandbox_row *row;
	struct filter_program prog;
	bool has_landlock; /* not having it is allowed to an ordinary user only */
};

int sandbox_child_prepare(const struct sandbox_row *row, struct sandbox_child **ret_child)
{
	struct sandbox_child *child = calloc(1, sizeof(*child));
	const char *layer = "landlock";
	int fd, r;

	if (child == NULL)
		return -ENOMEM;
	child->row = row;
	fd = landlock_make(row->fs, NULL, 0);
	child->has_landlock = fd >= 0;
	r = fd < 0 && geteuid() == 0 ? fd : 0;
	fd_close(&fd);
	if (r == 0) {
		layer = "seccomp";
		r = filter_narrow(row, &sandbox_rows[row->parent], &child->prog);
	}
	if (r < 0) {
		log_ev(LOG_ERR, "sandbox.failed", kv_s("name", row->name), kv_s("layer", layer),
		    kv_err("err", r));
		sandbox_child_free(child);
		return r;
	}
	*ret_child = child;
	return 0;
}

void sandbox_child_free(struct sandbox_child *child)
{
	if (child == NULL)
		return;
	filter_fini(&child->prog);
	free(child);
}

/*
 * Siblings share their parent's domain and could reach each other in it. Made here and not once in
 * the parent, so that no descriptor has to be kept through the fork.
 */
static int enter_own_domain(enum sandbox_fs fs)
{
	int r, fd = landlock_make(fs, NULL, 0);

	if (fd < 0)
		return fd;
	r = landlock_enter(fd);
	fd_close(&fd);
	return r;
}

int sandbox_child_enter(struct sandbox_child *child)
{
	int r;

	/* The child's program counts on its parent's. */
	if (sandbox_entered() != &sandbox_rows[child->row->parent])
		return -EPERM;
	r = limits_enter_child(&child->row->limits);
	if (r == 0 && child->has_landlock)
		r = enter_own_domain(child->row->fs);
	if (r == 0)
		r = filter_enter(&child->prog);
	return r;
}

bool sandbox_crash_signal(int sig)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE, SIGTRAP, SIGSYS };

	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		if (crashes[i] == sig)
			return true;
	return false;
}
