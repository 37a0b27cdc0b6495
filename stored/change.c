/*
 * change - flags, expunges, facts and views of one mailbox, one after the other.
 *
 * A change is computed from what is durable, so only one is under way per mailbox; deliveries do
 * not wait for it. Long ones go in portions of CHANGE_ROWS_MAX messages, and views may begin
 * between two portions, never within one: who sees a message must be known when its row is deleted.
 */
#include "stored/change-private.h"

#include "common/base/wire.h"

#include <assert.h>
#include <stdlib.h>

static struct change *change_of(struct txn *t)
{
	return (struct change *)t;
}

static void change_free(struct change *c)
{
	free(c->data);
	free(c->uids);
	free(c->new_flags);
	free(c->new_keywords);
	free((void *)c->set.more.p);
	free((void *)c->msg.p);
	free((void *)c->late.header.p);
	buf_fini(&c->left);
	free(c->keep);
	free(c);
}

static struct change *change_new(struct mbox *m, enum change_kind kind, struct slice data)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->mbox = m;
	c->kind = kind;
	c->left.max = SIZE_MAX;
	c->n_data = data.n;
	c->data = data.n > 0 ? malloc(data.n) : NULL;
	if (data.n > 0 && c->data == NULL) {
		free(c);
		return NULL;
	}
	if (data.n > 0)
		memcpy(c->data, data.p, data.n);
	return c;
}

static void change_answer(struct change *c, int status)
{
	struct ipc_store_done d = { .seq = c->seq,
		.status = (uint32_t)status,
		.count = c->count,
		.modseq = c->modseq,
		.uids = buf_slice(&c->left) };

	session_changed(c->session, c->n_data, &d);
}

static void change_finish(struct change *c, int status)
{
	struct mbox *m = c->mbox;
	struct account *a = m->account;

	if (c->kind == CHANGE_OPEN)
		TAILQ_REMOVE(&m->opens, c, link);
	else
		TAILQ_REMOVE(&m->changes, c, link);
	if (c->kind == CHANGE_HOLD)
		c->held(c->arg, status);
	else if (c->session != NULL && c->kind == CHANGE_OPEN)
		session_mbox_opened(c->session, c->seq, status, m, c->flags);
	else if (c->session != NULL)
		change_answer(c, status);
	change_free(c);
	account_unref(a);
}

static void change_queue(struct change *c)
{
	account_ref(c->mbox->account);
	if (c->kind == CHANGE_OPEN)
		TAILQ_INSERT_TAIL(&c->mbox->opens, c, link);
	else
		TAILQ_INSERT_TAIL(&c->mbox->changes, c, link);
	change_next(c->mbox);
}

/* ---- facts, leftovers ---- */

static void on_msg_row(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct change *c = arg;
	struct msg_rec rec;

	c->lookup_rc = rc == ENGINE_OK && n == 0 ? ENGINE_NOTFOUND : rc;
	/* A message's thread is decided once. */
	if (c->lookup_rc != ENGINE_OK || c->late.ids.n == 0 || !rows[0].has_loc ||
	    msg_unpack(rows[0].val, &rec) != 0 || rec.thread != 0 ||
	    slice_dup(rows[0].val, &c->msg) != 0)
		return;
	c->loc = rows[0].loc;
	c->late.thread = threads_id(&c->late.ids, c->late.thread, rec.id);
}

static int change_commit(struct change *c, bool good);
static void change_continue(struct mbox *m, int status);
static void on_portion(struct txn *t, int status);

/* The message's row with its thread; nothing has come between since its place was read. */
static bool thread_put(struct change *c)
{
	struct rec_key key = key_u32(REC_MSG, c->see.uid_limit);
	static uint8_t val[RECORD_MSG_MAX];
	struct msg_rec rec;

	if (c->msg.n == 0 || msg_unpack(c->msg, &rec) != 0)
		return true;
	rec.thread = c->late.thread;
	return engine_put_ref(
		   c->txn.batch, key_slice(&key), slice_of(val, msg_pack(&rec, val)), &c->loc) == 0;
}

static int facts_put(struct change *c)
{
	struct rec_key key = key_facts(c->see.uid_limit, c->late.source);
	struct rec_key header = key_u32(REC_HEADER, c->see.uid_limit);
	struct slice facts = slice_of(c->data, c->n_data);
	int r = store_status(c->lookup_rc);

	c->at = c->n_data;
	if (r == IPC_ST_OK)
		r = txn_begin(c->mbox, &c->txn, on_portion);
	if (r != IPC_ST_OK)
		return r;
	return change_commit(
	    c, engine_put(c->txn.batch, key_slice(&key), facts) == 0 &&
		   (c->late.header.n == 0 ||
		       engine_put(c->txn.batch, key_slice(&header), c->late.header) == 0) &&
		   thread_put(c) && change_own_facts(c));
}

static void on_msg_row_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct change *c = arg;
	struct mbox *m = c->mbox;
	int r;

	on_msg_row(c, rc, rows, n, more);
	m->account->st->in_flight--;
	r = facts_put(c);
	if (r != PORTION_UNDER_WAY)
		change_continue(m, r);
}

/* The message may have gone since its facts were asked for: its row is looked up first. */
static int facts_portion(struct change *c)
{
	struct mbox *m = c->mbox;
	struct rec_key key = key_u32(REC_MSG, c->see.uid_limit);
	int r;

	if (m->state != MBOX_READY || m->account->state != ACCOUNT_READY)
		return IPC_ST_TRYLATER;
	r = engine_get_now(m->group, key_slice(&key), on_msg_row, c);
	if (r == ENGINE_AGAIN) {
		m->account->st->in_flight++;
		engine_get(m->group, key_slice(&key), on_msg_row_later, c);
		return PORTION_UNDER_WAY;
	}
	if (r != ENGINE_OK)
		c->lookup_rc = r;
	return facts_put(c);
}

static bool undoom_rows(struct change *c)
{
	struct rec_key from = key_kind(REC_DOOMED), to = key_kind_end(REC_DOOMED);
	bool good = true;

	c->at = c->n_data;
	if (c->n_data == 0)
		return engine_del_range(c->txn.batch, key_slice(&from), key_slice(&to)) == 0;
	for (size_t i = 0; good && i < c->n_data; i += 4) {
		struct rec_key key = key_u32(REC_DOOMED, wire_load_u32(c->data + i));

		good = engine_del(c->txn.batch, key_slice(&key)) == 0;
	}
	return good;
}

/* ---- one after the other ---- */

static void on_portion(struct txn *t, int status)
{
	struct change *c = change_of(t);

	if (status == IPC_ST_OK) {
		c->modseq = t->head.modseq;
		change_publish(c);
	}
	change_continue(c->mbox, status);
}

static int change_commit(struct change *c, bool good)
{
	struct txn *t = &c->txn;

	if (!good) {
		txn_abort(t);
		return IPC_ST_TRYLATER;
	}
	return txn_commit(c->mbox->account->st, &t, 1) == IPC_ST_OK ? PORTION_UNDER_WAY
								    : IPC_ST_TRYLATER;
}

/* Flags and expunges: rows for what is left of the pairs. */
static int rows_portion(struct change *c)
{
	if (!change_fill(c)) {
		txn_abort(&c->txn);
		return IPC_ST_TRYLATER;
	}
	if (c->n == 0) {
		txn_abort(&c->txn);
		return IPC_ST_OK;
	}
	c->txn.head.modseq = ++c->mbox->account->modseq;
	return change_commit(c, change_rows(c));
}

/* Somebody else works with the mailbox until he lets go, perhaps at once. */
static int hold_start(struct change *c)
{
	const struct mbox *m = c->mbox;

	if (m->state == MBOX_GOING)
		return IPC_ST_NOTFOUND;
	if (m->state != MBOX_READY || m->account->state != ACCOUNT_READY)
		return IPC_ST_TRYLATER;
	c->held(c->arg, IPC_ST_OK);
	return PORTION_UNDER_WAY;
}

static int portion_start(struct change *c)
{
	bool first = c->n == 0 && c->at == 0;
	int r;

	if (c->kind == CHANGE_HOLD)
		return hold_start(c);
	if (!first && c->at >= c->n_data)
		return IPC_ST_OK;
	if (first) {
		mbox_sweep_sets(c->mbox);
		if (keysets_word(&c->mbox->sets, c->set, &c->keywords) != 0)
			return IPC_ST_TRYLATER;
	}
	if (c->kind == CHANGE_FACTS)
		return facts_portion(c);
	r = txn_begin(c->mbox, &c->txn, on_portion);
	if (r != IPC_ST_OK)
		return r;
	if (c->kind != CHANGE_UNDOOM)
		return rows_portion(c);
	c->n = 1; /* begun: the second look finds it done, even without a list */
	return change_commit(c, undoom_rows(c));
}

static bool needs_cols(const struct change *c)
{
	switch (c->kind) {
	case CHANGE_FLAGS:
	case CHANGE_EXPUNGE:
		return true;
	case CHANGE_HOLD:
		return c->look;
	default:
		return c->kind == CHANGE_OPEN && !mbox_load_names(c->mbox);
	}
}

/* IPC_ST_OK: they are there; PORTION_UNDER_WAY: change_next() is called when they are. */
static int cols_wait(struct mbox *m)
{
	if (m->cols_state != COLS_READY && !m->load_failed)
		mbox_load(m);
	if (m->cols_state == COLS_READY)
		return IPC_ST_OK;
	return m->cols_state == COLS_LOADING ? PORTION_UNDER_WAY : IPC_ST_TRYLATER;
}

/* One step: false when something must happen first. */
static bool change_step(struct mbox *m)
{
	struct change *c = TAILQ_FIRST(&m->opens);
	int r = IPC_ST_OK;

	if (c == NULL)
		c = TAILQ_FIRST(&m->changes);
	if (c == NULL)
		return false;
	if (needs_cols(c))
		r = cols_wait(m);
	if (c->kind == CHANGE_OPEN && mbox_load_names(m))
		r = IPC_ST_OK;
	if (r == PORTION_UNDER_WAY)
		return false;
	if (c->kind == CHANGE_OPEN) {
		change_finish(c, m->state == MBOX_READY ? r : IPC_ST_TRYLATER);
		return true;
	}
	m->change_running = true;
	if (r == IPC_ST_OK)
		r = portion_start(c);
	if (r == PORTION_UNDER_WAY)
		return true;
	m->change_running = false;
	change_finish(c, r);
	return true;
}

void change_next(struct mbox *m)
{
	struct account *a = m->account;

	if (m->change_looping)
		return;
	account_ref(a);
	m->pins++;
	m->change_looping = true;
	while (!m->change_running && m->state != MBOX_REOPEN && change_step(m))
		;
	m->change_looping = false;
	m->pins--;
	account_unref(a);
}

/* A portion of the first change was answered. */
static void change_continue(struct mbox *m, int status)
{
	struct account *a = m->account;

	account_ref(a);
	m->change_running = false;
	if (status != IPC_ST_OK)
		change_finish(TAILQ_FIRST(&m->changes), status);
	change_next(m);
	account_unref(a);
}

void change_fail(struct mbox *m)
{
	struct change *c, *next;

	while ((c = TAILQ_FIRST(&m->opens)) != NULL)
		change_finish(c, IPC_ST_TRYLATER);
	for (c = TAILQ_FIRST(&m->changes); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c != TAILQ_FIRST(&m->changes) || !m->change_running)
			change_finish(c, IPC_ST_TRYLATER);
	}
}

void change_forget(struct mbox *m, const struct session *s)
{
	struct change *c;

	TAILQ_FOREACH(c, &m->changes, link)
	if (c->session == s)
		c->session = NULL;
	TAILQ_FOREACH(c, &m->opens, link)
	if (c->session == s)
		c->session = NULL;
}

/* ---- what others ask for ---- */

void change_hold(struct mbox *m, bool look, change_held_fn *fn, void *arg)
{
	struct change *c = change_new(m, CHANGE_HOLD, SLICE_NONE);

	if (c == NULL) {
		fn(arg, IPC_ST_TRYLATER);
		return;
	}
	c->held = fn;
	c->arg = arg;
	c->look = look;
	change_queue(c);
}

void change_release(struct mbox *m)
{
	struct change *c = TAILQ_FIRST(&m->changes);
	struct account *a = m->account;

	assert(m->change_running && c->kind == CHANGE_HOLD);
	m->change_running = false;
	TAILQ_REMOVE(&m->changes, c, link);
	change_free(c);
	change_next(m);
	account_unref(a);
}

static struct change *change_ask(
    struct view *v, enum change_kind kind, uint32_t seq, struct slice uids)
{
	struct change *c = change_new(v->mbox, kind, uids);

	if (c == NULL) {
		session_changed(v->session, uids.n,
		    &(struct ipc_store_done){ .seq = seq, .status = IPC_ST_TRYLATER });
		return NULL;
	}
	c->session = v->session;
	c->seq = seq;
	c->see = v->see;
	if (v->events)
		c->see.uid_limit = UINT32_MAX; /* the feed may be ahead of the columns' view */
	return c;
}

void change_flags(struct view *v, const struct ipc_flags_store *q)
{
	struct change *c = change_ask(v, CHANGE_FLAGS, q->seq, q->uids);

	if (c == NULL)
		return;
	c->op = q->op;
	c->flags = q->flags;
	c->set.bits = q->keywords;
	if (slice_dup(q->more, &c->set.more) != 0) {
		change_free(c);
		session_changed(v->session, q->uids.n,
		    &(struct ipc_store_done){ .seq = q->seq, .status = IPC_ST_TRYLATER });
		return;
	}
	c->unchanged_since = q->unchanged_since;
	change_queue(c);
}

void change_expunge(struct view *v, const struct ipc_msg_expunge *q)
{
	struct change *c = change_ask(v, CHANGE_EXPUNGE, q->seq, q->uids);

	if (c == NULL)
		return;
	c->deleted_only = q->deleted != 0;
	change_queue(c);
}

void change_open(struct mbox *m, struct session *s, uint32_t seq, uint32_t flags)
{
	struct change *c = change_new(m, CHANGE_OPEN, SLICE_NONE);

	if (c == NULL) {
		session_mbox_opened(s, seq, IPC_ST_TRYLATER, m, flags);
		return;
	}
	c->session = s;
	c->seq = seq;
	c->flags = flags;
	change_queue(c);
}

void change_facts(struct mbox *m, uint32_t uid, const struct late_facts *late)
{
	struct change *c = change_new(m, CHANGE_FACTS, late->facts);

	if (c == NULL)
		return;
	c->see.uid_limit = uid;
	c->late = *late;
	c->late.facts = SLICE_NONE;
	(void)slice_dup(late->header, &c->late.header);
	change_queue(c);
}

void change_undoom(struct mbox *m, const uint32_t *uids, size_t n)
{
	struct change *c = change_new(m, CHANGE_UNDOOM, SLICE_NONE);

	if (c == NULL)
		return; /* the rows go when the mailbox is next loaded */
	if (n > 0) {
		c->data = malloc(n * 4);
		if (c->data == NULL) {
			free(c);
			return;
		}
		for (size_t i = 0; i < n; i++)
			wire_store_u32(c->data + 4 * i, uids[i]);
		c->n_data = 4 * n;
	}
	change_queue(c);
}
