#include "common/base/idmap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct idmap *m, uint64_t id)
{
	id *= 0x9e3779b97f4a7c15u;
	return (size_t)(id ^ id >> 32) & (m->cap - 1);
}

/* The slot of `id`, or the empty one where it would be. */
static size_t slot_find(const struct idmap *m, uint64_t id)
{
	size_t i = slot_of(m, id);

	while (m->slots[i].p != NULL && m->slots[i].id != id)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void idmap_fini(struct idmap *m)
{
	free(m->slots);
	*m = (struct idmap){ 0 };
}

void *idmap_get(const struct idmap *m, uint64_t id)
{
	return m->cap == 0 ? NULL : m->slots[slot_find(m, id)].p;
}

static int grow(struct idmap *m)
{
	struct idmap wider = { .cap = m->cap == 0 ? 64 : m->cap * 2 };

	wider.slots = calloc(wider.cap, sizeof(*wider.slots));
	if (wider.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].p != NULL)
			wider.slots[slot_find(&wider, m->slots[i].id)] = m->slots[i];
	wider.n = m->n;
	free(m->slots);
	*m = wider;
	return 0;
}

int idmap_add(struct idmap *m, uint64_t id, void *p)
{
	size_t i;

	assert(p != NULL);
	if (m->n >= m->cap / 2 && grow(m) != 0)
		return -ENOMEM;
	i = slot_find(m, id);
	assert(m->slots[i].p == NULL);
	m->slots[i] = (struct idmap_slot){ id, p };
	m->n++;
	return 0;
}

void idmap_del(struct idmap *m, uint64_t id)
{
	size_t hole, i;

	if (m->cap == 0)
		return;
	hole = slot_find(m, id);
	if (m->slots[hole].p == NULL)
		return;
	/* Later slots of the same run move into the hole, so that no search stops too early. */
	for (i = (hole + 1) & (m->cap - 1); m->slots[i].p != NULL; i = (i + 1) & (m->cap - 1)) {
		size_t home = slot_of(m, m->slots[i].id);

		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct idmap_slot){ 0 };
	m->n--;
}

void idmap_replace(struct idmap *m, uint64_t id, void *p)
{
	size_t i = slot_find(m, id);

	assert(p != NULL && m->slots[i].p != NULL);
	m->slots[i].p = p;
}

void *idmap_next(const struct idmap *m, size_t *at)
{
	while (*at < m->cap) {
		void *p = m->slots[(*at)++].p;

		if (p != NULL)
			return p;
	}
	return NULL;
}
