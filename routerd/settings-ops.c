#include "routerd/settings-ops.h"

#include "routerd/change.h"
#include "routerd/settings-db.h"

void settings_ops_init(struct settings_ops *ops)
{
	ops->n = 0;
	ops->packed = BUF_INIT(SETTING_PACKED_MAX * 8);
}

void settings_ops_fini(struct settings_ops *ops)
{
	buf_fini(&ops->packed);
}

struct slice settings_op_value(const struct settings_ops *ops, const struct setting_op *op)
{
	if (!op->set)
		return SLICE_NONE;
	return op->n > 0 ? slice_of(ops->packed.p + op->at, op->n) : SLICE("");
}

/* ---- what a request says ---- */

static bool op_add(struct settings_ops *ops, enum setting key, bool set, size_t at)
{
	for (size_t i = 0; i < ops->n; i++) {
		if (ops->op[i].key != key)
			continue;
		ops->op[i] = (struct setting_op){ key, set, at, ops->packed.n - at };
		return true;
	}
	if (ops->n == SETTINGS_OPS_MAX)
		return false;
	ops->op[ops->n++] = (struct setting_op){ key, set, at, ops->packed.n - at };
	return true;
}

/* What people set for themselves, whatever their rights. */
static bool is_own(const struct request *q, const struct settings_holder *h, enum setting key)
{
	return (key == SETTING_MailboxAliases || key == SETTING_Prefs) && h->account != NULL &&
	       h->account == q->actor.account;
}

static bool allowed(struct request *q, const struct settings_holder *h, enum setting key)
{
	const struct domain *dom = h->account != NULL ? h->account->domain : h->domain;

	return is_own(q, h, key) || rights_allow_setting(&q->rd->db.dir, &q->actor,
					setting_rows[key].right, dom, h->account);
}

/* One name and value of the request. False after having answered. */
static bool take_pair(struct request *q, struct settings_ops *ops, const struct settings_holder *h,
    struct slice name, struct slice text)
{
	enum setting key = setting_find(name);
	size_t at = ops->packed.n;
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
		return op_add(ops, key, false, at);
	if (setting_parse(key, text, &ops->packed, &why) != 0) {
		reply_error(q, IPC_DIR_BAD, why);
		return false;
	}
	if (key == SETTING_Suspended && ops->packed.p[at] != 0 &&
	    (change_is_postmaster(q, h->account) || change_has_postmaster(q, h->account)))
		return false;
	return op_add(ops, key, true, at);
}

/* A form that an administrator sends back whole does not know what people's programs keep. */
static bool goes_unnamed(const struct settings_holder *h, enum setting key)
{
	return key != SETTING_Suspended && (key != SETTING_Prefs || h->account == NULL);
}

bool settings_ops_take(struct request *q, struct settings_ops *ops, const struct settings_holder *h,
    size_t from, bool whole)
{
	for (int i = 0; whole && i < SETTINGS; i++)
		if (settings_scope_takes(h->scope, (enum setting)i) &&
		    goes_unnamed(h, (enum setting)i) && allowed(q, h, (enum setting)i))
			op_add(ops, (enum setting)i, false, 0);
	for (size_t i = from; i + 1 < q->n; i += 2)
		if (!take_pair(q, ops, h, q->args[i], q->args[i + 1]))
			return false;
	return true;
}

/* ---- what becomes of it ---- */

static void set_in_row(
    const struct settings_ops *ops, struct object *o, const struct setting_op *op)
{
	uint64_t v = op->set ? setting_number(settings_op_value(ops, op)) : 0;

	if (op->key == SETTING_Suspended)
		o->suspended = v != 0;
	else
		o->quota_bytes = op->set && v == 0 ? QUOTA_UNLIMITED : v;
}

int settings_ops_put(
    const struct settings_ops *ops, struct engine_batch *b, const struct settings_holder *h)
{
	struct object future = { 0 };
	bool row = false;
	int rc = 0;

	if (h->account != NULL)
		future = *h->account;
	for (size_t i = 0; i < ops->n && rc == 0; i++) {
		const struct setting_op *op = &ops->op[i];

		if (!settings_in_row(h->scope, op->key)) {
			rc = settings_db_put(b, h, op->key, settings_op_value(ops, op));
			continue;
		}
		row = true;
		set_in_row(ops, &future, op);
	}
	return rc == 0 && row ? db_put_object(b, &future) : rc;
}

int settings_ops_apply(const struct settings_ops *ops, const struct settings_holder *h)
{
	int rc = 0;

	for (size_t i = 0; i < ops->n && rc == 0; i++) {
		const struct setting_op *op = &ops->op[i];

		if (settings_in_row(h->scope, op->key))
			set_in_row(ops, h->account, op);
		else
			rc = settings_put(h->at, op->key, settings_op_value(ops, op));
	}
	return rc;
}

int settings_ops_first(
    const struct settings_ops *ops, struct engine_batch *b, const struct settings_holder *h)
{
	int rc = settings_ops_apply(ops, h);

	for (size_t i = 0; i < ops->n && rc == 0; i++)
		if (!settings_in_row(h->scope, ops->op[i].key))
			rc = settings_db_put(
			    b, h, ops->op[i].key, settings_op_value(ops, &ops->op[i]));
	return rc;
}
