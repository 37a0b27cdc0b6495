/*
 * expunge - EXPUNGE, UID EXPUNGE (RFC 4315), CLOSE.
 *
 * Only messages that the client has been told of go: ranges end at the last of them.
 */
#include "protocols/imap/imap-private.h"

#include <stdlib.h>

struct expunge {
	struct imap_job job;
	bool close;
	struct set uids;
	size_t at;
	uint32_t seq;
	uint32_t status;
};

static void expunge_free(struct imap_job *j)
{
	struct expunge *e = (struct expunge *)j;

	set_fini(&e->uids);
	free(e);
}

void imap_put_modseq(struct imap *s, struct writer *w)
{
	write_code(w, "HIGHESTMODSEQ");
	write_number(w, s->view.modseq);
	write_code_end(w);
}

static void answer(struct expunge *e)
{
	struct imap *s = e->job.s;
	struct writer w;

	if (e->close)
		imap_unselect(s);
	if (e->status != IPC_ST_OK) {
		imap_store_failed(s, e->status);
		return;
	}
	w = imap_reply_begin(s, IMAP_OK);
	/* RFC 7162 3.2.10: of the state that the client has when it has read this. */
	if (s->qresync && !e->close && s->view.gone.n > 0)
		imap_put_modseq(s, &w);
	write_text(&w, slice_str(e->close ? "closed" : "expunged"));
	imap_reply_end(s, &w);
}

static void expunge_some(struct expunge *e)
{
	struct imap *s = e->job.s;
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	struct ipc_msg_expunge m = { .seq = ++s->seq, .mbox = s->view.mbox, .deleted = 1 };

	if (e->at == e->uids.n || e->status != IPC_ST_OK) {
		answer(e);
		return;
	}
	set_pairs(&e->uids, &e->at, &pairs);
	m.uids = buf_slice(&pairs);
	e->seq = m.seq;
	imap_send(s, IPC_msg_expunge, &m);
	buf_fini(&pairs);
}

static void expunge_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct expunge *e = (struct expunge *)j;

	if (type != IPC_store_done || m->store_done.seq != e->seq)
		return;
	e->status = m->store_done.status;
	expunge_some(e);
}

static const struct imap_job_ops expunge_ops = { .on_msg = expunge_msg, .free = expunge_free };

static struct expunge *expunge_new(struct imap *s, bool close)
{
	struct expunge *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return NULL;
	}
	e->close = close;
	imap_job_begin(s, &e->job, &expunge_ops);
	return e;
}

static void all(struct expunge *e)
{
	uint32_t top = view_uid(&e->job.s->view, e->job.s->view.count);

	if (top > 0)
		set_add(&e->uids, 1, top);
}

void imap_cmd_expunge(struct imap *s, struct parse *p)
{
	struct expunge *e = expunge_new(s, false);
	struct set set = { 0 };
	bool saved = false;

	if (e == NULL)
		return;
	if (s->uid) {
		parse_sp(p);
		parse_set(p, &set, &saved);
	}
	if (!parse_end(p))
		imap_bad(s, p);
	else if (s->view.readonly)
		imap_done(s, IMAP_NO, "READ-ONLY", "the mailbox is open for reading only");
	else if (!s->uid)
		all(e);
	else
		imap_resolve(s, &set, saved, &e->uids);
	set_fini(&set);
	if (!s->done)
		expunge_some(e);
}

/* RFC 3501 6.4.2: the messages go without a word, and only where the mailbox may be changed. */
void imap_cmd_close(struct imap *s, struct parse *p)
{
	struct expunge *e;

	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	e = expunge_new(s, true);
	if (e == NULL)
		return;
	if (!s->view.readonly)
		all(e);
	expunge_some(e);
}
