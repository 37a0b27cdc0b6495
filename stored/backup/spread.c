#include "stored/backup/spread.h"
#include "stored/salvage/sync.h"

#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

enum { SHARD_BYTES = 4 };

struct where {
	uint64_t account;
	unsigned from, to;
};

struct spreading {
	struct spread s;
	struct where *accounts;
	size_t n, cap;
	uint64_t *mboxes; /* of the account under way */
	size_t n_mboxes, cap_mboxes;
	int rc; /* of what a row needs */
};

static void *room(void *v, size_t n, size_t *io_cap, size_t size)
{
	size_t cap = *io_cap == 0 ? 256 : 2 * *io_cap;

	if (n < *io_cap)
		return v;
	v = reallocarray(v, cap, size);
	if (v == NULL)
		abort();
	*io_cap = cap;
	return v;
}

/* ---- what is there ---- */

/* Rows of accounts are written last, when their shards are known. */
static bool store_row(void *arg, const struct engine_row *row)
{
	struct spreading *w = arg;
	struct where a = { 0 };

	if (key_get_u64(row->key, REC_ACCOUNT, &a.account) != 0)
		return true;
	a.from = row->val.n == SHARD_BYTES ? wire_load_u32(row->val.p) : UINT32_MAX;
	if (a.from >= engine_shards(w->s.from))
		w->rc = -EUCLEAN;
	w->accounts = room(w->accounts, w->n, &w->cap, sizeof(*w->accounts));
	w->accounts[w->n++] = a;
	return false;
}

/* Of those that were deleted and can be restored, too. */
static bool root_row(void *arg, const struct engine_row *row)
{
	struct spreading *w = arg;
	uint64_t id;

	if (key_get_u64(row->key, REC_MBOX, &id) == 0 ||
	    key_get_u64(row->key, REC_LOST, &id) == 0) {
		w->mboxes = room(w->mboxes, w->n_mboxes, &w->cap_mboxes, sizeof(*w->mboxes));
		w->mboxes[w->n_mboxes++] = id;
	}
	return true;
}

/* Nobody is left that sees what was expunged. */
static bool mbox_row(void *arg, const struct engine_row *row)
{
	return row->key.n == 0 || row->key.p[0] != REC_DOOMED;
}

/* ---- an account ---- */

static unsigned emptiest(const struct spread *s)
{
	unsigned best = 0;

	for (unsigned k = 1; k < s->n; k++)
		if (s->bytes[k] < s->bytes[best])
			best = k;
	return best;
}

static int account_spread(struct spreading *w, struct where *a)
{
	struct rec_key root = key_group_root(a->account), threads = key_group_threads(a->account);
	struct spread_group g = { .s = &w->s, .from = a->from, .arg = w };
	int rc;

	g.to = a->to = emptiest(&w->s);
	w->n_mboxes = 0;
	g.id = key_slice(&root);
	g.row = root_row;
	rc = spread_rows(&g);
	g.row = mbox_row;
	for (size_t i = 0; rc == 0 && i < w->n_mboxes; i++) {
		struct rec_key mbox = key_group_mbox(w->mboxes[i]);

		g.id = key_slice(&mbox);
		rc = spread_rows(&g);
	}
	g.id = key_slice(&threads);
	g.row = NULL;
	return rc == 0 ? spread_rows(&g) : rc;
}

/* ---- all ---- */

static int accounts_put(struct spreading *w)
{
	enum { EACH = 4000 };
	struct rec_key id = key_group_store();
	struct engine_group *g;
	int rc = sync_group(w->s.to, key_slice(&id), &g);

	if (rc != 0)
		return rc;
	for (size_t at = 0; rc == 0 && at < w->n; at += EACH) {
		struct engine_batch *b = engine_batch_new(g);

		rc = b == NULL ? -ENOMEM : 0;
		for (size_t i = at; rc == 0 && i < w->n && i < at + EACH; i++) {
			struct rec_key key = key_u64(REC_ACCOUNT, w->accounts[i].account);
			uint8_t val[SHARD_BYTES];

			wire_store_u32(val, w->accounts[i].to);
			rc = sync_rc(engine_put(b, key_slice(&key), slice_of(val, sizeof(val))));
		}
		if (rc == 0)
			rc = sync_commit(w->s.to, &b);
		engine_batch_free(&b);
	}
	engine_group_close(&g);
	return rc;
}

static int all(struct spreading *w)
{
	struct rec_key id = key_group_store();
	const struct spread_group g = {
		.s = &w->s, .id = key_slice(&id), .row = store_row, .arg = w
	};
	int rc = spread_intents(w->s.from);

	if (rc == 0)
		rc = spread_rows(&g);
	if (rc == 0)
		rc = w->rc;
	for (size_t i = 0; rc == 0 && i < w->n; i++) {
		rc = account_spread(w, &w->accounts[i]);
		report_progress(w->s.rep, "accounts", i + 1, w->n);
	}
	return rc == 0 ? accounts_put(w) : rc;
}

static int open_both(struct spreading *w, int from_fd, int to_fd)
{
	char spec[16];
	int rc = engine_open("1*lmdb", from_fd, NULL, &w->s.from); /* as many as there are */

	for (unsigned k = 0; rc == 0 && k < engine_shards(w->s.from); k++)
		if (engine_shard_away(w->s.from, k) != NULL)
			rc = ENGINE_IO;
	snprintf(spec, sizeof(spec), "%u*lmdb", w->s.n);
	if (rc == 0)
		rc = engine_open(spec, to_fd, NULL, &w->s.to);
	if (rc == 0 && engine_shards(w->s.to) != w->s.n)
		rc = ENGINE_FULL; /* one of them could not be made, and what was is kept off */
	return sync_rc(rc);
}

int spread_store(
    int from_fd, int to_fd, unsigned shards, struct report *rep, uint64_t *ret_left_out)
{
	struct spreading w = { .s = { .rep = rep, .n = shards } };
	int rc = open_both(&w, from_fd, to_fd);

	if (rc == 0)
		rc = all(&w);
	engine_close(&w.s.to);
	engine_close(&w.s.from);
	locmap_fini(&w.s.locs);
	free(w.accounts);
	free(w.mboxes);
	*ret_left_out = w.s.left_out;
	return rc;
}
