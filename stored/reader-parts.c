/*
 * reader-parts - pieces of many messages in few answers: what a reader of headers and of small
 * messages asks for. A piece that does not fit an answer goes on in the next.
 */
#include "stored/session-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum {
	ENTRY_BYTES = 12,
	SMALL_BYTES = 16384,
	LITTLE_ROOM = 2048,
};

/* What was read last and did not fit into an answer, of the piece that this session is at. */
static struct {
	uint8_t p[BODY_BLOCK];
	const struct session *of; /* never looked into */
	uint64_t at;              /* in the body */
	size_t n;
} block;

/* One answer being made. */
static struct {
	uint8_t p[ANSWER_BYTES_MAX];
	size_t n, max;
} out;

static void entry_head(int status, bool more, size_t n)
{
	wire_store_u32(out.p + out.n, (uint32_t)status);
	wire_store_u32(out.p + out.n + 4, more);
	wire_store_u32(out.p + out.n + 8, (uint32_t)n);
	out.n += ENTRY_BYTES + n;
}

static void answer(struct session *s, const struct request *q, bool last)
{
	struct ipc_parts_are a = { .seq = q->seq,
		.status = (uint32_t)q->status,
		.last = last,
		.data = slice_of(out.p, out.n) };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_parts_are, &a, NULL);
	s->credit -= out.n;
	s->st->counts.body_bytes += out.n;
	out.n = 0;
}

static void begin(const struct session *s)
{
	out.n = 0;
	/* Many small answers would cost both sides more. */
	out.max = s->credit < IPC_WINDOW_MIN     ? 0
		  : s->credit < ANSWER_BYTES_MAX ? s->credit
						 : ANSWER_BYTES_MAX;
}

/* The piece is over. */
static void piece_end(struct session *s, struct request *q)
{
	s->have_body = false;
	q->at += PART_BYTES;
}

/* What has been made goes out before something that has to wait. */
static enum run wait(struct session *s, const struct request *q)
{
	if (out.n > 0)
		answer(s, q, false);
	return RUN_WAIT;
}

static enum run finish(struct session *s, const struct request *q)
{
	answer(s, q, true);
	return RUN_DONE;
}

/* The session's body has so many bytes from body_at on in the block. */
static void block_is(const struct session *s, size_t n)
{
	block.of = s;
	block.at = s->body_at;
	block.n = n;
}

static void piece_failed(struct session *s, struct request *q, int status)
{
	entry_head(status, false, 0);
	piece_end(s, q);
}

static void piece_read(struct session *s, struct request *q, size_t n)
{
	s->place_asked = 0;
	s->body_at += n;
	entry_head(IPC_ST_OK, s->body_at < s->body_end, n);
	if (s->body_at == s->body_end)
		piece_end(s, q);
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
		session_pump(s);
		return;
	}
	if (rc == ENGINE_NOTFOUND && body_again(s, q)) {
		session_pump(s);
		return;
	}
	begin(s);
	if (out.max <= ENTRY_BYTES)
		return; /* the window was used up meanwhile: it is read again when there is room */
	piece_failed(s, q, rc == ENGINE_OK ? IPC_ST_CORRUPT : store_status(rc));
	if (q->at == q->n_data) {
		finish(s, q);
		session_finish_first(s);
	} else {
		answer(s, q, false);
	}
	session_pump(s);
}

/* The next piece is found, or answered: RUN_AGAIN; RUN_WAIT for the index. */
static enum run piece_begin(struct session *s, struct request *q)
{
	const uint8_t *p = q->data + q->at;
	int status;

	q->uid = wire_load_u32(p);
	q->off = wire_load_u64(p + 4);
	q->len = wire_load_u64(p + 12);
	if (block.of == s)
		block.of = NULL; /* that was of another piece */
	status = body_find(s, q);
	if (status != IPC_ST_OK)
		piece_failed(s, q, status);
	else if (!s->have_body)
		return RUN_WAIT;
	else if (s->body_at == s->body_end)
		piece_failed(s, q, IPC_ST_OK); /* of nothing, nothing */
	return RUN_AGAIN;
}

/* Of the block that was read last, if it has what comes next. False: it has not. */
static bool piece_from_block(struct session *s, struct request *q, size_t room)
{
	size_t n = block.at + block.n - s->body_at;

	if (block.of != s || s->body_at < block.at || s->body_at >= block.at + block.n)
		return false;
	n = n < room ? n : room;
	if (n > s->body_end - s->body_at)
		n = s->body_end - s->body_at;
	memcpy(out.p + out.n + ENTRY_BYTES, block.p + (s->body_at - block.at), n);
	piece_read(s, q, n);
	return true;
}

/*
 * Some of the piece at hand, straight into the answer if all of its block fits. Reading a little of
 * a block costs as much as all of it, so one that does not fit is read once and kept for the next.
 */
static enum run piece_go(struct session *s, struct request *q)
{
	size_t want = BODY_BLOCK - s->body_at % BODY_BLOCK, got = 0;
	size_t room = out.max - out.n - ENTRY_BYTES;
	bool direct;
	int r;

	if (piece_from_block(s, q, room))
		return RUN_AGAIN;
	if (want > s->body_end - s->body_at)
		want = s->body_end - s->body_at;
	direct = want <= room;
	if (!direct && out.n > 0 && (want < SMALL_BYTES || room < LITTLE_ROOM)) {
		answer(s, q, false);
		begin(s);
		return out.max > ENTRY_BYTES ? RUN_AGAIN : RUN_WAIT;
	}
	r = engine_body_read_now(store_engine(s->st), &s->loc, s->body_at,
	    direct ? out.p + out.n + ENTRY_BYTES : block.p, want, &got);
	if (!direct)
		block_is(s, r == ENGINE_OK ? got : 0);
	if (r == ENGINE_AGAIN) {
		s->fetch->busy = true;
		s->st->in_flight++;
		engine_body_read(
		    store_engine(s->st), &s->loc, s->body_at, want, on_fetched, s->fetch);
		return wait(s, q);
	}
	if (r == ENGINE_NOTFOUND && body_again(s, q))
		return s->fetch->busy ? wait(s, q) : RUN_AGAIN;
	if (r != ENGINE_OK || got == 0)
		piece_failed(s, q, r != ENGINE_OK ? store_status(r) : IPC_ST_CORRUPT);
	else if (direct)
		piece_read(s, q, got);
	return RUN_AGAIN;
}

enum run run_parts(struct session *s, struct request *q)
{
	enum run r = RUN_AGAIN;

	begin(s);
	if (q->n_data == 0 || q->status != IPC_ST_OK)
		return finish(s, q);
	while (r == RUN_AGAIN && q->at < q->n_data && !s->dead) {
		if (out.max - out.n <= ENTRY_BYTES) {
			/* The answer is full, or the window. */
			if (out.n == 0)
				return RUN_WAIT;
			answer(s, q, false);
			return ipc_chan_queued(s->chan) > SESSION_QUEUE_HIGH ? RUN_WAIT : RUN_AGAIN;
		}
		r = s->have_body ? piece_go(s, q) : piece_begin(s, q);
	}
	if (s->dead)
		return RUN_WAIT;
	return r == RUN_WAIT ? wait(s, q) : finish(s, q);
}
