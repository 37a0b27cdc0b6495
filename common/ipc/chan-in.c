/* What comes in on a channel: checked against the table, then handed to the owner. */
#include "common/ipc/chan-private.h"

#include "common/base/secret.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>

enum {
	TURN_MESSAGES = 64, /* handled per wake-up, so that one busy peer does not starve others */
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

static bool hello_right(struct ipc_chan *c, const struct ipc_hello *h)
{
	struct slice ours = slice_of(ipc_schema_hash(), IPC_SCHEMA_HASH_BYTES);

	if (!slice_eq(h->schema, ours)) {
		ipc_chan_bad(c, "hello",
		    "the peer was built from another message schema: reinstall the suite");
		return false;
	}
	if (c->peer_role != IPC_ROLE_NONE && h->role != c->peer_role) {
		ipc_chan_bad(c, "hello", "the peer is not who it should be");
		return false;
	}
	if (c->told_instance != 0 && h->instance != c->told_instance) {
		ipc_chan_bad(c, "hello", "the peer claims another instance");
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
		ipc_chan_bad(c, d->name, "not a message of this channel");
	else if ((d->direction & need) == 0)
		ipc_chan_bad(c, d->name, "wrong direction");
	else if ((d->when & c->state) == 0)
		ipc_chan_bad(c, d->name, "not now");
	else if (d->fds != nfds)
		ipc_chan_bad(c, d->name, "wrong number of descriptors");
	else
		return true;
	return false;
}

/* Checks one packet: 0 when it is for the owner, 1 when it was dealt with here. */
static int packet_check(struct ipc_chan *c, struct slice packet, unsigned nfds,
    enum ipc_type *ret_type, union ipc_any *ret_m)
{
	if (ipc_decode(packet, ret_type, ret_m) != 0) {
		ipc_chan_bad(c, "?", "malformed");
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
		ipc_chan_gone(c, IPC_GONE_EOF);
	else if (got == -EBADMSG)
		ipc_chan_bad(c, "?", "packet or descriptor list too long");
	else if (got != -EAGAIN)
		ipc_chan_gone(c, IPC_GONE_ERROR);
}

/* One packet from the socket to the owner; false when there is none or the channel ended. */
static bool turn_one(struct ipc_chan *c, uint8_t *rx)
{
	int fds[IPC_FDS_MAX] = { -1, -1, -1, -1 };
	union ipc_any m;
	enum ipc_type type = IPC_NONE;
	unsigned nfds = 0;
	ssize_t got = ipc_packet_recv(c->fd, rx, fds, &nfds);

	if (got <= 0) {
		ipc_fds_close(fds, nfds); /* an empty packet may carry some */
		recv_failed(c, got);
		return false;
	}
	if (packet_check(c, slice_of(rx, (size_t)got), nfds, &type, &m) == 0)
		c->ops->on_msg(c->arg, c, type, &m, fds);
	if (ipc_holds_secret(type))
		secret_wipe(rx, (size_t)got);
	ipc_fds_close(fds, nfds);
	return !c->dead && !c->gone && !c->paused;
}

void ipc_chan_readable(evutil_socket_t fd, short what, void *arg)
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
	ipc_chan_leave(c);
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
		got = c->gone ? 0 : ipc_packet_recv(c->fd, c->rx, ret_fds, &nfds);
		if (got == -EAGAIN) {
			struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
			int r = poll(&pfd, 1, timeout_ms);

			if (r == 0)
				return 1;
			continue;
		}
		if (got <= 0) {
			ipc_fds_close(ret_fds, got == 0 ? nfds : 0);
			recv_failed(c, got);
			return got == -EBADMSG ? -EBADMSG : 1;
		}
		if (packet_check(c, slice_of(c->rx, (size_t)got), nfds, ret_type, ret_m) == 0)
			return 0;
		ipc_fds_close(ret_fds, nfds);
		if (c->gone)
			return -EBADMSG;
	}
}
