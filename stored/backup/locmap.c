#include "stored/backup/locmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CAP_MIN = 1024 };

struct locmap_slot {
	struct engine_loc from, to;
	uint8_t shard, used;
};

void locmap_fini(struct locmap *m)
{
	free(m->slots);
	*m = (struct locmap){ 0 };
}

static size_t find(const struct locmap *m, const struct engine_loc *from, unsigned shard)
{
	size_t i = XXH3_64bits_withSeed(from->b, sizeof(from->b), shard) & (m->cap - 1);

	while (m->slots[i].used &&
	       (m->slots[i].shard != shard || memcmp(&m->slots[i].from, from, sizeof(*from)) != 0))
		i = (i + 1) & (m->cap - 1);
	return i;
}

const struct engine_loc *locmap_get(
    const struct locmap *m, const struct engine_loc *from, unsigned shard)
{
	size_t i = m->cap > 0 ? find(m, from, shard) : 0;

	return m->cap > 0 && m->slots[i].used ? &m->slots[i].to : NULL;
}

static int grow(struct locmap *m)
{
	struct locmap wide = { .cap = m->cap == 0 ? CAP_MIN : 2 * m->cap, .n = m->n };

	wide.slots = calloc(wide.cap, sizeof(*wide.slots));
	if (wide.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used)
			wide.slots[find(&wide, &m->slots[i].from, m->slots[i].shard)] = m->slots[i];
	free(m->slots);
	*m = wide;
	return 0;
}

int locmap_add(
    struct locmap *m, const struct engine_loc *from, unsigned shard, const struct engine_loc *to)
{
	struct locmap_slot *s;

	if (4 * (m->n + 1) > 3 * m->cap && grow(m) != 0)
		return -ENOMEM;
	s = &m->slots[find(m, from, shard)];
	m->n += !s->used;
	*s = (struct locmap_slot){ *from, *to, (uint8_t)shard, 1 };
	return 0;
}
