/*
 * Any messages of the schema on a session, a post and an administrator's channel, in any order,
 * against stored's core on the memory engine, with faults: no assert falls, no memory is touched
 * that is not ours, and at the end the mailbox's header counts what a scan finds.
 *
 * Input: a byte of engine faults, then operations: a byte that names a message (or one of the other
 * operations below), then its fields: a number is a byte below 0xf0 as it is or 0xf0 and raw bytes;
 * bytes are a length byte and as much.
 */
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/engine/engine.h"
#include "common/ipc/chan.h"
#include "stored/store.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

enum { OPS_MAX = 400, ACCOUNT = 7, OTHER = 8 };

struct far_end {
	struct ipc_chan *chan;
	struct world *w;
};

struct world {
	struct event_base *base;
	struct engine *engine;
	struct store *store;
	struct far_end authd, routerd, acceptor, parsed, session[2], post, admin;
	int fd, opened, rows_came;
	struct ipc_mbox_opened last_open;
	size_t rows;
	uint64_t sid;
	uint32_t session_seq;
};

/* The numbers of operations are what the seeds say: new ones come behind. */
static const enum ipc_type messages[] = { IPC_mbox_open, IPC_mbox_close, IPC_mbox_scan,
	IPC_body_get, IPC_session_credit, IPC_facts_get, IPC_flags_store, IPC_msg_expunge,
	IPC_post_begin, IPC_post_data, IPC_post_commit, IPC_post_abort, IPC_parse_facts,
	IPC_identity_changed, IPC_account_make, IPC_account_drop };

static const enum ipc_type more_messages[] = { IPC_mbox_uids, IPC_gone_get, IPC_mbox_told,
	IPC_keyword_make, IPC_append_begin, IPC_append_msg, IPC_append_data, IPC_append_end,
	IPC_append_commit, IPC_append_abort, IPC_msg_copy, IPC_quota_get, IPC_mbox_list,
	IPC_mbox_create, IPC_mbox_delete, IPC_mbox_rename, IPC_mbox_subscribe, IPC_mbox_status,
	IPC_parts_get, IPC_lost_ask, IPC_foreign_is, IPC_mbox_place, IPC_append_place,
	IPC_session_alerted, IPC_session_client, IPC_sess_list, IPC_sess_kick, IPC_stat_ask,
	IPC_sess_open, IPC_undelete_ask };

enum {
	N_MESSAGES = sizeof(messages) / sizeof(messages[0]),
	N_MORE = sizeof(more_messages) / sizeof(more_messages[0]),
	OP_SPIN = N_MESSAGES,
	OP_TARGET,
	OP_POST_CLOSE,
	OP_SESSION_CLOSE,
	OP_SESSION,
	OP_PARSED,
	OP_FAULTS,
	OP_SECOND,
	OP_MORE,
	OPS = OP_MORE + N_MORE
};

static enum ipc_type message_type(unsigned n)
{
	n %= N_MESSAGES + N_MORE;
	return n < N_MESSAGES ? messages[n] : more_messages[n - N_MESSAGES];
}

/* As routerd: one name is another account's, one the own, one waits for an answer that may never
 * come. */
static void foreign(struct ipc_chan *c, const struct ipc_foreign_ask *m)
{
	struct ipc_foreign_is is = { .seq = m->seq, .status = IPC_DIR_DENIED };

	if (slice_eq(m->name, SLICE("b")))
		is.account = OTHER;
	else if (slice_eq(m->name, SLICE("a")))
		is.account = m->who;
	else if (slice_eq(m->name, SLICE("w")))
		return;
	if (is.account != 0)
		is.status = IPC_DIR_OK;
	(void)ipc_send(c, IPC_foreign_is, &is, NULL);
}

static const struct ipc_ops ops;

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct far_end *e = arg;

	if (type == IPC_sess_opened) {
		/* An administrator's own takes the place of the second. */
		ipc_chan_free(&e->w->session[1].chan);
		e->w->session[1].chan = ipc_chan_new(
		    e->w->base, fds[0], IPC_CH_SESSION, false, &ops, &e->w->session[1]);
		fds[0] = -1;
		if (e->w->session[1].chan != NULL)
			(void)ipc_chan_hello(
			    e->w->session[1].chan, IPC_ROLE_NONE, 0, IPC_ROLE_STORED, IPC_IN_RUN);
	} else if (type == IPC_session_opened) {
		/* One that was given up may have ended since. */
		if (m->session_opened.seq != e->w->session_seq)
			return;
		e->w->fd = fds[0];
		fds[0] = -1;
	} else if (type == IPC_foreign_ask) {
		foreign(c, &m->foreign_ask);
	} else if (type == IPC_mbox_opened) {
		e->w->last_open = m->mbox_opened;
		e->w->opened++;
	} else if (type == IPC_mbox_rows) {
		e->w->rows += m->mbox_rows.rows.n / IPC_ROW_BYTES;
		e->w->rows_came++;
	}
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct far_end *e = arg;

	assert(why != IPC_GONE_BAD);
	ipc_chan_free(&e->chan);
}

static const struct ipc_ops ops = { on_msg, on_gone, NULL };

static void spin(struct world *w, int turns)
{
	for (int i = 0; i < turns; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

/* Until *count is not 0; what waits for the clock gets time. */
static void wait_for(struct world *w, const int *count)
{
	for (int i = 0; i < 2000 && *count == 0; i++) {
		struct timeval ms = { 0, 1000 };

		event_base_loopexit(w->base, &ms);
		event_base_loop(w->base, EVLOOP_ONCE);
	}
}

static void attach(struct world *w, struct far_end *e, enum ipc_ch kind)
{
	int fds[2];

	if (ipc_pair(fds) != 0)
		abort();
	e->w = w;
	if (store_attach(w->store, fds[1], kind, IPC_ROLE_NONE, 0) != 0)
		abort();
	ipc_chan_free(&e->chan);
	e->chan = ipc_chan_new(w->base, fds[0], kind, false, &ops, e);
}

static void session_start(struct world *w, struct far_end *e)
{
	struct ipc_session_open q = { ++w->session_seq, ++w->sid, ACCOUNT, SLICE("n"),
		SLICE("imap"), SLICE_NONE };

	fd_close(&w->fd);
	(void)ipc_send(w->authd.chan, IPC_session_open, &q, NULL);
	for (int i = 0; i < 50 && w->fd < 0; i++)
		spin(w, 2);
	if (w->fd < 0)
		return;
	ipc_chan_free(&e->chan);
	e->w = w;
	e->chan = ipc_chan_new(w->base, w->fd, IPC_CH_SESSION, false, &ops, e);
	w->fd = -1;
}

static void target(struct world *w, uint32_t handle, uint64_t quota)
{
	struct ipc_post_target t = { 1, w->sid, handle, ACCOUNT, quota };

	(void)ipc_send(w->routerd.chan, IPC_post_target, &t, NULL);
	spin(w, 4);
}

static void post_start(struct world *w)
{
	struct ipc_post_attach a = { ++w->sid };
	int fds[2];

	if (ipc_pair(fds) != 0)
		abort();
	ipc_chan_free(&w->post.chan);
	w->post.w = w;
	(void)ipc_send(w->acceptor.chan, IPC_post_attach, &a, &fds[1]);
	w->post.chan = ipc_chan_new(w->base, fds[0], IPC_CH_POST, false, &ops, &w->post);
	target(w, 1, 0);
}

static void admin_start(struct world *w)
{
	int fds[2];

	if (ipc_pair(fds) != 0)
		abort();
	w->admin.w = w;
	(void)ipc_send(w->authd.chan, IPC_store_open,
	    &(struct ipc_store_open){ .name = SLICE("root"), .rights = IPC_RIGHT_MASTER }, &fds[1]);
	w->admin.chan = ipc_chan_new(w->base, fds[0], IPC_CH_ADMIN_STORE, false, &ops, &w->admin);
}

static uint64_t number(struct wire_reader *r, bool wide)
{
	uint8_t b = wire_get_u8(r);

	if (b < 0xf0)
		return b;
	return wide ? wire_get_u64(r) : wire_get_u32(r);
}

/* Names that are likely to be there, for those that the input makes short. */
static void name_set(struct slice *name)
{
	static const char *const names[] = { "INBOX", "There", "There/below", "Elsewhere",
		"~b/INBOX", "~b/There", "~a/There", "~w/INBOX" };

	if (name->n <= 1)
		*name = slice_str(names[name->n == 0 ? 0 : name->p[0] % 8]);
}

/* Pairs of a few bytes: one range. */
static void pairs_set(struct slice *pairs)
{
	static uint8_t p[8];

	if (pairs->n == 0 || pairs->n > 2)
		return;
	wire_store_u32(p, pairs->p[0] % 8 + 1);
	wire_store_u32(p + 4, pairs->n == 1 ? pairs->p[0] % 8 + 1 : 255);
	*pairs = slice_of(p, 8);
}

static void message_likely(enum ipc_type type, union ipc_any *m)
{
	switch (type) {
	case IPC_account_make:
		m->account_make.account = ACCOUNT + m->account_make.account % 2;
		break;
	case IPC_identity_changed:
		m->identity_changed.account = ACCOUNT + m->identity_changed.account % 2;
		break;
	case IPC_mbox_open:
		name_set(&m->mbox_open.name);
		break;
	case IPC_append_begin:
		name_set(&m->append_begin.name);
		break;
	case IPC_foreign_is:
		m->foreign_is.name = SLICE("name"); /* what routerd sends is well formed */
		break;
	case IPC_mbox_status:
		name_set(&m->mbox_status.name);
		break;
	case IPC_quota_get:
		name_set(&m->quota_get.name);
		break;
	case IPC_mbox_list:
		if (m->mbox_list.prefix.n == 1)
			m->mbox_list.prefix = SLICE("~b/");
		break;
	case IPC_mbox_create:
		name_set(&m->mbox_create.name);
		break;
	case IPC_mbox_delete:
		name_set(&m->mbox_delete.name);
		break;
	case IPC_mbox_rename:
		name_set(&m->mbox_rename.from);
		name_set(&m->mbox_rename.to);
		break;
	case IPC_msg_copy:
		name_set(&m->msg_copy.to);
		pairs_set(&m->msg_copy.uids);
		break;
	case IPC_flags_store:
		pairs_set(&m->flags_store.uids);
		break;
	case IPC_msg_expunge:
		pairs_set(&m->msg_expunge.uids);
		break;
	case IPC_facts_get:
		pairs_set(&m->facts_get.uids);
		break;
	case IPC_mbox_place:
		name_set(&m->mbox_place.name);
		break;
	case IPC_sess_open:
		m->sess_open.account = ACCOUNT + m->sess_open.account % 2;
		break;
	case IPC_undelete_ask:
		m->undelete_ask.account = ACCOUNT + m->undelete_ask.account % 2;
		m->undelete_ask.until = INT64_MAX;
		pairs_set(&m->undelete_ask.uids);
		break;
	case IPC_lost_ask:
		m->lost_ask.what = 1 + m->lost_ask.what % 3;
		m->lost_ask.until = INT64_MAX;
		m->lost_ask.mbox = 0;
		m->lost_ask.name = SLICE_NONE;
		pairs_set(&m->lost_ask.uids);
		break;
	default:
		break;
	}
}

/* Fields of one message from the input; what is sent is always of the schema. */
static void message(struct world *w, enum ipc_type type, struct wire_reader *r, struct far_end *s)
{
	const struct ipc_desc *d = ipc_desc(type);
	union ipc_any m = { 0 };
	struct far_end *to = d->channel == IPC_CH_POST          ? &w->post
			     : d->channel == IPC_CH_PARSE       ? &w->parsed
			     : d->channel == IPC_CH_ROUTE_STORE ? &w->routerd
			     : d->channel == IPC_CH_AUTH_STORE  ? &w->authd
			     : d->channel == IPC_CH_ADMIN_STORE ? &w->admin
								: s;

	for (const struct ipc_field *f = d->fields; f->kind != IPC_KIND_END; f++) {
		uint8_t *at = (uint8_t *)&m + f->off;

		if (f->kind == IPC_KIND_U32) {
			*(uint32_t *)at = (uint32_t)number(r, false);
		} else if (f->kind == IPC_KIND_BYTES || f->kind == IPC_KIND_TEXT) {
			size_t n = wire_get_u8(r);

			n = n >= 0xf0 ? wire_get_u16(r) : n;
			n = n < wire_left(r) ? n : wire_left(r);
			*(struct slice *)at = wire_get_raw(r, n < f->max ? n : f->max);
		} else {
			*(uint64_t *)at = number(r, true);
		}
	}
	message_likely(type, &m);
	if (to->chan != NULL)
		(void)ipc_send(to->chan, type, &m, NULL);
}

static void faults(struct world *w, uint8_t b)
{
	struct engine_faults f = { .seed = b,
		.again = b & 1 ? 2 : 0,
		.unknown = b & 2 ? 5 : 0,
		.full = b & 4 ? 5 : 0,
		.io = b & 8 ? 5 : 0,
		.corrupt = b & 16 ? 4 : 0,
		.reorder = (b & 32) != 0 };

	(void)engine_faults_set(w->engine, &f);
}

static void operation(struct world *w, struct wire_reader *r, unsigned op)
{
	struct far_end *s = &w->session[0];

	switch (op) {
	case OP_SPIN:
		spin(w, 4);
		break;
	case OP_TARGET:
		target(w, wire_get_u8(r), wire_get_u8(r));
		break;
	case OP_POST_CLOSE:
		post_start(w);
		break;
	case OP_SESSION_CLOSE:
		ipc_chan_free(&s->chan);
		break;
	case OP_SESSION:
		session_start(w, s);
		break;
	case OP_PARSED:
		attach(w, &w->parsed, IPC_CH_PARSE);
		break;
	case OP_FAULTS:
		faults(w, wire_get_u8(r));
		break;
	case OP_SECOND:
		message(w, message_type(wire_get_u8(r)), r, &w->session[1]);
		break;
	default:
		message(w, op < OP_MORE ? messages[op] : more_messages[op - OP_MORE], r, s);
		break;
	}
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	++*(int *)arg;
}

/* The header counts what there is; or why it could not be opened. */
static int box_check(struct world *w, struct far_end *s, const char *name)
{
	struct ipc_mbox_open o = { 1, slice_str(name), 0 };

	w->opened = 0;
	(void)ipc_send(s->chan, IPC_mbox_open, &o, NULL);
	wait_for(w, &w->opened);
	assert(w->opened == 1);
	if (w->last_open.status != IPC_ST_OK)
		return (int)w->last_open.status;
	w->rows = 0;
	w->rows_came = 0;
	(void)ipc_send(s->chan, IPC_mbox_scan,
	    &(struct ipc_mbox_scan){ .seq = 1, .mbox = w->last_open.mbox, .from_uid = 1 }, NULL);
	wait_for(w, &w->rows_came);
	assert(w->rows == w->last_open.exists);
	return IPC_ST_OK;
}

static void check(struct world *w)
{
	struct far_end *s = &w->session[0];

	faults(w, 0);
	spin(w, 20);
	/* A drop that is under way lets no account be made yet. */
	ipc_chan_free(&s->chan);
	for (int i = 0; i < 100 && s->chan == NULL; i++) {
		int until = 0;

		(void)ipc_send(w->routerd.chan, IPC_account_make,
		    &(struct ipc_account_make){ 1, ACCOUNT }, NULL);
		event_base_once(
		    w->base, -1, EV_TIMEOUT, on_time, &until, &(struct timeval){ 0, 2000 });
		wait_for(w, &until);
		session_start(w, s);
	}
	assert(s->chan != NULL);
	if (box_check(w, s, "INBOX") != IPC_ST_OK)
		abort();
	(void)box_check(w, s, "There");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world w = { .fd = -1 };
	struct wire_reader r = wire_reader(slice_of(data, n));
	struct store_conf conf = { .undelete_s = 86400 };
	uint8_t first = wire_get_u8(&r);

	log_init(-1, false, LOG_EMERG);
	w.base = conf.base = event_base_new();
	if (w.base == NULL ||
	    engine_open(first & 64 ? "mem:one_group=1" : "mem", -1, NULL, &w.engine) != 0)
		abort();
	conf.engine = w.engine;
	if (store_new(&conf, &w.store) != 0)
		abort();
	attach(&w, &w.authd, IPC_CH_AUTH_STORE);
	attach(&w, &w.routerd, IPC_CH_ROUTE_STORE);
	attach(&w, &w.acceptor, IPC_CH_ATTACH_POST);
	(void)ipc_send(
	    w.routerd.chan, IPC_account_make, &(struct ipc_account_make){ 1, ACCOUNT }, NULL);
	(void)ipc_send(
	    w.routerd.chan, IPC_account_make, &(struct ipc_account_make){ 1, OTHER }, NULL);
	spin(&w, 8);
	session_start(&w, &w.session[0]);
	session_start(&w, &w.session[1]);
	post_start(&w);
	admin_start(&w);
	(void)ipc_send(w.session[0].chan, IPC_mbox_create,
	    &(struct ipc_mbox_create){ 1, SLICE("There"), 0 }, NULL);
	spin(&w, 4);
	faults(&w, first);
	for (int i = 0; i < OPS_MAX && wire_left(&r) > 0; i++) {
		operation(&w, &r, wire_get_u8(&r) % OPS);
		spin(&w, 1);
	}
	check(&w);
	ipc_chan_free(&w.session[0].chan);
	ipc_chan_free(&w.session[1].chan);
	ipc_chan_free(&w.post.chan);
	ipc_chan_free(&w.admin.chan);
	ipc_chan_free(&w.parsed.chan);
	ipc_chan_free(&w.authd.chan);
	ipc_chan_free(&w.routerd.chan);
	ipc_chan_free(&w.acceptor.chan);
	fd_close(&w.fd);
	store_free(&w.store);
	engine_close(&w.engine);
	event_base_free(w.base);
	return 0;
}
