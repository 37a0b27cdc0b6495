/*
 * smtp - life of a connection: the command table, the order of replies, the deadline, the end.
 */
#include "protocols/smtp/smtp-private.h"

#include <stdlib.h>

enum args { NONE, SOME, ANY };

static void cmd_noop(struct smtp *s, struct slice arg)
{
	smtp_reply(s, "250 2.0.0 nothing done");
}

static void cmd_rset(struct smtp *s, struct slice arg)
{
	smtp_txn_end(s);
	smtp_reply(s, "250 2.0.0 forgotten");
}

static void cmd_vrfy(struct smtp *s, struct slice arg)
{
	smtp_reply(s, "252 2.5.0 send some mail, that will tell");
}

static void cmd_expn(struct smtp *s, struct slice arg)
{
	smtp_error(s, "502 5.5.1 lists are not told");
}

static void cmd_quit(struct smtp *s, struct slice arg)
{
	smtp_close(s, "221 2.0.0 good-bye");
}

static void cmd_helo(struct smtp *s, struct slice arg)
{
	smtp_error(s, "500 5.5.1 this is LMTP: say LHLO");
}

#define IDLE    (SMTP_READY | SMTP_MAIL | SMTP_CHUNKS)
#define ANYTIME (SMTP_START | IDLE)

static const struct smtp_verb {
	const char *name;
	unsigned legal;
	enum args args;
	void (*apply)(struct smtp *s, struct slice arg);
} verbs[] = {
	{ "MAIL", SMTP_READY, SOME, smtp_cmd_mail },
	{ "RCPT", SMTP_MAIL, SOME, smtp_cmd_rcpt },
	{ "DATA", SMTP_MAIL, NONE, smtp_cmd_data },
	{ "BDAT", ANYTIME, SOME, smtp_cmd_bdat },
	{ "RSET", ANYTIME, NONE, cmd_rset },
	{ "NOOP", ANYTIME, ANY, cmd_noop },
	{ "QUIT", ANYTIME, NONE, cmd_quit },
	{ "LHLO", ANYTIME, SOME, smtp_cmd_lhlo },
	{ "VRFY", ANYTIME, SOME, cmd_vrfy },
	{ "EXPN", ANYTIME, SOME, cmd_expn },
	{ "HELP", ANYTIME, ANY, smtp_cmd_help },
	{ "STARTTLS", SMTP_START | SMTP_READY, NONE, smtp_cmd_starttls },
	{ "HELO", ANYTIME, ANY, cmd_helo },
	{ "EHLO", ANYTIME, ANY, cmd_helo },
};

struct smtp_pending *smtp_pending_add(struct smtp *s)
{
	struct smtp_pending *p = &s->pending[(s->pending_head + s->pending_n++) % SMTP_PENDING_MAX];

	p->seq = 0;
	buf_reset(&p->address);
	buf_reset(&p->reply);
	return p;
}

void smtp_reply(struct smtp *s, const char *line)
{
	struct buf *out = s->pending_n > 0 ? &smtp_pending_add(s)->reply : &s->port->out;

	buf_puts(out, line);
	buf_puts(out, "\r\n");
	s->errors = 0;
}

void smtp_error(struct smtp *s, const char *line)
{
	unsigned errors = s->errors + 1;

	smtp_reply(s, line);
	s->errors = errors;
}

void smtp_enter(struct smtp *s, enum smtp_state state)
{
	s->state = state;
	s->touched = true;
}

/* RFC 5321 4.2: a reply that closes the connection names the server, after its two codes. */
void smtp_close(struct smtp *s, const char *line)
{
	struct slice text = slice_str(line);
	struct buf *out = &s->port->out;
	const size_t codes = sizeof("421 4.3.2 ") - 1;

	smtp_txn_end(s);
	s->pending_n = 0;
	buf_put(out, slice_part(text, 0, codes));
	buf_put(out, s->port->facts->host);
	buf_putc(out, ' ');
	buf_put(out, slice_from(text, codes));
	buf_puts(out, "\r\n");
	smtp_enter(s, SMTP_ENDED);
	s->port->want_close = true;
}

/* Every way a message can end passes here: answered, refused, RSET, LHLO, closed. */
void smtp_txn_end(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;
	struct ipc_post_abort m = { .tag = s->tag };

	if (t->posting)
		front_send(s->port, FRONT_POST, IPC_post_abort, &m);
	facts_maker_free(&t->facts);
	buf_fini(&t->only_rcpt);
	free(t->rcpts);
	*t = (struct smtp_txn){ .only_rcpt = BUF_INIT(2 * SMTP_PATH_MAX + 16) };
	buf_reset(&s->chunk);
	if (s->state != SMTP_START && s->state != SMTP_ENDED)
		smtp_enter(s, SMTP_READY);
}

static const struct smtp_verb *verb_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (slice_ieq(name, slice_str(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

static const char *out_of_order(const struct smtp *s, const struct smtp_verb *v)
{
	if (s->state == SMTP_START)
		return "503 5.5.1 LHLO comes first";
	if (v->legal == SMTP_READY)
		return "503 5.5.1 a message is under way";
	return s->state == SMTP_CHUNKS ? "503 5.5.1 the message has begun"
				       : "503 5.5.1 MAIL comes first";
}

static void command(struct smtp *s, const struct smtp_verb *v, struct slice arg)
{
	if (v == NULL)
		smtp_error(s, "500 5.5.1 unknown command");
	else if ((v->legal & s->state) == 0)
		smtp_error(s, out_of_order(s, v));
	else if (v->args == NONE && arg.n > 0)
		smtp_error(s, "501 5.5.4 this command takes no argument");
	else if (v->args == SOME && arg.n == 0)
		smtp_error(s, "501 5.5.4 an argument is missing");
	else
		v->apply(s, arg);
	if (s->errors >= SMTP_ERRORS_MAX && s->pending_n == 0 && s->state != SMTP_ENDED)
		smtp_close(s, "421 4.7.0 too many errors");
}

/* False when the line has to wait: only recipients overtake one that routerd has not answered. */
static bool on_line(struct smtp *s, enum line_answer a, struct slice line)
{
	struct slice arg = line, name = slice_take(&arg, ' ');
	const struct smtp_verb *v = a == LINE_OK ? verb_find(name) : NULL;
	bool is_rcpt = v != NULL && v->apply == smtp_cmd_rcpt && s->state == SMTP_MAIL;

	if (s->pending_n > 0 && a == LINE_OK && !is_rcpt)
		return false;
	s->touched = true;
	if (a == LINE_OK)
		command(s, v, slice_trim(arg));
	else if (a == LINE_BARE)
		smtp_close(s, "421 4.5.2 a line must end with CR LF");
	else
		smtp_error(s, a == LINE_LONG ? "500 5.5.6 the line is too long"
					     : "500 5.5.2 a NUL in a command");
	return true;
}

static bool ready(struct smtp *s)
{
	bool between = (s->state & (SMTP_START | IDLE)) != 0;

	if (s->state == SMTP_ENDED || s->state == SMTP_RESULTS || s->port->want_tls)
		return false;
	if (between && s->stopping && s->pending_n == 0) {
		smtp_close(s, "421 4.3.2 the server is stopping");
		return false;
	}
	return s->pending_n < SMTP_PENDING_MAX && front_pending(s->port) < FRONT_OUT_HIGH;
}

static size_t command_feed(struct smtp *s, struct slice in)
{
	struct slice line = SLICE_NONE;
	size_t n;
	enum line_answer a = line_take(&s->lines, in, SMTP_LINE_MAX, &line, &n);

	if (a == LINE_MORE || on_line(s, a, line))
		return n;
	return 0;
}

static void deadline_renew(struct smtp *s)
{
	if (!s->touched)
		return;
	s->touched = false;
	front_deadline(s->port, s->state == SMTP_RESULTS ? SMTP_STORE_MS
				: s->pending_n > 0       ? SMTP_ROUTE_MS
							 : s->conf.idle_ms);
}

static size_t smtp_feed(void *core, struct slice in)
{
	struct smtp *s = core;
	size_t used = 0, n = 1;
	enum smtp_state before;

	while (ready(s) && (n > 0 || before != s->state)) {
		struct slice rest = slice_from(in, used);

		before = s->state;
		n = (s->state & (SMTP_DATA | SMTP_CHUNK)) != 0 ? smtp_body_feed(s, rest)
							       : command_feed(s, rest);
		used += n;
	}
	s->port->busy = s->state == SMTP_RESULTS || s->pending_n > 0 || smtp_body_waits(s);
	deadline_renew(s);
	return s->state == SMTP_ENDED ? in.n : used;
}

static void smtp_on_event(void *core, enum front_event event)
{
	struct smtp *s = core;

	if (event == FRONT_STOPPING)
		s->stopping = true;
	else if (s->state == SMTP_RESULTS)
		smtp_post_give_up(s);
	else if (s->pending_n > 0)
		smtp_rcpt_give_up(s);
	else
		smtp_close(s, "421 4.4.2 nothing was heard for too long");
}

static void smtp_on_msg(
    void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct smtp *s = core;

	if (s->state == SMTP_ENDED)
		return;
	s->touched = true;
	if (type == IPC_rcpt_reply)
		smtp_rcpt_msg(s, &m->rcpt_reply);
	else
		smtp_post_msg(s, type, m);
}

static void smtp_on_gone(void *core, enum front_peer peer)
{
	struct smtp *s = core;

	if (peer == FRONT_RCPT) {
		s->rcpt_gone = true;
		smtp_rcpt_give_up(s);
	} else if (peer == FRONT_POST) {
		s->post_gone = true;
		smtp_post_give_up(s);
	}
}

static void conf_fill(struct smtp_conf *c)
{
	c->size_max = c->size_max != 0 ? c->size_max : SMTP_SIZE_MAX;
	c->rcpts_max = c->rcpts_max != 0 ? c->rcpts_max : SMTP_RCPTS_MAX;
	if (c->rcpts_max > SMTP_HANDLES_MAX)
		c->rcpts_max = SMTP_HANDLES_MAX;
	c->hops_max = c->hops_max != 0 ? c->hops_max : SMTP_HOPS_MAX;
	c->idle_ms = c->idle_ms != 0 ? c->idle_ms : SMTP_IDLE_MS;
}

static void *smtp_start(struct front_port *port, const void *conf)
{
	struct smtp *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->port = port;
	s->conf = *(const struct smtp_conf *)conf;
	conf_fill(&s->conf);
	s->state = SMTP_START;
	s->window = IPC_WINDOW_BYTES;
	buf_init(&s->chunk, SMTP_CHUNK_MAX);
	for (unsigned i = 0; i < SMTP_PENDING_MAX; i++) {
		buf_init(&s->pending[i].address, 2 * SMTP_PATH_MAX + 16);
		buf_init(&s->pending[i].reply, SMTP_REPLY_MAX);
	}
	smtp_txn_end(s);
	if (!port->facts->restarted) {
		buf_puts(&port->out, "220 ");
		buf_put(&port->out, port->facts->host);
		buf_puts(&port->out, " LMTP ready\r\n");
	}
	s->touched = true;
	deadline_renew(s);
	return s;
}

static void smtp_free(void *core)
{
	struct smtp *s = core;

	if (s == NULL)
		return;
	s->txn.posting = false; /* stored sees the end of the channel */
	smtp_txn_end(s);
	for (unsigned i = 0; i < SMTP_PENDING_MAX; i++) {
		buf_fini(&s->pending[i].address);
		buf_fini(&s->pending[i].reply);
	}
	buf_fini(&s->txn.only_rcpt);
	buf_fini(&s->chunk);
	free(s);
}

const struct front_core smtp_core = {
	.start = smtp_start,
	.free = smtp_free,
	.feed = smtp_feed,
	.on_msg = smtp_on_msg,
	.on_gone = smtp_on_gone,
	.on_event = smtp_on_event,
};
