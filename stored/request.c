/*
 * request - what a session may ask, message by message.
 *
 * Every question is checked here: handle, rights of the handle, lists of uids, allowances. A
 * senseless question gets its answer and counts against the session; one that breaks the protocol's
 * limits ends it.
 */
#include "stored/session-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

/* ---- views ---- */

struct view *session_view(struct session *s, uint32_t handle)
{
	return handle >= 1 && handle <= SESSION_HANDLES_MAX ? s->views[handle - 1] : NULL;
}

void view_close(struct session *s, uint32_t handle)
{
	struct view *v = s->views[handle - 1];

	s->views[handle - 1] = NULL;
	LIST_REMOVE(v, link);
	mbox_sweep(v->mbox);
	free(v);
}

static struct view *view_open(struct session *s, struct mbox *m, uint32_t flags)
{
	struct view *v;
	uint32_t slot = 0;

	while (slot < SESSION_HANDLES_MAX && s->views[slot] != NULL)
		slot++;
	if (slot == SESSION_HANDLES_MAX)
		return NULL;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return NULL;
	if (++m->next_view == 0)
		m->next_view = 1;
	*v = (struct view){ .session = s,
		.mbox = m,
		.handle = slot + 1,
		.readonly = (flags & IPC_MBOX_READONLY) != 0,
		.events = (flags & IPC_MBOX_EVENTS) != 0,
		.told_modseq = m->pub.modseq,
		.see = { m->next_view, m->pub.uidnext, m->cols.version } };
	LIST_INSERT_HEAD(&m->views, v, link);
	s->views[slot] = v;
	return v;
}

/* ---- answers ---- */

static void answer_done(
    struct session *s, uint32_t seq, int status, uint32_t count, uint64_t modseq)
{
	struct ipc_store_done d = { seq, (uint32_t)status, count, modseq };

	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_store_done, &d, NULL);
}

void session_changed(
    struct session *s, uint32_t seq, size_t held, int status, uint32_t count, uint64_t modseq)
{
	if (s->dead)
		return;
	s->held -= held;
	s->outstanding--;
	answer_done(s, seq, status, count, modseq);
}

void session_mbox_opened(
    struct session *s, uint32_t seq, int status, struct mbox *m, uint32_t flags)
{
	struct ipc_mbox_opened o = { .seq = seq, .status = (uint32_t)status };
	struct view *v = NULL;

	if (s->dead)
		return;
	s->outstanding--;
	if (status == IPC_ST_OK)
		v = view_open(s, m, flags);
	if (status == IPC_ST_OK && v == NULL)
		o.status = IPC_ST_TOOBIG;
	if (v != NULL) {
		o.mbox = v->handle;
		o.uidvalidity = m->uidvalidity;
		o.uidnext = m->pub.uidnext;
		o.exists = m->pub.exists;
		o.bytes = m->pub.bytes;
		o.modseq = m->pub.modseq;
	}
	(void)ipc_send(s->chan, IPC_mbox_opened, &o, NULL);
}

/* ---- questions ---- */

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

static void on_open(struct session *s, const struct ipc_mbox_open *q)
{
	int status;
	struct mbox *m = account_mbox(s->account, q->name, &status);

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

	answer_done(s, q->seq, v != NULL ? IPC_ST_OK : IPC_ST_BAD, 0, 0);
	if (v == NULL)
		session_bad(s, "handle");
	else
		view_close(s, v->handle);
}

/* Pairs of uids, ascending and apart, so that one question never costs more than one pass. */
static bool pairs_good(struct slice p)
{
	uint64_t after = 0;

	if (p.n == 0 || p.n % 8 != 0)
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

	if (v != NULL && pairs_good(uids) && !v->readonly)
		return session_admit(s, uids.n) ? v : NULL;
	answer_done(s, seq, v != NULL && v->readonly ? IPC_ST_DENIED : IPC_ST_BAD, 0, 0);
	session_bad(s, v == NULL ? "handle" : v->readonly ? "read only" : "uids");
	return NULL;
}

static void on_flags(struct session *s, const struct ipc_flags_store *q)
{
	const uint32_t known = IPC_FLAG_SEEN | IPC_FLAG_ANSWERED | IPC_FLAG_FLAGGED |
			       IPC_FLAG_DELETED | IPC_FLAG_DRAFT;
	struct view *v;

	if (q->op > IPC_FLAGS_REMOVE || (q->flags & ~known) != 0) {
		answer_done(s, q->seq, IPC_ST_BAD, 0, 0);
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
static void queue(struct session *s, const struct request *what)
{
	struct request *q;

	if (!session_admit(s, 0))
		return;
	q = calloc(1, sizeof(*q));
	if (q == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	*q = *what;
	TAILQ_INSERT_TAIL(&s->requests, q, link);
}

void session_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct session *s = arg;

	switch (type) {
	case IPC_mbox_open:
		on_open(s, &m->mbox_open);
		break;
	case IPC_mbox_close:
		on_close(s, &m->mbox_close);
		break;
	case IPC_mbox_scan:
		queue(s, &(struct request){ .type = type,
			     .seq = m->mbox_scan.seq,
			     .mbox = m->mbox_scan.mbox,
			     .uid = m->mbox_scan.from_uid,
			     .limit = m->mbox_scan.limit });
		break;
	case IPC_body_get:
		queue(s, &(struct request){ .type = type,
			     .seq = m->body_get.seq,
			     .mbox = m->body_get.mbox,
			     .uid = m->body_get.uid,
			     .off = m->body_get.off,
			     .len = m->body_get.len });
		break;
	case IPC_facts_get:
		queue(s, &(struct request){ .type = type,
			     .seq = m->facts_get.seq,
			     .mbox = m->facts_get.mbox,
			     .uid = m->facts_get.uid });
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
	default:
		if (!tree_on_msg(s, type, m))
			session_bad(s, "message");
		break;
	}
	session_pump(s);
}
