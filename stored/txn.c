/*
 * txn - one batch of one mailbox: pending when handed to the engine, published when durable.
 *
 * The engine keeps the order of a group's batches, so the heads of those in flight form a chain
 * that grows from `pub` to `pend`. One failure loses everything behind it: `pend` falls back to
 * `pub` and the generation moves on. An unknown outcome closes the group; after it is open again
 * the batch id in its guard tells which of the unknown batches were stored.
 */
#include "stored/store-private.h"

#include "common/base/log.h"

#include <assert.h>
#include <stdlib.h>

struct commit {
	struct store *st;
	unsigned n;
	struct threads_write *threads; /* that go with it */
	struct txn *txns[];
};

int txn_check(const struct mbox *m)
{
	if (m->account->state != ACCOUNT_READY)
		return m->account->forgotten ? IPC_ST_TRYLATER : IPC_ST_NOTFOUND;
	return m->state == MBOX_READY ? IPC_ST_OK : IPC_ST_TRYLATER;
}

int txn_begin(struct mbox *m, struct txn *t, void (*done)(struct txn *t, int status))
{
	int s = txn_check(m);

	if (s != IPC_ST_OK)
		return s;
	*t = (struct txn){ .mbox = m, .head = m->pend, .done = done };
	t->batch = engine_batch_new(m->group);
	if (t->batch != NULL && t->head.staged != 0 && !m->staging &&
	    !mbox_del_staged(t->batch, &t->head))
		engine_batch_free(&t->batch);
	return t->batch != NULL ? IPC_ST_OK : IPC_ST_TRYLATER;
}

void txn_abort(struct txn *t)
{
	engine_batch_free(&t->batch);
}

/* ---- unknown outcomes ---- */

/* The unknown batches up to the one that the guard names were stored, the others not. */
static void unknown_settle(struct mbox *m, uint64_t stored_batch)
{
	struct txn *t;
	bool any = false, last;

	TAILQ_FOREACH(t, &m->unknown, link)
	any |= t->batch_id == stored_batch;
	m->pend = m->pub;
	while ((t = TAILQ_FIRST(&m->unknown)) != NULL) {
		TAILQ_REMOVE(&m->unknown, t, link);
		if (any)
			m->pub = m->pend = t->head;
		last = t->batch_id == stored_batch;
		t->done(t, any ? IPC_ST_OK : IPC_ST_TRYLATER);
		any = any && !last;
		account_unref(m->account);
	}
}

static void on_reopened(void *arg, int rc, struct engine_group *take_group)
{
	struct mbox *m = arg;
	struct account *a = m->account;

	a->st->in_flight--;
	if (rc == ENGINE_OK) {
		mbox_take_group(m, take_group);
		unknown_settle(m, engine_group_batch(take_group));
		m->state = MBOX_READY;
		change_next(m);
	} else {
		/* "Not acknowledged" is the honest answer while nobody can tell. */
		log_ev(LOG_ERR, "stored.engine", kv_s("what", "reopen"),
		    kv_s("why", engine_rc_name(rc)), kv_u("mbox", m->id));
		m->state = MBOX_BROKEN;
		unknown_settle(m, 0);
		account_forget(a);
	}
	account_unref(a);
}

/* Waits for the answers of everything in flight, then asks the guard. */
static void reopen_if_quiet(struct mbox *m)
{
	struct rec_key id = key_group_mbox(m->id);

	if (m->state != MBOX_REOPEN || !TAILQ_EMPTY(&m->flight) || m->group == NULL)
		return;
	account_ref(m->account);
	m->account->st->in_flight++;
	engine_group_close(&m->group);
	engine_group_open(store_engine(m->account->st), key_slice(&id), 0,
	    ENGINE_CREATE | ENGINE_IN(m->account->shard), on_reopened, m);
}

/* The mailbox's state after an answer, before anybody is told. */
static void txn_answered(struct txn *t, int rc)
{
	struct mbox *m = t->mbox;

	TAILQ_REMOVE(&m->flight, t, link);
	if (rc == ENGINE_OK) {
		m->pub = t->head;
		return;
	}
	if (t->gen == m->gen) {
		m->gen++;
		m->pend = m->pub;
	}
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE)
		m->state = MBOX_REOPEN;
	if (rc == ENGINE_UNKNOWN)
		TAILQ_INSERT_TAIL(&m->unknown, t, link);
}

/*
 * All mailboxes of the commit first, their owners afterwards: the first owner's next batch may be
 * for the second mailbox, and must not build on what was lost.
 */
static void on_commit(void *arg, int rc)
{
	struct commit *c = arg;

	if (rc != ENGINE_OK && rc != ENGINE_CANCELLED)
		log_ev(LOG_WARNING, "stored.engine", kv_s("what", "commit"),
		    kv_s("why", engine_rc_name(rc)));
	c->st->in_flight--;
	threads_written(c->threads, rc);
	for (unsigned i = 0; i < c->n; i++)
		txn_answered(c->txns[i], rc);
	for (unsigned i = 0; i < c->n; i++) {
		struct txn *t = c->txns[i];
		struct mbox *m = t->mbox;
		struct account *a = m->account;

		if (rc != ENGINE_UNKNOWN)
			t->done(t, store_status(rc));
		if (rc == ENGINE_OK && (a->quota != 0 || a->policy.messages_max != 0))
			quota_look(a);
		reopen_if_quiet(m);
		if (rc != ENGINE_UNKNOWN)
			account_unref(a);
	}
	free(c);
}

static bool heads_put(struct txn **txns, unsigned n)
{
	struct rec_key key = key_kind(REC_HEAD);
	uint8_t val[RECORD_HEAD_BYTES];
	bool put = true;

	for (unsigned i = 0; i < n; i++) {
		txns[i]->head.recent_from = txns[i]->mbox->recent_from;
		head_pack(&txns[i]->head, val);
		put &= engine_put(txns[i]->batch, key_slice(&key), slice_of(val, sizeof(val))) == 0;
	}
	return put;
}

/* Nothing in front of them has failed. */
static bool still_good(const void *arg)
{
	const struct commit *c = arg;

	for (unsigned i = 0; i < c->n; i++)
		if (c->txns[i]->gen != c->txns[i]->mbox->gen)
			return false;
	return true;
}

static bool is_first_of_account(const struct commit *c, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (c->txns[k]->mbox->account == c->txns[i]->mbox->account)
			return false;
	return true;
}

/* What their accounts' indexes of threads have to write, behind the n batches: how many there are.
 */
static unsigned carry(struct commit *c, struct engine_batch **batches)
{
	struct engine *e = store_engine(c->st);
	unsigned n = c->n, room;

	if (!engine_may_commit(e, batches, n))
		return n;
	/* An account's index is in the shard of its mailboxes. */
	room = engine_limits(engine_shard(e, engine_batch_shard(batches[0])))->commit_batches;
	for (unsigned i = 0; i < c->n && n < TXN_COMMIT_MAX && n < room; i++) {
		/* One batch of a group in one commit. */
		if (!is_first_of_account(c, i))
			continue;
		batches[n] = threads_carry(c->txns[i]->mbox->account, &c->threads);
		n += batches[n] != NULL;
	}
	return n;
}

/* 0: the engine has them, or will. */
static int hand_in(struct store *st, struct commit *c)
{
	const struct commit_ask ask = { c->txns[0]->mbox->account, still_good, on_commit, c };
	struct engine_batch *batches[TXN_COMMIT_MAX] = { c->txns[0]->batch };
	unsigned n;
	int r;

	for (unsigned i = 0; i < c->n; i++) {
		c->txns[i]->gen = c->txns[i]->mbox->gen;
		c->txns[i]->batch_id = engine_batch_id(c->txns[i]->batch);
		batches[i] = c->txns[i]->batch;
	}
	n = carry(c, batches);
	r = commit_hand_in(st, &ask, batches, n);
	for (unsigned i = c->n; r != 0 && i < n; i++)
		engine_batch_free(&batches[i]);
	if (r != 0)
		threads_written(c->threads, ENGINE_CANCELLED);
	return r;
}

int txn_commit(struct store *st, struct txn **txns, unsigned n)
{
	struct commit *c = malloc(sizeof(*c) + n * sizeof(*txns));

	assert(n > 0 && n <= TXN_COMMIT_MAX);
	if (c != NULL) {
		*c = (struct commit){ .st = st, .n = n };
		memcpy(c->txns, txns, n * sizeof(*txns));
	}
	if (c == NULL || !heads_put(txns, n) || hand_in(st, c) != 0) {
		for (unsigned i = 0; i < n; i++)
			engine_batch_free(&txns[i]->batch);
		free(c);
		return IPC_ST_TRYLATER;
	}
	for (unsigned i = 0; i < n; i++) {
		struct txn *t = txns[i];

		account_ref(t->mbox->account);
		t->mbox->pend = t->head;
		TAILQ_INSERT_TAIL(&t->mbox->flight, t, link);
		t->batch = NULL;
	}
	st->in_flight++;
	return IPC_ST_OK;
}
