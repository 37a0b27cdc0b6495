/*
 * lost-ask - what a session and an administrator may ask about what is lost, checked.
 */
#include "stored/lost.h"
#include "stored/session-private.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a session: of its own account ---- */

static void refuse(struct session *s, uint32_t seq, int status)
{
	struct ipc_lost_done d = { .seq = seq, .status = (uint32_t)status };

	session_answer(s, IPC_lost_done, &d);
}

bool lost_on_session_msg(struct session *s, enum ipc_type type, const union ipc_any *m)
{
	const struct ipc_lost_ask *q = &m->lost_ask;
	struct lost_ask ask;

	if (type != IPC_lost_ask)
		return false;
	if (q->what < IPC_LOST_LIST || q->what > IPC_LOST_RESTORE || !pairs_good(q->uids)) {
		refuse(s, q->seq, IPC_ST_BAD);
		session_bad(s, "lost");
		return true;
	}
	if (!session_admit(s, q->uids.n))
		return true;
	ask = (struct lost_ask){ .session = s,
		.own = true,
		.account = s->account,
		.seq = q->seq,
		.what = q->what,
		.limit = q->limit,
		.name = q->name,
		.mbox = q->mbox,
		.since = q->since,
		.until = q->until,
		.uids = q->uids };
	if (!lost_job(&ask))
		session_end(s, IPC_BYE_STORE);
	return true;
}

/* ---- an administrator ---- */

struct undelete {
	LIST_ENTRY(undelete) link; /* of those of which routerd is asked */
	struct lost_ask ask;
	uint64_t account;
	uint32_t may_seq;
	uint8_t text[];
};

static void answer(struct peer *p, uint32_t seq, int status)
{
	struct ipc_undelete_done d = { .seq = seq, .status = (uint32_t)status };

	if (p->chan != NULL)
		(void)ipc_send(p->chan, IPC_undelete_done, &d, NULL);
}

/* What changes something is for the record. */
static void tell(const struct peer *p, const struct undelete *u, int status)
{
	static const char *const verbs[] = { [IPC_LOST_RESTORE] = "undelete_restore",
		[IPC_LOST_PURGE] = "undelete_purge",
		[IPC_LOST_HOLD] = "undelete_hold",
		[IPC_LOST_RELEASE] = "undelete_release" };
	char object[40];

	if (u->ask.what < IPC_LOST_RESTORE)
		return;
	snprintf(object, sizeof(object), "#%llu", (unsigned long long)u->account);
	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", p->sid), kv_s("who", p->who),
	    kv_s("verb", verbs[u->ask.what]), kv_s("object", object),
	    kv_s("result", status == IPC_ST_OK ? "asked" : "refused"));
}

static void on_account(void *arg, int status, struct account *a)
{
	struct undelete *u = arg;
	struct peer *p = u->ask.peer;

	u->ask.account = a;
	if (status == IPC_ST_OK && !lost_job(&u->ask))
		status = IPC_ST_TRYLATER;
	tell(p, u, status);
	if (status != IPC_ST_OK)
		answer(p, u->ask.seq, status);
	peer_unref(p);
	free(u);
}

static bool sensible(const struct ipc_undelete_ask *q)
{
	return q->what >= IPC_LOST_LIST && q->what <= IPC_LOST_RELEASE && q->account != 0 &&
	       pairs_good(q->uids);
}

static void undelete_go(struct undelete *u)
{
	account_get(u->ask.peer->st, u->account, 0, on_account, u);
}

/* Not for him, or not now. */
static void undelete_refuse(struct undelete *u, int status)
{
	tell(u->ask.peer, u, status);
	answer(u->ask.peer, u->ask.seq, status);
	peer_unref(u->ask.peer);
	free(u);
}

static void may_settle(struct undelete *u, int status)
{
	LIST_REMOVE(u, link);
	if (status == IPC_ST_OK)
		undelete_go(u);
	else
		undelete_refuse(u, status);
}

void lost_may_reply(struct store *st, uint32_t seq, int status)
{
	struct undelete *u;

	LIST_FOREACH(u, &st->lost_mays, link)
	{
		if (u->may_seq != seq)
			continue;
		may_settle(u, status);
		return;
	}
}

void lost_may_gone(struct store *st)
{
	while (!LIST_EMPTY(&st->lost_mays))
		may_settle(LIST_FIRST(&st->lost_mays), IPC_ST_TRYLATER);
}

/* An administrator of some accounts: routerd says whether this is one of them. */
static void may_ask(struct undelete *u)
{
	struct peer *p = u->ask.peer, *to = peer_routerd(p->st);
	struct ipc_store_may_ask m = { .seq = ++p->st->may_seq,
		.who = p->account,
		.target = u->account,
		.what = u->ask.what > IPC_LOST_RESTORE ? IPC_MAY_PURGE : IPC_MAY_RESTORE };

	if (p->account == 0) {
		undelete_refuse(u, IPC_ST_DENIED);
		return;
	}
	if (to == NULL) {
		undelete_refuse(u, IPC_ST_TRYLATER);
		return;
	}
	u->may_seq = m.seq;
	LIST_INSERT_HEAD(&p->st->lost_mays, u, link);
	(void)ipc_send(to->chan, IPC_store_may_ask, &m, NULL);
}

bool lost_on_admin_msg(struct peer *p, enum ipc_type type, const union ipc_any *m)
{
	const struct ipc_undelete_ask *q = &m->undelete_ask;
	bool master = (p->rights & IPC_RIGHT_MASTER) != 0;
	struct undelete *u;

	if (type != IPC_undelete_ask)
		return false;
	if (!sensible(q)) {
		answer(p, q->seq, IPC_ST_BAD);
		return true;
	}
	u = malloc(sizeof(*u) + q->name.n + q->uids.n);
	if (u == NULL) {
		answer(p, q->seq, IPC_ST_TRYLATER);
		return true;
	}
	*u = (struct undelete){ .account = q->account };
	if (q->name.n > 0)
		memcpy(u->text, q->name.p, q->name.n);
	if (q->uids.n > 0)
		memcpy(u->text + q->name.n, q->uids.p, q->uids.n);
	u->ask = (struct lost_ask){ .peer = p,
		.own = !master && p->account == q->account,
		.seq = q->seq,
		.what = q->what,
		.limit = q->limit,
		.name = slice_of(u->text, q->name.n),
		.mbox = q->mbox,
		.since = q->since,
		.until = q->until,
		.uids = slice_of(u->text + q->name.n, q->uids.n) };
	peer_ref(p);
	if (master || (p->account == q->account && q->what <= IPC_LOST_RESTORE))
		undelete_go(u);
	else
		may_ask(u);
	return true;
}
