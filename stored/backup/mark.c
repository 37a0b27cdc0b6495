/*
 * The file `restoring` in a data directory: a restore is under way there, or was broken off. It has
 * the inodes of the folders that the restore is about to give their names, so that the next run
 * tells those from folders that somebody put there since.
 */
#include "stored/backup/backup.h"

#include "common/base/buf.h"
#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* master/files.c knows the first name, too. */
static const char mark[] = "restoring", mark_new[] = "restoring.new";

enum { MARK_MAX = 256 };

static uint64_t inode(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)
		   ? (uint64_t)st.st_ino
		   : 0;
}

int mark_write(int dir_fd)
{
	struct buf b = BUF_INIT(MARK_MAX);
	int fd =
	    openat(dir_fd, mark_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc = fd < 0 ? -errno : 0;

	for (unsigned i = 0; i < DBS; i++) {
		char part[GEN_NAME_BYTES];

		part_name(i, part);
		buf_printf(&b, "%s %llu\n", db_names[i], (unsigned long long)inode(dir_fd, part));
	}
	if (rc == 0)
		rc = b.overflow ? -ENOMEM : io_write_all(fd, buf_slice(&b));
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	fd_close(&fd);
	buf_fini(&b);
	if (rc == 0 && renameat(dir_fd, mark_new, dir_fd, mark) != 0)
		rc = -errno;
	return rc == 0 && fsync(dir_fd) != 0 ? -errno : rc;
}

bool mark_is_ours(int dir_fd, unsigned db)
{
	int fd = dir_fd < 0 ? -1 : openat(dir_fd, mark, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t is = inode(dir_fd, db_names[db]), was = 0;
	struct slice rest = SLICE_NONE;
	uint8_t *p = NULL;
	size_t n = 0;

	if (fd >= 0 && io_slurp(fd, MARK_MAX, &p, &n) == 0)
		rest = slice_of(p, n);
	while (rest.n > 0) {
		struct slice line = slice_take(&rest, '\n'), name = slice_take(&line, ' ');

		if (slice_eq(name, slice_str(db_names[db])) &&
		    slice_u64(line, UINT64_MAX, &was) != 0)
			was = 0;
	}
	free(p);
	fd_close(&fd);
	return was != 0 && was == is;
}

int mark_remove(int dir_fd)
{
	if (unlinkat(dir_fd, mark, 0) != 0 && errno != ENOENT)
		return -errno;
	return fsync(dir_fd) != 0 ? -errno : 0;
}
