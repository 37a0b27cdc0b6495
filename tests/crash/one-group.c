/*
 * Linked into a daemon between it and its engine: one without an atom over groups, and slow to take
 * a commit, so that a kill meets the time between an intent and its parts.
 */
#include "common/base/clock.h"
#include "common/engine/engine.h"

#include <string.h>

enum { SLOW_NS = 700000 };

int __real_engine_open(
    const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e);
int __wrap_engine_open(
    const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e);
void __real_engine_commit(struct engine *e, struct engine_batch **take_batches, unsigned n,
    engine_done_fn *done, void *arg);
void __wrap_engine_commit(struct engine *e, struct engine_batch **take_batches, unsigned n,
    engine_done_fn *done, void *arg);

int __wrap_engine_open(
    const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e)
{
	if (strcmp(spec, "lmdb") == 0)
		spec = "lmdb:one_group=1";
	return __real_engine_open(spec, dir_fd, conf, ret_e);
}

/* Not asleep: the sandbox has no call for that. */
void __wrap_engine_commit(struct engine *e, struct engine_batch **take_batches, unsigned n,
    engine_done_fn *done, void *arg)
{
	int64_t until = clock_mono_ns() + SLOW_NS;

	while (clock_mono_ns() < until)
		;
	__real_engine_commit(e, take_batches, n, done, arg);
}
