/* Generations: their names, their manifests' files, and which of them stay. */
#include "stored/backup/backup.h"

#include "common/base/buf.h"
#include "common/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char manifest[] = "manifest";

int tree_remove(int fd, const char *name)
{
	int d = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	DIR *dir = d < 0 ? NULL : fdopendir(d);
	struct dirent *de;

	if (dir == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (rc == 0 && (de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), de->d_name, 0) == 0 || errno == ENOENT)
			continue;
		rc = errno == EISDIR || errno == EPERM ? tree_remove(dirfd(dir), de->d_name)
						       : -errno;
	}
	closedir(dir);
	return rc == 0 && unlinkat(fd, name, AT_REMOVEDIR) != 0 ? -errno : rc;
}

int dir_open(const char *path, int *ret_fd)
{
	int fd, up, rc;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* An operator may be given a directory in one that he may not read; an automounter's, or
	 * one that nobody can write to, has no name to keep. */
	rc = up < 0                                                ? (errno == EACCES ? 0 : -errno)
	     : fsync(up) != 0 && errno != EINVAL && errno != EROFS ? -errno
								   : 0;
	fd_close(&up);
	if (rc != 0)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return rc;
}

int gen_manifest_write(int gen_fd, const struct bfiles *files, const struct tail_end end[PARTS_MAX],
    int64_t made, struct slice lost)
{
	struct buf b = BUF_INIT(MANIFEST_MAX);
	int fd, rc;

	manifest_put(&b, files, end, made, lost);
	fd = openat(gen_fd, manifest, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : b.overflow ? -EFBIG : io_write_all(fd, buf_slice(&b));
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	fd_close(&fd);
	buf_fini(&b);
	return rc;
}

bool gen_manifest_read(int gen_fd, struct bfiles *ret_files, struct tail_end ret_end[PARTS_MAX],
    int64_t *ret_made, struct buf *ret_lost)
{
	int fd = openat(gen_fd, manifest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *p = NULL;
	size_t n = 0;
	bool good = fd >= 0 && io_slurp(fd, MANIFEST_MAX, &p, &n) == 0 &&
		    manifest_parse(slice_of(p, n), ret_files, ret_end, ret_made, ret_lost);

	fd_close(&fd);
	free(p);
	if (!good)
		*ret_files = (struct bfiles){ 0 };
	return good;
}

/* ---- which there are ---- */

static const char part_end[] = ".part";

static bool is_part(const char *name)
{
	size_t n = strlen(name), m = sizeof(part_end) - 1;

	return n > m && strcmp(name + n - m, part_end) == 0;
}

/* 2026-11-22T04-00-00Z, and what may follow */
static bool is_generation(const char *name)
{
	static const char form[] = "dddd-dd-ddTdd-dd-ddZ";

	if (strlen(name) >= GEN_NAME_BYTES)
		return false;
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == 'd' ? !ascii_digit((uint8_t)name[i]) : name[i] != form[i])
			return false;
	return true;
}

enum { TIME_BYTES = 20 };

/* What follows the time: "-N", and nothing of the first in its second. */
static uint64_t number_of(const char *name)
{
	struct slice rest = slice_from(slice_str(name), TIME_BYTES);
	uint64_t n;

	return rest.n > 1 && slice_u64(slice_from(rest, 1), UINT64_MAX, &n) == 0 ? n : 1;
}

static int by_age(const void *a, const void *b)
{
	int c = strncmp(a, b, TIME_BYTES);
	uint64_t x = number_of(a), y = number_of(b);

	return c != 0 ? c : x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

/* Names of complete generations, oldest first; the caller frees. */
static int list(int target_fd, bool parts, char (**ret)[GEN_NAME_BYTES], size_t *ret_n)
{
	int fd = openat(target_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char(*v)[GEN_NAME_BYTES] = NULL;
	struct dirent *de;
	size_t n = 0;

	if (d == NULL)
		return -errno;
	while (rc == 0 && (de = readdir(d)) != NULL) {
		char(*p)[GEN_NAME_BYTES];

		if (!is_generation(de->d_name) || is_part(de->d_name) != parts)
			continue;
		p = realloc(v, (n + 1) * sizeof(*v));
		if (p == NULL) {
			rc = -ENOMEM;
			break;
		}
		v = p;
		strcpy(v[n++], de->d_name);
	}
	closedir(d);
	if (rc == 0 && n > 0)
		qsort(v, n, sizeof(*v), by_age);
	*ret = v;
	*ret_n = n;
	return rc;
}

int gen_newest(
    int target_fd, char ret_name[GEN_NAME_BYTES], struct bfiles *ret_files, int64_t *ret_made)
{
	char(*v)[GEN_NAME_BYTES];
	struct tail_end end[PARTS_MAX];
	struct buf lost = BUF_INIT(MANIFEST_MAX);
	size_t n;
	int fd = -1;

	if (list(target_fd, false, &v, &n) != 0)
		n = 0;
	while (n-- > 0 && fd < 0) {
		fd = openat(target_fd, v[n], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && !gen_manifest_read(fd, ret_files, end, ret_made, &lost))
			fd_close(&fd);
		if (fd >= 0)
			strcpy(ret_name, v[n]);
	}
	buf_fini(&lost);
	free(v);
	return fd;
}

int gen_name_new(int target_fd, time_t now, char ret_name[GEN_NAME_BYTES])
{
	char(*v)[GEN_NAME_BYTES], base[TIME_BYTES + 1];
	uint64_t number = 1;
	struct tm tm;
	size_t n;
	int rc = list(target_fd, false, &v, &n);

	if (rc != 0)
		return rc;
	gmtime_r(&now, &tm);
	if (strftime(base, sizeof(base), "%Y-%m-%dT%H-%M-%SZ", &tm) != TIME_BYTES)
		base[0] = '\0';
	if (n > 0 && strncmp(v[n - 1], base, TIME_BYTES) >= 0) {
		memcpy(base, v[n - 1], TIME_BYTES);
		base[TIME_BYTES] = '\0';
		number = number_of(v[n - 1]) + 1;
	}
	free(v);
	if (base[0] == '\0' || number > 99999999)
		return -ERANGE;
	if (number > 1)
		snprintf(ret_name, GEN_NAME_BYTES, "%s-%04llu", base, (unsigned long long)number);
	else
		snprintf(ret_name, GEN_NAME_BYTES, "%s", base);
	return 0;
}

int gen_sweep(int target_fd)
{
	char(*v)[GEN_NAME_BYTES];
	size_t n;
	int rc = list(target_fd, true, &v, &n);

	/* A run that died may just have taken away its other name. */
	if (rc == 0 && n > 0 && fsync(target_fd) != 0)
		rc = -errno;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tree_remove(target_fd, v[i]);
	free(v);
	return rc;
}

/* What goes loses its name first, for good: half of it is never shown as whole. */
static int hide(int target_fd, const char *name, char ret_part[GEN_NAME_BYTES])
{
	if (strlen(name) + sizeof(part_end) > GEN_NAME_BYTES)
		return -ENAMETOOLONG;
	snprintf(ret_part, GEN_NAME_BYTES, "%s%s", name, part_end);
	if (renameat(target_fd, name, target_fd, ret_part) != 0 || fsync(target_fd) != 0)
		return -errno;
	return 0;
}

int gen_trim(int target_fd, unsigned keep, const char *made, unsigned *ret_removed)
{
	char(*v)[GEN_NAME_BYTES];
	size_t n;
	int rc = list(target_fd, false, &v, &n);

	*ret_removed = 0;
	for (size_t i = 0; rc == 0 && keep > 0 && i + keep < n; i++) {
		char part[GEN_NAME_BYTES];

		if (strcmp(v[i], made) == 0)
			continue;
		rc = hide(target_fd, v[i], part);
		if (rc == 0)
			rc = tree_remove(target_fd, part);
		*ret_removed += rc == 0;
	}
	free(v);
	return rc;
}
