#include "common/engine/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *node_bytes(const struct map_node *n)
{
	return (uint8_t *)(uintptr_t)&n->next[n->levels];
}

static size_t node_size(const struct map_node *n)
{
	return sizeof(*n) + n->levels * sizeof(n->next[0]) + n->key_n + n->val_cap;
}

void map_init(struct map *m, bool keep_deletes)
{
	*m = (struct map){ .keep_deletes = keep_deletes, .rnd = 0x9e3779b97f4a7c15u };
}

void map_fini(struct map *m)
{
	struct map_node *next;

	for (struct map_node *n = m->head[0]; n != NULL; n = next) {
		next = n->next[0];
		free(n);
	}
	for (size_t i = 0; i < m->n_ranges; i++) {
		free((void *)(uintptr_t)m->ranges[i].from.p);
		free((void *)(uintptr_t)m->ranges[i].to.p);
	}
	free(m->ranges);
	map_init(m, m->keep_deletes);
}

/*
 * prev[l]: the pointer at level l that leads to the first node with a key >= key. From the last row
 * on, which is below `key`: up as long as rows are, and down again. The links of a node lie next to
 * each other, and so do the map's own.
 */
static struct map_node *seek_on(struct map *m, struct slice key, struct map_node **prev[MAP_LEVELS])
{
	struct map_node **at = NULL;
	int l = 0;

	while (
	    l < MAP_LEVELS && *m->finger[l] != NULL && slice_cmp(map_key(*m->finger[l]), key) < 0)
		l++;
	memcpy(prev + l, m->finger + l, (size_t)(MAP_LEVELS - l) * sizeof(*prev));
	for (l--; l >= 0; l--) {
		at = at != NULL ? at - 1 : m->finger[l];
		while (*at != NULL && slice_cmp(map_key(*at), key) < 0)
			at = &(*at)->next[l];
		prev[l] = at;
	}
	return *prev[0];
}

/* The same from anywhere. */
static struct map_node *seek_prev(
    struct map *m, struct slice key, struct map_node **prev[MAP_LEVELS])
{
	struct map_node **at = m->head;

	if (m->finger_of == m && slice_cmp(map_key(m->last), key) < 0)
		return seek_on(m, key, prev);
	for (int l = MAP_LEVELS - 1; l >= 0; l--) {
		while (at[l] != NULL && slice_cmp(map_key(at[l]), key) < 0)
			at = at[l]->next;
		prev[l] = &at[l];
	}
	return *prev[0];
}

static void finger_set(struct map *m, struct map_node *n, struct map_node **prev[MAP_LEVELS])
{
	for (unsigned l = 0; l < MAP_LEVELS; l++)
		m->finger[l] = l < n->levels ? &n->next[l] : prev[l];
	m->last = n;
	m->finger_of = m;
}

const struct map_node *map_seek(const struct map *m, struct slice key)
{
	struct map_node *const *at = m->head;

	for (int l = MAP_LEVELS - 1; l >= 0; l--)
		while (at[l] != NULL && slice_cmp(map_key(at[l]), key) < 0)
			at = at[l]->next;
	return at[0];
}

const struct map_node *map_find(const struct map *m, struct slice key)
{
	const struct map_node *n = map_seek(m, key);

	return n != NULL && slice_cmp(map_key(n), key) == 0 ? n : NULL;
}

static void node_unlink(struct map *m, struct map_node *n, struct map_node **prev[MAP_LEVELS])
{
	for (unsigned l = 0; l < n->levels; l++)
		*prev[l] = n->next[l];
	m->rows--;
	m->bytes -= node_size(n);
	m->finger_of = NULL;
	free(n);
}

static uint8_t random_levels(struct map *m)
{
	uint8_t levels = 1;

	m->rnd ^= m->rnd << 13;
	m->rnd ^= m->rnd >> 7;
	m->rnd ^= m->rnd << 17;
	for (uint64_t r = m->rnd; (r & 3) == 0 && levels < MAP_LEVELS; r >>= 2)
		levels++;
	return levels;
}

static int point_set(struct map *m, struct slice key, struct slice val, bool deleted)
{
	struct map_node **prev[MAP_LEVELS], *n = seek_prev(m, key, prev), *old = NULL;
	uint8_t levels;

	if (n != NULL && slice_cmp(map_key(n), key) == 0) {
		if (val.n <= n->val_cap && n->val_cap <= 4 * val.n + 64) {
			if (val.n > 0)
				memcpy(node_bytes(n) + n->key_n, val.p, val.n);
			n->val_n = val.n;
			n->deleted = deleted;
			finger_set(m, n, prev);
			return 0;
		}
		old = n;
	}
	levels = random_levels(m);
	n = malloc(sizeof(*n) + levels * sizeof(n->next[0]) + key.n + val.n);
	if (n == NULL)
		return -ENOMEM;
	*n = (struct map_node){ .val_n = val.n,
		.val_cap = val.n,
		.key_n = (uint16_t)key.n,
		.levels = levels,
		.deleted = deleted };
	memcpy(node_bytes(n), key.p, key.n);
	if (val.n > 0)
		memcpy(node_bytes(n) + key.n, val.p, val.n);
	if (old != NULL)
		node_unlink(m, old, prev);
	for (unsigned l = 0; l < levels; l++) {
		n->next[l] = *prev[l];
		*prev[l] = n;
	}
	m->rows++;
	m->bytes += node_size(n);
	finger_set(m, n, prev);
	return 0;
}

int map_put(struct map *m, struct slice key, struct slice val)
{
	return point_set(m, key, val, false);
}

int map_del(struct map *m, struct slice key)
{
	struct map_node **prev[MAP_LEVELS], *n;

	if (m->keep_deletes)
		return point_set(m, key, (struct slice){ 0 }, true);
	n = seek_prev(m, key, prev);
	if (n != NULL && slice_cmp(map_key(n), key) == 0)
		node_unlink(m, n, prev);
	return 0;
}

/* Index of the first range whose end lies behind key. */
static size_t range_search(const struct map *m, struct slice key)
{
	size_t lo = 0, hi = m->n_ranges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(m->ranges[mid].to, key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct map_range *map_covering(const struct map *m, struct slice key)
{
	size_t i = range_search(m, key);

	if (i < m->n_ranges && slice_cmp(m->ranges[i].from, key) <= 0)
		return &m->ranges[i];
	return NULL;
}

static bool slice_copy(struct slice s, struct slice *ret)
{
	uint8_t *p = malloc(s.n == 0 ? 1 : s.n);

	if (p == NULL)
		return false;
	memcpy(p, s.p, s.n);
	*ret = (struct slice){ p, s.n };
	return true;
}

/* Inserts [from, to) and melts everything it touches into one range. */
static int range_add(struct map *m, struct slice from, struct slice to)
{
	size_t first = range_search(m, from), last;
	struct map_range r;

	if (m->n_ranges == m->cap_ranges) {
		size_t cap = m->cap_ranges == 0 ? 8 : 2 * m->cap_ranges;
		struct map_range *p = realloc(m->ranges, cap * sizeof(*p));

		if (p == NULL)
			return -ENOMEM;
		m->ranges = p;
		m->cap_ranges = cap;
	}
	for (last = first; last < m->n_ranges && slice_cmp(m->ranges[last].from, to) <= 0; last++)
		;
	if (first < last && slice_cmp(m->ranges[first].from, from) < 0)
		from = m->ranges[first].from;
	if (first < last && slice_cmp(m->ranges[last - 1].to, to) > 0)
		to = m->ranges[last - 1].to;
	if (!slice_copy(from, &r.from))
		return -ENOMEM;
	if (!slice_copy(to, &r.to)) {
		free((void *)(uintptr_t)r.from.p);
		return -ENOMEM;
	}
	for (size_t i = first; i < last; i++) {
		m->bytes -= sizeof(r) + m->ranges[i].from.n + m->ranges[i].to.n;
		free((void *)(uintptr_t)m->ranges[i].from.p);
		free((void *)(uintptr_t)m->ranges[i].to.p);
	}
	memmove(&m->ranges[first + 1], &m->ranges[last], (m->n_ranges - last) * sizeof(r));
	m->ranges[first] = r;
	m->n_ranges = m->n_ranges - (last - first) + 1;
	m->bytes += sizeof(r) + r.from.n + r.to.n;
	return 0;
}

int map_del_range(struct map *m, struct slice from, struct slice to)
{
	struct map_node **prev[MAP_LEVELS], *n;
	int r;

	if (slice_cmp(from, to) >= 0)
		return 0;
	if (m->keep_deletes && (r = range_add(m, from, to)) != 0)
		return r;
	n = seek_prev(m, from, prev);
	while (n != NULL && slice_cmp(map_key(n), to) < 0) {
		node_unlink(m, n, prev);
		n = *prev[0];
	}
	return 0;
}
