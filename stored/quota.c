/*
 * quota - how much an account may have, in bytes and messages, and the levels below that which its
 * user is told of when they are passed.
 *
 * Usage is the sum of the mailboxes' headers: it is right whenever the rows are. What can be
 * restored does not count.
 */
#include "stored/session-private.h"

#include "common/base/checked.h"
#include "common/base/log.h"

static uint64_t messages_in(const struct account *a)
{
	uint64_t n = 0;

	for (size_t i = 0; i < a->n_mboxes; i++)
		n += a->mboxes[i]->pend.exists;
	return n;
}

bool quota_lets(const struct account *a, uint64_t quota, uint64_t bytes, uint64_t n)
{
	uint64_t after;

	if (quota != 0 && (add_overflows_u64(account_usage(a), bytes, &after) || after > quota))
		return false;
	return a->policy.messages_max == 0 || messages_in(a) + n <= a->policy.messages_max;
}

uint64_t quota_of_mail(const struct account *a, uint64_t quota)
{
	uint64_t part = a->policy.suspend, most = quota / 100 * part + quota % 100 * part / 100;

	if (quota == 0 || !a->policy_known || part == 100)
		return quota;
	return most > 0 ? most : 1; /* 0 would be no limit */
}

/* ---- levels ---- */

static struct quota_use used(const struct account *a)
{
	struct quota_use u = { 0 };

	for (size_t i = 0; i < a->n_mboxes; i++) {
		u.octets += a->mboxes[i]->pub.bytes;
		u.messages += a->mboxes[i]->pub.exists;
	}
	return u;
}

/* The highest level that `n` of `max` passes, in per cent; 0: none, or there is no limit. */
static uint32_t level_of(const struct account_policy *p, uint64_t n, uint64_t max)
{
	const uint32_t levels[] = { p->notice, p->alert, 100 };
	uint32_t top = 0;

	for (size_t i = 0; max != 0 && i < sizeof(levels) / sizeof(levels[0]); i++) {
		uint64_t part = levels[i], from = max / 100 * part + (max % 100 * part + 99) / 100;

		if (part != 0 && n >= from && part > top)
			top = levels[i];
	}
	return top;
}

/* That of what is fuller. */
static uint32_t level(const struct account *a, const struct quota_use *u, uint32_t *ret_kind)
{
	uint32_t octets = level_of(&a->policy, u->octets, a->quota);
	uint32_t messages = level_of(&a->policy, u->messages, a->policy.messages_max);

	*ret_kind = messages > octets ? IPC_QUOTA_MESSAGES : IPC_QUOTA_OCTETS;
	return messages > octets ? messages : octets;
}

static bool has_events(const struct session *s)
{
	for (unsigned i = 0; i < SESSION_HANDLES_MAX; i++)
		if (s->views[i] != NULL && s->views[i]->events)
			return true;
	return false;
}

static void tell(struct session *s)
{
	struct account *a = s->account;
	struct ipc_quota_level m = { a->quota_level, a->quota_level >= 100, a->quota_kind };

	(void)ipc_send(s->chan, IPC_quota_level, &m, NULL);
	a->quota_untold = false;
}

void quota_begin(struct account *a)
{
	a->begun = used(a);
}

void quota_look(struct account *a)
{
	struct quota_use now;
	uint32_t before, kind;
	struct session *s;

	if (!a->policy_known)
		return;
	/* Now it is known what was passed before: whoever had to know was told then. */
	if (!a->quota_seen)
		a->quota_level = level(a, &a->begun, &kind);
	a->quota_seen = true;
	before = a->quota_level;
	now = used(a);
	a->quota_level = level(a, &now, &kind);
	if (a->quota_level <= before) {
		a->quota_untold &= a->quota_level == before;
		return;
	}
	a->quota_kind = kind;
	log_ev(LOG_NOTICE, "stored.quota", kv_u("account", a->id), kv_u("count", a->quota_level));
	a->quota_untold = true;
	LIST_FOREACH(s, &a->sessions, account_link)
	if (has_events(s))
		tell(s);
	if (a->policy.alert != 0 && before < a->policy.alert && a->quota_level >= a->policy.alert)
		quota_warn(a, &now);
}

void quota_tell_late(struct session *s)
{
	if (s->account->quota_untold && s->chan != NULL)
		tell(s);
}
