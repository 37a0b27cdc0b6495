#include "authd/authd.h"

#include "authd/limits.h"
#include "common/base/io.h"

#include <stdlib.h>

struct work {
	struct authd *a;
	struct ipc_chan *chan;
	const struct work_ops *ops;
	void *arg;
};

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct work *w = arg;

	w->ops->on_msg(w->arg, type, m);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
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
	w->chan = ipc_chan_new(a->base, sv[0], IPC_CH_WORK, true, &work_ipc_ops, w);
	if (w->chan == NULL) {
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
	return ipc_send(w->chan, type, msg, NULL);
}

void work_free(struct work **wp)
{
	struct work *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	w->a->workers--;
	ipc_chan_free(&w->chan);
	free(w);
}
