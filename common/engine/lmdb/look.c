#include "common/engine/lmdb/look.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/engine/lmdb/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_FD = 3, AHEAD_BYTES = 256 << 20, TICK_MS = 1000 };

/* How long it may take, and who is told that it goes on. */
struct patience {
	int budget_ms;
	void (*tick)(void *arg);
	void *arg;
};

/* From here on: read, write, exit. */
static void confine(void)
{
	struct rlimit none = { 0, 0 };

	close_range(ANSWER_FD + 1, ~0u, 0);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
}

static _Noreturn void child(int fd, struct slice file, struct check_room *room)
{
	struct look_answer a = { .rc = LOOK_WHOLE, .bytes = file.n };
	struct check_result r;

	if (dup2(fd, ANSWER_FD) == ANSWER_FD) {
		confine();
		index_check(file, room, &r);
		a.rows = r.rows;
		if (r.why != NULL) {
			size_t n = strnlen(r.why, sizeof(a.why) - 1);

			a.rc = LOOK_DAMAGED;
			memcpy(a.why, r.why, n);
		}
		if (write(ANSWER_FD, &a, sizeof(a)) != (ssize_t)sizeof(a))
			a.rc = LOOK_NONE;
	}
	for (;;)
		syscall(SYS_exit, a.rc == LOOK_NONE); /* the filter knows no exit_group */
}

/* An answer in time, or what the lack of one says. */
static void hear(
    int fd, pid_t pid, const struct patience *pt, uint64_t file_bytes, struct look_answer *ret)
{
	int64_t end_ms = clock_mono_ms() + pt->budget_ms, left_ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct look_answer a;
	int n;

	do {
		pt->tick(pt->arg);
		left_ms = end_ms - clock_mono_ms();
		left_ms = left_ms > TICK_MS ? TICK_MS : left_ms > 0 ? left_ms : 0;
		n = poll(&p, 1, (int)left_ms);
	} while ((n < 0 && errno == EINTR) || (n == 0 && left_ms > 0));
	if (n == 0) {
		ret->rc = LOOK_TIME_UP;
		ret->bytes = file_bytes;
	} else if (read(fd, &a, sizeof(a)) == (ssize_t)sizeof(a)) {
		*ret = a;
	} else {
		ret->rc = LOOK_DAMAGED;
		snprintf(ret->why, sizeof(ret->why), "it ended the process that read it");
	}
	/* Its exit is that of one thread only: a sanitizer's own would live on, and we wait for
	 * ever. */
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int look_in_child(
    struct slice file, struct check_room *room, const struct patience *pt, struct look_answer *ret)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child(fds[1], file, room);
	fd_close(&fds[1]);
	if (pid > 0)
		hear(fds[0], pid, pt, file.n, ret);
	fd_close(&fds[0]);
	return pid > 0 ? 0 : -EAGAIN;
}

int look_at_index(
    int dir_fd, int budget_ms, void (*tick)(void *arg), void *arg, struct look_answer *ret)
{
	const struct patience pt = { budget_ms, tick, arg };
	int fd = openat(dir_fd, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	struct check_room room = { 0 };
	struct stat st;
	void *p;

	*ret = (struct look_answer){ .rc = LOOK_NONE };
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) != 0 || st.st_size == 0) {
		close(fd);
		return 0;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		r = -errno;
	if (st.st_size <= AHEAD_BYTES)
		posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	close(fd);
	if (r == 0) {
		r = check_room_init(&room, (uint64_t)st.st_size);
		if (r == 0)
			r = look_in_child(slice_of(p, (size_t)st.st_size), &room, &pt, ret);
		check_room_fini(&room);
		munmap(p, (size_t)st.st_size);
	}
	return r;
}
