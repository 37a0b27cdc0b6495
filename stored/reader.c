/*
 * reader - answers with bulk, in the order of asking, at the reader's pace; here: bodies. Many
 * pieces at once are in reader-parts.c, listings in reader-rows.c, facts in reader-facts.c.
 */
#include "stored/session-private.h"

#include "common/base/clock.h"
#include "common/base/wire.h"

#include <stdlib.h>

struct view *view_ready(struct session *s, const struct request *q, int *ret_status)
{
	struct view *v = session_view(s, q->mbox);

	*ret_status = q->status;
	if (q->status != IPC_ST_OK)
		return NULL;
	*ret_status = IPC_ST_BAD;
	if (v == NULL) {
		session_bad(s, "handle");
		return NULL;
	}
	if (v->mbox->cols_state != COLS_READY && !v->mbox->load_failed)
		mbox_load(v->mbox);
	*ret_status = IPC_ST_OK;
	if (v->mbox->cols_state == COLS_READY)
		return v;
	/* Loading, or it failed: now, inside mbox_load(), or just before we were poked. */
	if (v->mbox->cols_state != COLS_LOADING)
		*ret_status = IPC_ST_TRYLATER;
	return NULL;
}

/* ---- bodies ---- */

/* What was read last, of the body that this session is at: the window was smaller. */
static struct {
	uint8_t p[BODY_READ];
	const struct session *of; /* never looked into */
	uint64_t at;              /* in the body */
	size_t n;
} block;

static void block_is(const struct session *s, size_t n)
{
	block.of = s;
	block.at = s->body_at;
	block.n = n;
}

/* What of the block is wanted next; nothing: it must be read. */
static struct slice block_rest(const struct session *s)
{
	struct slice have = slice_of(block.p, block.n);
	uint64_t left = s->body_end - s->body_at;

	if (block.of != s || s->body_at < block.at || s->body_at >= block.at + block.n)
		return SLICE_NONE;
	have = slice_from(have, (size_t)(s->body_at - block.at));
	return slice_part(have, 0, left < have.n ? (size_t)left : have.n);
}

/* As many whole chunks as the window takes, so that no slow reader makes much be read twice. */
static size_t block_want(const struct session *s)
{
	size_t skip = s->body_at % BODY_BLOCK, want;

	want = (s->credit + BODY_BLOCK - 1) / BODY_BLOCK * BODY_BLOCK;
	want = (want < BODY_READ ? want : BODY_READ) - skip;
	return want < s->body_end - s->body_at ? want : (size_t)(s->body_end - s->body_at);
}

static void body_answer(struct session *s, uint32_t seq, int status, bool last, struct slice data)
{
	struct ipc_body_data d = { seq, (uint32_t)status, last, data };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_body_data, &d, NULL);
	s->credit -= data.n;
	s->st->counts.body_bytes += data.n;
}

static enum run body_fail(struct session *s, const struct request *q, int status)
{
	s->have_body = false;
	body_answer(s, q->seq, status, true, SLICE_NONE);
	return RUN_DONE;
}

/* Bytes from body_at on, as far as the credit goes. */
static void body_send(struct session *s, const struct request *q, struct slice data)
{
	s->place_asked = 0;
	while (data.n > 0 && s->credit > 0 && !s->dead) {
		size_t k = data.n < ANSWER_BYTES_MAX ? data.n : ANSWER_BYTES_MAX;

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
		memcpy(block.p, data.p, data.n);
		block_is(s, data.n);
		body_send(s, q, block_rest(s));
	} else if (rc != ENGINE_NOTFOUND || !body_again(s, q)) {
		body_fail(s, q, rc == ENGINE_OK ? IPC_ST_CORRUPT : store_status(rc));
		session_finish_first(s);
	}
	session_pump(s);
}

int body_find(struct session *s, const struct request *q)
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
	s->place_asked = 0;
	s->loc = row.loc;
	s->body_at = q->off;
	s->body_end = q->len == 0 || q->len > row.size - q->off ? row.size : q->off + q->len;
	s->st->counts.bodies++;
	return IPC_ST_OK;
}

static void on_place(void *arg, const struct engine_loc *loc)
{
	struct fetch *f = arg;
	struct session *s = f->session;
	const struct request *q;
	struct view *v;

	f->busy = false;
	if (s == NULL) {
		free(f);
		return;
	}
	if (s->dead)
		return;
	q = TAILQ_FIRST(&s->requests);
	v = session_view(s, q->mbox);
	if (loc != NULL && v != NULL)
		cols_moved(&v->mbox->cols, q->uid, &s->loc, loc);
	if (loc != NULL)
		s->loc = *loc;
	session_pump(s);
}

/* The index is told of every move; but it is not, while its mailbox is being opened again. */
bool body_again(struct session *s, const struct request *q)
{
	struct view *v = session_view(s, q->mbox);
	struct cols_row row;

	if (v == NULL || v->mbox->cols_state != COLS_READY ||
	    cols_find(&v->mbox->cols, &v->see, q->uid, &row) != 0)
		return false;
	if (memcmp(&row.loc, &s->loc, sizeof(row.loc)) != 0) {
		s->loc = row.loc;
		return true;
	}
	if (s->place_asked == 2 ||
	    !place_find(v->mbox, q->uid, s->place_asked == 1, on_place, s->fetch))
		return false;
	s->place_asked++;
	s->fetch->busy = true;
	return true;
}

static enum run run_body(struct session *s, const struct request *q)
{
	int r = IPC_ST_OK;

	if (!s->have_body) {
		r = body_find(s, q);
		if (r != IPC_ST_OK)
			return body_fail(s, q, r);
		if (!s->have_body)
			return RUN_WAIT;
		if (block.of == s)
			block.of = NULL; /* that was another body */
		if (s->body_at == s->body_end)
			return body_fail(s, q, IPC_ST_OK); /* of nothing, nothing */
	}
	while (s->body_at < s->body_end) {
		size_t want, got = 0;

		if (s->dead || s->fetch->busy || s->credit == 0 ||
		    ipc_chan_queued(s->chan) > SESSION_QUEUE_HIGH)
			return RUN_WAIT;
		if (block_rest(s).n > 0) {
			body_send(s, q, block_rest(s));
			continue;
		}
		want = block_want(s);
		block.of = NULL;
		r = engine_body_read_now(
		    store_engine(s->st), &s->loc, s->body_at, block.p, want, &got);
		if (r == ENGINE_AGAIN) {
			s->fetch->busy = true;
			s->st->in_flight++;
			engine_body_read(
			    store_engine(s->st), &s->loc, s->body_at, want, on_fetched, s->fetch);
			return RUN_WAIT;
		}
		if (r == ENGINE_NOTFOUND && body_again(s, q))
			continue;
		if (r != ENGINE_OK || got == 0)
			return body_fail(s, q, r != ENGINE_OK ? store_status(r) : IPC_ST_CORRUPT);
		block_is(s, got);
	}
	s->have_body = false;
	return RUN_DONE;
}

/* ---- the pump ---- */

void session_finish_first(struct session *s)
{
	struct request *q = TAILQ_FIRST(&s->requests);

	TAILQ_REMOVE(&s->requests, q, link);
	s->outstanding--;
	s->held -= q->n_data;
	request_free(&q);
}

static enum run run(struct session *s, struct request *q)
{
	switch (q->type) {
	case IPC_mbox_uids:
		return run_uids(s, q);
	case IPC_mbox_scan:
		return run_scan(s, q);
	case IPC_gone_get:
		return run_gone(s, q);
	case IPC_facts_get:
		return run_facts(s, q);
	case IPC_parts_get:
		return run_parts(s, q);
	case IPC_mbox_list:
		return tree_run_list(s, q) ? RUN_DONE : RUN_WAIT;
	case IPC_mbox_status:
		return tree_run_status(s, q) ? RUN_DONE : RUN_WAIT;
	default:
		return run_body(s, q);
	}
}

/* It has had its share of the turn: the rest of its requests wait until others had theirs. */
static bool share_used(struct session *s, int64_t began_ns)
{
	if (s->pumped_ns + clock_mono_ns() - began_ns < SESSION_PUMP_NS)
		return false;
	s->pump_later = true;
	TAILQ_INSERT_TAIL(&s->st->pump_later, s, pump_link);
	store_pump_soon(s->st);
	return true;
}

void session_pump_later(struct store *st)
{
	struct session *s;
	size_t n = 0;

	/* Each once: those that are not done by then queue up again. */
	TAILQ_FOREACH(s, &st->pump_later, pump_link)
	n++;
	for (; n > 0 && (s = TAILQ_FIRST(&st->pump_later)) != NULL; n--) {
		TAILQ_REMOVE(&st->pump_later, s, pump_link);
		s->pump_later = false;
		s->pumped_ns = 0;
		session_pump(s);
	}
}

void session_pump(struct session *s)
{
	struct request *q;
	int64_t began_ns;

	if (!STAILQ_EMPTY(&s->stash))
		session_unstash(s);
	if (s->dead || s->pumping || s->pump_later || s->fetch->busy || TAILQ_EMPTY(&s->requests))
		return;
	began_ns = clock_mono_ns();
	s->pumping = true;
	while (!s->dead && !s->fetch->busy && (q = TAILQ_FIRST(&s->requests)) != NULL) {
		enum run r;

		if (ipc_chan_queued(s->chan) > SESSION_QUEUE_HIGH || share_used(s, began_ns))
			break;
		r = run(s, q);
		if (r == RUN_WAIT)
			break;
		if (r == RUN_DONE)
			session_finish_first(s);
	}
	s->pumping = false;
	s->pumped_ns += clock_mono_ns() - began_ns;
}
