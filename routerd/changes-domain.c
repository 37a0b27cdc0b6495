/* changes-domain - domains come, go, are renamed and suspended; their other names and addresses. */
#include "routerd/change.h"

#include "routerd/limits.h"
#include "routerd/names.h"

#include <errno.h>
#include <stdio.h>

static void domain_live(struct change *ch)
{
	ch->domain->state = STATE_ACTIVE;
}

static void domain_forget(struct change *ch)
{
	directory_remove_domain(&ch->rd->db.dir, ch->domain);
}

void verb_domain_create(struct request *q)
{
	struct db *db = &q->rd->db;
	struct engine_batch *b;
	struct change *ch;
	int rc = 0;

	if (!domain_valid(q->args[0])) {
		reply_error(q, IPC_DIR_BAD, "this is not a domain name");
		return;
	}
	if (change_names_busy(q))
		return;
	if (directory_domain_any(&db->dir, q->args[0]) != NULL) {
		reply_error(q, IPC_DIR_EXISTS, "a domain with this name exists already");
		return;
	}
	if (guard_refuses_domain(q, q->args[0]))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->domain = directory_add_domain(&db->dir, q->args[0], db->dir.next_id, STATE_NEW);
	if (ch->domain == NULL) {
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		change_free(ch);
		return;
	}
	db->dir.next_id++;
	ch->apply = domain_live;
	ch->undo = domain_forget;
	b = db_begin(db);
	if (b != NULL)
		rc = db_put_domain(db, b, ch->domain);
	if (b != NULL && rc == 0)
		rc = db_put_next_id(db, b);
	change_commit(ch, b, rc);
}

void verb_domain_delete(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]);
	struct engine_batch *b;
	struct change *ch;

	if (dom == NULL || change_names_busy(q))
		return;
	if (dom == db->dir.main || dom->objects.n > 0) {
		reply_error(q, IPC_DIR_BAD,
		    dom == db->dir.main ? "the Main Domain cannot be deleted"
					: "the domain still has objects: delete them first");
		return;
	}
	if (guard_refuses_domain_gone(q, dom))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	dom->state = STATE_DELETING;
	ch->domain = dom;
	ch->apply = domain_forget;
	ch->undo = domain_live;
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

static void ips_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct addr_range r;

	change_names_free(ch);
	directory_clear_domain_ips(d, ch->domain);
	for (size_t i = 1; i < ch->n; i++)
		if (addr_range_parse(ch->args[i], &r) == 0 &&
		    directory_add_domain_ips(d, ch->domain, &r) != 0)
			routerd_commit_failed(ch->rd, -ENOMEM);
}

static bool refuse_meeting(
    struct request *q, const struct addr_range *a, const struct addr_range *b, struct slice owner)
{
	char one[ADDR_RANGE_TEXT_MAX], other[ADDR_RANGE_TEXT_MAX];
	struct buf why = BUF_INIT(2 * ADDR_RANGE_TEXT_MAX + DOMAIN_MAX_BYTES + 40);

	addr_range_text(a, one);
	addr_range_text(b, other);
	if (owner.n == 0)
		buf_printf(&why, "%s and %s have addresses in common", one, other);
	else if (strcmp(one, other) == 0)
		buf_printf(&why, "%s belongs to %.*s", one, SLICE_FMT(owner));
	else
		buf_printf(
		    &why, "%s meets %s, which belongs to %.*s", one, other, SLICE_FMT(owner));
	reply_error(q, IPC_DIR_EXISTS, buf_cstr(&why));
	buf_fini(&why);
	return false;
}

/* The ranges that the arguments name, each once; none may meet another's or one
 * another. */
static bool ips_right(
    struct request *q, const struct domain *dom, struct addr_range *ret, size_t *ret_n)
{
	const struct domain_ip *other;
	size_t n = 0;

	for (size_t i = 1; i < q->n; i++) {
		struct addr_range r;
		size_t at = n;

		if (addr_range_parse(q->args[i], &r) != 0) {
			reply_error(q, IPC_DIR_BAD,
			    "this is not an IP address, ADDRESS-ADDRESS or ADDRESS/BITS");
			return false;
		}
		other = directory_ips_meeting(&q->rd->db.dir, &r, dom);
		if (other != NULL)
			return refuse_meeting(q, &r, &other->range, other->domain->name);
		for (size_t k = 0; k < n; k++)
			if (addr_range_same(&ret[k], &r))
				at = k;
			else if (addr_range_meets(&ret[k], &r))
				return refuse_meeting(q, &ret[k], &r, SLICE_NONE);
		ret[at] = r;
		n += at == n;
	}
	*ret_n = n;
	return true;
}

void verb_domain_set_ips(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]);
	struct addr_range ips[DOMAIN_IPS_MAX];
	struct engine_batch *b;
	struct change *ch;
	size_t n;

	if (dom == NULL || change_names_busy(q))
		return;
	if (q->n - 1 > DOMAIN_IPS_MAX) {
		reply_error(q, IPC_DIR_BAD, "too many addresses");
		return;
	}
	if (!ips_right(q, dom, ips, &n) || guard_refuses_ips(q, dom, ips, n))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->domain = dom;
	ch->apply = ips_apply;
	ch->undo = change_names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	change_commit(ch, b, b != NULL ? db_put_domain_ips(db, b, dom, ips, n) : 0);
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
