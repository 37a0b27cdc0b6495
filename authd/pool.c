#include "authd/authd.h"

#include "authd/limits.h"
#include "common/base/io.h"

#include <event2/event.h>
#include <stdlib.h>

struct work {
	struct authd *a;
	struct ipc_chan *chan;
	struct event *timer; /* runs while the worker owes an answer */
	const struct work_ops *ops;
	void *arg;
};

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct work *w = arg;

	event_del(w->timer);
	w->ops->on_msg(w->arg, type, m);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct work *w = arg;

	w->ops->on_lost(w->arg);
}

static void on_hangs(evutil_socket_t fd, short what, void *arg)
{
	struct work *w = arg;

	w->ops->on_lost(w->arg);
}

static const struct ipc_ops work_ipc_ops = { .on_msg = on_msg, .on_gone = on_gone };

struct work *work_new(struct authd *a, const struct work_ops *ops, void *arg)
{
	static uint64_t id;
	struct ipc_work_new m = { .id = ++id };
	struct work *w;
	int sv[2];

	if (a->pool == NULL || a->workers >= WORKERS_MAX || ipc_pair(sv) != 0)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		fd_close(&sv[0]);
		fd_close(&sv[1]);
		return NULL;
	}
	*w = (struct work){ .a = a, .ops = ops, .arg = arg };
	w->timer = evtimer_new(a->base, on_hangs, w);
	w->chan = ipc_chan_new(a->base, sv[0], IPC_CH_WORK, true, &work_ipc_ops, w);
	if (w->timer == NULL || w->chan == NULL) {
		if (w->timer != NULL)
			event_free(w->timer);
		ipc_chan_free(&w->chan);
		free(w);
		fd_close(&sv[1]);
		return NULL;
	}
	a->workers++;
	ipc_send(a->pool, IPC_work_new, &m, &sv[1]);
	return w;
}

int work_send(struct work *w, enum ipc_type type, const void *msg)
{
	unsigned ms = w->a->worker_ms;
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(w->timer, &tv);
	return ipc_send(w->chan, type, msg, NULL);
}

void work_free(struct work **wp)
{
	struct work *w = *wp;
	struct authd *a;

	*wp = NULL;
	if (w == NULL)
		return;
	a = w->a;
	a->workers--;
	event_free(w->timer);
	ipc_chan_free(&w->chan);
	free(w);
	newcomer_next(a);
}
