/*
 * trace - the two fields that go in front of a message (RFC 5321 4.4), and those of a submitted one
 * that its sender left out. One body serves all recipients, so that a recipient is named only where
 * there is no other account that gets it.
 */
#include "protocols/smtp/smtp-private.h"

#include "common/mail/date.h"

/* RFC 3848, RFC 6531 4.3. */
static void put_with(const struct smtp *s, struct buf *out)
{
	if (s->txn.utf8 && s->extended)
		buf_puts(out, s->mode == SMTP_LMTP ? "UTF8LMTP" : "UTF8SMTP");
	else
		buf_puts(out, s->mode == SMTP_LMTP ? "LMTP" : s->extended ? "ESMTP" : "SMTP");
	if (s->port->facts->tls && s->extended)
		buf_putc(out, 'S');
	if (s->login.done && s->extended)
		buf_putc(out, 'A');
}

/* As the log writes the session, then the number of the message. */
static void put_id(const struct smtp *s, struct buf *out)
{
	uint64_t sid = s->port->facts->sid;

	buf_printf(out, "%x-%x.%x", (unsigned)(sid >> 32), (unsigned)sid, s->tag);
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
	buf_puts(out, "\r\nReceived: ");
	/* Where our own users sit is nobody else's business; the log knows it by the id. */
	if (s->mode != SMTP_SUBMISSION) {
		buf_puts(out, "from ");
		text_put_safe(out, slice_str(s->hello), false);
		put_peer(s->port->facts, out);
		buf_puts(out, "\r\n\t");
	}
	buf_puts(out, "by ");
	buf_put(out, s->port->facts->host);
	buf_puts(out, " with ");
	put_with(s, out);
	buf_puts(out, " id ");
	put_id(s, out);
	if (s->txn.n_rcpts == 1) {
		buf_puts(out, "\r\n\tfor ");
		buf_put(out, buf_slice(&s->txn.only_rcpt));
	}
	buf_puts(out, ";\r\n\t");
	mail_date_print(&now, out);
	buf_puts(out, "\r\n");
	if (s->txn.n_names > 1 && !s->txn.apart)
		buf_put(out, buf_slice(&s->txn.same_rcpts));
}

void smtp_missing_put(const struct smtp *s, struct buf *out)
{
	struct mail_date now = { .unix_s = s->port->wall_s };

	if (!s->txn.fixup.date) {
		buf_puts(out, "Date: ");
		mail_date_print(&now, out);
		buf_puts(out, "\r\n");
	}
	if (!s->txn.fixup.message_id) {
		buf_printf(out, "Message-ID: <%llx.", (unsigned long long)s->port->wall_s);
		put_id(s, out);
		buf_putc(out, '@');
		buf_put(out, s->port->facts->host);
		buf_puts(out, ">\r\n");
	}
}
