/*
 * hello - LHLO and what it offers, STARTTLS, HELP.
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

void smtp_cmd_lhlo(struct smtp *s, struct slice arg)
{
	struct buf *out = &s->port->out;

	if (!hello_name_right(arg)) {
		smtp_error(s, "501 5.5.4 LHLO takes a host name");
		return;
	}
	smtp_txn_end(s);
	smtp_enter(s, SMTP_READY);
	memcpy(s->hello, arg.p, arg.n);
	s->hello[arg.n] = '\0';
	s->errors = 0;
	buf_puts(out, "250-");
	buf_put(out, s->port->facts->host);
	buf_puts(out, "\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
		      "250-ENHANCEDSTATUSCODES\r\n");
	if (s->port->facts->tls_offered && !s->port->facts->tls)
		buf_puts(out, "250-STARTTLS\r\n");
	buf_puts(out, "250 SIZE ");
	buf_putu(out, s->conf.size_max);
	buf_puts(out, "\r\n");
}

void smtp_cmd_starttls(struct smtp *s, struct slice arg)
{
	if (s->port->facts->tls) {
		smtp_error(s, "503 5.5.1 TLS is on already");
	} else if (!s->port->facts->tls_offered) {
		smtp_error(s, "502 5.5.1 TLS is not available here");
	} else {
		smtp_reply(s, "220 2.0.0 begin TLS");
		s->port->want_tls = true;
	}
}

void smtp_cmd_help(struct smtp *s, struct slice arg)
{
	smtp_reply(s, "214 2.0.0 LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT");
}
