/* What goes out on a channel, at once or from its queue. */
#include "common/ipc/chan-private.h"

#include "common/base/secret.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

static void packet_free(struct ipc_packet *p)
{
	ipc_fds_close(p->fds, p->nfds);
	if (p->secret)
		secret_wipe(p->data, p->n);
	free(p);
}

void ipc_queue_drop(struct ipc_chan *c)
{
	while (c->head != NULL) {
		struct ipc_packet *p = c->head;

		c->head = p->next;
		packet_free(p);
	}
	c->tail = &c->head;
	c->queued = 0;
}

/*
 * A closed peer takes nothing more, but what it wrote before may lie in our socket: the end of file
 * behind it is what ends the channel, unless the owner does not read.
 */
static void send_failed(struct ipc_chan *c, int r)
{
	if ((r != -EPIPE && r != -ECONNRESET) || c->paused) {
		ipc_chan_gone(c, r == -EPIPE || r == -ECONNRESET ? IPC_GONE_EOF : IPC_GONE_ERROR);
		return;
	}
	c->mute = true;
	ipc_queue_drop(c);
	if (c->ev_out != NULL)
		event_del(c->ev_out);
}

void ipc_chan_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc_chan *c = arg;

	while (c->head != NULL) {
		struct ipc_packet *p = c->head;
		int r =
		    ipc_packet_send(c->fd, slice_of(p->data, p->n), SLICE_NONE, p->fds, p->nfds);

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
		ipc_chan_leave(c);
	}
}

static int packet_queue(struct ipc_chan *c, struct slice head, struct slice tail, int *take_fds,
    unsigned nfds, bool secret)
{
	size_t n = head.n + tail.n; /* a packet's: far from too many */
	struct ipc_packet *p;

	if (n > c->queue_max || c->queued > c->queue_max - n) {
		ipc_chan_gone(c, IPC_GONE_SLOW);
		return 1;
	}
	p = malloc(sizeof(*p) + n);
	if (p == NULL) {
		ipc_chan_gone(c, IPC_GONE_ERROR);
		return 1;
	}
	*p = (struct ipc_packet){ .n = n, .nfds = nfds, .secret = secret };
	memcpy(p->data, head.p, head.n);
	if (tail.n > 0)
		memcpy(p->data + head.n, tail.p, tail.n);
	for (unsigned i = 0; i < nfds; i++) {
		p->fds[i] = take_fds[i];
		take_fds[i] = -1;
	}
	*c->tail = p;
	c->tail = &p->next;
	c->queued += n;
	if (c->ev_out != NULL)
		event_add(c->ev_out, NULL);
	return 0;
}

int ipc_send(struct ipc_chan *c, enum ipc_type type, const void *msg, int *take_fds)
{
	static struct buf out = { .max = IPC_PACKET_MAX };
	const struct ipc_desc *d = ipc_desc(type);
	bool secret = ipc_holds_secret(type);
	struct slice tail = SLICE_NONE;
	int r;

	assert(d != NULL);
	buf_reset(&out);
	r = ipc_encode_parted(type, msg, &out, &tail);
	if (r == 0 && (c->gone || c->dead || c->mute))
		r = 1;
	if (r == 0 && c->head == NULL) {
		r = ipc_packet_send(c->fd, buf_slice(&out), tail, take_fds, d->fds);
		if (r == -EAGAIN || r == -ENOBUFS) {
			r = packet_queue(c, buf_slice(&out), tail, take_fds, d->fds, secret);
		} else if (r != 0) {
			send_failed(c, r);
			r = 1;
		}
	} else if (r == 0) {
		r = packet_queue(c, buf_slice(&out), tail, take_fds, d->fds, secret);
	}
	if (secret)
		secret_wipe(out.p, out.n);
	if (take_fds != NULL)
		ipc_fds_close(take_fds, d->fds);
	return r;
}
