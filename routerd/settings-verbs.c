/*
 * settings-verbs - administrators look at settings and change them. A change is checked wholly,
 * then one batch is handed in; memory follows when it is durable, setting by setting, so that two
 * changes of one holder on their way at a time cannot undo each other.
 */
#include "routerd/change.h"
#include "routerd/services.h"
#include "routerd/settings-db.h"

#include <stdlib.h>

enum { OPS_MAX = 256 };

/* One setting of a change: `n` bytes at `at` of `packed`; not `set`: removed. */
struct setting_op {
	enum setting key;
	bool set;
	size_t at, n;
};

struct settings_change {
	struct routerd *rd;
	struct dir_answer answer;
	enum settings_scope scope;
	struct domain *domain;
	uint64_t account;
	struct setting_op ops[OPS_MAX];
	size_t n;
	struct buf packed;
};

static struct slice op_value(const struct settings_change *ch, const struct setting_op *op)
{
	if (!op->set)
		return SLICE_NONE;
	return op->n > 0 ? slice_of(ch->packed.p + op->at, op->n) : SLICE("");
}

/* The holder that the first two arguments name; false after having answered. */
static bool request_holder(struct request *q, struct settings_holder *ret)
{
	enum settings_scope scope = settings_scope_find(q->args[0]);
	struct domain *dom = NULL;
	struct object *o = NULL;

	if (scope == SCOPES) {
		reply_error(q, IPC_DIR_BAD,
		    "settings are of: server, domain-defaults, account-defaults-all, domain, "
		    "account-defaults, template, account");
		return false;
	}
	if (scope == SCOPE_ACCOUNT)
		o = request_account(q, q->args[1]);
	else if (scope >= SCOPE_DOMAIN)
		dom = request_domain(q, q->args[1]);
	if (scope >= SCOPE_DOMAIN && o == NULL && dom == NULL)
		return false;
	*ret = settings_holder(&q->rd->db.dir, scope, dom, o);
	return true;
}

void verb_settings_get(struct request *q)
{
	bool effective = slice_ieq(q->args[2], SLICE("effective"));
	struct buf text = BUF_INIT(SETTING_TEXT_MAX);
	struct settings_holder h;

	if (!effective && !slice_ieq(q->args[2], SLICE("explicit"))) {
		reply_error(q, IPC_DIR_BAD, "settings are explicit or effective");
		return;
	}
	if (!request_holder(q, &h))
		return;
	for (int i = 0; i < SETTINGS; i++) {
		struct slice v;

		if (!settings_scope_takes(h.scope, (enum setting)i))
			continue;
		v = effective ? settings_effective_at(&q->rd->db.dir, &h, (enum setting)i)
			      : settings_explicit(&h, (enum setting)i);
		if (v.p == NULL)
			continue;
		buf_reset(&text);
		setting_put(&text, (enum setting)i, v);
		item(q, slice_str(setting_rows[i].name));
		item(q, buf_slice(&text));
	}
	buf_fini(&text);
	done(q);
}

void verb_settings_table(struct request *q)
{
	static const char *const levels[] = { "server", "domain", "account", "template" };
	struct buf text = BUF_INIT(2000);

	for (int i = 0; i < SETTINGS; i++) {
		const struct setting_row *row = &setting_rows[i];

		item(q, slice_str(row->name));
		item(q, slice_str(levels[row->level]));
		buf_reset(&text);
		setting_put_type(&text, (enum setting)i);
		item(q, buf_slice(&text));
		buf_reset(&text);
		setting_put(&text, (enum setting)i, setting_default((enum setting)i));
		item(q, buf_slice(&text));
		buf_reset(&text);
		rights_put(&text, row->right);
		item(q, buf_slice(&text));
		item(q, slice_str(row->sentence));
	}
	buf_fini(&text);
	done(q);
}

/* ---- changes ---- */

static void free_change(struct settings_change *ch)
{
	buf_fini(&ch->packed);
	free(ch);
}

static void set_in_row(
    const struct settings_change *ch, struct object *o, const struct setting_op *op)
{
	uint64_t v = op->set ? setting_number(op_value(ch, op)) : 0;

	if (op->key == SETTING_Suspended)
		o->suspended = v != 0;
	else
		o->quota_bytes = op->set && v == 0 ? QUOTA_UNLIMITED : v;
}

static uint64_t services_at(const struct directory *d, const struct settings_holder *h)
{
	enum setting key = settings_scope_takes(h->scope, SETTING_AccessModes)
			       ? SETTING_AccessModes
			       : SETTING_DomainAccessModes;

	if (h->scope == SCOPE_TEMPLATE || !settings_scope_takes(h->scope, key))
		return 0;
	return setting_number(settings_effective_at(d, h, key));
}

static void apply(struct settings_change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct object *o = ch->scope == SCOPE_ACCOUNT ? directory_account(d, ch->account) : NULL;
	bool was_suspended = o != NULL && o->suspended;
	struct settings_holder h;
	uint64_t before;
	int rc = 0;

	if (ch->scope == SCOPE_ACCOUNT && o == NULL)
		return;
	h = settings_holder(d, ch->scope, ch->domain, o);
	before = services_at(d, &h);
	for (size_t i = 0; i < ch->n && rc == 0; i++) {
		if (settings_in_row(ch->scope, ch->ops[i].key))
			set_in_row(ch, o, &ch->ops[i]);
		else
			rc = settings_put(h.at, ch->ops[i].key, op_value(ch, &ch->ops[i]));
	}
	if (rc != 0)
		routerd_commit_failed(ch->rd, rc); /* the disk has what memory cannot hold */
	if (o != NULL && o->suspended && !was_suspended)
		account_tell_changed(ch->rd, o);
	policy_tell_stale(ch->rd, &h);
	services_lost(ch->rd, &h, before & ~services_at(d, &h));
	ch->rd->stat.changes++;
}

/* Another change of the account may begin. */
static void release(struct settings_change *ch)
{
	struct object *o = directory_account(&ch->rd->db.dir, ch->account);

	if (o != NULL)
		o->in_flow = false;
}

static void on_committed(void *arg, int rc)
{
	struct settings_change *ch = arg;

	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		routerd_commit_failed(ch->rd, rc);
	ch->rd->changes_in_flight--;
	if (ch->scope == SCOPE_ACCOUNT)
		release(ch);
	if (rc == 0)
		apply(ch);
	dir_reply_status(ch->rd, ch->answer, rc == 0 ? IPC_DIR_OK : IPC_DIR_TRYLATER,
	    rc == 0 ? "" : "the disk is full or failing");
	free_change(ch);
}

/* The rows of the change; those in the account's row as one. */
static int put_rows(
    struct settings_change *ch, struct engine_batch *b, const struct settings_holder *h)
{
	struct object future = { 0 };
	bool row = false;
	int rc = 0;

	if (h->account != NULL)
		future = *h->account;
	for (size_t i = 0; i < ch->n && rc == 0; i++) {
		if (!settings_in_row(ch->scope, ch->ops[i].key)) {
			rc = settings_db_put(b, h, ch->ops[i].key, op_value(ch, &ch->ops[i]));
			continue;
		}
		row = true;
		set_in_row(ch, &future, &ch->ops[i]);
	}
	return rc == 0 && row ? db_put_object(b, &future) : rc;
}

static void commit(struct settings_change *ch, const struct settings_holder *h)
{
	struct engine_batch *b = db_begin(&ch->rd->db);
	int rc = b != NULL ? put_rows(ch, b, h) : 0;

	if (b != NULL && rc == 0) {
		engine_commit(ch->rd->db.engine, &b, 1, on_committed, ch);
		return;
	}
	engine_batch_free(&b);
	on_committed(ch, ENGINE_FULL);
}

static bool op_add(struct settings_change *ch, enum setting key, bool set, size_t at)
{
	for (size_t i = 0; i < ch->n; i++) {
		if (ch->ops[i].key != key)
			continue;
		ch->ops[i] = (struct setting_op){ key, set, at, ch->packed.n - at };
		return true;
	}
	if (ch->n == OPS_MAX)
		return false;
	ch->ops[ch->n++] = (struct setting_op){ key, set, at, ch->packed.n - at };
	return true;
}

/* What people set for themselves, whatever their rights. */
static bool is_own(const struct request *q, const struct settings_holder *h, enum setting key)
{
	return key == SETTING_MailboxAliases && h->account != NULL &&
	       h->account == q->actor.account;
}

static bool allowed(struct request *q, const struct settings_holder *h, enum setting key)
{
	const struct domain *dom = h->account != NULL ? h->account->domain : h->domain;

	return is_own(q, h, key) || rights_allow_setting(&q->rd->db.dir, &q->actor,
					setting_rows[key].right, dom, h->account);
}

/* One name and value of the request. False after having answered. */
static bool take_pair(struct request *q, struct settings_change *ch,
    const struct settings_holder *h, struct slice name, struct slice text)
{
	enum setting key = setting_find(name);
	size_t at = ch->packed.n;
	const char *why;

	if (key == SETTINGS || !settings_scope_takes(h->scope, key)) {
		struct buf said = BUF_INIT(200);

		buf_printf(&said, "%.*s is not a setting %s", (int)(name.n < 60 ? name.n : 60),
		    (const char *)name.p, key == SETTINGS ? "of ours" : "that belongs here");
		reply_error(q, IPC_DIR_BAD, buf_cstr(&said));
		buf_fini(&said);
		return false;
	}
	if (!allowed(q, h, key))
		return true;
	if (slice_ieq(text, SLICE("default")) || slice_ieq(text, SLICE("\"default\"")))
		return op_add(ch, key, false, at);
	if (setting_parse(key, text, &ch->packed, &why) != 0) {
		reply_error(q, IPC_DIR_BAD, why);
		return false;
	}
	if (key == SETTING_Suspended && ch->packed.p[at] != 0 &&
	    (change_is_postmaster(q, h->account) || change_has_postmaster(q, h->account)))
		return false;
	return op_add(ch, key, true, at);
}

static bool take_pairs(
    struct request *q, struct settings_change *ch, const struct settings_holder *h, bool whole)
{
	for (int i = 0; whole && i < SETTINGS; i++)
		if (settings_scope_takes(h->scope, (enum setting)i) && i != SETTING_Suspended &&
		    allowed(q, h, (enum setting)i))
			op_add(ch, (enum setting)i, false, 0);
	for (size_t i = 2; i < q->n; i += 2)
		if (!take_pair(q, ch, h, q->args[i], q->args[i + 1]))
			return false;
	return true;
}

/* What a domain does with names that it does not have may lie on postmaster's way. */
static bool breaks_postmaster(
    struct request *q, const struct settings_change *ch, const struct settings_holder *h)
{
	struct settings *was = *h->at, *next = NULL;
	bool broken;
	int rc = 0;

	if ((ch->scope != SCOPE_DOMAIN && ch->scope != SCOPE_DOMAIN_DEFAULTS) || !guard_watches(q))
		return false;
	for (int i = 0; i < SETTINGS && rc == 0; i++) {
		struct slice v = settings_scope_takes(h->scope, (enum setting)i)
				     ? settings_explicit(h, (enum setting)i)
				     : SLICE_NONE;

		if (v.p != NULL)
			rc = settings_put(&next, (enum setting)i, v);
	}
	for (size_t i = 0; i < ch->n && rc == 0; i++)
		rc = settings_put(&next, ch->ops[i].key, op_value(ch, &ch->ops[i]));
	*h->at = next;
	broken = rc == 0 && guard_broken(q);
	*h->at = was;
	settings_free(&next);
	return broken;
}

static void change_settings(struct request *q, bool whole)
{
	struct settings_change *ch;
	struct settings_holder h;

	if (q->n % 2 != 0) {
		reply_error(q, IPC_DIR_BAD, "every setting has a value");
		return;
	}
	if (!request_holder(q, &h))
		return;
	if (h.account != NULL && (h.account->state != STATE_ACTIVE || h.account->in_flow)) {
		reply_error(q, IPC_DIR_TRYLATER, "another change of this account is under way");
		return;
	}
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL) {
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	*ch = (struct settings_change){ .rd = q->rd,
		.answer = q->answer,
		.scope = h.scope,
		.domain = h.domain,
		.account = h.account != NULL ? h.account->id : 0,
		.packed = BUF_INIT(SETTING_PACKED_MAX * 8) };
	if (!take_pairs(q, ch, &h, whole) || breaks_postmaster(q, ch, &h)) {
		free_change(ch);
		return;
	}
	if (h.account != NULL)
		h.account->in_flow = true;
	q->rd->changes_in_flight++;
	if (ch->n == 0)
		on_committed(ch, 0);
	else
		commit(ch, &h);
}

void verb_settings_update(struct request *q)
{
	change_settings(q, false);
}

void verb_settings_set(struct request *q)
{
	change_settings(q, true);
}

void verb_mailbox_aliases_set(struct request *q)
{
	const struct slice args[] = { SLICE("account"), q->args[0],
		slice_str(setting_rows[SETTING_MailboxAliases].name), q->args[1] };

	q->args = args;
	q->n = 4;
	change_settings(q, false);
}
