/*
 * intent-replay - what was begun in several groups and not finished, by a process that died or by
 * an account that was forgotten.
 *
 * Every group that an intent changes says which one it saw last (REC_APPLIED), in the same batch:
 * so each part is done once, in whatever order they were done before, and however often a replay is
 * broken off.
 */
#include "stored/store-private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

struct replay {
	struct store *st;
	struct engine_group *const *home;
	uint64_t account;
	engine_done_fn *done;
	void *arg;
	struct intent_rec rec;
	unsigned at;        /* the group under way */
	uint32_t row, left; /* of its rows: the next, and how many are left */
	struct engine_group *group;
	struct engine_batch *batch;
};

enum { PREFIX_BYTES = 9, ROW_KEY_BYTES = PREFIX_BYTES + 4 };

static void group_next(struct replay *r);

static void over(struct replay *r, int rc)
{
	if (rc != ENGINE_OK)
		log_ev(LOG_WARNING, "stored.engine", kv_s("what", "replay"),
		    kv_s("why", engine_rc_name(rc)), kv_u("account", r->account));
	engine_batch_free(&r->batch);
	engine_group_close(&r->group);
	r->st->in_flight--;
	r->done(r->arg, rc);
	free(r);
}

static void on_removed(void *arg, int rc)
{
	struct replay *r = arg;

	if (rc == ENGINE_OK)
		log_ev(LOG_NOTICE, "stored.replayed", kv_u("account", r->account));
	else if ((rc == ENGINE_UNKNOWN || rc == ENGINE_STALE) && r->home == &r->st->meta)
		meta_reopen(r->st);
	over(r, rc);
}

static void intent_remove(struct replay *r)
{
	int rc;

	r->batch = *r->home != NULL ? engine_batch_new(*r->home) : NULL;
	rc = r->batch != NULL ? intent_del(r->batch, r->account) : ENGINE_IO;
	if (rc != ENGINE_OK)
		over(r, rc);
	else
		engine_commit(store_engine(r->st), &r->batch, 1, on_removed, r);
}

static void on_done(void *arg, int rc)
{
	struct replay *r = arg;

	if (rc != ENGINE_OK) {
		over(r, rc);
		return;
	}
	engine_group_close(&r->group);
	r->at++;
	group_next(r);
}

static struct rec_key row_key(const struct replay *r, uint32_t row)
{
	struct rec_key key = key_u64(REC_INTENT, r->account);

	wire_store_u32be(key.p + PREFIX_BYTES, row);
	key.n = ROW_KEY_BYTES;
	return key;
}

static void rows_next(struct replay *r);

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct replay *r = arg;

	if (rc == ENGINE_OK && (n == 0 || n > r->left))
		rc = ENGINE_CORRUPT;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++)
		rc = engine_redo(r->batch, &rows[i], PREFIX_BYTES);
	if (rc != ENGINE_OK) {
		over(r, rc);
		return;
	}
	r->row += (uint32_t)n;
	r->left -= (uint32_t)n;
	rows_next(r);
}

static void rows_next(struct replay *r)
{
	struct rec_key from = row_key(r, r->row), to = row_key(r, r->row + r->left);

	if (r->left == 0)
		engine_commit(store_engine(r->st), &r->batch, 1, on_done, r);
	else if (*r->home == NULL)
		over(r, ENGINE_IO);
	else
		engine_scan(*r->home, key_slice(&from), key_slice(&to), 0, on_rows, r);
}

static void on_mark(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct replay *r = arg;
	uint64_t last = 0;

	if (rc == ENGINE_NOTFOUND)
		rc = ENGINE_OK;
	else if (rc == ENGINE_OK && n > 0 && applied_unpack(rows[0].val, &last) != 0)
		rc = ENGINE_CORRUPT;
	if (rc != ENGINE_OK) {
		over(r, rc);
		return;
	}
	if (last >= r->rec.id) {
		r->row += r->left;
		on_done(r, ENGINE_OK);
		return;
	}
	r->batch = engine_batch_new(r->group);
	if (r->batch == NULL)
		over(r, -ENOMEM);
	else
		rows_next(r);
}

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	struct rec_key key = key_kind(REC_APPLIED);
	struct replay *r = arg;

	if (rc != ENGINE_OK) {
		over(r, rc);
		return;
	}
	r->group = take_group;
	engine_get(r->group, key_slice(&key), on_mark, r);
}

static void group_next(struct replay *r)
{
	if (r->at == r->rec.n) {
		intent_remove(r);
		return;
	}
	if (r->rec.to[r->at].shard >= r->st->n_shards) {
		over(r, ENGINE_IO); /* it is not there now, and nothing may be done elsewhere */
		return;
	}
	r->left = r->rec.to[r->at].rows;
	engine_group_open(store_engine(r->st), key_slice(&r->rec.to[r->at].group), 0,
	    ENGINE_CREATE | ENGINE_IN(r->rec.to[r->at].shard), on_group, r);
}

static void on_intent(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct replay *r = arg;

	if (rc == ENGINE_OK && n > 0 && intent_unpack(rows[0].val, &r->rec) != 0)
		rc = ENGINE_CORRUPT;
	if (rc == ENGINE_NOTFOUND || (rc == ENGINE_OK && n == 0))
		over(r, ENGINE_OK);
	else if (rc != ENGINE_OK)
		over(r, rc);
	else
		group_next(r);
}

void intent_replay(struct store *st, struct engine_group *const *home, uint64_t account,
    engine_done_fn *done, void *arg)
{
	struct rec_key key = key_u64(REC_INTENT, account);
	struct replay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	*r =
	    (struct replay){ .st = st, .home = home, .account = account, .done = done, .arg = arg };
	st->in_flight++;
	engine_get(*home, key_slice(&key), on_intent, r);
}

/* ---- of all accounts ---- */

struct intent_round {
	struct store *st;
	struct rec_key from; /* of the next account */
	bool running;
	bool left; /* something could not be read, or not be carried out */
	uint64_t account;
	bool visitor; /* only we have it in memory */
	int64_t ended_ms;
};

static void round_step(struct intent_round *w);

static void round_end(struct intent_round *w, int rc)
{
	if (rc != ENGINE_OK)
		log_ev(LOG_WARNING, "stored.engine", kv_s("what", "intents"),
		    kv_s("why", engine_rc_name(rc)));
	w->left |= rc != ENGINE_OK;
	w->running = false;
	w->ended_ms = clock_mono_ms();
}

/* Whoever is in memory already has his own under way. */
static void on_account(void *arg, int status, struct account *a)
{
	struct intent_round *w = arg;

	if (status != IPC_ST_OK && status != IPC_ST_NOTFOUND)
		w->left = true;
	w->st->in_flight--;
	round_step(w);
}

/* A row of an intent's operations is longer than its head, and comes behind it. */
static void on_head(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct intent_round *w = arg;
	struct rec_key key;
	struct store *st = w->st;

	st->in_flight--;
	/* Only now: while it was told of the account, its load had it still. */
	if (w->visitor)
		account_let_go(st, w->account);
	w->visitor = false;
	if (rc != ENGINE_OK || n == 0) {
		round_end(w, rc);
		return;
	}
	if (rows[0].key.n < PREFIX_BYTES) {
		round_end(w, ENGINE_CORRUPT);
		return;
	}
	key = (struct rec_key){ .n = PREFIX_BYTES };
	memcpy(key.p, rows[0].key.p, PREFIX_BYTES);
	if (key_get_u64(key_slice(&key), REC_INTENT, &w->account) != 0) {
		round_end(w, ENGINE_CORRUPT);
		return;
	}
	w->from = key_u64(REC_INTENT, w->account + 1);
	w->visitor = idmap_get(&st->accounts, w->account) == NULL;
	st->in_flight++;
	account_get(st, w->account, 0, on_account, w);
}

static void round_step(struct intent_round *w)
{
	struct rec_key to = key_kind_end(REC_INTENT);
	struct store *st = w->st;

	if (st->meta == NULL || st->stopping) {
		round_end(w, ENGINE_IO);
		return;
	}
	st->in_flight++;
	engine_scan(st->meta, key_slice(&w->from), key_slice(&to), 1, on_head, w);
}

static void round_begin(struct intent_round *w)
{
	w->from = key_kind(REC_INTENT);
	w->left = false;
	w->running = true;
	round_step(w);
}

void intent_retry(struct store *st)
{
	struct intent_round *w = st->intents;

	if (w != NULL && w->left && !w->running && !st->stopping &&
	    clock_mono_ms() - w->ended_ms >= st->intent_retry_ms)
		round_begin(w);
}

void intent_replay_all(struct store *st)
{
	struct intent_round *w = st->intents = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->st = st;
	round_begin(w);
	while (w->running)
		store_engine_turn(st, 1000);
}

void intent_retry_fini(struct store *st)
{
	free(st->intents);
	st->intents = NULL;
}
