/*
 * admin-may - requests of administrators that are accounts: routerd says each time whether they
 * may.
 */
#include "stored/lost.h"

#include <stdlib.h>

/* One request while routerd is asked. */
struct admin_may {
	LIST_ENTRY(admin_may) link;
	struct peer *from;
	uint32_t seq;
	enum ipc_type type;
	union {
		struct ipc_sess_list list;
		struct ipc_sess_kick kick;
		struct ipc_stat_ask stat;
		struct ipc_upkeep_ask upkeep;
	} m;
};

/* What is asked for, and about whom; false when the request makes no sense or there is no session.
 */
static bool wants(
    struct peer *from, enum ipc_type type, const union ipc_any *m, struct ipc_store_may_ask *ret)
{
	switch (type) {
	case IPC_sess_list:
		ret->what = IPC_MAY_SEE_SESSIONS;
		ret->target = m->sess_list.account;
		return true;
	case IPC_stat_ask:
		ret->what = IPC_MAY_SEE_FIGURES;
		ret->target = m->stat_ask.account;
		return true;
	case IPC_upkeep_ask:
		ret->what = m->upkeep_ask.what == IPC_UPKEEP_STATE ||
				    m->upkeep_ask.what == IPC_UPKEEP_DAMAGED
				? IPC_MAY_SEE_FIGURES
				: IPC_MAY_UPKEEP;
		return true;
	case IPC_sess_kick:
		ret->what = IPC_MAY_END_SESSIONS;
		ret->target = m->sess_kick.sid != 0 ? session_account(from->st, m->sess_kick.sid)
						    : m->sess_kick.account;
		return ret->target != 0;
	default:
		return false;
	}
}

static void may_free(struct admin_may *q)
{
	LIST_REMOVE(q, link);
	peer_unref(q->from);
	free(q);
}

static bool keep(struct peer *from, enum ipc_type type, const union ipc_any *m, uint32_t seq)
{
	struct admin_may *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return false;
	q->from = from;
	q->seq = seq;
	q->type = type;
	if (type == IPC_sess_list)
		q->m.list = m->sess_list;
	else if (type == IPC_sess_kick)
		q->m.kick = m->sess_kick;
	else if (type == IPC_upkeep_ask)
		q->m.upkeep = m->upkeep_ask;
	else
		q->m.stat = m->stat_ask;
	peer_ref(from);
	LIST_INSERT_HEAD(&from->st->mays, q, link);
	return true;
}

void admin_ask(struct peer *from, enum ipc_type type, const union ipc_any *m)
{
	struct store *st = from->st;
	struct ipc_store_may_ask ask = { .seq = ++st->may_seq, .who = from->account };
	struct peer *to = peer_routerd(st);

	if (from->account == 0 || !wants(from, type, m, &ask))
		admin_refuse(from, type, m, IPC_ST_DENIED);
	else if (to == NULL || !keep(from, type, m, ask.seq))
		admin_refuse(from, type, m, IPC_ST_TRYLATER);
	else
		(void)ipc_send(to->chan, IPC_store_may_ask, &ask, NULL);
}

static void settle(struct admin_may *q, int status)
{
	union ipc_any m;

	if (q->type == IPC_sess_list)
		m.sess_list = q->m.list;
	else if (q->type == IPC_sess_kick)
		m.sess_kick = q->m.kick;
	else if (q->type == IPC_upkeep_ask)
		m.upkeep_ask = q->m.upkeep;
	else
		m.stat_ask = q->m.stat;
	if (q->from->chan != NULL && status == IPC_ST_OK)
		admin_do(q->from, q->type, &m);
	else if (q->from->chan != NULL)
		admin_refuse(q->from, q->type, &m, status);
	may_free(q);
}

void admin_may_reply(struct store *st, const struct ipc_store_may_reply *r)
{
	struct admin_may *q;

	LIST_FOREACH(q, &st->mays, link)
	{
		if (q->seq != r->seq)
			continue;
		settle(q, r->status == IPC_DIR_OK ? IPC_ST_OK : IPC_ST_DENIED);
		return;
	}
	lost_may_reply(st, r->seq, r->status == IPC_DIR_OK ? IPC_ST_OK : IPC_ST_DENIED);
}

void admin_may_gone(struct store *st)
{
	while (!LIST_EMPTY(&st->mays))
		settle(LIST_FIRST(&st->mays), IPC_ST_TRYLATER);
	lost_may_gone(st);
}
