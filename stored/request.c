/*
 * request - what a session may ask, message by message.
 *
 * Every question is checked here: handle, rights of the handle, lists of uids, allowances. A
 * senseless question gets its answer and counts against the session; one that breaks the protocol's
 * limits ends it.
 */
#include "stored/lost.h"
#include "stored/session-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

static void answer_done(struct session *s, uint32_t seq, int status)
{
	struct ipc_store_done d = { .seq = seq, .status = (uint32_t)status };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_store_done, &d, NULL);
}

void session_changed(struct session *s, size_t held, const struct ipc_store_done *done)
{
	struct ipc_store_done d = *done;
	struct slice left = done->uids;

	if (s->dead)
		return;
	s->held -= held;
	s->outstanding--;
	do {
		d.uids = slice_part(left, 0, ANSWER_BYTES_MAX);
		left = slice_from(left, d.uids.n);
		d.more = left.n > 0;
		session_answer(s, IPC_store_done, &d);
	} while (left.n > 0);
}

/* Room for one more unanswered question with so many bytes. False: the session has ended. */
bool session_admit(struct session *s, size_t bytes)
{
	if (s->outstanding < SESSION_REQUESTS_MAX && bytes <= SESSION_CHANGE_BYTES_MAX - s->held) {
		s->outstanding++;
		s->held += bytes;
		return true;
	}
	store_bad_peer(s->st, "session", s->sid, "too many requests");
	session_end(s, IPC_BYE_PROTOCOL);
	return false;
}

static void on_open(struct session *s, struct account *a, const struct ipc_mbox_open *q)
{
	int status;
	struct mbox *m = account_mbox(a, q->name, &status);

	if (!session_admit(s, 0))
		return;
	if (q->flags & ~(uint32_t)(IPC_MBOX_READONLY | IPC_MBOX_EVENTS)) {
		session_mbox_opened(s, q->seq, IPC_ST_BAD, NULL, 0);
		session_bad(s, "flags");
	} else if (m == NULL) {
		session_mbox_opened(s, q->seq, status, NULL, 0);
	} else {
		change_open(m, s, q->seq, q->flags);
	}
}

static void on_close(struct session *s, const struct ipc_mbox_close *q)
{
	struct view *v = session_view(s, q->mbox);

	answer_done(s, q->seq, v != NULL ? IPC_ST_OK : IPC_ST_BAD);
	if (v == NULL)
		session_bad(s, "handle");
	else
		view_close(s, v->handle);
}

/* Pairs of uids, ascending and apart, so that one question never costs more than one pass. */
bool pairs_good(struct slice p)
{
	uint64_t after = 0;

	if (p.n % 8 != 0)
		return false;
	for (size_t i = 0; i < p.n; i += 8) {
		uint32_t first = wire_load_u32(p.p + i), last = wire_load_u32(p.p + i + 4);

		if (first < after || first == 0 || last < first)
			return false;
		after = (uint64_t)last + 1;
	}
	return true;
}

/* The view for a change; NULL when it was answered here. */
static struct view *change_view(struct session *s, uint32_t seq, uint32_t mbox, struct slice uids)
{
	struct view *v = session_view(s, mbox);

	if (v != NULL && uids.n > 0 && pairs_good(uids) && !v->readonly)
		return session_admit(s, uids.n) ? v : NULL;
	answer_done(s, seq, v != NULL && v->readonly ? IPC_ST_DENIED : IPC_ST_BAD);
	session_bad(s, v == NULL ? "handle" : v->readonly ? "read only" : "uids");
	return NULL;
}

static bool keywords_known(struct session *s, const struct ipc_flags_store *q)
{
	const struct view *v = session_view(s, q->mbox);
	struct keyset set = { q->keywords, q->more };

	return keyset_is_good(set, v != NULL ? v->mbox->pub.keywords : 0);
}

static void on_flags(struct session *s, const struct ipc_flags_store *q)
{
	struct view *v;

	if (q->op > IPC_FLAGS_REMOVE || (q->flags & ~(uint32_t)FLAGS_KNOWN) != 0 ||
	    !keywords_known(s, q)) {
		answer_done(s, q->seq, IPC_ST_BAD);
		session_bad(s, "flags");
		return;
	}
	v = change_view(s, q->seq, q->mbox, q->uids);
	if (v != NULL)
		change_flags(v, q);
}

static void on_expunge(struct session *s, const struct ipc_msg_expunge *q)
{
	struct view *v = change_view(s, q->seq, q->mbox, q->uids);

	if (v != NULL)
		change_expunge(v, q);
}

static void on_quota(struct session *s, const struct account *a, uint32_t seq)
{
	struct ipc_quota_is is = { .seq = seq, .status = IPC_ST_OK, .bytes_max = a->quota };

	for (size_t i = 0; i < a->n_mboxes; i++) {
		is.bytes += a->mboxes[i]->pub.bytes;
		is.messages += a->mboxes[i]->pub.exists;
	}
	is.messages_max = a->policy.messages_max;
	(void)ipc_send(s->chan, IPC_quota_is, &is, NULL);
}

static void on_credit(struct session *s, uint32_t bytes)
{
	if (bytes > IPC_WINDOW_BYTES - s->credit) {
		store_bad_peer(s->st, "session", s->sid, "credit");
		session_end(s, IPC_BYE_PROTOCOL);
		return;
	}
	s->credit += bytes;
}

/* What is answered in turn. */
static void queue(struct session *s, const struct request *what, struct slice uids)
{
	struct request *q;

	bool parts = what->type == IPC_parts_get;

	if (parts ? uids.n % PART_BYTES != 0 : !pairs_good(uids)) {
		session_bad(s, "uids");
		/* Answered in its turn all the same: for a handle that nobody has. */
		queue(s,
		    &(struct request){ .type = what->type, .seq = what->seq, .status = IPC_ST_BAD },
		    SLICE_NONE);
		return;
	}
	if (s->dead || !session_admit(s, uids.n))
		return;
	q = malloc(sizeof(*q) + uids.n);
	if (q == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	*q = *what;
	q->n_data = uids.n;
	if (uids.n > 0)
		memcpy(q->data, uids.p, uids.n);
	TAILQ_INSERT_TAIL(&s->requests, q, link);
}

/* Listings, bodies, facts. */
static void on_bulk(struct session *s, enum ipc_type type, const union ipc_any *m)
{
	struct request q = { .type = type };
	struct slice uids = SLICE_NONE;

	switch (type) {
	case IPC_mbox_uids:
		q.seq = m->mbox_uids.seq;
		q.mbox = m->mbox_uids.mbox;
		break;
	case IPC_mbox_scan:
		q.seq = m->mbox_scan.seq;
		q.mbox = m->mbox_scan.mbox;
		q.uid = m->mbox_scan.from_uid;
		q.limit = m->mbox_scan.limit;
		q.since = m->mbox_scan.since;
		q.mask = m->mbox_scan.mask;
		q.want = m->mbox_scan.want;
		uids = m->mbox_scan.uids;
		break;
	case IPC_gone_get:
		q.seq = m->gone_get.seq;
		q.mbox = m->gone_get.mbox;
		q.since = m->gone_get.since;
		uids = m->gone_get.uids;
		break;
	case IPC_body_get:
		q.seq = m->body_get.seq;
		q.mbox = m->body_get.mbox;
		q.uid = m->body_get.uid;
		q.off = m->body_get.off;
		q.len = m->body_get.len;
		break;
	case IPC_parts_get:
		q.seq = m->parts_get.seq;
		q.mbox = m->parts_get.mbox;
		uids = m->parts_get.parts;
		break;
	default:
		q.seq = m->facts_get.seq;
		q.mbox = m->facts_get.mbox;
		q.want = m->facts_get.what;
		uids = m->facts_get.uids;
		break;
	}
	queue(s, &q, uids);
}

void session_do(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_mbox_open:
		on_open(s, at->account, &m->mbox_open);
		break;
	case IPC_mbox_close:
		on_close(s, &m->mbox_close);
		break;
	case IPC_mbox_uids:
	case IPC_mbox_scan:
	case IPC_gone_get:
	case IPC_body_get:
	case IPC_parts_get:
	case IPC_facts_get:
		on_bulk(s, type, m);
		break;
	case IPC_session_credit:
		on_credit(s, m->session_credit.bytes);
		break;
	case IPC_flags_store:
		on_flags(s, &m->flags_store);
		break;
	case IPC_msg_expunge:
		on_expunge(s, &m->msg_expunge);
		break;
	case IPC_mbox_told:
		view_told(s, &m->mbox_told);
		break;
	case IPC_quota_get:
		on_quota(s, at->account, m->quota_get.seq);
		break;
	default:
		if (!tree_on_msg(s, at, type, m) && !append_on_msg(s, at, type, m) &&
		    !keyword_on_msg(s, type, m) && !copy_on_msg(s, at, type, m) &&
		    !lost_on_session_msg(s, type, m) && !alerts_on_session_msg(s, type) &&
		    !session_on_client(s, type, m))
			session_bad(s, "message");
		break;
	}
	session_pump(s);
}

void session_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct session *s = arg;

	if (!foreign_take(s, type, m))
		session_do(s, &(struct place){ .account = s->account }, type, m);
}
