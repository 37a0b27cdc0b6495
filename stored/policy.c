/*
 * policy - what an account may, by its settings: asked of routerd when the account is used, and
 * again when the answer is a minute old or settings change. Until there is one, our default holds;
 * nothing is purged before.
 */
#include "stored/store-private.h"

#include "common/base/clock.h"
#include "common/base/wire.h"

void policy_want(struct account *a)
{
	struct peer *p = peer_routerd(a->st);
	int64_t now = clock_mono_ms();

	if (p == NULL || (a->policy_asked_ms != 0 && now - a->policy_asked_ms < POLICY_AGE_MS))
		return;
	a->policy_asked_ms = now;
	(void)ipc_send(p->chan, IPC_policy_ask, &(struct ipc_policy_ask){ a->id }, NULL);
}

void policy_is(struct store *st, const struct ipc_policy_is *m)
{
	struct account *a = idmap_get(&st->accounts, m->account);

	if (a == NULL)
		return;
	a->policy = (struct account_policy){ .undelete_s = (int64_t)m->undelete_s,
		.restores_per_day = m->restores,
		.messages_max = m->messages,
		.notice = m->notice,
		.alert = m->alert,
		.suspend = m->suspend,
		.compress = m->compress != 0 };
	a->policy_known = true;
	a->quota = m->quota;
	if (a->state == ACCOUNT_READY)
		quota_look(a);
}

static void stale(struct account *a)
{
	a->policy_asked_ms = 0;
	if (a->n_sessions > 0)
		policy_want(a);
}

void policy_stale(struct store *st, const struct ipc_policy_stale *m)
{
	struct account *a;
	size_t at = 0;

	for (struct slice ids = m->accounts; ids.n >= 8; ids = slice_from(ids, 8))
		if ((a = idmap_get(&st->accounts, wire_load_u64(ids.p))) != NULL)
			stale(a);
	while (m->accounts.n == 0 && (a = idmap_next(&st->accounts, &at)) != NULL)
		stale(a);
}
