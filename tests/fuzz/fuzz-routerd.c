/*
 * Any messages of delivering connections, an administrator, authd and stored, in any order, against
 * routerd's core on the memory engine with faults: no assert falls, nobody is told that a recipient
 * is good whose target stored has not taken, nor on a connection for submission before it was told
 * of a login and had a sender allowed; and nothing is left of connections that have gone.
 *
 * Input: a byte (bit 0: the administrator has the Master right; else the rest is its account), then
 * operations: a byte that names a message, then its fields: a number is a byte, bytes are a length
 * byte and as much. The arguments of a verb are one byte that counts them, then each as bytes.
 */
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "routerd/routerd.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

enum { OPS_MAX = 200 };

static const enum ipc_type messages[] = { IPC_rcpt_ask, IPC_dir_ask, IPC_route_login,
	IPC_secret_dropped, IPC_account_done, IPC_post_target_done, IPC_sender_ask, IPC_post_login,
	IPC_post_logout, IPC_may_ask, IPC_store_may_ask, IPC_foreign_ask };

enum {
	N_MESSAGES = sizeof(messages) / sizeof(messages[0]),
	OP_RCPT = N_MESSAGES, /* a new connection */
	OP_STORED,            /* stored takes what it was asked last */
	OP_FAULTS,
	OPS
};

struct far_end {
	struct ipc_chan *chan;
	struct world *w;
};

struct world {
	struct routerd rd;
	struct engine *engine;
	struct ipc_chan *acceptor;
	struct far_end rcpt, admin, authd, stored, far_acceptor;
	enum ipc_type asked;
	uint32_t seq;
	uint64_t sid;
	unsigned taken, good;
	bool login, may; /* this connection is for submission; a sender of it was allowed */
};

static void far_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct world *w = ((struct far_end *)arg)->w;

	w->good += type == IPC_rcpt_reply && m->rcpt_reply.status == IPC_ROUTE_OK;
	w->may |= type == IPC_sender_reply && m->sender_reply.status == IPC_ROUTE_OK;
	assert(type != IPC_rcpt_reply || !w->login || w->may);
	assert(type != IPC_sender_reply || w->login);
	if (type == IPC_post_target || type == IPC_account_make || type == IPC_account_drop) {
		w->asked = type;
		w->seq = type == IPC_post_target    ? m->post_target.seq
			 : type == IPC_account_make ? m->account_make.seq
						    : m->account_drop.seq;
	}
}

static void far_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&((struct far_end *)arg)->chan);
}

static void rd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct world *w = arg;

	if (type == IPC_account_done) {
		account_on_done(&w->rd, &m->account_done);
	} else if (type == IPC_post_target_done) {
		w->taken += m->post_target_done.status == IPC_ST_OK;
		rcpt_on_target_done(&w->rd, &m->post_target_done);
	} else if (type == IPC_store_may_ask) {
		login_on_store_may(&w->rd, c, &m->store_may_ask);
	} else if (type == IPC_foreign_ask) {
		foreign_on_ask(&w->rd, c, &m->foreign_ask);
	} else {
		login_on_msg(&w->rd, c, type, m, fds);
	}
}

static void rd_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	abort(); /* what we send is of the schema */
}

static const struct ipc_ops far_ops = { far_msg, far_gone, NULL },
			    rd_ops = { rd_msg, rd_gone, NULL };

static void far_open(struct world *w, struct far_end *e, int take_fd, enum ipc_ch kind, bool upper)
{
	ipc_chan_free(&e->chan);
	e->w = w;
	e->chan = ipc_chan_new(w->rd.base, take_fd, kind, upper, &far_ops, e);
	if (e->chan == NULL)
		abort();
}

static struct ipc_chan *peer(struct world *w, enum ipc_ch kind, bool upper, struct far_end *far)
{
	int sv[2];

	if (ipc_pair(sv) != 0)
		abort();
	far_open(w, far, sv[1], kind, !upper);
	return ipc_chan_new(w->rd.base, sv[0], kind, upper, &rd_ops, w);
}

static void spin(struct world *w, int turns)
{
	for (int i = 0; i < turns; i++) {
		event_base_loop(w->rd.base, EVLOOP_NONBLOCK);
		engine_dispatch(w->engine, 0);
	}
}

static void connect_rcpt(struct world *w)
{
	int sv[2];

	if (ipc_pair(sv) != 0)
		abort();
	w->login = (++w->sid & 1) == 0;
	w->may = false;
	rcpt_on_attach(&w->rd, w->acceptor,
	    &(struct ipc_rcpt_attach){ .sid = w->sid, .login = w->login }, &sv[0]);
	fd_close(&sv[0]);
	far_open(w, &w->rcpt, sv[1], IPC_CH_RCPT, false);
}

static void put_args(struct wire_reader *r, struct buf *out)
{
	for (unsigned n = wire_get_u8(r) % 8; n > 0; n--) {
		size_t len = wire_get_u8(r);

		wire_put_bytes(out, wire_get_raw(r, len < wire_left(r) ? len : wire_left(r)));
	}
}

/* Text ends at the first NUL: the channel lets none through. */
static void text_cut(struct slice *s)
{
	const void *nul = s->n > 0 ? memchr(s->p, 0, s->n) : NULL;

	if (nul != NULL)
		s->n = (size_t)((const uint8_t *)nul - s->p);
}

/* Fields of one message from the input; what is sent is always of the schema. */
static void message(struct world *w, enum ipc_type type, struct wire_reader *r)
{
	const struct ipc_desc *d = ipc_desc(type);
	struct buf args = BUF_INIT(4096);
	union ipc_any m = { 0 };
	struct far_end *to = d->channel == IPC_CH_RCPT         ? &w->rcpt
			     : d->channel == IPC_CH_AUTH_ROUTE ? &w->authd
			     : d->channel == IPC_CH_ADMIN_DIR  ? &w->admin
							       : &w->stored;

	for (const struct ipc_field *f = d->fields; f->kind != IPC_KIND_END; f++) {
		uint8_t *at = (uint8_t *)&m + f->off;

		if (f->kind == IPC_KIND_U32) {
			*(uint32_t *)at = wire_get_u8(r);
		} else if (f->kind == IPC_KIND_BYTES || f->kind == IPC_KIND_TEXT) {
			size_t n = wire_get_u8(r);

			n = n < wire_left(r) ? n : wire_left(r);
			*(struct slice *)at = wire_get_raw(r, n < f->max ? n : f->max);
			if (f->kind == IPC_KIND_TEXT)
				text_cut((struct slice *)at);
		} else {
			*(uint64_t *)at = wire_get_u8(r);
		}
	}
	if (type == IPC_dir_ask && m.dir_ask.args.n == 0) {
		put_args(r, &args);
		m.dir_ask.args = buf_slice(&args);
	}
	if (to->chan != NULL)
		(void)ipc_send(to->chan, type, &m, NULL);
	buf_fini(&args);
}

static void stored_takes(struct world *w)
{
	if (w->stored.chan == NULL)
		return;
	if (w->asked == IPC_post_target)
		(void)ipc_send(w->stored.chan, IPC_post_target_done,
		    &(struct ipc_post_target_done){ w->seq, IPC_ST_OK }, NULL);
	else
		(void)ipc_send(w->stored.chan, IPC_account_done,
		    &(struct ipc_account_done){ w->seq, IPC_ST_OK }, NULL);
}

static void operation(struct world *w, struct wire_reader *r, unsigned op)
{
	struct engine_faults faults = { 0 };

	switch (op) {
	case OP_RCPT:
		connect_rcpt(w);
		break;
	case OP_STORED:
		stored_takes(w);
		break;
	case OP_FAULTS:
		faults.full = wire_get_u8(r) % 4;
		(void)engine_faults_set(w->engine, &faults);
		break;
	default:
		message(w, messages[op], r);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world *w = calloc(1, sizeof(*w));
	struct wire_reader r = wire_reader(slice_of(data, n));
	uint8_t first = wire_get_u8(&r);
	struct ipc_dir_open dir = { .rights = first & 1,
		.account = (first & 1) != 0 ? 0 : first >> 1 };
	int sv[2];

	log_init(-1, false, LOG_EMERG);
	if (w == NULL || engine_open("mem", -1, NULL, &w->engine) != 0 ||
	    db_open(&w->rd.db, w->engine, SLICE("b")) != 0 || ipc_pair(sv) != 0)
		abort();
	w->rd.base = event_base_new();
	route_init(&w->rd.route);
	w->rd.stored = peer(w, IPC_CH_ROUTE_STORE, false, &w->stored);
	w->rd.authd = peer(w, IPC_CH_AUTH_ROUTE, false, &w->authd);
	w->acceptor = peer(w, IPC_CH_ATTACH_RCPT, true, &w->far_acceptor);
	dir_on_open(&w->rd, &dir, sv[0]);
	far_open(w, &w->admin, sv[1], IPC_CH_ADMIN_DIR, false);
	connect_rcpt(w);
	for (int i = 0; i < OPS_MAX && wire_left(&r) > 0; i++) {
		operation(w, &r, wire_get_u8(&r) % OPS);
		spin(w, 3);
		assert(w->good <= w->taken);
	}
	ipc_chan_free(&w->rcpt.chan);
	ipc_chan_free(&w->admin.chan);
	(void)engine_faults_set(w->engine, &(struct engine_faults){ 0 });
	spin(w, 20);
	assert(w->rd.rcpt_conns == NULL && w->rd.rcpt_waits == NULL && w->rd.dir_conns == NULL);
	ipc_chan_free(&w->rd.stored);
	account_on_peer_gone(&w->rd);
	ipc_chan_free(&w->rd.authd);
	account_on_peer_gone(&w->rd);
	ipc_chan_free(&w->acceptor);
	ipc_chan_free(&w->stored.chan);
	ipc_chan_free(&w->authd.chan);
	ipc_chan_free(&w->far_acceptor.chan);
	table_job_end(&w->rd);
	db_close(&w->rd.db);
	engine_close(&w->engine);
	route_fini(&w->rd.route);
	event_base_free(w->rd.base);
	free(w);
	return 0;
}
