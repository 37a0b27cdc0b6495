/*
 * map - an ordered map in memory: the rows of the memory engine, and the overlay of the LMDB
 * engine.
 *
 * Invariant: a point (row or tombstone) is newer than every range that covers it, so a look-up asks
 * the points first and the ranges only when no point is there. With keep_deletes unset there are
 * neither tombstones nor ranges. Not locked: the user decides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"

enum { MAP_LEVELS = 14 };

struct map_node {
	size_t val_n, val_cap;
	uint16_t key_n;
	uint8_t levels;
	bool deleted; /* tombstone */
	struct map_node *next[];
	/* followed by key and value */
};

struct map_range {
	struct slice from, to;
};

struct map {
	struct map_node *head[MAP_LEVELS];
	struct map_range *ranges; /* sorted, disjoint, may touch */
	size_t n_ranges, cap_ranges;
	size_t rows, bytes;
	uint64_t rnd;
	bool keep_deletes;
	/* Where the last row was put: rows come in order, as a rule. Good while finger_of is this
	 * map, which it is not in a copy of the struct. */
	const struct map *finger_of;
	const struct map_node *last;
	struct map_node **finger[MAP_LEVELS]; /* the links behind it */
};

void map_init(struct map *m, bool keep_deletes);
void map_fini(struct map *m);

/* Bytes are copied. 0 or -ENOMEM (the map is unchanged). */
int map_put(struct map *m, struct slice key, struct slice val);
int map_del(struct map *m, struct slice key);
int map_del_range(struct map *m, struct slice from, struct slice to);

/* First node with a key >= key, NULL at the end. */
const struct map_node *map_seek(const struct map *m, struct slice key);
/* The node of exactly this key or NULL; may be a tombstone. */
const struct map_node *map_find(const struct map *m, struct slice key);
/* The deleted range that covers key, or NULL. */
const struct map_range *map_covering(const struct map *m, struct slice key);

static inline struct slice map_key(const struct map_node *n)
{
	return (struct slice){ (const uint8_t *)&n->next[n->levels], n->key_n };
}

static inline struct slice map_val(const struct map_node *n)
{
	return (struct slice){ (const uint8_t *)&n->next[n->levels] + n->key_n, n->val_n };
}
