#include "stored/menders.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/engine/engine.h"
#include "common/sandbox/sandbox.h"
#include "common/sandbox/title.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOG_FD = 4 };

struct answer {
	int32_t rc;
};

/* ---- a mender ---- */

/* Often: whoever asked is gone, so that nobody is there to use what is being made. */
static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	char c;

	if (recv(*(int *)arg, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		_exit(0);
}

static _Noreturn void serve(int fd, int store_fd)
{
	uint8_t shard;

	while (io_read_all(fd, &shard, sizeof(shard)) == 0) {
		struct answer a = { engine_shard_rebuild(store_fd, shard, on_progress, &fd) };

		if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) != (ssize_t)sizeof(a))
			break;
	}
	_exit(0);
}

static _Noreturn void mender_main(struct proc *p, int fd, int store_fd, int root_fd)
{
	struct sandbox_env env = { .root_fd = root_fd, .dir_fds = &store_fd, .n_dirs = 1 };
	int keep[] = { LOG_FD, fd, store_fd, root_fd };

	title_set("stored-mender");
	if (proc_child_init(p, keep, root_fd >= 0 ? 4 : 3) != 0 ||
	    sandbox_enter(&sandbox_rows[PROC_STORED], &env) != 0)
		_exit(1);
	serve(fd, store_fd);
}

/* ---- stored ---- */

static int one_start(struct menders *m, unsigned i, struct proc *p, int store_fd)
{
	int fds[2], root_fd = proc_dir(p, "empty");
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		mender_main(p, fds[1], store_fd, root_fd);
	fd_close(&fds[1]);
	if (pid < 0) {
		fd_close(&fds[0]);
		return -EAGAIN;
	}
	m->fd[i] = fds[0];
	return 0;
}

int menders_start(struct menders *m, struct proc *p, int store_fd)
{
	int r = 0;

	for (unsigned i = 0; i < MENDERS; i++)
		m->fd[i] = -1;
	for (unsigned i = 0; i < MENDERS && r == 0; i++)
		r = one_start(m, i, p, store_fd);
	if (r != 0)
		proc_fail(p, "no process for repairs can be started", r);
	return r;
}

int menders_rebuild(void *arg, unsigned shard)
{
	struct menders *m = arg;
	uint8_t ask = (uint8_t)shard;
	struct answer a;
	int fd;

	for (unsigned i = 0; i < MENDERS; i++) {
		if ((fd = m->fd[i]) < 0)
			continue;
		if (send(fd, &ask, sizeof(ask), MSG_NOSIGNAL) == (ssize_t)sizeof(ask) &&
		    io_read_all(fd, &a, sizeof(a)) == 0)
			return a.rc;
		m->fd[i] = -1;
		close(fd);
		log_ev(LOG_ERR, "stored.mender", kv_u("shard", shard));
		return -EPIPE;
	}
	return -ECHILD;
}

/* The thread that waits in menders_rebuild() hears of it, and the mender does. */
void menders_cancel(void *arg)
{
	struct menders *m = arg;
	int fd;

	for (unsigned i = 0; i < MENDERS; i++)
		if ((fd = m->fd[i]) >= 0)
			(void)shutdown(fd, SHUT_RDWR);
}

void menders_end(struct menders *m)
{
	int fd;

	for (unsigned i = 0; i < MENDERS; i++)
		if ((fd = m->fd[i]) >= 0) {
			m->fd[i] = -1;
			close(fd);
		}
}
