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

static uint64_t used(const struct account *a)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < a->n_mboxes; i++)
		sum += a->mboxes[i]->pub.bytes;
	return sum;
}

/* The highest level that is passed, in per cent; 0: none. */
static uint32_t level_now(const struct account *a)
{
	const uint32_t levels[] = { a->policy.notice, a->policy.alert, 100 };
	uint64_t bytes = used(a);
	uint32_t top = 0;

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		uint64_t part = levels[i];
		uint64_t from = a->quota / 100 * part + a->quota % 100 * part / 100;

		if (part != 0 && bytes >= from && part > top)
			top = levels[i];
	}
	return top;
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
	uint32_t level = s->account->quota_level;

	(void)ipc_send(
	    s->chan, IPC_quota_level, &(struct ipc_quota_level){ level, level >= 100 }, NULL);
	s->account->quota_untold = false;
}

void quota_look(struct account *a)
{
	uint32_t level, before = a->quota_level;
	struct session *s;

	if (!a->policy_known)
		return;
	level = a->quota != 0 ? level_now(a) : 0;
	a->quota_level = level;
	/* It was passed before we looked: whoever had to know was told then. */
	if (!a->quota_seen) {
		a->quota_seen = true;
		return;
	}
	if (level <= before) {
		a->quota_untold &= level == before;
		return;
	}
	log_ev(LOG_NOTICE, "stored.quota", kv_u("account", a->id), kv_u("count", level));
	a->quota_untold = true;
	LIST_FOREACH(s, &a->sessions, account_link)
	if (has_events(s))
		tell(s);
	if (a->policy.alert != 0 && before < a->policy.alert && level >= a->policy.alert)
		quota_warn(a, used(a));
}

void quota_tell_late(struct session *s)
{
	if (s->account->quota_untold && s->chan != NULL)
		tell(s);
}
