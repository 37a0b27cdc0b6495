/*
 * append - APPEND and MULTIAPPEND (RFC 3502): messages go to stored as they come, with facts made
 * on the way, and all of them appear at once or none does.
 *
 * The mailbox and the quota are asked before a literal is let in (RFC 3501 6.3.11 TRYCREATE, RFC
 * 7889). When something is wrong, what the client sends all the same is read over.
 */
#include "protocols/imap/imap-private.h"

#include "common/mail/facts.h"
#include "common/mail/threadid.h"

#include <stdlib.h>

enum step {
	ASKING,  /* whether the mailbox takes it */
	BODY,    /* octets of a message */
	BETWEEN, /* the rest of the line behind a message */
	COMMITTING,
	SKIPPING,     /* octets of a message that is not wanted */
	SKIP_BETWEEN, /* and the line behind it */
};

struct append {
	struct imap_job job;
	enum step step;
	bool begun; /* stored holds an append that must be ended */
	struct slice name;
	struct imap_literal literal; /* the one at hand */
	bool in_utf8;                /* inside "UTF8 (" */
	struct parse_flags flags;
	int64_t date;
	unsigned n_msgs;
	uint32_t seq;
	uint64_t left, room, skipped;
	int64_t window;
	struct line_reader lines;
	struct facts_maker *facts;
	/* of the answer when it fails */
	enum imap_cond cond;
	const char *code, *text;
};

static void append_abort(struct append *a)
{
	struct ipc_append_abort m = { .seq = a->seq };

	if (a->begun)
		imap_send(a->job.s, IPC_append_abort, &m);
	a->begun = false;
}

static void append_free(struct imap_job *j)
{
	struct append *a = (struct append *)j;

	append_abort(a);
	facts_maker_free(&a->facts);
	free(a);
}

static void step_set(struct append *a, enum step step)
{
	a->step = step;
	a->job.client_turn = step != ASKING && step != COMMITTING;
}

/* ---- refusing ------------------------------------------------------------------------------- */

static void failed_answer(struct append *a)
{
	imap_done(a->job.s, a->cond, a->code, a->text);
}

/* A literal that the client waits to send does not come; another has to be read over. */
static void skip_literal(struct append *a)
{
	if (a->literal.sync) {
		failed_answer(a);
		return;
	}
	a->left = a->literal.size;
	a->skipped += a->literal.size;
	if (a->literal.size > IMAP_SKIP_MAX || a->skipped > IMAP_SKIP_MAX)
		imap_bye(a->job.s, "the message is too large");
	else
		step_set(a, a->left > 0 ? SKIPPING : SKIP_BETWEEN);
}

static void fail(struct append *a, enum imap_cond cond, const char *code, const char *text)
{
	if (a->text == NULL) {
		a->cond = cond;
		a->code = code;
		a->text = text;
	}
	append_abort(a);
}

static void fail_status(struct append *a, uint32_t status)
{
	if (status == IPC_ST_NOTFOUND)
		fail(a, IMAP_NO, "TRYCREATE", "no such mailbox");
	else if (status == IPC_ST_OVERQUOTA)
		fail(a, IMAP_NO, "OVERQUOTA", "over the quota");
	else if (status == IPC_ST_TOOBIG)
		fail(a, IMAP_NO, "TOOBIG", "the message is too large");
	else if (status == IPC_ST_LIMIT)
		fail(a, IMAP_NO, "LIMIT", "too many keywords or messages");
	else if (status == IPC_ST_CANNOT)
		fail(a, IMAP_NO, "CANNOT", "the mailbox takes no messages");
	else if (status == IPC_ST_DENIED)
		fail(a, IMAP_NO, "NOPERM", "not allowed");
	else
		fail(a, IMAP_NO, "UNAVAILABLE", "not possible now, try again");
}

/* ---- a message ------------------------------------------------------------------------------ */

/* [SP flags] [SP date-time] SP ["UTF8 ("] up to the literal. */
static void message_args(struct parse *p, struct append *a)
{
	const struct imap *s = a->job.s;

	a->flags = (struct parse_flags){ 0 };
	a->date = INT64_MIN;
	a->in_utf8 = false;
	parse_sp(p);
	if (parse_peek(p) == '(') {
		parse_flag_list(p, false, &a->flags);
		parse_sp(p);
	}
	if (parse_peek(p) == '"') {
		a->date = parse_date_time(p);
		parse_sp(p);
	}
	if (parse_try_word(p, "UTF8")) {
		a->in_utf8 = true;
		if (!s->utf8)
			parse_fail(p, "UTF8=ACCEPT is not enabled");
		parse_sp(p);
		parse_char(p, '(');
		if (!a->literal.binary)
			parse_fail(p, "a literal8 belongs here");
	}
	if (parse_ok(p) && (size_t)(p->p - p->begin) != a->literal.at)
		parse_fail(p, "a literal belongs here");
}

/* Whether the message at hand may come. */
static bool message_fits(struct append *a)
{
	if (a->literal.size == 0)
		fail(a, IMAP_NO, NULL, "an empty message is none"); /* RFC 3502 6.3.11 */
	else if (a->literal.size > a->job.s->conf.append_max)
		fail(a, IMAP_NO, "TOOBIG", "the message is too large");
	else if (++a->n_msgs > IMAP_APPEND_MSGS_MAX)
		fail(a, IMAP_NO, "LIMIT", "too many messages");
	else if (a->begun && a->literal.size > a->room)
		fail(a, IMAP_NO, "OVERQUOTA", "over the quota");
	return a->text == NULL;
}

static void message_begin(struct append *a)
{
	struct imap *s = a->job.s;
	struct ipc_append_msg m = { .flags = a->flags.flags,
		.keywords = a->flags.keywords,
		.date = a->date,
		.size_hint = a->literal.size };
	struct writer w = imap_writer(s);

	facts_maker_free(&a->facts);
	a->facts = facts_maker_new();
	if (a->room != UINT64_MAX)
		a->room -= a->literal.size;
	if (a->facts == NULL) {
		fail(a, IMAP_NO, "UNAVAILABLE", "not enough memory");
		skip_literal(a);
		return;
	}
	imap_send(s, IPC_append_msg, &m);
	a->left = a->literal.size;
	step_set(a, BODY);
	if (a->literal.sync)
		write_continue(&w, "send the message");
}

static void message_end(struct append *a)
{
	struct buf facts = BUF_INIT(FACTS_MAX);
	struct ipc_append_end m = { 0 };
	uint8_t thread[THREADID_BYTES_MAX];

	/* Without facts stored has them made: no reason to refuse the message. */
	if (facts_maker_finish(a->facts, &facts) == 0)
		m.facts = buf_slice(&facts);
	if (m.facts.n > 0)
		m.header = facts_maker_header(a->facts);
	m.thread = slice_of(thread, threadid_pack(m.facts, thread));
	if (a->begun)
		imap_send(a->job.s, IPC_append_end, &m);
	buf_fini(&facts);
	facts_maker_free(&a->facts);
	step_set(a, a->text == NULL ? BETWEEN : SKIP_BETWEEN);
}

static size_t body_feed(struct append *a, struct slice in)
{
	size_t n = in.n;
	struct ipc_append_data m;

	if (a->window <= 0)
		return 0;
	n = n < a->left ? n : (size_t)a->left;
	n = n < (size_t)a->window ? n : (size_t)a->window;
	n = n < IMAP_CHUNK_MAX ? n : IMAP_CHUNK_MAX;
	m.data = slice_part(in, 0, n);
	if (a->begun && !a->literal.binary && memchr(m.data.p, '\0', n) != NULL)
		fail(a, IMAP_BAD, NULL, "a NUL in a literal");
	if (a->begun) {
		a->window -= (int64_t)n;
		facts_maker_feed(a->facts, m.data);
		imap_send(a->job.s, IPC_append_data, &m);
	}
	a->left -= n;
	if (a->left == 0)
		message_end(a);
	return n;
}

/* ---- between messages ----------------------------------------------------------------------- */

static void commit(struct append *a)
{
	struct ipc_append_commit m = { .seq = a->seq };

	a->begun = false;
	step_set(a, COMMITTING);
	imap_send(a->job.s, IPC_append_commit, &m);
}

/* The line as it would stand in the gathered command, whose arena it uses. */
static void between(struct append *a, struct slice line)
{
	struct imap *s = a->job.s;
	struct slice copy = arena_copy(&s->arena, line); /* flags outlive the input */
	struct parse p = {
		.begin = copy.p, .p = copy.p, .end = copy.p + copy.n, .arena = &s->arena
	};
	bool more;

	if (line.n > 0 && copy.p == NULL)
		parse_fail(&p, "the command is too large");
	if (a->in_utf8)
		parse_char(&p, ')');
	if (parse_ok(&p) && p.p == p.end) {
		commit(a);
		return;
	}
	more = imap_literal_find(line, &a->literal) == 0;
	if (more)
		message_args(&p, a);
	else
		parse_fail(&p, "more than the command takes");
	if (!parse_ok(&p))
		fail(a, IMAP_BAD, NULL, p.error);
	if (!more)
		failed_answer(a);
	else if (a->text != NULL || !message_fits(a))
		skip_literal(a);
	else
		message_begin(a);
}

static size_t between_feed(struct append *a, struct slice in)
{
	struct imap *s = a->job.s;
	struct slice line = SLICE_NONE;
	size_t used = 0;
	enum line_answer got = line_take(&a->lines, in, IMAP_LINE_MAX, &line, &used);

	if (got == LINE_MORE)
		return used;
	/* Of no size, or in a line that is gone: what follows would be taken for commands. */
	if (got != LINE_OK || imap_literal_find(line, &a->literal) == 2)
		imap_bye(s, "not a line that belongs behind a message");
	else if (a->step == BETWEEN)
		between(a, line);
	else if (imap_literal_find(line, &a->literal) == 0)
		skip_literal(a);
	else
		failed_answer(a);
	return used;
}

static size_t append_feed(struct imap_job *j, struct slice in)
{
	struct append *a = (struct append *)j;
	size_t n;

	switch (a->step) {
	case BODY:
		return body_feed(a, in);
	case BETWEEN:
	case SKIP_BETWEEN:
		return between_feed(a, in);
	case SKIPPING:
		n = in.n < a->left ? in.n : (size_t)a->left;
		a->left -= n;
		if (a->left == 0)
			step_set(a, SKIP_BETWEEN);
		return n;
	default:
		return 0;
	}
}

/* ---- stored's answers ----------------------------------------------------------------------- */

static void on_ready(struct append *a, const struct ipc_append_ready *m)
{
	if (m->status != IPC_ST_OK) {
		fail_status(a, m->status);
		skip_literal(a);
		return;
	}
	a->begun = true;
	a->window = IPC_WINDOW_BYTES;
	a->room = m->room;
	if (a->literal.size > a->room) {
		fail(a, IMAP_NO, "OVERQUOTA", "over the quota");
		skip_literal(a);
		return;
	}
	message_begin(a);
}

static void on_done(struct append *a, const struct ipc_append_done *m)
{
	struct writer w;

	if (m->status != IPC_ST_OK) {
		fail_status(a, m->status);
		failed_answer(a);
		return;
	}
	w = imap_reply_begin(a->job.s, IMAP_OK);
	write_code(&w, "APPENDUID");
	write_number(&w, m->uidvalidity);
	write_range(&w, m->first_uid, m->last_uid);
	write_code_end(&w);
	write_text(&w, SLICE("appended"));
	imap_reply_end(a->job.s, &w);
}

static void append_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct append *a = (struct append *)j;

	if (type == IPC_append_ready && a->step == ASKING && m->append_ready.seq == a->seq)
		on_ready(a, &m->append_ready);
	else if (type == IPC_append_credit)
		a->window += m->append_credit.bytes;
	else if (type == IPC_append_done && a->step == COMMITTING && m->append_done.seq == a->seq)
		on_done(a, &m->append_done);
}

static const struct imap_job_ops append_ops = {
	.on_msg = append_msg,
	.feed = append_feed,
	.free = append_free,
};

/* ---- the command ---------------------------------------------------------------------------- */

bool imap_append_literal(struct imap *s, struct parse *p, const struct imap_literal *l)
{
	struct ipc_append_begin m = { 0 };
	struct append *a;
	uint8_t c;

	parse_sp(p);
	c = parse_peek(p);
	if (parse_ok(p) && c == '{' && (size_t)(p->p - p->begin) == l->at)
		return false; /* the mailbox's name: gathered as usual */
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		imap_bye(s, "not enough memory");
		return true;
	}
	imap_job_begin(s, &a->job, &append_ops);
	a->literal = *l;
	a->name = parse_mailbox(p);
	message_args(p, a);
	if (!parse_ok(p))
		fail(a, p->refused ? IMAP_NO : IMAP_BAD, p->refused ? "TRYCREATE" : NULL, p->error);
	if (a->text != NULL || !message_fits(a)) {
		skip_literal(a);
		return true;
	}
	m.seq = a->seq = ++s->seq;
	m.name = a->name;
	step_set(a, ASKING);
	imap_send(s, IPC_append_begin, &m);
	return true;
}

/* A command without the literal of a message. */
void imap_cmd_append(struct imap *s, struct parse *p)
{
	parse_sp(p);
	parse_mailbox(p);
	parse_fail(p, "a message is missing");
	imap_bad(s, p);
}
