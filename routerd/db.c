#include "routerd/db.h"

#include "common/base/log.h"
#include "common/base/wire.h"
#include "routerd/limits.h"

#include <errno.h>
#include <poll.h>

enum { VALUE_VERSION = 1, KEY_MAX_BYTES = 400, VALUE_MAX_BYTES = 64, TABLE_PART_BYTES = 1024 };

/* One row under construction. */
struct row_buf {
	uint8_t key[KEY_MAX_BYTES], val[VALUE_MAX_BYTES];
	size_t nkey, nval;
};

static void key_start(struct row_buf *r, char kind)
{
	r->key[0] = (uint8_t)kind;
	r->nkey = 1;
	r->val[0] = VALUE_VERSION;
	r->nval = 1;
}

static void key_add(struct row_buf *r, struct slice s)
{
	memcpy(r->key + r->nkey, s.p, s.n);
	r->nkey += s.n;
}

static void key_add_u64(struct row_buf *r, uint64_t v)
{
	wire_store_u64be(r->key + r->nkey, v);
	r->nkey += 8;
}

static void val_u8(struct row_buf *r, uint8_t v)
{
	r->val[r->nval++] = v;
}

static void val_u64(struct row_buf *r, uint64_t v)
{
	wire_store_u64(r->val + r->nval, v);
	r->nval += 8;
}

static int row_put(struct engine_batch *b, const struct row_buf *r)
{
	return engine_put(b, slice_of(r->key, r->nkey), slice_of(r->val, r->nval));
}

static int row_del(struct engine_batch *b, const struct row_buf *r)
{
	return engine_del(b, slice_of(r->key, r->nkey));
}

struct engine_batch *db_begin(struct db *db)
{
	return engine_batch_new(db->group);
}

static void domain_key(struct row_buf *r, const struct domain *dom)
{
	key_start(r, 'D');
	key_add(r, dom->name);
}

int db_put_domain(struct db *db, struct engine_batch *b, const struct domain *dom)
{
	struct row_buf r;

	domain_key(&r, dom);
	val_u64(&r, dom->id);
	val_u8(&r, (uint8_t)(dom->state == STATE_NEW ? STATE_ACTIVE : dom->state));
	val_u8(&r, dom == db->dir.main);
	return row_put(b, &r);
}

static void object_key(struct row_buf *r, const struct object *o)
{
	key_start(r, o->kind == OBJECT_ACCOUNT ? 'O' : 'P');
	key_add_u64(r, o->domain->id);
	key_add(r, o->name);
}

int db_put_object(struct engine_batch *b, const struct object *o)
{
	struct row_buf r;

	object_key(&r, o);
	if (o->kind == OBJECT_ALIAS) {
		val_u64(&r, o->owner->id);
		return row_put(b, &r);
	}
	val_u8(&r, (uint8_t)(o->state == STATE_NEW ? STATE_CREATING : o->state));
	val_u8(&r, o->suspended);
	val_u64(&r, o->id);
	val_u64(&r, o->quota_bytes);
	return row_put(b, &r);
}

int db_put_next_id(struct db *db, struct engine_batch *b)
{
	struct row_buf r;

	key_start(&r, 'N');
	val_u64(&r, db->dir.next_id);
	return row_put(b, &r);
}

int db_put_table(struct engine_batch *b, struct slice text)
{
	int rc = engine_del_range(b, SLICE("T"), SLICE("U"));

	for (unsigned part = 0; rc == 0 && text.n > 0; part++) {
		struct slice chunk = slice_part(text, 0, TABLE_PART_BYTES);
		uint8_t key[3] = { 'T', (uint8_t)(part >> 8), (uint8_t)part };

		rc = engine_put(b, slice_of(key, 3), chunk);
		text = slice_from(text, chunk.n);
	}
	return rc;
}

static void alias_key(struct row_buf *r, struct slice name)
{
	key_start(r, 'd');
	for (size_t i = 0; i < name.n; i++)
		r->key[r->nkey++] = ascii_lower(name.p[i]);
}

int db_put_domain_aliases(struct db *db, struct engine_batch *b, const struct domain *dom,
    const struct slice *names, size_t n)
{
	struct domain_alias *a, *tmp;
	struct row_buf r;
	int rc = 0;

	HASH_ITER(hh, db->dir.domain_aliases, a, tmp)
	{
		if (a->domain != dom || rc != 0)
			continue;
		alias_key(&r, a->name);
		rc = row_del(b, &r);
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		alias_key(&r, names[i]);
		val_u64(&r, dom->id);
		rc = row_put(b, &r);
	}
	return rc;
}

int db_put_domain_ips(struct db *db, struct engine_batch *b, const struct domain *dom,
    const struct addr *ips, size_t n)
{
	struct domain_ip *ip, *tmp;
	struct row_buf r;
	int rc = 0;

	HASH_ITER(hh, db->dir.ips, ip, tmp)
	{
		if (ip->domain != dom || rc != 0)
			continue;
		key_start(&r, 'I');
		key_add(&r, slice_of(ip->key, sizeof(ip->key)));
		rc = row_del(b, &r);
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint8_t raw[17] = { ips[i].family };

		memcpy(raw + 1, ips[i].ip, ips[i].family == 4 ? 4 : 16);
		key_start(&r, 'I');
		key_add(&r, slice_of(raw, sizeof(raw)));
		val_u64(&r, dom->id);
		rc = row_put(b, &r);
	}
	return rc;
}

int db_del_object(struct engine_batch *b, const struct object *o)
{
	struct row_buf r;
	int rc;

	object_key(&r, o);
	rc = row_del(b, &r);
	for (const struct object *a = o->aliases; rc == 0 && a != NULL; a = a->next_alias) {
		object_key(&r, a);
		rc = row_del(b, &r);
	}
	return rc;
}

int db_del_domain(struct db *db, struct engine_batch *b, const struct domain *dom)
{
	struct row_buf r;
	int rc;

	domain_key(&r, dom);
	rc = row_del(b, &r);
	if (rc == 0)
		rc = db_put_domain_aliases(db, b, dom, NULL, 0);
	if (rc == 0)
		rc = db_put_domain_ips(db, b, dom, NULL, 0);
	return rc;
}

/* ---- reading at start ---- */

struct load {
	struct db *db;
	struct buf table, last;
	struct domain *recent; /* rows of one domain stand together */
	int rc;
	bool answered, more;
};

static struct domain *domain_by_id(struct load *l, uint64_t id)
{
	struct domain *dom, *tmp;

	if (l->recent != NULL && l->recent->id == id)
		return l->recent;
	HASH_ITER(hh, l->db->dir.domains, dom, tmp)
	{
		if (dom->id == id)
			return l->recent = dom;
	}
	return NULL;
}

static bool load_domain(struct load *l, struct slice name, struct wire_reader *v)
{
	uint64_t id = wire_get_u64(v);
	enum object_state state = wire_get_u8(v);
	bool is_main = wire_get_u8(v);
	struct domain *dom = directory_add_domain(&l->db->dir, name, id, state);

	if (dom != NULL && is_main)
		l->db->dir.main = dom;
	return dom != NULL;
}

static bool load_ip(struct load *l, struct slice key, struct wire_reader *v)
{
	struct domain *dom = domain_by_id(l, wire_get_u64(v));
	struct addr a = { 0 };

	if (dom == NULL || key.n != 17 || (key.p[0] != 4 && key.p[0] != 6))
		return false;
	a.family = key.p[0];
	memcpy(a.ip, key.p + 1, 16);
	return directory_add_domain_ip(&l->db->dir, dom, &a) == 0;
}

static bool load_account(struct load *l, struct slice key, struct wire_reader *v)
{
	struct domain *dom = key.n > 8 ? domain_by_id(l, wire_load_u64be(key.p)) : NULL;
	enum object_state state = wire_get_u8(v);
	bool suspended = wire_get_u8(v);
	uint64_t id = wire_get_u64(v), quota = wire_get_u64(v);
	struct object *o;

	if (dom == NULL || v->bad)
		return false;
	o = directory_add_account(&l->db->dir, dom, slice_from(key, 8), id, state);
	if (o == NULL)
		return false;
	o->suspended = suspended;
	o->quota_bytes = quota;
	return true;
}

static bool load_alias(struct load *l, struct slice key, struct wire_reader *v)
{
	struct object *owner = directory_account(&l->db->dir, wire_get_u64(v));

	if (owner == NULL || key.n <= 8)
		return false;
	return directory_add_alias(&l->db->dir, owner, slice_from(key, 8), STATE_ACTIVE) != NULL;
}

static bool load_domain_alias(struct load *l, struct slice name, struct wire_reader *v)
{
	struct domain *dom = domain_by_id(l, wire_get_u64(v));

	return dom != NULL && directory_add_domain_alias(&l->db->dir, dom, name) == 0;
}

static bool load_row(struct load *l, struct slice key, struct slice val)
{
	struct slice rest = slice_from(key, 1);
	struct wire_reader v = wire_reader(val);

	if (key.n == 0)
		return false;
	if (key.p[0] == 'T')
		return buf_put(&l->table, val) == 0;
	if (wire_get_u8(&v) != VALUE_VERSION)
		return false;
	switch (key.p[0]) {
	case 'D':
		return load_domain(l, rest, &v);
	case 'I':
		return load_ip(l, rest, &v);
	case 'N':
		l->db->dir.next_id = wire_get_u64(&v);
		return !v.bad;
	case 'O':
		return load_account(l, rest, &v);
	case 'P':
		return load_alias(l, rest, &v);
	case 'd':
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

static int make_main_domain(struct db *db, struct slice name)
{
	struct wait_commit w = { 0 };
	struct engine_batch *b = db_begin(db);
	int rc;

	db->dir.main = directory_add_domain(&db->dir, name, db->dir.next_id++, STATE_ACTIVE);
	if (db->dir.main == NULL || b == NULL)
		return -ENOMEM;
	rc = db_put_domain(db, b, db->dir.main);
	if (rc == 0)
		rc = db_put_next_id(db, b);
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
	if (rc == 0 && db->dir.main == NULL)
		rc = make_main_domain(db, main_domain);
	if (rc != 0)
		db_close(db);
	return rc;
}

void db_close(struct db *db)
{
	engine_group_close(&db->group);
	directory_fini(&db->dir);
}
