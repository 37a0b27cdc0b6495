/* db-load - the directory as it is read at start; what a new one has from the beginning. */
#include "common/base/wire.h"
#include "routerd/db-private.h"
#include "routerd/db.h"
#include "routerd/limits.h"
#include "routerd/settings-db.h"

#include <errno.h>
#include <poll.h>

struct load {
	struct db *db;
	struct buf table, last;
	int rc;
	bool answered, more;
};

static struct domain *domain_by_id(const struct load *l, uint64_t id)
{
	return directory_domain_by_id(&l->db->dir, id);
}

/* A key of an object: its domain, then its name. NULL when there is no such domain. */
static struct domain *domain_of(const struct load *l, struct slice key, struct slice *ret_name)
{
	*ret_name = slice_from(key, 8);
	return key.n > 8 ? domain_by_id(l, wire_load_u64be(key.p)) : NULL;
}

static bool load_domain(struct load *l, struct slice name, struct wire_reader *v)
{
	uint64_t id = wire_get_u64(v);
	enum object_state state = wire_get_u8(v);
	bool is_main = wire_get_u8(v);
	bool suspended = wire_left(v) > 0 && wire_get_u8(v); /* rows of before have none */
	struct domain *dom = v->bad ? NULL : directory_add_domain(&l->db->dir, name, id, state);

	if (dom == NULL)
		return false;
	dom->suspended = suspended;
	if (is_main)
		l->db->dir.main = dom;
	return true;
}

static bool load_ip(struct load *l, struct slice key, struct wire_reader *v)
{
	struct domain *dom = domain_by_id(l, wire_get_u64(v));
	struct slice from = slice_from(key, 1);
	struct slice to =
	    wire_left(v) > 0 ? wire_get_raw(v, 16) : from; /* rows of before have none */
	struct addr_range r = { 0 };

	if (dom == NULL || v->bad || key.n != 17 || (key.p[0] != 4 && key.p[0] != 6) ||
	    slice_cmp(from, to) > 0)
		return false;
	r.family = key.p[0];
	memcpy(r.from, from.p, sizeof(r.from));
	memcpy(r.to, to.p, sizeof(r.to));
	return directory_add_domain_ips(&l->db->dir, dom, &r) == 0;
}

static bool load_account(struct load *l, struct slice key, struct wire_reader *v)
{
	struct slice name;
	struct domain *dom = domain_of(l, key, &name);
	enum object_state state = wire_get_u8(v);
	bool suspended = wire_get_u8(v);
	uint64_t id = wire_get_u64(v), quota = wire_get_u64(v);
	struct object *o;

	if (dom == NULL || v->bad)
		return false;
	o = directory_add_account(&l->db->dir, dom, name, id, state);
	if (o == NULL)
		return false;
	o->suspended = suspended;
	o->quota_bytes = quota;
	return true;
}

static bool load_forwarder(struct load *l, struct slice key, struct wire_reader *v)
{
	struct slice name, address = wire_get_raw(v, wire_left(v));
	struct domain *dom = domain_of(l, key, &name);

	return dom != NULL && address.n > 0 &&
	       directory_add_forwarder(&l->db->dir, dom, name, address, STATE_ACTIVE) != NULL;
}

static bool load_group(struct load *l, struct slice key, struct wire_reader *v)
{
	struct slice name;
	struct domain *dom = domain_of(l, key, &name);
	uint64_t id = wire_get_u64(v);
	uint32_t flags = wire_get_u32(v);
	struct object *o = dom != NULL && !v->bad
			       ? directory_add_group(&l->db->dir, dom, name, id, STATE_ACTIVE)
			       : NULL;

	if (o != NULL)
		o->group->flags = flags;
	return o != NULL;
}

/* Parts come in their order; accounts among the members come later. */
static bool load_members(struct load *l, struct slice key, struct wire_reader *v)
{
	struct object *o =
	    key.n == 10 ? directory_group(&l->db->dir, wire_load_u64be(key.p)) : NULL;
	bool good = o != NULL;

	while (good && wire_left(v) > 0) {
		uint64_t id = wire_get_u64(v);
		struct slice address = SLICE_NONE;

		if (id == 0)
			address = wire_get_bytes(v, ADDRESS_MAX_BYTES);
		good = !v->bad && (id != 0 || address.n > 0) &&
		       group_add_raw(o->group, id, address) == 0;
	}
	return good;
}

static bool load_list(struct load *l, struct slice key, struct wire_reader *v)
{
	struct slice name;
	struct domain *dom = domain_of(l, key, &name);
	uint64_t id = wire_get_u64(v), owner = wire_get_u64(v);

	return dom != NULL && !v->bad && directory_account(&l->db->dir, owner) != NULL &&
	       directory_add_list(&l->db->dir, dom, name, id, owner, STATE_ACTIVE) != NULL;
}

static bool load_alias(struct load *l, struct slice key, struct wire_reader *v)
{
	struct object *owner = directory_account(&l->db->dir, wire_get_u64(v));

	struct slice name;
	struct domain *dom = domain_of(l, key, &name);

	return owner != NULL && dom == owner->domain &&
	       directory_add_alias(&l->db->dir, owner, name, STATE_ACTIVE) != NULL;
}

static bool load_domain_alias(struct load *l, struct slice name, struct wire_reader *v)
{
	struct domain *dom = domain_by_id(l, wire_get_u64(v));

	return dom != NULL && directory_add_domain_alias(&l->db->dir, dom, name) == 0;
}

static bool load_setting(struct load *l, struct slice key, struct wire_reader *v)
{
	struct domain *dom = NULL;
	struct object *o = NULL;
	struct settings_holder h;
	struct settings_key k;

	if (!settings_db_key(key, &k))
		return false;
	if (k.scope == SCOPE_ACCOUNT)
		o = directory_account(&l->db->dir, k.id);
	else if (k.scope >= SCOPE_DOMAIN)
		dom = domain_by_id(l, k.id);
	if (k.scope >= SCOPE_DOMAIN && dom == NULL && o == NULL)
		return false;
	h = settings_holder(&l->db->dir, k.scope, dom, o);
	return settings_db_load(&h, k.name, wire_get_raw(v, wire_left(v))) == 0;
}

static bool load_rights(struct load *l, struct slice key, struct wire_reader *v)
{
	struct object *o =
	    key.n == 8 ? directory_account(&l->db->dir, wire_load_u64be(key.p)) : NULL;

	return o != NULL && settings_put_rights(&o->settings,
				settings_db_rights(wire_get_raw(v, wire_left(v)))) == 0;
}

/* Of an account or domain that is no more, too: nobody gets its number. */
static bool load_alerts(struct load *l, struct slice key, struct wire_reader *v)
{
	struct alerts *a =
	    key.n == 9 ? alerts_make(&l->db->dir.alerts, key.p[0], wire_load_u64be(key.p + 1))
		       : NULL;

	return a != NULL && a->n == 0 && alerts_get(a, v);
}

static bool load_shown(struct load *l, struct slice key, struct wire_reader *v)
{
	uint64_t account = key.n == 8 ? wire_load_u64be(key.p) : 0;
	struct shown *s;

	if (account == 0)
		return false;
	if (directory_account(&l->db->dir, account) == NULL)
		return true; /* it went while this was written */
	s = shown_make(&l->db->dir.shown, account);
	for (size_t i = 0; s != NULL && i < ALERT_SCOPES; i++)
		s->upto[i] = (int64_t)wire_get_u64(v);
	return s != NULL && !v->bad;
}

/* A salvaged directory may lack a part: what is behind it is taken, not at its place. */
static bool load_table(struct load *l, struct slice key, struct slice val)
{
	l->db->table_odd |=
	    key.n != 3 || l->table.n != (size_t)(key.p[1] << 8 | key.p[2]) * TABLE_PART_BYTES;
	return buf_put(&l->table, val) == 0;
}

static bool load_row(struct load *l, struct slice key, struct slice val)
{
	struct slice rest = slice_from(key, 1);
	struct wire_reader v = wire_reader(val);

	if (key.n == 0)
		return false;
	if (key.p[0] == ROW_TABLE)
		return load_table(l, key, val);
	if (wire_get_u8(&v) != VALUE_VERSION)
		return false;
	switch (key.p[0]) {
	case ROW_DOMAIN:
		return load_domain(l, rest, &v);
	case ROW_FORWARDER:
		return load_forwarder(l, rest, &v);
	case ROW_GROUP:
		return load_group(l, rest, &v);
	case ROW_IP:
		return load_ip(l, rest, &v);
	case ROW_MEMBERS:
		return load_members(l, rest, &v);
	case ROW_NEXT_ID:
		l->db->dir.next_id = wire_get_u64(&v);
		return !v.bad;
	case ROW_ACCOUNT:
		return load_account(l, rest, &v);
	case ROW_ALIAS:
		return load_alias(l, rest, &v);
	case ROW_LIST:
		return load_list(l, rest, &v);
	case ROW_ALERTS:
		return load_alerts(l, rest, &v);
	case ROW_RIGHTS:
		return load_rights(l, rest, &v);
	case ROW_SETTING:
		return load_setting(l, rest, &v);
	case ROW_SHOWN:
		return load_shown(l, rest, &v);
	case ROW_DOMAIN_ALIAS:
		return load_domain_alias(l, rest, &v);
	default:
		return false;
	}
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct load *l = arg;

	l->answered = true;
	l->rc = rc;
	l->more = more;
	for (size_t i = 0; l->rc == 0 && i < n; i++)
		if (!load_row(l, rows[i].key, rows[i].val))
			l->rc = -EUCLEAN;
	if (n > 0) {
		buf_reset(&l->last);
		buf_put(&l->last, rows[n - 1].key);
		buf_putc(&l->last, 0);
	}
}

static void wait_answer(struct engine *e, const bool *answered)
{
	while (!*answered) {
		struct pollfd pfd = { .fd = engine_fd(e), .events = POLLIN };

		if (engine_dispatch(e, 0) == 0)
			poll(&pfd, 1, 1000);
	}
}

static int load_all(struct db *db)
{
	struct load l = { .db = db,
		.table = BUF_INIT(TABLE_BYTES_MAX),
		.last = BUF_INIT(KEY_MAX_BYTES + 1),
		.more = true };
	unsigned line;
	const char *why;

	while (l.rc == 0 && l.more) {
		l.answered = false;
		engine_scan(db->group, buf_slice(&l.last), SLICE_NONE, 0, on_rows, &l);
		wait_answer(db->engine, &l.answered);
	}
	if (l.rc == 0)
		l.rc = table_compile(buf_slice(&l.table), &db->dir.table, &line, &why) != 0
			   ? -EUCLEAN
			   : 0;
	buf_fini(&l.table);
	buf_fini(&l.last);
	return l.rc;
}

struct wait_commit {
	bool answered;
	int rc;
};

static void on_first_commit(void *arg, int rc)
{
	struct wait_commit *w = arg;

	w->answered = true;
	w->rc = rc;
}

/* What every directory has: the Main Domain, and in it postmaster, at first as an intent. Whoever
 * has an alias of that name from before keeps it. */
static int add_first(struct db *db, struct engine_batch *b, struct slice main_domain)
{
	struct directory *d = &db->dir;
	struct object *o;
	int rc = 0;

	if (d->main == NULL) {
		d->main = directory_add_domain(d, main_domain, d->next_id++, STATE_ACTIVE);
		rc = d->main != NULL ? db_put_domain(db, b, d->main) : -ENOMEM;
	}
	if (rc == 0 && directory_object(d, d->main, POSTMASTER) == NULL) {
		o = directory_add_account(d, d->main, POSTMASTER, d->next_id++, STATE_CREATING);
		rc = o != NULL ? db_put_object(b, o) : -ENOMEM;
	}
	return rc == 0 ? db_put_next_id(db, b) : rc;
}

static int make_first(struct db *db, struct slice main_domain)
{
	struct wait_commit w = { 0 };
	struct engine_batch *b = db_begin(db);
	int rc = b != NULL ? add_first(db, b, main_domain) : -ENOMEM;

	if (rc != 0) {
		engine_batch_free(&b);
		return rc;
	}
	engine_commit(db->engine, &b, 1, on_first_commit, &w);
	wait_answer(db->engine, &w.answered);
	return w.rc;
}

struct wait_group {
	bool answered;
	int rc;
	struct engine_group *group;
};

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	struct wait_group *w = arg;

	*w = (struct wait_group){ true, rc, take_group };
}

int db_open(struct db *db, struct engine *e, struct slice main_domain)
{
	struct wait_group w = { 0 };
	int rc;

	*db = (struct db){ .engine = e };
	directory_init(&db->dir);
	engine_group_open(e, SLICE("directory"), 0, ENGINE_CREATE, on_group, &w);
	wait_answer(e, &w.answered);
	db->group = w.group;
	rc = w.rc;
	if (rc == 0)
		rc = load_all(db);
	if (rc == 0 &&
	    (db->dir.main == NULL || directory_object(&db->dir, db->dir.main, POSTMASTER) == NULL))
		rc = make_first(db, main_domain);
	if (rc != 0)
		db_close(db);
	return rc;
}

void db_close(struct db *db)
{
	engine_group_close(&db->group);
	directory_fini(&db->dir);
}
