/* alerts-verbs - administrators post alerts, look at them and take them away. */
#include "routerd/alerts.h"
#include "routerd/change.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdio.h>

/* Whose alerts these are: args 0 and 1. False after having answered. */
static bool request_holder(struct request *q, enum alert_scope *ret_scope, uint64_t *ret_id)
{
	struct domain *dom;
	struct object *o;

	*ret_id = 0;
	if (slice_ieq(q->args[0], SLICE("server"))) {
		*ret_scope = ALERT_SERVER;
		return true;
	}
	if (slice_ieq(q->args[0], SLICE("domain"))) {
		*ret_scope = ALERT_DOMAIN;
		dom = request_domain(q, q->args[1]);
		*ret_id = dom != NULL ? dom->id : 0;
		return dom != NULL;
	}
	if (slice_ieq(q->args[0], SLICE("account"))) {
		*ret_scope = ALERT_ACCOUNT;
		o = request_account(q, q->args[1]);
		*ret_id = o != NULL ? o->id : 0;
		return o != NULL;
	}
	reply_error(q, IPC_DIR_BAD, "alerts are of the server, a domain or an account");
	return false;
}

static void put_alerts(struct request *q, const struct alerts *a)
{
	char time_s[24];

	for (size_t i = 0; a != NULL && i < a->n; i++) {
		snprintf(time_s, sizeof(time_s), "%lld", (long long)a->v[i].time_s);
		item(q, slice_str(time_s));
		item(q, slice_str(a->v[i].text));
	}
}

void verb_alert_list(struct request *q)
{
	enum alert_scope scope;
	uint64_t id;

	if (!request_holder(q, &scope, &id))
		return;
	put_alerts(q, alerts_find(q->rd->db.dir.alerts, scope, id));
	done(q);
}

static bool is_told(const int64_t *told, size_t n, int64_t time_s)
{
	for (size_t i = 0; i < n; i++)
		if (told[i] == time_s)
			return true;
	return false;
}

/* Each with a time that no other one of the answer has, as clients know them by it, and two holders
 * may have got theirs in the same second. How many are told then. */
static size_t put_apart(struct request *q, const struct alerts *a, int64_t *told, size_t n)
{
	char text[24];

	for (size_t i = 0; a != NULL && i < a->n; i++) {
		int64_t time_s = a->v[i].time_s;

		while (is_told(told, n, time_s))
			time_s++;
		told[n++] = time_s;
		snprintf(text, sizeof(text), "%lld", (long long)time_s);
		item(q, slice_str(text));
		item(q, slice_str(a->v[i].text));
	}
	return n;
}

/* All that concern the account. */
void verb_alert_effective(struct request *q)
{
	struct object *o = request_account(q, q->args[0]);
	struct alerts *all = q->rd->db.dir.alerts;
	const struct alerts *holders[ALERT_SCOPES];
	int64_t told[ALERT_SCOPES * ALERTS_MAX];
	size_t n = 0;

	if (o == NULL)
		return;
	holders[0] = alerts_find(all, ALERT_SERVER, 0);
	holders[1] = alerts_find(all, ALERT_DOMAIN, o->domain->id);
	holders[2] = alerts_find(all, ALERT_ACCOUNT, o->id);
	for (size_t i = 0; i < ALERT_SCOPES; i++)
		n = put_apart(q, holders[i], told, n);
	done(q);
}

/* ---- changing ---- */

static void alerts_apply(struct change *ch)
{
	struct alerts *future = ch->alerts_future, *a = ch->alerts, old = *a;

	memcpy(a->v, future->v, sizeof(a->v));
	a->n = future->n;
	memcpy(future->v, old.v, sizeof(old.v));
	future->n = old.n;
	a->in_flow = false;
	if (alerts_newest(a) > alerts_newest(future))
		alerts_tell_new(ch->rd, a->key[0], wire_load_u64be(a->key + 1));
}

static void alerts_undo(struct change *ch)
{
	ch->alerts->in_flow = false;
}

/* The holder's alerts, and a copy of them to change; NULL after having answered. */
static struct change *begin(struct request *q)
{
	enum alert_scope scope;
	uint64_t id;
	struct alerts *a;
	struct change *ch;

	if (!request_holder(q, &scope, &id))
		return NULL;
	a = alerts_make(&q->rd->db.dir.alerts, scope, id);
	if (a == NULL) {
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return NULL;
	}
	if (a->in_flow) {
		reply_error(q, IPC_DIR_TRYLATER, "another change of these alerts is on its way");
		return NULL;
	}
	ch = change_new(q);
	if (ch == NULL)
		return NULL;
	ch->alerts = a;
	ch->apply = alerts_apply;
	ch->undo = alerts_undo;
	ch->alerts_future = calloc(1, sizeof(*ch->alerts_future));
	if (ch->alerts_future != NULL && alerts_copy(ch->alerts_future, a) == 0)
		return ch;
	change_free(ch);
	reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	return NULL;
}

static void commit(struct change *ch)
{
	struct db *db = &ch->rd->db;
	struct engine_batch *b = db_begin(db);

	memcpy(ch->alerts_future->key, ch->alerts->key, sizeof(ch->alerts->key));
	ch->alerts->in_flow = true;
	change_commit(ch, b, b != NULL ? db_put_alerts(b, ch->alerts_future) : 0);
}

/* A text that stays keeps its time, and nobody sees it again; a new one is newer than all others.
 */
static int64_t time_for(const struct change *ch, struct slice text)
{
	int64_t time_s = alerts_time_of(ch->alerts, text), now = clock_wall_s();
	int64_t before = alerts_newest(ch->alerts), last = alerts_newest(ch->alerts_future);

	if (time_s != 0 && alerts_time_of(ch->alerts_future, text) == 0)
		return time_s;
	if (last > before)
		before = last;
	return now > before ? now : before + 1;
}

/* False after having answered and freed. */
static bool add(struct request *q, struct change *ch, struct slice text)
{
	static const char *const why[] = { "out of memory", "there are too many alerts already",
		"an alert is one line of at most 500 bytes" };
	int rc = alerts_add(ch->alerts_future, time_for(ch, text), text);

	if (rc == 0)
		return true;
	change_free(ch);
	reply_error(q, rc < 0 ? IPC_DIR_TRYLATER : IPC_DIR_BAD, why[rc < 0 ? 0 : rc]);
	return false;
}

void verb_alert_post(struct request *q)
{
	struct change *ch = begin(q);

	if (ch != NULL && add(q, ch, q->args[2]))
		commit(ch);
}

void verb_alert_set(struct request *q)
{
	struct change *ch = begin(q);

	if (ch == NULL)
		return;
	alerts_clear(ch->alerts_future);
	for (size_t i = 2; i < q->n; i++)
		if (!add(q, ch, q->args[i]))
			return;
	commit(ch);
}

/* By its text, or by its time in seconds. */
void verb_alert_remove(struct request *q)
{
	struct change *ch = begin(q);
	uint64_t time_s = 0;

	if (ch == NULL)
		return;
	if (q->n > 3)
		slice_u64(q->args[3], INT64_MAX, &time_s);
	if (alerts_remove(ch->alerts_future, q->args[2], 0) ||
	    (time_s != 0 && alerts_remove(ch->alerts_future, SLICE_NONE, (int64_t)time_s))) {
		commit(ch);
		return;
	}
	change_free(ch);
	reply_error(q, IPC_DIR_NOTFOUND, "there is no such alert");
}

/* ---- the log ---- */

void verb_log_write(struct request *q)
{
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
	uint64_t level = 0;

	if (slice_u64(q->args[0], 5, &level) != 0 || level == 0) {
		reply_error(q, IPC_DIR_BAD, "the level is a number from 1 (error) to 5 (debug)");
		return;
	}
	if (q->args[1].n == 0 || q->args[1].n > ALERT_TEXT_MAX) {
		reply_error(q, IPC_DIR_BAD, "the text has 1 to 500 bytes");
		return;
	}
	log_ev(levels[level - 1] | LOG_AUDIT, "admin.note", kv_str("text", q->args[1]));
	done(q);
}
