/*
 * gatehouse-backup - copies a server's data while it runs, and makes a new data directory of a
 * copy.
 *
 * Holds:    the data directory, the target; no lock and no channel of the server.
 * May:      what the operator may who runs it: read the databases, make hard links below them.
 * May not:  change a file of a database; open a socket.
 * Trusts:   the server's files, as far as their sums go; a target that only the operator writes to.
 * If taken: the intruder has the rights of the operator who runs it.
 */
#include "stored/backup/backup.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "stored/salvage/args.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 3, EDGE = 4096, FILE_MAX = 4096 };

struct tool {
	struct report rep;
	bool json, quiet, quick, dry;
	unsigned keep, rate, shards;
	struct source src;
	int target_fd, prev_fd, gen_fd;
	char name[GEN_NAME_BYTES], part[GEN_NAME_BYTES], prev_name[GEN_NAME_BYTES];
	struct bfiles prev, files;
	int64_t prev_made, made;
	struct copying copying;
	struct buf lost; /* see gen_check() */
};

/* ---- what the generation before has already ---- */

static bool same_bytes(int a_fd, int b_fd, const char *name, off_t at, size_t n)
{
	uint8_t a[EDGE], b[EDGE];
	int x = openat(a_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int y = openat(b_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool same = x >= 0 && y >= 0 && io_pread_all(x, a, n, at) == 0 &&
		    io_pread_all(y, b, n, at) == 0 && memcmp(a, b, n) == 0;

	fd_close(&x);
	fd_close(&y);
	return same;
}

/*
 * The same file? Begin and end tell it from a file of another store. A body's end has the sums of
 * all of it; a segment's has not, so that one may not have been touched since that generation was
 * begun (by a second, which is more than the clock of files lags behind).
 */
static const struct bfile *known(struct tool *t, unsigned db, const char *name, uint64_t bytes)
{
	const struct bfile *f = bfiles_find(&t->prev, db, name);
	size_t edge = bytes < EDGE ? bytes : EDGE;
	struct tail_file is;
	struct stat st;
	int prev_db;
	bool same;

	if (!tail_is_file(name, &is) || f == NULL || f->bytes != bytes ||
	    fstatat(t->src.pin_fd[db], name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (is.segment && st.st_mtime + 1 >= t->prev_made))
		return NULL;
	prev_db = openat(t->prev_fd, db_names[db], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	same = prev_db >= 0 && same_bytes(t->src.pin_fd[db], prev_db, name, 0, edge) &&
	       same_bytes(t->src.pin_fd[db], prev_db, name, (off_t)(bytes - edge), edge);
	fd_close(&prev_db);
	return same ? f : NULL;
}

static int link_known(struct tool *t, int db_fd, const struct bfile *f)
{
	int prev_db = openat(t->prev_fd, db_names[f->db], O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	rc = prev_db < 0 || linkat(prev_db, f->name, db_fd, f->name, 0) != 0 ? -errno : 0;
	fd_close(&prev_db);
	t->copying.linked += rc == 0;
	return rc;
}

/* ---- one generation ---- */

/* How much of a file belongs to the instant; 0: nothing. */
static uint64_t bytes_of(const struct tool *t, unsigned db, const char *name)
{
	const struct tail_end *end = &t->src.end[db];
	struct tail_file f;
	struct stat st;

	if (!tail_is_file(name, &f) ||
	    fstatat(t->src.pin_fd[db], name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (!f.segment || f.no < end->segment)
		return (uint64_t)st.st_size;
	return f.no == end->segment ? end->off : 0;
}

static int take_file(struct tool *t, unsigned db, int db_fd, const char *name, bool count_only)
{
	uint64_t bytes = bytes_of(t, db, name);
	struct bfile f = { .db = db };
	const struct bfile *k;
	int rc;

	if (bytes == 0)
		return 0;
	k = t->prev_fd >= 0 ? known(t, db, name, bytes) : NULL;
	if (count_only) {
		t->copying.of += k == NULL ? bytes : 0;
		return 0;
	}
	if (k != NULL) {
		f = *k;
		rc = link_known(t, db_fd, k);
	} else {
		rc = copy_file(&t->copying, t->src.pin_fd[db], name, db_fd, name, bytes, &f);
		snprintf(f.name, sizeof(f.name), "%.31s", name);
		t->copying.copied += rc == 0;
	}
	return rc == 0 ? bfiles_add(&t->files, &f) : rc;
}

/* Which shard of which store it is; never changed by the server while it runs. */
static int take_identity(struct tool *t, unsigned db, int db_fd)
{
	struct bfile f = { .db = db, .name = "identity" };
	int rc;

	if (t->src.n == DBS || (db != 0 && db < DBS))
		return 0;
	rc = copy_file(&t->copying, t->src.db_fd[db], f.name, db_fd, f.name, FILE_MAX, &f);
	return rc == 0 ? bfiles_add(&t->files, &f) : rc;
}

static int sync_dir(int fd, const char *name)
{
	int d = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = d < 0 || fsync(d) != 0 ? -errno : 0;

	fd_close(&d);
	return rc;
}

static int take_db(struct tool *t, unsigned db, bool count_only)
{
	int db_fd = -1, fd = openat(t->src.pin_fd[db], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int rc = d == NULL ? -errno : 0;

	if (rc == 0 && !count_only) {
		if (mkdirat(t->gen_fd, db_names[db], 0700) == 0)
			db_fd = openat(t->gen_fd, db_names[db], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = db_fd < 0 ? -errno : 0;
	}
	while (rc == 0 && (de = readdir(d)) != NULL)
		rc = take_file(t, db, db_fd, de->d_name, count_only);
	if (rc == 0 && db_fd >= 0)
		rc = take_identity(t, db, db_fd);
	if (rc == 0 && db_fd >= 0 && fsync(db_fd) != 0)
		rc = -errno;
	fd_close(&db_fd);
	if (d != NULL)
		closedir(d);
	return rc;
}

static int room(struct tool *t)
{
	struct statvfs v;
	int rc = 0;

	t->copying = (struct copying){ .rep = &t->rep };
	for (unsigned i = 0; i < t->src.n && rc == 0; i++)
		rc = take_db(t, i, true);
	if (rc == 0 && fstatvfs(t->target_fd, &v) == 0 &&
	    (uint64_t)v.f_bavail * v.f_frsize < t->copying.of)
		rc = -ENOSPC;
	return rc;
}

static int take_all(struct tool *t)
{
	int rc = room(t);

	t->files.n = 0;
	if (rc == 0 && mkdirat(t->target_fd, t->part, 0700) != 0)
		rc = -errno;
	if (rc == 0) {
		t->gen_fd = openat(t->target_fd, t->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = t->gen_fd < 0 ? -errno : 0;
	}
	for (unsigned i = 0; i < t->src.n && rc == 0; i++)
		rc = take_db(t, i, false);
	/* Names of shards came into it meanwhile. */
	if (rc == 0 && t->src.n > DBS)
		rc = sync_dir(t->gen_fd, db_names[0]);
	return rc;
}

static int finish(struct tool *t)
{
	int rc = gen_manifest_write(t->gen_fd, &t->files, t->src.end, t->made, buf_slice(&t->lost));

	if (rc == 0 && fsync(t->gen_fd) != 0)
		rc = -errno;
	if (rc == 0 && renameat(t->target_fd, t->part, t->target_fd, t->name) != 0)
		rc = -errno;
	if (rc == 0 && fsync(t->target_fd) != 0)
		rc = -errno;
	return rc;
}

/* The frame at the end may be taken back by the server when its disk fails: then the copy does not
 * fit, and another instant is taken. */
static int generation(struct tool *t, bool last_try)
{
	int rc;

	t->made = time(NULL);
	buf_reset(&t->lost);
	if (source_cut(&t->src, &t->rep) != 0)
		return -1;
	rc = take_all(t);
	if (rc == 0 && !t->quick) {
		t->rep.held = !last_try;
		rc = gen_check(t->gen_fd, &t->src, last_try, &t->lost, &t->rep);
		t->rep.held = false;
		if (rc != 0 && !last_try)
			t->rep.lost = t->rep.doubts = t->rep.notes = 0;
		if (rc != 0) {
			fd_close(&t->gen_fd);
			(void)tree_remove(t->target_fd, t->part);
			return rc;
		}
	}
	if (rc == 0)
		rc = finish(t);
	if (rc == 0)
		return 0;
	fd_close(&t->gen_fd);
	(void)tree_remove(t->target_fd, t->part);
	(void)report_fail(&t->rep, "the copy was not finished, and is removed: %s", strerror(-rc));
	return -1;
}

static int target_open(struct tool *t, const char *path)
{
	int rc;

	rc = dir_open(path, &t->target_fd);
	if (rc != 0)
		return report_fail(&t->rep, "%s cannot be opened or made: %s", path, strerror(-rc));
	if (flock(t->target_fd, LOCK_EX | LOCK_NB) != 0)
		return report_fail(&t->rep, "%s: another backup is being made there", path);
	rc = gen_sweep(t->target_fd);
	if (rc != 0)
		return report_fail(&t->rep, "%s: %s", path, strerror(-rc));
	t->prev_fd = gen_newest(t->target_fd, t->prev_name, &t->prev, &t->prev_made);
	return 0;
}

static int say_done(struct tool *t, unsigned removed)
{
	struct report *r = &t->rep;

	report_text(r, "generation", slice_str(t->name));
	report_figure(r, "files-copied", t->copying.copied);
	report_figure(r, "files-linked", t->copying.linked);
	report_figure(r, "bytes-copied", t->copying.done);
	report_figure(r, "instants-tried", t->src.tried);
	report_figure(r, "instant-us", t->src.instant_us);
	if (t->src.n > DBS)
		report_figure(r, "shards", t->src.n - DBS + 1);
	report_figure(r, "generations-removed", removed);
	return report_end(r);
}

static int do_backup(struct tool *t, const char *dir, const char *target)
{
	unsigned removed = 0;
	int rc = source_open(&t->src, dir, &t->rep);

	if (rc == 0)
		rc = target_open(t, target);
	if (rc != 0)
		return rc;
	rc = gen_name_new(t->target_fd, time(NULL), t->name);
	if (rc != 0)
		return report_fail(&t->rep, "there is no name for a generation: %s", strerror(-rc));
	snprintf(t->part, sizeof(t->part), "%.50s.part", t->name);
	for (int i = 1; i <= TRIES; i++) {
		rc = generation(t, i == TRIES);
		if (rc <= 0)
			break;
		fd_close(&t->prev_fd); /* what it has may be what does not fit */
	}
	source_unpin(&t->src);
	if (rc != 0)
		return TOOL_FAILED;
	rc = gen_trim(t->target_fd, t->keep, t->name, &removed);
	if (rc != 0)
		return report_fail(&t->rep, "%s is whole, but an old one cannot be removed: %s",
		    t->name, strerror(-rc));
	return say_done(t, removed);
}

static int usage(void)
{
	fprintf(stderr,
	    "usage: gatehouse-backup [--json] [--quiet] [--keep=N] [--quick] backup DIR TARGET\n"
	    "       gatehouse-backup [--json] [--quiet] [--dry-run] [--shards=N] restore "
	    "GENERATION DIR\n"
	    "       gatehouse-backup [--json] [--quiet] [--rate=MIB] verify DIR\n");
	return TOOL_USAGE;
}

static bool option(struct tool *t, const char *arg)
{
	if (strcmp(arg, "--json") == 0)
		t->json = true;
	else if (strcmp(arg, "--quiet") == 0)
		t->quiet = true;
	else if (strcmp(arg, "--quick") == 0)
		t->quick = true;
	else if (strcmp(arg, "--dry-run") == 0)
		t->dry = true;
	else
		return arg_number(arg, "keep", &t->keep) == ARG_GOOD ||
		       (arg_number(arg, "shards", &t->shards) == ARG_GOOD &&
			   t->shards <= ENGINE_SHARDS_MAX) ||
		       arg_number(arg, "rate", &t->rate) == ARG_GOOD;
	return true;
}

int main(int argc, char **argv)
{
	static struct tool t = { .target_fd = -1, .prev_fd = -1, .gen_fd = -1 };
	const char *words[3] = { 0 };
	int n = 0, rc = TOOL_USAGE;
	bool verify;

	signal(SIGPIPE, SIG_IGN);
	log_init(2, false, LOG_ERR);
	umask(077);
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' ? !option(&t, argv[i]) : n == 3)
			return usage();
		if (argv[i][0] != '-')
			words[n++] = argv[i];
	}
	verify = n == 2 && strcmp(words[0], "verify") == 0;
	if (!verify &&
	    (n != 3 || (strcmp(words[0], "backup") != 0 && strcmp(words[0], "restore") != 0)))
		return usage();
	report_init(&t.rep, words[0], t.json, t.quiet);
	buf_init(&t.lost, LOST_MAX);
	if (verify) {
		rc = source_open(&t.src, words[1], &t.rep);
		if (rc == 0)
			rc = verify_online(&t.src, t.rate, &t.rep);
		source_close(&t.src);
	} else if (words[0][0] == 'b') {
		rc = do_backup(&t, words[1], words[2]);
		source_close(&t.src);
	} else {
		rc = restore(words[1], words[2], t.shards, t.dry, &t.rep);
	}
	buf_fini(&t.lost);
	bfiles_fini(&t.prev);
	bfiles_fini(&t.files);
	fd_close(&t.gen_fd);
	fd_close(&t.prev_fd);
	fd_close(&t.target_fd);
	return rc;
}
