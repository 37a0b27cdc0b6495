#include "protocols/imap/vanished.h"

#include "protocols/imap/imap-private.h"

enum { LINE_RANGES = 1000 };

void vanished_fini(struct vanished *v)
{
	set_fini(&v->known);
	set_fini(&v->gone);
	set_fini(&v->told);
}

void vanished_ask(struct imap *s, struct vanished *v, uint64_t since)
{
	struct set span = { 0 };
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	struct ipc_gone_get m = { .seq = ++s->seq, .mbox = s->view.mbox, .since = since };
	size_t at = 0;

	/* More ranges than fit: from the first to the last, and what is between them left out
	 * later. An empty set would mean all. */
	if (v->known.n > IMAP_PAIRS_MAX) {
		set_add(&span, v->known.r[0].first, v->known.r[v->known.n - 1].last);
		set_pairs(&span, &at, &pairs);
	} else {
		set_pairs(&v->known, &at, &pairs);
	}
	m.uids = buf_slice(&pairs);
	v->seq = m.seq;
	if (at > 0 && !pairs.overflow)
		v->waiting = imap_send(s, IPC_gone_get, &m) == 0;
	buf_fini(&pairs);
	set_fini(&span);
}

uint32_t vanished_take(struct vanished *v, const struct ipc_gone_are *m)
{
	const struct set *g = &v->gone;

	v->waiting = m->status == IPC_ST_OK && m->more != 0;
	if (m->status != IPC_ST_OK)
		return m->status;
	if (!set_add_pairs(&v->gone, m->uids)) {
		v->waiting = false;
		return IPC_ST_TRYLATER;
	}
	if (v->waiting)
		return IPC_ST_OK;
	set_norm(&v->gone);
	for (size_t i = 0; i < g->n; i++)
		set_clip(&v->known, g->r[i].first, g->r[i].last, &v->told);
	set_fini(&v->gone);
	return v->told.failed ? IPC_ST_TRYLATER : IPC_ST_OK;
}

static void put_line(struct imap *s, struct vanished *v)
{
	struct writer w = imap_writer(s);

	write_untagged(&w);
	write_atom(&w, "VANISHED");
	write_open(&w);
	write_atom(&w, "EARLIER");
	write_close(&w);
	for (size_t n = 0; n < LINE_RANGES && v->at < v->told.n; n++, v->at++)
		write_range(&w, v->told.r[v->at].first, v->told.r[v->at].last);
	write_end(&w);
}

bool vanished_go(struct imap *s, struct vanished *v)
{
	while (!v->waiting && v->at < v->told.n && !imap_full(s))
		put_line(s, v);
	return !v->waiting && v->at == v->told.n;
}
