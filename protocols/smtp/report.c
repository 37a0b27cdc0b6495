/*
 * report - the report of success that a submitting client asked for (RFC 3461 5.2.3, RFC 3464):
 * into the sender's own INBOX, when the message is durable for all its recipients and before the
 * client hears so.
 *
 * It has no return path and is made of no message that has none, so that it is never answered by
 * another one. A sender who is not of this server gets none, as nothing is sent out yet.
 */
#include "protocols/smtp/smtp-private.h"

#include "common/base/wire.h"
#include "common/mail/date.h"

static uint8_t hex_value(uint8_t c)
{
	return ascii_digit(c) ? (uint8_t)(c - '0') : (uint8_t)((ascii_lower(c) - 'a' + 10) & 0x0f);
}

/* RFC 3461 4, as checked before. Control characters, which would end a field, are left out. */
static void put_xtext(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c == '+' && i + 2 < text.n) {
			c = (uint8_t)(hex_value(text.p[i + 1]) << 4 | hex_value(text.p[i + 2]));
			i += 2;
		}
		if (c >= ' ' && c != 0x7f)
			buf_putc(out, (char)c);
	}
}

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 0x80)
			return false;
	return true;
}

void smtp_report_envid(struct smtp *s, struct slice value)
{
	buf_reset(&s->txn.envid);
	put_xtext(&s->txn.envid, value);
}

/* A recipient that was taken; `p` holds what its RCPT said. */
void smtp_report_add(struct smtp *s, const struct smtp_pending *p, bool group)
{
	struct buf *out = &s->txn.report, one = BUF_INIT(SMTP_REPORT_MAX);
	struct slice orcpt = buf_slice(&p->orcpt), type, address = buf_slice(&p->address);

	if (!p->notify || s->mode != SMTP_SUBMISSION || s->txn.sender.kind == SMTP_PATH_NULL)
		return;
	if (orcpt.n > 0) {
		type = slice_take(&orcpt, ';');
		buf_puts(&one, "Original-Recipient: ");
		buf_put(&one, type);
		buf_putc(&one, ';');
		put_xtext(&one, orcpt);
		buf_puts(&one, "\r\n");
	}
	address = slice_part(address, 1, address.n - 2); /* without < > */
	buf_puts(&one, is_ascii(address) ? "Final-Recipient: rfc822;" : "Final-Recipient: utf-8;");
	buf_put(&one, address);
	buf_puts(&one, group ? "\r\nAction: expanded\r\n" : "\r\nAction: delivered\r\n");
	buf_puts(&one, "Status: 2.0.0\r\n\r\n");
	/* One report is one post_data; who is not in it had no more room. */
	if (!one.overflow && out->n + one.n <= SMTP_REPORT_MAX)
		buf_put(out, buf_slice(&one));
	buf_fini(&one);
}

/* ---- the message ---- */

static void put_head(const struct smtp *s, struct slice host, struct buf *out)
{
	struct mail_date now = { .unix_s = s->port->wall_s };
	unsigned long long at = (unsigned long long)s->port->wall_s,
			   sid = (unsigned long long)s->port->facts->sid;

	buf_puts(out, "Return-Path: <>\r\nDate: ");
	mail_date_print(&now, out);
	buf_puts(out, "\r\nFrom: Mail Delivery <postmaster@");
	buf_put(out, host);
	buf_puts(out, ">\r\nTo: ");
	smtp_path_print(&s->txn.sender, out);
	buf_printf(out, "\r\nMessage-ID: <%llx.%llx.%x.report@", at, sid, s->tag);
	buf_put(out, host);
	buf_printf(out,
	    ">\r\nSubject: Your message was delivered\r\nAuto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"=_%llx.%llx.%x\"\r\n\r\n",
	    at, sid, s->tag);
}

static void put_boundary(const struct smtp *s, struct buf *out, const char *end)
{
	buf_printf(out, "--=_%llx.%llx.%x%s\r\n", (unsigned long long)s->port->wall_s,
	    (unsigned long long)s->port->facts->sid, s->tag, end);
}

static void put_message(const struct smtp *s, struct buf *out)
{
	struct slice host = s->port->facts->host, report = buf_slice(&s->txn.report);

	put_head(s, host, out);
	put_boundary(s, out, "");
	buf_puts(out, "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
		      "Your message is in the mailboxes of the recipients below.\r\n\r\n");
	put_boundary(s, out, "");
	buf_puts(out, is_ascii(report) ? "Content-Type: message/delivery-status\r\n\r\n"
				       : "Content-Type: message/global-delivery-status\r\n"
					 "Content-Transfer-Encoding: 8bit\r\n\r\n");
	if (s->txn.envid.n > 0) {
		buf_puts(out, "Original-Envelope-Id: ");
		buf_put(out, buf_slice(&s->txn.envid));
		buf_puts(out, "\r\n");
	}
	buf_puts(out, "Reporting-MTA: dns;");
	buf_put(out, host);
	buf_puts(out, "\r\n\r\n");
	buf_put(out, report);
	put_boundary(s, out, "--");
}

static bool post(struct smtp *s, uint32_t handle)
{
	struct buf text = BUF_INIT(SMTP_CHUNK_MAX);
	uint8_t packed[4];
	struct ipc_post_begin begin = { .handles = slice_of(packed, sizeof(packed)) };
	struct ipc_post_data data = { 0 };
	struct ipc_post_commit commit = { 0 }; /* its facts are made behind us */
	bool sent;

	begin.tag = data.tag = commit.tag = ++s->tag;
	wire_store_u32(packed, handle);
	put_message(s, &text);
	data.data = buf_slice(&text);
	begin.size_hint = text.n;
	sent = !text.overflow && front_send(s->port, FRONT_POST, IPC_post_begin, &begin) == 0 &&
	       front_send(s->port, FRONT_POST, IPC_post_data, &data) == 0 &&
	       front_send(s->port, FRONT_POST, IPC_post_commit, &commit) == 0;
	s->window -= (int64_t)text.n;
	buf_fini(&text);
	return sent;
}

/* ---- its way ---- */

bool smtp_report_begin(struct smtp *s)
{
	struct buf address = BUF_INIT(2 * SMTP_PATH_MAX);
	struct ipc_rcpt_ask m = { .seq = ++s->seq };
	bool sent;

	if (s->txn.report.n == 0 || s->txn.reported)
		return false;
	s->txn.reported = true;
	smtp_path_plain(&s->txn.sender, &address);
	m.address = buf_slice(&address);
	sent = front_send(s->port, FRONT_RCPT, IPC_rcpt_ask, &m) == 0;
	s->report_seq = m.seq;
	if (sent)
		smtp_enter(s, SMTP_REPORT);
	buf_fini(&address);
	return sent;
}

void smtp_report_rcpt(struct smtp *s, const struct ipc_rcpt_reply *m)
{
	if (s->state != SMTP_REPORT || m->seq != s->report_seq)
		return;
	/* A group's other members, if a sender can be one, have not asked for anything. */
	if (m->status != IPC_ROUTE_OK || m->handle == 0 || !post(s, m->handle))
		smtp_report_over(s);
}

void smtp_report_result(struct smtp *s, const struct ipc_post_result *m)
{
	if (s->state == SMTP_REPORT && m->tag == s->tag)
		smtp_report_over(s);
}
