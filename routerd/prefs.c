/*
 * prefs - preferences: a setting whose keys are of programs that we do not know. They are changed
 * key by key, and what counts is put together key by key: an account's own, then what its domain
 * has for all, then the server.
 */
#include "common/data/data.h"
#include "routerd/change.h"
#include "routerd/settings-ops.h"

enum { PREFS_MEM = 2 << 20, PREFS_LEVELS = 3 };

/* NULL: there are none. */
static const struct data *prefs_at(struct arena *mem, const struct settings_holder *h)
{
	struct slice text = settings_explicit(h, SETTING_Prefs);
	const char *why;

	return text.p != NULL ? data_parse(mem, &text, &why) : NULL;
}

static const struct data *find(const struct data *dict, struct slice key)
{
	const struct data *d = dict != NULL ? dict->first : NULL;

	while (d != NULL && !slice_ieq(d->key, key))
		d = d->next;
	return d;
}

/* ---- what counts ---- */

static void put_level(struct request *q, const struct data *const level[], size_t at)
{
	const struct data *d = level[at] != NULL ? level[at]->first : NULL;
	struct buf text = BUF_INIT(SETTING_TEXT_MAX);

	for (; d != NULL; d = d->next) {
		bool hidden = false;

		for (size_t i = 0; i < at; i++)
			hidden |= find(level[i], d->key) != NULL;
		if (hidden)
			continue;
		buf_reset(&text);
		data_put(&text, d);
		item(q, d->key);
		item(q, buf_slice(&text));
	}
	buf_fini(&text);
}

void verb_prefs_effective(struct request *q)
{
	static const enum settings_scope scopes[PREFS_LEVELS] = { SCOPE_ACCOUNT,
		SCOPE_ACCOUNT_DEFAULTS, SCOPE_ACCOUNT_DEFAULTS_ALL };
	struct object *o = request_account(q, q->args[0]);
	const struct data *level[PREFS_LEVELS];
	struct arena mem;

	if (o == NULL)
		return;
	arena_init(&mem, PREFS_LEVELS * PREFS_MEM);
	for (size_t i = 0; i < PREFS_LEVELS; i++) {
		struct settings_holder h = settings_holder(&q->rd->db.dir, scopes[i], o->domain, o);

		level[i] = prefs_at(&mem, &h);
	}
	for (size_t i = 0; i < PREFS_LEVELS; i++)
		put_level(q, level, i);
	done(q);
	arena_fini(&mem);
}

/* ---- changes ---- */

static void put_pair(struct buf *b, const struct data *d)
{
	data_put_string(b, d->key);
	buf_putc(b, '=');
	data_put(b, d);
	buf_putc(b, ';');
}

static bool is_default(const struct data *d)
{
	return d->kind == DATA_STRING && slice_ieq(d->text, SLICE("default"));
}

/* What will be there, as the setting's text: what was there and is not named, then what is given.
 */
static void put_new(struct buf *b, const struct data *was, const struct data *given, bool update)
{
	buf_putc(b, '{');
	for (const struct data *d = update && was != NULL ? was->first : NULL; d != NULL;
	     d = d->next)
		if (find(given, d->key) == NULL)
			put_pair(b, d);
	for (const struct data *d = given->first; d != NULL; d = d->next)
		if (!update || !is_default(d))
			put_pair(b, d);
	buf_putc(b, '}');
}

/* To say so after putting them together would be late: that takes each with each. */
static bool too_many(const struct data *given)
{
	uint64_t n = 0;

	for (const struct data *d = given->first; d != NULL; d = d->next)
		n++;
	return n > setting_rows[SETTING_Prefs].min;
}

static void change(struct request *q, struct slice scope, const struct settings_holder *h)
{
	bool update = slice_ieq(q->args[1], SLICE("update"));
	struct slice in = q->args[2];
	struct buf text = BUF_INIT(2 * SETTING_TEXT_MAX);
	const struct data *given;
	struct arena mem;
	const char *why;

	arena_init(&mem, 2 * PREFS_MEM);
	given = data_parse(&mem, &in, &why);
	if (given == NULL || given->kind != DATA_DICT || in.n > 0) {
		reply_error(q, IPC_DIR_BAD, "preferences are a dictionary");
	} else if (too_many(given)) {
		reply_error(q, IPC_DIR_BAD, "these are too many preferences");
	} else {
		put_new(&text, prefs_at(&mem, h), given, update);
		if (text.overflow)
			reply_error(q, IPC_DIR_BAD, "the preferences are too long");
		else
			settings_change_one(q, scope, SETTING_Prefs,
			    text.n > 2 ? buf_slice(&text) : SLICE("default"));
	}
	buf_fini(&text);
	arena_fini(&mem);
}

void verb_prefs_change(struct request *q)
{
	struct object *o = request_account(q, q->args[0]);
	struct settings_holder h;

	if (o == NULL)
		return;
	h = settings_holder(&q->rd->db.dir, SCOPE_ACCOUNT, NULL, o);
	change(q, SLICE("account"), &h);
}

/* One at a time: what the next one goes on from must be what is on the disk. An account's own are
 * kept apart by the account, which takes one change at a time. */
void verb_domain_prefs_change(struct request *q)
{
	struct domain *dom = request_domain(q, q->args[0]);
	struct settings_holder h;

	if (dom == NULL)
		return;
	if (q->rd->prefs_in_flight > 0) {
		reply_error(q, IPC_DIR_TRYLATER, "another change of preferences is under way");
		return;
	}
	h = settings_holder(&q->rd->db.dir, SCOPE_ACCOUNT_DEFAULTS, dom, NULL);
	change(q, SLICE("account-defaults"), &h);
}
