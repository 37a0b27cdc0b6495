/*
 * auth - AUTH (RFC 4954). Passwords and mechanisms are authd's business; here they are only
 * carried. A login gives this process nothing but the word of routerd, which authd has told whose
 * connection this is: it answers for senders of that account, and for recipients after that.
 */
#include "protocols/smtp/smtp-private.h"

static const char unavailable[] = "454 4.7.0 login is not possible now";

void smtp_cmd_auth(struct smtp *s, struct slice arg)
{
	if (s->login.done) {
		smtp_error(s, "503 5.5.1 logged in already");
		return;
	}
	if (smtp_server_gone(s))
		return;
	switch (sasl_command(s->port, s->conf.mechs & ~SASL_APOP, arg)) {
	case 0:
		smtp_enter(s, SMTP_AUTH);
		break;
	case SASL_UNKNOWN:
		smtp_error(s, "504 5.5.4 unknown mechanism");
		break;
	case SASL_NEEDS_TLS:
		smtp_error(s, "538 5.7.11 clear-text passwords need TLS here");
		break;
	case SASL_BAD_BASE64:
		smtp_error(s, "501 5.5.2 the first response is not base64");
		break;
	default:
		smtp_enter(s, SMTP_AUTH);
		smtp_auth_gone(s);
	}
}

static void done(struct smtp *s)
{
	s->login.done = true;
	s->errors = 0;
	smtp_enter(s, SMTP_READY);
	smtp_reply(s, "235 2.7.0 logged in");
}

void smtp_auth_line(struct smtp *s, enum line_answer a, struct slice line)
{
	int r;

	if (s->login.last && a == LINE_OK && line.n == 0) {
		done(s);
		return;
	}
	if (s->login.last) {
		/* routerd takes us for logged in: there is no way back but a new connection. */
		smtp_enter(s, SMTP_READY);
		smtp_error(s, "501 5.7.0 the login was broken off");
		smtp_close(s, "421 4.7.0 connect again");
		return;
	}
	/* What is no line of base64 breaks off as "*" does, with another answer. */
	r = sasl_response(s->port, a == LINE_OK ? line : SLICE("?"));
	s->login.fault = a == LINE_LONG         ? "500 5.5.6 the response is too long"
			 : r == SASL_BAD_BASE64 ? "501 5.5.2 the response is not base64"
			 : r == SASL_CANCELLED  ? "501 5.7.0 the login was broken off"
						: NULL;
	smtp_enter(s, SMTP_AUTH);
	if (r == SASL_GONE)
		smtp_auth_gone(s);
}

static void challenge(struct smtp *s, struct slice data)
{
	buf_puts(&s->port->out, "334 ");
	text_base64_encode(data, &s->port->out);
	buf_puts(&s->port->out, "\r\n");
	smtp_enter(s, SMTP_RESPONSE);
}

static const char *refusal_text(const struct smtp *s, uint32_t why)
{
	switch (why) {
	case IPC_AUTH_BAD:
	case IPC_AUTH_ROUTE:
		return "535 5.7.8 wrong name or password";
	case IPC_AUTH_TRYLATER:
		return unavailable;
	case IPC_AUTH_DISABLED:
		return "525 5.7.13 this account is switched off";
	case IPC_AUTH_LIMIT:
		return "454 4.7.0 too many failed logins, try again later";
	case IPC_AUTH_NEEDTLS:
		return "538 5.7.11 clear-text passwords need TLS here";
	case IPC_AUTH_NOMECH:
		return "504 5.5.4 this mechanism is not available";
	case IPC_AUTH_CANCELLED:
		return s->login.fault != NULL ? s->login.fault
					      : "501 5.7.0 the login was broken off";
	default:
		return "501 5.5.2 the mechanism did not understand that";
	}
}

static void refuse(struct smtp *s)
{
	s->login.delaying = false;
	smtp_enter(s, SMTP_READY);
	smtp_error(s, buf_cstr(&s->login.refused));
	if (s->login.failures >= SMTP_LOGINS_MAX)
		smtp_close(s, "421 4.7.0 too many failed logins");
}

static void on_refused(struct smtp *s, const struct ipc_auth_refused *m)
{
	bool guess = m->why == IPC_AUTH_BAD || m->why == IPC_AUTH_ROUTE;

	buf_reset(&s->login.refused);
	buf_puts(&s->login.refused, refusal_text(s, m->why));
	s->login.fault = NULL;
	s->login.failures += guess || m->why == IPC_AUTH_SYNTAX;
	if (m->left == 0)
		s->login.failures = SMTP_LOGINS_MAX;
	if (guess)
		s->login.delaying = true; /* the deadline that is set now lets it out */
	else
		refuse(s);
}

void smtp_auth_msg(struct smtp *s, enum ipc_type type, const union ipc_any *m)
{
	if (s->state == SMTP_RESPONSE && type == IPC_auth_refused) {
		/* authd waits no longer. What the client says next may be a password, no command.
		 */
		smtp_close(s, "421 4.4.2 nothing was heard for too long");
		return;
	}
	if (s->state != SMTP_AUTH || s->login.delaying)
		return;
	if (type == IPC_auth_challenge) {
		challenge(s, m->auth_challenge.data);
	} else if (type == IPC_auth_refused) {
		on_refused(s, &m->auth_refused);
	} else if (type == IPC_auth_post && m->auth_post.data.n > 0) {
		s->login.last = true;
		challenge(s, m->auth_post.data);
	} else if (type == IPC_auth_post) {
		done(s);
	}
}

/* A client that connects again gets a channel to the authd that runs by then. */
void smtp_auth_gone(struct smtp *s)
{
	bool waits = s->state == SMTP_AUTH && !s->login.delaying;

	if (s->login.last || (!waits && s->state != SMTP_RESPONSE))
		return;
	smtp_enter(s, SMTP_READY);
	smtp_error(s, unavailable);
	smtp_close(s, "421 4.3.2 come back in a moment");
}

void smtp_auth_timeout(struct smtp *s)
{
	if (s->login.delaying)
		refuse(s);
	else
		smtp_auth_gone(s);
}
