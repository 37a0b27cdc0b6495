/*
 * locmap - where bodies of one store lie in another: what shares a body there shares one here.
 */
#pragma once

#include "common/engine/engine.h"

struct locmap_slot;

struct locmap {
	struct locmap_slot *slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

void locmap_fini(struct locmap *m);
/* NULL: not known in that shard. Until the next call of locmap_add(). */
const struct engine_loc *locmap_get(
    const struct locmap *m, const struct engine_loc *from, unsigned shard);
/* 0 or -ENOMEM. */
int locmap_add(struct locmap *m, const struct engine_loc *from, unsigned shard,
    const struct engine_loc *to) __attribute__((warn_unused_result));
