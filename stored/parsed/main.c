/*
 * parsed - makes the facts of messages that no front-end received.
 *
 * Holds:    a channel to stored, log; a channel to the forker below.
 * May:      read and write held descriptors, make channels, fork.
 * May not:  open a path, make a network socket, exec, look into a message.
 * Trusts:   master, stored.  Distrusts: its readers.
 * If taken: the intruder sees the messages that are parsed from then on, and can lie about them.
 *
 * Three kinds of process run under this name. The first one talks to stored and passes bytes. The
 * forker is its child from before the first message: it has never seen mail, so that what it forks
 * has not either. A reader (parsed-child) is forked for one account and reads that account's
 * messages under the tighter sandbox; if taken, the intruder has the messages of that account which
 * are in it, and can lie about them.
 */
#include "common/base/io.h"
#include "common/proc/proc.h"
#include "common/sandbox/sandbox.h"
#include "common/sandbox/title.h"
#include "stored/parsed/limits.h"
#include "stored/parsed/reader.h"
#include "stored/parsed/relay.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOG_FD = 4 };

struct parsed {
	struct proc *proc;
	struct sandbox_child *sandbox;
	struct ipc_chan
	    *forker; /* in the first process: to the forker; in the forker: to the first */
	struct relay *relay;
	struct event *lonely; /* runs while there is no channel to stored */
};

/* ---- a reader -----------------------------------------------------------------------------------
 */

static void reader_main(struct parsed *s, int fd)
{
	const struct rlimit cpu = { PARSED_CPU_S, PARSED_CPU_S };
	int keep[] = { LOG_FD, fd };

	if (proc_child_init(s->proc, keep, 2) != 0 || setrlimit(RLIMIT_CPU, &cpu) != 0 ||
	    sandbox_child_enter(s->sandbox) != 0)
		_exit(1);
	title_set("parsed-child");
	_exit(reader_run(proc_base(s->proc), fd));
}

/* ---- the forker ---------------------------------------------------------------------------------
 */

static void on_forker_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_ctl_peer && fork() == 0)
		reader_main(arg, fds[0]);
	/* Without a process the descriptor is closed now, and the relay sees the reader gone. */
}

static void on_forker_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	_exit(0);
}

static void forker_main(struct parsed *s, int fd)
{
	static const struct ipc_ops ops = { .on_msg = on_forker_msg, .on_gone = on_forker_gone };
	int keep[] = { LOG_FD, fd };

	if (proc_child_init(s->proc, keep, 2) != 0)
		_exit(1);
	/* Readers are not waited for: the relay knows of their end by their channel. */
	signal(SIGCHLD, SIG_IGN);
	title_set("parsed-fork");
	s->forker = ipc_chan_new(proc_base(s->proc), fd, IPC_CH_CONTROL, false, &ops, s);
	if (s->forker != NULL)
		event_base_dispatch(proc_base(s->proc));
	_exit(1);
}

/* ---- the first process
 * ---------------------------------------------------------------------------- */

static int spawn(void *arg, int take_fd)
{
	struct parsed *s = arg;
	struct ipc_ctl_peer m = { .role = IPC_ROLE_PARSED, .channel = IPC_CH_PARSE, .upper = 0 };

	return ipc_send(s->forker, IPC_ctl_peer, &m, &take_fd) == 0 ? 0 : -EAGAIN;
}

static void ignore_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct parsed *s = arg;

	proc_fail(s->proc, "the process that forks the readers is gone", 0);
	proc_exit(s->proc, 1);
}

/* stored ended, or closed the channel: master hands over a new one only where somebody starts anew.
 */
static void on_lost(void *arg)
{
	struct parsed *s = arg;
	struct timeval tv = { .tv_sec = PARSED_LONELY_MS / 1000 };

	event_add(s->lonely, &tv);
}

static void on_lonely(evutil_socket_t fd, short what, void *arg)
{
	struct parsed *s = arg;

	proc_exit(s->proc, 0);
}

static int warm_up(struct proc *p, void *arg)
{
	struct parsed *s = arg;
	int r = sandbox_child_prepare(&sandbox_rows[PROC_PARSED_CHILD], &s->sandbox);

	s->proc = p;
	if (r != 0)
		proc_fail(p, "the readers' sandbox cannot be made", r);
	return r;
}

static int start(struct proc *p, void *arg)
{
	static const struct ipc_ops ops = { .on_msg = ignore_msg, .on_gone = on_gone };
	struct parsed *s = arg;
	int fds[2], r = ipc_pair(fds);
	pid_t pid;

	if (r == 0) {
		pid = fork();
		if (pid == 0)
			forker_main(s, fds[1]);
		close(fds[1]);
		if (pid < 0) {
			r = -errno;
			close(fds[0]);
		}
	}
	if (r == 0) {
		s->forker = ipc_chan_new(proc_base(p), fds[0], IPC_CH_CONTROL, true, &ops, s);
		s->relay = relay_new(proc_base(p), spawn, on_lost, s);
		s->lonely = event_new(proc_base(p), -1, 0, on_lonely, s);
		if (s->forker == NULL || s->relay == NULL || s->lonely == NULL)
			r = -ENOMEM;
	}
	if (r != 0)
		proc_fail(p, "the process that forks the readers does not start", r);
	return r;
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	struct parsed *s = arg;
	struct ipc_chan *c;

	if (peer->kind != IPC_CH_PARSE || peer->upper)
		return;
	c = proc_peer_open(p, peer, &relay_stored_ops, s->relay);
	if (c == NULL) {
		proc_fail(p, "no memory for a channel", -ENOMEM);
		return;
	}
	event_del(s->lonely);
	relay_set_stored(s->relay, c);
}

static void on_stop(struct proc *p, void *arg, unsigned deadline_ms)
{
	struct parsed *s = arg;

	relay_free(&s->relay);
	proc_exit(p, 0);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.role = IPC_ROLE_PARSED,
		.row = PROC_PARSED,
		.warm_up = warm_up,
		.start = start,
		.on_peer = on_peer,
		.on_stop = on_stop,
	};
	static struct parsed s;

	return proc_main(argc, argv, &ops, &s);
}
