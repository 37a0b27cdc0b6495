/*
 * nosync - takes the sync out of a program (LD_PRELOAD), to show that the power-cut test notices.
 *
 * Every call that asks for durability answers success and does nothing; O_DSYNC and RWF_DSYNC are
 * dropped on the way. For tests only.
 */
#undef _FILE_OFFSET_BITS /* both names of each call are needed, see the end */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SYNC_FLAGS = O_SYNC | O_DSYNC, WRITE_FLAGS = RWF_DSYNC | RWF_SYNC };

int fsync(int fd)
{
	return 0;
}

int fdatasync(int fd)
{
	return 0;
}

int msync(void *at, size_t n, int flags)
{
	return 0;
}

void sync(void)
{
}

int syncfs(int fd)
{
	return 0;
}

int sync_file_range(int fd, off_t off, off_t n, unsigned flags)
{
	return 0;
}

/* Open flags that bring a mode argument. */
static mode_t mode_of(int flags, va_list ap)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

int openat(int dir, const char *path, int flags, ...)
{
	static int (*real)(int, const char *, int, ...);
	va_list ap;
	mode_t mode;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "openat");
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return real(dir, path, flags & ~SYNC_FLAGS, mode);
}

int open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	va_list ap;
	mode_t mode;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "open");
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return real(path, flags & ~SYNC_FLAGS, mode);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	static ssize_t (*real)(int, const struct iovec *, int, off_t, int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pwritev2");
	return real(fd, iov, n, off, flags & ~WRITE_FLAGS);
}

/* Libraries built with and without large-file names call different symbols; here they are equal. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t off, int flags)
    __attribute__((alias("pwritev2")));
