#include "routerd/settings-db.h"

#include "common/base/log.h"
#include "common/base/wire.h"
#include "routerd/db-private.h"
#include "routerd/rights.h"

#include <errno.h>

enum { KEY_BYTES = 10 + 64 };

static size_t scope_key(uint8_t *key, enum settings_scope scope, uint64_t id)
{
	key[0] = ROW_SETTING;
	key[1] = (uint8_t)scope;
	wire_store_u64be(key + 2, id);
	return 10;
}

static struct slice setting_key(uint8_t *key, const struct settings_holder *h, enum setting which)
{
	struct slice name = slice_str(setting_rows[which].name);
	size_t n = scope_key(key, h->scope, h->id);

	memcpy(key + n, name.p, name.n);
	return slice_of(key, n + name.n);
}

int settings_db_put(
    struct engine_batch *b, const struct settings_holder *h, enum setting key, struct slice packed)
{
	struct buf val = BUF_INIT(1 + SETTING_TEXT_MAX);
	uint8_t raw[KEY_BYTES];
	int rc;

	if (packed.p == NULL)
		return engine_del(b, setting_key(raw, h, key));
	buf_putc(&val, VALUE_VERSION);
	setting_put(&val, key, packed);
	rc = val.overflow ? -ENOMEM : engine_put(b, setting_key(raw, h, key), buf_slice(&val));
	buf_fini(&val);
	return rc;
}

static struct slice rights_key(uint8_t *key, uint64_t account)
{
	key[0] = ROW_RIGHTS;
	wire_store_u64be(key + 1, account);
	return slice_of(key, 9);
}

int settings_db_put_rights(struct engine_batch *b, uint64_t account, uint32_t rights)
{
	struct buf val = BUF_INIT(2048);
	uint8_t key[9];
	int rc;

	if (rights == 0)
		return engine_del(b, rights_key(key, account));
	buf_putc(&val, VALUE_VERSION);
	for (unsigned i = 0; i < IPC_RIGHTS; i++) {
		if ((rights >> i & 1) == 0)
			continue;
		if (val.n > 1)
			buf_putc(&val, ' ');
		buf_puts(&val, rights_name(i));
	}
	rc = val.overflow ? -ENOMEM : engine_put(b, rights_key(key, account), buf_slice(&val));
	buf_fini(&val);
	return rc;
}

static int forget_scope(struct engine_batch *b, enum settings_scope scope, uint64_t id)
{
	uint8_t from[10], to[10];

	scope_key(from, scope, id);
	scope_key(to, scope, id + 1);
	return engine_del_range(b, slice_of(from, sizeof(from)), slice_of(to, sizeof(to)));
}

int settings_db_forget_account(struct engine_batch *b, const struct object *o)
{
	uint8_t key[9];
	int rc = o->settings != NULL ? forget_scope(b, SCOPE_ACCOUNT, o->id) : 0;

	return rc == 0 && settings_rights(o->settings) != 0 ? engine_del(b, rights_key(key, o->id))
							    : rc;
}

/* Whatever is in memory: a change may be on its way to the disk before this one. */
int settings_db_forget_domain(struct engine_batch *b, const struct domain *dom)
{
	int rc = forget_scope(b, SCOPE_DOMAIN, dom->id);

	if (rc == 0)
		rc = forget_scope(b, SCOPE_ACCOUNT_DEFAULTS, dom->id);
	return rc == 0 ? forget_scope(b, SCOPE_TEMPLATE, dom->id) : rc;
}

/* ---- the template ---- */

static int copy_one(struct engine_batch *b, const struct settings_holder *from,
    const struct settings_holder *to, enum setting key)
{
	struct slice v = settings_explicit(from, key);
	int rc;

	if (v.p == NULL || !settings_scope_takes(SCOPE_ACCOUNT, key))
		return 0;
	if (settings_in_row(SCOPE_ACCOUNT, key)) {
		if (to->account->quota_bytes == 0)
			to->account->quota_bytes =
			    setting_number(v) == 0 ? QUOTA_UNLIMITED : setting_number(v);
		return 0;
	}
	rc = settings_put(to->at, key, v);
	return rc == 0 ? settings_db_put(b, to, key, v) : rc;
}

int settings_apply_template(struct directory *d, struct object *o, struct engine_batch *b)
{
	struct settings_holder from = settings_holder(d, SCOPE_TEMPLATE, o->domain, NULL),
			       to = settings_holder(d, SCOPE_ACCOUNT, NULL, o);
	int rc = 0;

	for (int i = 0; i < SETTINGS && rc == 0; i++)
		rc = copy_one(b, &from, &to, (enum setting)i);
	return rc;
}

int settings_first_real_name(
    struct directory *d, struct object *o, struct slice name, struct engine_batch *b)
{
	struct settings_holder to = settings_holder(d, SCOPE_ACCOUNT, NULL, o);
	struct buf text = BUF_INIT(SETTING_TEXT_MAX), packed = BUF_INIT(SETTING_PACKED_MAX);
	const char *why;
	int rc = 0;

	buf_putc(&text, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_putc(&text, '\\');
		buf_putc(&text, name.p[i]);
	}
	buf_putc(&text, '"');
	if (setting_parse(SETTING_RealName, buf_slice(&text), &packed, &why) == 0) {
		rc = settings_put(to.at, SETTING_RealName, buf_slice(&packed));
		if (rc == 0)
			rc = settings_db_put(b, &to, SETTING_RealName, buf_slice(&packed));
	}
	buf_fini(&text);
	buf_fini(&packed);
	return rc;
}

/* ---- reading at start ---- */

bool settings_db_key(struct slice key, struct settings_key *ret)
{
	if (key.n <= 9 || key.p[0] < SCOPE_SERVER || key.p[0] >= SCOPES)
		return false;
	*ret = (struct settings_key){ (enum settings_scope)key.p[0], wire_load_u64be(key.p + 1),
		slice_from(key, 9) };
	return true;
}

int settings_db_load(const struct settings_holder *h, struct slice name, struct slice text)
{
	enum setting key = setting_find(name);
	struct buf packed = BUF_INIT(SETTING_PACKED_MAX);
	const char *why = "this version does not know it here";
	int rc = 0;

	if (key == SETTINGS || !settings_scope_takes(h->scope, key) ||
	    settings_in_row(h->scope, key) || setting_parse(key, text, &packed, &why) != 0)
		log_ev(LOG_WARNING, "route.setting", kv_str("name", name), kv_s("why", why));
	else
		rc = settings_put(h->at, key, packed.n > 0 ? buf_slice(&packed) : SLICE(""));
	buf_fini(&packed);
	return rc;
}

uint32_t settings_db_rights(struct slice text)
{
	uint32_t rights = 0;

	while (text.n > 0)
		rights |= rights_find(slice_take(&text, ' '));
	return rights;
}
