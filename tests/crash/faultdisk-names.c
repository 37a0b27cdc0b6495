/* The calls of faultdisk.h that change names. */
#undef _FILE_OFFSET_BITS /* both names of each call are needed, see the end */
#include "tests/crash/faultdisk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	int (*openat)(int, const char *, int, ...);
	int (*unlinkat)(int, const char *, int);
	int (*renameat)(int, const char *, int, const char *);
	int (*mkdirat)(int, const char *, mode_t);
	int (*linkat)(int, const char *, int, const char *, int);
} real;

#define REAL(call) (*(void **)&real.call = dlsym(RTLD_NEXT, #call))

static void resolve(void)
{
	if (real.linkat == NULL)
		REAL(openat), REAL(unlinkat), REAL(renameat), REAL(mkdirat), REAL(linkat);
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The directory in which a name is. */
static uint64_t dir_ino(int dir, const char *path)
{
	size_t n = (size_t)(base(path) - path);
	char name[4096] = ".";
	struct stat st;

	if (n >= sizeof(name))
		_exit(94);
	if (n > 0) {
		memcpy(name, path, n);
		name[n] = '\0';
	}
	return fstatat(dir, name, &st, 0) == 0 ? st.st_ino : 0;
}

/* A call that changes a name begins: false when it is to fail. */
static bool change_begin(enum fd_kind kind, enum fd_act *ret_act)
{
	resolve();
	*ret_act = fd_strike(kind);
	if (*ret_act == FD_FAIL || *ret_act == FD_FAIL_HALF)
		return false;
	if (fd_board != NULL)
		fd_trace_lock();
	return true;
}

/* It is done and written down. */
static int change_end(enum fd_act act, int rc)
{
	if (fd_board != NULL)
		fd_trace_unlock();
	if (act != FD_NOTHING)
		fd_die();
	return rc;
}

static int any_open(int dir, const char *path, int flags, mode_t mode)
{
	enum fd_act act;
	struct stat st;
	int fd;

	resolve();
	if (fd_board == NULL || (flags & O_CREAT) == 0)
		return real.openat(dir, path, flags, mode);
	if (!change_begin(FD_CREATE, &act))
		return fd_refused();
	fd = real.openat(dir, path, flags | O_EXCL, mode);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		fd_trace(
		    FD_EV_CREATE, 0, st.st_ino, dir_ino(dir, path), base(path), strlen(base(path)));
	} else if (fd < 0 && errno == EEXIST && (flags & O_EXCL) == 0) {
		fd = real.openat(dir, path, flags & ~O_CREAT, mode);
		if (fd >= 0 && (flags & O_TRUNC) != 0 && fstat(fd, &st) == 0)
			fd_trace(FD_EV_TRUNCATE, 0, st.st_ino, 0, NULL, 0);
	}
	return change_end(act, fd);
}

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return any_open(dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return any_open(AT_FDCWD, path, flags, mode);
}

int unlinkat(int dir, const char *path, int flags)
{
	enum fd_act act;
	int rc;

	if (!change_begin(FD_UNLINK, &act))
		return fd_refused();
	rc = real.unlinkat(dir, path, flags);
	if (rc == 0 && fd_board != NULL)
		fd_trace(FD_EV_UNLINK, 0, 0, dir_ino(dir, path), base(path), strlen(base(path)));
	return change_end(act, rc);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char names[600] = { 0 };
	size_t a = strlen(base(from)) + 1, b = strlen(base(to)) + 1;
	enum fd_act act;
	int rc;

	if (!change_begin(FD_RENAME, &act))
		return fd_refused();
	if (fd_board != NULL) {
		memcpy(names, base(from), a);
		memcpy(names + a, base(to), b);
	}
	rc = real.renameat(from_dir, from, to_dir, to);
	if (rc == 0 && fd_board != NULL)
		fd_trace(
		    FD_EV_RENAME, 0, dir_ino(from_dir, from), dir_ino(to_dir, to), names, a + b);
	return change_end(act, rc);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	enum fd_act act;
	struct stat st;
	int rc;

	if (!change_begin(FD_CREATE, &act))
		return fd_refused();
	rc = real.mkdirat(dir, path, mode);
	if (rc == 0 && fd_board != NULL && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		fd_trace(
		    FD_EV_MKDIR, 0, st.st_ino, dir_ino(dir, path), base(path), strlen(base(path)));
	return change_end(act, rc);
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	enum fd_act act;
	struct stat st;
	int rc;

	if (!change_begin(FD_CREATE, &act))
		return fd_refused();
	rc = real.linkat(from_dir, from, to_dir, to, flags);
	if (rc == 0 && fd_board != NULL && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		fd_trace(FD_EV_LINK, 0, st.st_ino, dir_ino(to_dir, to), base(to), strlen(base(to)));
	return change_end(act, rc);
}

/* As in faultdisk.c. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));
