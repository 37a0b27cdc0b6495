/*
 * result - what becomes of a body: stored's answers, and ours.
 */
#include "protocols/smtp/smtp-private.h"

const char *smtp_fault_text(enum smtp_body_fault fault)
{
	switch (fault) {
	case SMTP_BODY_BARE:
		return "550 5.6.0 a CR or LF of its own in the message";
	case SMTP_BODY_LARGE:
		return "552 5.3.4 the message is larger than we take";
	case SMTP_BODY_LOOP:
		return "554 5.4.6 the message has been in too many places";
	default:
		return "451 4.3.0 not stored, try again";
	}
}

static const char *store_text(uint32_t status)
{
	switch (status) {
	case IPC_ST_OK:
		return "250 2.0.0 delivered";
	case IPC_ST_OVERQUOTA:
		return "452 4.2.2 the mailbox is over its quota";
	case IPC_ST_FULL:
		return "452 4.3.1 no space on the server";
	case IPC_ST_TOOBIG:
		return "552 5.3.4 the message is larger than we take";
	case IPC_ST_NOTFOUND:
	case IPC_ST_DENIED:
		return "550 5.2.1 the mailbox takes no mail";
	default:
		return "451 4.3.0 not stored, try again";
	}
}

/* "Try later" is also what stored answers for those who would not have failed. */
static bool tells_more(uint32_t status, uint32_t than)
{
	return than == IPC_ST_TRYLATER ||
	       (store_text(status)[0] == '4' && store_text(than)[0] == '5');
}

/*
 * The one answer of SMTP, and of LMTP for a group. stored has kept nothing for anybody when it knew
 * before that one of them would fail (post_begin.together, IPC_HANDLE_JOINED). When one failed all
 * the same, the client must come back: the others may get the message twice then, which is better
 * than that somebody never gets it, and who cannot have it is refused at RCPT the next time.
 */
static const char *common_text(const struct smtp_rcpt *rcpts, size_t n)
{
	const struct smtp_rcpt *fails = NULL;
	bool any_stored = false, all_bounced = true;

	for (size_t i = 0; i < n; i++) {
		const struct smtp_rcpt *r = &rcpts[i];

		all_bounced = all_bounced && r->bounced;
		if (r->handle == 0 && !(r->bounced && r->answered))
			continue;
		if (r->status == IPC_ST_OK)
			any_stored = true;
		else if (fails == NULL || tells_more(r->status, fails->status))
			fails = r;
	}
	if (fails == NULL)
		return all_bounced ? smtp_bounce_text(IPC_ST_OK) : store_text(IPC_ST_OK);
	if (any_stored)
		return "451 4.3.0 not stored for all recipients, try again";
	return fails->bounced ? smtp_bounce_text(fails->status) : store_text(fails->status);
}

/*
 * LMTP, RFC 2033 4.2: one answer for each recipient that was taken, in their order. Who is bounced
 * is answered by what became of the report, which comes last: were it first, a message that is
 * tried again would bring one with each try.
 */
static void answer_all(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;
	const char *fault = t->fault != SMTP_BODY_GOOD ? smtp_fault_text(t->fault) : NULL;
	const char *common = fault != NULL ? fault : common_text(t->rcpts, t->n_rcpts);

	if (fault == NULL && (s->mode == SMTP_LMTP || common[0] == '2') && smtp_report_begin(s))
		return;
	if (s->mode != SMTP_LMTP) {
		smtp_reply(s, common);
		if (common[0] == '2')
			s->errors = s->rcpts_refused = 0;
	}
	for (size_t i = 0, next; i < t->n_rcpts && s->mode == SMTP_LMTP; i = next) {
		next = i + 1;
		while (next < t->n_rcpts && t->rcpts[next].joined)
			next++;
		smtp_reply(s, fault != NULL ? fault : common_text(t->rcpts + i, next - i));
	}
	smtp_txn_end(s);
}

void smtp_report_over(struct smtp *s, uint32_t status)
{
	struct smtp_txn *t = &s->txn;

	for (size_t i = 0; i < t->n_rcpts; i++) {
		if (!t->rcpts[i].bounced)
			continue;
		t->rcpts[i].status = status;
		t->rcpts[i].answered = true;
	}
	answer_all(s);
}

static bool all_answered(const struct smtp_txn *t)
{
	for (size_t i = 0; i < t->n_rcpts; i++)
		if (t->rcpts[i].handle != 0 && !t->rcpts[i].answered)
			return false;
	return true;
}

void smtp_result_await(struct smtp *s)
{
	if (s->txn.fault != SMTP_BODY_GOOD || all_answered(&s->txn))
		answer_all(s);
	else
		smtp_enter(s, SMTP_RESULTS);
}

static void on_result(struct smtp *s, const struct ipc_post_result *m)
{
	struct smtp_txn *t = &s->txn;

	if (s->state != SMTP_RESULTS || m->tag != s->tag)
		return;
	for (size_t i = 0; i < t->n_rcpts; i++) {
		if (t->rcpts[i].handle == 0 || t->rcpts[i].index != m->index)
			continue;
		t->rcpts[i].status = m->status;
		t->rcpts[i].answered = true;
	}
	if (all_answered(t))
		answer_all(s);
}

void smtp_post_msg(struct smtp *s, enum ipc_type type, const union ipc_any *m)
{
	if (type == IPC_post_credit) {
		s->window += m->post_credit.bytes;
		smtp_report_credit(s);
	} else if (type == IPC_post_result) {
		smtp_report_result(s, &m->post_result);
		on_result(s, &m->post_result);
	}
}

void smtp_post_give_up(struct smtp *s)
{
	struct smtp_txn *t = &s->txn;

	if (t->posting)
		smtp_body_fail(s, SMTP_BODY_LOST);
	if (s->state == SMTP_REPORT)
		smtp_report_over(s, IPC_ST_TRYLATER);
	if (s->state != SMTP_RESULTS)
		return;
	for (size_t i = 0; i < t->n_rcpts; i++)
		if (t->rcpts[i].handle != 0 && !t->rcpts[i].answered)
			t->rcpts[i].status = IPC_ST_TRYLATER;
	t->reported = true; /* none any more */
	smtp_report_over(s, IPC_ST_TRYLATER);
}
