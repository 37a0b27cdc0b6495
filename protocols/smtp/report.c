/*
 * report - what becomes of a message, told to its sender (RFC 3464): the success that a submitting
 * client asked for (RFC 3461 5.2.3) and the failure of names that nobody has (bounce.c), in one
 * report for all, in the sender's own INBOX, when the message is durable for those who get it and
 * before the client hears so.
 *
 * It has no return path and is made of no message that has none, so that it is never answered by
 * another one. As nothing is sent out yet, a sender who is not of this server gets none: on port 25
 * his wish is refused (bounce.c), on submission whoever logged in has the report.
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

/* One report has one group of fields for each recipient. */
static void put_fields(struct buf *out, const struct smtp_pending *p, enum smtp_action action)
{
	static const char *const words[] = { [SMTP_ACTION_DELIVERED] = "delivered",
		[SMTP_ACTION_EXPANDED] = "expanded",
		[SMTP_ACTION_FAILED] = "failed" };
	struct slice orcpt = buf_slice(&p->orcpt), address = buf_slice(&p->address), type;

	if (orcpt.n > 0) {
		type = slice_take(&orcpt, ';');
		buf_puts(out, "Original-Recipient: ");
		buf_put(out, type);
		buf_putc(out, ';');
		put_xtext(out, orcpt);
		buf_puts(out, "\r\n");
	}
	address = slice_part(address, 1, address.n - 2); /* without < > */
	buf_puts(out, is_ascii(address) ? "Final-Recipient: rfc822;" : "Final-Recipient: utf-8;");
	buf_put(out, address);
	buf_printf(out, "\r\nAction: %s\r\nStatus: %s\r\n\r\n", words[action],
	    action == SMTP_ACTION_FAILED ? "5.1.1" : "2.0.0");
}

bool smtp_report_add(struct smtp *s, const struct smtp_pending *p, enum smtp_action action)
{
	struct buf *out = &s->txn.report, one = BUF_INIT(SMTP_REPORT_MAX);
	bool fits;

	put_fields(&one, p, action);
	fits = !one.overflow && out->n + one.n <= SMTP_REPORT_MAX &&
	       buf_put(out, buf_slice(&one)) == 0;
	buf_fini(&one);
	return fits;
}

void smtp_report_success(struct smtp *s, const struct smtp_pending *p, bool group)
{
	if ((p->notify & SMTP_NOTIFY_SUCCESS) == 0 || s->txn.sender.kind == SMTP_PATH_NULL)
		return;
	/* Who has no more room in it is left out: the others have it before them. */
	(void)smtp_report_add(s, p, group ? SMTP_ACTION_EXPANDED : SMTP_ACTION_DELIVERED);
}

/* ---- the message ---- */

static const char *subject_of(const struct smtp_txn *t)
{
	if (t->bounce.n == 0)
		return "Your message was delivered";
	return t->bounce.n == t->n_rcpts ? "Your message could not be delivered"
					 : "Your message could not be delivered to everybody";
}

static void put_head(
    const struct smtp *s, struct slice host, struct slice boundary, bool ascii, struct buf *out)
{
	struct mail_date now = { .unix_s = s->port->wall_s };

	buf_puts(out, "Return-Path: <>\r\nDate: ");
	mail_date_print(&now, out);
	buf_puts(out, "\r\nFrom: Mail Delivery <postmaster@");
	buf_put(out, host);
	buf_puts(out, ">\r\nTo: ");
	smtp_path_print(&s->txn.sender, out);
	buf_printf(out, "\r\nMessage-ID: <%llx.%llx.%x.report@",
	    (unsigned long long)s->port->wall_s, (unsigned long long)s->port->facts->sid, s->tag);
	buf_put(out, host);
	buf_printf(out,
	    ">\r\nSubject: %s\r\nAuto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%.*s\"\r\n%s\r\n",
	    subject_of(&s->txn), SLICE_FMT(boundary),
	    ascii ? "" : "Content-Transfer-Encoding: 8bit\r\n");
}

static void put_boundary(struct slice boundary, struct buf *out, const char *end)
{
	buf_printf(out, "--%.*s%s\r\n", SLICE_FMT(boundary), end);
}

static void put_type(struct buf *out, const char *type, const char *beyond_ascii, struct slice text)
{
	buf_printf(out, "Content-Type: %s\r\n", is_ascii(text) ? type : beyond_ascii);
	if (!is_ascii(text))
		buf_puts(out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_puts(out, "\r\n");
}

static void put_words(const struct smtp_txn *t, struct buf *out)
{
	struct slice names = buf_slice(&t->bounce.names);

	put_type(out, "text/plain; charset=us-ascii", "text/plain; charset=utf-8", names);
	if (t->bounce.n == 0) {
		buf_puts(out, "Your message is in the mailboxes of the recipients below.\r\n\r\n");
		return;
	}
	buf_puts(
	    out, "Nobody has these names here, so that nobody got your message for them:\r\n\r\n");
	buf_put(out, names);
	buf_puts(out, t->bounce.n == t->n_rcpts ? "\r\n" : "\r\nThe others have it.\r\n\r\n");
}

static void put_status(const struct smtp *s, struct slice host, struct buf *out)
{
	struct slice report = buf_slice(&s->txn.report);

	put_type(out, "message/delivery-status", "message/global-delivery-status", report);
	if (s->txn.envid.n > 0) {
		buf_puts(out, "Original-Envelope-Id: ");
		buf_put(out, buf_slice(&s->txn.envid));
		buf_puts(out, "\r\n");
	}
	/* RFC 3461 6.3 b: "dns" only of a name that is known there. */
	buf_puts(out, slice_find(host, '.') >= 0 ? "Reporting-MTA: dns;"
						 : "Reporting-MTA: x-local-hostname;");
	buf_put(out, host);
	buf_puts(out, "\r\n\r\n");
	buf_put(out, report);
}

static void put_returned(const struct smtp *s, struct slice boundary, struct buf *out)
{
	bool whole;
	struct slice text = smtp_bounce_returned(s, boundary, &whole);
	const char *all = s->txn.utf8 ? "message/global" : "message/rfc822";

	put_boundary(boundary, out, "");
	if (whole)
		put_type(out, all, all, text);
	else
		put_type(out, "text/rfc822-headers", "message/global-headers", text);
	buf_put(out, text);
	buf_puts(out, "\r\n");
}

static void put_message(const struct smtp *s, struct buf *out)
{
	struct slice host = s->port->facts->host, boundary;
	struct buf mark = BUF_INIT(70); /* RFC 2046 5.1.1 */
	struct buf parts = BUF_INIT(out->max);

	buf_printf(&mark, "=_%llx.%llx.%x", (unsigned long long)s->port->wall_s,
	    (unsigned long long)s->port->facts->sid, s->tag);
	boundary = buf_slice(&mark);
	put_boundary(boundary, &parts, "");
	put_words(&s->txn, &parts);
	put_boundary(boundary, &parts, "");
	put_status(s, host, &parts);
	put_returned(s, boundary, &parts);
	put_boundary(boundary, &parts, "--");
	put_head(s, host, boundary, is_ascii(buf_slice(&parts)), out);
	buf_put(out, buf_slice(&parts));
	out->overflow |= parts.overflow;
	buf_fini(&parts);
	buf_fini(&mark);
}

/* ---- its way ---- */

/* As much as stored has room for; then it is to be made durable. */
static bool post_more(struct smtp *s)
{
	struct buf *text = &s->txn.sending;
	struct ipc_post_data data = { .tag = s->tag };
	struct ipc_post_commit commit = { .tag = s->tag }; /* its facts are made behind us */

	while (text->n > 0 && s->window > 0) {
		data.data = slice_part(buf_slice(text), 0,
		    s->window < SMTP_CHUNK_MAX ? (size_t)s->window : SMTP_CHUNK_MAX);
		if (front_send(s->port, FRONT_POST, IPC_post_data, &data) != 0)
			return false;
		s->window -= (int64_t)data.data.n;
		buf_consume(text, data.data.n);
	}
	if (text->n > 0)
		return true;
	s->txn.report_open = false;
	return front_send(s->port, FRONT_POST, IPC_post_commit, &commit) == 0;
}

static bool post(struct smtp *s, uint32_t handle)
{
	struct buf *text = &s->txn.sending;
	uint8_t packed[4];
	struct ipc_post_begin begin = { .handles = slice_of(packed, sizeof(packed)) };

	begin.tag = ++s->tag;
	wire_store_u32(packed, handle);
	put_message(s, text);
	begin.size_hint = text->n;
	if (text->overflow || front_send(s->port, FRONT_POST, IPC_post_begin, &begin) != 0)
		return false;
	s->txn.report_open = true;
	return post_more(s);
}

void smtp_report_credit(struct smtp *s)
{
	if (s->txn.report_open && !post_more(s))
		smtp_report_over(s, IPC_ST_TRYLATER);
}

/* Who is to have it may be known since a recipient was taken, and is asked for now else. */
static bool begin(struct smtp *s)
{
	struct buf address = BUF_INIT(2 * SMTP_PATH_MAX);
	struct ipc_rcpt_ask m = { .seq = ++s->seq, .report = 2 };
	bool sent;

	if (s->txn.bounce.sender == BOUNCE_HERE)
		return post(s, s->txn.bounce.handle);
	smtp_path_plain(&s->txn.sender, &address);
	m.address = buf_slice(&address);
	sent = front_send(s->port, FRONT_RCPT, IPC_rcpt_ask, &m) == 0;
	s->report_seq = m.seq;
	buf_fini(&address);
	return sent;
}

bool smtp_report_begin(struct smtp *s)
{
	if (s->txn.report.n == 0 || s->txn.reported)
		return false;
	s->txn.reported = true;
	smtp_enter(s, SMTP_REPORT);
	if (!begin(s))
		smtp_report_over(s, IPC_ST_TRYLATER);
	return true;
}

void smtp_report_rcpt(struct smtp *s, const struct ipc_rcpt_reply *m)
{
	if (s->state != SMTP_REPORT || m->seq != s->report_seq)
		return;
	if (m->status != IPC_ROUTE_OK || m->handle == 0 || !post(s, m->handle))
		smtp_report_over(s, IPC_ST_TRYLATER);
}

void smtp_report_result(struct smtp *s, const struct ipc_post_result *m)
{
	struct smtp_bounce *b = &s->txn.bounce;

	if (s->state != SMTP_REPORT || m->tag != s->tag)
		return;
	/* The room that there was has gone to somebody else: for the header there may still be
	 * some. */
	if ((m->status == IPC_ST_OVERQUOTA || m->status == IPC_ST_TOOBIG) && b->n > 0 && b->full) {
		b->full = false;
		if (!post(s, b->handle))
			smtp_report_over(s, IPC_ST_TRYLATER);
		return;
	}
	smtp_report_over(s, m->status);
}
