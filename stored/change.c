/*
 * change - flags, expunges, facts and views of one mailbox, one after the other.
 *
 * A change is computed from what is durable, so only one is under way per mailbox; deliveries do
 * not wait for it. Long ones go in portions of CHANGE_ROWS_MAX messages, and views may begin
 * between two portions, never within one: who sees a message must be known when its row is deleted.
 */
#include "stored/store-private.h"

#include "common/base/wire.h"

#include <assert.h>
#include <stdlib.h>

enum change_kind { CHANGE_FLAGS, CHANGE_EXPUNGE, CHANGE_FACTS, CHANGE_UNDOOM, CHANGE_OPEN };

struct change {
	struct txn txn; /* first: see change_of() */
	TAILQ_ENTRY(change) link;
	enum change_kind kind;
	struct mbox *mbox;
	struct session *session; /* NULL: nobody is answered */
	uint32_t seq;
	struct cols_view see;
	uint32_t op, flags; /* CHANGE_OPEN: of the view */
	uint8_t *data;      /* pairs of uids; or facts */
	size_t n_data, at;  /* at: next pair */
	uint32_t next_uid;  /* within the pair */
	enum facts_source source;
	uint32_t count;
	uint64_t modseq;
	/* the portion under way */
	uint32_t *uids, *new_flags;
	bool *keep;
	size_t n;
	int lookup_rc;
};

/* Answer of a portion: something else than IPC_ST_... */
enum { PORTION_UNDER_WAY = -1 };

static struct change *change_of(struct txn *t)
{
	return (struct change *)t;
}

static void change_free(struct change *c)
{
	free(c->data);
	free(c->uids);
	free(c->new_flags);
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

static void change_finish(struct change *c, int status)
{
	struct mbox *m = c->mbox;
	struct account *a = m->account;

	if (c->kind == CHANGE_OPEN)
		TAILQ_REMOVE(&m->opens, c, link);
	else
		TAILQ_REMOVE(&m->changes, c, link);
	if (c->session != NULL && c->kind == CHANGE_OPEN)
		session_mbox_opened(c->session, c->seq, status, m, c->flags);
	else if (c->session != NULL)
		session_changed(c->session, c->seq, c->n_data, status, c->count, c->modseq);
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

/* ---- the messages that the next portion is about ---- */

static bool portion_arrays(struct change *c, bool flags)
{
	if (c->uids == NULL)
		c->uids = calloc(CHANGE_ROWS_MAX, sizeof(*c->uids));
	if (flags && c->new_flags == NULL)
		c->new_flags = calloc(CHANGE_ROWS_MAX, sizeof(*c->new_flags));
	if (!flags && c->keep == NULL)
		c->keep = calloc(CHANGE_ROWS_MAX, sizeof(*c->keep));
	return c->uids != NULL && (flags ? c->new_flags != NULL : c->keep != NULL);
}

static uint32_t flags_after(const struct change *c, uint32_t old)
{
	if (c->op == IPC_FLAGS_SET)
		return c->flags;
	return c->op == IPC_FLAGS_ADD ? old | c->flags : old & ~c->flags;
}

/* Takes one message into the portion if it needs a row. */
static void portion_take(struct change *c, size_t i)
{
	const struct cols *cols = &c->mbox->cols;

	c->count++;
	if (c->kind == CHANGE_FLAGS) {
		uint32_t after = flags_after(c, cols->flags[i]);

		if (after == cols->flags[i])
			return;
		c->new_flags[c->n] = after;
	}
	c->uids[c->n++] = cols->uid[i];
}

/* Fills the portion from the pairs, which are ascending and apart. */
static void portion_fill(struct change *c)
{
	const struct cols *cols = &c->mbox->cols;

	c->n = 0;
	while (c->at < c->n_data) {
		uint32_t first = wire_load_u32(c->data + c->at);
		uint32_t last = wire_load_u32(c->data + c->at + 4);
		size_t i;

		if (first < c->next_uid)
			first = c->next_uid;
		if (last >= c->see.uid_limit)
			last = c->see.uid_limit - 1;
		for (i = cols_lower(cols, first); i < cols->n && cols->uid[i] <= last; i++) {
			if (c->n == CHANGE_ROWS_MAX) {
				c->next_uid = cols->uid[i];
				return;
			}
			portion_take(c, i);
		}
		c->next_uid = 0;
		c->at += 8;
	}
}

/* ---- flags ---- */

static void flags_publish(struct change *c)
{
	struct cols *cols = &c->mbox->cols;
	struct feed_row *rows = calloc(c->n, sizeof(*rows));
	size_t i = 0;

	for (size_t k = 0; k < c->n; k++) {
		while (i < cols->n && cols->uid[i] < c->uids[k])
			i++;
		assert(i < cols->n && cols->uid[i] == c->uids[k]);
		cols->flags[i] = c->new_flags[k];
		cols->modseq[i] = c->modseq;
		if (rows != NULL)
			rows[k] = (struct feed_row){ IPC_EV_FLAGS, c->uids[k], c->new_flags[k],
				c->modseq };
	}
	feed_tell(c->mbox, rows, rows != NULL ? c->n : 0);
	free(rows);
}

static bool flags_rows(struct change *c)
{
	const struct cols *cols = &c->mbox->cols;
	uint8_t val[RECORD_FLAGS_BYTES];
	bool good = true;

	for (size_t k = 0; good && k < c->n; k++) {
		struct rec_key key = key_u32(REC_FLAGS, c->uids[k]);
		uint32_t before = cols->flags[cols_lower(cols, c->uids[k])];
		uint32_t after = c->new_flags[k];

		if ((before ^ after) & IPC_FLAG_SEEN)
			c->txn.head.unseen += before & IPC_FLAG_SEEN ? 1 : -1;
		flags_pack(&(struct flags_rec){ after, c->txn.head.modseq }, val);
		good = engine_put(c->txn.batch, key_slice(&key), slice_of(val, sizeof(val))) == 0;
	}
	return good;
}

/* ---- expunge ---- */

/* Messages below this uid are in a view that must keep them, other than the change's own. */
static uint32_t keep_limit(const struct change *c, bool in_memory)
{
	uint32_t limit = 0;
	struct view *v;

	LIST_FOREACH(v, &c->mbox->views, link)
	{
		if (v->see.number == c->see.number || (v->events && !(in_memory && v->lagging)))
			continue;
		if (v->see.uid_limit > limit)
			limit = v->see.uid_limit;
	}
	return limit;
}

static void expunge_publish(struct change *c)
{
	struct mbox *m = c->mbox;
	struct feed_row *rows = calloc(c->n, sizeof(*rows));
	uint32_t limit;

	feed_lag(m);
	limit = keep_limit(c, true);
	for (size_t k = 0; k < c->n; k++) {
		c->keep[k] = c->uids[k] < limit;
		if (rows != NULL)
			rows[k] = (struct feed_row){ IPC_EV_EXPUNGED, c->uids[k], 0, c->modseq };
	}
	if (cols_reserve_dead(&m->cols, c->n) == 0)
		cols_expunge(&m->cols, c->uids, c->keep, c->n, c->see.number);
	else
		account_forget(m->account);
	m->account->st->counts.expunged += c->n;
	feed_tell(m, rows, rows != NULL ? c->n : 0);
	free(rows);
	mbox_sweep(m);
}

/* One run of neighbours goes by three range deletions and one row of history. */
static bool expunge_run(struct change *c, uint32_t first, uint32_t last)
{
	static const enum record_kind kinds[] = { REC_MSG, REC_FLAGS, REC_FACTS };
	struct rec_key gone = key_gone(c->txn.head.modseq, first);
	uint8_t val[4];
	bool good = true;

	for (size_t k = 0; good && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct rec_key from = key_u32(kinds[k], first), to = key_u32(kinds[k], last + 1);

		good = engine_del_range(c->txn.batch, key_slice(&from), key_slice(&to)) == 0;
	}
	wire_store_u32(val, last);
	return good && engine_put(c->txn.batch, key_slice(&gone), slice_of(val, 4)) == 0;
}

/* The row of a message that others still see: it keeps the body. */
static bool expunge_doom(struct change *c, size_t i)
{
	const struct cols *cols = &c->mbox->cols;
	struct rec_key key = key_u32(REC_DOOMED, cols->uid[i]);
	static const uint8_t version[1] = { RECORD_VERSION };

	return engine_put_ref(c->txn.batch, key_slice(&key), slice_of(version, 1), &cols->loc[i]) ==
	       0;
}

static bool expunge_rows(struct change *c)
{
	const struct cols *cols = &c->mbox->cols;
	struct mbox_head *h = &c->txn.head;
	uint32_t limit = keep_limit(c, false);
	size_t start = 0, i;
	bool good = true;

	for (size_t k = 0; good && k < c->n; k++) {
		i = cols_lower(cols, c->uids[k]);
		h->exists--;
		h->bytes -= cols->size[i];
		h->unseen -= (cols->flags[i] & IPC_FLAG_SEEN) == 0;
		if (c->uids[k] < limit)
			good = expunge_doom(c, i);
		if (k + 1 < c->n && i + 1 < cols->n && cols->uid[i + 1] == c->uids[k + 1])
			continue;
		good = good && expunge_run(c, c->uids[start], c->uids[k]);
		start = k + 1;
	}
	return good;
}

/* ---- facts, leftovers ---- */

static void on_msg_row(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct change *c = arg;

	c->lookup_rc = rc == ENGINE_OK && n == 0 ? ENGINE_NOTFOUND : rc;
}

static int change_commit(struct change *c, bool good);
static void change_continue(struct mbox *m, int status);
static void on_portion(struct txn *t, int status);

static int facts_put(struct change *c)
{
	struct rec_key key = key_facts(c->see.uid_limit, c->source);
	struct slice facts = slice_of(c->data, c->n_data);
	int r = store_status(c->lookup_rc);

	c->at = c->n_data;
	if (r == IPC_ST_OK)
		r = txn_begin(c->mbox, &c->txn, on_portion);
	if (r != IPC_ST_OK)
		return r;
	return change_commit(c, engine_put(c->txn.batch, key_slice(&key), facts) == 0);
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
		if (c->kind == CHANGE_FLAGS)
			flags_publish(c);
		else if (c->kind == CHANGE_EXPUNGE)
			expunge_publish(c);
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
	if (!portion_arrays(c, c->kind == CHANGE_FLAGS)) {
		txn_abort(&c->txn);
		return IPC_ST_TRYLATER;
	}
	portion_fill(c);
	if (c->n == 0) {
		txn_abort(&c->txn);
		return IPC_ST_OK;
	}
	c->txn.head.modseq = ++c->mbox->account->modseq;
	return change_commit(c, c->kind == CHANGE_FLAGS ? flags_rows(c) : expunge_rows(c));
}

static int portion_start(struct change *c)
{
	bool first = c->n == 0 && c->at == 0;
	int r;

	if (!first && c->at >= c->n_data)
		return IPC_ST_OK;
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
	return c->kind == CHANGE_FLAGS || c->kind == CHANGE_EXPUNGE;
}

void change_next(struct mbox *m)
{
	struct account *a = m->account;
	struct change *c;

	account_ref(a);
	while (!m->change_running && m->state != MBOX_REOPEN) {
		int r = IPC_ST_OK;

		c = TAILQ_FIRST(&m->opens);
		if (c != NULL) {
			change_finish(c, m->state == MBOX_READY ? IPC_ST_OK : IPC_ST_TRYLATER);
			continue;
		}
		c = TAILQ_FIRST(&m->changes);
		if (c == NULL)
			break;
		if (needs_cols(c) && m->cols_state != COLS_READY && !m->load_failed) {
			mbox_load(m); /* comes back here, perhaps already has */
			break;
		}
		if (needs_cols(c) && m->cols_state != COLS_READY)
			r = IPC_ST_TRYLATER;
		m->change_running = true;
		if (r == IPC_ST_OK)
			r = portion_start(c);
		if (r == PORTION_UNDER_WAY)
			break;
		m->change_running = false;
		change_finish(c, r);
	}
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

static void change_ask(struct view *v, enum change_kind kind, uint32_t seq, uint32_t op,
    uint32_t flags, struct slice uids)
{
	struct change *c = change_new(v->mbox, kind, uids);

	if (c == NULL) {
		session_changed(v->session, seq, uids.n, IPC_ST_TRYLATER, 0, 0);
		return;
	}
	c->session = v->session;
	c->seq = seq;
	c->op = op;
	c->flags = flags;
	c->see = v->see;
	if (v->events) {
		/* The feed tells such a view what it did, too. */
		c->see.uid_limit = UINT32_MAX;
		c->see.number = 0;
	}
	change_queue(c);
}

void change_flags(struct view *v, const struct ipc_flags_store *q)
{
	change_ask(v, CHANGE_FLAGS, q->seq, q->op, q->flags, q->uids);
}

void change_expunge(struct view *v, const struct ipc_msg_expunge *q)
{
	change_ask(v, CHANGE_EXPUNGE, q->seq, 0, 0, q->uids);
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

void change_facts(struct mbox *m, uint32_t uid, enum facts_source source, struct slice facts)
{
	struct change *c = change_new(m, CHANGE_FACTS, facts);

	if (c == NULL)
		return;
	c->see.uid_limit = uid;
	c->source = source;
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
