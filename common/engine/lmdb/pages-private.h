/* pages-private - what the two parts of pages share: the first pages (pages-meta.c), the trees. */
#pragma once

#include "common/base/wire.h"
#include "common/engine/lmdb/pages.h"

enum {
	PAGE_HEAD = 16,
	PAGE_MIN = 512,
	PAGE_MAX = 64 << 10,
	PAGES_DEPTH_MAX = 32,
	PAGES_META_BYTES = PAGE_HEAD + 136,
};

enum page_flag { P_BRANCH = 0x01, P_LEAF = 0x02, P_OVERFLOW = 0x04, P_META = 0x08, P_DIRTY = 0x10 };

/* One of the two trees, as the first page describes it. */
struct pages_tree {
	unsigned flags, depth;
	uint64_t branches, leaves, overflow, entries, root;
};

struct pages_meta {
	uint64_t txn, last_page;
	size_t psize;
	unsigned flags; /* of the page */
	struct pages_tree free, main;
};

static inline uint16_t pages_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

bool pages_meta_decode(const uint8_t *p, struct pages_meta *ret);
/* The newer of those that can be read. */
bool pages_meta_find(const struct pages_ops *ops, void *arg, struct pages_meta *ret);
