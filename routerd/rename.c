/*
 * rename - an object gets another name, in its domain or in another one.
 *
 * Only the directory's rows change, in one commit: mail, secret and settings of an account belong
 * to its number. Until the commit the old name leads to it and the new one nowhere, afterwards the
 * other way round; a sender who asks in between is answered by one of the two.
 */
#include "routerd/change.h"

static void rename_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct object *o = ch->object;
	bool is_account = o->kind == OBJECT_ACCOUNT;

	o->in_flow = false;
	if (o->domain != ch->held->domain)
		directory_remove_aliases(d, o);
	directory_move_object(d, o, ch->held);
	if (is_account)
		account_tell_changed(ch->rd, ch->held);
}

static void rename_undo(struct change *ch)
{
	ch->object->in_flow = false;
	directory_remove_object(&ch->rd->db.dir, ch->held);
}

/* The old row goes, and with a new domain the rows of aliases, which are names of the old one. */
static int rename_rows(struct engine_batch *b, const struct object *o, const struct object *held)
{
	struct object future = *o;
	int rc = db_del_name(b, o);

	if (rc == 0 && held->domain != o->domain)
		rc = db_del_aliases(b, o);
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

static void rename_kind(struct request *q, enum object_kind kind)
{
	struct object *o = change_object(q, q->args[0], kind);
	struct domain *dom;
	struct slice name;

	if (o == NULL || change_is_postmaster(q, o) ||
	    (kind == OBJECT_ACCOUNT && change_has_postmaster(q, o)))
		return;
	if (change_name_free(q, q->args[1], &dom, &name))
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
