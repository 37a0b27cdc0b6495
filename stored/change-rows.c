/*
 * change-rows - which messages a change is about, their rows, and what the index becomes of them.
 */
#include "stored/change-private.h"

#include "common/base/clock.h"
#include "common/base/wire.h"
#include "stored/loan-rows.h"

#include <assert.h>
#include <stdlib.h>

static bool portion_arrays(struct change *c, bool flags)
{
	if (c->uids == NULL)
		c->uids = calloc(CHANGE_ROWS_MAX, sizeof(*c->uids));
	if (flags && c->new_flags == NULL)
		c->new_flags = calloc(CHANGE_ROWS_MAX, sizeof(*c->new_flags));
	if (flags && c->new_keywords == NULL)
		c->new_keywords = calloc(CHANGE_ROWS_MAX, sizeof(*c->new_keywords));
	if (!flags && c->keep == NULL)
		c->keep = calloc(CHANGE_ROWS_MAX, sizeof(*c->keep));
	if (flags)
		return c->uids != NULL && c->new_flags != NULL && c->new_keywords != NULL;
	return c->uids != NULL && c->keep != NULL;
}

static uint32_t flags_after(const struct change *c, uint32_t old)
{
	if (c->op == IPC_FLAGS_SET)
		return c->flags;
	return c->op == IPC_FLAGS_ADD ? old | c->flags : old & ~c->flags;
}

/* RFC 7162 3.1.3: this message was changed since the client looked. */
static void leave(struct change *c, uint32_t uid)
{
	struct buf *b = &c->left;

	if (b->n >= 8 && wire_load_u32(b->p + b->n - 4) + 1 == uid) {
		wire_store_u32(b->p + b->n - 4, uid);
	} else {
		wire_put_u32(b, uid);
		wire_put_u32(b, uid);
	}
}

static bool flags_take(struct change *c, size_t i)
{
	const struct cols *cols = &c->mbox->cols;
	uint32_t flags = flags_after(c, cols->flags[i]);
	uint64_t keywords;

	if (cols->modseq[i] > c->unchanged_since) {
		leave(c, cols->uid[i]);
		return false;
	}
	/* Without memory the change ends here, and says so. */
	if (keysets_change(&c->mbox->sets, (int)c->op, cols->keywords[i], c->keywords, &keywords) !=
	    0) {
		c->no_room = true;
		return false;
	}
	c->count++;
	if (flags == cols->flags[i] && keywords == cols->keywords[i])
		return false;
	c->new_flags[c->n] = flags;
	c->new_keywords[c->n] = keywords;
	return true;
}

/* Takes one message into the portion if it needs a row. */
static void portion_take(struct change *c, size_t i)
{
	const struct cols *cols = &c->mbox->cols;

	if (c->kind == CHANGE_FLAGS && !flags_take(c, i))
		return;
	if (c->kind == CHANGE_EXPUNGE) {
		if (c->deleted_only && (cols->flags[i] & IPC_FLAG_DELETED) == 0)
			return;
		c->count++;
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
		i = cols_lower_from(cols, i, c->uids[k]);
		assert(i < cols->n && cols->uid[i] == c->uids[k]);
		cols_set_flags(cols, i, c->new_flags[k]);
		cols->keywords[i] = c->new_keywords[k];
		cols->modseq[i] = c->modseq;
		if (rows != NULL)
			rows[k] = (struct feed_row){ .what = IPC_EV_FLAGS,
				.uid = c->uids[k],
				.flags = c->new_flags[k],
				.seq = c->seq,
				.keywords = c->new_keywords[k],
				.modseq = c->modseq };
	}
	feed_tell(c->mbox, c->session, rows, rows != NULL ? c->n : 0);
	free(rows);
}

static bool flags_rows(struct change *c)
{
	const struct cols *cols = &c->mbox->cols;
	static uint8_t val[RECORD_FLAGS_MAX];
	bool good = true;
	size_t at = 0;

	for (size_t k = 0; good && k < c->n; k++) {
		struct rec_key key = key_u32(REC_FLAGS, c->uids[k]);
		uint32_t before, after = c->new_flags[k];
		struct flags_rec rec = { after, keysets_get(&c->mbox->sets, c->new_keywords[k]),
			c->txn.head.modseq };

		at = cols_lower_from(cols, at, c->uids[k]);
		before = cols->flags[at];
		if ((before ^ after) & IPC_FLAG_SEEN)
			c->txn.head.unseen += before & IPC_FLAG_SEEN ? 1 : -1;
		good = engine_put(c->txn.batch, key_slice(&key),
			   slice_of(val, flags_pack(&rec, val))) == 0;
	}
	return good;
}

/* ---- expunge ---- */

/* Messages below this uid are in a view that must keep their bodies, other than the change's own.
 */
static uint32_t keep_limit(const struct change *c)
{
	uint32_t limit = 0;
	struct view *v;

	LIST_FOREACH(v, &c->mbox->views, link)
	if (v->see.number != c->see.number && v->see.uid_limit > limit)
		limit = v->see.uid_limit;
	return limit;
}

/* The change's own view must be told later: its rows stay in memory until then. */
static bool own_lags(const struct change *c)
{
	struct view *v;

	LIST_FOREACH(v, &c->mbox->views, link)
	if (v->see.number == c->see.number)
		return v->lagging;
	return false;
}

static void expunge_publish(struct change *c)
{
	struct mbox *m = c->mbox;
	struct feed_row *rows = calloc(c->n, sizeof(*rows));
	size_t before;
	bool lags;

	feed_lag(m);
	lags = own_lags(c);
	for (size_t k = 0; k < c->n; k++) {
		c->keep[k] |= lags;
		if (rows != NULL)
			rows[k] = (struct feed_row){ .what = IPC_EV_EXPUNGED,
				.uid = c->uids[k],
				.seq = c->seq,
				.modseq = c->modseq };
	}
	before = m->cols.n_dead;
	if (cols_reserve_dead(&m->cols, c->n) == 0)
		cols_expunge(&m->cols, c->uids, c->keep, c->n, c->see.number, c->modseq);
	else
		account_forget(m->account);
	m->account->n_dead += m->cols.n_dead - before;
	m->account->st->counts.expunged += c->n;
	feed_tell(m, c->session, rows, rows != NULL ? c->n : 0);
	free(rows);
	mbox_sweep(m);
	view_bound_dead(m->account);
}

/* One run of neighbours that stays where it is and can be restored. */
static bool expunge_lose(struct change *c, struct run_rec *run)
{
	struct rec_key key = key_run(run->modseq, run->first);
	uint8_t val[RECORD_RUN_BYTES];

	run_pack(run, val);
	c->txn.head.lost += run->n;
	c->txn.head.lost_bytes += run->bytes;
	return engine_put(c->txn.batch, key_slice(&key), slice_of(val, sizeof(val))) == 0;
}

/* One run of neighbours goes by range deletions, and one row of history; or is lost. */
static bool expunge_run(struct change *c, bool lose, struct run_rec *run)
{
	struct rec_key gone = key_gone(run->modseq, run->first);
	uint8_t val[4];
	bool good =
	    lose ? expunge_lose(c, run) : mbox_del_rows(c->txn.batch, run->first, run->last);

	wire_store_u32(val, run->last);
	c->txn.head.gone_rows++;
	return good && engine_put(c->txn.batch, key_slice(&gone), slice_of(val, 4)) == 0;
}

/* The row of a message that others still see: it keeps the body. */
static bool expunge_doom(struct change *c, size_t i)
{
	const struct cols *cols = &c->mbox->cols;
	struct rec_key key = key_u32(REC_DOOMED, cols->uid[i]);
	static const uint8_t version[1] = { RECORD_VERSION };

	c->mbox->doomed = true;
	return engine_put_ref(c->txn.batch, key_slice(&key), slice_of(version, 1), &cols->loc[i]) ==
	       0;
}

/* More history than anybody asks for: what came before is told as all that is not there. */
static bool history_cut(struct change *c)
{
	struct mbox_head *h = &c->txn.head;
	struct rec_key from = key_kind(REC_GONE), to = key_gone(h->modseq, 0);

	if (h->gone_rows < GONE_KEEP_MAX)
		return true;
	h->gone_rows = 0;
	h->gone_floor = h->modseq - 1;
	return engine_del_range(c->txn.batch, key_slice(&from), key_slice(&to)) == 0;
}

/*
 * The next message continues the run: a deletion of rows from here to there must not take those of
 * lost messages that lie between.
 */
static bool runs_on(const struct change *c, size_t i, bool lose)
{
	const struct cols *cols = &c->mbox->cols;

	if (i + 1 >= cols->n)
		return false;
	return lose || c->txn.head.lost == 0 || cols->uid[i + 1] == cols->uid[i] + 1;
}

static bool expunge_rows(struct change *c)
{
	const struct cols *cols = &c->mbox->cols;
	struct mbox_head *h = &c->txn.head;
	uint32_t limit = keep_limit(c);
	bool lose = !c->moved && account_keeps(c->mbox->account), good = history_cut(c);
	const struct run_rec none = { .modseq = h->modseq, .when = lose ? clock_wall_s() : 0 };
	struct run_rec run = none;
	size_t i = 0;

	for (size_t k = 0; good && k < c->n; k++) {
		i = cols_lower_from(cols, i, c->uids[k]);
		h->exists--;
		h->bytes -= cols->size[i];
		h->unseen -= (cols->flags[i] & IPC_FLAG_SEEN) == 0;
		c->keep[k] = c->uids[k] < limit;
		if (c->keep[k] && !lose)
			good = expunge_doom(c, i);
		if (run.n++ == 0)
			run.first = c->uids[k];
		run.last = c->uids[k];
		run.bytes += cols->size[i];
		if (k + 1 < c->n && runs_on(c, i, lose) && cols->uid[i + 1] == c->uids[k + 1])
			continue;
		good = good && expunge_run(c, lose, &run);
		run = none;
	}
	return good;
}

bool change_fill(struct change *c)
{
	if (!portion_arrays(c, c->kind == CHANGE_FLAGS))
		return false;
	portion_fill(c);
	return !c->no_room;
}

bool change_rows(struct change *c)
{
	return c->kind == CHANGE_FLAGS ? flags_rows(c) : expunge_rows(c);
}

static struct uid_range facts_of(const struct change *c)
{
	return (struct uid_range){ c->see.uid_limit, c->see.uid_limit };
}

bool change_own_facts(struct change *c)
{
	struct uid_range one = facts_of(c);

	return loan_put_cut(&c->txn, &one, 1);
}

static void facts_publish(struct change *c)
{
	struct cols *cols = &c->mbox->cols;
	size_t i = cols_lower(cols, c->see.uid_limit);
	struct uid_range one = facts_of(c);

	loan_cut(c->mbox, &one, 1);

	/* Columns that are being loaded may have read the row before. */
	if (c->msg.n > 0 && i < cols->n && cols->uid[i] == c->see.uid_limit)
		cols->thread[i] = c->late.thread;
	threads_flush(c->mbox->account);
}

void change_publish(struct change *c)
{
	if (c->kind == CHANGE_FACTS)
		facts_publish(c);
	if (c->kind == CHANGE_FLAGS)
		flags_publish(c);
	else if (c->kind == CHANGE_EXPUNGE)
		expunge_publish(c);
}
