#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int keep = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = keep;
}

int fd_nonblock(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int io_write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		s = slice_from(s, (size_t)n);
	}
	return 0;
}

int io_pwrite_all(int fd, struct slice s, off_t off)
{
	while (s.n > 0) {
		ssize_t n = pwrite(fd, s.p, s.n, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		s = slice_from(s, (size_t)n);
		off += n;
	}
	return 0;
}

int io_read_all(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t k = read(fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			return 1;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

int io_pread_all(int fd, void *p, size_t n, off_t off)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t k = pread(fd, at, n, off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			return 1;
		at += k;
		off += k;
		n -= (size_t)k;
	}
	return 0;
}

int io_slurp(int fd, size_t max, uint8_t **ret_p, size_t *ret_n)
{
	size_t n = 0, cap = 4096;
	uint8_t *p = malloc(cap), *q;
	ssize_t k = 0;

	while (p != NULL) {
		k = read(fd, p + n, cap - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		n += (size_t)k;
		if (n > max) {
			free(p);
			return 1;
		}
		if (n < cap)
			continue;
		q = realloc(p, cap *= 2);
		if (q == NULL)
			free(p);
		p = q;
	}
	if (p == NULL || k < 0) {
		k = p == NULL ? -ENOMEM : -errno;
		free(p);
		return (int)k;
	}
	*ret_p = p;
	*ret_n = n;
	return 0;
}
