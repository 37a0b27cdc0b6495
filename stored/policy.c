/*
 * policy - what an account may, by its settings: asked of routerd when the account is used, and
 * again when the answer is a minute old. Until there is one, our default holds; nothing is purged
 * before.
 */
#include "stored/store-private.h"

#include "common/base/clock.h"

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
		.suspend = m->suspend };
	a->policy_known = true;
	a->quota = m->quota;
	if (a->state == ACCOUNT_READY)
		quota_look(a);
}
