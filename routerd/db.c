/* db - rows as they are written; db-load.c reads them. */
#include "routerd/db.h"

#include "common/base/wire.h"
#include "routerd/db-private.h"
#include "routerd/limits.h"
#include "routerd/settings-db.h"

#include <errno.h>

enum { VALUE_MAX_BYTES = 1 + ADDRESS_MAX_BYTES };

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

static void val_u32(struct row_buf *r, uint32_t v)
{
	wire_store_u32(r->val + r->nval, v);
	r->nval += 4;
}

static void val_add(struct row_buf *r, struct slice s)
{
	memcpy(r->val + r->nval, s.p, s.n);
	r->nval += s.n;
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
	key_start(r, ROW_DOMAIN);
	key_add(r, dom->name);
}

int db_put_domain(struct db *db, struct engine_batch *b, const struct domain *dom)
{
	struct row_buf r;

	domain_key(&r, dom);
	val_u64(&r, dom->id);
	val_u8(&r, (uint8_t)(dom->state == STATE_NEW ? STATE_ACTIVE : dom->state));
	val_u8(&r, db->dir.main != NULL && dom->id == db->dir.main->id);
	val_u8(&r, dom->suspended);
	return row_put(b, &r);
}

int db_del_domain_name(struct engine_batch *b, const struct domain *dom)
{
	struct row_buf r;

	domain_key(&r, dom);
	return row_del(b, &r);
}

static void object_key(struct row_buf *r, const struct object *o)
{
	static const char rows[OBJECT_KINDS] = { [OBJECT_ACCOUNT] = ROW_ACCOUNT,
		[OBJECT_ALIAS] = ROW_ALIAS,
		[OBJECT_FORWARDER] = ROW_FORWARDER,
		[OBJECT_GROUP] = ROW_GROUP,
		[OBJECT_LIST] = ROW_LIST };

	key_start(r, rows[o->kind]);
	key_add_u64(r, o->domain->id);
	key_add(r, o->name);
}

int db_put_object(struct engine_batch *b, const struct object *o)
{
	struct row_buf r;

	object_key(&r, o);
	switch (o->kind) {
	case OBJECT_ALIAS:
		val_u64(&r, o->owner->id);
		break;
	case OBJECT_FORWARDER:
		val_add(&r, slice_str(o->address));
		break;
	case OBJECT_GROUP:
		val_u64(&r, o->id);
		val_u32(&r, o->group->flags);
		break;
	case OBJECT_LIST:
		val_u64(&r, o->id);
		val_u64(&r, o->owner_id);
		break;
	default:
		val_u8(&r, (uint8_t)(o->state == STATE_NEW ? STATE_CREATING : o->state));
		val_u8(&r, o->suspended);
		val_u64(&r, o->id);
		val_u64(&r, o->quota_bytes);
		break;
	}
	return row_put(b, &r);
}

/* ---- members of a group, in parts ---- */

static struct slice members_key(uint8_t *out, uint64_t group, unsigned part)
{
	out[0] = ROW_MEMBERS;
	wire_store_u64be(out + 1, group);
	out[9] = (uint8_t)(part >> 8);
	out[10] = (uint8_t)part;
	return slice_of(out, 11);
}

static int members_del(struct engine_batch *b, uint64_t group)
{
	uint8_t from[11], to[11];

	return engine_del_range(b, members_key(from, group, 0), members_key(to, group + 1, 0));
}

int db_put_alerts(struct engine_batch *b, const struct alerts *a)
{
	struct buf value = BUF_INIT(ALERTS_MAX * (ALERT_TEXT_MAX + 16) + 1);
	uint8_t key[10] = { ROW_ALERTS };
	int rc;

	memcpy(key + 1, a->key, sizeof(a->key));
	wire_put_u8(&value, VALUE_VERSION);
	alerts_put(a, &value);
	if (a->n == 0)
		rc = engine_del(b, slice_of(key, sizeof(key)));
	else
		rc = value.overflow ? -ENOMEM
				    : engine_put(b, slice_of(key, sizeof(key)), buf_slice(&value));
	buf_fini(&value);
	return rc;
}

static int alerts_del(struct engine_batch *b, enum alert_scope scope, uint64_t id)
{
	uint8_t key[10] = { ROW_ALERTS, (uint8_t)scope };

	wire_store_u64be(key + 2, id);
	return engine_del(b, slice_of(key, sizeof(key)));
}

static void shown_key(struct row_buf *r, uint64_t account)
{
	key_start(r, ROW_SHOWN);
	key_add_u64(r, account);
}

int db_put_shown(struct engine_batch *b, const struct shown *s)
{
	struct row_buf r;

	shown_key(&r, s->account);
	for (size_t i = 0; i < ALERT_SCOPES; i++)
		val_u64(&r, (uint64_t)s->upto[i]);
	return row_put(b, &r);
}

static int shown_del(struct engine_batch *b, uint64_t account)
{
	struct row_buf r;

	shown_key(&r, account);
	return row_del(b, &r);
}

int db_put_members(struct engine_batch *b, uint64_t group, const struct group *g)
{
	struct buf part = BUF_INIT(MEMBERS_PART_BYTES + ADDRESS_MAX_BYTES + 16);
	int rc = members_del(b, group);
	unsigned number = 0;
	uint8_t key[11];

	for (size_t i = 0; rc == 0 && i < g->n; i++) {
		if (part.n == 0)
			wire_put_u8(&part, VALUE_VERSION);
		wire_put_u64(&part, g->members[i].id);
		if (g->members[i].id == 0)
			wire_put_bytes(&part, slice_str(g->members[i].address));
		if (part.n < MEMBERS_PART_BYTES && i + 1 < g->n)
			continue;
		rc = part.overflow
			 ? -ENOMEM
			 : engine_put(b, members_key(key, group, number++), buf_slice(&part));
		buf_reset(&part);
	}
	buf_fini(&part);
	return rc;
}

int db_put_next_id(struct db *db, struct engine_batch *b)
{
	struct row_buf r;

	key_start(&r, ROW_NEXT_ID);
	val_u64(&r, db->dir.next_id);
	return row_put(b, &r);
}

int db_put_table(struct engine_batch *b, struct slice was, struct slice text)
{
	uint8_t key[3] = { 'T' };
	int rc = 0;

	for (unsigned part = 0; rc == 0 && text.n > 0; part++) {
		struct slice chunk = slice_part(text, 0, TABLE_PART_BYTES);
		struct slice old = slice_part(was, 0, TABLE_PART_BYTES);

		if (!slice_eq(chunk, old))
			rc = engine_put(b, slice_of(key, 3), chunk);
		text = slice_from(text, chunk.n);
		was = slice_from(was, old.n);
		key[1] = (uint8_t)((part + 1) >> 8);
		key[2] = (uint8_t)(part + 1);
	}
	return rc == 0 ? engine_del_range(b, slice_of(key, 3), SLICE("U")) : rc;
}

static void alias_key(struct row_buf *r, struct slice name)
{
	key_start(r, ROW_DOMAIN_ALIAS);
	for (size_t i = 0; i < name.n; i++)
		r->key[r->nkey++] = ascii_lower(name.p[i]);
}

int db_del_domain_alias(struct engine_batch *b, struct slice name)
{
	struct row_buf r;

	alias_key(&r, name);
	return row_del(b, &r);
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

static void ips_key(struct row_buf *r, const struct addr_range *range)
{
	key_start(r, ROW_IP);
	key_add(r, slice_of(&range->family, 1));
	key_add(r, slice_of(range->from, sizeof(range->from)));
}

int db_put_domain_ips(struct db *db, struct engine_batch *b, const struct domain *dom,
    const struct addr_range *ips, size_t n)
{
	const struct directory *d = &db->dir;
	struct row_buf r;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < d->n_ips; i++) {
		if (d->ips[i].domain != dom)
			continue;
		ips_key(&r, &d->ips[i].range);
		rc = row_del(b, &r);
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		ips_key(&r, &ips[i]);
		val_u64(&r, dom->id);
		if (memcmp(ips[i].from, ips[i].to, sizeof(ips[i].to)) != 0)
			val_add(&r, slice_of(ips[i].to, sizeof(ips[i].to)));
		rc = row_put(b, &r);
	}
	return rc;
}

int db_del_name(struct engine_batch *b, const struct object *o)
{
	struct row_buf r;

	object_key(&r, o);
	return row_del(b, &r);
}

int db_del_aliases(struct engine_batch *b, const struct object *account)
{
	int rc = 0;

	for (const struct object *a = account->aliases; rc == 0 && a != NULL; a = a->next_alias)
		rc = db_del_name(b, a);
	return rc;
}

int db_del_object(struct engine_batch *b, const struct object *o)
{
	int rc = db_del_name(b, o);

	if (rc == 0)
		rc = db_del_aliases(b, o);
	if (rc == 0 && o->kind == OBJECT_GROUP)
		rc = members_del(b, o->id);
	if (rc == 0 && o->kind == OBJECT_ACCOUNT)
		rc = settings_db_forget_account(b, o);
	if (rc == 0 && o->kind == OBJECT_ACCOUNT)
		rc = shown_del(b, o->id);
	if (rc == 0 && o->kind == OBJECT_ACCOUNT)
		rc = alerts_del(b, ALERT_ACCOUNT, o->id);
	return rc;
}

int db_del_domain(struct db *db, struct engine_batch *b, const struct domain *dom)
{
	int rc = db_del_domain_name(b, dom);

	if (rc == 0)
		rc = db_put_domain_aliases(db, b, dom, NULL, 0);
	if (rc == 0)
		rc = db_put_domain_ips(db, b, dom, NULL, 0);
	if (rc == 0)
		rc = alerts_del(b, ALERT_DOMAIN, dom->id);
	return rc == 0 ? settings_db_forget_domain(b, dom) : rc;
}
