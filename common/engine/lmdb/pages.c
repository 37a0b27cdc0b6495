/* The trees of LMDB 0.9 on machines of 64 bits with the low byte first. */
#include "common/engine/lmdb/pages-private.h"

#include "common/engine/limits.h"
#include "common/engine/lmdb/sums.h"

#include <errno.h>
#include <stdlib.h>

enum {
	NODE_HEAD = 8,
	DEPTH_MAX = PAGES_DEPTH_MAX,
	VALUE_MAX = 1 + 24 + ENGINE_VALUE_MAX + ROW_SUM_BYTES,
	FREE_DB_FLAGS = 0x08, /* its keys are numbers */
	FREE_STEP = 512,      /* numbers of free pages read at a time */
};

enum node_flag { F_BIGDATA = 0x01 };

struct walk {
	const struct pages_ops *ops;
	void *arg;
	size_t psize;
	uint64_t pages, visits;
	bool enough, free; /* free: the tree of the pages that are not in use */
	uint64_t branches, leaves, overflow, entries;
	uint8_t last[ENGINE_KEY_ENCODED_MAX]; /* key */
	size_t last_n;
	uint8_t *levels; /* a page for each level of the tree */
	uint8_t *big;
	uint64_t last_page;
	unsigned deepest;
};

/* Keys below a page: from <= key < to; empty: no bound. */
struct bounds {
	struct slice from, to;
};

/* ---- pages ---- */

static const char *page_read(struct walk *w, uint64_t no, unsigned depth, const uint8_t **ret_p)
{
	uint8_t *p = w->levels + depth * w->psize;
	size_t lower, upper;

	if (depth >= DEPTH_MAX || no < 2 || no >= w->pages || w->visits++ >= w->pages ||
	    (w->ops->page != NULL && no > w->last_page))
		return "a page has a place where it cannot be";
	if (w->ops->read(w->arg, no * w->psize, p, w->psize) != 0)
		return "a page cannot be read";
	lower = pages_u16(p + 12);
	upper = pages_u16(p + 14);
	if (wire_load_u64(p) != no || lower < PAGE_HEAD || lower > upper || upper > w->psize ||
	    lower % 2 != 0)
		return "a page has no header";
	if (w->ops->page != NULL && !w->ops->page(w->arg, no, 1))
		return "a page is in two places";
	if (depth > w->deepest)
		w->deepest = depth;
	*ret_p = p;
	return NULL;
}

static unsigned page_keys(const uint8_t *p)
{
	return (unsigned)((pages_u16(p + 12) - PAGE_HEAD) / 2);
}

static unsigned page_flags(const uint8_t *p)
{
	return pages_u16(p + 10) & ~(unsigned)P_DIRTY;
}

/* Node i: its first byte, or NULL when it does not lie in the page; `ret_key` is within. */
static const uint8_t *node_at(
    const struct walk *w, const uint8_t *p, unsigned i, struct slice *ret_key)
{
	size_t at = pages_u16(p + PAGE_HEAD + 2 * i), n;

	if (at < pages_u16(p + 14) || at + NODE_HEAD > w->psize)
		return NULL;
	n = pages_u16(p + at + 6);
	if (n > w->psize - at - NODE_HEAD || n > ENGINE_KEY_ENCODED_MAX)
		return NULL;
	*ret_key = slice_of(p + at + NODE_HEAD, n);
	return p + at;
}

static size_t node_value_bytes(const uint8_t *node)
{
	return pages_u16(node) | (size_t)pages_u16(node + 2) << 16;
}

/* The pages of a value that is too long for the page of its key: *ret_off is where it begins. */
static bool overflow_find(struct walk *w, uint64_t no, size_t n, uint64_t *ret_off)
{
	uint64_t span = (PAGE_HEAD + (uint64_t)n + w->psize - 1) / w->psize;
	uint8_t head[PAGE_HEAD];

	if (no < 2 || no >= w->pages || span > w->pages - no ||
	    w->ops->read(w->arg, no * w->psize, head, sizeof(head)) != 0)
		return false;
	if (wire_load_u64(head) != no || (pages_u16(head + 10) & P_OVERFLOW) == 0)
		return false;
	*ret_off = no * w->psize + PAGE_HEAD;
	w->overflow += span;
	return w->ops->page == NULL ||
	       (wire_load_u32(head + 12) == span && w->ops->page(w->arg, no, span));
}

/* A value beside its key, or in pages of its own. */
static bool leaf_value(
    struct walk *w, const uint8_t *page, const uint8_t *node, struct slice key, struct slice *ret)
{
	size_t n = node_value_bytes(node);
	size_t room = w->psize - (size_t)(key.p + key.n - page);
	uint64_t off;

	if (n > VALUE_MAX)
		return false;
	if ((pages_u16(node + 4) & F_BIGDATA) == 0) {
		*ret = slice_of(key.p + key.n, n);
		return pages_u16(node + 4) == 0 && n <= room;
	}
	if (room < 8 || pages_u16(node + 4) != F_BIGDATA ||
	    !overflow_find(w, wire_load_u64(key.p + key.n), n, &off))
		return false;
	*ret = slice_of(w->big, n);
	return w->ops->read(w->arg, off, w->big, n) == 0;
}

/* LMDB keeps the nodes of a page together at its end: what they take is what the header says. */
static bool page_is_full(const struct walk *w, const uint8_t *p, bool leaf)
{
	size_t taken = 0;

	for (unsigned i = 0; i < page_keys(p); i++) {
		struct slice key;
		const uint8_t *node = node_at(w, p, i, &key);
		size_t n = 0;

		if (node == NULL)
			return false;
		if (leaf)
			n = (pages_u16(node + 4) & F_BIGDATA) != 0 ? 8 : node_value_bytes(node);
		taken += (NODE_HEAD + key.n + n + 1) & ~(size_t)1;
	}
	return taken == w->psize - pages_u16(p + 14);
}

static void damaged(struct walk *w, const char *why)
{
	w->ops->damaged(w->arg, why);
}

static int key_cmp(const struct walk *w, struct slice a, struct slice b)
{
	uint64_t x, y;

	if (!w->free)
		return slice_cmp(a, b);
	x = wire_load_u64(a.p);
	y = wire_load_u64(b.p);
	return x < y ? -1 : x > y;
}

static bool key_is_one(const struct walk *w, struct slice key)
{
	return w->free ? key.n == 8 : key.n > 0;
}

/* Each key behind the one before, over all leaves. */
static bool in_order(struct walk *w, struct slice key)
{
	bool is = w->last_n == 0 || key_cmp(w, slice_of(w->last, w->last_n), key) < 0;

	memcpy(w->last, key.p, key.n);
	w->last_n = key.n;
	return is;
}

/* Where the branches above lead a search for this key? */
static bool in_bounds(const struct walk *w, struct slice key, const struct bounds *b)
{
	return (b->from.n == 0 || key_cmp(w, b->from, key) <= 0) &&
	       (b->to.n == 0 || key_cmp(w, key, b->to) < 0);
}

/* A list of pages that are not in use: a count, then their numbers, the highest first. */
static bool free_list(struct walk *w, const uint8_t *page, const uint8_t *node, struct slice key)
{
	bool big = (pages_u16(node + 4) & F_BIGDATA) != 0;
	const uint8_t *p = key.p + key.n;
	size_t n = node_value_bytes(node), room = w->psize - (size_t)(p - page);
	uint64_t off = 0, count, last = UINT64_MAX;

	if (big ? room < 8 || !overflow_find(w, wire_load_u64(p), n, &off) : n > room)
		return false;
	if (n < 8)
		return false;
	if (!big)
		memcpy(w->big, p, 8);
	else if (w->ops->read(w->arg, off, w->big, 8) != 0)
		return false;
	count = wire_load_u64(w->big);
	if (count > n / 8 - 1)
		return false;
	for (uint64_t at = 0; at < count; at += FREE_STEP) {
		size_t k = count - at < FREE_STEP ? count - at : FREE_STEP;

		if (!big)
			memcpy(w->big, p + 8 + at * 8, k * 8);
		else if (w->ops->read(w->arg, off + 8 + at * 8, w->big, k * 8) != 0)
			return false;
		for (size_t i = 0; i < k; i++) {
			uint64_t no = wire_load_u64(w->big + i * 8);

			if (no < 2 || no > w->last_page || no >= last ||
			    !w->ops->page(w->arg, no, 1))
				return false;
			last = no;
		}
	}
	return true;
}

static void walk_leaf(struct walk *w, const uint8_t *p, const struct bounds *b)
{
	w->leaves++;
	if (!page_is_full(w, p, true))
		damaged(w, "a page is not what its header says");
	for (unsigned i = 0; i < page_keys(p) && !w->enough; i++) {
		struct slice key, val;
		const uint8_t *node = node_at(w, p, i, &key);

		w->entries++;
		if (node == NULL || !key_is_one(w, key) ||
		    !(w->free ? free_list(w, p, node, key) : leaf_value(w, p, node, key, &val))) {
			damaged(w, w->free ? "a list of free pages cannot be read"
					   : "a row cannot be read");
			continue;
		}
		if (!in_order(w, key))
			damaged(w, "a row is out of order");
		else if (!in_bounds(w, key, b))
			damaged(w, "a row is where no search looks for it");
		if (!w->free)
			w->enough = !w->ops->row(w->arg, key, val);
	}
}

static void walk_page(struct walk *w, uint64_t no, unsigned depth, const struct bounds *b);

/* The first key of a branch is never looked at; the others part their pages. */
static struct slice branch_key(const struct walk *w, const uint8_t *p, unsigned i)
{
	struct slice key;

	return node_at(w, p, i, &key) != NULL && key_is_one(w, key) ? key : SLICE_NONE;
}

static void walk_branch(struct walk *w, const uint8_t *p, unsigned depth, const struct bounds *b)
{
	unsigned n = page_keys(p);
	struct slice key;

	w->branches++;
	if (!page_is_full(w, p, false))
		damaged(w, "a page is not what its header says");
	for (unsigned i = 0; i < n && !w->enough; i++) {
		const uint8_t *node = node_at(w, p, i, &key);
		struct bounds in = { i > 0 ? branch_key(w, p, i) : b->from,
			i + 1 < n ? branch_key(w, p, i + 1) : b->to };

		if (node == NULL || (i > 0 && !key_is_one(w, key))) {
			damaged(w, "a page's place cannot be read");
			continue;
		}
		if (i > 0 && !in_bounds(w, in.from, b))
			damaged(w, "a page is where no search looks for it");
		walk_page(w,
		    pages_u16(node) | (uint64_t)pages_u16(node + 2) << 16 |
			(uint64_t)pages_u16(node + 4) << 32,
		    depth + 1, &in);
	}
}

static void walk_page(struct walk *w, uint64_t no, unsigned depth, const struct bounds *b)
{
	const uint8_t *p;
	const char *why = page_read(w, no, depth, &p);

	if (why == NULL && page_flags(p) == P_LEAF)
		walk_leaf(w, p, b);
	else if (why == NULL && page_flags(p) == P_BRANCH && page_keys(p) > 0)
		walk_branch(w, p, depth, b);
	else
		damaged(w, why != NULL ? why : "a page is of no kind");
}

static void walk_tree(struct walk *w, const struct pages_tree *t)
{
	static const struct bounds all;

	w->branches = w->leaves = w->overflow = w->entries = 0;
	w->last_n = 0;
	if (t->root != UINT64_MAX)
		walk_page(w, t->root, 0, &all);
}

/* What LMDB believes of the tree without looking. */
static void tree_check(struct walk *w, const struct pages_tree *t)
{
	if (w->enough)
		return;
	if (t->flags != (w->free ? FREE_DB_FLAGS : 0))
		damaged(w, "a tree is of no kind");
	if (t->branches != w->branches || t->leaves != w->leaves || t->overflow != w->overflow ||
	    t->entries != w->entries)
		damaged(w, "a tree is not as large as the first page says");
	if (t->root == UINT64_MAX ? t->depth != 0 : t->depth != w->deepest + 1)
		damaged(w, "a tree is not as deep as the first page says");
}

/* LMDB takes the newer of the two, and expects it where its number says. */
static void metas_check(struct walk *w, const struct pages_meta *m)
{
	uint8_t p[PAGES_META_BYTES];
	struct pages_meta other;

	for (unsigned i = 0; i < 2; i++) {
		if (w->ops->read(w->arg, i * w->psize, p, sizeof(p)) != 0 ||
		    !pages_meta_decode(p, &other) || other.psize != w->psize ||
		    page_flags(p) != P_META || wire_load_u64(p) != i)
			damaged(w, "a first page is damaged");
		else if (other.txn == m->txn && m->txn != 0 && (m->txn & 1) != i)
			damaged(w, "a first page is in the place of the other");
	}
	if (m->last_page < 1 || m->last_page > 2 * w->pages + 1024)
		damaged(w, "the first page has a size that cannot be");
}

int pages_walk_in(
    const struct pages_ops *ops, void *arg, uint64_t file_bytes, struct pages_room *room)
{
	struct walk w = { .ops = ops, .arg = arg, .levels = room->levels, .big = room->big };
	struct pages_meta m;

	if (!pages_meta_find(ops, arg, &m))
		return PAGES_NONE;
	w.psize = m.psize;
	w.pages = file_bytes / m.psize;
	w.last_page = m.last_page;
	if (ops->page != NULL)
		metas_check(&w, &m);
	walk_tree(&w, &m.main);
	if (ops->page == NULL)
		return 0;
	tree_check(&w, &m.main);
	w.free = true;
	w.deepest = 0;
	walk_tree(&w, &m.free);
	tree_check(&w, &m.free);
	return 0;
}

int pages_room_init(struct pages_room *r)
{
	r->levels = malloc((size_t)DEPTH_MAX * PAGE_MAX);
	r->big = malloc(VALUE_MAX);
	return r->levels == NULL || r->big == NULL ? -ENOMEM : 0;
}

void pages_room_fini(struct pages_room *r)
{
	free(r->levels);
	free(r->big);
	*r = (struct pages_room){ NULL, NULL };
}

int pages_walk(const struct pages_ops *ops, void *arg, uint64_t file_bytes)
{
	struct pages_room room;
	int r = pages_room_init(&room);

	if (r == 0)
		r = pages_walk_in(ops, arg, file_bytes, &room);
	pages_room_fini(&room);
	return r;
}
