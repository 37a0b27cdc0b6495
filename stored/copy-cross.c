/*
 * copy-cross - a portion of a move by the steps of cross.h.
 *
 * What fails in front of the copies' commit has changed nothing. When nobody knows whether that one
 * was stored, or the expunge behind it fails, the account that they leave is forgotten: its next
 * load ends the move, and waits for us.
 */
#include "stored/copy-private.h"
#include "common/base/wire.h"
#include "stored/cross.h"

static struct store *store_of(const struct copy *c)
{
	return c->op.account->st;
}

bool copy_needs_steps(const struct mbox *from, const struct mbox *to)
{
	const struct account *here = from->account, *there = to->account;
	const struct engine *e = store_engine(here->st);

	if (here == there || engine_limits(e)->commit_atomic)
		return false;
	return here->shard != there->shard ||
	       engine_limits(engine_shard(e, here->shard))->commit_batches < 2;
}

bool cross_parks(struct account *a)
{
	struct copy *c;

	LIST_FOREACH(c, &a->st->crosses, cross.link)
	if (c->from->account->id == a->id) {
		TAILQ_INSERT_TAIL(&c->cross.parked, a, idle_link);
		return true;
	}
	return false;
}

/* Memory may say something else than its next load will find. */
static void lose(struct copy *c)
{
	struct account *a = c->from->account;

	c->cross.lost = true;
	if (a->state == ACCOUNT_READY)
		account_forget(a);
}

/* ---- the note ---- */

static bool note_put(const struct copy *c, struct engine_batch *b)
{
	static uint8_t val[RECORD_CROSS_BYTES + 8 * COPY_CROSSES];
	static uint8_t uids[8 * COPY_CROSSES];
	struct rec_key key = key_kind(REC_CROSS);
	struct cross_rec rec = { .id = c->cross.id,
		.from = c->from->id,
		.account = c->to->account->id,
		.to = c->to->id };
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		uint32_t uid = c->rows[i].uid;

		if (n == 0 || wire_load_u32(uids + n - 4) + 1 != uid) {
			wire_store_u32(uids + n, uid);
			n += 8;
		}
		wire_store_u32(uids + n - 4, uid);
	}
	rec.uids = slice_of(uids, n);
	return engine_put(b, key_slice(&key), slice_of(val, cross_pack(&rec, val))) == 0;
}

/* The note of this portion, or none. */
static bool note_hand_in(struct copy *c, bool none, engine_done_fn *done)
{
	struct account *a = c->from->account;
	const struct commit_ask ask = { .account = a, .done = done, .arg = c };
	struct engine_batch *b = a->state == ACCOUNT_READY ? engine_batch_new(a->root) : NULL;

	if (b == NULL)
		return false;
	if (!(none ? cross_forget(b) : note_put(c, b)) || commit_hand_in(a->st, &ask, &b, 1) != 0) {
		engine_batch_free(&b);
		return false;
	}
	a->st->in_flight++;
	return true;
}

static void on_noted(void *arg, int rc)
{
	struct copy *c = arg;
	int r = store_status(rc);

	store_of(c)->in_flight--;
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE)
		lose(c);
	if (rc == ENGINE_OK) {
		c->cross.noted = true;
		r = copy_store_portion(c);
	}
	if (r != IPC_ST_OK)
		copy_portion_done(c, r);
}

void copy_cross(struct copy *c)
{
	struct store *st = store_of(c);
	int r = copy_allowed(c);

	if (!c->cross.listed) {
		TAILQ_INIT(&c->cross.parked);
		LIST_INSERT_HEAD(&st->crosses, c, cross.link);
		c->cross.listed = true;
	}
	c->cross.id = store_id(st);
	if (r == IPC_ST_OK && (c->cross.id == 0 || !note_hand_in(c, false, on_noted)))
		r = IPC_ST_TRYLATER;
	if (r != IPC_ST_OK)
		copy_portion_done(c, r);
}

/* ---- the copies ---- */

static bool row_del(struct engine_batch *b, uint64_t id)
{
	struct rec_key key = key_u64(REC_CROSS, id);

	return engine_del(b, key_slice(&key)) == 0;
}

bool copy_cross_rows(struct copy *c)
{
	struct rec_key key = key_u64(REC_CROSS, c->cross.id);
	struct engine_batch *b = c->txn.batch;
	uint8_t val[RECORD_CROSSED_BYTES];

	crossed_pack(c->from->account->id, val);
	return engine_put(b, key_slice(&key), slice_of(val, sizeof(val))) == 0 &&
	       (c->cross.row == 0 || row_del(b, c->cross.row));
}

/* Nothing is in doubt: the next load of the mailbox would say the same. */
static bool is_sure(const struct mbox *m)
{
	return m->account->state == ACCOUNT_READY && m->state == MBOX_READY;
}

void copy_crossed(struct copy *c, int status)
{
	if (status == IPC_ST_OK) {
		c->cross.row = 0;
		status = copy_take_away(c);
		if (status == IPC_ST_OK)
			return;
		lose(c);
	} else if (!is_sure(c->to)) {
		lose(c);
	}
	copy_portion_done(c, status);
}

void copy_cross_gone(struct copy *c, int status)
{
	if (status == IPC_ST_OK)
		c->cross.row = c->cross.id;
	else
		lose(c);
	copy_portion_done(c, status);
}

/* ---- the end ---- */

static void over(struct copy *c)
{
	TAILQ_HEAD(, account) parked = TAILQ_HEAD_INITIALIZER(parked);
	struct account *a;

	if (c->cross.listed) {
		LIST_REMOVE(c, cross.link);
		TAILQ_CONCAT(&parked, &c->cross.parked, idle_link);
	}
	copy_finish(c, c->status);
	while ((a = TAILQ_FIRST(&parked)) != NULL) {
		TAILQ_REMOVE(&parked, a, idle_link);
		account_load(a);
	}
}

static void on_note_gone(void *arg, int rc)
{
	struct copy *c = arg;

	store_of(c)->in_flight--;
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE)
		lose(c);
	over(c);
}

/* Where the row there stays the note does, too: whoever loads the account next sweeps. */
static void note_remove(struct copy *c)
{
	if (c->cross.row != 0 || c->cross.lost || !c->cross.noted ||
	    !note_hand_in(c, true, on_note_gone))
		over(c);
}

static void on_row_gone(struct txn *t, int status)
{
	struct copy *c = copy_of(t);

	if (status == IPC_ST_OK)
		c->cross.row = 0;
	note_remove(c);
}

static bool row_remove(struct copy *c)
{
	struct txn *t = &c->txn;

	if (txn_begin(c->to, t, on_row_gone) != IPC_ST_OK)
		return false;
	if (!row_del(t->batch, c->cross.row)) {
		txn_abort(t);
		return false;
	}
	return txn_commit(store_of(c), &t, 1) == IPC_ST_OK;
}

/* What is left to do is nobody's affair: the rows say what is so. */
void copy_cross_end(struct copy *c, int status)
{
	c->status = status;
	copy_answer(c);
	if (c->cross.row == 0 || !row_remove(c))
		note_remove(c);
}
