#include "common/sandbox/sandbox.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/sandbox/filter.h"
#include "common/sandbox/landlock.h"
#include "common/sandbox/limits-private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct sandbox_child {
	const struct sandbox_row *row;
	struct filter_program prog;
	int ruleset_fd; /* -1: no Landlock, allowed to an ordinary user only */
};

int sandbox_child_prepare(const struct sandbox_row *row, struct sandbox_child **ret_child)
{
	struct sandbox_child *child = calloc(1, sizeof(*child));
	const char *layer = "landlock";
	int r;

	if (child == NULL)
		return -ENOMEM;
	child->row = row;
	child->ruleset_fd = landlock_make(row->fs, NULL, 0);
	r = child->ruleset_fd < 0 && geteuid() == 0 ? child->ruleset_fd : 0;
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
	if (child->ruleset_fd >= 0)
		close(child->ruleset_fd);
	filter_fini(&child->prog);
	free(child);
}

int sandbox_child_fd(const struct sandbox_child *child)
{
	return child->ruleset_fd;
}

int sandbox_child_enter(struct sandbox_child *child)
{
	int r;

	/* The child's program counts on its parent's. */
	if (sandbox_entered() != &sandbox_rows[child->row->parent])
		return -EPERM;
	r = limits_enter_child(&child->row->limits);
	/* A domain of its own: siblings share the parent's and could reach each other in it. */
	if (r == 0 && child->ruleset_fd >= 0) {
		r = landlock_enter(child->ruleset_fd);
		fd_close(&child->ruleset_fd);
	}
	if (r == 0)
		r = filter_enter(&child->prog);
	return r;
}
