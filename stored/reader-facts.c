/*
 * reader-facts - facts of many messages of a view, or their headers, at the reader's pace.
 *
 * Rows of neighbours are read together, also those of another mailbox that they share (loans.h).
 * What does not fit into the answer or the reader's window is read again when there is room:
 * nothing is kept for a slow reader but its question.
 */
#include "stored/session-private.h"

#include "common/base/wire.h"
#include "stored/loan-rows.h"

#include <stdlib.h>

enum { FACTS_ROWS = 128, ENTRY_BYTES = 12, FACTS_MAX = 32768, SEGMENTS_MAX = 64 };

/* One answer being made. */
struct facts_out {
	struct session *s;
	struct request *q;
	struct view *v;
	uint8_t p[ANSWER_BYTES_MAX];
	size_t n, max;
	enum record_kind kind;
	uint32_t last;             /* uid up to which the rows are complete */
	uint32_t shift;            /* how much less the uids of rows are */
	uint32_t lack[FACTS_ROWS]; /* messages without facts */
	size_t n_lack;
	int rc;
	bool full;
};

static struct facts_out out;

/* False: no room. */
static bool entry_put(uint32_t uid, int status, struct slice facts)
{
	if (out.n + ENTRY_BYTES + facts.n > out.max)
		return false;
	wire_store_u32(out.p + out.n, uid);
	wire_store_u32(out.p + out.n + 4, (uint32_t)status);
	wire_store_u32(out.p + out.n + 8, (uint32_t)facts.n);
	if (facts.n > 0)
		memcpy(out.p + out.n + ENTRY_BYTES, facts.p, facts.n);
	out.n += ENTRY_BYTES + facts.n;
	return true;
}

/* The uid and source of a row of facts; uid 0: it is none. */
static uint32_t row_uid(const struct engine_row *row)
{
	size_t n = out.kind == REC_FACTS ? 6 : 5;

	return row->key.n == n && row->key.p[0] == out.kind
		   ? wire_load_u32be(row->key.p + 1) + out.shift
		   : 0;
}

/* The next message of the question from q->uid on: false when there is none. */
static bool next_wanted(
    const struct view *v, struct request *q, uint32_t *ret_uid, uint32_t *ret_last)
{
	struct cols_walk w;

	while (q->at < q->n_data) {
		uint32_t first = wire_load_u32(q->data + q->at);
		uint32_t last = wire_load_u32(q->data + q->at + 4);

		first = first > q->uid ? first : q->uid;
		if (last >= v->see.uid_limit)
			last = v->see.uid_limit - 1;
		cols_walk_from(&w, &v->mbox->cols, &v->see, first);
		if (first <= last && cols_walk_next(&w) && w.uid <= last) {
			*ret_uid = w.uid;
			*ret_last = last;
			return true;
		}
		q->at += 8;
	}
	return false;
}

/*
 * Whether the message is to be parsed, of which there is `row` or nothing. What was stored before
 * threads were known, or before headers were kept, has its turn while nothing else is to be parsed.
 */
static bool lacks(const struct view *v, const struct cols_walk *w, const struct engine_row *row)
{
	uint64_t thread = w->dead != NULL ? w->dead->row.thread : w->c->thread[w->at];
	bool idle = v->mbox->account->st->n_jobs == 0;

	if (out.kind == REC_HEADER)
		return row == NULL && idle;
	return row == NULL || (thread == 0 && row->key.p[5] != FACTS_PARSED && idle);
}

/* Entries for the view's messages from q->uid to out.last, from rows of the store. */
static void entries_make(
    const struct view *v, const struct engine_row *rows, size_t n, uint32_t from)
{
	struct cols_walk w;
	size_t i = 0;

	cols_walk_from(&w, &v->mbox->cols, &v->see, from);
	while (cols_walk_next(&w) && w.uid <= out.last) {
		const struct engine_row *found = NULL;

		/* The last row is parsed's, if both made some: it has no reason to lie. */
		for (; i < n && row_uid(&rows[i]) <= w.uid; i++)
			if (row_uid(&rows[i]) == w.uid)
				found = &rows[i];
		out.full = out.n_lack == FACTS_ROWS;
		if (!out.full && found != NULL)
			out.full =
			    !entry_put(w.uid, IPC_ST_OK, slice_part(found->val, 0, FACTS_MAX));
		else if (!out.full)
			out.full = !entry_put(w.uid, IPC_ST_NOTFOUND, SLICE_NONE);
		if (out.full)
			return;
		if (lacks(v, &w, found))
			out.lack[out.n_lack++] = w.uid;
		out.q->uid = w.uid + 1;
	}
	out.q->uid = out.last + 1;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	out.rc = rc;
	if (rc != ENGINE_OK || out.v == NULL)
		return;
	/* The last message of a page may have another row behind it. */
	if (more && n > 1 && row_uid(&rows[n - 1]) > row_uid(&rows[0]))
		out.last = row_uid(&rows[n - 1]) - 1;
	entries_make(out.v, rows, n, out.q->uid);
}

static void answer(int status, bool last)
{
	struct session *s = out.s;
	struct ipc_facts_are a = { .seq = out.q->seq,
		.status = (uint32_t)status,
		.last = last,
		.facts = slice_of(out.p, out.n) };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_facts_are, &a, NULL);
	s->credit -= out.n;
}

/*
 * Facts are needed for an answer; headers only make the next one cheaper: as many as a client shows
 * at a time, and no more bytes than are read in a moment. Of which none can be made does not count.
 */
static void lacking_are_asked_for(void)
{
	struct view *v = out.v;
	uint64_t bytes = 0;
	size_t asked = 0;

	for (size_t i = 0; v != NULL && i < out.n_lack; i++) {
		const struct store *st = v->mbox->account->st;
		size_t before = st->n_jobs;
		struct cols_row row;

		if (cols_find(&v->mbox->cols, &v->see, out.lack[i], &row) != 0)
			continue;
		if (out.kind == REC_HEADER && asked > 0 &&
		    (asked == PARSE_HEADERS_MAX || bytes + row.size > PARSE_HEADERS_BYTES))
			break;
		parse_want(v->mbox, row.uid, &row.loc, row.size);
		if (st->n_jobs > before) {
			asked++;
			bytes += row.size;
		}
	}
}

/* The answer of one scan goes out. */
static enum run page_done(void)
{
	struct view *v = out.v;
	uint32_t uid, last;
	bool end;

	if (out.rc != ENGINE_OK) {
		out.n = 0;
		answer(store_status(out.rc), true);
		return RUN_DONE;
	}
	end = v == NULL || !next_wanted(v, out.q, &uid, &last);
	if (out.n > 0 || end)
		answer(IPC_ST_OK, end);
	lacking_are_asked_for();
	if (end)
		return RUN_DONE;
	return out.full && out.n == 0 ? RUN_WAIT : RUN_AGAIN;
}

static void page_begin(struct session *s, struct request *q, struct view *v)
{
	out.s = s;
	out.v = v;
	out.q = q;
	out.n = out.n_lack = 0;
	out.full = false;
	out.rc = ENGINE_OK;
	out.max = s->credit < ANSWER_BYTES_MAX ? s->credit : ANSWER_BYTES_MAX;
	out.kind = q->want == IPC_FACTS_HEADER ? REC_HEADER : REC_FACTS;
}

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct fetch *f = arg;
	struct session *s = f->session;
	enum run r;

	f->st->in_flight--;
	f->busy = false;
	if (s == NULL) {
		free(f);
		return;
	}
	if (s->dead)
		return;
	page_begin(s, TAILQ_FIRST(&s->requests), s->facts_of);
	out.last = s->facts_last;
	out.shift = s->facts_shift;
	on_rows(NULL, rc, rows, n, more);
	r = page_done();
	if (r == RUN_DONE)
		session_finish_first(s);
	if (r != RUN_WAIT)
		session_pump(s);
}

/* Rows of one group for messages from `uid` to `last`, or to where other rows begin. False: they
 * come later. */
static bool segment(struct session *s, struct request *q, uint32_t uid, uint32_t last)
{
	struct view *v = out.v;
	struct engine_group *g = loan_group(v->mbox, uid, &last, &out.shift);
	struct rec_key from = key_u32(out.kind, uid - out.shift);
	struct rec_key to = key_u32(out.kind, last + 1 - out.shift);
	int r;

	q->uid = uid;
	out.last = last;
	r = engine_scan_now(g, key_slice(&from), key_slice(&to), FACTS_ROWS, on_rows, NULL);
	if (r == ENGINE_AGAIN && out.n > 0) {
		out.full = true; /* what there is goes out first */
		return true;
	}
	if (r == ENGINE_AGAIN) {
		s->fetch->busy = true;
		s->facts_of = v;
		s->facts_last = last;
		s->facts_shift = out.shift;
		s->st->in_flight++;
		engine_scan(
		    g, key_slice(&from), key_slice(&to), FACTS_ROWS, on_rows_later, s->fetch);
		return false;
	}
	if (r != ENGINE_OK)
		out.rc = r;
	return true;
}

enum run run_facts(struct session *s, struct request *q)
{
	int status;
	struct view *v = view_ready(s, q, &status);
	uint32_t uid, last;

	if (v == NULL && status == IPC_ST_OK)
		return RUN_WAIT;
	page_begin(s, q, v);
	if (v != NULL && v->mbox->group == NULL)
		status = IPC_ST_TRYLATER;
	if (status != IPC_ST_OK || !next_wanted(v, q, &uid, &last)) {
		answer(status, true);
		return RUN_DONE;
	}
	if (s->credit < ENTRY_BYTES)
		return RUN_WAIT;
	/* Loans can be short: several go into one answer. */
	for (int i = 0; i < SEGMENTS_MAX; i++) {
		if (!segment(s, q, uid, last))
			return RUN_WAIT;
		if (out.full || out.rc != ENGINE_OK || v->mbox->loans.n == 0 ||
		    !next_wanted(v, q, &uid, &last))
			break;
	}
	return page_done();
}
