/* A running server's data directory, read at one instant. */
#include "stored/backup/backup.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/engine/identity.h"
#include "stored/salvage/open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CUT_MS = 10000 };

const char *const db_names[PARTS_MAX] = { "store", "directory", "secrets", "store/shard-1",
	"store/shard-2", "store/shard-3", "store/shard-4", "store/shard-5", "store/shard-6",
	"store/shard-7", "store/shard-8", "store/shard-9", "store/shard-10", "store/shard-11",
	"store/shard-12", "store/shard-13", "store/shard-14", "store/shard-15" };

static const char pin[] = "backup-pin";

/* What is not there cannot be copied, and a copy without it is not one of the whole. */
static int shards_open(struct source *s, const char *dir, struct report *rep)
{
	struct identity id = { .shards = 1 };
	int rc = identity_read(s->db_fd[0], &id);

	if (rc == ENGINE_NOTFOUND)
		return 0;
	if (rc != 0 || id.shard != 0)
		return report_fail(rep, "%s/store: its identity is damaged", dir);
	for (unsigned i = 1; i < id.shards; i++) {
		const char *why = shard_dir_open(s->db_fd[0], &id, i, true, &s->db_fd[s->n]);

		if (why != NULL)
			return report_fail(
			    rep, "%s/%s cannot be read: %s", dir, db_names[s->n], why);
		s->n++;
	}
	return 0;
}

int source_open(struct source *s, const char *dir, struct report *rep)
{
	*s = (struct source){ .n = DBS };
	for (unsigned i = 0; i < PARTS_MAX; i++)
		s->db_fd[i] = s->pin_fd[i] = -1;
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return report_fail(rep, "%s: %s", dir, strerror(errno));
	for (unsigned i = 0; i < DBS; i++) {
		s->db_fd[i] = openat(s->dir_fd, db_names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (s->db_fd[i] < 0)
			return report_fail(rep, "%s/%s: %s", dir, db_names[i], strerror(errno));
	}
	/* The links have one name. */
	if (flock(s->db_fd[0], LOCK_EX | LOCK_NB) != 0) {
		fd_close(&s->db_fd[0]); /* and are not ours to take away */
		return report_fail(rep, "another backup or verify of %s is under way", dir);
	}
	return shards_open(s, dir, rep);
}

/* A file that went away meanwhile is one that nothing needs any more. */
static int pin_files(int db_fd, int pin_fd)
{
	int fd = openat(db_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct tail_file f;
	struct dirent *de;

	if (d == NULL) {
		rc = -errno;
		fd_close(&fd);
		return rc;
	}
	while (rc == 0 && (de = readdir(d)) != NULL)
		if (tail_is_file(de->d_name, &f) &&
		    linkat(db_fd, de->d_name, pin_fd, de->d_name, 0) != 0 && errno != EEXIST &&
		    errno != ENOENT)
			rc = -errno;
	closedir(d);
	return rc;
}

static int pin_begin(struct source *s)
{
	int rc = 0;

	source_unpin(s);
	for (unsigned i = 0; i < s->n && rc == 0; i++) {
		if (mkdirat(s->db_fd[i], pin, 0700) != 0)
			return -errno;
		s->pin_fd[i] = openat(s->db_fd[i], pin, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = s->pin_fd[i] < 0 ? -errno : pin_files(s->db_fd[i], s->pin_fd[i]);
	}
	return rc;
}

void source_unpin(struct source *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		fd_close(&s->pin_fd[i]);
		if (s->db_fd[0] >= 0 && s->db_fd[i] >= 0)
			(void)tree_remove(s->db_fd[i], pin);
	}
}

void source_close(struct source *s)
{
	source_unpin(s);
	for (unsigned i = s->n; i-- > 0;) {
		tail_close(&s->tail[i]);
		fd_close(&s->db_fd[i]);
	}
	fd_close(&s->dir_fd);
}

static bool same_end(const struct tail_end *a, const struct tail_end *b)
{
	return a->segment == b->segment && a->off == b->off && a->frame == b->frame;
}

/*
 * While all others stand still around it, one shard's end is an instant at which all of them stood
 * there. Directory and secrets rarely move; shards that are all busy stand still for the few
 * microseconds that this takes often enough, since each commit of theirs waits for its disk. Whose
 * end is in the middle changes: one that never stands still has its turn.
 */
static int find_instant(struct source *s, bool *ret_found)
{
	unsigned turn = (unsigned)(s->tried % (s->n - DBS + 1)), middle = part_of_shard(turn);
	struct tail_end before[PARTS_MAX];
	int64_t begin_ns = clock_mono_ns();
	int rc = 0;

	*ret_found = true;
	for (unsigned i = 0; i < s->n && rc == 0; i++)
		if (i != middle)
			rc = tail_read(s->tail[i], &before[i]);
	if (rc == 0)
		rc = tail_read(s->tail[middle], &s->end[middle]);
	for (unsigned i = 0; i < s->n && rc == 0; i++) {
		if (i == middle)
			continue;
		rc = tail_read(s->tail[i], &s->end[i]);
		*ret_found &= rc == 0 && same_end(&before[i], &s->end[i]);
	}
	s->instant_us = (uint64_t)((clock_mono_ns() - begin_ns) / 1000);
	return rc;
}

static int tails_open(struct source *s)
{
	int rc = 0;

	for (unsigned i = 0; i < s->n && rc == 0; i++) {
		tail_close(&s->tail[i]);
		rc = tail_open(s->db_fd[i], &s->tail[i]);
		if (rc == 0)
			rc = tail_read(s->tail[i], &s->end[i]); /* the long way, once */
	}
	return rc;
}

int source_cut(struct source *s, struct report *rep)
{
	int64_t until = clock_mono_ms() + CUT_MS;
	bool found = false;
	int rc = pin_begin(s);

	if (rc != 0)
		return report_fail(rep, "the files cannot be linked: %s", strerror(-rc));
	rc = tails_open(s);
	for (; rc == 0 && !found && clock_mono_ms() < until; s->tried++)
		rc = find_instant(s, &found);
	if (rc != 0)
		return report_fail(
		    rep, "a log cannot be read: %s", rc < 0 ? strerror(-rc) : engine_rc_name(rc));
	if (!found)
		return report_fail(rep,
		    "no moment was found at which all logs but one stood still: shards are busy, "
		    "or "
		    "accounts or passwords change all the time; try again later");
	for (unsigned i = 0; i < s->n && rc == 0; i++)
		rc = pin_files(s->db_fd[i], s->pin_fd[i]);
	return rc == 0 ? 0 : report_fail(rep, "the files cannot be linked: %s", strerror(-rc));
}

int source_raw(struct source *s, bool (*keep)(void *arg, struct slice group, struct slice key),
    struct report *rep, struct raw **ret_r)
{
	struct raw_shard shards[ENGINE_SHARDS_MAX];
	unsigned n = 0;

	for (unsigned i = DBS; i < s->n; i++)
		shards[n++] = (struct raw_shard){ s->pin_fd[i], s->end[i] };
	return open_raw_shards(s->pin_fd[0], &s->end[0], shards, n, keep, rep, ret_r);
}
