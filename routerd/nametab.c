#include "routerd/nametab.h"

#include "routerd/directory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void nametab_fini(struct nametab *t)
{
	free(t->slots);
	*t = (struct nametab){ 0 };
}

/* The slot of the name, or the empty one where it would be. */
static size_t slot_find(const struct nametab *t, uint32_t hash, struct slice name)
{
	size_t i = hash & (t->cap - 1);

	while (t->slots[i] != NULL &&
	       (t->slots[i]->hash != hash || !slice_eq(t->slots[i]->name, name)))
		i = (i + 1) & (t->cap - 1);
	return i;
}

struct object *nametab_get(const struct nametab *t, uint32_t hash, struct slice name)
{
	return t->cap == 0 ? NULL : t->slots[slot_find(t, hash, name)];
}

static int grow(struct nametab *t)
{
	struct nametab wider = { .n = t->n, .cap = t->cap == 0 ? 8 : t->cap * 2 };

	wider.slots = calloc(wider.cap, sizeof(struct object *));
	if (wider.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++)
		if (t->slots[i] != NULL)
			wider.slots[slot_find(&wider, t->slots[i]->hash, t->slots[i]->name)] =
			    t->slots[i];
	free(t->slots);
	*t = wider;
	return 0;
}

int nametab_add(struct nametab *t, struct object *o)
{
	size_t i;

	if (t->n >= t->cap - t->cap / 4 && grow(t) != 0)
		return -ENOMEM;
	i = slot_find(t, o->hash, o->name);
	assert(t->slots[i] == NULL);
	t->slots[i] = o;
	t->n++;
	return 0;
}

void nametab_del(struct nametab *t, struct object *o)
{
	size_t mask = t->cap - 1, hole = slot_find(t, o->hash, o->name);

	assert(t->slots[hole] == o);
	/* Later slots of the same run move into the hole, so that no search stops too early. */
	for (size_t i = (hole + 1) & mask; t->slots[i] != NULL; i = (i + 1) & mask) {
		size_t home = t->slots[i]->hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole] = NULL;
	t->n--;
}

struct object *nametab_next(const struct nametab *t, size_t *at)
{
	while (*at < t->cap) {
		struct object *o = t->slots[(*at)++];

		if (o != NULL)
			return o;
	}
	return NULL;
}
