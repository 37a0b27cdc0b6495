/* changes-account - what can be said about one account: it comes and goes, and its aliases. */
#include "routerd/change.h"

#include "routerd/names.h"
#include "routerd/settings-ops.h"

void verb_account_create(struct request *q)
{
	struct object fresh = { .kind = OBJECT_ACCOUNT };
	struct new_account n = { 0 };
	struct settings_ops settings;
	struct settings_holder h;

	if (!change_name_free(q, q->args[0], &n.domain, &n.name))
		return;
	if (q->n > 1 && slice_eq(q->args[1], SLICE("secret")))
		n.secret_sid = q->sid;
	if (n.secret_sid != 0 &&
	    !rights_allow_setting(&q->rd->db.dir, &q->actor, IPC_RIGHT_BASIC, n.domain, NULL)) {
		reply_error(q, IPC_DIR_DENIED, "you may not give this account a password");
		return;
	}
	if (q->n > 2 && q->n % 2 != 0) {
		reply_error(q, IPC_DIR_BAD, "every setting has a value");
		return;
	}
	fresh.domain = n.domain;
	fresh.name = n.name;
	h = settings_holder(&q->rd->db.dir, SCOPE_ACCOUNT, NULL, &fresh);
	settings_ops_init(&settings);
	n.settings = &settings;
	if (settings_ops_take(q, &settings, &h, 2, false))
		account_create(q->rd, &n, q->answer);
	settings_ops_fini(&settings);
}

/* An account on which a verb may work now; NULL after having answered. */
static struct object *settled_account(struct request *q)
{
	return change_object(q, q->args[0], OBJECT_ACCOUNT);
}

bool change_owns_lists(struct request *q, const struct object *account)
{
	size_t at = 0;

	for (const struct object *o; (o = idmap_next(&q->rd->db.dir.lists, &at)) != NULL;) {
		if (o->owner_id != account->id)
			continue;
		reply_error(q, IPC_DIR_BAD, "the account owns mailing lists: delete them first");
		return true;
	}
	return false;
}

void verb_account_delete(struct request *q)
{
	struct object *o = settled_account(q);

	if (o == NULL || change_is_postmaster(q, o) || change_has_postmaster(q, o) ||
	    change_owns_lists(q, o))
		return;
	account_delete(q->rd, o, q->answer);
}

/* All are of one type: mailboxes of all kinds. */
void verb_account_set_type(struct request *q)
{
	if (settled_account(q) == NULL)
		return;
	if (slice_ieq(q->args[1], SLICE("MultiMailbox")))
		dir_reply_status(q->rd, q->answer, IPC_DIR_OK, "");
	else
		reply_error(q, IPC_DIR_BAD, "the type of an account is MultiMailbox");
}

static bool listed(const struct change *ch, struct slice name)
{
	for (size_t i = 1; i < ch->n; i++)
		if (slice_ieq(ch->args[i], name))
			return true;
	return false;
}

static void account_aliases_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct object *a, *next;

	for (a = ch->object->aliases; a != NULL; a = next) {
		next = a->next_alias;
		if (listed(ch, a->name))
			a->state = STATE_ACTIVE;
		else if (a->state == STATE_DELETING)
			directory_remove_object(d, a);
	}
	ch->object->in_flow = false;
}

static void account_aliases_undo(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct object *a, *next;

	for (a = ch->object->aliases; a != NULL; a = next) {
		next = a->next_alias;
		if (a->state == STATE_NEW)
			directory_remove_object(d, a);
		else
			a->state = STATE_ACTIVE;
	}
	ch->object->in_flow = false;
}

/* All names must be free or this account's already. */
static bool aliases_right(struct request *q, struct object *o)
{
	for (size_t i = 1; i < q->n; i++) {
		struct object *other = directory_object(&q->rd->db.dir, o->domain, q->args[i]);

		if (!name_valid(q->args[i])) {
			reply_error(q, IPC_DIR_BAD, "an alias is not a valid name");
			return false;
		}
		if (other == NULL && change_name_special(q, o->domain, q->args[i]))
			return false;
		if (other != NULL && other->owner != o) {
			change_name_taken(q, other);
			return false;
		}
	}
	return true;
}

/* Those that go lead nowhere any more; with the new ones as if they were there. */
static bool aliases_break(struct request *q, struct object *o)
{
	bool broken;

	for (struct object *a = o->aliases; a != NULL; a = a->next_alias) {
		a->in_flow = a->state == STATE_NEW;
		if (a->in_flow)
			a->state = STATE_ACTIVE;
	}
	broken = guard_broken(q);
	for (struct object *a = o->aliases; a != NULL; a = a->next_alias) {
		if (a->in_flow)
			a->state = STATE_NEW;
		a->in_flow = false;
	}
	return broken;
}

void verb_account_set_aliases(struct request *q)
{
	struct object *o = settled_account(q);
	struct db *db = &q->rd->db;
	struct engine_batch *b;
	struct change *ch;
	bool watched;
	int rc = 0;

	if (o == NULL || !aliases_right(q, o))
		return;
	watched = guard_watches(q);
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->object = o;
	ch->apply = account_aliases_apply;
	ch->undo = account_aliases_undo;
	o->in_flow = true;
	b = db_begin(db);
	for (struct object *a = o->aliases; b != NULL && rc == 0 && a != NULL; a = a->next_alias) {
		if (listed(ch, a->name))
			continue;
		a->state = STATE_DELETING;
		rc = db_del_object(b, a);
	}
	for (size_t i = 1; b != NULL && rc == 0 && i < ch->n; i++) {
		struct object *a = directory_add_alias(&db->dir, o, ch->args[i], STATE_NEW);

		if (a != NULL)
			rc = db_put_object(b, a);
		else if (directory_object(&db->dir, o->domain, ch->args[i]) == NULL)
			rc = ENGINE_FULL;
	}
	if (b != NULL && rc == 0 && watched && aliases_break(q, o)) {
		engine_batch_free(&b);
		account_aliases_undo(ch);
		change_free(ch);
		return;
	}
	change_commit(ch, b, rc);
}
