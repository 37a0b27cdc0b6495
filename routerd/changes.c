/*
 * changes - the verbs that change the directory. Each is checked wholly first; then one batch is
 * handed in; memory that routing looks at changes when the batch is durable.
 */
#include "routerd/dirconn.h"

#include "routerd/limits.h"
#include "routerd/names.h"

#include <stdlib.h>

enum { CHANGE_ARGS_MAX = 256 };

/* A change on its way to the disk: what to do with memory then, with arguments of its own. */
struct change {
	struct routerd *rd;
	struct dir_answer answer;
	void (*apply)(struct change *ch);
	void (*undo)(struct change *ch); /* optional: the commit failed */
	struct domain *domain;
	uint64_t account;
	uint64_t number;
	struct table *table;
	struct slice args[CHANGE_ARGS_MAX];
	size_t n;
	uint8_t *bytes; /* behind args */
};

static struct change *change_new(struct request *q)
{
	struct change *ch = calloc(1, sizeof(*ch));
	size_t total = 1, at = 0;

	for (size_t i = 0; i < q->n; i++)
		total += q->args[i].n;
	if (ch != NULL)
		ch->bytes = malloc(total);
	if (ch == NULL || ch->bytes == NULL) {
		free(ch);
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return NULL;
	}
	ch->rd = q->rd;
	ch->answer = q->answer;
	for (size_t i = 0; i < q->n && i < CHANGE_ARGS_MAX; i++) {
		if (q->args[i].n > 0)
			memcpy(ch->bytes + at, q->args[i].p, q->args[i].n);
		ch->args[ch->n++] = slice_of(ch->bytes + at, q->args[i].n);
		at += q->args[i].n;
	}
	return ch;
}

static void change_free(struct change *ch)
{
	table_free(&ch->table);
	free(ch->bytes);
	free(ch);
}

static void on_committed(void *arg, int rc)
{
	struct change *ch = arg;

	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		routerd_commit_failed(ch->rd, rc);
	if (rc == 0) {
		ch->apply(ch);
		ch->rd->stat.changes++;
		dir_reply_status(ch->rd, ch->answer, IPC_DIR_OK, "");
	} else {
		if (ch->undo != NULL)
			ch->undo(ch);
		dir_reply_status(
		    ch->rd, ch->answer, IPC_DIR_TRYLATER, "the disk is full or failing");
	}
	change_free(ch);
}

static void change_commit(struct change *ch, struct engine_batch *b, int rc)
{
	if (b != NULL && rc == 0) {
		engine_commit(ch->rd->db.engine, &b, 1, on_committed, ch);
		return;
	}
	engine_batch_free(&b);
	on_committed(ch, ENGINE_FULL);
}

/* ---- domains ---- */

/* One change of names at a time: two that are checked before either is made could both win a name.
 */
static bool names_busy(struct request *q)
{
	if (q->rd->names_in_flight)
		reply_error(q, IPC_DIR_TRYLATER, "another change of domain names is on its way");
	return q->rd->names_in_flight;
}

static void names_free(struct change *ch)
{
	ch->rd->names_in_flight = false;
}

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
	if (names_busy(q))
		return;
	if (directory_domain_any(&db->dir, q->args[0]) != NULL) {
		reply_error(q, IPC_DIR_EXISTS, "a domain with this name exists already");
		return;
	}
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

	if (dom == NULL)
		return;
	if (dom == db->dir.main || dom->objects > 0) {
		reply_error(q, IPC_DIR_BAD,
		    dom == db->dir.main ? "the Main Domain cannot be deleted"
					: "the domain still has accounts: delete them first");
		return;
	}
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

	names_free(ch);
	directory_clear_domain_aliases(d, ch->domain);
	for (size_t i = 1; i < ch->n; i++)
		directory_add_domain_alias(d, ch->domain, ch->args[i]);
}

void verb_domain_set_aliases(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]), *other;
	struct engine_batch *b;
	struct change *ch;

	if (dom == NULL || names_busy(q))
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
	}
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->domain = dom;
	ch->apply = aliases_apply;
	ch->undo = names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	change_commit(
	    ch, b, b != NULL ? db_put_domain_aliases(db, b, dom, q->args + 1, q->n - 1) : 0);
}

static void ips_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct addr a;

	names_free(ch);
	directory_clear_domain_ips(d, ch->domain);
	for (size_t i = 1; i < ch->n; i++)
		if (addr_parse_ip(ch->args[i], &a) == 0)
			directory_add_domain_ip(d, ch->domain, &a);
}

void verb_domain_set_ips(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]), *other;
	struct addr ips[CHANGE_ARGS_MAX];
	struct engine_batch *b;
	struct change *ch;

	if (dom == NULL || names_busy(q))
		return;
	for (size_t i = 1; i < q->n; i++) {
		if (addr_parse_ip(q->args[i], &ips[i - 1]) != 0) {
			reply_error(q, IPC_DIR_BAD, "this is not an IP address");
			return;
		}
		other = directory_domain_by_ip(&db->dir, &ips[i - 1]);
		if (other != NULL && other != dom) {
			reply_error(q, IPC_DIR_EXISTS, "an address belongs to another domain");
			return;
		}
	}
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->domain = dom;
	ch->apply = ips_apply;
	ch->undo = names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	change_commit(ch, b, b != NULL ? db_put_domain_ips(db, b, dom, ips, q->n - 1) : 0);
}

/* ---- accounts ---- */

void verb_account_create(struct request *q)
{
	struct address a;
	struct domain *dom;
	uint64_t quota = 0;

	if (address_split(q->args[0], &a) != 0 || !name_valid(a.local)) {
		reply_error(q, IPC_DIR_BAD,
		    "a name has letters, digits, '_', '-' and '.', at most 128, no dot at its "
		    "ends");
		return;
	}
	if (q->n > 1 && slice_u64(q->args[1], INT64_MAX, &quota) != 0) {
		reply_error(q, IPC_DIR_BAD, "the quota is a number of bytes");
		return;
	}
	dom = request_domain(q, a.domain);
	if (dom == NULL)
		return;
	if (directory_object(&q->rd->db.dir, dom, a.local) != NULL) {
		reply_error(q, IPC_DIR_EXISTS, "an object with this name exists already");
		return;
	}
	account_create(q->rd, dom, a.local, quota, q->answer);
}

/* An account on which a verb may work now; NULL after having answered. */
static struct object *settled_account(struct request *q)
{
	struct object *o = request_account(q, q->args[0]);

	if (o != NULL && (o->state != STATE_ACTIVE || o->in_flow)) {
		reply_error(q, IPC_DIR_TRYLATER, "the account is being created or deleted");
		return NULL;
	}
	return o;
}

void verb_account_delete(struct request *q)
{
	struct object *o = settled_account(q);

	if (o == NULL)
		return;
	if (o->domain == q->rd->db.dir.main && slice_eq(o->name, SLICE("postmaster"))) {
		reply_error(q, IPC_DIR_BAD, "postmaster of the Main Domain must exist");
		return;
	}
	account_delete(q->rd, o, q->answer);
}

static void suspended_apply(struct change *ch)
{
	struct object *o = directory_account(&ch->rd->db.dir, ch->account);

	if (o == NULL)
		return;
	o->suspended = ch->number;
	if (o->suspended)
		account_tell_changed(ch->rd, o);
}

static void quota_apply(struct change *ch)
{
	struct object *o = directory_account(&ch->rd->db.dir, ch->account);

	if (o != NULL)
		o->quota_bytes = ch->number;
}

/* Writes the account's row as it will be; memory follows when it is durable. */
static void change_account(struct request *q, struct object *o, struct object future,
    void (*apply)(struct change *), uint64_t number)
{
	struct change *ch = change_new(q);
	struct engine_batch *b;

	if (ch == NULL)
		return;
	ch->account = o->id;
	ch->number = number;
	ch->apply = apply;
	b = db_begin(&q->rd->db);
	change_commit(ch, b, b != NULL ? db_put_object(b, &future) : 0);
}

static void set_suspended(struct request *q, bool suspended)
{
	struct object *o = settled_account(q), future;

	if (o == NULL)
		return;
	future = *o;
	future.suspended = suspended;
	change_account(q, o, future, suspended_apply, suspended);
}

void verb_account_suspend(struct request *q)
{
	set_suspended(q, true);
}

void verb_account_resume(struct request *q)
{
	set_suspended(q, false);
}

void verb_account_set_quota(struct request *q)
{
	struct object *o = settled_account(q), future;
	uint64_t quota;

	if (o == NULL)
		return;
	if (slice_u64(q->args[1], INT64_MAX, &quota) != 0) {
		reply_error(q, IPC_DIR_BAD, "the quota is a number of bytes");
		return;
	}
	future = *o;
	future.quota_bytes = quota;
	change_account(q, o, future, quota_apply, quota);
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
	struct object *o = directory_account(d, ch->account), *a, *next;

	for (a = o != NULL ? o->aliases : NULL; a != NULL; a = next) {
		next = a->next_alias;
		if (listed(ch, a->name))
			a->state = STATE_ACTIVE;
		else if (a->state == STATE_DELETING)
			directory_remove_object(d, a);
	}
	if (o != NULL)
		o->in_flow = false;
}

static void account_aliases_undo(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct object *o = directory_account(d, ch->account), *a, *next;

	for (a = o != NULL ? o->aliases : NULL; a != NULL; a = next) {
		next = a->next_alias;
		if (a->state == STATE_NEW)
			directory_remove_object(d, a);
		else
			a->state = STATE_ACTIVE;
	}
	if (o != NULL)
		o->in_flow = false;
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
		if (other != NULL && other->owner != o) {
			reply_error(q, IPC_DIR_EXISTS,
			    "an object with the name of an alias exists already");
			return false;
		}
	}
	return true;
}

void verb_account_set_aliases(struct request *q)
{
	struct object *o = settled_account(q);
	struct db *db = &q->rd->db;
	struct engine_batch *b;
	struct change *ch;
	int rc = 0;

	if (o == NULL || !aliases_right(q, o))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->account = o->id;
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
	change_commit(ch, b, rc);
}

/* ---- Router table ---- */

static void table_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct table *old = d->table;

	d->table = ch->table;
	ch->table = old;
}

/* Who administers the server must not lose the name by a slip of the pen: no account but this one
 * has the Master right in this version. 0, or the number of the line that redirects it. */
static unsigned takes_postmaster(const struct directory *d, const struct table *t)
{
	const struct slice name = SLICE("postmaster");
	const struct record *rec = table_find(t, name, SLICE_NONE);

	if (rec == NULL && d->main != NULL)
		rec = table_find(t, name, d->main->name);
	return rec != NULL && !rec->whole_domain ? rec->line : 0;
}

void verb_router_set_table(struct request *q)
{
	struct engine_batch *b;
	struct change *ch = change_new(q);
	struct buf text = BUF_INIT(200);
	unsigned line;
	const char *why;
	int rc;

	if (ch == NULL)
		return;
	rc = table_compile(q->args[0], &ch->table, &line, &why);
	if (rc == 0 && (line = takes_postmaster(&q->rd->db.dir, ch->table)) > 0) {
		rc = 1;
		why = "postmaster of the Main Domain stays where it is";
	}
	if (rc != 0) {
		buf_printf(&text, "line %u: %s", line, rc > 0 ? why : "out of memory");
		reply_error(q, IPC_DIR_BAD, buf_cstr(&text));
		buf_fini(&text);
		change_free(ch);
		return;
	}
	ch->apply = table_apply;
	b = db_begin(&q->rd->db);
	change_commit(ch, b, b != NULL ? db_put_table(b, table_text(ch->table)) : 0);
}
