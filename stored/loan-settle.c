/*
 * loan-settle - facts and headers that are shared become rows of those who share them, batch after
 * batch, mailbox after mailbox. What does not come out is left: it is read from the message then.
 */
#include "stored/loan-rows.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { PIECES_MAX = 512 };

struct settle {
	struct txn txn; /* first: see on_stored() */
	struct loan_ask ask;
	struct account *account;
	size_t next;     /* account_nth() */
	struct mbox *to; /* who gets rows, pinned; or NULL */
	struct piece {
		uint32_t first, n, there;
		uint64_t mbox;
	} pieces[PIECES_MAX];
	size_t n_pieces, n_msgs;
	struct uid_range cut[PIECES_MAX]; /* the same */
	/* what is read */
	size_t piece;
	enum { READ_MSGS, READ_FACTS, READ_HEADERS, READ_DONE } step;
	struct rec_key from;
	bool more;
	int rc;
	uint8_t exists[LOANS_ROW_MSGS]; /* of the piece: there is such a message still */
	struct buf rows;                /* u32 uid, u32 source (0: header), bytes */
};

bool loan_any(const struct mbox *m, enum loan_whose whose)
{
	const struct mbox *other;

	if (whose == LOANS_TAKEN)
		return m->loans.n > 0;
	for (size_t i = 0; (other = account_nth(m->account, i)) != NULL; i++)
		for (size_t k = 0; k < other->loans.n; k++)
			if (other->loans.v[k].mbox == m->id)
				return true;
	return false;
}

static void settle_end(struct settle *s)
{
	struct account *a = s->account;

	s->ask.mbox->pins--;
	buf_fini(&s->rows);
	free(s->ask.take_v);
	s->ask.fn(s->ask.arg);
	free(s);
	tree_reap(a);
	account_unref(a);
}

/* ---- which ---- */

/* The first range that ends at the uid or behind it. */
static size_t range_at(const struct settle *s, uint32_t uid)
{
	size_t lo = 0, hi = s->ask.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->ask.take_v[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Pieces of one loan. */
static void pieces_of(struct settle *s, const struct loan *one)
{
	bool given = s->ask.whose == LOANS_GIVEN;
	uint32_t first = given ? one->there : one->first, last = first + (one->n - 1);

	if (given && one->mbox != s->ask.mbox->id)
		return;
	for (size_t k = range_at(s, first); k < s->ask.n && s->ask.take_v[k].first <= last; k++) {
		const struct uid_range *r = &s->ask.take_v[k];
		uint32_t from = r->first > first ? r->first : first;
		uint32_t to = r->last < last ? r->last : last, n = to - from + 1;

		if (s->n_pieces == PIECES_MAX || s->n_msgs == LOANS_ROW_MSGS)
			return;
		if (n > LOANS_ROW_MSGS - s->n_msgs)
			n = (uint32_t)(LOANS_ROW_MSGS - s->n_msgs);
		s->pieces[s->n_pieces] = (struct piece){ one->first + (from - first), n,
			one->there + (from - first), one->mbox };
		s->cut[s->n_pieces].first = s->pieces[s->n_pieces].first;
		s->cut[s->n_pieces].last = s->pieces[s->n_pieces].first + (n - 1);
		s->n_pieces++;
		s->n_msgs += n;
	}
}

static void pieces_take(struct settle *s)
{
	s->n_pieces = s->n_msgs = 0;
	for (size_t i = 0; i < s->to->loans.n; i++)
		pieces_of(s, &s->to->loans.v[i]);
}

/* ---- what they have ---- */

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct settle *s = arg;
	const struct piece *p = &s->pieces[s->piece];
	uint32_t base = s->step == READ_MSGS ? p->first : p->there;

	s->rc = rc;
	s->more = rc == ENGINE_OK && more && n > 0;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++) {
		const struct engine_row *row = &rows[i];
		uint32_t k;

		if (row->key.n != (s->step == READ_FACTS ? 6 : 5))
			continue;
		k = wire_load_u32be(row->key.p + 1) - base;
		if (s->step == READ_MSGS)
			s->exists[k] = 1;
		else if (s->exists[k] && s->rows.n + 12 + row->val.n <= s->rows.max) {
			wire_put_u32(&s->rows, p->first + k);
			wire_put_u32(&s->rows, s->step == READ_FACTS ? row->key.p[5] : 0);
			wire_put_bytes(&s->rows, row->val);
		}
	}
	if (s->more)
		s->from = key_after(rows[n - 1].key);
}

static const enum record_kind kinds[] = { REC_MSG, REC_FACTS, REC_HEADER };

/* The next scan's begin; READ_DONE: all is read. */
static void read_next(struct settle *s)
{
	if (s->more)
		return;
	if (s->step == READ_HEADERS && ++s->piece < s->n_pieces)
		s->step = READ_MSGS;
	else
		s->step++;
	if (s->step == READ_DONE)
		return;
	if (s->step == READ_MSGS)
		memset(s->exists, 0, s->pieces[s->piece].n);
	s->from = key_u32(kinds[s->step],
	    s->step == READ_MSGS ? s->pieces[s->piece].first : s->pieces[s->piece].there);
}

static void settle_run(struct settle *s, bool reading);

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct settle *s = arg;

	on_rows(s, rc, rows, n, more);
	s->account->st->in_flight--;
	read_next(s);
	settle_run(s, true);
}

/* False: an answer comes later. */
static bool read_rows(struct settle *s)
{
	while (s->rc == ENGINE_OK && s->step != READ_DONE) {
		const struct piece *p = &s->pieces[s->piece];
		struct engine_group *g =
		    s->step == READ_MSGS ? s->to->group : loan_lender(s->account, p->mbox);
		struct rec_key to =
		    key_u32(kinds[s->step], (s->step == READ_MSGS ? p->first : p->there) + p->n);
		int r = ENGINE_OK;

		/* What a lender that has gone had is not to be had. */
		if (g != NULL)
			r = engine_scan_now(g, key_slice(&s->from), key_slice(&to), 0, on_rows, s);
		if (r == ENGINE_AGAIN) {
			s->account->st->in_flight++;
			engine_scan(g, key_slice(&s->from), key_slice(&to), 0, on_rows_later, s);
			return false;
		}
		if (r != ENGINE_OK)
			s->rc = r;
		read_next(s);
	}
	return true;
}

/* ---- rows of their own ---- */

static void mbox_leave(struct settle *s)
{
	if (s->to != NULL)
		s->to->pins--;
	s->to = NULL;
	s->next++;
}

static void on_stored(struct txn *t, int status)
{
	struct settle *s = (struct settle *)t;

	if (status == IPC_ST_OK)
		loan_cut(s->to, s->cut, s->n_pieces);
	else
		mbox_leave(s);
	settle_run(s, false);
}

static bool rows_put(struct settle *s)
{
	struct wire_reader r = wire_reader(buf_slice(&s->rows));

	while (wire_left(&r) > 0) {
		uint32_t uid = wire_get_u32(&r), source = wire_get_u32(&r);
		struct slice val = wire_get_bytes(&r, COPY_FACTS_MAX);
		struct rec_key key = source != 0 ? key_facts(uid, (enum facts_source)source)
						 : key_u32(REC_HEADER, uid);

		if (engine_put(s->txn.batch, key_slice(&key), val) != 0)
			return false;
	}
	return loan_put_cut(&s->txn, s->cut, s->n_pieces);
}

/* True: under way. */
static bool commit(struct settle *s)
{
	struct txn *t = &s->txn;

	if (txn_begin(s->to, t, on_stored) != IPC_ST_OK)
		return false;
	if (!rows_put(s)) {
		txn_abort(t);
		return false;
	}
	return txn_commit(s->account->st, &t, 1) == IPC_ST_OK;
}

/* ---- one after the other ---- */

/* The mailbox has a piece, or the next one that has; false: there is none. */
static bool mbox_next(struct settle *s)
{
	bool taken = s->ask.whose == LOANS_TAKEN;

	for (; s->account->state == ACCOUNT_READY; mbox_leave(s)) {
		if (s->to == NULL && taken && s->next > 0)
			return false;
		if (s->to == NULL) {
			s->to = taken ? s->ask.mbox : account_nth(s->account, s->next);
			if (s->to == NULL)
				return false;
			s->to->pins++;
		}
		pieces_take(s);
		if (s->n_pieces > 0)
			return true;
	}
	if (s->to != NULL)
		mbox_leave(s);
	return false;
}

/* False: all is over. */
static bool batch_begin(struct settle *s)
{
	if (!mbox_next(s))
		return false;
	s->step = READ_MSGS;
	s->piece = 0;
	s->more = false;
	s->rc = ENGINE_OK;
	buf_reset(&s->rows);
	memset(s->exists, 0, sizeof(s->exists));
	s->from = key_u32(REC_MSG, s->pieces[0].first);
	return true;
}

/* `reading`: an answer has arrived. */
static void settle_run(struct settle *s, bool reading)
{
	for (;; reading = false) {
		if (!reading && !batch_begin(s))
			break;
		if (!read_rows(s))
			return;
		if (s->rc == ENGINE_OK && commit(s))
			return;
		mbox_leave(s);
	}
	settle_end(s);
}

static int by_first(const void *a, const void *b)
{
	const struct uid_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Ascending and apart. */
static size_t ranges_join(struct uid_range *v, size_t n)
{
	size_t to = 0;

	qsort(v, n, sizeof(*v), by_first);
	for (size_t i = 0; i < n; i++) {
		if (to > 0 && v[i].first <= v[to - 1].last) {
			if (v[i].last > v[to - 1].last)
				v[to - 1].last = v[i].last;
		} else {
			v[to++] = v[i];
		}
	}
	return to;
}

void loan_settle(const struct loan_ask *ask)
{
	struct settle *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		free(ask->take_v);
		ask->fn(ask->arg);
		return;
	}
	s->ask = *ask;
	s->ask.n = ranges_join(ask->take_v, ask->n);
	s->account = ask->mbox->account;
	s->rows.max = COPY_FACTS_MAX;
	ask->mbox->pins++;
	account_ref(s->account);
	settle_run(s, false);
}
