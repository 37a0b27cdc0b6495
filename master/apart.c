/*
 * apart - processes of a moment, which look at something for us and answer on a pipe.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { APART_TIMEOUT_MS = 10000, APART_FIRST_FD = 3 };

void apart_keep(int *fds, size_t n)
{
	int end = APART_FIRST_FD + (int)n;

	/* Copies above all places first: a descriptor may lie in the place of another. */
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, end);
		if (fds[i] < 0)
			_exit(125);
	}
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0)
			close(APART_FIRST_FD + (int)i);
		else if (dup2(fds[i], APART_FIRST_FD + (int)i) < 0)
			_exit(125);
	}
	close_range((unsigned)end, ~0u, 0);
}

/* Reads to the end, or until the time is over: 0 or -errno. */
static int collect(int fd, struct buf *out)
{
	int64_t until = clock_mono_ms() + APART_TIMEOUT_MS;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_mono_ms();
		uint8_t *room = buf_room(out, 4096);
		ssize_t got;

		if (room == NULL)
			return -EMSGSIZE;
		if (left <= 0 || poll(&pfd, 1, (int)left) == 0)
			return -ETIMEDOUT;
		got = read(fd, room, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		buf_wrote(out, (size_t)got);
	}
}

int apart_answer(pid_t pid, int fd, struct buf *out, int *ret_status)
{
	int r = collect(fd, out);

	/* An honest one closes the pipe by its end, and has its status already. */
	kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return r;
}
