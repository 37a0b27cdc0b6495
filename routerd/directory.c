#include "routerd/directory.h"

#include "routerd/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void directory_init(struct directory *d)
{
	*d = (struct directory){ .next_id = 1 };
}

static struct slice lower(struct slice name, uint8_t *out, size_t max)
{
	if (name.n > max)
		return SLICE_NONE;
	for (size_t i = 0; i < name.n; i++)
		out[i] = ascii_lower(name.p[i]);
	return slice_of(out, name.n);
}

/* A heap copy in lower case; p is NULL without memory. */
static struct slice name_new(struct slice name)
{
	uint8_t *p = malloc(name.n + 1);

	if (p == NULL)
		return SLICE_NONE;
	for (size_t i = 0; i < name.n; i++)
		p[i] = ascii_lower(name.p[i]);
	return slice_of(p, name.n);
}

static void name_free(struct slice *s)
{
	free((void *)s->p);
	*s = SLICE_NONE;
}

struct domain *directory_domain(const struct directory *d, struct slice name)
{
	uint8_t raw[DOMAIN_MAX_BYTES];
	struct slice key = lower(name, raw, sizeof(raw));
	struct domain *dom = NULL;

	if (key.p != NULL)
		HASH_FIND(hh, d->domains, key.p, key.n, dom);
	return dom;
}

struct domain *directory_domain_any(const struct directory *d, struct slice name)
{
	uint8_t raw[DOMAIN_MAX_BYTES];
	struct slice key = lower(name, raw, sizeof(raw));
	struct domain *dom = directory_domain(d, name);
	struct domain_alias *alias = NULL;

	if (dom != NULL || key.p == NULL)
		return dom;
	HASH_FIND(hh, d->domain_aliases, key.p, key.n, alias);
	return alias != NULL ? alias->domain : NULL;
}

static void ip_key(const struct addr *a, uint8_t key[17])
{
	memset(key, 0, 17);
	key[0] = a->family;
	memcpy(key + 1, a->ip, a->family == 4 ? 4 : 16);
}

struct domain *directory_domain_by_ip(const struct directory *d, const struct addr *local)
{
	struct domain_ip *row = NULL;
	uint8_t key[17];

	if (local->family != 4 && local->family != 6)
		return NULL;
	ip_key(local, key);
	HASH_FIND(hh, d->ips, key, sizeof(key), row);
	return row != NULL && row->domain->state == STATE_ACTIVE ? row->domain : NULL;
}

/* Objects are keyed by the domain's id and the name, so that renaming a domain moves nothing. */
static size_t object_key(const struct domain *dom, struct slice name, uint8_t *out)
{
	memcpy(out, &dom->id, sizeof(dom->id));
	for (size_t i = 0; i < name.n; i++)
		out[sizeof(dom->id) + i] = ascii_lower(name.p[i]);
	return sizeof(dom->id) + name.n;
}

struct object *directory_object(
    const struct directory *d, const struct domain *dom, struct slice name)
{
	uint8_t key[sizeof(dom->id) + NAME_MAX_BYTES];
	struct object *o = NULL;

	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return NULL;
	HASH_FIND(hh, d->objects, key, object_key(dom, name, key), o);
	return o;
}

struct object *directory_account(const struct directory *d, uint64_t id)
{
	struct object *o = NULL;

	HASH_FIND(hh_id, d->accounts, &id, sizeof(id), o);
	return o;
}

struct domain *directory_add_domain(
    struct directory *d, struct slice name, uint64_t id, enum object_state state)
{
	struct domain *dom;

	if (directory_domain_any(d, name) != NULL)
		return NULL;
	dom = calloc(1, sizeof(*dom));
	if (dom == NULL)
		return NULL;
	*dom = (struct domain){ .name = name_new(name), .id = id, .state = state };
	if (dom->name.p == NULL) {
		free(dom);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, d->domains, dom->name.p, dom->name.n, dom);
	return dom;
}

/* The key lies before the name in one block: id, then name. */
static struct object *object_new(struct directory *d, struct domain *dom, struct slice name)
{
	struct object *o;
	uint8_t *key;
	size_t n;

	if (name.n > NAME_MAX_BYTES || directory_object(d, dom, name) != NULL)
		return NULL;
	o = calloc(1, sizeof(*o));
	key = malloc(sizeof(dom->id) + name.n);
	if (o == NULL || key == NULL) {
		free(o);
		free(key);
		return NULL;
	}
	n = object_key(dom, name, key);
	*o = (struct object){ .domain = dom, .name = slice_of(key + sizeof(dom->id), name.n) };
	HASH_ADD_KEYPTR(hh, d->objects, key, n, o);
	dom->objects++;
	return o;
}

struct object *directory_add_account(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, enum object_state state)
{
	struct object *o = object_new(d, dom, name);

	if (o == NULL)
		return NULL;
	o->kind = OBJECT_ACCOUNT;
	o->state = state;
	o->id = id;
	HASH_ADD(hh_id, d->accounts, id, sizeof(o->id), o);
	return o;
}

struct object *directory_add_alias(
    struct directory *d, struct object *owner, struct slice name, enum object_state state)
{
	struct object *o = object_new(d, owner->domain, name);

	if (o == NULL)
		return NULL;
	o->kind = OBJECT_ALIAS;
	o->state = state;
	o->owner = owner;
	o->next_alias = owner->aliases;
	owner->aliases = o;
	return o;
}

int directory_add_domain_alias(struct directory *d, struct domain *dom, struct slice name)
{
	struct domain_alias *a;

	if (directory_domain_any(d, name) != NULL)
		return 1;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	*a = (struct domain_alias){ .name = name_new(name), .domain = dom };
	if (a->name.p == NULL) {
		free(a);
		return -ENOMEM;
	}
	HASH_ADD_KEYPTR(hh, d->domain_aliases, a->name.p, a->name.n, a);
	return 0;
}

int directory_add_domain_ip(struct directory *d, struct domain *dom, const struct addr *ip)
{
	struct domain_ip *row;
	uint8_t key[17];

	ip_key(ip, key);
	HASH_FIND(hh, d->ips, key, sizeof(key), row);
	if (row != NULL)
		return row->domain == dom ? 0 : 1;
	row = calloc(1, sizeof(*row));
	if (row == NULL)
		return -ENOMEM;
	memcpy(row->key, key, sizeof(key));
	row->domain = dom;
	HASH_ADD(hh, d->ips, key, sizeof(row->key), row);
	return 0;
}

void directory_clear_domain_aliases(struct directory *d, struct domain *dom)
{
	struct domain_alias *a, *tmp;

	HASH_ITER(hh, d->domain_aliases, a, tmp)
	{
		if (a->domain != dom)
			continue;
		HASH_DEL(d->domain_aliases, a);
		name_free(&a->name);
		free(a);
	}
}

void directory_clear_domain_ips(struct directory *d, struct domain *dom)
{
	struct domain_ip *row, *tmp;

	HASH_ITER(hh, d->ips, row, tmp)
	{
		if (row->domain != dom)
			continue;
		HASH_DEL(d->ips, row);
		free(row);
	}
}

static void object_destroy(struct directory *d, struct object *o)
{
	HASH_DEL(d->objects, o);
	if (o->kind == OBJECT_ACCOUNT)
		HASH_DELETE(hh_id, d->accounts, o);
	o->domain->objects--;
	free((void *)(o->name.p - sizeof(o->domain->id)));
	free(o);
}

void directory_remove_object(struct directory *d, struct object *o)
{
	while (o->aliases != NULL) {
		struct object *alias = o->aliases;

		o->aliases = alias->next_alias;
		object_destroy(d, alias);
	}
	if (o->owner != NULL) {
		struct object **at = &o->owner->aliases;

		while (*at != o)
			at = &(*at)->next_alias;
		*at = o->next_alias;
	}
	object_destroy(d, o);
}

void directory_remove_domain(struct directory *d, struct domain *dom)
{
	assert(dom->objects == 0);
	directory_clear_domain_aliases(d, dom);
	directory_clear_domain_ips(d, dom);
	HASH_DEL(d->domains, dom);
	if (d->main == dom)
		d->main = NULL;
	name_free(&dom->name);
	free(dom);
}

void directory_fini(struct directory *d)
{
	struct object *o, *tmp_o;
	struct domain *dom, *tmp_d;

	HASH_ITER(hh_id, d->accounts, o, tmp_o)
	{
		directory_remove_object(d, o);
	}
	HASH_ITER(hh, d->domains, dom, tmp_d)
	{
		directory_remove_domain(d, dom);
	}
	table_free(&d->table);
}
