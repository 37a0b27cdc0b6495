/*
 * logd - writes the log of the suite: stamps each line with time, process and session.
 *
 * Holds:    the log file (or the master's standard error), the far end of every process's log
 *           channel, attach channels to acceptors.
 * May:      read lines, write the log, receive descriptors.
 * May not:  open a path, make a socket, fork, exec.
 * Trusts:   master.  Distrusts: every line: who wrote it is known from the channel it came on, its
 * text is shown byte for byte only where it is printable. If taken: the log from then on says what
 * the intruder wants; nothing else is in reach.
 */
#include "master/logd/sink.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <stdlib.h>

static int warm_up(struct proc *p, void *arg)
{
	sink_init(arg, p);
	return 0;
}

static void on_file(struct proc *p, void *arg, const char *name, int *fd)
{
	struct sink *s = arg;

	if (strcmp(name, "log") != 0)
		return;
	fd_close(&s->out_fd);
	s->out_fd = *fd;
	*fd = -1;
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	if (peer->kind == IPC_CH_ATTACH_LOG)
		sink_attacher_open(arg, peer);
}

static void on_stop(struct proc *p, void *arg, unsigned deadline_ms)
{
	sink_drain(arg);
	proc_exit(p, 0);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.role = IPC_ROLE_LOGD,
		.row = PROC_LOGD,
		.warm_up = warm_up,
		.on_file = on_file,
		.on_peer = on_peer,
		.on_stop = on_stop,
	};
	static struct sink sink = { .out_fd = -1 };

	return proc_main(argc, argv, &ops, &sink);
}
