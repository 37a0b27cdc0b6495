#include "common/ipc/chan.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TURN_MESSAGES = 64, /* handled per wake-up, so that one busy peer does not starve others */
};

struct packet {
	struct packet *next;
	size_t n;
	unsigned nfds;
	bool secret;
	int fds[IPC_FDS_MAX];
	uint8_t data[];
};

struct ipc_chan {
	int fd;
	enum ipc_ch kind;
	bool upper, gone, dead, paused;
	bool greets;   /* a handshake was asked for */
	bool mute;     /* the peer is closed; what it wrote before is still read */
	unsigned busy; /* callbacks under way: freed at the end of the outermost */
	enum ipc_state state, next;
	enum ipc_role peer_role;
	uint64_t peer_instance,
	    told_instance; /* by the peer's hello; by whoever gave us the channel */
	const struct ipc_ops *ops;
	void *arg;
	struct event *ev_in, *ev_out, *ev_gone;
	struct packet *head, **tail;
	size_t queued, queue_max;
	enum ipc_gone why;
	uint8_t *rx; /* only while a message is being handled by ipc_recv_wait */
};

/* One receive buffer serves every channel of a process: a packet is handled before the next is
 * read. */
static uint8_t *rx_shared;
static bool rx_busy;

void ipc_child_init(void)
{
	rx_shared = NULL;
	rx_busy = false;
}

static const char *const ch_names[IPC_CHS] = {
	[IPC_CH_ANY] = "any",
	[IPC_CH_CONTROL] = "control",
	[IPC_CH_ATTACH_LOG] = "attach-log",
	[IPC_CH_ATTACH_SIGN] = "attach-sign",
	[IPC_CH_ATTACH_AUTH] = "attach-auth",
	[IPC_CH_ATTACH_RCPT] = "attach-rcpt",
	[IPC_CH_ATTACH_POST] = "attach-post",
	[IPC_CH_SIGN] = "sign",
	[IPC_CH_DIALOGUE] = "dialogue",
	[IPC_CH_RCPT] = "rcpt",
	[IPC_CH_POST] = "post",
	[IPC_CH_SESSION] = "session",
	[IPC_CH_WORK_POOL] = "work-pool",
	[IPC_CH_WORK] = "work",
	[IPC_CH_AUTH_ROUTE] = "auth-route",
	[IPC_CH_AUTH_STORE] = "auth-store",
	[IPC_CH_ROUTE_STORE] = "route-store",
	[IPC_CH_PARSE] = "parse",
	[IPC_CH_EXTERNAL] = "external",
	[IPC_CH_ADMIN_DIR] = "admin-dir",
	[IPC_CH_ADMIN_AUTH] = "admin-auth",
	[IPC_CH_ADMIN_STORE] = "admin-store",
	[IPC_CH_COUNTS] = "counts",
	[IPC_CH_DENSE] = "dense",
	[IPC_CH_PORT] = "port",
	[IPC_CH_SOURCE] = "source",
};

static const char *const role_names[IPC_ROLES] = {
	[IPC_ROLE_NONE] = "none",
	[IPC_ROLE_MASTER] = "master",
	[IPC_ROLE_LOGD] = "logd",
	[IPC_ROLE_SIGNER] = "signer",
	[IPC_ROLE_STORED] = "stored",
	[IPC_ROLE_AUTHD] = "authd",
	[IPC_ROLE_ROUTERD] = "routerd",
	[IPC_ROLE_WORKER] = "authd-worker",
	[IPC_ROLE_PARSED] = "parsed",
	[IPC_ROLE_EXTERNAL] = "stored-external",
	[IPC_ROLE_POP3] = "pop3",
	[IPC_ROLE_SMTP] = "smtp",
	[IPC_ROLE_ADMIN] = "admin",
	[IPC_ROLE_IMAP] = "imap",
	[IPC_ROLE_METRICS] = "metrics",
	[IPC_ROLE_PWD] = "pwd",
	[IPC_ROLE_SOURCE] = "authd-external",
};

const char *ipc_ch_name(enum ipc_ch kind)
{
	return kind < IPC_CHS ? ch_names[kind] : "unknown";
}

const char *ipc_role_name(enum ipc_role role)
{
	return role < IPC_ROLES ? role_names[role] : "unknown";
}

int ipc_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
		return -errno;
	return 0;
}

/* Messages with a password or a stored secret in them: no buffer here keeps one. */
static bool holds_secret(enum ipc_type type)
{
	switch (type) {
	case IPC_auth_start:
	case IPC_auth_step:
	case IPC_work_start:
	case IPC_work_response:
	case IPC_work_secret:
	case IPC_work_done:
	case IPC_work_hash:
	case IPC_work_hashed:
	case IPC_source_ask:
	case IPC_secret_set:
	case IPC_secret_new:
	case IPC_secret_check:
		return true;
	default:
		return false;
	}
}

static void fds_close(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fd_close(&fds[i]);
}

static void packet_free(struct packet *p)
{
	fds_close(p->fds, p->nfds);
	if (p->secret)
		secret_wipe(p->data, p->n);
	free(p);
}

static void queue_drop(struct ipc_chan *c)
{
	while (c->head != NULL) {
		struct packet *p = c->head;

		c->head = p->next;
		packet_free(p);
	}
	c->tail = &c->head;
	c->queued = 0;
}

static void chan_destroy(struct ipc_chan *c)
{
	queue_drop(c);
	free(c->rx);
	free(c);
}

void ipc_chan_free(struct ipc_chan **cp)
{
	struct ipc_chan *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (c->ev_in != NULL)
		event_free(c->ev_in);
	if (c->ev_out != NULL)
		event_free(c->ev_out);
	if (c->ev_gone != NULL)
		event_free(c->ev_gone);
	c->ev_in = c->ev_out = c->ev_gone = NULL;
	fd_close(&c->fd);
	c->dead = true;
	if (c->busy == 0)
		chan_destroy(c);
}

static void chan_leave(struct ipc_chan *c)
{
	if (--c->busy == 0 && c->dead)
		chan_destroy(c);
}

/* Marks the channel useless; on_gone follows from the loop, never from inside a call of the
 * owner's. */
static void chan_gone(struct ipc_chan *c, enum ipc_gone why)
{
	if (c->gone || c->dead)
		return;
	c->gone = true;
	c->why = why;
	c->state = IPC_IN_CLOSED;
	if (c->ev_in != NULL)
		event_del(c->ev_in);
	if (c->ev_out != NULL)
		event_del(c->ev_out);
	if (c->ev_gone != NULL)
		event_active(c->ev_gone, EV_TIMEOUT, 0);
}

static void on_gone_event(evutil_socket_t fd, short what, void *arg)
{
	struct ipc_chan *c = arg;

	c->busy++;
	c->ops->on_gone(c->arg, c, c->why);
	chan_leave(c);
}

static void refuse(struct ipc_chan *c, const char *msg, const char *why)
{
	log_ev(LOG_WARNING, "ipc.bad", kv_s("peer", ipc_ch_name(c->kind)), kv_s("msg", msg),
	    kv_s("why", why));
	chan_gone(c, IPC_GONE_BAD);
}

/* 0 with the packet's length and descriptors; 1 end of file; -EAGAIN; -errno. */
static ssize_t packet_recv(int fd, uint8_t *p, int *fds, unsigned *ret_nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 4))];
	} ctl;
	struct iovec iov = { p, IPC_PACKET_MAX };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)
	};
	unsigned n = 0;
	bool too_many = false;
	ssize_t got;

	/*
	 * A peer that closes with something of ours unread gives ECONNRESET once, before what it
	 * wrote itself: its last words come after.
	 */
	do
		got = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h != NULL; h = CMSG_NXTHDR(&mh, h)) {
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int one;

			memcpy(&one, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (n < IPC_FDS_MAX) {
				fds[n++] = one;
			} else {
				close(one);
				too_many = true;
			}
		}
	}
	*ret_nfds = n;
	if (too_many || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		fds_close(fds, n);
		*ret_nfds = 0;
		return -EBADMSG;
	}
	return got;
}

static bool hello_right(struct ipc_chan *c, const struct ipc_hello *h)
{
	struct slice ours = slice_of(ipc_schema_hash(), IPC_SCHEMA_HASH_BYTES);

	if (!slice_eq(h->schema, ours)) {
		refuse(c, "hello",
		    "the peer was built from another message schema: reinstall the suite");
		return false;
	}
	if (c->peer_role != IPC_ROLE_NONE && h->role != c->peer_role) {
		refuse(c, "hello", "the peer is not who it should be");
		return false;
	}
	if (c->told_instance != 0 && h->instance != c->told_instance) {
		refuse(c, "hello", "the peer claims another instance");
		return false;
	}
	c->peer_instance = h->instance;
	c->state = c->next;
	return true;
}

/* Whether the table lets this packet in, now and from this end. */
static bool admitted(struct ipc_chan *c, const struct ipc_desc *d, unsigned nfds)
{
	enum ipc_direction need = c->upper ? IPC_UP : IPC_DOWN;

	if (d->channel != c->kind && d->channel != IPC_CH_ANY)
		refuse(c, d->name, "not a message of this channel");
	else if ((d->direction & need) == 0)
		refuse(c, d->name, "wrong direction");
	else if ((d->when & c->state) == 0)
		refuse(c, d->name, "not now");
	else if (d->fds != nfds)
		refuse(c, d->name, "wrong number of descriptors");
	else
		return true;
	return false;
}

/* Checks one packet: 0 when it is for the owner, 1 when it was dealt with here. */
static int packet_check(struct ipc_chan *c, struct slice packet, unsigned nfds,
    enum ipc_type *ret_type, union ipc_any *ret_m)
{
	if (ipc_decode(packet, ret_type, ret_m) != 0) {
		refuse(c, "?", "malformed");
		return 1;
	}
	if (!admitted(c, ipc_desc(*ret_type), nfds))
		return 1;
	if (*ret_type == IPC_hello) {
		hello_right(c, &ret_m->hello);
		return 1;
	}
	return 0;
}

static void recv_failed(struct ipc_chan *c, ssize_t got)
{
	if (got == 0 || got == -ECONNRESET || got == -EPIPE)
		chan_gone(c, IPC_GONE_EOF);
	else if (got == -EBADMSG)
		refuse(c, "?", "packet or descriptor list too long");
	else if (got != -EAGAIN)
		chan_gone(c, IPC_GONE_ERROR);
}

/* One packet from the socket to the owner; false when there is none or the channel ended. */
static bool turn_one(struct ipc_chan *c, uint8_t *rx)
{
	int fds[IPC_FDS_MAX] = { -1, -1, -1, -1 };
	union ipc_any m;
	enum ipc_type type = IPC_NONE;
	unsigned nfds = 0;
	ssize_t got = packet_recv(c->fd, rx, fds, &nfds);

	if (got <= 0) {
		fds_close(fds, nfds); /* an empty packet may carry some */
		recv_failed(c, got);
		return false;
	}
	if (packet_check(c, slice_of(rx, (size_t)got), nfds, &type, &m) == 0)
		c->ops->on_msg(c->arg, c, type, &m, fds);
	if (holds_secret(type))
		secret_wipe(rx, (size_t)got);
	fds_close(fds, nfds);
	return !c->dead && !c->gone && !c->paused;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc_chan *c = arg;
	uint8_t *rx;

	/* A handler may run the loop of another channel only by ipc_recv_wait, which has its own
	 * buffer. */
	assert(!rx_busy);
	if (rx_shared == NULL)
		rx_shared = malloc(IPC_PACKET_MAX);
	rx = rx_shared;
	if (rx == NULL)
		return;
	rx_busy = true;
	c->busy++;
	for (int i = 0; i < TURN_MESSAGES && turn_one(c, rx); i++)
		;
	rx_busy = false;
	chan_leave(c);
}

/* 0, -EAGAIN or -errno. */
static int packet_send(int fd, struct slice data, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} ctl = { 0 };
	struct iovec iov = { (void *)data.p, data.n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t r;

	if (nfds > 0) {
		struct cmsghdr *h;

		mh.msg_control = &ctl;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
	}
	do
		r = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/*
 * A closed peer takes nothing more, but what it wrote before may lie in our socket: the end of file
 * behind it is what ends the channel, unless the owner does not read.
 */
static void send_failed(struct ipc_chan *c, int r)
{
	if ((r != -EPIPE && r != -ECONNRESET) || c->paused) {
		chan_gone(c, r == -EPIPE || r == -ECONNRESET ? IPC_GONE_EOF : IPC_GONE_ERROR);
		return;
	}
	c->mute = true;
	queue_drop(c);
	if (c->ev_out != NULL)
		event_del(c->ev_out);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc_chan *c = arg;

	while (c->head != NULL) {
		struct packet *p = c->head;
		int r = packet_send(c->fd, slice_of(p->data, p->n), p->fds, p->nfds);

		if (r == -EAGAIN || r == -ENOBUFS)
			return;
		if (r != 0) {
			send_failed(c, r);
			return;
		}
		c->head = p->next;
		if (c->head == NULL)
			c->tail = &c->head;
		c->queued -= p->n;
		packet_free(p);
	}
	event_del(c->ev_out);
	if (c->ops->on_drain != NULL) {
		c->busy++;
		c->ops->on_drain(c->arg, c);
		chan_leave(c);
	}
}

static int packet_queue(
    struct ipc_chan *c, struct slice data, int *take_fds, unsigned nfds, bool secret)
{
	struct packet *p;

	if (data.n > c->queue_max || c->queued > c->queue_max - data.n) {
		chan_gone(c, IPC_GONE_SLOW);
		return 1;
	}
	p = malloc(sizeof(*p) + data.n);
	if (p == NULL) {
		chan_gone(c, IPC_GONE_ERROR);
		return 1;
	}
	*p = (struct packet){ .n = data.n, .nfds = nfds, .secret = secret };
	memcpy(p->data, data.p, data.n);
	for (unsigned i = 0; i < nfds; i++) {
		p->fds[i] = take_fds[i];
		take_fds[i] = -1;
	}
	*c->tail = p;
	c->tail = &p->next;
	c->queued += data.n;
	if (c->ev_out != NULL)
		event_add(c->ev_out, NULL);
	return 0;
}

int ipc_send(struct ipc_chan *c, enum ipc_type type, const void *msg, int *take_fds)
{
	static struct buf out = { .max = IPC_PACKET_MAX };
	const struct ipc_desc *d = ipc_desc(type);
	int r;

	assert(d != NULL);
	buf_reset(&out);
	r = ipc_encode(type, msg, &out);
	if (r == 0 && (c->gone || c->dead || c->mute))
		r = 1;
	if (r == 0 && c->head == NULL) {
		r = packet_send(c->fd, buf_slice(&out), take_fds, d->fds);
		if (r == -EAGAIN || r == -ENOBUFS) {
			r = packet_queue(c, buf_slice(&out), take_fds, d->fds, holds_secret(type));
		} else if (r != 0) {
			send_failed(c, r);
			r = 1;
		}
	} else if (r == 0) {
		r = packet_queue(c, buf_slice(&out), take_fds, d->fds, holds_secret(type));
	}
	if (holds_secret(type))
		secret_wipe(out.p, out.n);
	if (take_fds != NULL)
		fds_close(take_fds, d->fds);
	return r;
}

struct ipc_chan *ipc_chan_new(struct event_base *base, int take_fd, enum ipc_ch kind, bool upper,
    const struct ipc_ops *ops, void *arg)
{
	struct ipc_chan *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		fd_close(&take_fd);
		return NULL;
	}
	*c = (struct ipc_chan){ .fd = take_fd,
		.kind = kind,
		.upper = upper,
		.ops = ops,
		.arg = arg,
		.state = IPC_IN_RUN,
		.queue_max = IPC_QUEUE_DEFAULT };
	c->tail = &c->head;
	if (base == NULL)
		return c;
	c->ev_in = event_new(base, take_fd, EV_READ | EV_PERSIST, on_readable, c);
	c->ev_out = event_new(base, take_fd, EV_WRITE | EV_PERSIST, on_writable, c);
	c->ev_gone = event_new(base, -1, 0, on_gone_event, c);
	if (fd_nonblock(take_fd) != 0 || c->ev_in == NULL || c->ev_out == NULL ||
	    c->ev_gone == NULL || event_add(c->ev_in, NULL) != 0)
		ipc_chan_free(&c);
	return c;
}

int ipc_chan_hello(struct ipc_chan *c, enum ipc_role self, uint64_t instance, enum ipc_role peer,
    enum ipc_state next)
{
	struct ipc_hello h = { .schema = slice_of(ipc_schema_hash(), IPC_SCHEMA_HASH_BYTES),
		.role = self,
		.instance = instance };

	c->greets = true;
	c->state = IPC_IN_START;
	c->next = next;
	c->peer_role = peer;
	return ipc_send(c, IPC_hello, &h, NULL);
}

uint64_t ipc_chan_peer_instance(const struct ipc_chan *c)
{
	return c->peer_instance;
}

void ipc_chan_expect_instance(struct ipc_chan *c, uint64_t instance)
{
	c->told_instance = instance;
}

bool ipc_chan_owns_sid(const struct ipc_chan *c, uint64_t sid)
{
	return !c->greets || (c->peer_instance != 0 && sid >> 32 == c->peer_instance);
}

void ipc_chan_refuse(struct ipc_chan *c, enum ipc_type type, const char *why)
{
	refuse(c, ipc_desc(type)->name, why);
}

void ipc_chan_set_state(struct ipc_chan *c, enum ipc_state state)
{
	if (!c->gone)
		c->state = state;
}

enum ipc_state ipc_chan_state(const struct ipc_chan *c)
{
	return c->state;
}

void ipc_chan_set_queue_max(struct ipc_chan *c, size_t bytes)
{
	c->queue_max = bytes;
}

size_t ipc_chan_queued(const struct ipc_chan *c)
{
	return c->queued;
}

void ipc_chan_pause(struct ipc_chan *c, bool paused)
{
	if (c->paused == paused || c->gone || c->dead)
		return;
	c->paused = paused;
	if (c->ev_in == NULL)
		return;
	if (paused)
		event_del(c->ev_in);
	else
		event_add(c->ev_in, NULL);
}

int ipc_recv_wait(
    struct ipc_chan *c, int timeout_ms, enum ipc_type *ret_type, union ipc_any *ret_m, int *ret_fds)
{
	unsigned nfds = 0;
	ssize_t got;

	if (c->rx == NULL)
		c->rx = malloc(IPC_PACKET_MAX);
	if (c->rx == NULL)
		return -ENOMEM;
	for (;;) {
		for (int i = 0; i < IPC_FDS_MAX; i++)
			ret_fds[i] = -1;
		nfds = 0;
		got = c->gone ? 0 : packet_recv(c->fd, c->rx, ret_fds, &nfds);
		if (got == -EAGAIN) {
			struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
			int r = poll(&pfd, 1, timeout_ms);

			if (r == 0)
				return 1;
			continue;
		}
		if (got <= 0) {
			fds_close(ret_fds, got == 0 ? nfds : 0);
			recv_failed(c, got);
			return got == -EBADMSG ? -EBADMSG : 1;
		}
		if (packet_check(c, slice_of(c->rx, (size_t)got), nfds, ret_type, ret_m) == 0)
			return 0;
		fds_close(ret_fds, nfds);
		if (c->gone)
			return -EBADMSG;
	}
}

int ipc_chan_fd(const struct ipc_chan *c)
{
	return c->fd;
}
