/*
 * What was under way over several groups when the backup was made lies in the store's group as an
 * intent (docs/store.md), which names shards: it is carried out where they still are what it names.
 */
#include "stored/backup/spread.h"
#include "stored/salvage/sync.h"

#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

enum { PREFIX_BYTES = 9 };

struct redo {
	struct waiting w; /* first: see sync_done() */
	struct engine_batch *b;
	uint32_t left;
	struct rec_key from;
};

static struct rec_key row_key(uint64_t account, uint32_t row)
{
	struct rec_key key = key_u64(REC_INTENT, account);

	wire_store_u32be(key.p + PREFIX_BYTES, row);
	key.n = PREFIX_BYTES + 4;
	return key;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct redo *r = arg;

	if (rc == ENGINE_OK && (n == 0 || n > r->left))
		rc = ENGINE_CORRUPT;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++)
		rc = engine_redo(r->b, &rows[i], PREFIX_BYTES);
	r->w.answered = true;
	r->w.rc = rc;
	r->left -= rc == ENGINE_OK ? (uint32_t)n : 0;
}

/* The group says itself whether this was done. */
static int is_done(struct engine *e, struct engine_group *g, uint64_t id, bool *ret_done)
{
	struct rec_key from = key_kind(REC_APPLIED), to = key_kind_end(REC_APPLIED);
	struct spread_page p = { 0 };
	uint64_t last = 0;
	int rc = spread_scan(e, g, key_slice(&from), key_slice(&to), &p);

	if (rc == 0 && p.n > 0 && applied_unpack(p.rows[0].val, &last) != 0)
		rc = -EUCLEAN;
	*ret_done = last >= id;
	spread_page_fini(&p);
	return rc;
}

static int part_redo(struct engine *e, struct engine_group *all, struct engine_group *g,
    uint64_t account, uint32_t row, uint32_t rows)
{
	struct redo r = { .b = engine_batch_new(g), .left = rows };
	struct rec_key to = row_key(account, row + rows);
	int rc = r.b == NULL ? -ENOMEM : 0;

	while (rc == 0 && r.left > 0) {
		r.from = row_key(account, row + rows - r.left);
		engine_scan(all, key_slice(&r.from), key_slice(&to), 0, on_rows, &r);
		rc = sync_wait(e, &r.w);
	}
	if (rc == 0)
		rc = sync_commit(e, &r.b);
	engine_batch_free(&r.b);
	return rc;
}

static int intent_end(
    struct engine *e, struct engine_group *all, uint64_t account, const struct intent_rec *rec)
{
	struct rec_key from = key_u64(REC_INTENT, account), to = key_u64(REC_INTENT, account + 1);
	struct engine_batch *b;
	uint32_t row = 0;
	int rc = 0;

	for (unsigned k = 0; k < rec->n && rc == 0; row += rec->to[k++].rows) {
		struct engine_group *g;
		bool done = false;

		if (rec->to[k].shard >= engine_shards(e))
			return -EUCLEAN;
		rc = sync_group_in(e, rec->to[k].shard, key_slice(&rec->to[k].group), &g);
		if (rc != 0)
			break;
		rc = is_done(e, g, rec->id, &done);
		if (rc == 0 && !done)
			rc = part_redo(e, all, g, account, row, rec->to[k].rows);
		engine_group_close(&g);
	}
	b = rc == 0 ? engine_batch_new(all) : NULL;
	if (b != NULL)
		rc = sync_rc(engine_del_range(b, key_slice(&from), key_slice(&to)));
	if (rc == 0)
		rc = b != NULL ? sync_commit(e, &b) : -ENOMEM;
	engine_batch_free(&b);
	return rc;
}

int spread_intents(struct engine *e)
{
	struct rec_key id = key_group_store(), from = key_kind(REC_INTENT),
		       to = key_kind_end(REC_INTENT);
	struct spread_page p = { 0 };
	struct engine_group *all;
	int rc = sync_group_in(e, 0, key_slice(&id), &all);

	if (rc != 0)
		return rc;
	/* The first of an account is the head of its intent; all its rows are gone afterwards. */
	do {
		struct intent_rec rec;
		uint64_t account;

		rc = spread_scan(e, all, key_slice(&from), key_slice(&to), &p);
		if (rc != 0 || p.n == 0)
			break;
		if (key_get_u64(p.rows[0].key, REC_INTENT, &account) != 0 ||
		    intent_unpack(p.rows[0].val, &rec) != 0)
			rc = -EUCLEAN;
		else
			rc = intent_end(e, all, account, &rec);
	} while (rc == 0);
	spread_page_fini(&p);
	engine_group_close(&all);
	return rc;
}
