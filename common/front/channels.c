#include "common/front/channels.h"

#include "common/base/io.h"
#include "common/front/figures.h"
#include "common/front/limits.h"
#include "common/tls/remote.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

uint32_t channels_flags(const struct acceptor *a, uint32_t listen_flags)
{
	uint32_t flags = 0;

	if ((listen_flags & IPC_LISTEN_TLS) != 0)
		flags |= FRONT_BUNDLE_TLS;
	if ((listen_flags & IPC_LISTEN_STARTTLS) != 0 && a->env.tls != NULL)
		flags |= FRONT_BUNDLE_TLS_OFFERED;
	if ((listen_flags & IPC_LISTEN_PLAIN_LOGIN) != 0)
		flags |= FRONT_BUNDLE_PLAIN_LOGIN;
	if ((listen_flags & IPC_LISTEN_LMTP) != 0)
		flags |= FRONT_BUNDLE_LMTP;
	if ((listen_flags & IPC_LISTEN_SUBMISSION) != 0)
		flags |= FRONT_BUNDLE_SUBMISSION;
	return flags;
}

void channels_bundle(struct acceptor *a, struct front_bundle *b, const struct listener *l, int fd,
    const struct addr *peer)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	int on = 1;

	*b = (struct front_bundle){ .sid = proc_next_sid(a->proc),
		.flags = channels_flags(a, l->l->flags),
		.listener = (unsigned)(l - a->listeners),
		.peer = *peer,
		.local = l->l->local,
		.client = fd,
		.sign = -1,
		.log = -1 };
	for (int i = 0; i < FRONT_PEERS; i++)
		b->ends[i] = -1;
	/* A listener on all addresses: which one the client chose decides about its domain. */
	if (peer->family != 1 && getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
		b->local = addr_from_sockaddr((struct sockaddr *)&ss, n);
	if (peer->family != 1)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void channels_keep_alive(int listener_fd)
{
	int on = 1, idle_s = FRONT_KEEP_ALIVE_S;

	setsockopt(listener_fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(listener_fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

const struct end_kind channel_ends[IPC_ENDS] = {
	[IPC_END_SIGN] = { IPC_CH_ATTACH_SIGN, IPC_ROLE_SIGNER, -1 },
	[IPC_END_LOG] = { IPC_CH_ATTACH_LOG, IPC_ROLE_LOGD, -1 },
	[IPC_END_AUTH] = { IPC_CH_ATTACH_AUTH, IPC_ROLE_AUTHD, FRONT_AUTH },
	[IPC_END_RCPT] = { IPC_CH_ATTACH_RCPT, IPC_ROLE_ROUTERD, FRONT_RCPT },
	[IPC_END_POST] = { IPC_CH_ATTACH_POST, IPC_ROLE_STORED, FRONT_POST },
	/* Its other end is ours: figures come by our control channel. */
	[IPC_END_COUNTS] = { IPC_CH_COUNTS, IPC_ROLE_NONE, FRONT_COUNTS },
};

bool channels_needed(const struct acceptor *a, enum ipc_end e, uint32_t flags)
{
	unsigned peers;

	if (e == IPC_END_LOG)
		return true;
	if (e == IPC_END_SIGN)
		return a->env.tls != NULL &&
		       (flags & (FRONT_BUNDLE_TLS | FRONT_BUNDLE_TLS_OFFERED)) != 0;
	peers = a->door->peers;
	if ((flags & FRONT_BUNDLE_SUBMISSION) != 0)
		peers |= a->door->submission_peers;
	return (peers & 1u << channel_ends[e].peer) != 0;
}

static int *end_slot(struct front_bundle *b, enum ipc_end e)
{
	return e == IPC_END_SIGN  ? &b->sign
	       : e == IPC_END_LOG ? &b->log
				  : &b->ends[channel_ends[e].peer];
}

/* ---- the facts of a connection, told to those who need them -----------------------------------
 */

struct packed {
	struct buf peer, local;
};

static int tell_auth(struct acceptor *a, const struct front_bundle *b, const struct listener *l,
    const struct packed *p, int *fd)
{
	struct ipc_conn_new m = { .sid = b->sid,
		.service = slice_str(a->door->service),
		.listener = slice_str(l->l->name),
		.peer = buf_slice(&p->peer),
		.local = buf_slice(&p->local),
		.uid = UINT32_MAX };

	if ((b->flags & FRONT_BUNDLE_TLS) != 0)
		m.flags |= IPC_CONN_TLS;
	if ((b->flags & FRONT_BUNDLE_PROXIED) != 0)
		m.flags |= IPC_CONN_PROXIED;
	if ((b->flags & FRONT_BUNDLE_PLAIN_LOGIN) != 0)
		m.flags |= IPC_CONN_PLAIN_LOGIN;
	if (b->peer.family == 1) {
		struct ucred who;
		socklen_t n = sizeof(who);

		if (getsockopt(b->client, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
			m.uid = who.uid;
	}
	return ipc_send(a->attach[IPC_END_AUTH].chan, IPC_conn_new, &m, fd);
}

static struct slice sender_kind(const struct front_bundle *b)
{
	if ((b->flags & FRONT_BUNDLE_SUBMISSION) != 0)
		return SLICE("submission");
	return (b->flags & FRONT_BUNDLE_LMTP) != 0 ? SLICE("lmtp") : SLICE("smtp");
}

static int tell(struct acceptor *a, enum ipc_end e, const struct front_bundle *b,
    const struct listener *l, const struct packed *p, int *fd)
{
	struct ipc_chan *chan = a->attach[e].chan;

	switch (e) {
	case IPC_END_SIGN:
		return ipc_send(chan, IPC_sign_attach, &(struct ipc_sign_attach){ b->sid }, fd);
	case IPC_END_LOG:
		return ipc_send(chan, IPC_log_attach,
		    &(struct ipc_log_attach){ b->sid, slice_str(a->door->service) }, fd);
	case IPC_END_RCPT:
		return ipc_send(chan, IPC_rcpt_attach,
		    &(struct ipc_rcpt_attach){ b->sid, buf_slice(&p->local), buf_slice(&p->peer),
			(b->flags & FRONT_BUNDLE_SUBMISSION) != 0, sender_kind(b) },
		    fd);
	case IPC_END_POST:
		return ipc_send(chan, IPC_post_attach, &(struct ipc_post_attach){ b->sid }, fd);
	default:
		return tell_auth(a, b, l, p, fd);
	}
}

bool channels_make(struct acceptor *a, struct front_bundle *b, const struct listener *l)
{
	struct packed p = { BUF_INIT(ADDR_PACKED_MAX), BUF_INIT(ADDR_PACKED_MAX) };
	bool made = true;

	addr_pack(&b->peer, &p.peer);
	addr_pack(&b->local, &p.local);
	for (enum ipc_end e = IPC_END_SIGN; e < IPC_ENDS && made; e++) {
		int fds[2];

		if (!channels_needed(a, e, b->flags))
			continue;
		made = ipc_pair(fds) == 0;
		if (!made)
			break;
		if (e == IPC_END_SIGN)
			made = tls_remote_prepare(fds[0]) == 0;
		*end_slot(b, e) = fds[0];
		if (e == IPC_END_COUNTS)
			figures_serve(a, &fds[1]);
		else if (a->attach[e].chan != NULL)
			tell(a, e, b, l, &p, &fds[1]);
		fd_close(&fds[1]);
	}
	buf_fini(&p.peer);
	buf_fini(&p.local);
	return made;
}
