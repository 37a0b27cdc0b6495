/*
 * idmap - from a 64-bit id to a pointer. Ids are given by trusted processes or by us, so the hash
 * needs no key. Holds no references; a pointer in it is never NULL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct idmap_slot {
	uint64_t id;
	void *p;
};

struct idmap {
	struct idmap_slot *slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

void idmap_fini(struct idmap *m);

void *idmap_get(const struct idmap *m, uint64_t id); /* NULL: not there */

/* The id must not be there. 0 or -ENOMEM. */
int idmap_add(struct idmap *m, uint64_t id, void *p) __attribute__((warn_unused_result));

void idmap_del(struct idmap *m, uint64_t id); /* not there: nothing */

/* The id must be there. */
void idmap_replace(struct idmap *m, uint64_t id, void *p);

/* The next pointer from slot *at on, in no order; NULL at the end. Nothing may change in between. */
void *idmap_next(const struct idmap *m, size_t *at);
