/* The format of LMDB 0.9 on machines of 64 bits with the low byte first. */
#include "common/engine/lmdb/pages.h"

#include "common/base/wire.h"
#include "common/engine/limits.h"

#include <errno.h>
#include <stdlib.h>

enum {
	PAGE_HEAD = 16,
	PAGE_MIN = 512,
	PAGE_MAX = 64 << 10,
	NODE_HEAD = 8,
	DEPTH_MAX = 32,
	VALUE_MAX = 1 + 24 + ENGINE_VALUE_MAX,
	META_AT = PAGE_HEAD,
	META_BYTES = PAGE_HEAD + 136,
	META_MAGIC_AT = META_AT,
	META_VERSION_AT = META_AT + 4,
	META_FREE_DB_AT = META_AT + 24, /* its first field holds the size of a page */
	META_MAIN_DB_AT = META_AT + 24 + 48,
	META_TXN_AT = META_AT + 24 + 96 + 8,
	DB_DEPTH_AT = 6,
	DB_ROOT_AT = 40,
	LMDB_VERSION = 1,
};

static const uint32_t lmdb_magic = 0xBEEFC0DE;

enum page_flag { P_BRANCH = 0x01, P_LEAF = 0x02, P_OVERFLOW = 0x04, P_DIRTY = 0x10 };
enum node_flag { F_BIGDATA = 0x01 };

struct walk {
	const struct pages_ops *ops;
	void *arg;
	size_t psize;
	uint64_t pages, visits;
	bool enough;
	uint8_t last[ENGINE_KEY_ENCODED_MAX]; /* key */
	size_t last_n;
	uint8_t *levels; /* a page for each level of the tree */
	uint8_t *big;
};

static uint16_t load_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* ---- the two first pages ---- */

struct meta {
	uint64_t txn, root;
	size_t psize;
	unsigned depth;
};

static bool meta_decode(const uint8_t *p, struct meta *ret)
{
	size_t psize = wire_load_u32(p + META_FREE_DB_AT);

	if (wire_load_u32(p + META_MAGIC_AT) != lmdb_magic ||
	    wire_load_u32(p + META_VERSION_AT) != LMDB_VERSION)
		return false;
	if (psize < PAGE_MIN || psize > PAGE_MAX || (psize & (psize - 1)) != 0)
		return false;
	*ret = (struct meta){ .txn = wire_load_u64(p + META_TXN_AT),
		.root = wire_load_u64(p + META_MAIN_DB_AT + DB_ROOT_AT),
		.depth = load_u16(p + META_MAIN_DB_AT + DB_DEPTH_AT),
		.psize = psize };
	return ret->depth <= DEPTH_MAX;
}

/* The newer of those that can be read. The second lies one page behind the first. */
static bool meta_find(const struct pages_ops *ops, void *arg, struct meta *ret)
{
	uint8_t p[META_BYTES];
	struct meta m;
	bool any = false;

	if (ops->read(arg, 0, p, sizeof(p)) == 0)
		any = meta_decode(p, ret);
	for (size_t psize = any ? ret->psize : PAGE_MIN; psize <= PAGE_MAX; psize *= 2) {
		if (ops->read(arg, psize, p, sizeof(p)) == 0 && meta_decode(p, &m) &&
		    m.psize == psize && (!any || m.txn > ret->txn)) {
			*ret = m;
			return true;
		}
		if (any)
			break;
	}
	return any;
}

/* ---- pages ---- */

static const char *page_read(struct walk *w, uint64_t no, unsigned depth, const uint8_t **ret_p)
{
	uint8_t *p = w->levels + depth * w->psize;
	size_t lower, upper;

	if (depth >= DEPTH_MAX || no < 2 || no >= w->pages || w->visits++ >= w->pages)
		return "a page has a place where it cannot be";
	if (w->ops->read(w->arg, no * w->psize, p, w->psize) != 0)
		return "a page cannot be read";
	lower = load_u16(p + 12);
	upper = load_u16(p + 14);
	if (wire_load_u64(p) != no || lower < PAGE_HEAD || lower > upper || upper > w->psize ||
	    lower % 2 != 0)
		return "a page has no header";
	*ret_p = p;
	return NULL;
}

static unsigned page_keys(const uint8_t *p)
{
	return (unsigned)((load_u16(p + 12) - PAGE_HEAD) / 2);
}

static unsigned page_flags(const uint8_t *p)
{
	return load_u16(p + 10) & ~(unsigned)P_DIRTY;
}

/* Node i: its first byte, or NULL when it does not lie in the page; `ret_key` is within. */
static const uint8_t *node_at(
    const struct walk *w, const uint8_t *p, unsigned i, struct slice *ret_key)
{
	size_t at = load_u16(p + PAGE_HEAD + 2 * i), n;

	if (at < load_u16(p + 14) || at + NODE_HEAD > w->psize)
		return NULL;
	n = load_u16(p + at + 6);
	if (n > w->psize - at - NODE_HEAD || n > ENGINE_KEY_ENCODED_MAX)
		return NULL;
	*ret_key = slice_of(p + at + NODE_HEAD, n);
	return p + at;
}

/* A value beside its key, or in pages of its own. */
static bool leaf_value(
    struct walk *w, const uint8_t *page, const uint8_t *node, struct slice key, struct slice *ret)
{
	size_t n = load_u16(node) | (size_t)load_u16(node + 2) << 16;
	size_t room = w->psize - (size_t)(key.p + key.n - page);
	uint8_t head[PAGE_HEAD];
	uint64_t no;

	if (n > VALUE_MAX)
		return false;
	if ((load_u16(node + 4) & F_BIGDATA) == 0) {
		*ret = slice_of(key.p + key.n, n);
		return load_u16(node + 4) == 0 && n <= room;
	}
	if (room < 8)
		return false;
	no = wire_load_u64(key.p + key.n);
	if (no < 2 || no >= w->pages ||
	    w->ops->read(w->arg, no * w->psize, head, sizeof(head)) != 0)
		return false;
	if (wire_load_u64(head) != no || (load_u16(head + 10) & P_OVERFLOW) == 0)
		return false;
	*ret = slice_of(w->big, n);
	return w->ops->read(w->arg, no * w->psize + PAGE_HEAD, w->big, n) == 0;
}

/* LMDB keeps the nodes of a page together at its end: what they take is what the header says. */
static bool leaf_is_full(const struct walk *w, const uint8_t *p)
{
	size_t taken = 0;

	for (unsigned i = 0; i < page_keys(p); i++) {
		struct slice key;
		const uint8_t *node = node_at(w, p, i, &key);
		size_t n;

		if (node == NULL)
			return false;
		n = (load_u16(node + 4) & F_BIGDATA) != 0
			? 8
			: load_u16(node) | (size_t)load_u16(node + 2) << 16;
		taken += (NODE_HEAD + key.n + n + 1) & ~(size_t)1;
	}
	return taken == w->psize - load_u16(p + 14);
}

static void damaged(struct walk *w, const char *why)
{
	w->ops->damaged(w->arg, why);
}

/* Each key behind the one before, over all leaves. */
static bool in_order(struct walk *w, struct slice key)
{
	bool is = w->last_n == 0 || slice_cmp(slice_of(w->last, w->last_n), key) < 0;

	memcpy(w->last, key.p, key.n);
	w->last_n = key.n;
	return is;
}

static void walk_leaf(struct walk *w, const uint8_t *p)
{
	if (!leaf_is_full(w, p))
		damaged(w, "a page is not what its header says");
	for (unsigned i = 0; i < page_keys(p) && !w->enough; i++) {
		struct slice key, val;
		const uint8_t *node = node_at(w, p, i, &key);

		if (node == NULL || key.n == 0 || !leaf_value(w, p, node, key, &val)) {
			damaged(w, "a row cannot be read");
			continue;
		}
		if (!in_order(w, key))
			damaged(w, "a row is out of order");
		w->enough = !w->ops->row(w->arg, key, val);
	}
}

static void walk_page(struct walk *w, uint64_t no, unsigned depth);

static void walk_branch(struct walk *w, const uint8_t *p, unsigned depth)
{
	struct slice key;

	for (unsigned i = 0; i < page_keys(p) && !w->enough; i++) {
		const uint8_t *node = node_at(w, p, i, &key);

		if (node == NULL)
			damaged(w, "a page's place cannot be read");
		else
			walk_page(w,
			    load_u16(node) | (uint64_t)load_u16(node + 2) << 16 |
				(uint64_t)load_u16(node + 4) << 32,
			    depth + 1);
	}
}

static void walk_page(struct walk *w, uint64_t no, unsigned depth)
{
	const uint8_t *p;
	const char *why = page_read(w, no, depth, &p);

	if (why == NULL && page_flags(p) == P_LEAF)
		walk_leaf(w, p);
	else if (why == NULL && page_flags(p) == P_BRANCH && page_keys(p) > 0)
		walk_branch(w, p, depth);
	else
		damaged(w, why != NULL ? why : "a page is of no kind");
}

int pages_walk(const struct pages_ops *ops, void *arg, uint64_t file_bytes)
{
	struct walk w = { .ops = ops, .arg = arg };
	struct meta m;

	if (!meta_find(ops, arg, &m))
		return PAGES_NONE;
	if (m.root == UINT64_MAX)
		return 0; /* an empty tree */
	w.psize = m.psize;
	w.pages = file_bytes / m.psize;
	w.levels = malloc(DEPTH_MAX * w.psize);
	w.big = malloc(VALUE_MAX);
	if (w.levels != NULL && w.big != NULL)
		walk_page(&w, m.root, 0);
	free(w.levels);
	free(w.big);
	return w.levels == NULL || w.big == NULL ? -ENOMEM : 0;
}
