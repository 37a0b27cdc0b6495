/*
 * Any messages of a door's child, a worker, routerd and stored, in any order, against authd's core
 * on the memory engine: no assert falls, no session is asked for but for an account that routerd
 * named, none at all for a door that sends mail, and no worker is left when the door has gone.
 *
 * Input: operations: a byte that names a message (or one of the operations below), then its fields:
 * a number is a byte, bytes are a length byte and as much.
 */
#include "authd/authd.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPS_MAX = 300, ACCOUNTS = 256 };

static const enum ipc_type messages[] = { IPC_auth_start, IPC_auth_step, IPC_auth_cancel,
	IPC_auth_peer, IPC_work_name, IPC_work_challenge, IPC_work_done, IPC_work_hashed,
	IPC_route_login_reply, IPC_secret_drop, IPC_session_opened, IPC_session_failed,
	IPC_secret_set, IPC_secret_check, IPC_post_login_reply, IPC_secret_tags, IPC_secret_new,
	IPC_secret_forget, IPC_secret_take };

enum {
	N_MESSAGES = sizeof(messages) / sizeof(messages[0]),
	OP_KNOCK = N_MESSAGES,
	OP_SPIN,
	OP_START,
	OP_NAMED,
	OP_ROUTED,
	OP_OPENED,
	OP_TOLD,
	OPS
};

struct far_end {
	struct ipc_chan *chan;
	struct world *w;
	unsigned grants, posts;
	bool sends; /* a door of smtp */
};

struct world {
	struct authd a;
	struct engine *engine;
	struct far_end door, worker, pool, routerd, stored, admin;
	uint32_t route_seq, session_seq, post_seq;
	bool named[ACCOUNTS];
	unsigned opened, told;
};

/* routerd's word, by the account: one in four is refused, one in four never answered. */
static void answer_may(struct ipc_chan *c, const struct ipc_may_ask *q)
{
	struct ipc_may_reply m = { q->seq, q->target % 4 == 2 ? IPC_DIR_DENIED : IPC_DIR_OK };

	if (q->target % 4 != 3)
		ipc_send(c, IPC_may_reply, &m, NULL);
}

static void far_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct far_end *e = arg;

	e->grants += type == IPC_auth_granted || type == IPC_auth_admin;
	e->posts += type == IPC_auth_post;
	assert(e->sends ? e->grants == 0 && fds[0] < 0 : e->posts == 0);
	if (type == IPC_may_ask) {
		answer_may(c, &m->may_ask);
	} else if (type == IPC_route_login) {
		e->w->route_seq = m->route_login.seq;
	} else if (type == IPC_session_open) {
		e->w->session_seq = m->session_open.seq;
		assert(m->session_open.account < ACCOUNTS);
		assert(e->w->named[m->session_open.account]);
		e->w->opened++;
	} else if (type == IPC_post_login) {
		e->w->post_seq = m->post_login.seq;
		assert(m->post_login.account < ACCOUNTS && m->post_login.sid == 5);
		assert(e->w->named[m->post_login.account]);
		e->w->told++;
	}
}

static void far_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&((struct far_end *)arg)->chan);
}

static const struct ipc_ops far_ops = { far_msg, far_gone, NULL };

static void far_open(struct world *w, struct far_end *e, int take_fd, enum ipc_ch kind, bool upper)
{
	ipc_chan_free(&e->chan);
	*e = (struct far_end){ .w = w };
	e->chan = ipc_chan_new(w->a.base, take_fd, kind, upper, &far_ops, e);
	if (e->chan == NULL)
		abort();
	ipc_chan_set_state(e->chan, IPC_IN_RUN | IPC_IN_DIALOGUE | IPC_IN_IDLE);
}

static void pool_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct world *w = arg;

	far_open(w, &w->worker, fds[0], IPC_CH_WORK, false);
	fds[0] = -1;
}

static void authd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct world *w = arg;

	if (type == IPC_route_login_reply)
		dialogue_on_route(&w->a, &m->route_login_reply);
	else if (type == IPC_post_login_reply)
		dialogue_on_post(&w->a, &m->post_login_reply);
	else if (type == IPC_may_reply) {
		admin_on_may(&w->a, &m->may_reply);
		act_on_may(&w->a, &m->may_reply);
		keep_on_may(&w->a, &m->may_reply);
	} else if (type == IPC_secret_drop)
		admin_on_secret_drop(&w->a, &m->secret_drop);
	else if (type == IPC_secret_take)
		admin_on_secret_take(&w->a, &m->secret_take);
	else if (type == IPC_session_opened)
		dialogue_on_session(&w->a, m->session_opened.seq, &fds[0], IPC_ST_OK);
	else if (type == IPC_session_failed)
		dialogue_on_session(&w->a, m->session_failed.seq, NULL, m->session_failed.status);
}

static void no_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	abort(); /* what we send is of the schema */
}

static const struct ipc_ops pool_ops = { pool_msg, no_gone, NULL },
			    authd_ops = { authd_msg, no_gone, NULL };

static void spin(struct world *w, int turns)
{
	for (int i = 0; i < turns; i++) {
		event_base_loop(w->a.base, EVLOOP_NONBLOCK);
		engine_dispatch(w->engine, 0);
	}
}

static void knock(struct world *w, uint8_t flags)
{
	struct ipc_conn_new m = {
		.sid = 5, .service = SLICE("pop3"), .flags = flags, .uid = UINT32_MAX
	};
	bool sends = (flags & 0x80) != 0;
	int sv[2];

	m.service = sends ? SLICE("smtp") : SLICE("pop3");
	if (ipc_pair(sv) != 0)
		abort();
	dialogue_open(&w->a, w->a.pool, sends ? IPC_ROLE_SMTP : IPC_ROLE_POP3, &m, &sv[0]);
	far_open(w, &w->door, sv[1], IPC_CH_DIALOGUE, false);
	w->door.sends = sends;
}

static struct ipc_chan *peer(struct world *w, enum ipc_ch kind, bool upper, struct far_end *far)
{
	bool pool = kind == IPC_CH_WORK_POOL;
	int sv[2];

	if (ipc_pair(sv) != 0)
		abort();
	far->w = w;
	far->chan = ipc_chan_new(
	    w->a.base, sv[1], kind, !upper, pool ? &pool_ops : &far_ops, pool ? (void *)w : far);
	return ipc_chan_new(w->a.base, sv[0], kind, upper, &authd_ops, w);
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
	union ipc_any m = { 0 };
	int fds[IPC_FDS_MAX];
	struct far_end *to = d->channel == IPC_CH_DIALOGUE     ? &w->door
			     : d->channel == IPC_CH_WORK       ? &w->worker
			     : d->channel == IPC_CH_AUTH_ROUTE ? &w->routerd
			     : d->channel == IPC_CH_AUTH_STORE ? &w->stored
							       : &w->admin;

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
	if (type == IPC_route_login_reply && m.route_login_reply.status == IPC_ROUTE_OK &&
	    m.route_login_reply.account > 0)
		w->named[m.route_login_reply.account] = true;
	for (unsigned i = 0; i < d->fds; i++)
		fds[i] = dup(ipc_chan_fd(w->admin.chan != NULL ? w->admin.chan : w->pool.chan));
	if (to->chan != NULL)
		(void)ipc_send(to->chan, type, &m, fds);
	else
		for (unsigned i = 0; i < d->fds; i++)
			fd_close(&fds[i]);
}

static void operation(struct world *w, struct wire_reader *r, unsigned op)
{
	uint8_t account;

	switch (op) {
	case OP_KNOCK:
		knock(w, wire_get_u8(r));
		break;
	case OP_SPIN:
		spin(w, 8);
		break;
	case OP_START:
		if (w->door.chan != NULL)
			(void)ipc_send(w->door.chan, IPC_auth_start,
			    &(struct ipc_auth_start){ .mech = SLICE("PLAIN"), .tls = 1 }, NULL);
		break;
	case OP_NAMED:
		if (w->worker.chan != NULL)
			(void)ipc_send(w->worker.chan, IPC_work_name,
			    &(struct ipc_work_name){ .authcid = SLICE("a") }, NULL);
		break;
	case OP_ROUTED:
		account = wire_get_u8(r);
		w->named[account] |= account != 0;
		if (w->routerd.chan != NULL)
			(void)ipc_send(w->routerd.chan, IPC_route_login_reply,
			    &(struct ipc_route_login_reply){
				.seq = w->route_seq, .account = account, .name = SLICE("a@b") },
			    NULL);
		break;
	case OP_OPENED:
		if (w->stored.chan != NULL)
			(void)ipc_send(w->stored.chan, IPC_session_failed,
			    &(struct ipc_session_failed){ w->session_seq, 1 }, NULL);
		break;
	case OP_TOLD:
		if (w->routerd.chan != NULL)
			(void)ipc_send(w->routerd.chan, IPC_post_login_reply,
			    &(struct ipc_post_login_reply){ w->post_seq, wire_get_u8(r) % 3 },
			    NULL);
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
	int fd;

	log_init(-1, false, LOG_EMERG);
	if (w == NULL || engine_open("mem", -1, NULL, &w->engine) != 0 ||
	    secrets_open(&w->a.secrets, w->engine) != 0)
		abort();
	w->a.base = event_base_new();
	w->a.host = "mail.example.test";
	w->a.scheme = "plain";
	w->a.mechs = "PLAIN LOGIN";
	w->a.hide_unknown = (first & 1) != 0;
	authd_init(&w->a);
	w->a.pool = peer(w, IPC_CH_WORK_POOL, true, &w->pool);
	w->a.routerd = peer(w, IPC_CH_AUTH_ROUTE, true, &w->routerd);
	w->a.stored = peer(w, IPC_CH_AUTH_STORE, false, &w->stored);
	fd = admin_open(&w->a, 1, SLICE("root"), 0);
	far_open(w, &w->admin, fd, IPC_CH_ADMIN_AUTH, false);
	knock(w, IPC_CONN_TLS);
	for (int i = 0; i < OPS_MAX && wire_left(&r) > 0; i++) {
		operation(w, &r, wire_get_u8(&r) % OPS);
		spin(w, 2);
		assert(w->door.grants <= w->opened && w->door.posts <= w->told);
	}
	ipc_chan_free(&w->worker.chan);
	ipc_chan_free(&w->door.chan);
	spin(w, 10);
	ipc_chan_free(&w->admin.chan);
	spin(w, 10);
	admin_on_routerd_gone(&w->a);
	spin(w, 10);
	assert(w->a.by_seq == NULL && w->a.open[IPC_ROLE_POP3] == 0);
	assert(w->a.open[IPC_ROLE_SMTP] == 0);
	assert(TAILQ_EMPTY(&w->a.wait_client));
	ipc_chan_free(&w->a.pool);
	ipc_chan_free(&w->a.routerd);
	ipc_chan_free(&w->a.stored);
	ipc_chan_free(&w->pool.chan);
	ipc_chan_free(&w->routerd.chan);
	ipc_chan_free(&w->stored.chan);
	failures_fini(&w->a);
	keep_on_routerd_gone(&w->a);
	secrets_close(&w->a.secrets);
	engine_close(&w->engine);
	event_base_free(w->a.base);
	free(w);
	return 0;
}
