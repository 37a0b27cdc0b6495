/*
 * trace - the two fields that go in front of a message (RFC 5321 4.4). One body serves all
 * recipients, so that a recipient is named only where there is no other.
 */
#include "protocols/smtp/smtp-private.h"

#include "common/mail/date.h"

/* RFC 3848, RFC 6531 4.3. */
static const char *with(const struct smtp *s)
{
	bool tls = s->port->facts->tls;

	if (s->txn.utf8)
		return tls ? "UTF8LMTPS" : "UTF8LMTP";
	return tls ? "LMTPS" : "LMTP";
}

static void put_peer(const struct front_facts *f, struct buf *out)
{
	char ip[ADDR_TEXT_MAX];

	if (f->peer.family != 4 && f->peer.family != 6) {
		buf_puts(out, " (local)");
		return;
	}
	buf_puts(out, f->peer.family == 6 ? " ([IPv6:" : " ([");
	buf_puts(out, addr_ip_text(&f->peer, ip));
	buf_puts(out, "])");
}

void smtp_trace_put(const struct smtp *s, struct buf *out)
{
	struct mail_date now = { .unix_s = s->port->wall_s };

	buf_puts(out, "Return-Path: ");
	smtp_path_print(&s->txn.sender, out);
	buf_puts(out, "\r\nReceived: from ");
	text_put_safe(out, slice_str(s->hello), false);
	put_peer(s->port->facts, out);
	buf_puts(out, "\r\n\tby ");
	buf_put(out, s->port->facts->host);
	buf_printf(
	    out, " with %s id %llx.%x", with(s), (unsigned long long)s->port->facts->sid, s->tag);
	if (s->txn.n_rcpts == 1) {
		buf_puts(out, "\r\n\tfor ");
		buf_put(out, buf_slice(&s->txn.only_rcpt));
	}
	buf_puts(out, ";\r\n\t");
	mail_date_print(&now, out);
	buf_puts(out, "\r\n");
}
