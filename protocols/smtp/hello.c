/*
 * hello - the greeting; LHLO, EHLO, HELO and what they offer; STARTTLS.
 */
#include "protocols/smtp/smtp-private.h"

/* A domain or an address literal, near enough (RFC 5321 4.1.1.1 forbids to refuse mail for it). */
static bool hello_name_right(struct slice name)
{
	if (name.n == 0 || name.n > SMTP_HELLO_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c <= ' ' || c == 0x7f || strchr("()<>@,;\\\"", c) != NULL)
			return false;
	}
	return true;
}

static bool hello_take(struct smtp *s, struct slice name)
{
	if (!hello_name_right(name)) {
		smtp_error(s, s->mode == SMTP_LMTP ? "501 5.5.4 LHLO takes a host name"
						   : "501 5.5.4 EHLO takes a host name");
		return false;
	}
	smtp_txn_end(s);
	smtp_enter(s, SMTP_READY);
	memcpy(s->hello, name.p, name.n);
	s->hello[name.n] = '\0';
	return true;
}

static void put_auth(struct smtp *s, struct buf *out)
{
	size_t at = out->n;

	sasl_put_mechs(s->port, s->conf.mechs, " ", "", out);
	if (out->n == at)
		return;
	buf_trunc(out, at);
	buf_puts(out, "250-AUTH");
	sasl_put_mechs(s->port, s->conf.mechs, " ", "", out);
	buf_puts(out, "\r\n");
}

void smtp_cmd_hello(struct smtp *s, struct slice arg)
{
	struct buf *out = &s->port->out;

	if (!hello_take(s, arg))
		return;
	s->extended = true;
	if (s->mode == SMTP_LMTP)
		s->errors = 0;
	buf_puts(out, "250-");
	buf_put(out, s->port->facts->host);
	buf_puts(out, "\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
		      "250-ENHANCEDSTATUSCODES\r\n");
	/* Who offers it makes reports for every sender (RFC 3461 5.2.3). Not we, for those of other
	 * servers: the one that sends to us makes them if we do not say that we do (5.2.2). */
	if (s->mode == SMTP_SUBMISSION)
		buf_puts(out, "250-DSN\r\n");
	if (s->port->facts->tls_offered && !s->port->facts->tls)
		buf_puts(out, "250-STARTTLS\r\n");
	if (smtp_login_missing(s))
		put_auth(s, out);
	buf_puts(out, "250 SIZE ");
	buf_putu(out, s->conf.size_max);
	buf_puts(out, "\r\n");
}

/* RFC 5321 4.1.1.1: an old client is told nothing but our name. */
void smtp_cmd_helo(struct smtp *s, struct slice arg)
{
	struct buf *out = &s->port->out;

	if (!hello_take(s, arg))
		return;
	s->extended = false;
	buf_puts(out, "250 ");
	buf_put(out, s->port->facts->host);
	buf_puts(out, "\r\n");
}

void smtp_greet(struct smtp *s)
{
	struct buf *out = &s->port->out;

	buf_puts(out, "220 ");
	buf_put(out, s->port->facts->host);
	buf_puts(out, s->mode == SMTP_LMTP ? " LMTP ready\r\n" : " ESMTP ready\r\n");
}

void smtp_cmd_starttls(struct smtp *s, struct slice arg)
{
	if (s->port->facts->tls) {
		smtp_error(s, "503 5.5.1 TLS is on already");
	} else if (s->login.done) {
		/* It would have to be forgotten, and a connection has one login. */
		smtp_error(s, "503 5.5.1 TLS comes before the login");
	} else if (!s->port->facts->tls_offered) {
		smtp_error(s, "502 5.5.1 TLS is not available here");
	} else {
		smtp_reply(s, "220 2.0.0 begin TLS");
		s->port->want_tls = true;
	}
}
