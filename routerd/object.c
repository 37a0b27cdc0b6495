/* object - what has a name inside a domain. */
#include "routerd/directory.h"

#include "routerd/group.h"
#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

/* Moving an object copies the struct and leaves the name behind it alone. */
_Static_assert(offsetof(struct object, bytes) == sizeof(struct object), "a hole before the name");

const char *object_kind_text(enum object_kind kind)
{
	static const char *const texts[OBJECT_KINDS] = { [OBJECT_ACCOUNT] = "account",
		[OBJECT_ALIAS] = "alias",
		[OBJECT_FORWARDER] = "forwarder",
		[OBJECT_GROUP] = "group",
		[OBJECT_LIST] = "mailing list",
		[OBJECT_HELD] = "new object" };

	return texts[kind];
}

static uint32_t name_hash(const struct directory *d, struct slice name)
{
	return (uint32_t)XXH3_64bits_withSeed(name.p, name.n, d->seed);
}

struct object *directory_object(
    const struct directory *d, const struct domain *dom, struct slice name)
{
	uint8_t raw[NAME_MAX_BYTES];

	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return NULL;
	name = name_lower(name, raw);
	return nametab_get(&dom->objects, name_hash(d, name), name);
}

struct object *directory_account(const struct directory *d, uint64_t id)
{
	return idmap_get(&d->accounts, id);
}

struct object *directory_group(const struct directory *d, uint64_t id)
{
	return idmap_get(&d->groups, id);
}

struct object *directory_list(const struct directory *d, uint64_t id)
{
	return idmap_get(&d->lists, id);
}

static struct idmap *ids_of(struct directory *d, enum object_kind kind)
{
	switch (kind) {
	case OBJECT_ACCOUNT:
		return &d->accounts;
	case OBJECT_GROUP:
		return &d->groups;
	case OBJECT_LIST:
		return &d->lists;
	default:
		return NULL;
	}
}

static struct object *object_new(struct directory *d, struct domain *dom, struct slice name,
    enum object_kind kind, uint64_t id, enum object_state state)
{
	struct idmap *ids = ids_of(d, kind);
	struct object *o;

	if (name.n == 0 || name.n > NAME_MAX_BYTES || directory_object(d, dom, name) != NULL)
		return NULL;
	if (ids != NULL && idmap_get(ids, id) != NULL)
		return NULL;
	o = calloc(1, sizeof(*o) + name.n);
	if (o == NULL)
		return NULL;
	*o = (struct object){ .domain = dom, .kind = kind, .id = id, .state = state };
	o->name = name_lower(name, o->bytes);
	o->hash = name_hash(d, o->name);
	if (ids != NULL && idmap_add(ids, id, o) != 0) {
		free(o);
		return NULL;
	}
	if (nametab_add(&dom->objects, o) != 0) {
		if (ids != NULL)
			idmap_del(ids, id);
		free(o);
		return NULL;
	}
	d->counts[kind]++;
	return o;
}

struct object *directory_add_account(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, enum object_state state)
{
	return object_new(d, dom, name, OBJECT_ACCOUNT, id, state);
}

struct object *directory_add_alias(
    struct directory *d, struct object *owner, struct slice name, enum object_state state)
{
	struct object *o = object_new(d, owner->domain, name, OBJECT_ALIAS, 0, state);

	if (o == NULL)
		return NULL;
	o->owner = owner;
	o->next_alias = owner->aliases;
	owner->aliases = o;
	return o;
}

struct object *directory_add_forwarder(struct directory *d, struct domain *dom, struct slice name,
    struct slice address, enum object_state state)
{
	char *copy = strndup((const char *)address.p, address.n);
	struct object *o =
	    copy != NULL ? object_new(d, dom, name, OBJECT_FORWARDER, 0, state) : NULL;

	if (o == NULL)
		free(copy);
	else
		o->address = copy;
	return o;
}

struct object *directory_add_group(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, enum object_state state)
{
	struct group *g = group_new();
	struct object *o = g != NULL ? object_new(d, dom, name, OBJECT_GROUP, id, state) : NULL;

	if (o == NULL)
		group_free(&g);
	else
		o->group = g;
	return o;
}

struct object *directory_add_list(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, uint64_t owner, enum object_state state)
{
	struct object *o = object_new(d, dom, name, OBJECT_LIST, id, state);

	if (o != NULL)
		o->owner_id = owner;
	return o;
}

struct object *directory_hold(struct directory *d, struct domain *dom, struct slice name)
{
	return object_new(d, dom, name, OBJECT_HELD, 0, STATE_NEW);
}

static struct object **place_among_aliases(struct object *alias)
{
	struct object **at = &alias->owner->aliases;

	while (*at != alias)
		at = &(*at)->next_alias;
	return at;
}

void directory_move_object(struct directory *d, struct object *o, struct object *held)
{
	struct object place = *held;
	struct idmap *ids = ids_of(d, o->kind);

	assert(held->kind == OBJECT_HELD && o->kind != OBJECT_HELD);
	nametab_del(&o->domain->objects, o);
	if (o->kind == OBJECT_ALIAS)
		*place_among_aliases(o) = held;
	*held = *o;
	held->domain = place.domain;
	held->name = place.name;
	held->hash = place.hash;
	if (ids != NULL)
		idmap_replace(ids, held->id, held);
	for (struct object *a = held->aliases; a != NULL; a = a->next_alias)
		a->owner = held;
	d->counts[OBJECT_HELD]--;
	free(o);
}

static void object_destroy(struct directory *d, struct object *o)
{
	struct idmap *ids = ids_of(d, o->kind);

	nametab_del(&o->domain->objects, o);
	if (ids != NULL)
		idmap_del(ids, o->id);
	d->counts[o->kind]--;
	if (o->kind == OBJECT_FORWARDER)
		free(o->address);
	else if (o->kind == OBJECT_GROUP)
		group_free(&o->group);
	settings_free(&o->settings);
	free(o);
}

void directory_remove_aliases(struct directory *d, struct object *account)
{
	while (account->aliases != NULL) {
		struct object *alias = account->aliases;

		account->aliases = alias->next_alias;
		object_destroy(d, alias);
	}
}

void directory_remove_object(struct directory *d, struct object *o)
{
	directory_remove_aliases(d, o);
	if (o->kind == OBJECT_ALIAS)
		*place_among_aliases(o) = o->next_alias;
	object_destroy(d, o);
}
