#include "routerd/settings.h"

#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

/* Records one after the other: u16 setting, u16 length, packed value; in the order of the table. */
struct settings {
	uint32_t n, rights;
	uint8_t b[];
};

enum { HEAD = 4 };

static unsigned load_u16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static void store_u16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* Offset of the first record whose setting is not before `key`. */
static size_t lower(const struct settings *s, enum setting key)
{
	size_t at = 0;

	while (s != NULL && at < s->n && load_u16(s->b + at) < key)
		at += HEAD + load_u16(s->b + at + 2);
	return at;
}

static struct slice find(const struct settings *s, enum setting key)
{
	size_t at = lower(s, key);

	if (s == NULL || at == s->n || load_u16(s->b + at) != key)
		return SLICE_NONE;
	return slice_of(s->b + at + HEAD, load_u16(s->b + at + 2));
}

/* Bytes from..to give way to `n` new ones, of which the caller writes those that are a record. */
static int resize(struct settings **at, size_t from, size_t to, size_t n)
{
	struct settings *old = *at, *s;
	size_t held = old != NULL ? old->n : 0, left = held - (to - from) + n;

	if (left == 0 && (old == NULL || old->rights == 0)) {
		settings_free(at);
		return 0;
	}
	s = malloc(sizeof(*s) + left);
	if (s == NULL)
		return -ENOMEM;
	*s = (struct settings){ (uint32_t)left, old != NULL ? old->rights : 0 };
	if (old != NULL && from > 0)
		memcpy(s->b, old->b, from);
	if (old != NULL && held > to)
		memcpy(s->b + from + n, old->b + to, held - to);
	free(old);
	*at = s;
	return 0;
}

int settings_put(struct settings **at, enum setting key, struct slice packed)
{
	size_t from = lower(*at, key);
	struct slice was = find(*at, key);
	size_t to = was.p != NULL ? from + HEAD + was.n : from;
	int rc = resize(at, from, to, packed.p != NULL ? HEAD + packed.n : 0);
	uint8_t *p;

	if (rc != 0 || packed.p == NULL)
		return rc;
	p = (*at)->b + from;
	store_u16(p, key);
	store_u16(p + 2, (unsigned)packed.n);
	if (packed.n > 0)
		memcpy(p + HEAD, packed.p, packed.n);
	return 0;
}

uint32_t settings_rights(const struct settings *s)
{
	return s != NULL ? s->rights : 0;
}

int settings_put_rights(struct settings **at, uint32_t rights)
{
	if (rights == settings_rights(*at))
		return 0;
	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at == NULL)
			return -ENOMEM;
	}
	(*at)->rights = rights;
	if (rights == 0 && (*at)->n == 0)
		settings_free(at);
	return 0;
}

void settings_free(struct settings **s)
{
	free(*s);
	*s = NULL;
}

/* ---- what is set ---- */

enum settings_scope settings_scope_find(struct slice word)
{
	static const char *const words[SCOPES] = { "", "server", "domain-defaults",
		"account-defaults-all", "domain", "account-defaults", "template", "account" };

	for (int i = SCOPE_SERVER; i < SCOPES; i++)
		if (slice_ieq(word, slice_str(words[i])))
			return (enum settings_scope)i;
	return SCOPES;
}

struct settings_holder settings_holder(
    struct directory *d, enum settings_scope scope, struct domain *dom, struct object *o)
{
	struct settings_holder h = { .scope = scope };

	switch (scope) {
	case SCOPE_SERVER:
		h.at = &d->settings;
		break;
	case SCOPE_DOMAIN_DEFAULTS:
		h.at = &d->domain_defaults;
		break;
	case SCOPE_ACCOUNT_DEFAULTS_ALL:
		h.at = &d->account_defaults;
		break;
	case SCOPE_ACCOUNT:
		h.account = o;
		h.at = &o->settings;
		h.id = o->id;
		break;
	default:
		h.domain = dom;
		h.id = dom->id;
		h.at = scope == SCOPE_DOMAIN             ? &dom->settings
		       : scope == SCOPE_ACCOUNT_DEFAULTS ? &dom->account_defaults
							 : &dom->account_template;
	}
	return h;
}

bool settings_scope_takes(enum settings_scope scope, enum setting key)
{
	switch (setting_rows[key].level) {
	case LEVEL_SERVER:
		return scope == SCOPE_SERVER;
	case LEVEL_DOMAIN:
		return scope == SCOPE_DOMAIN || scope == SCOPE_DOMAIN_DEFAULTS;
	case LEVEL_TEMPLATE:
		return scope == SCOPE_TEMPLATE;
	default:
		if (key == SETTING_Suspended)
			return scope == SCOPE_ACCOUNT;
		return scope == SCOPE_ACCOUNT || scope == SCOPE_ACCOUNT_DEFAULTS ||
		       scope == SCOPE_ACCOUNT_DEFAULTS_ALL || scope == SCOPE_TEMPLATE;
	}
}

bool settings_in_row(enum settings_scope scope, enum setting key)
{
	return scope == SCOPE_ACCOUNT &&
	       (key == SETTING_MaxAccountSize || key == SETTING_Suspended);
}

static struct slice in_row(const struct object *o, enum setting key)
{
	static uint8_t packed[8];

	if (key == SETTING_Suspended && o->suspended) {
		wire_store_u64(packed, 1);
	} else if (key == SETTING_MaxAccountSize && o->quota_bytes != 0) {
		wire_store_u64(packed, o->quota_bytes == QUOTA_UNLIMITED ? 0 : o->quota_bytes);
	} else {
		return SLICE_NONE;
	}
	return slice_of(packed, sizeof(packed));
}

struct slice settings_explicit(const struct settings_holder *h, enum setting key)
{
	return settings_in_row(h->scope, key) ? in_row(h->account, key) : find(*h->at, key);
}

/* ---- what counts ---- */

static struct slice or_default(struct slice found, enum setting key)
{
	return found.p != NULL ? found : setting_default(key);
}

struct slice settings_effective_server(const struct directory *d, enum setting key)
{
	return or_default(find(d->settings, key), key);
}

struct slice settings_effective_domain(
    const struct directory *d, const struct domain *dom, enum setting key)
{
	struct slice v = dom != NULL ? find(dom->settings, key) : SLICE_NONE;

	if (v.p == NULL)
		v = find(d->domain_defaults, key);
	return or_default(v, key);
}

static struct slice account_default(
    const struct directory *d, const struct domain *dom, enum setting key)
{
	struct slice v = dom != NULL ? find(dom->account_defaults, key) : SLICE_NONE;

	if (v.p == NULL)
		v = find(d->account_defaults, key);
	return or_default(v, key);
}

struct slice settings_effective(const struct directory *d, const struct object *o, enum setting key)
{
	struct slice v = SLICE_NONE;

	if (o != NULL && o->kind == OBJECT_ALIAS)
		o = o->owner;
	if (o != NULL && o->kind == OBJECT_ACCOUNT)
		v = settings_in_row(SCOPE_ACCOUNT, key) ? in_row(o, key) : find(o->settings, key);
	return v.p != NULL ? v : account_default(d, o != NULL ? o->domain : NULL, key);
}

uint64_t settings_quota(const struct directory *d, const struct object *o)
{
	return setting_number(settings_effective(d, o, SETTING_MaxAccountSize));
}

struct slice settings_effective_at(
    const struct directory *d, const struct settings_holder *h, enum setting key)
{
	struct slice v = settings_explicit(h, key);

	if (v.p != NULL)
		return v;
	switch (h->scope) {
	case SCOPE_DOMAIN:
		return settings_effective_domain(d, h->domain, key);
	case SCOPE_ACCOUNT:
		return settings_effective(d, h->account, key);
	case SCOPE_ACCOUNT_DEFAULTS:
	case SCOPE_TEMPLATE:
		return account_default(d, h->domain, key);
	default:
		return setting_default(key);
	}
}

static struct slice of_template(const struct object *o, enum setting key)
{
	return or_default(find(o->domain->account_template, key), key);
}

struct slice settings_first_mailboxes(const struct object *o)
{
	return of_template(o, SETTING_DefaultMailboxes);
}

struct slice settings_first_subscriptions(const struct object *o)
{
	return of_template(o, SETTING_MailboxSubscription);
}
