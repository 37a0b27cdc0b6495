/*
 * peer - the channels to other daemons: authd, routerd, acceptors, parsed, stored-external.
 *
 * One that breaks the rules loses its channel; sessions and deliveries under way do not notice.
 */
#include "stored/store-private.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void peer_ref(struct peer *p)
{
	p->refs++;
}

void peer_unref(struct peer *p)
{
	assert(p->refs > 0);
	if (--p->refs == 0)
		free(p);
}

void peer_end(struct peer *p)
{
	struct store *st = p->st;

	if (p->chan == NULL)
		return;
	LIST_REMOVE(p, link);
	ipc_chan_free(&p->chan);
	if (p->kind == IPC_CH_ADMIN_STORE)
		st->n_admins--;
	if (p->kind == IPC_CH_ROUTE_STORE) {
		admin_may_gone(st);
		foreign_routerd_gone(st);
	}
	if (st->parser == p) {
		st->parser = NULL;
		parse_peer_gone(st);
	}
	peer_unref(p);
}

struct peer *peer_routerd(struct store *st)
{
	struct peer *p;

	LIST_FOREACH(p, &st->peers, link)
	if (p->kind == IPC_CH_ROUTE_STORE && p->chan != NULL)
		return p;
	return NULL;
}

/* ---- questions that wait for an account ---- */

struct ask {
	struct peer *peer;
	uint32_t seq;
	struct session_args args;
	uint8_t text[];
};

static struct ask *ask_new(struct peer *p, uint32_t seq, size_t text)
{
	struct ask *q = calloc(1, sizeof(*q) + text);

	if (q == NULL)
		return NULL;
	peer_ref(p);
	q->peer = p;
	q->seq = seq;
	return q;
}

static void ask_free(struct ask *q)
{
	peer_unref(q->peer);
	free(q);
}

static void session_failed(struct peer *p, uint32_t seq, int status)
{
	struct ipc_session_failed f = { seq, (uint32_t)status };

	if (p->chan != NULL)
		(void)ipc_send(p->chan, IPC_session_failed, &f, NULL);
}

static void on_session_account(void *arg, int status, struct account *a)
{
	struct ask *q = arg;
	int fd = -1;

	if (status == IPC_ST_OK && q->peer->chan == NULL)
		status = IPC_ST_TRYLATER;
	if (status == IPC_ST_OK)
		status = session_new(a, &q->args, &fd);
	if (status == IPC_ST_OK)
		(void)ipc_send(
		    q->peer->chan, IPC_session_opened, &(struct ipc_session_opened){ q->seq }, &fd);
	else
		session_failed(q->peer, q->seq, status);
	ask_free(q);
}

static void on_session_open(struct peer *p, const struct ipc_session_open *m)
{
	struct ask *q = ask_new(p, m->seq, m->name.n + m->service.n + m->peer.n);
	struct slice from[3] = { m->name, m->service, m->peer }, to[3];
	size_t at = 0;

	if (q == NULL) {
		session_failed(p, m->seq, IPC_ST_TRYLATER);
		return;
	}
	for (int i = 0; i < 3; i++) {
		if (from[i].n > 0)
			memcpy(q->text + at, from[i].p, from[i].n);
		to[i] = slice_of(q->text + at, from[i].n);
		at += from[i].n;
	}
	q->args = (struct session_args){ m->sid, m->quota, to[0], to[1], to[2], .flags = m->flags };
	account_get(p->st, m->account, 0, on_session_account, q);
}

static void account_done(void *arg, int status, struct account *a)
{
	struct ask *q = arg;
	struct ipc_account_done d = { q->seq, (uint32_t)status };

	if (q->peer->chan != NULL)
		(void)ipc_send(q->peer->chan, IPC_account_done, &d, NULL);
	ask_free(q);
}

static void on_account_drop(struct peer *p, const struct ipc_account_drop *m)
{
	struct ask *q = ask_new(p, m->seq, 0);

	if (q == NULL) {
		struct ipc_account_done d = { m->seq, IPC_ST_TRYLATER };

		(void)ipc_send(p->chan, IPC_account_done, &d, NULL);
		return;
	}
	account_drop(p->st, m->account, account_done, q);
}

struct identity_ask {
	struct store *st;
	uint64_t except_sid;
	char service[33]; /* empty: of every service */
};

static void on_identity_account(void *arg, int status, struct account *a)
{
	struct identity_ask *q = arg;

	if (a != NULL && q->service[0] != '\0')
		session_end_service(a, slice_str(q->service), IPC_BYE_IDENTITY);
	else if (a != NULL)
		session_end_all(q->st, a, q->except_sid, IPC_BYE_IDENTITY);
	free(q);
}

/*
 * Password, rights or state of an account changed: whoever is in was let in by the old ones. A
 * session that waits for its account to be loaded was let in before, too: this waits behind it.
 */
static void identity_changed(
    struct store *st, uint64_t account, uint64_t except_sid, struct slice service)
{
	struct identity_ask *q;

	if (service.n == 0 || slice_eq(service, SLICE("pwd")))
		admin_end_all(st, account, except_sid);
	if (idmap_get(&st->accounts, account) == NULL)
		return;
	q = malloc(sizeof(*q));
	if (q == NULL)
		abort(); /* the alternative is a session that should have ended */
	*q = (struct identity_ask){ .st = st, .except_sid = except_sid };
	snprintf(q->service, sizeof(q->service), "%.*s", SLICE_FMT(service));
	account_get(st, account, 0, on_identity_account, q);
}

static void service_off(struct store *st, const struct ipc_service_off *m)
{
	struct wire_reader r = wire_reader(m->accounts);

	while (wire_left(&r) >= 8)
		identity_changed(st, wire_get_u64(&r), 0, m->service);
}

static int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static void peer_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct peer *p = arg;
	struct store *st = p->st;

	switch (type) {
	case IPC_session_open:
		on_session_open(p, &m->session_open);
		break;
	case IPC_identity_changed:
		identity_changed(
		    st, m->identity_changed.account, m->identity_changed.except_sid, SLICE_NONE);
		break;
	case IPC_account_changed:
		identity_changed(st, m->account_changed.account, 0, SLICE_NONE);
		break;
	case IPC_service_off:
		service_off(st, &m->service_off);
		break;
	case IPC_accounts_changed:
		for (struct slice s = m->accounts_changed.accounts; s.n >= 8; s = slice_from(s, 8))
			identity_changed(st, wire_load_u64(s.p), 0, SLICE_NONE);
		break;
	case IPC_store_open:
		admin_open(st, &m->store_open, fd_take(&fds[0]));
		break;
	case IPC_account_make:
		account_first(p, &m->account_make);
		break;
	case IPC_account_drop:
		on_account_drop(p, &m->account_drop);
		break;
	case IPC_post_target:
		post_target(st, &m->post_target, p);
		break;
	case IPC_post_attach:
		if (ipc_chan_owns_sid(c, m->post_attach.sid))
			post_attach(st, m->post_attach.sid, fd_take(&fds[0]));
		else
			ipc_chan_refuse(c, type, "another acceptor's connection");
		break;
	case IPC_policy_is:
		policy_is(st, &m->policy_is);
		break;
	case IPC_policy_stale:
		policy_stale(st, &m->policy_stale);
		break;
	case IPC_alerts_are:
		alerts_are(st, &m->alerts_are);
		break;
	case IPC_alerts_new:
		alerts_new(st, &m->alerts_new);
		break;
	case IPC_store_may_reply:
		admin_may_reply(st, &m->store_may_reply);
		break;
	case IPC_foreign_is:
		foreign_is(st, &m->foreign_is);
		break;
	case IPC_parse_facts:
		parse_facts(st, &m->parse_facts);
		break;
	default:
		admin_msg(p, type, m);
		break;
	}
}

static void peer_on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct peer *p = arg;

	if (why == IPC_GONE_BAD || why == IPC_GONE_SLOW)
		store_bad_peer(
		    p->st, ipc_ch_name(p->kind), p->sid, why == IPC_GONE_BAD ? "message" : "slow");
	else if (p->kind != IPC_CH_ADMIN_STORE)
		log_ev(LOG_NOTICE, "ipc.gone", kv_s("peer", ipc_ch_name(p->kind)));
	peer_end(p);
}

static void peer_on_drain(void *arg, struct ipc_chan *c)
{
	struct peer *p = arg;

	if (p == p->st->parser)
		parse_drained(p->st);
}

static const struct ipc_ops peer_ops = { peer_on_msg, peer_on_gone, peer_on_drain };

struct peer *peer_new(struct store *st, int take_fd, enum ipc_ch kind)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		fd_close(&take_fd);
		return NULL;
	}
	*p = (struct peer){ .st = st, .kind = kind, .refs = 1 };
	p->chan = ipc_chan_new(st->base, take_fd, kind, true, &peer_ops, p);
	if (p->chan == NULL) {
		free(p);
		return NULL;
	}
	LIST_INSERT_HEAD(&st->peers, p, link);
	return p;
}

int store_attach(
    struct store *st, int take_fd, enum ipc_ch kind, enum ipc_role role, uint64_t instance)
{
	struct peer *p;

	if (kind != IPC_CH_AUTH_STORE && kind != IPC_CH_ROUTE_STORE && kind != IPC_CH_ATTACH_POST &&
	    kind != IPC_CH_PARSE && kind != IPC_CH_EXTERNAL) {
		fd_close(&take_fd);
		return -EINVAL;
	}
	p = peer_new(st, take_fd, kind);
	if (p == NULL)
		return -ENOMEM;
	ipc_chan_expect_instance(p->chan, instance);
	if (role != IPC_ROLE_NONE)
		(void)ipc_chan_hello(p->chan, IPC_ROLE_STORED, st->instance, role, IPC_IN_RUN);
	if (kind == IPC_CH_ROUTE_STORE)
		alerts_routerd_came(st);
	if (kind == IPC_CH_PARSE) {
		if (st->parser != NULL)
			peer_end(st->parser);
		st->parser = p;
		parse_start(st);
	}
	return 0;
}
