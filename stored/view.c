/*
 * view - the mailboxes that a session has open: what it sees begins here, and ends.
 */
#include "stored/session-private.h"

#include <stdlib.h>

struct view *session_view(struct session *s, uint32_t handle)
{
	return handle >= 1 && handle <= SESSION_HANDLES_MAX ? s->views[handle - 1] : NULL;
}

void view_close(struct session *s, uint32_t handle)
{
	struct view *v = s->views[handle - 1];

	s->views[handle - 1] = NULL;
	if (s->facts_of == v)
		s->facts_of = NULL;
	LIST_REMOVE(v, link);
	mbox_sweep(v->mbox);
	free(v->own);
	free(v);
	/* Nothing waits for this view's events any more. */
	if (!s->dead && !STAILQ_EMPTY(&s->stash))
		session_unstash(s);
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
		.see = { m->next_view, m->pub.uidnext, m->pub.modseq } };
	LIST_INSERT_HEAD(&m->views, v, link);
	s->views[slot] = v;
	return v;
}

void session_mbox_opened(
    struct session *s, uint32_t seq, int status, struct mbox *m, uint32_t flags)
{
	static struct buf names = { .max = KEYWORDS_TEXT_MAX };
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
		buf_reset(&names);
		keywords_tell(&m->keywords, 0, &names);
		v->n_keywords = m->keywords.n;
		o.keywords = buf_slice(&names);
		o.mbox = v->handle;
		o.id = m->id;
		o.uidvalidity = m->uidvalidity;
		o.uidnext = m->pub.uidnext;
		o.exists = m->pub.exists;
		o.unseen = m->pub.unseen;
		o.recent_from = m->recent_from < m->pub.uidnext ? m->recent_from : m->pub.uidnext;
		/* From now on they are this view's. */
		if (v->events && !v->readonly)
			m->recent_from = m->pub.uidnext;
		o.bytes = m->pub.bytes;
		o.modseq = mbox_tell_modseq(m);
	}
	(void)ipc_send(s->chan, IPC_mbox_opened, &o, NULL);
	if (v != NULL && v->events)
		quota_tell_late(s);
}

void view_told(struct session *s, const struct ipc_mbox_told *q)
{
	struct view *v = session_view(s, q->mbox);

	if (v == NULL || !v->events) {
		session_bad(s, "handle");
		return;
	}
	view_knows(v, q->modseq);
	mbox_sweep(v->mbox);
}

/* Its reader cannot know more than it was told. */
void view_knows(struct view *v, uint64_t modseq)
{
	if (modseq > v->reader_knows)
		v->reader_knows = modseq;
	modseq = modseq < v->told_modseq ? modseq : v->told_modseq;
	if (modseq > v->see.known)
		v->see.known = modseq;
}

bool view_needs_dead(const struct view *v, const struct cols_dead *d)
{
	if (d->by == v->see.number)
		return v->events && d->row.uid < v->see.uid_limit && d->gone > v->told_modseq;
	return cols_dead_seen(&v->see, d);
}

static size_t session_dead(const struct session *s)
{
	size_t n = 0;

	for (unsigned h = 0; h < SESSION_HANDLES_MAX; h++) {
		const struct view *v = s->views[h];

		for (size_t i = 0; v != NULL && i < v->mbox->cols.n_dead; i++)
			n += view_needs_dead(v, &v->mbox->cols.dead[i]);
	}
	return n;
}

void view_bound_dead(struct account *a)
{
	struct session *s, *next;
	struct guest *g;

	if (a->n_dead <= ACCOUNT_DEAD_MAX)
		return;
	for (s = LIST_FIRST(&a->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, account_link);
		if (session_dead(s) > SESSION_DEAD_MAX)
			session_end(s, IPC_BYE_STORE);
	}
	LIST_FOREACH(g, &a->guests, account_link)
	if (session_dead(g->session) > SESSION_DEAD_MAX)
		session_end(g->session, IPC_BYE_STORE);
}
