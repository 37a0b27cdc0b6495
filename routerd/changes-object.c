/* changes-object - groups, forwarders and names of mailing lists come, change and go. */
#include "routerd/change.h"

#include "routerd/names.h"

#include <errno.h>

/* ---- new ones ---- */

static void object_live(struct change *ch)
{
	ch->object->state = STATE_ACTIVE;
}

static void object_forget(struct change *ch)
{
	directory_remove_object(&ch->rd->db.dir, ch->object);
}

/* Hands in the row of the new object, which holds its name already. */
static void commit_new(struct request *q, struct object *take_o)
{
	struct db *db = &q->rd->db;
	struct change *ch = take_o != NULL ? change_new(q) : NULL;
	struct engine_batch *b;
	int rc = 0;

	if (take_o == NULL)
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	if (ch == NULL) {
		if (take_o != NULL)
			directory_remove_object(&db->dir, take_o);
		return;
	}
	if (take_o->id == db->dir.next_id)
		db->dir.next_id++;
	ch->object = take_o;
	ch->apply = object_live;
	ch->undo = object_forget;
	b = db_begin(db);
	if (b != NULL)
		rc = db_put_object(b, take_o);
	if (b != NULL && rc == 0 && take_o->kind == OBJECT_GROUP)
		rc = db_put_members(b, take_o->id, take_o->group);
	if (b != NULL && rc == 0 && take_o->id != 0)
		rc = db_put_next_id(db, b);
	change_commit(ch, b, rc);
}

void verb_forwarder_create(struct request *q)
{
	struct buf address = BUF_INIT(ADDRESS_MAX_BYTES);
	struct domain *dom;
	struct slice name;

	if (!change_name_free(q, q->args[0], &dom, &name))
		return;
	if (put_full_address(&address, q->args[1], dom->name) != 0)
		reply_error(q, IPC_DIR_BAD, "this is not an address");
	else
		commit_new(q, directory_add_forwarder(
				  &q->rd->db.dir, dom, name, buf_slice(&address), STATE_NEW));
	buf_fini(&address);
}

static bool in_domain(const struct directory *d, struct slice name, const struct domain *dom)
{
	struct address a;

	return address_split(name, &a) == 0 &&
	       (a.domain.n == 0 ? d->main : directory_domain_any(d, a.domain)) == dom;
}

void verb_list_create(struct request *q)
{
	struct directory *d = &q->rd->db.dir;
	struct domain *dom;
	struct slice name;
	struct object *owner;

	if (!change_name_free(q, q->args[0], &dom, &name))
		return;
	/* It cannot be deleted before its lists: nobody is to hold an account of another domain so,
	 * nor hear whether it exists. */
	if (!slice_eq(q->args[1], SLICE("*")) && !in_domain(d, q->args[1], dom)) {
		reply_error(q, IPC_DIR_BAD, "the owner is an account of the list's own domain");
		return;
	}
	owner = change_object(q, q->args[1], OBJECT_ACCOUNT);
	if (owner != NULL && owner->domain != dom)
		reply_error(q, IPC_DIR_BAD, "the owner is an account of the list's own domain");
	else if (owner != NULL)
		commit_new(q, directory_add_list(d, dom, name, d->next_id, owner->id, STATE_NEW));
}

/* ---- groups ---- */

/* Keys and values from the second argument on; NULL after having answered. */
static struct group *group_of(struct request *q, const struct domain *home)
{
	struct group *g = group_new();
	int rc = g != NULL ? 0 : -ENOMEM;

	for (size_t i = 1; rc == 0 && i < q->n; i += 2) {
		if (i + 1 == q->n)
			rc = 1;
		else if (slice_ieq(q->args[i], SLICE("Members")))
			rc = group_add(g, &q->rd->db.dir, &q->actor, home, q->args[i + 1]);
		else
			rc = group_setting_set(g, q->args[i], q->args[i + 1]);
	}
	if (rc == 0)
		return g;
	if (rc < 0)
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	else
		reply_error(q, IPC_DIR_BAD,
		    rc == 2 ? "a group has at most 1000 members"
		    : rc == 3
			? "RemoveToAndCc and FinalDelivery can only be NO in this version"
			: "a group has Expand, RemoveToAndCc, FinalDelivery, EmailDisabled (YES "
			  "or NO) and Members, which are addresses");
	group_free(&g);
	return NULL;
}

void verb_group_create(struct request *q)
{
	struct directory *d = &q->rd->db.dir;
	struct domain *dom;
	struct slice name;
	struct group *g;
	struct object *o;

	if (!change_name_free(q, q->args[0], &dom, &name))
		return;
	g = group_of(q, dom);
	if (g == NULL)
		return;
	o = directory_add_group(d, dom, name, d->next_id, STATE_NEW);
	if (o != NULL) {
		group_free(&o->group);
		o->group = g;
	} else {
		group_free(&g);
	}
	commit_new(q, o);
}

static void in_flow_ends(struct change *ch)
{
	ch->object->in_flow = false;
}

static void group_apply(struct change *ch)
{
	struct group *old = ch->object->group;

	in_flow_ends(ch);
	ch->object->group = ch->group;
	ch->group = old;
}

void verb_group_set(struct request *q)
{
	struct object *o = change_object(q, q->args[0], OBJECT_GROUP), future;
	struct group *g = o != NULL ? group_of(q, o->domain) : NULL;
	struct change *ch = g != NULL ? change_new(q) : NULL;
	struct engine_batch *b;
	int rc = 0;

	if (ch == NULL) {
		group_free(&g);
		return;
	}
	ch->object = o;
	ch->group = g;
	ch->apply = group_apply;
	ch->undo = in_flow_ends;
	o->in_flow = true;
	future = *o;
	future.group = g;
	b = db_begin(&q->rd->db);
	if (b != NULL)
		rc = db_put_object(b, &future);
	if (b != NULL && rc == 0)
		rc = db_put_members(b, o->id, g);
	change_commit(ch, b, rc);
}

/* ---- the end ---- */

static void object_stays(struct change *ch)
{
	ch->object->state = STATE_ACTIVE;
}

static void delete_kind(struct request *q, enum object_kind kind)
{
	struct object *o = change_object(q, q->args[0], kind);
	struct engine_batch *b;
	struct change *ch;

	if (o == NULL || guard_refuses_gone(q, o))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->object = o;
	ch->apply = object_forget;
	ch->undo = object_stays;
	o->state = STATE_DELETING;
	b = db_begin(&q->rd->db);
	change_commit(ch, b, b != NULL ? db_del_object(b, o) : 0);
}

void verb_group_delete(struct request *q)
{
	delete_kind(q, OBJECT_GROUP);
}

void verb_forwarder_delete(struct request *q)
{
	delete_kind(q, OBJECT_FORWARDER);
}

void verb_list_delete(struct request *q)
{
	delete_kind(q, OBJECT_LIST);
}
