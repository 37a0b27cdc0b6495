#include "common/engine/lmdb/sums.h"

#include "common/base/wire.h"

#include <xxhash.h>

uint64_t row_sum(struct slice key, struct slice stored, uint64_t store_id)
{
	return XXH3_64bits_withSeed(
	    stored.p, stored.n, XXH3_64bits_withSeed(key.p, key.n, store_id));
}

uint64_t row_seal(struct slice key, struct slice stored, uint64_t store_id, uint8_t *to)
{
	uint64_t sum = row_sum(key, stored, store_id);

	if (stored.n > 0)
		memcpy(to, stored.p, stored.n);
	wire_store_u64(to + stored.n, sum);
	return sum;
}

uint64_t row_sum_there(struct slice sealed)
{
	return sealed.n < ROW_SUM_BYTES ? 0 : wire_load_u64(sealed.p + sealed.n - ROW_SUM_BYTES);
}

bool row_unseal(struct slice key, struct slice sealed, uint64_t store_id, struct slice *ret_stored)
{
	if (sealed.n < ROW_SUM_BYTES)
		return false;
	*ret_stored = slice_part(sealed, 0, sealed.n - ROW_SUM_BYTES);
	return row_sum(key, *ret_stored, store_id) == row_sum_there(sealed);
}

void row_totals_add(struct row_totals *t, uint64_t sum)
{
	t->rows++;
	t->sum += sum;
}

void row_totals_sub(struct row_totals *t, uint64_t sum)
{
	t->rows--;
	t->sum -= sum;
}

/* ---- the engine's own row ---- */

static const uint8_t meta_key[] = { 0, 'm' };

bool index_is_meta(struct slice key)
{
	return slice_eq(key, index_meta_key());
}

struct slice index_meta_key(void)
{
	return slice_of(meta_key, sizeof(meta_key));
}

void index_meta_encode(const struct index_meta *m, uint8_t *ret_p)
{
	uint8_t p[INDEX_META_BYTES];

	wire_store_u32(p, INDEX_META_VERSION);
	wire_store_u32(p + 4, m->seg);
	wire_store_u64(p + 8, m->off);
	wire_store_u64(p + 16, m->seq);
	wire_store_u64(p + 24, m->store_id);
	wire_store_u64(p + 32, m->totals.rows);
	wire_store_u64(p + 40, m->totals.sum);
	row_seal(index_meta_key(), slice_of(p, sizeof(p)), m->store_id, ret_p);
}

/* Version, store id and the sum at the end stay where they are in every version. */
enum meta_rc index_meta_decode(struct slice sealed, struct index_meta *ret_m)
{
	const uint8_t *p = sealed.p;
	struct slice stored;

	if (sealed.n < INDEX_META_BYTES + ROW_SUM_BYTES ||
	    !row_unseal(index_meta_key(), sealed, wire_load_u64(p + 24), &stored))
		return META_BAD;
	if (wire_load_u32(p) != INDEX_META_VERSION)
		return META_NEWER;
	*ret_m = (struct index_meta){ .seg = wire_load_u32(p + 4),
		.off = wire_load_u64(p + 8),
		.seq = wire_load_u64(p + 16),
		.store_id = wire_load_u64(p + 24),
		.totals = { wire_load_u64(p + 32), wire_load_u64(p + 40) } };
	return META_OK;
}
