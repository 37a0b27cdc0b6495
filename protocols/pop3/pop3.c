/*
 * pop3 - life of a session: the command table, the deadline, the end.
 */
#include "protocols/pop3/pop3-private.h"

#include <stdlib.h>

enum args { NONE, TEXT, MAYBE };

static void cmd_noop(struct pop3 *s, struct slice arg)
{
	pop3_ok(s, "nothing done");
}

static void cmd_quit(struct pop3 *s, struct slice arg)
{
	if (s->state == POP3_TRANSACTION) {
		pop3_enter(s, POP3_UPDATE);
		pop3_update(s);
		return;
	}
	pop3_ok(s, "good-bye");
	pop3_close(s);
}

static const struct pop3_verb {
	const char *name;
	unsigned legal;
	enum args args;
	void (*apply)(struct pop3 *s, struct slice arg);
} verbs[] = {
	{ "RETR", POP3_TRANSACTION, TEXT, pop3_cmd_retr },
	{ "DELE", POP3_TRANSACTION, TEXT, pop3_cmd_dele },
	{ "TOP", POP3_TRANSACTION, TEXT, pop3_cmd_top },
	{ "LIST", POP3_TRANSACTION, MAYBE, pop3_cmd_list },
	{ "UIDL", POP3_TRANSACTION, MAYBE, pop3_cmd_uidl },
	{ "STAT", POP3_TRANSACTION, NONE, pop3_cmd_stat },
	{ "NOOP", POP3_TRANSACTION, NONE, cmd_noop },
	{ "RSET", POP3_TRANSACTION, NONE, pop3_cmd_rset },
	{ "QUIT", POP3_AUTHORIZATION | POP3_TRANSACTION, NONE, cmd_quit },
	{ "CAPA", POP3_AUTHORIZATION | POP3_TRANSACTION, NONE, pop3_cmd_capa },
	{ "USER", POP3_AUTHORIZATION, TEXT, pop3_cmd_user },
	{ "PASS", POP3_AUTHORIZATION, TEXT, pop3_cmd_pass },
	{ "APOP", POP3_AUTHORIZATION, TEXT, pop3_cmd_apop },
	{ "AUTH", POP3_AUTHORIZATION, MAYBE, pop3_cmd_auth },
	{ "STLS", POP3_AUTHORIZATION, NONE, pop3_cmd_stls },
};

void pop3_ok(struct pop3 *s, const char *text)
{
	buf_puts(&s->port->out, "+OK ");
	buf_puts(&s->port->out, text);
	buf_puts(&s->port->out, "\r\n");
	s->errors = 0;
}

void pop3_err(struct pop3 *s, const char *text)
{
	buf_puts(&s->port->out, "-ERR ");
	buf_puts(&s->port->out, text);
	buf_puts(&s->port->out, "\r\n");
	if (++s->errors >= POP3_ERRORS_MAX)
		pop3_close(s);
}

void pop3_enter(struct pop3 *s, enum pop3_state state)
{
	s->state = state;
	s->touched = true;
}

void pop3_job(struct pop3 *s, enum pop3_job job)
{
	s->job = job;
	s->touched = true;
	s->port->busy = job != POP3_NO_JOB && job != POP3_SASL_CLIENT && job != POP3_SASL_LAST;
}

void pop3_close(struct pop3 *s)
{
	pop3_enter(s, POP3_ENDED);
	pop3_job(s, POP3_NO_JOB);
	s->port->want_close = true;
}

static const struct pop3_verb *verb_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (slice_ieq(name, slice_str(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

static void command(struct pop3 *s, struct slice line)
{
	struct slice rest = line, name = slice_take(&rest, ' ');
	const struct pop3_verb *v = verb_find(name);
	bool has_args = slice_trim(rest).n > 0;

	if (v == NULL)
		pop3_err(s, "unknown command");
	else if ((v->legal & s->state) == 0)
		pop3_err(
		    s, s->state == POP3_AUTHORIZATION ? "log in first" : "not after the login");
	else if (v->args == NONE && has_args)
		pop3_err(s, "this command takes no argument");
	else if (v->args == TEXT && rest.n == 0)
		pop3_err(s, "an argument is missing");
	else
		v->apply(s, rest);
}

static size_t line_max(const struct pop3 *s, struct slice in)
{
	if (s->job == POP3_SASL_CLIENT || s->job == POP3_SASL_LAST)
		return FRONT_SASL_LINE_MAX;
	return s->state == POP3_AUTHORIZATION && slice_istarts(in, SLICE("AUTH "))
		   ? POP3_AUTH_LINE_MAX
		   : POP3_LINE_MAX;
}

static void on_line(struct pop3 *s, enum line_answer a, struct slice line)
{
	bool sasl = s->job == POP3_SASL_CLIENT || s->job == POP3_SASL_LAST;

	s->touched = true;
	if (a == LINE_BARE) {
		pop3_err(s, "a line must end with CR LF");
		pop3_close(s);
	} else if (sasl) {
		pop3_sasl_line(s, a == LINE_OK ? line : SLICE("?"));
	} else if (a == LINE_OK) {
		command(s, line);
	} else {
		pop3_err(s, a == LINE_LONG ? "the line is too long" : "a NUL in a command");
	}
}

/* Whether the next line may be read now. */
static bool ready(struct pop3 *s)
{
	if (s->job == POP3_LISTING)
		pop3_list_go(s);
	if (s->state == POP3_ENDED || s->port->want_tls || s->port->busy)
		return false;
	if (s->stopping || s->lost) {
		pop3_err(s, s->lost ? "[SYS/TEMP] the mailbox is not available now"
				    : "[SYS/TEMP] the server is stopping");
		pop3_close(s);
		return false;
	}
	return front_pending(s->port) < FRONT_OUT_HIGH;
}

static uint32_t deadline_ms(const struct pop3 *s)
{
	uint32_t login = s->conf.login_ms;
	int64_t gone_ms = (s->port->wall_s - s->began_s) * 1000;

	if (s->job == POP3_DELAY)
		return POP3_FAIL_MS * s->failures;
	if (s->state == POP3_AUTHORIZATION)
		return gone_ms < 0 ? login : gone_ms >= login ? 1 : login - (uint32_t)gone_ms;
	return s->port->busy && front_pending(s->port) == 0 ? POP3_ANSWER_MS : s->conf.idle_ms;
}

static void deadline_renew(struct pop3 *s)
{
	if (!s->touched)
		return;
	s->touched = false;
	s->timer_written = s->port->written;
	front_deadline(s->port, deadline_ms(s));
}

static size_t pop3_feed(void *core, struct slice in)
{
	struct pop3 *s = core;
	size_t used = 0;

	while (ready(s)) {
		struct slice rest = slice_from(in, used), line = SLICE_NONE;
		size_t n;
		enum line_answer a = line_take(&s->lines, rest, line_max(s, rest), &line, &n);

		used += n;
		if (a == LINE_MORE)
			break;
		on_line(s, a, line);
	}
	pop3_credit(s);
	deadline_renew(s);
	return s->state == POP3_ENDED ? in.n : used;
}

static void on_timeout(struct pop3 *s)
{
	if (s->job == POP3_DELAY) {
		pop3_auth_delayed(s);
		return;
	}
	/* A client that still reads a long answer is alive. */
	if (front_pending(s->port) > 0 && s->port->written != s->timer_written) {
		s->touched = true;
		return;
	}
	/* RFC 1939 3: an idle session ends without a word, and deletes nothing. */
	pop3_close(s);
}

static void pop3_on_event(void *core, enum front_event event)
{
	struct pop3 *s = core;

	if (event == FRONT_TIMEOUT)
		on_timeout(s);
	else
		s->stopping = true;
}

static void pop3_on_msg(
    void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct pop3 *s = core;

	if (s->state == POP3_ENDED)
		return;
	s->touched = true;
	if (from == FRONT_AUTH)
		pop3_auth_msg(s, type, m);
	else if (type == IPC_body_data)
		pop3_body_msg(s, &m->body_data);
	else
		pop3_drop_msg(s, type, m);
}

static void session_gone(struct pop3 *s)
{
	bool mid_reply = s->job == POP3_TOP || s->job == POP3_RETR;

	s->lost = true;
	if (s->state == POP3_ENDED)
		return;
	if (mid_reply && s->ring_n > 0 && s->ring[s->ring_head].started) {
		pop3_close(s); /* half a body went out: only the end of the connection tells */
		return;
	}
	if (s->state == POP3_UPDATE) {
		pop3_err(s, "[SYS/TEMP] not known whether the messages are deleted");
		pop3_close(s);
		return;
	}
	pop3_job(s, POP3_NO_JOB); /* ready() says it and closes */
}

static void pop3_on_gone(void *core, enum front_peer peer)
{
	struct pop3 *s = core;

	if (peer == FRONT_SESSION)
		session_gone(s);
	else if (peer == FRONT_AUTH && s->state == POP3_AUTHORIZATION)
		pop3_auth_gone(s);
}

static void greet(struct pop3 *s)
{
	struct buf *out = &s->port->out;

	buf_puts(out, "+OK ");
	buf_put(out, s->port->facts->host);
	buf_puts(out, " POP3 ready");
	if (pop3_apop_offered(s)) {
		buf_putc(out, ' ');
		buf_put(out, s->stamp);
	}
	buf_puts(out, "\r\n");
}

/* RFC 1939 7: different each time, in the form of a Message-ID. */
static void make_stamp(struct pop3 *s)
{
	const struct front_facts *f = s->port->facts;

	buf_printf(&s->stamp_buf, "<%llx.%llx@", (unsigned long long)f->sid,
	    (unsigned long long)s->port->wall_s);
	buf_put(&s->stamp_buf, f->host);
	buf_putc(&s->stamp_buf, '>');
	s->stamp = buf_slice(&s->stamp_buf);
}

static void *pop3_start(struct front_port *port, const void *conf)
{
	struct pop3 *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->port = port;
	s->conf = *(const struct pop3_conf *)conf;
	s->conf.login_ms = s->conf.login_ms != 0 ? s->conf.login_ms : POP3_LOGIN_MS;
	s->conf.idle_ms = s->conf.idle_ms != 0 ? s->conf.idle_ms : POP3_IDLE_MS;
	s->state = POP3_AUTHORIZATION;
	s->began_s = port->wall_s;
	s->ahead_depth = 1;
	buf_init(&s->refused, 512);
	buf_init(&s->stamp_buf, 512);
	make_stamp(s);
	s->touched = true;
	if (!port->facts->restarted)
		greet(s);
	deadline_renew(s);
	return s;
}

static void pop3_free(void *core)
{
	struct pop3 *s = core;

	if (s == NULL)
		return;
	secret_fini(&s->name);
	buf_fini(&s->refused);
	buf_fini(&s->stamp_buf);
	pop3_retr_fini(s);
	free(s->msgs);
	free(s);
}

const struct front_core pop3_core = {
	.start = pop3_start,
	.free = pop3_free,
	.feed = pop3_feed,
	.on_msg = pop3_on_msg,
	.on_gone = pop3_on_gone,
	.on_event = pop3_on_event,
};
