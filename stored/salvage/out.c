#include "stored/salvage/out.h"

#include "common/base/io.h"
#include "common/engine/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char unfinished[] = "unfinished", unfinished_part[] = "unfinished.part",
		  manifest[] = "manifest.jsonl", manifest_part[] = "manifest.jsonl.part",
		  items[] = "not-saved.jsonl";

int out_dir(int fd, const char *name)
{
	int d;

	if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
		return -errno;
	d = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return d < 0 ? -errno : d;
}

FILE *out_file(int fd, const char *name, mode_t mode)
{
	int f = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	FILE *file = f < 0 ? NULL : fdopen(f, "w");

	if (file == NULL && f >= 0)
		close(f);
	return file;
}

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *de;
	bool empty = d != NULL;

	while (d != NULL && (de = readdir(d)) != NULL)
		empty &= strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
			 strcmp(de->d_name, unfinished_part) == 0;
	if (d != NULL)
		closedir(d);
	return empty;
}

/* The mark of a run that was broken off, and of the same source. */
static bool is_ours(int fd, const char *source)
{
	int f = openat(fd, unfinished, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *p = NULL;
	size_t n = 0;
	bool ours = f >= 0 && io_slurp(f, PATH_MAX, &p, &n) == 0 &&
		    slice_eq(slice_of(p, n), slice_str(source));

	fd_close(&f);
	free(p);
	return ours;
}

static int mark(int fd, const char *source)
{
	int f = openat(fd, unfinished_part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = f < 0 ? -errno : io_write_all(f, slice_str(source));

	if (rc == 0 && fsync(f) != 0)
		rc = -errno;
	fd_close(&f);
	if (rc == 0 && renameat(fd, unfinished_part, fd, unfinished) != 0)
		rc = -errno;
	return rc;
}

/* Nothing is ever written into what is salvaged. */
static bool lies_within(const char *path, const char *source)
{
	size_t n = strlen(source);

	return strncmp(path, source, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int out_begin(struct out *o, const char *path, const char *source, struct report *rep)
{
	char real[PATH_MAX];
	int rc;

	*o = (struct out){ .fd = -1 };
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return report_fail(rep, "%s cannot be made: %s", path, strerror(errno));
	if (realpath(path, real) == NULL)
		return report_fail(rep, "%s: %s", path, strerror(errno));
	if (lies_within(real, source))
		return report_fail(rep, "%s lies in %s, where nothing is written", path, source);
	o->fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o->fd < 0)
		return report_fail(rep, "%s: %s", path, strerror(errno));
	o->again = is_ours(o->fd, source);
	if (!o->again && !is_empty(o->fd))
		return report_fail(
		    rep, "%s is not empty; name a directory that is, or a new one", path);
	rc = mark(o->fd, source);
	o->manifest = rc == 0 ? out_file(o->fd, manifest_part, 0600) : NULL;
	rep->items = o->manifest != NULL ? out_file(o->fd, items, 0600) : NULL;
	if (rep->items == NULL)
		return report_fail(
		    rep, "%s cannot be written to: %s", path, strerror(rc != 0 ? -rc : errno));
	return 0;
}

static int close_file(FILE **f)
{
	int rc = *f != NULL && fflush(*f) != 0 ? -errno : 0;

	if (*f != NULL && fclose(*f) != 0 && rc == 0)
		rc = -errno;
	*f = NULL;
	return rc;
}

int out_finish(struct out *o, struct report *rep)
{
	int rc = close_file(&o->manifest), rc2 = close_file(&rep->items);

	if (rc == 0)
		rc = rc2;
	if (rc == 0 && syncfs(o->fd) != 0)
		rc = -errno;
	if (rc == 0 && renameat(o->fd, manifest_part, o->fd, manifest) != 0)
		rc = -errno;
	if (rc == 0 && unlinkat(o->fd, unfinished, 0) != 0)
		rc = -errno;
	if (rc == 0 && fsync(o->fd) != 0)
		rc = -errno;
	return rc;
}

void out_fini(struct out *o)
{
	(void)close_file(&o->manifest);
	fd_close(&o->fd);
}

int out_owner(int fd, const char *database)
{
	static const char *const users[][2] = { { "store", "gatehouse-stored" },
		{ "directory", "gatehouse-routerd" }, { "secrets", "gatehouse-authd" } };
	const struct passwd *p = NULL;

	for (size_t i = 0; i < 3 && geteuid() == 0; i++)
		if (strcmp(users[i][0], database) == 0)
			p = getpwnam(users[i][1]);
	return p != NULL && fchown(fd, p->pw_uid, (gid_t)-1) != 0 ? -errno : 0;
}

static int own_one(int fd, const char *name, uid_t owner)
{
	struct stat st;
	int sub, rc;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return fchownat(fd, name, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) != 0 ? -errno : 0;
	sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sub < 0)
		return -errno;
	rc = fchown(sub, owner, (gid_t)-1) != 0 ? -errno : out_own_files(sub);
	close(sub);
	return rc;
}

int out_own_files(int dir_fd)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *de;
	struct stat st;

	if (d == NULL || fstat(dir_fd, &st) != 0)
		rc = -errno;
	while (rc == 0 && geteuid() == 0 && (de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			rc = own_one(dir_fd, de->d_name, st.st_uid);
	if (d != NULL)
		closedir(d);
	return rc;
}

/* A database's folder has only files in it. */
static int empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *de;

	if (d == NULL)
		return -errno;
	while (rc == 0 && (de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && unlinkat(fd, de->d_name, 0) != 0)
			rc = -errno;
	closedir(d);
	return rc;
}

int out_database(struct out *o, const char *name, struct engine **ret_e)
{
	int fd = out_dir(o->fd, name), rc;

	if (fd < 0)
		return fd;
	rc = empty(fd);
	if (rc == 0 && fchmod(fd, 0750) != 0)
		rc = -errno;
	if (rc == 0)
		rc = out_owner(fd, name);
	if (rc == 0)
		rc = engine_open("lmdb", fd, NULL, ret_e);
	close(fd);
	return rc > 0 ? (rc == ENGINE_FULL ? -ENOSPC : -EIO) : rc;
}
