/* The two first pages of LMDB's file: which of them counts, and what it says. */
#include "common/engine/lmdb/pages-private.h"

enum {
	META_AT = PAGE_HEAD,
	META_MAGIC_AT = META_AT,
	META_VERSION_AT = META_AT + 4,
	META_FREE_DB_AT = META_AT + 24, /* its first field holds the size of a page */
	META_MAIN_DB_AT = META_AT + 24 + 48,
	META_LAST_PAGE_AT = META_AT + 24 + 96,
	META_TXN_AT = META_AT + 24 + 96 + 8,
	DB_FLAGS_AT = 4,
	DB_DEPTH_AT = 6,
	DB_BRANCHES_AT = 8,
	DB_LEAVES_AT = 16,
	DB_OVERFLOW_AT = 24,
	DB_ENTRIES_AT = 32,
	DB_ROOT_AT = 40,
	LMDB_VERSION = 1,
};

static const uint32_t lmdb_magic = 0xBEEFC0DE;

static struct pages_tree tree_decode(const uint8_t *p)
{
	return (struct pages_tree){ .flags = pages_u16(p + DB_FLAGS_AT),
		.depth = pages_u16(p + DB_DEPTH_AT),
		.branches = wire_load_u64(p + DB_BRANCHES_AT),
		.leaves = wire_load_u64(p + DB_LEAVES_AT),
		.overflow = wire_load_u64(p + DB_OVERFLOW_AT),
		.entries = wire_load_u64(p + DB_ENTRIES_AT),
		.root = wire_load_u64(p + DB_ROOT_AT) };
}

bool pages_meta_decode(const uint8_t *p, struct pages_meta *ret)
{
	size_t psize = wire_load_u32(p + META_FREE_DB_AT);

	if (wire_load_u32(p + META_MAGIC_AT) != lmdb_magic ||
	    wire_load_u32(p + META_VERSION_AT) != LMDB_VERSION)
		return false;
	if (psize < PAGE_MIN || psize > PAGE_MAX || (psize & (psize - 1)) != 0)
		return false;
	*ret = (struct pages_meta){ .txn = wire_load_u64(p + META_TXN_AT),
		.last_page = wire_load_u64(p + META_LAST_PAGE_AT),
		.flags = pages_u16(p + 10),
		.free = tree_decode(p + META_FREE_DB_AT),
		.main = tree_decode(p + META_MAIN_DB_AT),
		.psize = psize };
	return ret->main.depth <= PAGES_DEPTH_MAX;
}

/* The newer of those that can be read. The second lies one page behind the first. */
bool pages_meta_find(const struct pages_ops *ops, void *arg, struct pages_meta *ret)
{
	uint8_t p[PAGES_META_BYTES];
	struct pages_meta m;
	bool any = false;

	if (ops->read(arg, 0, p, sizeof(p)) == 0)
		any = pages_meta_decode(p, ret);
	for (size_t psize = any ? ret->psize : PAGE_MIN; psize <= PAGE_MAX; psize *= 2) {
		if (ops->read(arg, psize, p, sizeof(p)) == 0 && pages_meta_decode(p, &m) &&
		    m.psize == psize && (!any || m.txn > ret->txn)) {
			*ret = m;
			return true;
		}
		if (any)
			break;
	}
	return any;
}
