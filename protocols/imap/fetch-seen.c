/*
 * fetch-seen - \Seen, which reading a message sets (RFC 3501 6.4.5).
 *
 * Without CONDSTORE the new flags are part of the message's own response, and the session's own
 * events are dropped. With it the change has a modseq that is not known yet, so it is told after
 * the command like everybody's changes.
 */
#include "protocols/imap/fetch-private.h"

static bool sets_seen(const struct fetch *f, const struct imap_row *r)
{
	return f->plan.seen && (r->flags & IPC_FLAG_SEEN) == 0 && !f->job.s->view.readonly;
}

uint32_t fetch_seen_flags(const struct fetch *f, const struct imap_row *r, bool *ret_told)
{
	*ret_told = sets_seen(f, r) && !f->job.s->condstore;
	return r->flags | (*ret_told ? IPC_FLAG_SEEN : 0);
}

void fetch_seen_add(struct fetch *f, const struct imap_row *r)
{
	if (!sets_seen(f, r))
		return;
	set_add(&f->seen, r->uid, r->uid);
	if (++f->seen_n >= IMAP_FETCH_SEEN)
		fetch_seen_store(f);
}

void fetch_seen_store(struct fetch *f)
{
	struct imap *s = f->job.s;
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	struct ipc_flags_store m = { .seq = ++s->seq,
		.mbox = s->view.mbox,
		.op = IPC_FLAGS_ADD,
		.flags = IPC_FLAG_SEEN,
		.unchanged_since = UINT64_MAX };
	size_t at = 0;

	if (f->seen.n > 0) {
		set_pairs(&f->seen, &at, &pairs);
		m.uids = buf_slice(&pairs);
		f->seen_wait += imap_send(s, IPC_flags_store, &m) == 0;
	}
	set_reset(&f->seen);
	f->seen_n = 0;
	buf_fini(&pairs);
}

void fetch_on_stored(struct fetch *f, const struct ipc_store_done *m)
{
	if (f->seen_wait == 0)
		return;
	f->seen_wait--;
	if (m->status != IPC_ST_OK)
		f->wrong |= FETCH_LATER;
	else if (!f->job.s->condstore)
		view_forget_own(&f->job.s->view, m->seq);
}
