#include "stored/salvage/rebuild.h"

#include "common/base/io.h"
#include "common/engine/engine.h"
#include "common/engine/identity.h"
#include "common/engine/tail.h"

#include <string.h>

static bool has_log(int dir_fd)
{
	struct tail *t;

	if (tail_open(dir_fd, &t) != 0)
		return false;
	tail_close(&t);
	return true;
}

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	report_progress(arg, "segments of the log", done, of);
}

static int rebuild_one(int dir_fd, const char *what, unsigned shard, struct report *rep)
{
	const struct engine_conf conf = {
		.shard = shard, .fresh_index = true, .progress = on_progress, .progress_arg = rep
	};
	struct engine *e;
	int rc;

	if (!has_log(dir_fd))
		return report_fail(rep, "%s: there is no log to make an index from", what);
	rc = engine_open("lmdb", dir_fd, &conf, &e);
	if (rc == ENGINE_BUSY)
		return report_fail(rep, "%s: a running server has it open; stop that first", what);
	if (rc != 0)
		return report_fail(rep,
		    "%s: the log cannot be read (%s), and the old index stays; salvage what is "
		    "left",
		    what, rc < 0 ? strerror(-rc) : engine_rc_name(rc));
	engine_close(&e);
	return TOOL_WELL;
}

int rebuild_index(int dir_fd, const char *what, struct report *rep)
{
	struct identity id = { .shards = 1 };
	int rc = rebuild_one(dir_fd, what, 0, rep), r = identity_read(dir_fd, &id);

	if (r != 0 && r != ENGINE_NOTFOUND)
		return report_fail(rep, "%s: which shards it has cannot be read", what);
	for (unsigned i = 1; i < id.shards && (rc == TOOL_WELL || rc == TOOL_FAILED); i++) {
		const char *why;
		char name[64];
		int fd = -1;

		snprintf(name, sizeof(name), "%.40s/shard-%u", what, i);
		why = shard_dir_open(dir_fd, &id, i, true, &fd);
		if (why != NULL)
			rc = report_fail(rep, "%s is left out: %s", name, why);
		else if (rebuild_one(fd, name, i, rep) != TOOL_WELL)
			rc = TOOL_FAILED;
		fd_close(&fd);
	}
	return rc;
}
