/*
 * auth - the authorization state: CAPA, STLS, and the ways to log in. Passwords and mechanisms are
 * authd's business; here they are only carried.
 */
#include "protocols/pop3/pop3-private.h"

static bool user_offered(const struct pop3 *s)
{
	return (s->conf.mechs & SASL_PLAIN) != 0 && sasl_clear_text(s->port->facts);
}

/* The stamp is part of the greeting, which a client does not get again after STLS. */
bool pop3_apop_offered(const struct pop3 *s)
{
	return (s->conf.mechs & SASL_APOP) != 0 && !s->port->facts->restarted;
}

static bool stls_offered(const struct pop3 *s)
{
	return s->port->facts->tls_offered && !s->port->facts->tls;
}

/* RFC 2449 5: what the authorization state offers is named in both states. */
void pop3_cmd_capa(struct pop3 *s, struct slice arg)
{
	struct buf *out = &s->port->out;
	size_t at;

	pop3_ok(s, "capabilities follow");
	buf_puts(out, "TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n");
	if (user_offered(s))
		buf_puts(out, "USER\r\n");
	at = out->n;
	sasl_put_mechs(s->port, s->conf.mechs, " ", "", out);
	if (out->n > at) {
		buf_trunc(out, at);
		buf_puts(out, "SASL");
		sasl_put_mechs(s->port, s->conf.mechs, " ", "", out);
		buf_puts(out, "\r\n");
	}
	if (stls_offered(s))
		buf_puts(out, "STLS\r\n");
	buf_puts(out, ".\r\n");
}

void pop3_cmd_stls(struct pop3 *s, struct slice arg)
{
	if (s->port->facts->tls) {
		pop3_err(s, "TLS is on already");
	} else if (!stls_offered(s)) {
		pop3_err(s, "TLS is not available here");
	} else {
		pop3_ok(s, "begin TLS");
		s->port->want_tls = true;
	}
}

static void begin(struct pop3 *s, const char *mech, bool has_initial, struct slice initial)
{
	pop3_job(s, POP3_SASL_SERVER);
	if (sasl_begin(s->port, mech, has_initial, initial) != 0)
		pop3_auth_gone(s);
}

void pop3_cmd_user(struct pop3 *s, struct slice arg)
{
	arg = slice_trim(arg);
	secret_fini(&s->name);
	if (!user_offered(s))
		pop3_err(s, "clear-text passwords need TLS here");
	else if (arg.n == 0 || arg.n > POP3_NAME_MAX)
		pop3_err(s, "not a name");
	else if (secret_init(&s->name, arg) != 0)
		pop3_err(s, "[SYS/TEMP] not enough memory");
	else
		pop3_ok(s, "send the password");
}

void pop3_cmd_pass(struct pop3 *s, struct slice arg)
{
	uint8_t plain[2 * POP3_NAME_MAX + 2];
	size_t n;

	if (s->name.p == NULL) {
		pop3_err(s, "USER comes first");
		return;
	}
	if (arg.n > POP3_NAME_MAX) {
		pop3_err(s, "not a password");
		return;
	}
	n = sasl_plain(slice_of(s->name.p, s->name.n), arg, plain);
	secret_fini(&s->name);
	begin(s, "PLAIN", true, slice_of(plain, n));
	secret_wipe(plain, n);
}

void pop3_cmd_apop(struct pop3 *s, struct slice arg)
{
	struct buf initial = BUF_INIT(2 * POP3_LINE_MAX);

	if (!pop3_apop_offered(s))
		pop3_err(s, "APOP is not available here");
	else if (sasl_apop(s->stamp, arg, &initial) != 0)
		pop3_err(s, "APOP takes a name and a digest");
	else
		begin(s, "APOP", true, buf_slice(&initial));
	buf_fini(&initial);
}

/* RFC 5034 4. The command alone lists the mechanisms, as older clients expect. */
void pop3_cmd_auth(struct pop3 *s, struct slice arg)
{
	struct buf *out = &s->port->out;

	if (slice_trim(arg).n == 0) {
		pop3_ok(s, "mechanisms follow");
		sasl_put_mechs(s->port, s->conf.mechs, "", "\r\n", out);
		buf_puts(out, ".\r\n");
		return;
	}
	switch (sasl_command(s->port, s->conf.mechs, arg)) {
	case 0:
		pop3_job(s, POP3_SASL_SERVER);
		break;
	case SASL_UNKNOWN:
		pop3_err(s, "unknown mechanism");
		break;
	case SASL_NEEDS_TLS:
		pop3_err(s, "clear-text passwords need TLS here");
		break;
	case SASL_BAD_BASE64:
		pop3_err(s, "the first response is not base64");
		break;
	default:
		pop3_job(s, POP3_SASL_SERVER);
		pop3_auth_gone(s);
	}
}

void pop3_sasl_line(struct pop3 *s, struct slice line)
{
	if (s->job == POP3_SASL_LAST) {
		if (line.n == 0) {
			pop3_open(s);
			return;
		}
		pop3_err(s, "authentication was broken off");
		pop3_close(s); /* the session was granted: there is no way back */
		return;
	}
	pop3_job(s, POP3_SASL_SERVER); /* what was broken off is confirmed by auth_refused */
	if (sasl_response(s->port, line) == SASL_GONE)
		pop3_auth_gone(s);
}

static void challenge(struct pop3 *s, struct slice data, enum pop3_job next)
{
	buf_puts(&s->port->out, "+ ");
	text_base64_encode(data, &s->port->out);
	buf_puts(&s->port->out, "\r\n");
	pop3_job(s, next);
}

/* RFC 3206: AUTH for what another name or password could cure, SYS for what is ours. */
static void refusal_text(struct pop3 *s, const struct ipc_auth_refused *m)
{
	struct buf *b = &s->refused;

	buf_reset(b);
	switch (m->why) {
	case IPC_AUTH_BAD:
		buf_puts(b, "[AUTH] wrong name or password");
		break;
	case IPC_AUTH_ROUTE:
		buf_puts(b, "[AUTH] ");
		text_put_safe(b, m->text.n > 0 ? m->text : SLICE("this name leads nowhere"), false);
		break;
	case IPC_AUTH_TRYLATER:
		buf_puts(b, "[SYS/TEMP] login is not possible now");
		break;
	case IPC_AUTH_DISABLED:
		buf_puts(b, "[SYS/PERM] this service is switched off for the account");
		break;
	case IPC_AUTH_LIMIT:
		buf_puts(b, "[SYS/TEMP] too many failed logins, try again later");
		break;
	case IPC_AUTH_NEEDTLS:
		buf_puts(b, "clear-text passwords need TLS here");
		break;
	case IPC_AUTH_NOMECH:
		buf_puts(b, "this mechanism is not available");
		break;
	case IPC_AUTH_CANCELLED:
		buf_puts(b, "authentication was broken off");
		break;
	default:
		buf_puts(b, "the mechanism did not understand that");
	}
}

static void refused(struct pop3 *s, const struct ipc_auth_refused *m)
{
	bool guess = m->why == IPC_AUTH_BAD || m->why == IPC_AUTH_ROUTE;

	refusal_text(s, m);
	s->failures += guess || m->why == IPC_AUTH_SYNTAX;
	if (m->left == 0)
		s->failures = POP3_LOGINS_MAX;
	pop3_job(s, POP3_DELAY);
	if (!guess)
		pop3_auth_delayed(s);
}

void pop3_auth_delayed(struct pop3 *s)
{
	pop3_job(s, POP3_NO_JOB);
	pop3_err(s, buf_cstr(&s->refused));
	if (s->failures >= POP3_LOGINS_MAX)
		pop3_close(s);
}

void pop3_auth_msg(struct pop3 *s, enum ipc_type type, const union ipc_any *m)
{
	if (s->job != POP3_SASL_SERVER)
		return;
	if (type == IPC_auth_challenge)
		challenge(s, m->auth_challenge.data, POP3_SASL_CLIENT);
	else if (type == IPC_auth_refused)
		refused(s, &m->auth_refused);
	else if (type == IPC_auth_granted && m->auth_granted.data.n > 0)
		challenge(s, m->auth_granted.data, POP3_SASL_LAST);
	else if (type == IPC_auth_granted)
		pop3_open(s);
}

/* A client that connects again gets a channel to the authd that runs by then. */
void pop3_auth_gone(struct pop3 *s)
{
	if (s->job == POP3_SASL_CLIENT || s->job == POP3_SASL_SERVER) {
		pop3_err(s, "[SYS/TEMP] login is not possible now");
		pop3_close(s);
	}
}
