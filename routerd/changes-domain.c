/* changes-domain - domains go, are renamed and suspended; their other names. */
#include "routerd/change.h"

#include "routerd/names.h"

#include <errno.h>
#include <stdio.h>

void change_domain_live(struct change *ch)
{
	ch->domain->state = STATE_ACTIVE;
}

void change_domain_forget(struct change *ch)
{
	directory_remove_domain(&ch->rd->db.dir, ch->domain);
}

void verb_domain_delete(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]);
	struct engine_batch *b;
	struct change *ch;

	if (dom == NULL || change_names_busy(q))
		return;
	if (dom == db->dir.main || (dom->objects.n > 0 && q->n == 1)) {
		reply_error(q, IPC_DIR_BAD,
		    dom == db->dir.main ? "the Main Domain cannot be deleted"
					: "the domain still has objects: delete them first");
		return;
	}
	/* Its objects may go, which is asked with the name that is meant: nobody deletes them by
	 * another name of the domain. */
	if (q->n > 1 && !slice_ieq(q->args[0], dom->name)) {
		reply_error(
		    q, IPC_DIR_BAD, "this is another name of a domain: force takes its first");
		return;
	}
	if (guard_refuses_domain_gone(q, dom))
		return;
	if (q->n > 1) {
		done(q);
		return;
	}
	ch = change_new(q);
	if (ch == NULL)
		return;
	dom->state = STATE_DELETING;
	ch->domain = dom;
	ch->apply = change_domain_forget;
	ch->undo = change_domain_live;
	b = db_begin(db);
	change_commit(ch, b, b != NULL ? db_del_domain(db, b, dom) : 0);
}

static void aliases_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;

	change_names_free(ch);
	directory_clear_domain_aliases(d, ch->domain);
	for (size_t i = 1; i < ch->n; i++)
		directory_add_domain_alias(d, ch->domain, ch->args[i]);
}

/* Another name of the Main Domain is not looked for in the table: a record for it would be dead. */
static bool takes_record(struct request *q, const struct domain *dom, struct slice name)
{
	const struct directory *d = &q->rd->db.dir;
	unsigned line = dom == d->main ? table_line_for(d->table, name, false) : 0;
	char why[120];

	if (line == 0)
		return false;
	snprintf(why, sizeof(why),
	    "line %u of the Router's table is for this name, and would never apply again", line);
	reply_error(q, IPC_DIR_BAD, why);
	return true;
}

void verb_domain_set_aliases(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]), *other;
	struct engine_batch *b;
	struct change *ch;

	if (dom == NULL || change_names_busy(q))
		return;
	for (size_t i = 1; i < q->n; i++) {
		other = directory_domain_any(&db->dir, q->args[i]);
		if (!domain_valid(q->args[i])) {
			reply_error(q, IPC_DIR_BAD, "an alias is not a domain name");
			return;
		}
		if ((other != NULL && other != dom) || slice_ieq(q->args[i], dom->name)) {
			reply_error(q, IPC_DIR_EXISTS, "an alias is the name of a domain already");
			return;
		}
		if (other == NULL && takes_record(q, dom, q->args[i]))
			return;
	}
	if (guard_refuses_aliases(q, dom, q->args + 1, q->n - 1))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->domain = dom;
	ch->apply = aliases_apply;
	ch->undo = change_names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	change_commit(
	    ch, b, b != NULL ? db_put_domain_aliases(db, b, dom, q->args + 1, q->n - 1) : 0);
}

/* ---- rename ---- */

static void rename_apply(struct change *ch)
{
	change_names_free(ch);
	if (directory_rename_domain(&ch->rd->db.dir, ch->domain, ch->args[1]) != 0)
		routerd_commit_failed(ch->rd, -ENOMEM);
	account_tell_domain_changed(ch->rd, ch->domain);
}

static bool rename_right(struct request *q, const struct domain *dom, struct slice name)
{
	const struct domain *other = directory_domain_any(&q->rd->db.dir, name);

	if (!domain_valid(name)) {
		reply_error(q, IPC_DIR_BAD, "this is not a domain name");
		return false;
	}
	if (other != NULL && other != dom) {
		reply_error(q, IPC_DIR_EXISTS, "a domain with this name exists already");
		return false;
	}
	return true;
}

/* The rows of its objects hold its number: only its own row changes. */
void verb_domain_rename(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]), future;
	uint8_t lower[DOMAIN_MAX_BYTES];
	struct engine_batch *b;
	struct change *ch;
	int rc = 0;

	if (dom == NULL || change_names_busy(q) || !rename_right(q, dom, q->args[1]) ||
	    guard_refuses_rename(q, dom, q->args[1]))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	future = *dom;
	future.name = name_lower(q->args[1], lower);
	ch->domain = dom;
	ch->apply = rename_apply;
	ch->undo = change_names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	if (b != NULL && !slice_eq(future.name, dom->name))
		rc = db_del_domain_name(b, dom);
	if (b != NULL && rc == 0)
		rc = db_del_domain_alias(b, future.name);
	if (b != NULL && rc == 0)
		rc = db_put_domain(db, b, &future);
	change_commit(ch, b, rc);
}

/* ---- suspension ---- */

static void suspended_apply(struct change *ch)
{
	change_names_free(ch);
	ch->domain->suspended = ch->number;
	if (ch->domain->suspended)
		account_tell_domain_changed(ch->rd, ch->domain);
}

static void set_suspended(struct request *q, bool suspended)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]), future;
	struct engine_batch *b;
	struct change *ch;

	if (dom == NULL || change_names_busy(q))
		return;
	if (dom == db->dir.main) {
		reply_error(q, IPC_DIR_BAD, "the Main Domain cannot be suspended");
		return;
	}
	if (suspended && guard_refuses_suspended(q, dom))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	future = *dom;
	future.suspended = suspended;
	ch->domain = dom;
	ch->number = suspended;
	ch->apply = suspended_apply;
	ch->undo = change_names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	change_commit(ch, b, b != NULL ? db_put_domain(db, b, &future) : 0);
}

void verb_domain_suspend(struct request *q)
{
	set_suspended(q, true);
}

void verb_domain_resume(struct request *q)
{
	set_suspended(q, false);
}
