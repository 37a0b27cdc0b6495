/*
 * session - who is logged in: made by authd's word, ended by the peer, an administrator, a change
 * of identity or its own bad behaviour.
 */
#include "stored/session-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <assert.h>
#include <stdlib.h>

static void session_on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct session *s = arg;

	if (why == IPC_GONE_BAD || why == IPC_GONE_SLOW)
		store_bad_peer(s->st, "session", s->sid, why == IPC_GONE_BAD ? "message" : "slow");
	session_end(s, 0);
}

static void session_on_drain(void *arg, struct ipc_chan *c)
{
	struct session *s = arg;

	for (unsigned i = 0; i < SESSION_HANDLES_MAX; i++)
		if (s->views[i] != NULL && s->views[i]->lagging)
			feed_catch_up(s->views[i]);
	session_pump(s);
}

static const struct ipc_ops session_ops = { session_on_msg, session_on_gone, session_on_drain };

static struct slice text_add(uint8_t **at, struct slice s)
{
	struct slice copy = slice_of(*at, s.n);

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static struct session *session_alloc(struct account *a, const struct session_args *args)
{
	struct session *s = calloc(1, sizeof(*s));
	uint8_t *at;

	if (s == NULL)
		return NULL;
	s->text = at = malloc(args->name.n + args->service.n + args->peer.n + 1);
	s->fetch = calloc(1, sizeof(*s->fetch));
	if (at == NULL || s->fetch == NULL) {
		free(s->text);
		free(s->fetch);
		free(s);
		return NULL;
	}
	s->name = text_add(&at, args->name);
	s->service = text_add(&at, args->service);
	s->peer = text_add(&at, args->peer);
	s->account = a;
	s->st = a->st;
	s->sid = args->sid;
	s->admin = args->admin;
	s->flags = args->flags;
	s->since_s = clock_wall_s();
	s->credit = IPC_WINDOW_BYTES;
	s->fetch->st = a->st;
	s->fetch->session = s;
	TAILQ_INIT(&s->requests);
	STAILQ_INIT(&s->stash);
	return s;
}

/* A whole window: else what does not fit waits in memory, and is copied once more. */
static void window_room(int fd)
{
	int bytes = IPC_WINDOW_BYTES;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int session_new(struct account *a, const struct session_args *args, int *ret_fd)
{
	struct session *s;
	int fds[2];

	if (a->st->stopping || a->n_sessions >= SESSIONS_PER_ACCOUNT_MAX)
		return IPC_ST_TRYLATER;
	if (ipc_pair(fds) != 0)
		return IPC_ST_TRYLATER;
	window_room(fds[0]);
	s = session_alloc(a, args);
	if (s != NULL)
		s->chan = ipc_chan_new(a->st->base, fds[0], IPC_CH_SESSION, true, &session_ops, s);
	else
		fd_close(&fds[0]);
	if (s == NULL || s->chan == NULL) {
		fd_close(&fds[1]);
		if (s != NULL) {
			free(s->text);
			free(s->fetch);
			free(s);
		}
		return IPC_ST_TRYLATER;
	}
	account_ref(a);
	a->quota = args->quota;
	policy_want(a);
	a->n_sessions++;
	a->st->n_sessions++;
	a->st->counts.sessions++;
	LIST_INSERT_HEAD(&a->sessions, s, account_link);
	LIST_INSERT_HEAD(&a->st->sessions, s, link);
	if (!s->admin && slice_eq(s->service, SLICE("imap")))
		alerts_want(a);
	/* Its reader is a program that may be of another build than ours. */
	if (args->admin)
		(void)ipc_chan_hello(
		    s->chan, IPC_ROLE_STORED, a->st->instance, IPC_ROLE_NONE, IPC_IN_RUN);
	*ret_fd = fds[1];
	return IPC_ST_OK;
}

void session_end(struct session *s, enum ipc_bye why)
{
	if (s->dead)
		return;
	if (why != 0)
		(void)ipc_send(s->chan, IPC_session_bye, &(struct ipc_session_bye){ why }, NULL);
	s->dead = true;
	ipc_chan_free(&s->chan);
	LIST_REMOVE(s, account_link);
	LIST_REMOVE(s, link);
	s->account->n_sessions--;
	s->st->n_sessions--;
	alerts_forget(s);
	LIST_INSERT_HEAD(&s->st->dead_sessions, s, link);
	store_sweep_soon(s->st);
}

void session_free(struct session *s)
{
	struct request *q;
	struct op *op;
	struct account *a = s->account;

	assert(s->dead && !s->pumping);
	LIST_REMOVE(s, link);
	if (s->pump_later)
		TAILQ_REMOVE(&s->st->pump_later, s, pump_link);
	for (size_t i = 0; i < a->n_mboxes; i++)
		change_forget(a->mboxes[i], s);
	for (size_t i = 0; i < a->n_gone; i++)
		change_forget(a->gone[i], s);
	tree_forget(a, s);
	guests_forget(s);
	foreign_forget(s);
	append_drop(s);
	session_unstash(s);
	while ((op = LIST_FIRST(&s->ops)) != NULL) {
		LIST_REMOVE(op, link);
		op->session = NULL;
	}
	for (unsigned i = 0; i < SESSION_HANDLES_MAX; i++)
		if (s->views[i] != NULL)
			view_close(s, i + 1);
	while ((q = TAILQ_FIRST(&s->requests)) != NULL) {
		TAILQ_REMOVE(&s->requests, q, link);
		request_free(&q);
	}
	if (s->fetch->busy)
		s->fetch->session = NULL; /* the callback frees it */
	else
		free(s->fetch);
	guests_free(s);
	free(s->client);
	free(s->text);
	free(s);
	tree_reap(a);
	account_unref(a);
}

struct ipc_chan *session_chan(const struct session *s)
{
	return s->chan;
}

void session_bad(struct session *s, const char *why)
{
	if (++s->bad < SESSION_BAD_MAX)
		return;
	store_bad_peer(s->st, "session", s->sid, why);
	session_end(s, IPC_BYE_PROTOCOL);
}

void session_pump_all(struct account *a)
{
	struct session *s, *next;
	struct guest *g;

	for (s = LIST_FIRST(&a->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, account_link);
		session_pump(s);
	}
	LIST_FOREACH(g, &a->guests, account_link)
	session_pump(g->session);
}

unsigned session_end_all(struct store *st, struct account *a, uint64_t except_sid, enum ipc_bye why)
{
	struct session *s, *next;
	unsigned n = 0;

	for (s = a != NULL ? LIST_FIRST(&a->sessions) : LIST_FIRST(&st->sessions); s != NULL;
	     s = next) {
		next = a != NULL ? LIST_NEXT(s, account_link) : LIST_NEXT(s, link);
		if (except_sid != 0 && s->sid == except_sid)
			continue;
		session_end(s, why);
		n++;
	}
	return n + (a != NULL ? guests_end(a, why) : 0);
}

unsigned session_end_service(struct account *a, struct slice service, enum ipc_bye why)
{
	struct session *s, *next;
	unsigned n = 0;

	for (s = LIST_FIRST(&a->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, account_link);
		if (!slice_eq(s->service, service))
			continue;
		session_end(s, why);
		n++;
	}
	return n;
}

unsigned session_kick(struct store *st, uint64_t sid)
{
	struct session *s, *next;
	unsigned n = 0;

	for (s = LIST_FIRST(&st->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (s->sid != sid)
			continue;
		session_end(s, IPC_BYE_KICKED);
		n++;
	}
	return n;
}

uint64_t session_account(const struct store *st, uint64_t sid)
{
	const struct session *s;

	LIST_FOREACH(s, &st->sessions, link)
	if (s->sid == sid)
		return s->account->id;
	return 0;
}

bool session_on_client(struct session *s, enum ipc_type type, const union ipc_any *m)
{
	struct slice name = m->session_client.name;
	char *text;

	if (type != IPC_session_client)
		return false;
	text = malloc(name.n + 1);
	if (text == NULL)
		return true; /* it is told less */
	for (size_t i = 0; i < name.n; i++)
		text[i] = name.p[i] >= ' ' && name.p[i] < 0x7f ? (char)name.p[i] : '?';
	text[name.n] = '\0';
	free(s->client);
	s->client = text;
	return true;
}

static void list_send(struct peer *to, uint32_t seq, bool more, struct buf *rows)
{
	struct ipc_sess_rows reply = { seq, more, buf_slice(rows) };

	if (to->chan != NULL)
		(void)ipc_send(to->chan, IPC_sess_rows, &reply, NULL);
	buf_reset(rows);
}

void session_list(struct store *st, struct peer *to, const struct ipc_sess_list *q)
{
	struct buf rows = BUF_INIT(61440);
	struct slice client;
	struct session *s;
	size_t n;

	LIST_FOREACH(s, &st->sessions, link)
	{
		if (q->account != 0 && s->account->id != q->account)
			continue;
		client = s->client != NULL ? slice_str(s->client) : SLICE_NONE;
		n = 24 + 12 + 8 + s->name.n + s->service.n + s->peer.n + client.n;
		if (rows.n + n > rows.max)
			list_send(to, q->seq, true, &rows);
		wire_put_u64(&rows, s->sid);
		wire_put_u64(&rows, s->account->id);
		wire_put_u64(&rows, (uint64_t)s->since_s);
		wire_put_bytes(&rows, s->name);
		wire_put_bytes(&rows, s->service);
		wire_put_bytes(&rows, s->peer);
		wire_put_u32(&rows, s->flags);
		wire_put_bytes(&rows, client);
	}
	list_send(to, q->seq, false, &rows);
	buf_fini(&rows);
}
