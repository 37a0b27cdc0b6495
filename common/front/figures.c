#include "common/front/figures.h"

#include "common/metrics/metrics.h"

#include <stdlib.h>

void figures_accepted(const struct acceptor *a, const struct listener *l)
{
	metric_add(METRIC_connections, a->door->service, l->l->name, 1);
}

void figures_refused(const struct listener *l, const char *why)
{
	static const char *const words[][2] = { { FRONT_NOT_LISTED, "not-listed" },
		{ FRONT_ALL_IN_USE, "total" }, { FRONT_TOO_MANY, "address" },
		{ FRONT_NO_PROXY, "proxy" } };
	const char *word = "resources";

	for (size_t i = 0; why != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(why, words[i][0]) == 0)
			word = words[i][1];
	metric_add(METRIC_connections_refused, l->l->name, word, 1);
}

void figures_crashed(const struct acceptor *a)
{
	metric_add(METRIC_connections_crashed, a->door->service, "", 1);
}

/* Listeners may share a name: one port on several addresses. */
void figures_count(struct proc *p, void *arg)
{
	const struct acceptor *a = arg;

	metric_clear(METRIC_connections_open);
	for (unsigned i = 0; i < a->n_listeners; i++)
		metric_add(METRIC_connections_open, a->door->service, a->listeners[i].l->name,
		    counts_tagged(a->counts, i));
	metric_add(METRIC_connections_crashed, a->door->service, "", 0);
}

/* ---- the metrics door ----------------------------------------------------------------------- */

/* A connection that may ask. */
struct reader {
	struct acceptor *a;
	struct reader *next, **prev;
	struct ipc_chan *chan;
	bool waits;  /* for the next collection */
	bool served; /* by the one under way */
};

static struct {
	struct reader *all;
	bool collecting;
} readers;

/* A reader that comes late gets a collection of its own: figures must not be older than the
 * question. */
static void collect(struct acceptor *a)
{
	bool any = false;

	if (readers.collecting)
		return;
	for (struct reader *r = readers.all; r != NULL; r = r->next) {
		r->served = r->waits;
		r->waits = false;
		any |= r->served;
	}
	readers.collecting = any;
	if (any)
		proc_scrape(a->proc);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct reader *r = arg;

	r->waits = true;
	collect(r->a);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct reader *r = arg;

	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	ipc_chan_free(&r->chan);
	free(r);
}

void figures_serve(struct acceptor *a, int *fd)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	struct reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return; /* the connection finds the end of its channel */
	r->a = a;
	r->chan = ipc_chan_new(proc_base(a->proc), *fd, IPC_CH_COUNTS, true, &ops, r);
	*fd = -1;
	if (r->chan == NULL) {
		free(r);
		return;
	}
	r->next = readers.all;
	r->prev = &readers.all;
	if (r->next != NULL)
		r->next->prev = &r->next;
	readers.all = r;
}

void figures_scraped(struct proc *p, void *arg, struct slice packed)
{
	struct ipc_count_part part = { packed };
	bool last = packed.n == 0;

	for (struct reader *r = readers.all; r != NULL; r = r->next) {
		if (!r->served)
			continue;
		r->served = !last;
		if (last)
			ipc_send(r->chan, IPC_count_end, &(struct ipc_count_end){}, NULL);
		else
			ipc_send(r->chan, IPC_count_part, &part, NULL);
	}
	if (!last)
		return;
	readers.collecting = false;
	collect(arg);
}
