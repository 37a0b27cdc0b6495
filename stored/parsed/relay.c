#include "stored/parsed/relay.h"

#include "common/base/log.h"
#include "stored/parsed/limits.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

struct place {
	struct relay *relay;
	struct ipc_chan *chan; /* NULL: nobody is here */
	uint64_t account;
	uint32_t seqs[PARSED_JOBS_MAX];
	unsigned n_jobs, served;
	struct event *timer;
};

struct relay {
	struct event_base *base;
	relay_spawn_fn *spawn;
	relay_lost_fn *lost;
	void *arg;
	struct ipc_chan *stored;
	struct place places[PARSED_CHILDREN_MAX];
};

static void answer(struct relay *r, const struct ipc_parse_facts *m)
{
	if (r->stored != NULL)
		ipc_send(r->stored, IPC_parse_facts, m, NULL);
}

/* Listening to stored stops while some reader has too much before it. */
static void set_pause(struct relay *r)
{
	bool full = false;

	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++)
		full |= r->places[i].chan != NULL &&
			ipc_chan_queued(r->places[i].chan) > PARSED_QUEUE_BYTES;
	if (r->stored != NULL)
		ipc_chan_pause(r->stored, full);
}

/* The one way in which a reader's time ends: what it had not answered gets `status`. */
static void place_end(struct place *p, uint32_t status)
{
	for (unsigned i = 0; i < p->n_jobs; i++)
		answer(p->relay, &(struct ipc_parse_facts){ p->seqs[i], status });
	p->n_jobs = 0;
	event_del(p->timer);
	ipc_chan_free(&p->chan);
	set_pause(p->relay);
}

static void place_touch(struct place *p)
{
	unsigned ms = p->n_jobs > 0 ? PARSED_STILL_MS : PARSED_IDLE_MS;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(p->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	place_end(arg, IPC_ST_TRYLATER);
}

static bool place_drop_seq(struct place *p, uint32_t seq)
{
	for (unsigned i = 0; i < p->n_jobs; i++) {
		if (p->seqs[i] != seq)
			continue;
		p->seqs[i] = p->seqs[--p->n_jobs];
		return true;
	}
	return false;
}

static void on_reader_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct place *p = arg;
	struct ipc_parse_facts a = m->parse_facts;

	/* Only the facts of its own messages, and only answers that it may give. */
	if (type != IPC_parse_facts || !place_drop_seq(p, a.seq)) {
		place_end(p, IPC_ST_CORRUPT);
		return;
	}
	if (a.status != IPC_ST_OK && a.status != IPC_ST_TRYLATER)
		a.status = IPC_ST_BAD;
	answer(p->relay, &a);
	place_touch(p);
}

static void on_reader_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct place *p = arg;

	/* Without work it may have ended by its limit of CPU time; with work, mail did it. */
	if (p->n_jobs > 0)
		log_ev(LOG_NOTICE, "parse.died", kv_u("count", p->n_jobs));
	place_end(p, IPC_ST_CORRUPT);
}

static void on_reader_drain(void *arg, struct ipc_chan *c)
{
	struct place *p = arg;

	place_touch(p);
	set_pause(p->relay);
}

static const struct ipc_ops reader_ops = {
	.on_msg = on_reader_msg,
	.on_gone = on_reader_gone,
	.on_drain = on_reader_drain,
};

/* A reader in this free place: 0 or -errno. */
static int place_start(struct place *p, uint64_t account)
{
	struct relay *r = p->relay;
	int fds[2], e = ipc_pair(fds);

	if (e != 0)
		return e;
	e = r->spawn(r->arg, fds[1]);
	if (e != 0) {
		close(fds[0]);
		return e;
	}
	p->chan = ipc_chan_new(r->base, fds[0], IPC_CH_PARSE, true, &reader_ops, p);
	if (p->chan == NULL)
		return -ENOMEM;
	p->account = account;
	p->n_jobs = 0;
	p->served = 0;
	return 0;
}

/* The account's reader, a free place, or that of a reader without work. NULL when all are busy. */
static struct place *place_for(struct relay *r, uint64_t account)
{
	struct place *best = NULL;

	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++) {
		struct place *p = &r->places[i];

		if (p->chan != NULL && p->account == account && p->served < PARSED_SERVED_MAX) {
			if (p->n_jobs < PARSED_JOBS_MAX)
				return p;
			continue;
		}
		if (p->chan == NULL && (best == NULL || best->chan != NULL))
			best = p;
		else if (p->chan != NULL && p->n_jobs == 0 && best == NULL)
			best = p;
	}
	if (best == NULL)
		return NULL;
	if (best->chan != NULL)
		place_end(best, IPC_ST_TRYLATER);
	return place_start(best, account) == 0 ? best : NULL;
}

static struct place *place_of_seq(struct relay *r, uint32_t seq)
{
	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++)
		for (unsigned k = 0; k < r->places[i].n_jobs; k++)
			if (r->places[i].seqs[k] == seq)
				return &r->places[i];
	return NULL;
}

static void forward(struct place *p, enum ipc_type type, const void *m)
{
	/* A full queue or a dead reader is told by on_gone, which answers. */
	ipc_send(p->chan, type, m, NULL);
	place_touch(p);
	set_pause(p->relay);
}

static void on_begin(struct relay *r, const struct ipc_parse_begin *m)
{
	struct place *p;

	if (place_of_seq(r, m->seq) != NULL) {
		/* Two answers for one number would be a lie about one of them. */
		log_ev(LOG_ERR, "ipc.bad", kv_s("peer", "stored"), kv_s("msg", "parse_begin"),
		    kv_s("why", "number in use"));
		exit(1);
	}
	p = place_for(r, m->account);
	if (p == NULL) {
		answer(r, &(struct ipc_parse_facts){ m->seq, IPC_ST_TRYLATER });
		return;
	}
	p->seqs[p->n_jobs++] = m->seq;
	p->served++;
	forward(p, IPC_parse_begin, m);
}

static void on_stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct relay *r = arg;
	struct place *p;

	switch (type) {
	case IPC_parse_begin:
		on_begin(r, &m->parse_begin);
		break;
	case IPC_parse_data:
		/* What follows a message that has its answer already is passed over. */
		p = place_of_seq(r, m->parse_data.seq);
		if (p != NULL)
			forward(p, type, &m->parse_data);
		break;
	case IPC_parse_end:
		p = place_of_seq(r, m->parse_end.seq);
		if (p != NULL)
			forward(p, type, &m->parse_end);
		break;
	default:
		break;
	}
}

static void on_stored_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct relay *r = arg;

	log_ev(LOG_NOTICE, "ipc.gone", kv_s("peer", "stored"));
	relay_set_stored(r, NULL);
	if (r->lost != NULL)
		r->lost(r->arg);
}

const struct ipc_ops relay_stored_ops = { .on_msg = on_stored_msg, .on_gone = on_stored_gone };

void relay_set_stored(struct relay *r, struct ipc_chan *take_stored)
{
	ipc_chan_free(&r->stored);
	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++)
		if (r->places[i].chan != NULL)
			place_end(&r->places[i], IPC_ST_TRYLATER);
	r->stored = take_stored;
}

struct relay *relay_new(
    struct event_base *base, relay_spawn_fn *spawn, relay_lost_fn *lost, void *arg)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	*r = (struct relay){ .base = base, .spawn = spawn, .lost = lost, .arg = arg };
	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++) {
		r->places[i].relay = r;
		r->places[i].timer = event_new(base, -1, 0, on_timer, &r->places[i]);
		if (r->places[i].timer == NULL) {
			relay_free(&r);
			return NULL;
		}
	}
	return r;
}

void relay_free(struct relay **r)
{
	if (*r == NULL)
		return;
	relay_set_stored(*r, NULL);
	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++)
		if ((*r)->places[i].timer != NULL)
			event_free((*r)->places[i].timer);
	free(*r);
	*r = NULL;
}

unsigned relay_readers(const struct relay *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++)
		n += r->places[i].chan != NULL;
	return n;
}
