#include "routerd/directory.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/settings.h"
#include "routerd/tally.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void directory_init(struct directory *d)
{
	*d = (struct directory){ .next_id = 1 };
	/* Without it names have places that can be foreseen, and nothing else is lost. */
	if (getrandom(&d->seed, sizeof(d->seed), GRND_NONBLOCK) < 0)
		d->seed = 0;
}

static struct slice lower(struct slice name, uint8_t *out, size_t max)
{
	return name.n <= max ? name_lower(name, out) : SLICE_NONE;
}

/* A heap copy in lower case; p is NULL without memory. */
static struct slice name_new(struct slice name)
{
	uint8_t *p = malloc(name.n + 1);

	return p != NULL ? name_lower(name, p) : SLICE_NONE;
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

struct domain *directory_domain_by_id(const struct directory *d, uint64_t id)
{
	return idmap_get(&d->domain_ids, id);
}

struct domain *directory_add_domain(
    struct directory *d, struct slice name, uint64_t id, enum object_state state)
{
	struct domain *dom;

	if (directory_domain_any(d, name) != NULL || directory_domain_by_id(d, id) != NULL)
		return NULL;
	dom = calloc(1, sizeof(*dom));
	if (dom == NULL)
		return NULL;
	*dom = (struct domain){ .name = name_new(name), .id = id, .state = state };
	if (dom->name.p == NULL) {
		free(dom);
		return NULL;
	}
	if (idmap_add(&d->domain_ids, id, dom) != 0) {
		name_free(&dom->name);
		free(dom);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, d->domains, dom->name.p, dom->name.n, dom);
	return dom;
}

static void alias_remove(struct directory *d, struct domain_alias *a)
{
	HASH_DEL(d->domain_aliases, a);
	name_free(&a->name);
	free(a);
}

int directory_rename_domain(struct directory *d, struct domain *dom, struct slice name)
{
	struct slice copy = name_new(name);
	struct domain_alias *a = NULL;

	if (copy.p == NULL)
		return -ENOMEM;
	HASH_FIND(hh, d->domain_aliases, copy.p, copy.n, a);
	if (a != NULL)
		alias_remove(d, a);
	HASH_DEL(d->domains, dom);
	name_free(&dom->name);
	dom->name = copy;
	HASH_ADD_KEYPTR(hh, d->domains, dom->name.p, dom->name.n, dom);
	return 0;
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

void directory_clear_domain_aliases(struct directory *d, struct domain *dom)
{
	struct domain_alias *a, *tmp;

	HASH_ITER(hh, d->domain_aliases, a, tmp)
	{
		if (a->domain == dom)
			alias_remove(d, a);
	}
}

void directory_remove_domain(struct directory *d, struct domain *dom)
{
	assert(dom->objects.n == 0);
	directory_clear_domain_aliases(d, dom);
	directory_clear_domain_ips(d, dom);
	nametab_fini(&dom->objects);
	idmap_del(&d->domain_ids, dom->id);
	HASH_DEL(d->domains, dom);
	if (d->main == dom)
		d->main = NULL;
	settings_free(&dom->settings);
	settings_free(&dom->account_defaults);
	settings_free(&dom->account_template);
	tally_forget(d, dom->id);
	name_free(&dom->name);
	free(dom);
}

void directory_fini(struct directory *d)
{
	struct domain *dom, *tmp;

	HASH_ITER(hh, d->domains, dom, tmp)
	{
		/* What goes moves others, some to where we have been. */
		while (dom->objects.n > 0) {
			size_t at = 0;

			for (struct object *o; (o = domain_next_object(dom, &at)) != NULL; at--)
				directory_remove_object(d, o);
		}
		directory_remove_domain(d, dom);
	}
	settings_free(&d->settings);
	settings_free(&d->domain_defaults);
	settings_free(&d->account_defaults);
	free(d->ips);
	table_free(&d->table);
	alerts_free_all(&d->alerts);
	shown_free_all(&d->shown);
	tallies_free_all(d);
	idmap_fini(&d->domain_ids);
	idmap_fini(&d->accounts);
	idmap_fini(&d->groups);
	idmap_fini(&d->lists);
}
