/*
 * stored-external - will read and lock INBOX files that local mailers share; today it answers that
 * no account has one, which is the truth: no configuration can say so yet.
 *
 * Holds:    3 control channel, 4 log, a channel to stored.
 * May:      read, write, poll, map anonymous memory.
 * May not:  open a path outside of what it is handed, make a socket, fork, exec.
 * Trusts:   stored, master.  Distrusts: nobody else speaks to it.
 * If taken: nothing is lost; stored asks it about ids and believes only "not found".
 */
#include "common/proc/proc.h"

struct program {
	struct ipc_chan *stored;
};

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_ext_reply reply = { .status = IPC_ST_NOTFOUND };

	if (type != IPC_ext_ask)
		return;
	reply.seq = m->ext_ask.seq;
	ipc_send(c, IPC_ext_reply, &reply, NULL);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&((struct program *)arg)->stored);
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	struct program *g = arg;

	if (peer->kind != IPC_CH_EXTERNAL)
		return;
	ipc_chan_free(&g->stored);
	g->stored = proc_peer_open(p, peer, &ops, g);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.role = IPC_ROLE_EXTERNAL, .row = PROC_EXTERNAL, .on_peer = on_peer
	};
	static struct program program;

	return proc_main(argc, argv, &ops, &program);
}
