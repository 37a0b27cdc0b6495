/* A generation read back. */
#include "stored/backup/backup.h"

#include "common/base/io.h"
#include "common/engine/raw.h"
#include "stored/salvage/model.h"
#include "stored/salvage/open.h"

#include <fcntl.h>

static int drop(void *arg, struct slice s)
{
	return 0;
}

static int bodies(struct raw *r, struct report *rep)
{
	struct raw_row row;

	for (bool any = raw_seek(r, SLICE_NONE, SLICE_NONE, &row); any;
	     any = raw_next(r, &row, &row)) {
		int rc = row.has_loc ? raw_body(r, &row.loc, drop, NULL) : 0;

		if (rc != 0)
			return rc;
		rep->messages += row.has_loc;
		rep->bytes += row.has_loc ? engine_loc_bytes(&row.loc) : 0;
		report_progress(rep, "checked bodies", rep->messages, 0);
	}
	return 0;
}

static int check_one(int gen_fd, unsigned db, const struct tail_end *end, struct report *rep)
{
	int fd = openat(gen_fd, db_names[db], O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	uint64_t before = rep->notes;
	struct raw_stats s;
	struct raw *r;

	rc = open_raw(fd, db_names[db], NULL, db == 0 ? model_keeps : NULL, rep, &r);
	fd_close(&fd);
	if (rc != 0)
		return report_fail(rep, "the copy of %s cannot be read", db_names[db]);
	raw_stats(r, &s);
	rc = bodies(r, rep);
	raw_close(&r);
	if (rc != 0)
		return report_fail(rep, "a message in the copy of %s is damaged", db_names[db]);
	if (rep->notes > before || s.last_frame + 1 != end->frame)
		return report_fail(rep, "the copy of %s is not what it should be", db_names[db]);
	return 0;
}

int gen_check(int gen_fd, const struct tail_end end[DBS], struct report *rep)
{
	int rc = 0;

	rep->messages = rep->bytes = 0;
	for (unsigned i = 0; i < DBS && rc == 0; i++)
		rc = check_one(gen_fd, i, &end[i], rep);
	return rc;
}
