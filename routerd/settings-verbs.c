/*
 * settings-verbs - administrators look at settings and change them. A change is checked wholly,
 * then one batch is handed in; memory follows when it is durable, setting by setting, so that two
 * changes of one holder on their way at a time cannot undo each other.
 */
#include "routerd/change.h"
#include "routerd/services.h"
#include "routerd/settings-db.h"
#include "routerd/settings-ops.h"

#include <stdlib.h>

struct settings_change {
	struct routerd *rd;
	struct dir_answer answer;
	enum settings_scope scope;
	struct domain *domain;
	uint64_t account;
	bool prefs; /* counted in prefs_in_flight */
	struct settings_ops ops;
};

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
	settings_ops_fini(&ch->ops);
	free(ch);
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
	int rc;

	if (ch->scope == SCOPE_ACCOUNT && o == NULL)
		return;
	h = settings_holder(d, ch->scope, ch->domain, o);
	before = services_at(d, &h);
	rc = settings_ops_apply(&ch->ops, &h);
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
	ch->rd->prefs_in_flight -= ch->prefs;
	if (ch->scope == SCOPE_ACCOUNT)
		release(ch);
	if (rc == 0)
		apply(ch);
	dir_reply_status(ch->rd, ch->answer, rc == 0 ? IPC_DIR_OK : IPC_DIR_TRYLATER,
	    rc == 0 ? "" : "the disk is full or failing");
	free_change(ch);
}

static void commit(struct settings_change *ch, const struct settings_holder *h)
{
	struct engine_batch *b = db_begin(&ch->rd->db);
	int rc = b != NULL ? settings_ops_put(&ch->ops, b, h) : 0;

	if (b != NULL && rc == 0) {
		engine_commit(ch->rd->db.engine, &b, 1, on_committed, ch);
		return;
	}
	engine_batch_free(&b);
	on_committed(ch, ENGINE_FULL);
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
	for (size_t i = 0; i < ch->ops.n && rc == 0; i++)
		rc = settings_put(
		    &next, ch->ops.op[i].key, settings_op_value(&ch->ops, &ch->ops.op[i]));
	*h->at = next;
	if (rc != 0)
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	broken = rc != 0 || guard_broken(q);
	*h->at = was;
	settings_free(&next);
	return broken;
}

static bool has_prefs(const struct settings_change *ch)
{
	for (size_t i = 0; i < ch->ops.n; i++)
		if (ch->ops.op[i].key == SETTING_Prefs)
			return true;
	return false;
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
		.account = h.account != NULL ? h.account->id : 0 };
	settings_ops_init(&ch->ops);
	if (!settings_ops_take(q, &ch->ops, &h, 2, whole) || breaks_postmaster(q, ch, &h)) {
		free_change(ch);
		return;
	}
	if (h.account != NULL)
		h.account->in_flow = true;
	q->rd->changes_in_flight++;
	ch->prefs = h.account == NULL && has_prefs(ch);
	q->rd->prefs_in_flight += ch->prefs;
	if (ch->ops.n == 0)
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

void settings_change_one(struct request *q, struct slice scope, enum setting key, struct slice text)
{
	const struct slice args[] = { scope, q->args[0], slice_str(setting_rows[key].name), text };

	q->args = args;
	q->n = 4;
	change_settings(q, false);
}

void verb_mailbox_aliases_set(struct request *q)
{
	settings_change_one(q, SLICE("account"), SETTING_MailboxAliases, q->args[1]);
}
