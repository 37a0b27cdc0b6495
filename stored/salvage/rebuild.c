#include "stored/salvage/rebuild.h"

#include "common/base/io.h"
#include "common/engine/engine.h"
#include "common/engine/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static bool is_free(int dir_fd)
{
	int fd = openat(dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool is = fd < 0 ? errno == ENOENT : flock(fd, LOCK_EX | LOCK_NB) == 0;

	fd_close(&fd);
	return is;
}

static bool has_log(int dir_fd)
{
	struct tail *t;

	if (tail_open(dir_fd, &t) != 0)
		return false;
	tail_close(&t);
	return true;
}

int rebuild_index(int dir_fd, const char *what, struct report *rep)
{
	struct engine *e;
	char aside[64];
	int rc;

	if (!is_free(dir_fd))
		return report_fail(rep, "%s: a running server has it open; stop that first", what);
	if (!has_log(dir_fd))
		return report_fail(rep, "%s: there is no log to make an index from", what);
	snprintf(aside, sizeof(aside), "data.mdb.aside-%lld", (long long)time(NULL));
	if (renameat(dir_fd, "data.mdb", dir_fd, aside) != 0 && errno != ENOENT)
		return report_fail(
		    rep, "%s: the old index cannot be set aside: %s", what, strerror(errno));
	(void)unlinkat(dir_fd, "lock.mdb", 0);
	rc = engine_open("lmdb", dir_fd, NULL, &e);
	if (rc == 0) {
		engine_close(&e);
		return TOOL_WELL;
	}
	/* What was there before is better than half of what was to be. */
	if (renameat(dir_fd, aside, dir_fd, "data.mdb") != 0 && errno != ENOENT)
		return report_fail(rep, "%s: the log cannot be read (%s); the old index is %s",
		    what, engine_rc_name(rc), aside);
	return report_fail(rep,
	    "%s: the log cannot be read (%s), and the old index stays; salvage what is left", what,
	    engine_rc_name(rc));
}
