#include "common/ipc/chan-private.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <event2/event.h>
#include <stdlib.h>

bool ipc_holds_secret(enum ipc_type type)
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

static void chan_destroy(struct ipc_chan *c)
{
	ipc_queue_drop(c);
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

void ipc_chan_leave(struct ipc_chan *c)
{
	if (--c->busy == 0 && c->dead)
		chan_destroy(c);
}

void ipc_chan_gone(struct ipc_chan *c, enum ipc_gone why)
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
	ipc_chan_leave(c);
}

void ipc_chan_bad(struct ipc_chan *c, const char *msg, const char *why)
{
	log_ev(LOG_WARNING, "ipc.bad", kv_s("peer", ipc_ch_name(c->kind)), kv_s("msg", msg),
	    kv_s("why", why));
	ipc_chan_gone(c, IPC_GONE_BAD);
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
	c->ev_in = event_new(base, take_fd, EV_READ | EV_PERSIST, ipc_chan_readable, c);
	c->ev_out = event_new(base, take_fd, EV_WRITE | EV_PERSIST, ipc_chan_writable, c);
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
	ipc_chan_bad(c, ipc_desc(type)->name, why);
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

int ipc_chan_fd(const struct ipc_chan *c)
{
	return c->fd;
}
