/* The calls of faultdisk.h: each counts, may be struck, and is written down. */
#undef _FILE_OFFSET_BITS /* both names of each call are needed, see the end */
#include "tests/crash/faultdisk.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct fd_board *fd_board;

static uint64_t ack_ino;

static struct {
	ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*pread)(int, void *, size_t, off_t);
	ssize_t (*preadv2)(int, const struct iovec *, int, off_t, int);
	int (*fsync)(int);
	int (*fdatasync)(int);
	int (*ftruncate)(int, off_t);
	int (*open)(const char *, int, ...);
} real;

#define REAL(call) (*(void **)&real.call = dlsym(RTLD_NEXT, #call))

/* Other libraries may begin before this one. */
static void resolve(void)
{
	if (real.open != NULL)
		return;
	REAL(pwritev), REAL(pwrite), REAL(writev), REAL(write), REAL(pread), REAL(preadv2);
	REAL(fsync), REAL(fdatasync), REAL(ftruncate), REAL(open);
}

/* A process that the program forks is another's affair, and may do nothing but read and write. */
static void child_begins(void)
{
	fd_board = NULL;
	ack_ino = 0;
}

static void board_open(const char *path)
{
	const char *ack = getenv("FAULTDISK_ACK");
	void *frame[2];
	struct stat st;
	int fd = real.open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		_exit(92);
	fd_board = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd_board == MAP_FAILED || fd_board->magic != FD_MAGIC)
		_exit(92);
	close(fd);
	if (ack != NULL && stat(ack, &st) == 0)
		ack_ino = st.st_ino;
	backtrace(frame, 2); /* loads what it needs while that can be loaded */
	pthread_atfork(NULL, NULL, child_begins);
	unsetenv("LD_PRELOAD"); /* a program that this one starts is another's affair */
	unsetenv("FAULTDISK");
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULTDISK");

	resolve();
	if (path != NULL)
		board_open(path);
}

/* As kill -9 looks to the disk: nothing is flushed, no handler runs. */
void fd_die(void)
{
	_exit(137);
}

/* What happens to this call. */
enum fd_act fd_strike(enum fd_kind kind)
{
	uint64_t n;

	resolve();
	if (fd_board == NULL)
		return FD_NOTHING;
	fd_board->calls[kind]++;
	if ((fd_board->kinds >> kind & 1) == 0)
		return FD_NOTHING;
	n = ++fd_board->count;
	if (n < fd_board->from || n - fd_board->from >= fd_board->times)
		return FD_NOTHING;
	fd_board->struck++;
	if (fd_board->act == FD_DIE_BEFORE)
		fd_die();
	return (enum fd_act)fd_board->act;
}

int fd_refused(void)
{
	errno = (int)fd_board->error;
	return -1;
}

static bool is_file(int fd, struct stat *ret_st)
{
	resolve();
	return fd_board != NULL && fstat(fd, ret_st) == 0 &&
	       (S_ISREG(ret_st->st_mode) || S_ISDIR(ret_st->st_mode));
}

/* ---- writing ---- */

static size_t flat(const struct iovec *v, int n, uint8_t **ret_p)
{
	size_t all = 0, at = 0;

	for (int i = 0; i < n; i++)
		all += v[i].iov_len;
	*ret_p = malloc(all + 1);
	if (*ret_p == NULL)
		_exit(93);
	for (int i = 0; i < n; at += v[i++].iov_len)
		memcpy(*ret_p + at, v[i].iov_base, v[i].iov_len);
	return all;
}

/* A write of a file; `off` < 0: where the file's own position is. */
static ssize_t file_write(int fd, const struct stat *st, const struct iovec *v, int n, off_t off)
{
	uint32_t dsync = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
	enum fd_act act = fd_strike(dsync ? FD_DSYNC : FD_WRITE);
	uint8_t *p = NULL;
	size_t all;
	ssize_t done;

	if (act == FD_FAIL)
		return fd_refused();
	all = flat(v, n, &p);
	if (off < 0)
		off = lseek(fd, 0, SEEK_CUR);
	if (act == FD_DIE_HALF || act == FD_FAIL_HALF)
		all = all / 2 + (all == 1);
	fd_trace_lock();
	done = real.pwrite(fd, p, all, off);
	if (done > 0)
		fd_trace(FD_EV_WRITE, dsync, st->st_ino, (uint64_t)off, p, (size_t)done);
	fd_trace_unlock();
	free(p);
	if (act == FD_DIE_HALF || act == FD_DIE_AFTER)
		fd_die();
	if (act == FD_FAIL_HALF)
		fd_board->act = FD_FAIL;
	return done;
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	struct stat st;

	return is_file(fd, &st) ? file_write(fd, &st, v, n, off) : real.pwritev(fd, v, n, off);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct stat st;

	return is_file(fd, &st) ? file_write(fd, &st, &v, 1, off) : real.pwrite(fd, p, n, off);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	struct stat st;
	ssize_t done;

	if (!is_file(fd, &st))
		return real.writev(fd, v, n);
	done = file_write(fd, &st, v, n, -1);
	if (done > 0)
		lseek(fd, done, SEEK_CUR);
	return done;
}

/* The store's files are written otherwise, a copy's are not; and acknowledgements are said so. */
ssize_t write(int fd, const void *p, size_t n)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct stat st;
	ssize_t done;

	if (!is_file(fd, &st) || S_ISDIR(st.st_mode))
		return real.write(fd, p, n);
	if (ack_ino == 0 || st.st_ino != ack_ino) {
		done = file_write(fd, &st, &v, 1, -1);
		if (done > 0)
			lseek(fd, done, SEEK_CUR);
		return done;
	}
	fd_trace_lock();
	done = real.write(fd, p, n);
	fd_trace(FD_EV_ACK, 0, 0, 0, p, n);
	fd_trace_unlock();
	return done;
}

/* ---- making durable ---- */

static int any_sync(int fd, int (*call)(int))
{
	enum fd_act act;
	struct stat st;
	uint64_t before;
	int rc;

	if (!is_file(fd, &st))
		return call(fd);
	act = fd_strike(FD_SYNC);
	if (act == FD_FAIL || act == FD_FAIL_HALF)
		return fd_refused();
	before = fd_board->trace_n;
	rc = call(fd);
	if (fd_board->sync_us > 0)
		usleep((useconds_t)fd_board->sync_us);
	if (rc == 0 && fd_board->trace_max > 0) {
		fd_trace_lock();
		fd_trace(S_ISDIR(st.st_mode) ? FD_EV_SYNC_DIR : FD_EV_SYNC, fd_trace_site(),
		    st.st_ino, before, NULL, 0);
		fd_trace_unlock();
	}
	if (act != FD_NOTHING)
		fd_die();
	return rc;
}

int fsync(int fd)
{
	return any_sync(fd, real.fsync);
}

int fdatasync(int fd)
{
	return any_sync(fd, real.fdatasync);
}

/* ---- lengths ---- */

int ftruncate(int fd, off_t n)
{
	enum fd_act act;
	struct stat st;
	int rc;

	if (!is_file(fd, &st))
		return real.ftruncate(fd, n);
	act = fd_strike(FD_TRUNCATE);
	if (act == FD_FAIL || act == FD_FAIL_HALF)
		return fd_refused();
	fd_trace_lock();
	rc = real.ftruncate(fd, n);
	if (rc == 0)
		fd_trace(FD_EV_TRUNCATE, 0, st.st_ino, (uint64_t)n, NULL, 0);
	fd_trace_unlock();
	if (act != FD_NOTHING)
		fd_die();
	return rc;
}

/* ---- reading ---- */

ssize_t pread(int fd, void *p, size_t n, off_t off)
{
	struct stat st;

	if (is_file(fd, &st) && fd_strike(FD_READ) >= FD_DIE_AFTER)
		return fd_board->act == FD_FAIL ? fd_refused() : (fd_die(), -1);
	return real.pread(fd, p, n, off);
}

ssize_t preadv2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
	struct stat st;

	if (is_file(fd, &st) && fd_strike(FD_READ) >= FD_DIE_AFTER)
		return fd_board->act == FD_FAIL ? fd_refused() : (fd_die(), -1);
	return real.preadv2(fd, v, n, off, flags);
}

/* Libraries built with and without large-file names call different symbols; here they are equal. */
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t off)
    __attribute__((alias("pwritev")));
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off) __attribute__((alias("pwrite")));
ssize_t pread64(int fd, void *p, size_t n, off64_t off) __attribute__((alias("pread")));
ssize_t preadv64v2(int fd, const struct iovec *v, int n, off64_t off, int flags)
    __attribute__((alias("preadv2")));
int ftruncate64(int fd, off64_t n) __attribute__((alias("ftruncate")));
