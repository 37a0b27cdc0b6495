/*
 * Linked into stored between it and its engine: segments, overlay and log of a few dozen KiB, so
 * that a test's mail fills many, and each checkpoint and pass of compaction has something to do.
 * A copy of two messages shares their facts and headers.
 */
#include "common/engine/engine.h"
#include "stored/store-private.h"

enum { LENDS = 2 };

int __real_engine_open(
    const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e);
int __wrap_engine_open(
    const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e);

int __wrap_engine_open(
    const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e)
{
	struct engine_conf small = conf != NULL ? *conf : (struct engine_conf){ 0 };

	small.segment_bytes = 64 << 10;
	small.overlay_bytes = 32 << 10;
	small.log_max_bytes = 64 << 10;
	small.checkpoint_ms = 50;
	return __real_engine_open(spec, dir_fd, &small, ret_e);
}

int __real_store_new(const struct store_conf *conf, struct store **ret_st);
int __wrap_store_new(const struct store_conf *conf, struct store **ret_st);

int __wrap_store_new(const struct store_conf *conf, struct store **ret_st)
{
	int r = __real_store_new(conf, ret_st);

	if (r == 0)
		(*ret_st)->copy_lends = LENDS;
	return r;
}
