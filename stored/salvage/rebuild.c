#include "stored/salvage/rebuild.h"

#include "common/base/io.h"
#include "common/engine/engine.h"
#include "common/engine/identity.h"
#include "common/engine/tail.h"

#include <stdarg.h>
#include <stdio.h>
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

__attribute__((format(printf, 3, 4))) static void left(
    struct rebuilt *done, struct report *rep, const char *fmt, ...)
{
	char why[sizeof(done->why)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	report_item(rep, VERDICT_NOTE, &(struct place){ 0 }, "%s", why);
	if (done->left++ == 0)
		memcpy(done->why, why, sizeof(why));
}

static void rebuild_one(
    int dir_fd, const char *what, unsigned shard, struct report *rep, struct rebuilt *done)
{
	const struct engine_conf conf = {
		.shard = shard, .fresh_index = true, .progress = on_progress, .progress_arg = rep
	};
	struct engine *e;
	int rc;

	if (!has_log(dir_fd)) {
		left(done, rep, "%s: there is no log to make an index from", what);
		return;
	}
	rc = engine_open("lmdb", dir_fd, &conf, &e);
	if (rc == 0) {
		engine_close(&e);
		done->made++;
	} else if (rc == ENGINE_BUSY) {
		left(done, rep, "%s: a running server has it open; stop that first", what);
	} else {
		left(done, rep,
		    "%s: the log cannot be read (%s), and the old index stays; salvage what is "
		    "left",
		    what, rc < 0 ? strerror(-rc) : engine_rc_name(rc));
	}
}

void rebuild_index(int dir_fd, const char *what, struct report *rep, struct rebuilt *done)
{
	struct identity id = { .shards = 1 };
	int r = identity_read(dir_fd, &id);

	if (r == 0 && id.shard != 0) {
		rebuild_one(dir_fd, what, id.shard, rep, done);
		return;
	}
	rebuild_one(dir_fd, what, 0, rep, done);
	if (r != 0 && r != ENGINE_NOTFOUND) {
		left(done, rep, "%s: which shards it has cannot be read", what);
		return;
	}
	for (unsigned i = 1; i < id.shards; i++) {
		const char *why;
		char name[64];
		int fd = -1;

		snprintf(name, sizeof(name), "%.40s/shard-%u", what, i);
		why = shard_dir_open(dir_fd, &id, i, true, &fd);
		if (why != NULL)
			left(done, rep, "%s: left as it is: %s", name, why);
		else
			rebuild_one(fd, name, i, rep, done);
		fd_close(&fd);
	}
}
