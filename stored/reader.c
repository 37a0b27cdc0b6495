/*
 * reader - answers with bulk: listings, bodies, facts; in the order of asking, at the reader's
 * pace.
 */
#include "stored/session-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { ROW_BYTES = 40, ROWS_MAX = 61440 / ROW_BYTES, BLOCK = 64 << 10, CHUNK_MAX = 61440 };

/* What a request says to the pump. */
enum { RUN_DONE, RUN_WAIT };

/* The view with its columns in memory, or *ret_status; IPC_ST_OK and NULL: wait for them. */
static struct view *view_ready(struct session *s, const struct request *q, int *ret_status)
{
	struct view *v = session_view(s, q->mbox);

	*ret_status = IPC_ST_BAD;
	if (v == NULL) {
		session_bad(s, "handle");
		return NULL;
	}
	if (v->mbox->cols_state != COLS_READY && !v->mbox->load_failed)
		mbox_load(v->mbox);
	if (v->mbox->cols_state == COLS_READY)
		return v;
	/* Loading, or it failed: now, inside mbox_load(), or just before we were poked. */
	*ret_status = v->mbox->cols_state == COLS_LOADING ? IPC_ST_OK : IPC_ST_TRYLATER;
	return NULL;
}

/* ---- listings ---- */

static int run_scan(struct session *s, const struct request *q)
{
	static struct cols_row rows[ROWS_MAX];
	static uint8_t out[ROWS_MAX * ROW_BYTES];
	struct ipc_mbox_rows a = { .seq = q->seq };
	bool more = false;
	int status;
	struct view *v = view_ready(s, q, &status);
	size_t n = 0, max = q->limit != 0 && q->limit < ROWS_MAX ? q->limit : ROWS_MAX;

	if (v == NULL && status == IPC_ST_OK)
		return RUN_WAIT;
	if (v != NULL) {
		n = cols_list(&v->mbox->cols, &v->see, q->uid, max, rows, &more);
		status = IPC_ST_OK;
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t *p = out + i * ROW_BYTES;

		wire_store_u32(p, rows[i].uid);
		wire_store_u32(p + 4, rows[i].flags);
		wire_store_u64(p + 8, rows[i].size);
		wire_store_u64(p + 16, (uint64_t)rows[i].date);
		wire_store_u64(p + 24, rows[i].modseq);
		wire_store_u64(p + 32, rows[i].id);
	}
	a.status = (uint32_t)status;
	a.more = more;
	a.rows = slice_of(out, n * ROW_BYTES);
	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_mbox_rows, &a, NULL);
	return RUN_DONE;
}

/* ---- bodies ---- */

static void body_answer(struct session *s, uint32_t seq, int status, bool last, struct slice data)
{
	struct ipc_body_data d = { seq, (uint32_t)status, last, data };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_body_data, &d, NULL);
	s->credit -= data.n;
	s->st->counts.body_bytes += data.n;
}

static int body_fail(struct session *s, const struct request *q, int status)
{
	s->have_body = false;
	body_answer(s, q->seq, status, true, SLICE_NONE);
	return RUN_DONE;
}

/* Bytes from body_at on, as far as the credit goes. */
static void body_send(struct session *s, const struct request *q, struct slice data)
{
	while (data.n > 0 && s->credit > 0 && !s->dead) {
		size_t k = data.n < CHUNK_MAX ? data.n : CHUNK_MAX;

		if (k > s->credit)
			k = s->credit;
		s->body_at += k;
		body_answer(
		    s, q->seq, IPC_ST_OK, s->body_at == s->body_end, slice_part(data, 0, k));
		data = slice_from(data, k);
	}
}

static void on_fetched(void *arg, int rc, struct slice data)
{
	struct fetch *f = arg;
	struct session *s = f->session;
	struct request *q;

	f->st->in_flight--;
	f->busy = false;
	if (s == NULL) {
		free(f);
		return;
	}
	if (s->dead)
		return;
	q = TAILQ_FIRST(&s->requests);
	if (rc == ENGINE_OK && data.n > 0) {
		body_send(s, q, data);
	} else {
		body_fail(s, q, rc == ENGINE_OK ? IPC_ST_CORRUPT : store_status(rc));
		session_finish_first(s);
	}
	session_pump(s);
}

static int body_find(struct session *s, const struct request *q)
{
	struct cols_row row;
	int status;
	struct view *v = view_ready(s, q, &status);

	if (v == NULL)
		return status;
	if (cols_find(&v->mbox->cols, &v->see, q->uid, &row) != 0)
		return IPC_ST_NOTFOUND;
	if (q->off > row.size)
		return IPC_ST_BAD;
	s->have_body = true;
	s->loc = row.loc;
	s->body_at = q->off;
	s->body_end = q->len == 0 || q->len > row.size - q->off ? row.size : q->off + q->len;
	s->st->counts.bodies++;
	return IPC_ST_OK;
}

static int run_body(struct session *s, const struct request *q)
{
	static uint8_t block[BLOCK];
	int r = IPC_ST_OK;

	if (!s->have_body) {
		r = body_find(s, q);
		if (r != IPC_ST_OK)
			return body_fail(s, q, r);
		if (!s->have_body)
			return RUN_WAIT;
		if (s->body_at == s->body_end)
			return body_fail(s, q, IPC_ST_OK); /* of nothing, nothing */
	}
	while (s->body_at < s->body_end) {
		size_t want = BLOCK - s->body_at % BLOCK, got = 0;

		if (s->dead || s->credit == 0 || ipc_chan_queued(s->chan) > SESSION_QUEUE_HIGH)
			return RUN_WAIT;
		if (want > s->body_end - s->body_at)
			want = s->body_end - s->body_at;
		r = engine_body_read_now(
		    store_engine(s->st), &s->loc, s->body_at, block, want, &got);
		if (r == ENGINE_AGAIN) {
			s->fetch->busy = true;
			s->st->in_flight++;
			engine_body_read(
			    store_engine(s->st), &s->loc, s->body_at, want, on_fetched, s->fetch);
			return RUN_WAIT;
		}
		if (r != ENGINE_OK || got == 0)
			return body_fail(s, q, r != ENGINE_OK ? store_status(r) : IPC_ST_CORRUPT);
		body_send(s, q, slice_of(block, got));
	}
	s->have_body = false;
	return RUN_DONE;
}

/* ---- facts ---- */

static void facts_answer(struct session *s, uint32_t seq, int status, struct slice facts)
{
	struct ipc_facts_data d = { seq, (uint32_t)status, facts };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_facts_data, &d, NULL);
}

/* The last row is parsed's, if both made some: it has no reason to lie. */
static void facts_rows(struct session *s, int rc, const struct engine_row *rows, size_t n)
{
	struct request *q = TAILQ_FIRST(&s->requests);
	struct view *v = session_view(s, q->mbox);
	struct cols_row row;

	if (rc == ENGINE_OK && n > 0) {
		facts_answer(s, q->seq, IPC_ST_OK, slice_part(rows[n - 1].val, 0, 32768));
		return;
	}
	if (rc == ENGINE_OK)
		rc = ENGINE_NOTFOUND;
	if (rc == ENGINE_NOTFOUND && v != NULL && v->mbox->cols_state == COLS_READY &&
	    cols_find(&v->mbox->cols, &v->see, q->uid, &row) == 0)
		parse_want(v->mbox, q->uid, &row.loc, row.size);
	facts_answer(s, q->seq, store_status(rc), SLICE_NONE);
}

static void on_facts_now(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct buf *b = arg;

	if (rc == ENGINE_OK && n > 0)
		buf_put(b, rows[n - 1].val);
}

static void on_facts_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct fetch *f = arg;
	struct session *s = f->session;

	f->st->in_flight--;
	f->busy = false;
	if (s == NULL) {
		free(f);
		return;
	}
	if (s->dead)
		return;
	facts_rows(s, rc, rows, n);
	session_finish_first(s);
	session_pump(s);
}

static int run_facts(struct session *s, const struct request *q)
{
	static struct buf found = { .max = 64 << 10 };
	struct rec_key from = key_u32(REC_FACTS, q->uid), to = key_u32(REC_FACTS, q->uid + 1);
	struct cols_row seen;
	int status, r;
	struct view *v = view_ready(s, q, &status);
	struct engine_row row;

	if (v == NULL && status == IPC_ST_OK)
		return RUN_WAIT;
	if (v != NULL &&
	    (q->uid >= STORE_UID_MAX || cols_find(&v->mbox->cols, &v->see, q->uid, &seen) != 0))
		status = IPC_ST_NOTFOUND;
	else if (v != NULL && v->mbox->group == NULL)
		status = IPC_ST_TRYLATER;
	else if (v != NULL)
		status = IPC_ST_OK;
	if (status != IPC_ST_OK) {
		facts_answer(s, q->seq, status, SLICE_NONE);
		return RUN_DONE;
	}
	buf_reset(&found);
	r = engine_scan_now(
	    v->mbox->group, key_slice(&from), key_slice(&to), 4, on_facts_now, &found);
	if (r == ENGINE_AGAIN) {
		s->fetch->busy = true;
		s->st->in_flight++;
		engine_scan(
		    v->mbox->group, key_slice(&from), key_slice(&to), 4, on_facts_later, s->fetch);
		return RUN_WAIT;
	}
	row = (struct engine_row){ .val = buf_slice(&found) };
	facts_rows(s, r, &row, found.n > 0);
	return RUN_DONE;
}

/* ---- the pump ---- */

void session_finish_first(struct session *s)
{
	struct request *q = TAILQ_FIRST(&s->requests);

	TAILQ_REMOVE(&s->requests, q, link);
	s->outstanding--;
	request_free(&q);
}

void session_pump(struct session *s)
{
	struct request *q;

	if (s->dead || s->pumping || s->fetch->busy)
		return;
	s->pumping = true;
	while (!s->dead && !s->fetch->busy && (q = TAILQ_FIRST(&s->requests)) != NULL) {
		int r;

		if (ipc_chan_queued(s->chan) > SESSION_QUEUE_HIGH)
			break;
		if (q->type == IPC_body_get)
			r = run_body(s, q);
		else if (q->type == IPC_mbox_scan)
			r = run_scan(s, q);
		else if (q->type == IPC_mbox_list)
			r = tree_run_list(s, q) ? RUN_DONE : RUN_WAIT;
		else if (q->type == IPC_mbox_status)
			r = tree_run_status(s, q) ? RUN_DONE : RUN_WAIT;
		else
			r = run_facts(s, q);
		if (r == RUN_WAIT)
			break;
		session_finish_first(s);
	}
	s->pumping = false;
}
