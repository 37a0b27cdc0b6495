#include "protocols/imap/auth.h"

#include <stdlib.h>

static const struct imap_auth_mech mechs[] = {
	{ "PLAIN", "AUTH=PLAIN", IMAP_PLAIN, true },
	{ "LOGIN", "AUTH=LOGIN", IMAP_LOGIN, true },
	{ "SCRAM-SHA-256", "AUTH=SCRAM-SHA-256", IMAP_SCRAM_SHA_256, false },
};

enum { MECHS = sizeof(mechs) / sizeof(mechs[0]) };

enum turn {
	SERVER, /* waits for authd */
	CLIENT, /* the next line is a response */
	LAST,   /* granted; the client acknowledges the mechanism's last words */
	DELAY,  /* a failed login is answered later */
};

struct auth {
	struct imap_job job;
	enum turn turn;
	struct line_reader lines;
	enum imap_cond cond;
	const char *code;
	struct buf text; /* of the answer after the delay */
};

static bool clear_text_allowed(const struct imap *s)
{
	return s->port->facts->tls || s->port->facts->plain_login;
}

bool imap_auth_offered(const struct imap *s, const struct imap_auth_mech *m)
{
	return (s->conf.mechs & m->bit) != 0 && (!m->clear_text || clear_text_allowed(s));
}

bool imap_auth_login_offered(const struct imap *s)
{
	return (s->conf.mechs & IMAP_PLAIN) != 0 && clear_text_allowed(s);
}

const struct imap_auth_mech *imap_auth_find(const struct imap *s, struct slice name)
{
	for (size_t i = 0; i < MECHS; i++)
		if (slice_ieq(name, slice_str(mechs[i].name)) &&
		    (s->conf.mechs & mechs[i].bit) != 0)
			return &mechs[i];
	return NULL;
}

void imap_put_mechs(struct imap *s, struct writer *w)
{
	for (size_t i = 0; i < MECHS; i++)
		if (imap_auth_offered(s, &mechs[i]))
			write_atom(w, mechs[i].capability);
	if (!imap_auth_login_offered(s))
		write_atom(w, "LOGINDISABLED");
}

/* ---- the dialogue --------------------------------------------------------------------------- */

static void turn_set(struct auth *a, enum turn turn)
{
	a->turn = turn;
	a->job.client_turn = turn == CLIENT || turn == LAST;
	a->job.s->touched = true;
}

static void unavailable(struct imap *s)
{
	imap_done(s, IMAP_NO, "UNAVAILABLE", "login is not possible now");
	s->dying = true;
}

static void logged_in(struct imap *s)
{
	struct writer w = imap_reply_begin(s, IMAP_OK);

	imap_enter(s, IMAP_AUTHED);
	s->failures = 0;
	imap_tell_client(s);
	write_code(&w, "CAPABILITY");
	imap_put_capabilities(s, &w);
	write_code_end(&w);
	write_text(&w, SLICE("logged in"));
	imap_reply_end(s, &w);
}

static void cancel(struct auth *a)
{
	struct ipc_auth_cancel m;

	turn_set(a, SERVER); /* authd confirms it by auth_refused */
	if (front_send(a->job.s->port, FRONT_AUTH, IPC_auth_cancel, &m) != 0)
		unavailable(a->job.s);
}

static void on_line(struct auth *a, struct slice line)
{
	struct imap *s = a->job.s;
	struct buf data = BUF_INIT(FRONT_SASL_MAX);
	struct ipc_auth_step m;

	if (a->turn == LAST && line.n == 0) {
		logged_in(s);
		return;
	}
	if (a->turn == LAST) {
		imap_done(s, IMAP_BAD, NULL, "authentication was broken off");
		s->dying = true; /* the session was granted: there is no way back */
		return;
	}
	if (text_base64_decode(line, &data) != 0) {
		cancel(a);
	} else {
		m = (struct ipc_auth_step){ .data = buf_slice(&data) };
		turn_set(a, SERVER);
		if (front_send(s->port, FRONT_AUTH, IPC_auth_step, &m) != 0)
			unavailable(s);
		secret_wipe(data.p, data.cap);
	}
	buf_fini(&data);
}

static size_t auth_feed(struct imap_job *j, struct slice in)
{
	struct auth *a = (struct auth *)j;
	struct slice line = SLICE_NONE;
	size_t used = 0;
	enum line_answer got;

	if (a->turn != CLIENT && a->turn != LAST)
		return 0;
	got = line_take(&a->lines, in, FRONT_SASL_LINE_MAX, &line, &used);
	if (got == LINE_BARE)
		imap_bye(j->s, "a line must end with CR LF");
	else if (got != LINE_MORE)
		on_line(a, got == LINE_OK ? line : SLICE("?"));
	return used;
}

static void auth_timeout(struct imap_job *j)
{
	struct auth *a = (struct auth *)j;

	imap_done(j->s, a->cond, a->code, buf_cstr(&a->text));
	j->s->dying = j->s->failures >= IMAP_LOGINS_MAX;
}

static void auth_free(struct imap_job *j)
{
	struct auth *a = (struct auth *)j;

	buf_fini(&a->text);
	free(a);
}

static const struct imap_job_ops auth_ops = {
	.feed = auth_feed,
	.timeout = auth_timeout,
	.free = auth_free,
};

void imap_auth_begin(struct imap *s, const char *mech, bool has_initial, struct slice initial)
{
	struct ipc_auth_start m = { .mech = slice_str(mech),
		.tls = s->port->facts->tls,
		.has_initial = has_initial,
		.initial = initial };
	struct auth *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	buf_init(&a->text, 512);
	imap_job_begin(s, &a->job, &auth_ops);
	turn_set(a, SERVER);
	if (front_send(s->port, FRONT_AUTH, IPC_auth_start, &m) != 0)
		unavailable(s);
}

/* ---- authd's answers ------------------------------------------------------------------------ */

static void challenge(struct auth *a, struct slice data, enum turn next)
{
	struct imap *s = a->job.s;
	struct buf text = BUF_INIT(FRONT_SASL_LINE_MAX);
	struct writer w = imap_writer(s);

	text_base64_encode(data, &text);
	write_challenge(&w, buf_slice(&text));
	buf_fini(&text);
	turn_set(a, next);
}

/* Codes of RFC 5530. */
static void refusal(struct auth *a, const struct ipc_auth_refused *m)
{
	static const struct {
		enum imap_cond cond;
		const char *code, *text;
	} rows[] = {
		[IPC_AUTH_BAD] = { IMAP_NO, "AUTHENTICATIONFAILED", "wrong name or password" },
		[IPC_AUTH_ROUTE] = { IMAP_NO, "AUTHENTICATIONFAILED", "this name leads nowhere" },
		[IPC_AUTH_NOMECH] = { IMAP_NO, NULL, "this mechanism is not available" },
		[IPC_AUTH_SYNTAX] = { IMAP_BAD, NULL, "the mechanism did not understand that" },
		[IPC_AUTH_NEEDTLS] = { IMAP_NO, "PRIVACYREQUIRED",
		    "clear-text passwords need TLS here" },
		[IPC_AUTH_TRYLATER] = { IMAP_NO, "UNAVAILABLE", "login is not possible now" },
		[IPC_AUTH_CANCELLED] = { IMAP_BAD, NULL, "authentication was broken off" },
		[IPC_AUTH_DISABLED] = { IMAP_NO, "AUTHORIZATIONFAILED",
		    "this service is switched off for the account" },
		[IPC_AUTH_LIMIT] = { IMAP_NO, "LIMIT", "too many failed logins, try again later" },
	};
	bool known = m->why < sizeof(rows) / sizeof(rows[0]) && rows[m->why].text != NULL;
	uint32_t why = known ? m->why : IPC_AUTH_SYNTAX;

	a->cond = rows[why].cond;
	a->code = rows[why].code;
	buf_reset(&a->text);
	if (why == IPC_AUTH_ROUTE && m->text.n > 0)
		text_put_safe(&a->text, m->text, false);
	else
		buf_puts(&a->text, rows[why].text);
}

static void refused(struct auth *a, const struct ipc_auth_refused *m)
{
	struct imap *s = a->job.s;
	bool guess = m->why == IPC_AUTH_BAD || m->why == IPC_AUTH_ROUTE;

	refusal(a, m);
	s->failures += guess || m->why == IPC_AUTH_SYNTAX;
	if (m->left == 0)
		s->failures = IMAP_LOGINS_MAX;
	turn_set(a, DELAY);
	if (guess)
		imap_job_delay(&a->job, IMAP_FAIL_MS * s->failures);
	else
		auth_timeout(&a->job);
}

void imap_auth_msg(struct imap *s, enum ipc_type type, const union ipc_any *m)
{
	struct auth *a = (struct auth *)s->job;

	if (a == NULL || s->job->ops != &auth_ops || a->turn != SERVER || s->done)
		return;
	if (type == IPC_auth_challenge)
		challenge(a, m->auth_challenge.data, CLIENT);
	else if (type == IPC_auth_refused)
		refused(a, &m->auth_refused);
	else if (type == IPC_auth_granted && m->auth_granted.data.n > 0)
		challenge(a, m->auth_granted.data, LAST);
	else if (type == IPC_auth_granted)
		logged_in(s);
}

/* A client that connects again gets a channel to the authd that runs by then. */
void imap_auth_gone(struct imap *s)
{
	struct auth *a = (struct auth *)s->job;

	if (a != NULL && s->job->ops == &auth_ops && !s->done &&
	    (a->turn == CLIENT || a->turn == SERVER))
		unavailable(s);
}
