/*
 * authd-worker - checks one login, or makes one password hash, in a process forked for it.
 *
 * Holds:    the pool 3 control channel, 4 log, a channel to authd; a worker forked from it one
 *           channel to authd and nothing else, and one account's secret for one dialogue.
 * May:      the pool fork; a worker read, write, poll, map anonymous memory.
 * May not:  open a path, make a socket, exec; a worker also not fork.
 * Trusts:   authd, master.  Distrusts: names, SASL messages, stored secrets (they may be
 * malformed). If taken: the intruder has the secret of the one account that is logging in, and may
 * say yes for it.
 */
#include "authd/workers/serve.h"
#include "common/base/log.h"
#include "common/proc/proc.h"
#include "common/sandbox/sandbox.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct pool {
	struct proc *proc;
	struct gsasl_warm *warm;
	struct sandbox_child *child;
	struct ipc_chan *authd;
	int sig_fd;
	struct event *ev_signal;
	bool crashed;
};

/*
 * A worker that died by a signal may have been an attempt to learn the address layout that all
 * workers share with the pool: the pool ends, master starts one with a new layout, later each time.
 */
static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct pool *pool = arg;
	struct signalfd_siginfo si;
	int status;

	while (read(fd, &si, sizeof(si)) == sizeof(si))
		;
	while (waitpid(-1, &status, WNOHANG) > 0) {
		if (!WIFSIGNALED(status) || pool->crashed ||
		    !sandbox_crash_signal(WTERMSIG(status)))
			continue;
		pool->crashed = true;
		log_ev(LOG_ERR, "auth.crash", kv_i("signal", WTERMSIG(status)));
		proc_exit(pool->proc, 1);
	}
}

static int signals_make(struct pool *pool)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pool->sig_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (pool->sig_fd < 0)
		return -errno;
	pool->ev_signal =
	    event_new(proc_base(pool->proc), pool->sig_fd, EV_READ | EV_PERSIST, on_signal, pool);
	return pool->ev_signal != NULL && event_add(pool->ev_signal, NULL) == 0 ? 0 : -ENOMEM;
}

static int warm_up(struct proc *p, void *arg)
{
	struct pool *pool = arg;
	int r = gsasl_warm_new(&pool->warm);

	pool->proc = p;
	if (r == 0)
		r = signals_make(pool);
	if (r == 0)
		r = sandbox_child_prepare(&sandbox_rows[PROC_WORKER_CHILD], &pool->child);
	if (r != 0)
		proc_fail(p, "cannot prepare the workers", r);
	return r;
}

static void work(struct pool *pool, int fd)
{
	const int keep[] = { fd };
	pid_t pid = fork();

	if (pid < 0)
		log_ev(LOG_WARNING, "proc.fail", kv_s("name", "authd-worker"), kv_s("why", "fork"));
	if (pid != 0)
		return;
	if (proc_child_init(pool->proc, keep, 1) != 0 || sandbox_child_enter(pool->child) != 0)
		_exit(1);
	worker_serve(pool->warm, fd);
	_exit(0);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_work_new)
		work(arg, fds[0]);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&((struct pool *)arg)->authd);
}

static const struct ipc_ops pool_ops = { .on_msg = on_msg, .on_gone = on_gone };

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	struct pool *pool = arg;

	if (peer->kind != IPC_CH_WORK_POOL)
		return;
	ipc_chan_free(&pool->authd);
	pool->authd = proc_peer_open(p, peer, &pool_ops, pool);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.role = IPC_ROLE_WORKER, .row = PROC_WORKER, .warm_up = warm_up, .on_peer = on_peer
	};
	struct pool pool = { 0 };

	return proc_main(argc, argv, &ops, &pool);
}
