/*
 * nametab - the objects of one domain by name: open addressing, eight bytes a slot. Names are in
 * lower case; whoever asks has hashed the name. Holds no references.
 */
#pragma once

#include "common/base/slice.h"

struct object;

struct nametab {
	struct object **slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

void nametab_fini(struct nametab *t);

struct object *nametab_get(const struct nametab *t, uint32_t hash, struct slice name);

/* Its name must not be there. 0 or -ENOMEM. */
int nametab_add(struct nametab *t, struct object *o) __attribute__((warn_unused_result));

void nametab_del(struct nametab *t, struct object *o);

/* The next object from slot *at on, in no order; NULL at the end. Nothing may change in between. */
struct object *nametab_next(const struct nametab *t, size_t *at);
