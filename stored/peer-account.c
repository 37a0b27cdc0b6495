/*
 * peer-account - what authd and routerd say about accounts: sessions on them, their begin and end,
 * and that somebody is not who he was.
 */
#include "stored/store-private.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

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

bool peer_account_msg(struct peer *p, enum ipc_type type, const union ipc_any *m)
{
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
	case IPC_account_make:
		account_first(p, &m->account_make);
		break;
	case IPC_account_drop:
		on_account_drop(p, &m->account_drop);
		break;
	default:
		return false;
	}
	return true;
}
