/*
 * rename - an object gets another name, in its domain or in another one. An account that goes to
 * another domain leaves its aliases and its rights behind: both are of the domain of before.
 *
 * Only the directory's rows change, in one commit: mail, secret and settings of an account belong
 * to its number. Until the commit the old name leads to it and the new one nowhere, afterwards the
 * other way round; a sender who asks in between is answered by one of the two.
 */
#include "routerd/change.h"

#include "common/base/log.h"
#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/rights.h"
#include "routerd/settings-db.h"

static bool leaves(const struct object *o, const struct domain *dom)
{
	return o->domain != dom;
}

/*
 * A right over the server counts in the Main Domain alone. It must not sleep elsewhere: whoever may
 * change such an account there could move it back and be what it was. A right over a domain would
 * be one over the new domain, which nobody gave.
 */
static void drop_rights(struct object *o, const struct object *held)
{
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES);
	struct buf from = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES), rights = BUF_INIT(2000);
	uint32_t given = settings_rights(o->settings);

	if (given != 0) {
		put_object_name(&name, held);
		put_object_name(&from, o);
		rights_put(&rights, given);
		log_ev(LOG_NOTICE | LOG_AUDIT, "admin.rights", kv_s("object", buf_cstr(&name)),
		    kv_s("from", buf_cstr(&from)), kv_s("rights", buf_cstr(&rights)));
		settings_put_rights(&o->settings, 0); /* to none: needs no memory */
	}
	buf_fini(&name);
	buf_fini(&from);
	buf_fini(&rights);
}

static void rename_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct object *o = ch->object;
	bool is_account = o->kind == OBJECT_ACCOUNT;

	o->in_flow = false;
	if (is_account && leaves(o, ch->held->domain)) {
		directory_remove_aliases(d, o);
		drop_rights(o, ch->held);
	}
	directory_move_object(d, o, ch->held);
	if (is_account)
		account_tell_changed(ch->rd, ch->held);
}

static void rename_undo(struct change *ch)
{
	ch->object->in_flow = false;
	directory_remove_object(&ch->rd->db.dir, ch->held);
}

/* The old row goes, and with a new domain the rows of aliases and rights: they are of the old one.
 */
static int rename_rows(struct engine_batch *b, const struct object *o, const struct object *held)
{
	struct object future = *o;
	int rc = db_del_name(b, o);

	if (rc == 0 && o->kind == OBJECT_ACCOUNT && leaves(o, held->domain)) {
		rc = db_del_aliases(b, o);
		if (rc == 0)
			rc = settings_db_put_rights(b, o->id, 0);
	}
	future.domain = held->domain;
	future.name = held->name;
	return rc == 0 ? db_put_object(b, &future) : rc;
}

static void rename_commit(
    struct request *q, struct object *o, struct domain *dom, struct slice name)
{
	struct change *ch = change_new(q);
	struct engine_batch *b;

	if (ch == NULL)
		return;
	ch->held = directory_hold(&q->rd->db.dir, dom, name);
	if (ch->held == NULL) {
		change_free(ch);
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	ch->object = o;
	ch->apply = rename_apply;
	ch->undo = rename_undo;
	o->in_flow = true;
	b = db_begin(&q->rd->db);
	change_commit(ch, b, b != NULL ? rename_rows(b, o, ch->held) : 0);
}

/* A list and the account that owns it are of one domain. */
static bool lists_stay(struct request *q, const struct object *o, const struct domain *dom)
{
	if (!leaves(o, dom))
		return true;
	if (o->kind == OBJECT_LIST) {
		reply_error(q, IPC_DIR_BAD, "a mailing list stays in the domain of its owner");
		return false;
	}
	return o->kind != OBJECT_ACCOUNT || !change_owns_lists(q, o);
}

static void rename_kind(struct request *q, enum object_kind kind)
{
	struct object *o = change_object(q, q->args[0], kind);
	struct domain *dom;
	struct slice name;

	if (o == NULL || change_is_postmaster(q, o) ||
	    (kind == OBJECT_ACCOUNT && change_has_postmaster(q, o)))
		return;
	if (!guard_refuses_gone(q, o) && change_name_free(q, q->args[1], &dom, &name) &&
	    lists_stay(q, o, dom))
		rename_commit(q, o, dom, name);
}

void verb_account_rename(struct request *q)
{
	rename_kind(q, OBJECT_ACCOUNT);
}

void verb_group_rename(struct request *q)
{
	rename_kind(q, OBJECT_GROUP);
}

void verb_forwarder_rename(struct request *q)
{
	rename_kind(q, OBJECT_FORWARDER);
}

void verb_list_rename(struct request *q)
{
	rename_kind(q, OBJECT_LIST);
}
