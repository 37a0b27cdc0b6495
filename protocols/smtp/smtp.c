/*
 * smtp - life of a connection: the order of replies, the deadline, the end.
 */
#include "protocols/smtp/smtp-private.h"

#include <stdlib.h>

struct smtp_pending *smtp_pending_add(struct smtp *s)
{
	struct smtp_pending *p = &s->pending[(s->pending_head + s->pending_n++) % SMTP_PENDING_MAX];

	p->seq = 0;
	p->bounced = p->held = false;
	buf_reset(&p->address);
	buf_reset(&p->reply);
	return p;
}

void smtp_reply(struct smtp *s, const char *line)
{
	struct buf *out = s->pending_n > 0 ? &smtp_pending_add(s)->reply : &s->port->out;

	buf_puts(out, line);
	buf_puts(out, "\r\n");
	if (s->mode == SMTP_LMTP)
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

bool smtp_server_gone(struct smtp *s)
{
	if (s->rcpt_gone || s->post_gone)
		smtp_close(s, "421 4.3.2 come back in a moment");
	return s->state == SMTP_ENDED;
}

/* Every way a message can end passes here: answered, refused, RSET, EHLO, closed. */
void smtp_txn_end(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;
	struct ipc_post_abort m = { .tag = s->tag };

	if (t->posting || t->report_open)
		front_send(s->port, FRONT_POST, IPC_post_abort, &m);
	facts_maker_free(&t->facts);
	buf_fini(&t->only_rcpt);
	buf_fini(&t->same_rcpts);
	buf_fini(&t->head);
	buf_fini(&t->report);
	buf_fini(&t->envid);
	buf_fini(&t->sending);
	buf_fini(&t->bounce.names);
	buf_fini(&t->bounce.returned);
	free(t->rcpts);
	*t = (struct smtp_txn){ .only_rcpt = BUF_INIT(2 * SMTP_PATH_MAX + 16),
		.same_rcpts = BUF_INIT(SMTP_ORIGINALS_MAX),
		.head = BUF_INIT(SMTP_HEAD_MAX + 1),
		.report = BUF_INIT(SMTP_REPORT_MAX),
		.envid = BUF_INIT(SMTP_ENVID_MAX),
		.sending = BUF_INIT(SMTP_SENDING_MAX),
		.bounce = {
		    .names = BUF_INIT(SMTP_NAMES_MAX), .returned = BUF_INIT(SMTP_RETURN_MAX) } };
	buf_reset(&s->chunk);
	if (s->state != SMTP_START && s->state != SMTP_ENDED)
		smtp_enter(s, SMTP_READY);
}

static bool too_many_errors(const struct smtp *s)
{
	return s->errors >= SMTP_ERRORS_MAX ||
	       (s->mode != SMTP_LMTP && s->rcpts_refused >= SMTP_RCPTS_REFUSED_MAX);
}

/* False when the line has to wait: only recipients overtake one that routerd has not answered. */
static bool on_line(struct smtp *s, enum line_answer a, struct slice line)
{
	struct slice arg = line, name = slice_take(&arg, ' ');
	const struct smtp_verb *v = a == LINE_OK ? smtp_verb_find(s, name) : NULL;
	bool is_rcpt = v != NULL && smtp_verb_is_rcpt(v) && s->state == SMTP_MAIL;

	if (s->pending_n > 0 && a == LINE_OK && !is_rcpt)
		return false;
	s->touched = true;
	if (a == LINE_BARE)
		smtp_close(s, "421 4.5.2 a line must end with CR LF");
	else if (s->state == SMTP_RESPONSE)
		smtp_auth_line(s, a, line);
	else if (a == LINE_OK)
		smtp_verb_run(s, v, slice_trim(arg));
	else
		smtp_error(s, a == LINE_LONG ? "500 5.5.6 the line is too long"
					     : "500 5.5.2 a NUL in a command");
	return true;
}

/* Whether input may be read now. */
static bool ready(struct smtp *s)
{
	if ((s->state & SMTP_WAITS) != 0 || s->state == SMTP_ENDED || s->port->want_tls)
		return false;
	if ((s->state & SMTP_BETWEEN) != 0 && s->pending_n == 0 && too_many_errors(s)) {
		smtp_close(s, "421 4.7.0 too many errors");
		return false;
	}
	if ((s->state & SMTP_BETWEEN) != 0 && s->pending_n == 0 && s->stopping) {
		smtp_close(s, "421 4.3.2 the server is stopping");
		return false;
	}
	return s->pending_n < SMTP_PENDING_MAX && front_pending(s->port) < FRONT_OUT_HIGH;
}

static size_t line_max(const struct smtp *s, struct slice in)
{
	bool response = s->state == SMTP_RESPONSE ||
			(s->mode == SMTP_SUBMISSION && slice_istarts(in, SLICE("AUTH ")));

	return response ? FRONT_SASL_LINE_MAX : SMTP_LINE_MAX; /* RFC 4954 4 */
}

static size_t command_feed(struct smtp *s, struct slice in)
{
	struct slice line = SLICE_NONE;
	size_t n;
	enum line_answer a = line_take(&s->lines, in, line_max(s, in), &line, &n);

	if (a == LINE_MORE || on_line(s, a, line))
		return n;
	return 0;
}

static uint32_t deadline_ms(const struct smtp *s)
{
	switch (s->state) {
	case SMTP_RESULTS:
	case SMTP_REPORT:
		return SMTP_STORE_MS;
	case SMTP_SENDER:
		return SMTP_ROUTE_MS;
	case SMTP_AUTH:
		return s->login.delaying ? SMTP_FAIL_MS * s->login.failures : SMTP_AUTH_MS;
	default:
		return s->pending_n > 0 ? SMTP_ROUTE_MS : s->conf.idle_ms;
	}
}

static void deadline_renew(struct smtp *s)
{
	if (!s->touched)
		return;
	s->touched = false;
	front_deadline(s->port, deadline_ms(s));
}

static size_t smtp_feed(void *core, struct slice in)
{
	struct smtp *s = core;
	size_t used = 0, n = 1;
	enum smtp_state before = s->state;

	while (ready(s) && (n > 0 || before != s->state)) {
		struct slice rest = slice_from(in, used);

		before = s->state;
		n = (s->state & (SMTP_DATA | SMTP_CHUNK)) != 0 ? smtp_body_feed(s, rest)
							       : command_feed(s, rest);
		used += n;
	}
	s->port->busy = (s->state & SMTP_WAITS) != 0 || s->pending_n > 0 || smtp_body_waits(s);
	deadline_renew(s);
	return s->state == SMTP_ENDED ? in.n : used;
}

static void smtp_on_event(void *core, enum front_event event)
{
	struct smtp *s = core;

	if (event == FRONT_STOPPING)
		s->stopping = true;
	else if (s->state == SMTP_RESULTS || s->state == SMTP_REPORT)
		smtp_post_give_up(s);
	else if (s->state == SMTP_AUTH)
		smtp_auth_timeout(s);
	else if (s->pending_n > 0 || s->state == SMTP_SENDER)
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
	if (from == FRONT_AUTH)
		smtp_auth_msg(s, type, m);
	else if (type == IPC_rcpt_reply)
		smtp_rcpt_msg(s, &m->rcpt_reply);
	else if (type == IPC_sender_reply)
		smtp_sender_msg(s, &m->sender_reply);
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
	} else if (peer == FRONT_AUTH) {
		smtp_auth_gone(s);
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
	s->mode = port->facts->lmtp         ? SMTP_LMTP
		  : port->facts->submission ? SMTP_SUBMISSION
					    : SMTP_MX;
	s->state = SMTP_START;
	s->window = IPC_WINDOW_BYTES;
	buf_init(&s->chunk, SMTP_CHUNK_MAX);
	buf_init(&s->login.refused, SMTP_REPLY_MAX);
	for (unsigned i = 0; i < SMTP_PENDING_MAX; i++) {
		buf_init(&s->pending[i].address, 2 * SMTP_PATH_MAX + 16);
		buf_init(&s->pending[i].reply, SMTP_REPLY_MAX);
		buf_init(&s->pending[i].orcpt, SMTP_ORCPT_MAX);
	}
	smtp_txn_end(s);
	if (!port->facts->restarted)
		smtp_greet(s);
	s->touched = true;
	deadline_renew(s);
	return s;
}

static void smtp_free(void *core)
{
	struct smtp *s = core;

	if (s == NULL)
		return;
	s->txn.posting = s->txn.report_open = false; /* stored sees the end of the channel */
	smtp_txn_end(s);
	for (unsigned i = 0; i < SMTP_PENDING_MAX; i++) {
		buf_fini(&s->pending[i].address);
		buf_fini(&s->pending[i].orcpt);
		buf_fini(&s->pending[i].reply);
	}
	buf_fini(&s->txn.only_rcpt);
	buf_fini(&s->txn.same_rcpts);
	buf_fini(&s->txn.head);
	buf_fini(&s->chunk);
	buf_fini(&s->login.refused);
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
