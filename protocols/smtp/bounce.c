/*
 * bounce - names that nobody has, whose domain takes mail for them and reports the failure (RFC
 * 3464): who may have such a report, and what of the message it brings back. On port 25 the same
 * holds for a report of success.
 *
 * A recipient is taken only when the report can be stored here: the sender's address must lead to
 * one account of this server, which routerd says at the first such recipient of a message. Else it
 * is refused at RCPT, and whoever sends to us tells the sender. So a report never leaves this
 * machine, and is never made of a message that has no sender.
 */
#include "protocols/smtp/smtp-private.h"

/* ---- at RCPT ---- */

/*
 * What there must be room for. A report that turns out too large is known when the others have the
 * message: it would come to them again with every try. RET=FULL brings the message back as well.
 */
static uint64_t report_size(const struct smtp_txn *t)
{
	uint64_t back = t->declared > 0 ? t->declared : SMTP_RETURN_MAX;

	if (!t->bounce.full)
		return SMTP_REPORT_LIKELY;
	return SMTP_REPORT_LIKELY + (back < SMTP_RETURN_MAX ? back : SMTP_RETURN_MAX);
}

/* `report`: as in rcpt_ask. */
static void ask(struct smtp *s, uint32_t report)
{
	struct buf address = BUF_INIT(2 * SMTP_PATH_MAX);
	struct ipc_rcpt_ask m = { .seq = ++s->seq, .size = report_size(&s->txn), .report = report };
	struct smtp_bounce *b = &s->txn.bounce;

	smtp_path_plain(&s->txn.sender, &address);
	m.address = buf_slice(&address);
	b->seq = m.seq;
	b->sender = BOUNCE_ASKED;
	if (front_send(s->port, FRONT_RCPT, IPC_rcpt_ask, &m) != 0) {
		s->rcpt_gone = true;
		b->sender = BOUNCE_LATER;
	}
	buf_fini(&address);
}

/* `good` if a report can be stored for the sender of this message. */
static uint32_t sender_status(struct smtp *s, uint32_t report, uint32_t good)
{
	struct smtp_bounce *b = &s->txn.bounce;

	if (b->sender == BOUNCE_UNKNOWN)
		ask(s, report);
	switch (b->sender) {
	case BOUNCE_HERE:
		return good;
	case BOUNCE_ELSEWHERE:
		return IPC_ROUTE_UNKNOWN;
	case BOUNCE_LATER:
		return IPC_ROUTE_TRYLATER;
	default:
		return SMTP_BOUNCE_WAITS;
	}
}

uint32_t smtp_bounce_status(struct smtp *s, const struct smtp_pending *p)
{
	/* Who wants no report of failure is refused: nothing is to vanish without a word. */
	if (s->txn.sender.kind == SMTP_PATH_NULL || (p->notify & SMTP_NOTIFY_NO_FAILURE) != 0)
		return IPC_ROUTE_UNKNOWN;
	return sender_status(s, 1, IPC_ROUTE_BOUNCED);
}

/*
 * Who sends from another server has the report from there, as we do not offer any (RFC 3461 5.2.2).
 * Asked for one all the same, for a sender who cannot have it, we refuse the recipient: taken, the
 * wish would be lost without a word.
 */
uint32_t smtp_bounce_wish(struct smtp *s)
{
	return sender_status(s, 2, IPC_ROUTE_OK);
}

bool smtp_bounce_told(struct smtp *s, const struct ipc_rcpt_reply *m)
{
	struct smtp_bounce *b = &s->txn.bounce;

	if (b->sender != BOUNCE_ASKED || m->seq != b->seq)
		return false;
	b->sender = m->status == IPC_ROUTE_OK && m->handle != 0 ? BOUNCE_HERE
		    : m->status == IPC_ROUTE_TRYLATER           ? BOUNCE_LATER
								: BOUNCE_ELSEWHERE;
	b->handle = m->handle;
	return true;
}

void smtp_bounce_give_up(struct smtp *s)
{
	if (s->txn.bounce.sender == BOUNCE_ASKED)
		s->txn.bounce.sender = BOUNCE_LATER;
}

bool smtp_bounce_add(struct smtp *s, const struct smtp_pending *p)
{
	struct smtp_bounce *b = &s->txn.bounce;

	if (!smtp_report_add(s, p, SMTP_ACTION_FAILED))
		return false;
	b->n++;
	/* For people; who has no more room here stands in the report's other part. */
	if (b->names.n + p->address.n + 4 <= b->names.max) {
		buf_puts(&b->names, "  ");
		buf_put(&b->names, buf_slice(&p->address));
		buf_puts(&b->names, "\r\n");
	}
	return true;
}

/* ---- the message ---- */

void smtp_bounce_keep(struct smtp *s, struct slice text)
{
	struct smtp_bounce *b = &s->txn.bounce;
	size_t max = b->full && b->n > 0 ? SMTP_RETURN_MAX : SMTP_RETURN_HEAD_MAX;
	struct slice part = slice_part(text, 0, max - b->returned.n);

	if (s->txn.report.n > 0)
		b->cut |= buf_put(&b->returned, part) != 0 || part.n < text.n;
}

/*
 * Whole lines up to the header's end. One that begins as a boundary does is no field either: what a
 * stranger wrote must not end the part that it is in.
 */
static struct slice header_of(struct slice text)
{
	struct slice rest = text;

	for (;;) {
		ptrdiff_t end = slice_find(rest, '\n');

		if (end < 0 || rest.p[0] == '\r' || slice_starts(rest, SLICE("--")))
			return slice_part(text, 0, text.n - rest.n);
		rest = slice_from(rest, (size_t)end + 1);
	}
}

struct slice smtp_bounce_returned(const struct smtp *s, struct slice boundary, bool *ret_whole)
{
	const struct smtp_bounce *b = &s->txn.bounce;
	struct slice text = buf_slice(&b->returned);

	/* RFC 3461 4.3: RET is for a report that tells of a failure. */
	*ret_whole = b->n > 0 && b->full && !b->cut &&
		     memmem(text.p, text.n, boundary.p, boundary.n) == NULL;
	return *ret_whole ? text : header_of(text);
}

const char *smtp_bounce_text(uint32_t status)
{
	switch (status) {
	case IPC_ST_OK:
		return "250 2.0.0 nobody has this name, the sender is told";
	case IPC_ST_FULL:
		return "452 4.3.1 no space on the server";
	case IPC_ST_OVERQUOTA:
	case IPC_ST_TOOBIG:
	case IPC_ST_NOTFOUND:
	case IPC_ST_DENIED:
		return "550 5.1.1 no such user here"; /* and there is no report */
	default:
		return "451 4.3.0 not stored, try again";
	}
}
