/*
 * alerts - administrators' texts on their way from routerd, which keeps them, to the user of an
 * account: to one imap session of it, which says when they are written to its client.
 *
 * Invariant: of an account's alerts one session at most has some in its hands (alerts_to); if it
 * ends before it wrote them, another one gets them, now or at the next login.
 */
#include "stored/session-private.h"

#include "common/base/wire.h"

static struct session *reader(struct account *a)
{
	struct session *s;

	LIST_FOREACH(s, &a->sessions, account_link)
	if (!s->admin && slice_eq(s->service, SLICE("imap")))
		return s;
	return NULL;
}

void alerts_want(struct account *a)
{
	struct peer *p = peer_routerd(a->st);

	if (a->alerts_to != NULL) {
		a->alerts_again = true;
		return;
	}
	a->alerts_again = false;
	a->alerts_to = p != NULL && !a->st->stopping ? reader(a) : NULL;
	a->alerts_out = (struct ipc_alerts_told){ 0 };
	if (a->alerts_to != NULL)
		(void)ipc_send(p->chan, IPC_alerts_ask, &(struct ipc_alerts_ask){ a->id }, NULL);
}

static void over(struct account *a)
{
	bool again = a->alerts_again;

	a->alerts_to = NULL;
	if (again)
		alerts_want(a);
}

void alerts_are(struct store *st, const struct ipc_alerts_are *m)
{
	struct account *a = idmap_get(&st->accounts, m->account);

	if (a == NULL || a->alerts_to == NULL || a->alerts_out.account != 0)
		return;
	if (m->texts.n == 0) {
		over(a);
		return;
	}
	a->alerts_out = (struct ipc_alerts_told){ a->id, m->server, m->domain, m->own };
	(void)ipc_send(
	    a->alerts_to->chan, IPC_session_alerts, &(struct ipc_session_alerts){ m->texts }, NULL);
}

bool alerts_on_session_msg(struct session *s, enum ipc_type type)
{
	struct account *a = s->account;
	struct peer *p = peer_routerd(a->st);

	if (type != IPC_session_alerted)
		return false;
	if (a->alerts_to != s || a->alerts_out.account == 0)
		return true;
	if (p != NULL)
		(void)ipc_send(p->chan, IPC_alerts_told, &a->alerts_out, NULL);
	over(a);
	return true;
}

void alerts_forget(struct session *s)
{
	if (s->account->alerts_to != s)
		return;
	s->account->alerts_to = NULL;
	alerts_want(s->account);
}

void alerts_new(struct store *st, const struct ipc_alerts_new *m)
{
	struct account *a;
	size_t at = 0;

	for (struct slice ids = m->accounts; ids.n >= 8; ids = slice_from(ids, 8))
		if ((a = idmap_get(&st->accounts, wire_load_u64(ids.p))) != NULL)
			alerts_want(a);
	while (m->accounts.n == 0 && (a = idmap_next(&st->accounts, &at)) != NULL)
		alerts_want(a);
}

void alerts_routerd_came(struct store *st)
{
	struct account *a;
	size_t at = 0;

	while ((a = idmap_next(&st->accounts, &at)) != NULL) {
		/* What was asked of the one before will not be answered. */
		if (a->alerts_out.account == 0)
			a->alerts_to = NULL;
		alerts_want(a);
	}
}
