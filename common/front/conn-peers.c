/* The channels of a connection: what the core says there, what comes, and their end. */
#include "common/front/conn-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/front/lent.h"

static const enum ipc_ch peer_kinds[FRONT_PEERS] = {
	[FRONT_AUTH] = IPC_CH_DIALOGUE,
	[FRONT_SESSION] = IPC_CH_SESSION,
	[FRONT_RCPT] = IPC_CH_RCPT,
	[FRONT_POST] = IPC_CH_POST,
	[FRONT_DIR] = IPC_CH_ADMIN_DIR,
	[FRONT_SECRETS] = IPC_CH_ADMIN_AUTH,
	[FRONT_STORE] = IPC_CH_ADMIN_STORE,
	[FRONT_COUNTS] = IPC_CH_COUNTS,
};

int front_conn_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	struct ipc_chan *chan = front_conn_of(p)->peers[to].chan;

	if (chan == NULL)
		return 1;
	if (type == IPC_auth_start || type == IPC_auth_peer)
		ipc_chan_set_state(chan, IPC_IN_DIALOGUE);
	return ipc_send(chan, type, msg, NULL) == 0 ? 0 : 1;
}

static enum front_peer peer_index(const struct front_conn_peer *p)
{
	return (enum front_peer)(p - p->conn->peers);
}

/* A grant brings channels of its own: true when all of them are open. */
static bool grant_open(struct front_conn *c, enum ipc_type type, int *fds)
{
	if (type == IPC_auth_granted)
		return front_conn_peer(c, FRONT_SESSION, &fds[0]);
	if (type == IPC_auth_admin)
		return front_conn_peer(c, FRONT_DIR, &fds[0]) &&
		       front_conn_peer(c, FRONT_SECRETS, &fds[1]) &&
		       front_conn_peer(c, FRONT_STORE, &fds[2]);
	return true;
}

static void on_peer_msg(
    void *arg, struct ipc_chan *chan, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct front_conn_peer *p = arg;
	struct front_conn *c = p->conn;

	if (c->dead || c->core == NULL)
		return;
	front_conn_log(c);
	if (type == IPC_auth_refused)
		ipc_chan_set_state(chan, IPC_IN_IDLE);
	if (!grant_open(c, type, fds)) {
		front_conn_end(c, "memory");
		return;
	}
	if (type == IPC_sess_opened) {
		fd_close(&c->pass_fd);
		c->pass_fd = fds[0];
		fds[0] = -1;
	}
	c->port.wall_s = clock_wall_s();
	if (stream_is_plain(&c->stream))
		front_lent_begin(&c->port);
	front_conn_ops(c)->on_msg(c->core, peer_index(p), type, m);
	if (type == IPC_auth_granted || type == IPC_auth_post || type == IPC_auth_admin)
		ipc_chan_free(&p->chan); /* one grant is all there is */
	front_lent_over(&c->port);
	/* While the message lives what is lent of it goes out, and its window back to its sender.
	 */
	if (c->port.n_lent > 0) {
		front_conn_turn(c);
		front_lent_end(&c->port);
	}
	front_conn_turn_later(c);
}

static void on_peer_gone(void *arg, struct ipc_chan *chan, enum ipc_gone why)
{
	struct front_conn_peer *p = arg;
	struct front_conn *c = p->conn;

	ipc_chan_free(&p->chan);
	if (c->dead || c->core == NULL)
		return;
	front_conn_log(c);
	front_conn_ops(c)->on_gone(c->core, peer_index(p));
	if (c->orphan)
		front_conn_ops(c)->on_event(c->core, FRONT_STOPPING);
	front_conn_turn_later(c);
}

bool front_conn_peer(struct front_conn *c, enum front_peer which, int *take_fd)
{
	static const struct ipc_ops ops = { .on_msg = on_peer_msg, .on_gone = on_peer_gone };
	struct front_conn_peer *p = &c->peers[which];
	int fd = *take_fd;

	*take_fd = -1;
	p->conn = c;
	p->chan = ipc_chan_new(c->env->base, fd, peer_kinds[which], false, &ops, p);
	if (p->chan != NULL && which == FRONT_AUTH)
		ipc_chan_set_state(p->chan, IPC_IN_IDLE);
	return p->chan != NULL;
}
