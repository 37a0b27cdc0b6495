/*
 * envelope - MAIL and RCPT. A recipient is asked for at routerd while the next ones are read; the
 * replies keep the order of the commands.
 */
#include "protocols/smtp/smtp-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

static const char too_many[] = "452 4.5.3 too many recipients";
static const char no_report[] = "555 5.5.4 this sender cannot have a report of success from us";

/* Takes "FROM:" or "TO:" off; blanks after the colon are passed over by the path parser. */
static bool take_word(struct slice *arg, struct slice word)
{
	if (!slice_istarts(*arg, word))
		return false;
	*arg = slice_from(*arg, word.n);
	return true;
}

static const char *mail_check(struct smtp *s, struct slice arg)
{
	struct smtp_path *sender = &s->txn.sender;
	struct slice rest;
	const char *refusal;

	if (!take_word(&arg, SLICE("FROM:")))
		return "501 5.5.4 MAIL FROM:<address>";
	if (smtp_path_parse(arg, sender, &rest) != 0 || sender->kind == SMTP_PATH_LOCAL)
		return "501 5.1.7 not an address";
	refusal = smtp_mail_params(s, rest);
	if (refusal == NULL && sender->utf8 && !s->txn.utf8)
		refusal = "550 5.6.7 this address needs SMTPUTF8";
	return refusal;
}

/* local@domain as routerd wants it: the local part without its quotes. */
void smtp_path_plain(const struct smtp_path *path, struct buf *out)
{
	buf_put(out, smtp_path_local(path));
	if (path->kind == SMTP_PATH_DOMAIN || path->kind == SMTP_PATH_LITERAL) {
		buf_putc(out, '@');
		buf_put(out, smtp_path_domain(path));
	}
}

static void mail_taken(struct smtp *s)
{
	smtp_enter(s, SMTP_MAIL);
	smtp_reply(s, "250 2.1.0 sender taken");
}

static void mail_refused(struct smtp *s, const char *refusal)
{
	smtp_txn_end(s);
	smtp_error(s, refusal);
}

/* routerd decides, with the account that authd has told it of. */
static void sender_ask(struct smtp *s)
{
	struct buf address = BUF_INIT(2 * SMTP_PATH_MAX);
	struct ipc_sender_ask m = { .seq = s->sender_seq = ++s->seq };

	smtp_path_plain(&s->txn.sender, &address);
	m.address = buf_slice(&address);
	smtp_enter(s, SMTP_SENDER);
	if (front_send(s->port, FRONT_RCPT, IPC_sender_ask, &m) != 0) {
		s->rcpt_gone = true;
		smtp_rcpt_give_up(s);
	}
	buf_fini(&address);
}

void smtp_cmd_mail(struct smtp *s, struct slice arg)
{
	const char *refusal;

	if (smtp_server_gone(s))
		return;
	buf_reset(&s->txn.envid);
	refusal = mail_check(s, arg);
	if (refusal != NULL)
		mail_refused(s, refusal);
	else if (s->mode == SMTP_SUBMISSION)
		sender_ask(s);
	else
		mail_taken(s);
}

static void sender_answer(struct smtp *s, uint32_t status)
{
	if (status == IPC_ROUTE_OK)
		mail_taken(s);
	else if (status == IPC_ROUTE_REFUSED)
		mail_refused(s, "550 5.7.1 this address is not yours to send from");
	else if (status == IPC_ROUTE_DISABLED)
		mail_refused(s, "550 5.2.1 this account is switched off");
	else
		mail_refused(s, "451 4.3.0 not known now, try again");
}

void smtp_sender_msg(struct smtp *s, const struct ipc_sender_reply *m)
{
	if (s->state == SMTP_SENDER && m->seq == s->sender_seq)
		sender_answer(s, m->status);
}

static const char *rcpt_check(struct smtp *s, struct slice arg, struct smtp_path *path)
{
	const char *refusal;
	struct slice rest;

	if (!take_word(&arg, SLICE("TO:")))
		return "501 5.5.4 RCPT TO:<address>";
	if (smtp_path_parse(arg, path, &rest) != 0 || path->kind == SMTP_PATH_NULL)
		return "501 5.1.3 not an address";
	/* Without a domain an '@' inside quotes would become one. */
	if (path->kind == SMTP_PATH_LOCAL && slice_find(smtp_path_local(path), '@') >= 0)
		return "501 5.1.3 not an address";
	if (slice_find(smtp_path_local(path), 0) >= 0)
		return "501 5.1.3 not an address";
	if (path->utf8 && !s->txn.utf8)
		return "553 5.6.7 this address needs SMTPUTF8";
	s->notify = 0;
	s->orcpt = SLICE_NONE;
	refusal = smtp_rcpt_params(s, rest);
	if (refusal == NULL && s->txn.n_rcpts >= s->conf.rcpts_max)
		refusal = too_many;
	return refusal;
}

static const char *not_local_text(enum smtp_mode mode)
{
	if (mode == SMTP_LMTP)
		return "550 5.7.1 this address leads away from here, and we do not relay";
	if (mode == SMTP_MX)
		return "550 5.7.1 relaying is not available";
	return "550 5.7.1 not an address of this server, and it does not send to others yet";
}

static const char *route_text(enum smtp_mode mode, uint32_t status)
{
	switch (status) {
	case IPC_ROUTE_OK:
	case IPC_ROUTE_DISCARD:
	case IPC_ROUTE_BOUNCED:
		return "250 2.1.5 recipient taken";
	case IPC_ROUTE_UNKNOWN:
		return "550 5.1.1 no such user here";
	case IPC_ROUTE_NOTLOCAL:
		return not_local_text(mode);
	case IPC_ROUTE_SYNTAX:
		return "553 5.1.3 not an address";
	case IPC_ROUTE_LOOP:
		return "550 5.4.6 this address leads in a circle";
	case IPC_ROUTE_DISABLED:
		return "550 5.2.1 this account takes no mail";
	case IPC_ROUTE_OFF:
		return "450 4.2.1 mail is switched off for this account now";
	case IPC_ROUTE_OVERQUOTA:
		return "452 4.2.2 the mailbox is over its quota";
	case IPC_ROUTE_REFUSED:
		return "550 5.7.1 refused";
	default:
		return "451 4.3.0 not known now, try again";
	}
}

static struct smtp_pending *pending_at(struct smtp *s, unsigned i)
{
	return &s->pending[(s->pending_head + i) % SMTP_PENDING_MAX];
}

static void rcpt_ask(struct smtp *s, const struct smtp_pending *p, const struct smtp_path *path)
{
	struct buf address = BUF_INIT(2 * SMTP_PATH_MAX);
	struct ipc_rcpt_ask m = { .seq = p->seq };

	/* One answer for all: who has no room for it is to be found out now, not after the body. */
	if (s->mode != SMTP_LMTP && s->txn.declared > 0)
		m.size = s->txn.declared + SMTP_TRACE_MAX;
	smtp_path_plain(path, &address);
	m.address = buf_slice(&address);
	if (front_send(s->port, FRONT_RCPT, IPC_rcpt_ask, &m) != 0) {
		s->rcpt_gone = true;
		smtp_rcpt_give_up(s);
	}
	buf_fini(&address);
}

static void pending_answer(struct smtp *s, struct smtp_pending *p, const char *line)
{
	buf_puts(&p->reply, line);
	buf_puts(&p->reply, "\r\n");
	p->seq = 0;
}

/* Whether a report of success can be made is known before the recipient is asked for. */
static bool wish_granted(struct smtp *s, struct smtp_pending *p)
{
	uint32_t status = IPC_ROUTE_OK;

	if (s->mode == SMTP_MX && (p->notify & SMTP_NOTIFY_SUCCESS) != 0 &&
	    s->txn.sender.kind != SMTP_PATH_NULL)
		status = smtp_bounce_wish(s);
	p->held = status == SMTP_BOUNCE_WAITS;
	if (status == IPC_ROUTE_UNKNOWN)
		pending_answer(s, p, no_report);
	else if (status == IPC_ROUTE_TRYLATER)
		pending_answer(s, p, route_text(s->mode, status));
	s->rcpts_refused += status == IPC_ROUTE_UNKNOWN;
	return status == IPC_ROUTE_OK;
}

static void rcpt_begin(struct smtp *s, const struct smtp_path *path)
{
	struct smtp_pending *p = smtp_pending_add(s);

	p->seq = ++s->seq;
	smtp_path_print(path, &p->address);
	p->notify = s->notify;
	buf_reset(&p->orcpt);
	buf_put(&p->orcpt, s->orcpt);
	if (wish_granted(s, p))
		rcpt_ask(s, p, path);
	smtp_pending_flush(s);
}

/* Those who waited for what is known of the sender now. */
static void held_release(struct smtp *s)
{
	for (unsigned i = 0; i < s->pending_n; i++) {
		struct smtp_pending *p = pending_at(s, i);
		struct smtp_path path;
		struct slice rest;

		if (p->held && wish_granted(s, p) &&
		    smtp_path_parse(buf_slice(&p->address), &path, &rest) == 0)
			rcpt_ask(s, p, &path);
	}
}

void smtp_cmd_rcpt(struct smtp *s, struct slice arg)
{
	struct smtp_path path;
	const char *refusal = rcpt_check(s, arg, &path);

	if (refusal != NULL)
		smtp_error(s, refusal);
	else
		rcpt_begin(s, &path);
}

/*
 * One account that takes the mail of many names is told all of them: they are nobody else's to see.
 * As soon as somebody else gets the message nobody is named.
 */
static void originals_add(
    struct smtp_txn *t, const struct smtp_pending *p, uint32_t handle, bool group)
{
	struct buf field = BUF_INIT(2 * SMTP_PATH_MAX + 40);

	t->apart |= handle == 0 || group || (t->n_rcpts > 0 && t->rcpts[0].handle != handle);
	if (t->apart)
		return;
	buf_puts(&field, "X-Original-To: ");
	buf_put(&field, buf_slice(&p->address));
	buf_puts(&field, "\r\n");
	if (t->same_rcpts.n == 0 ||
	    memmem(t->same_rcpts.p, t->same_rcpts.n, field.p, field.n) == NULL) {
		buf_put(&t->same_rcpts, buf_slice(&field));
		t->n_names++;
	}
	t->apart = t->same_rcpts.overflow || field.overflow;
	buf_fini(&field);
}

/* `more`: the handles of a group's other members, u32 each. */
static int rcpt_accept(
    struct smtp *s, const struct smtp_pending *p, uint32_t handle, struct slice more)
{
	struct smtp_txn *t = &s->txn;
	size_t n = t->n_rcpts + 1 + more.n / 4;
	struct smtp_rcpt *r;

	if (n > t->cap_rcpts) {
		size_t cap = t->cap_rcpts == 0 ? 4 : t->cap_rcpts * 2;

		cap = cap > n ? cap : n;
		r = realloc(t->rcpts, cap * sizeof(*r));
		if (r == NULL)
			return 1;
		t->rcpts = r;
		t->cap_rcpts = cap;
	}
	if (t->n_rcpts == 0)
		buf_put(&t->only_rcpt, buf_slice(&p->address));
	originals_add(t, p, handle, more.n > 0);
	t->rcpts[t->n_rcpts++] = (struct smtp_rcpt){ .handle = handle };
	for (; more.n >= 4; more = slice_from(more, 4))
		t->rcpts[t->n_rcpts++] =
		    (struct smtp_rcpt){ .handle = wire_load_u32(more.p), .joined = true };
	return 0;
}

/* What the group `more` adds must go into one post_begin with all the others. */
static bool rcpts_full(const struct smtp *s, struct slice more)
{
	return s->txn.n_rcpts >= s->conf.rcpts_max ||
	       s->txn.n_rcpts + 1 + more.n / 4 > SMTP_HANDLES_MAX;
}

/* What has been taken, or why not. */
static const char *rcpt_take(struct smtp *s, const struct smtp_pending *p, uint32_t status,
    uint32_t handle, struct slice more)
{
	struct smtp_txn *t = &s->txn;

	if (rcpts_full(s, more))
		return too_many;
	if (rcpt_accept(s, p, status == IPC_ROUTE_OK ? handle : 0, more) != 0)
		return route_text(s->mode, IPC_ROUTE_TRYLATER);
	if (status != IPC_ROUTE_BOUNCED) {
		smtp_report_success(s, p, more.n > 0);
	} else if (smtp_bounce_add(s, p)) {
		t->rcpts[t->n_rcpts - 1].bounced = true;
	} else {
		t->n_rcpts--;
		return too_many;
	}
	return route_text(s->mode, status);
}

static void rcpt_answer(struct smtp *s, struct smtp_pending *p, uint32_t status, uint32_t handle,
    struct slice more, struct slice text)
{
	bool accept;

	if (status == IPC_ROUTE_BOUNCED)
		status = smtp_bounce_status(s, p);
	p->bounced = status == SMTP_BOUNCE_WAITS;
	if (p->bounced)
		return;
	accept =
	    status == IPC_ROUTE_OK || status == IPC_ROUTE_DISCARD || status == IPC_ROUTE_BOUNCED;
	buf_puts(&p->reply,
	    accept ? rcpt_take(s, p, status, handle, more) : route_text(s->mode, status));
	s->rcpts_refused += !accept && status != IPC_ROUTE_TRYLATER &&
			    status != IPC_ROUTE_OVERQUOTA && status != IPC_ROUTE_OFF;
	if (status == IPC_ROUTE_REFUSED && text.n > 0) {
		buf_puts(&p->reply, ": ");
		text_put_safe(&p->reply, text, s->txn.utf8);
	}
	buf_puts(&p->reply, "\r\n");
	p->seq = 0;
}

void smtp_pending_flush(struct smtp *s)
{
	while (s->pending_n > 0 && s->pending[s->pending_head].seq == 0) {
		struct smtp_pending *p = &s->pending[s->pending_head];

		buf_put(&s->port->out, buf_slice(&p->reply));
		s->pending_head = (s->pending_head + 1) % SMTP_PENDING_MAX;
		s->pending_n--;
	}
}

static void bounced_answer(struct smtp *s)
{
	for (unsigned i = 0; i < s->pending_n; i++)
		if (pending_at(s, i)->bounced)
			rcpt_answer(
			    s, pending_at(s, i), IPC_ROUTE_BOUNCED, 0, SLICE_NONE, SLICE_NONE);
}

void smtp_rcpt_msg(struct smtp *s, const struct ipc_rcpt_reply *m)
{
	smtp_report_rcpt(s, m);
	if (smtp_bounce_told(s, m)) {
		bounced_answer(s);
		held_release(s);
	}
	for (unsigned i = 0; i < s->pending_n; i++) {
		struct smtp_pending *p = pending_at(s, i);

		if (p->seq != 0 && p->seq == m->seq) {
			rcpt_answer(s, p, m->status, m->handle, m->more, m->text);
			break;
		}
	}
	smtp_pending_flush(s);
}

void smtp_rcpt_give_up(struct smtp *s)
{
	if (s->state == SMTP_SENDER)
		sender_answer(s, IPC_ROUTE_TRYLATER);
	if (s->state == SMTP_REPORT)
		smtp_report_over(s, IPC_ST_TRYLATER);
	smtp_bounce_give_up(s);
	for (unsigned i = 0; i < s->pending_n; i++) {
		pending_at(s, i)->held = false;
		if (pending_at(s, i)->seq != 0)
			rcpt_answer(
			    s, pending_at(s, i), IPC_ROUTE_TRYLATER, 0, SLICE_NONE, SLICE_NONE);
	}
	smtp_pending_flush(s);
}
