/*
 * login - the PWD port before the login: USER and PASS, APOP, AUTH, STLS. Passwords and mechanisms
 * are authd's business; here they are only carried. The smallest grammar that can log in: words and
 * the rest of a line.
 */
#include "protocols/admin/admin-private.h"

#include "common/front/limits.h"
#include "common/front/text.h"

static void put(struct admin *a, const char *code, const char *text)
{
	struct buf *out = &a->port->out;

	buf_puts(out, code);
	buf_putc(out, ' ');
	buf_puts(out, text);
	buf_puts(out, "\r\n");
}

static void close_now(struct admin *a)
{
	a->state = ADMIN_CLOSING;
	a->port->busy = false;
	a->port->want_close = true;
}

static void ok(struct admin *a, const char *text)
{
	put(a, "200", text);
	a->login.errors = 0;
}

static void err(struct admin *a, const char *text)
{
	put(a, "501", text);
	if (++a->login.errors >= PWD_ERRORS_MAX)
		close_now(a);
}

static uint32_t deadline_ms(const struct admin *a)
{
	uint32_t login_ms = a->conf->login_ms != 0 ? a->conf->login_ms : PWD_LOGIN_MS;
	int64_t gone_ms = (a->port->wall_s - a->login.began_s) * 1000;

	if (a->login.job == LOGIN_DELAY)
		return PWD_FAIL_MS * a->login.failures;
	return gone_ms < 0 ? login_ms : gone_ms >= login_ms ? 1 : login_ms - (uint32_t)gone_ms;
}

static void job(struct admin *a, enum login_job what)
{
	a->login.job = what;
	a->port->busy = what == LOGIN_SERVER || what == LOGIN_DELAY;
	front_deadline(a->port, deadline_ms(a));
}

/* ---- what is offered ---- */

static bool user_offered(const struct admin *a)
{
	return (a->conf->mechs & SASL_PLAIN) != 0 && sasl_clear_text(a->port->facts);
}

static bool apop_offered(const struct admin *a)
{
	return (a->conf->mechs & SASL_APOP) != 0 && a->login.stamp.n > 0;
}

static void auth_lost(struct admin *a)
{
	err(a, "login is not possible now; try again");
	close_now(a);
}

static void begin(struct admin *a, const char *mech, bool has_initial, struct slice initial)
{
	job(a, LOGIN_SERVER);
	if (sasl_begin(a->port, mech, has_initial, initial) != 0)
		auth_lost(a);
}

/* ---- commands ---- */

static void cmd_user(struct admin *a, struct slice arg)
{
	struct login *l = &a->login;

	arg = slice_trim(arg);
	secret_fini(&l->name);
	if (!user_offered(a))
		err(a, "clear-text passwords need TLS here");
	else if (arg.n == 0 || arg.n > PWD_NAME_MAX)
		err(a, "not a name");
	else if (secret_init(&l->name, arg) != 0)
		err(a, "not enough memory");
	else
		put(a, "300", "send the password");
}

static void cmd_pass(struct admin *a, struct slice arg)
{
	uint8_t plain[2 * PWD_NAME_MAX + 2];
	size_t n;

	if (a->login.name.p == NULL) {
		err(a, "USER comes first");
		return;
	}
	if (arg.n > PWD_NAME_MAX) {
		err(a, "not a password");
		return;
	}
	n = sasl_plain(slice_of(a->login.name.p, a->login.name.n), arg, plain);
	secret_fini(&a->login.name);
	begin(a, "PLAIN", true, slice_of(plain, n));
	secret_wipe(plain, n);
}

static void cmd_apop(struct admin *a, struct slice arg)
{
	struct buf initial = BUF_INIT(4 * PWD_LINE_MAX);

	if (!apop_offered(a))
		err(a, "APOP is not available here");
	else if (sasl_apop(buf_slice(&a->login.stamp), arg, &initial) != 0)
		err(a, "APOP takes a name and a digest");
	else
		begin(a, "APOP", true, buf_slice(&initial));
	buf_fini(&initial);
}

static void list_mechs(struct admin *a)
{
	struct buf *out = &a->port->out;
	size_t at = out->n;

	buf_puts(out, "200");
	sasl_put_mechs(a->port, a->conf->mechs, " ", "", out);
	if (out->n > at + 3) {
		buf_puts(out, "\r\n");
		return;
	}
	buf_trunc(out, at);
	err(a, "no mechanism is offered on this link");
}

/* The command alone lists the mechanisms. */
static void cmd_auth(struct admin *a, struct slice arg)
{
	if (slice_trim(arg).n == 0) {
		list_mechs(a);
		return;
	}
	switch (sasl_command(a->port, a->conf->mechs, arg)) {
	case 0:
		job(a, LOGIN_SERVER);
		break;
	case SASL_UNKNOWN:
		err(a, "unknown mechanism");
		break;
	case SASL_NEEDS_TLS:
		err(a, "clear-text passwords need TLS here");
		break;
	case SASL_BAD_BASE64:
		err(a, "the first response is not base64");
		break;
	default:
		auth_lost(a);
	}
}

static void cmd_stls(struct admin *a, struct slice arg)
{
	if (a->port->facts->tls) {
		err(a, "TLS is on already");
	} else if (!a->port->facts->tls_offered) {
		err(a, "TLS is not available here");
	} else {
		ok(a, "begin TLS");
		a->port->want_tls = true;
	}
}

static void cmd_inline(struct admin *a, struct slice arg)
{
	a->inline_data = true;
	ok(a, "done");
}

static void cmd_noop(struct admin *a, struct slice arg)
{
	ok(a, "done");
}

static void cmd_quit(struct admin *a, struct slice arg)
{
	ok(a, "closing");
	close_now(a);
}

static const struct login_verb {
	const char *name;
	bool takes_arg; /* else none may stand there */
	void (*apply)(struct admin *a, struct slice arg);
} verbs[] = {
	{ "USER", true, cmd_user },
	{ "PASS", true, cmd_pass },
	{ "APOP", true, cmd_apop },
	{ "AUTH", true, cmd_auth },
	{ "STLS", false, cmd_stls },
	{ "INLINE", false, cmd_inline },
	{ "NOOP", false, cmd_noop },
	{ "QUIT", false, cmd_quit },
};

static void command(struct admin *a, struct slice line)
{
	struct slice rest = line, name = slice_take(&rest, ' ');
	const struct login_verb *v = verbs, *end = verbs + sizeof(verbs) / sizeof(verbs[0]);

	while (v < end && !slice_ieq(name, slice_str(v->name)))
		v++;
	if (v < end && !v->takes_arg && slice_trim(rest).n > 0)
		err(a, "this command takes no argument");
	else if (v < end)
		v->apply(a, rest);
	else
		err(a, verb_find(name) != NULL ? "log in first" : "unknown command");
}

/* ---- the dialogue ---- */

/* The stamp of the greeting that USER and PASS do not need; different each time (RFC 1939 7). */
static void make_stamp(struct admin *a)
{
	const struct front_facts *f = a->port->facts;
	struct buf *b = &a->login.stamp;

	buf_printf(
	    b, "<%llx.%llx@", (unsigned long long)f->sid, (unsigned long long)a->port->wall_s);
	buf_put(b, f->host);
	buf_putc(b, '>');
}

void login_start(struct admin *a)
{
	struct buf *out = &a->port->out;

	a->state = ADMIN_LOGIN;
	a->login.began_s = a->port->wall_s;
	buf_init(&a->login.stamp, 512);
	buf_init(&a->login.refused, 512);
	front_deadline(a->port, deadline_ms(a));
	if (a->port->facts->restarted)
		return;
	make_stamp(a);
	buf_puts(out, "200 ");
	buf_put(out, a->port->facts->host);
	buf_puts(out, " PWD ready");
	if (apop_offered(a)) {
		buf_putc(out, ' ');
		buf_put(out, buf_slice(&a->login.stamp));
	}
	buf_puts(out, "\r\n");
}

void login_fini(struct admin *a)
{
	secret_fini(&a->login.name);
	buf_fini(&a->login.stamp);
	buf_fini(&a->login.refused);
}

static void open_session(struct admin *a)
{
	a->login.job = LOGIN_NO_JOB;
	a->port->busy = false;
	login_fini(a);
	a->state = ADMIN_OPEN;
	/* Listings may be long; whoever may ask for them has logged in. */
	a->port->out.max = ADMIN_OUT_MAX;
	front_deadline(a->port, a->conf->idle_ms);
	alerts_greet(a);
}

static void on_response(struct admin *a, struct slice line)
{
	if (a->login.job == LOGIN_LAST) {
		if (line.n == 0) {
			open_session(a);
			return;
		}
		err(a, "authentication was broken off");
		close_now(a); /* the rights were granted: there is no way back */
		return;
	}
	job(a, LOGIN_SERVER); /* what was broken off is confirmed by auth_refused */
	if (sasl_response(a->port, line) == SASL_GONE)
		auth_lost(a);
}

static size_t line_max(const struct admin *a, struct slice in)
{
	if (a->login.job == LOGIN_CLIENT || a->login.job == LOGIN_LAST)
		return FRONT_SASL_LINE_MAX;
	return slice_istarts(in, SLICE("AUTH ")) ? PWD_AUTH_LINE_MAX : PWD_LINE_MAX;
}

static void on_line(struct admin *a, struct slice line)
{
	if (a->login.job == LOGIN_CLIENT || a->login.job == LOGIN_LAST)
		on_response(a, line);
	else if (slice_find(line, 0) >= 0)
		err(a, "a NUL in a command");
	else if (slice_trim(line).n > 0)
		command(a, slice_from(line, (size_t)(slice_trim(line).p - line.p)));
}

size_t login_feed(struct admin *a, struct slice in)
{
	size_t used = 0;

	while (a->state == ADMIN_LOGIN && !a->port->busy && !a->port->want_tls) {
		struct slice line, rest = slice_from(in, used);
		size_t n, max = line_max(a, rest);

		if (a->stopping) {
			err(a, "the server stops");
			close_now(a);
			break;
		}
		if (!line_take_any(a, rest, &line, &n)) {
			if (rest.n > max) {
				err(a, "the line is too long");
				close_now(a);
			}
			break;
		}
		used += n;
		a->scanned = 0;
		if (n <= max) {
			on_line(a, line);
			continue;
		}
		err(a, "the line is too long");
		close_now(a);
	}
	return used;
}

static void challenge(struct admin *a, struct slice data, enum login_job next)
{
	buf_puts(&a->port->out, "300 ");
	text_base64_encode(data, &a->port->out);
	buf_puts(&a->port->out, "\r\n");
	job(a, next);
}

static void refusal_text(struct admin *a, const struct ipc_auth_refused *m)
{
	struct buf *b = &a->login.refused;

	buf_reset(b);
	switch (m->why) {
	case IPC_AUTH_BAD:
		buf_puts(b, "501 wrong name or password");
		break;
	case IPC_AUTH_ROUTE:
		buf_puts(b, "500 ");
		text_put_safe(b, m->text.n > 0 ? m->text : SLICE("this name leads nowhere"), true);
		break;
	case IPC_AUTH_TRYLATER:
		buf_puts(b, "501 login is not possible now; try again");
		break;
	case IPC_AUTH_DISABLED:
		buf_puts(b, "501 this service is switched off for the account");
		break;
	case IPC_AUTH_LIMIT:
		buf_puts(b, "501 too many failed logins, try again later");
		break;
	case IPC_AUTH_NEEDTLS:
		buf_puts(b, "501 clear-text passwords need TLS here");
		break;
	case IPC_AUTH_NOMECH:
		buf_puts(b, "501 this mechanism is not available");
		break;
	case IPC_AUTH_CANCELLED:
		buf_puts(b, "501 authentication was broken off");
		break;
	default:
		buf_puts(b, "501 the mechanism did not understand that");
	}
	buf_puts(b, "\r\n");
}

static void answer_refused(struct admin *a)
{
	job(a, LOGIN_NO_JOB);
	buf_put(&a->port->out, buf_slice(&a->login.refused));
	if (a->login.failures >= PWD_LOGINS_MAX || ++a->login.errors >= PWD_ERRORS_MAX)
		close_now(a);
}

static void refused(struct admin *a, const struct ipc_auth_refused *m)
{
	bool guess = m->why == IPC_AUTH_BAD || m->why == IPC_AUTH_ROUTE;

	refusal_text(a, m);
	a->login.failures += guess || m->why == IPC_AUTH_SYNTAX;
	if (m->left == 0)
		a->login.failures = PWD_LOGINS_MAX;
	if (guess)
		job(a, LOGIN_DELAY);
	else
		answer_refused(a);
}

void login_on_msg(struct admin *a, enum ipc_type type, const union ipc_any *m)
{
	if (a->state != ADMIN_LOGIN || a->login.job != LOGIN_SERVER)
		return;
	if (type == IPC_auth_challenge) {
		challenge(a, m->auth_challenge.data, LOGIN_CLIENT);
	} else if (type == IPC_auth_refused) {
		refused(a, &m->auth_refused);
	} else if (type == IPC_auth_admin) {
		a->account = m->auth_admin.account;
		if (m->auth_admin.data.n > 0)
			challenge(a, m->auth_admin.data, LOGIN_LAST);
		else
			open_session(a);
	}
}

/* A client that connects again gets a channel to the authd that runs by then. */
void login_on_gone(struct admin *a)
{
	if (a->login.job == LOGIN_CLIENT || a->login.job == LOGIN_SERVER)
		auth_lost(a);
}

void login_on_event(struct admin *a, enum front_event event)
{
	if (event == FRONT_STOPPING) {
		a->stopping = true;
		return;
	}
	if (a->login.job == LOGIN_DELAY) {
		answer_refused(a);
		return;
	}
	err(a, "closing: no login for too long");
	close_now(a);
}
