/*
 * sums - the sum that each row of the index carries behind its value. Pure; docs/engine.md has the
 * layout.
 *
 * Invariant: a row that row_unseal() lets through was put by this store, under this key. It may be
 * an old one: that is what the totals are for.
 */
#pragma once

#include "common/base/slice.h"

enum { ROW_SUM_BYTES = 8 };

/* Over all rows of the index but the engine's own one; sums are added without carry. */
struct row_totals {
	uint64_t rows, sum;
};

uint64_t row_sum(struct slice key, struct slice stored, uint64_t store_id);

/* Writes value and sum: stored.n + ROW_SUM_BYTES bytes. Returns the sum. */
uint64_t row_seal(struct slice key, struct slice stored, uint64_t store_id, uint8_t *to);

/* Value as it was put. False: the row is damaged. */
bool row_unseal(struct slice key, struct slice sealed, uint64_t store_id, struct slice *ret_stored);

/* The sum as it stands there, good or not. */
uint64_t row_sum_there(struct slice sealed);

void row_totals_add(struct row_totals *t, uint64_t sum);
void row_totals_sub(struct row_totals *t, uint64_t sum);

/* ---- the engine's own row ---- */

/* Where the checkpoint stands, and what the index held then. */
struct index_meta {
	uint32_t seg;
	uint64_t off, seq; /* of the frame that comes next */
	uint64_t store_id;
	struct row_totals totals;
};

enum { INDEX_META_BYTES = 48, INDEX_META_VERSION = 1 };
enum meta_rc { META_OK, META_BAD, META_NEWER };

bool index_is_meta(struct slice key);
struct slice index_meta_key(void);
/* With the row's sum: INDEX_META_BYTES + ROW_SUM_BYTES. */
void index_meta_encode(const struct index_meta *m, uint8_t *ret_p);
enum meta_rc index_meta_decode(struct slice sealed, struct index_meta *ret_m);
