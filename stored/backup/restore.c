/* A new data directory of a generation. */
#include "stored/backup/backup.h"
#include "stored/backup/spread.h"

#include "common/base/io.h"
#include "stored/salvage/out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct restoring {
	int gen_fd, dir_fd;
	const char *dir;
	struct bfiles files;
	struct tail_end end[PARTS_MAX];
	unsigned n;      /* parts */
	unsigned shards; /* that are wanted; 0: those that there are */
	uint64_t left_out;
	int64_t made;
	struct copying copying;
	struct buf lost; /* the manifest's lines of messages that were damaged before */
};

void part_name(unsigned db, char to[GEN_NAME_BYTES])
{
	if (db < DBS)
		snprintf(to, GEN_NAME_BYTES, "%s.restoring", db_names[db]);
	else
		snprintf(to, GEN_NAME_BYTES, "%s.restoring/shard-%u", db_names[0], db - DBS + 1);
}

static bool is_free(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (d == NULL)
		return dir_fd < 0 || errno == ENOENT;
	while (n <= 2 && readdir(d) != NULL)
		n++;
	closedir(d);
	return n <= 2;
}

/* Nothing is ever written over: the folders are missing, empty, or of a run that was broken off. */
static int look_free(struct restoring *r, struct report *rep)
{
	for (unsigned i = 0; i < DBS; i++)
		if (!is_free(r->dir_fd, db_names[i]) && !mark_is_ours(r->dir_fd, i))
			return report_fail(rep,
			    "%s/%s is there and not empty; nothing is written over: move it away "
			    "first",
			    r->dir, db_names[i]);
	return 0;
}

/* A shard is of who the store is. */
static const char *owner_of(unsigned db)
{
	return db_names[db < DBS ? db : 0];
}

static int file_restore(struct restoring *r, const struct bfile *f, int from, int to)
{
	struct bfile got = { 0 };
	int rc = copy_file(&r->copying, from, f->name, to, f->name, UINT64_MAX, &got), fd;

	if (rc == 0 && (got.bytes != f->bytes || got.sum != f->sum))
		rc = -EUCLEAN;
	if (rc != 0)
		return rc;
	fd = openat(to, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	rc = fd < 0 ? -errno : out_owner(fd, owner_of(f->db));
	fd_close(&fd);
	return rc;
}

static int db_restore(struct restoring *r, unsigned db, const char **ret_what)
{
	char part[GEN_NAME_BYTES];
	int from = openat(r->gen_fd, db_names[db], O_RDONLY | O_DIRECTORY | O_CLOEXEC), to = -1, rc;

	part_name(db, part);
	*ret_what = db_names[db];
	rc = from < 0 ? -errno : 0;
	if (rc == 0 && mkdirat(r->dir_fd, part, 0750) != 0)
		rc = -errno;
	if (rc == 0) {
		to = openat(r->dir_fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = to < 0 ? -errno : fchmod(to, 0750) != 0 ? -errno : out_owner(to, owner_of(db));
	}
	for (size_t i = 0; i < r->files.n && rc == 0; i++) {
		if (r->files.v[i].db != db)
			continue;
		*ret_what = r->files.v[i].name;
		rc = file_restore(r, &r->files.v[i], from, to);
	}
	if (rc == 0 && fsync(to) != 0)
		rc = -errno;
	fd_close(&from);
	fd_close(&to);
	return rc;
}

/* Names for all of them; no server starts before the mark is gone. */
static int show(struct restoring *r)
{
	int rc = mark_write(r->dir_fd);

	for (int i = DBS - 1; i >= 0 && rc == 0; i--) {
		char part[GEN_NAME_BYTES];

		part_name((unsigned)i, part);
		if (renameat(r->dir_fd, part, r->dir_fd, db_names[i]) != 0)
			rc = -errno;
	}
	if (rc == 0 && fsync(r->dir_fd) != 0)
		rc = -errno;
	return rc == 0 ? mark_remove(r->dir_fd) : rc;
}

static int begin(struct restoring *r, const char *gen, bool dry, struct report *rep)
{
	int rc;

	r->gen_fd = open(gen, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->gen_fd < 0)
		return report_fail(rep, "%s: %s", gen, strerror(errno));
	if (!gen_manifest_read(r->gen_fd, &r->files, r->end, &r->made, &r->lost))
		return report_fail(rep, "%s is no complete generation of a backup", gen);
	if (dry) {
		r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = r->dir_fd < 0 && errno != ENOENT ? -errno : 0;
	} else {
		rc = dir_open(r->dir, &r->dir_fd);
	}
	if (rc != 0)
		return report_fail(rep, "%s cannot be opened or made: %s", r->dir, strerror(-rc));
	if (!dry && flock(r->dir_fd, LOCK_EX | LOCK_NB) != 0)
		return report_fail(rep, "%s: another restore is at work there", r->dir);
	r->n = DBS;
	for (size_t i = 0; i < r->files.n; i++) {
		r->copying.of += r->files.v[i].bytes;
		if (r->files.v[i].db >= r->n)
			r->n = r->files.v[i].db + 1;
	}
	r->copying.rep = rep;
	return look_free(r, rep);
}

static void tell_lost(struct restoring *r, struct report *rep)
{
	struct slice rest = buf_slice(&r->lost);

	while (rest.n > 0) {
		struct slice line = slice_take(&rest, '\n');
		struct place at = { 0 };
		uint64_t uid = 0;

		(void)slice_take(&line, ' ');
		(void)slice_u64(slice_take(&line, ' '), UINT32_MAX, &uid);
		(void)slice_u64(slice_take(&line, ' '), UINT64_MAX, &at.mailbox_id);
		at.uid = (uint32_t)uid;
		at.account = slice_take(&line, '\t');
		at.mailbox = slice_take(&line, '\t');
		report_item(rep, VERDICT_LOST, &at, "%.*s", SLICE_FMT(line));
	}
}

static unsigned shards_had(const struct restoring *r)
{
	return r->n - DBS + 1;
}

static bool spreads(const struct restoring *r)
{
	return r->shards != 0 && r->shards != shards_had(r);
}

static int tell(struct restoring *r, const char *what, uint64_t bytes, struct report *rep)
{
	tell_lost(r, rep);
	if (spreads(r)) {
		report_figure(rep, "shards-before", shards_had(r));
		report_figure(rep, "shards", r->shards);
		report_figure(rep, "left-out", r->left_out);
	}
	report_figure(rep, "files", r->files.n);
	report_figure(rep, what, bytes);
	return report_end(rep);
}

static const char spread_name[] = "store.spread";

/* The folders go that are empty or of a run that was broken off; those keep the mark that names
 * them until they are gone. The new one names none: who comes next may be given their inodes. */
static int make_room(struct restoring *r)
{
	char part[GEN_NAME_BYTES];
	int rc = 0;

	for (unsigned i = 0; i < DBS && rc == 0; i++) {
		part_name(i, part);
		if (mark_is_ours(r->dir_fd, i))
			rc = tree_remove(r->dir_fd, db_names[i]);
		if (rc == 0)
			rc = tree_remove(r->dir_fd, part);
	}
	if (rc == 0)
		rc = tree_remove(r->dir_fd, spread_name);
	if (rc == 0)
		rc = mark_write(r->dir_fd);
	for (unsigned i = 0; i < DBS && rc == 0; i++)
		if (unlinkat(r->dir_fd, db_names[i], AT_REMOVEDIR) != 0 && errno != ENOENT)
			rc = -errno;
	return rc;
}

/* Nothing has its name yet; or a folder of a run that was broken off cannot be removed, and the
 * mark stays with it. */
static void give_up(struct restoring *r)
{
	char part[GEN_NAME_BYTES];
	bool gone = true;

	for (unsigned i = 0; i < DBS; i++) {
		part_name(i, part);
		gone &= tree_remove(r->dir_fd, part) == 0 && !mark_is_ours(r->dir_fd, i);
	}
	gone &= tree_remove(r->dir_fd, spread_name) == 0;
	if (gone)
		(void)mark_remove(r->dir_fd);
}

/* What engines made on the way is the server's, too. */
static int own_files(struct restoring *r)
{
	char part[GEN_NAME_BYTES];
	int fd, rc;

	part_name(0, part);
	fd = openat(r->dir_fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? -errno : out_own_files(fd);
	fd_close(&fd);
	return rc;
}

/* The whole store is there, as it was; it is copied into one of other shards, which takes its
 * place. */
static int spread(struct restoring *r, int from_fd, struct report *rep)
{
	char part[GEN_NAME_BYTES];
	int to = -1, rc = mkdirat(r->dir_fd, spread_name, 0750) != 0 ? -errno : 0;

	if (rc == 0) {
		to = openat(r->dir_fd, spread_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = to < 0 ? -errno : fchmod(to, 0750) != 0 ? -errno : out_owner(to, db_names[0]);
	}
	if (rc == 0)
		rc = spread_store(from_fd, to, r->shards, rep, &r->left_out);
	if (rc == 0 && fsync(to) != 0)
		rc = -errno;
	fd_close(&to);
	part_name(0, part);
	if (rc == 0)
		rc = tree_remove(r->dir_fd, part);
	if (rc == 0 && renameat(r->dir_fd, spread_name, r->dir_fd, part) != 0)
		rc = -errno;
	return rc;
}

/* Every byte is compared with the manifest's sums; then the store is opened for the step ahead,
 * which makes its index. */
static int make(struct restoring *r, const char **ret_what, struct report *rep)
{
	char part[GEN_NAME_BYTES];
	int rc = make_room(r), fd;

	for (unsigned i = 0; i < r->n && rc == 0; i++)
		rc = db_restore(r, i, ret_what);
	if (rc != 0)
		return rc;
	*ret_what = "the store";
	part_name(0, part);
	fd = openat(r->dir_fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 || fsync(fd) != 0 ? -errno : restore_step_ahead(fd, rep);
	if (rc == 0 && spreads(r))
		rc = spread(r, fd, rep);
	fd_close(&fd);
	if (rc == 0)
		rc = own_files(r);
	return rc;
}

static int run(struct restoring *r, struct report *rep)
{
	const char *what = "";
	int rc = make(r, &what, rep);

	if (rc != 0)
		give_up(r);
	else
		rc = show(r);
	if (rc == -EUCLEAN)
		return report_fail(
		    rep, "%s of the backup is damaged; salvage gets the rest out", what);
	if (rc != 0)
		return report_fail(
		    rep, "%s: %s; the same command begins anew", what, strerror(-rc));
	return tell(r, "bytes-copied", r->copying.done, rep);
}

int restore(const char *gen, const char *dir, unsigned shards, bool dry, struct report *rep)
{
	struct restoring r = { .gen_fd = -1, .dir_fd = -1, .dir = dir, .shards = shards };
	int rc;

	rep->unread = true;
	buf_init(&r.lost, LOST_MAX);
	rc = begin(&r, gen, dry, rep);
	if (rc == 0)
		rc = dry ? tell(&r, "bytes-to-copy", r.copying.of, rep) : run(&r, rep);
	buf_fini(&r.lost);
	bfiles_fini(&r.files);
	fd_close(&r.gen_fd);
	fd_close(&r.dir_fd);
	return rc;
}
