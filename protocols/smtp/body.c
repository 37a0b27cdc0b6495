/*
 * body - DATA and BDAT: text to stored as it comes, facts made on the way.
 *
 * A body that is refused is still read to its end, because what comes after it are commands.
 */
#include "protocols/smtp/smtp-private.h"

#include "common/base/wire.h"
#include "common/mail/threadid.h"

/* Line ends that we may have to add, in front and behind. */
enum { LINE_ENDS = 4 };

static void post_stop(struct smtp *s)
{
	struct ipc_post_abort m = { .tag = s->tag };

	if (s->txn.posting)
		front_send(s->port, FRONT_POST, IPC_post_abort, &m);
	s->txn.posting = false;
	buf_reset(&s->chunk);
}

void smtp_body_fail(struct smtp *s, enum smtp_body_fault fault)
{
	if (s->txn.fault == SMTP_BODY_GOOD)
		s->txn.fault = fault;
	post_stop(s);
}

static void chunk_send(struct smtp *s)
{
	struct ipc_post_data m = { .tag = s->tag, .data = buf_slice(&s->chunk) };

	if (s->chunk.n > 0 && s->txn.posting) {
		s->window -= (int64_t)s->chunk.n;
		if (front_send(s->port, FRONT_POST, IPC_post_data, &m) != 0)
			smtp_body_fail(s, SMTP_BODY_LOST);
	}
	buf_reset(&s->chunk);
}

static void text_put(struct smtp *s, struct slice text)
{
	facts_maker_feed(s->txn.facts, text);
	smtp_bounce_keep(s, text);
	while (text.n > 0 && s->txn.posting) {
		struct slice part = slice_part(text, 0, SMTP_CHUNK_MAX - s->chunk.n);

		if (buf_put(&s->chunk, part) != 0)
			smtp_body_fail(s, SMTP_BODY_LOST);
		text = slice_from(text, part.n);
		if (s->chunk.n == SMTP_CHUNK_MAX)
			chunk_send(s);
	}
}

/* What the header lacks goes in front of it; then nothing holds the text back any more. */
static void head_release(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;
	struct buf missing = BUF_INIT(SMTP_MISSING_MAX);

	t->holding = false;
	if (t->fixup.ended && t->fixup.at <= SMTP_HEAD_MAX) /* however it came in pieces */
		smtp_missing_put(s, &missing);
	text_put(s, buf_slice(&missing));
	text_put(s, buf_slice(&t->head));
	buf_fini(&missing);
	buf_fini(&t->head);
}

/* Holds what may be header; returns what need not wait. */
static struct slice head_put(struct smtp *s, struct slice text)
{
	struct smtp_txn *t = &s->txn;
	struct slice part = slice_part(text, 0, SMTP_HEAD_MAX + 1 - t->head.n);

	if (buf_put(&t->head, part) != 0)
		smtp_body_fail(s, SMTP_BODY_LOST);
	else if (fixup_look(&t->fixup, buf_slice(&t->head)) || t->head.n > SMTP_HEAD_MAX)
		head_release(s);
	return slice_from(text, part.n);
}

static void body_put(struct smtp *s, struct slice text)
{
	if (s->txn.fault == SMTP_BODY_GOOD && s->txn.holding)
		text = head_put(s, text);
	if (s->txn.fault == SMTP_BODY_GOOD)
		text_put(s, text);
}

/* Of what has passed; a header that is held back is looked at when it is released. */
static void hops_check(struct smtp *s)
{
	unsigned hops;
	bool final;

	if (s->txn.fault != SMTP_BODY_GOOD)
		return;
	hops = facts_maker_received(s->txn.facts, &final);
	if (hops > s->conf.hops_max + 1) /* ours is one of them */
		smtp_body_fail(s, SMTP_BODY_LOOP);
}

/* Text of the client's: counted and checked, then kept. */
static void body_take(struct smtp *s, struct slice text, bool bare)
{
	/* Right behind our last trace field it would be read as more of that field. */
	if (s->txn.size == 0 && text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
		body_put(s, SLICE("\r\n"));
	s->txn.size += text.n;
	if (bare)
		smtp_body_fail(s, SMTP_BODY_BARE);
	if (s->txn.size > s->conf.size_max)
		smtp_body_fail(s, SMTP_BODY_LARGE);
	body_put(s, text);
	hops_check(s);
}

static bool is_of_group(const struct smtp_txn *t, size_t i)
{
	return t->rcpts[i].joined || (i + 1 < t->n_rcpts && t->rcpts[i + 1].joined);
}

/* An earlier recipient, of no group, with the same account. */
static const struct smtp_rcpt *told_before(const struct smtp_txn *t, size_t before, uint32_t handle)
{
	for (size_t i = 0; i < before; i++)
		if (t->rcpts[i].handle == handle && !is_of_group(t, i))
			return &t->rcpts[i];
	return NULL;
}

/*
 * Several recipients may lead to one account: it gets one copy. A group's members are told with the
 * one before them, known or not: its sender hears one answer for all of them.
 */
static void handles_put(struct smtp_txn *t, struct buf *out)
{
	for (size_t i = 0; i < t->n_rcpts; i++) {
		struct smtp_rcpt *r = &t->rcpts[i];
		const struct smtp_rcpt *same =
		    is_of_group(t, i) ? NULL : told_before(t, i, r->handle);

		r->index = same != NULL ? same->index : (uint32_t)(out->n / 4);
		if (r->handle != 0 && same == NULL)
			wire_put_u32(out, r->handle | (r->joined ? IPC_HANDLE_JOINED : 0));
	}
}

static void body_begin(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;
	struct buf handles = BUF_INIT(SMTP_HANDLES_MAX * 4), trace = BUF_INIT(SMTP_TRACE_MAX);
	struct ipc_post_begin m = {
		.tag = ++s->tag, .size_hint = t->declared, .together = s->mode != SMTP_LMTP
	};

	handles_put(t, &handles);
	m.handles = buf_slice(&handles);
	t->facts = facts_maker_new();
	if (t->facts == NULL || handles.overflow) {
		smtp_body_fail(s, SMTP_BODY_LOST);
	} else if (handles.n > 0) {
		t->posting = front_send(s->port, FRONT_POST, IPC_post_begin, &m) == 0;
		if (!t->posting)
			smtp_body_fail(s, SMTP_BODY_LOST);
	}
	smtp_trace_put(s, &trace);
	body_put(s, buf_slice(&trace));
	t->holding = s->mode == SMTP_SUBMISSION;
	buf_fini(&handles);
	buf_fini(&trace);
}

static void body_commit(struct smtp *s)
{
	struct buf facts = BUF_INIT(FACTS_MAX);
	struct ipc_post_commit m = { .tag = s->tag };
	uint8_t thread[THREADID_BYTES_MAX];

	/* Without facts stored has them made: no reason to refuse the message. */
	if (facts_maker_finish(s->txn.facts, &facts) == 0)
		m.facts = buf_slice(&facts);
	if (m.facts.n > 0)
		m.header = facts_maker_header(s->txn.facts);
	m.thread = slice_of(thread, threadid_pack(m.facts, thread));
	chunk_send(s);
	if (s->txn.posting && front_send(s->port, FRONT_POST, IPC_post_commit, &m) != 0)
		smtp_body_fail(s, SMTP_BODY_LOST);
	s->txn.posting = false;
	buf_fini(&facts);
}

static void body_end(struct smtp *s)
{
	s->txn.fixup.ended = true; /* a header without a body */
	if (s->txn.holding && s->txn.fault == SMTP_BODY_GOOD) {
		head_release(s);
		hops_check(s);
	}
	if (s->txn.fault == SMTP_BODY_GOOD && s->txn.posting)
		body_commit(s);
	smtp_result_await(s);
}

void smtp_cmd_data(struct smtp *s, struct slice arg)
{
	if (s->txn.n_rcpts == 0) {
		smtp_error(s, "503 5.5.1 no recipient was taken");
		return;
	}
	smtp_reply(s, "354 send the message, then a line with a dot alone");
	smtp_enter(s, SMTP_DATA);
	body_begin(s);
}

static const char *bdat_refusal(const struct smtp *s)
{
	if (smtp_login_missing(s) && s->state != SMTP_START)
		return smtp_login_first;
	if (s->state != SMTP_MAIL && s->state != SMTP_CHUNKS)
		return "503 5.5.1 MAIL comes first";
	return s->txn.n_rcpts == 0 ? "503 5.5.1 no recipient was taken" : NULL;
}

/* RFC 3030 2: the octets follow whatever the answer is, so that they are read even when refused. */
void smtp_cmd_bdat(struct smtp *s, struct slice arg)
{
	struct slice rest = arg, size = slice_take(&rest, ' ');
	uint64_t n;

	rest = slice_trim(rest);
	if (slice_u64(size, INT64_MAX, &n) != 0 ||
	    (rest.n > 0 && !slice_ieq(rest, SLICE("LAST")))) {
		/* How many octets follow is anybody's guess. */
		smtp_close(s, "421 4.5.4 BDAT takes a size and maybe LAST");
		return;
	}
	s->chunk_left = n;
	s->chunk_last = rest.n > 0;
	s->chunk_refused = bdat_refusal(s);
	if (s->chunk_refused != NULL && n > s->conf.size_max) {
		smtp_close(s, "421 4.5.4 too much to read for nothing");
		return;
	}
	if (s->chunk_refused == NULL && s->state == SMTP_MAIL)
		body_begin(s);
	s->chunk_return = s->state;
	smtp_enter(s, SMTP_CHUNK);
}

static void chunk_end(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;

	if (s->chunk_refused != NULL) {
		smtp_enter(s, s->chunk_return);
		smtp_error(s, s->chunk_refused);
	} else if (s->chunk_last) {
		body_take(s, SLICE_NONE, t->strict.cr);
		if (t->size > 0 && !t->strict.ended)
			body_put(s, SLICE("\r\n"));
		body_end(s);
	} else if (t->fault != SMTP_BODY_GOOD) {
		const char *text = smtp_fault_text(t->fault);

		smtp_txn_end(s);
		smtp_error(s, text);
	} else {
		smtp_enter(s, SMTP_CHUNKS);
		smtp_reply(s, "250 2.0.0 chunk taken");
	}
}

static size_t chunk_feed(struct smtp *s, struct slice in)
{
	struct slice part = slice_part(in, 0, s->chunk_left);

	s->chunk_left -= part.n;
	if (s->chunk_refused == NULL) {
		strict_feed(&s->txn.strict, part);
		body_take(s, part, s->txn.strict.bare);
	}
	if (s->chunk_left == 0)
		chunk_end(s);
	return part.n;
}

static size_t dots_feed(struct smtp *s, struct slice in)
{
	struct slice run;
	size_t used;
	bool end = dot_next(&s->txn.dot, in, &run, &used);

	body_take(s, run, s->txn.dot.bare);
	if (end)
		body_end(s);
	return used;
}

/* What stored has not seen yet, and what we may add to it. */
static int64_t held(const struct smtp *s)
{
	size_t n = s->chunk.n + LINE_ENDS;

	if (s->txn.holding)
		n += s->txn.head.n + SMTP_MISSING_MAX;
	return (int64_t)n;
}

bool smtp_body_waits(const struct smtp *s)
{
	return s->txn.posting && s->window <= held(s);
}

/* What stored has no room for stays with the client. */
size_t smtp_body_feed(struct smtp *s, struct slice in)
{
	if (smtp_body_waits(s))
		return 0;
	if (s->txn.posting)
		in = slice_part(in, 0, (size_t)(s->window - held(s)));
	s->touched |= in.n > 0;
	return s->state == SMTP_CHUNK ? chunk_feed(s, in) : dots_feed(s, in);
}
