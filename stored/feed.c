/*
 * feed - tells the sessions that asked for it what changed in a mailbox.
 *
 * Nothing is stored for a slow reader: a view that lags is told later from the columns, in passes
 * from the lowest uid to the highest, until nothing newer is left.
 */
#include "stored/store-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { FEED_ROWS_MAX = IPC_ROWS_BYTES_MAX / IPC_EVENT_BYTES };

static void row_pack(uint8_t *p, const struct feed_row *r, uint32_t flags, uint64_t keywords)
{
	wire_store_u32(p, r->what);
	wire_store_u32(p + 4, r->uid);
	wire_store_u32(p + 8, flags);
	wire_store_u32(p + 12, r->seq);
	wire_store_u64(p + 16, keywords);
	wire_store_u64(p + 24, r->modseq);
}

static bool reader_slow(const struct view *v)
{
	return ipc_chan_queued(session_chan(v->session)) > SESSION_QUEUE_HIGH;
}

/* Flags of a row for this view: the first that can change the mailbox finds a message recent. */
static uint32_t row_flags(struct view *v, const struct feed_row *r)
{
	if (r->what != IPC_EV_NEW || v->readonly || r->uid < v->mbox->recent_from)
		return r->flags;
	v->mbox->recent_from = r->uid + 1;
	return r->flags | IPC_FLAG_RECENT;
}

/*
 * Of an expunge that takes several messages only the last one has its modseq: a reader that says it
 * knows of that one knows of all.
 */
static void rows_send(struct view *v, const struct feed_row *rows, size_t n)
{
	static uint8_t out[FEED_ROWS_MAX * IPC_EVENT_BYTES];
	static struct buf sets = { .max = IPC_SETS_BYTES_MAX };
	const uint64_t last = n > 0 ? rows[n - 1].modseq : 0;

	while (n > 0) {
		struct keysets_out told = { .list = &sets };
		struct ipc_mbox_event e = { .mbox = v->handle };
		size_t k = 0;
		uint64_t keywords;

		buf_reset(&sets);
		for (; k < n && k < FEED_ROWS_MAX; k++) {
			if (!keysets_out(&told, &v->mbox->sets, rows[k].keywords, &keywords))
				break;
			row_pack(
			    out + k * IPC_EVENT_BYTES, &rows[k], row_flags(v, &rows[k]), keywords);
		}
		for (size_t i = 0; k < n && i < k; i++)
			if (rows[i].what == IPC_EV_EXPUNGED && rows[i].modseq == last)
				wire_store_u64(out + i * IPC_EVENT_BYTES + 24, last - 1);
		e.rows = slice_of(out, k * IPC_EVENT_BYTES);
		e.sets = buf_slice(&sets);
		(void)ipc_send(session_chan(v->session), IPC_mbox_event, &e, NULL);
		rows += k;
		n -= k;
	}
}

void feed_lag(struct mbox *m)
{
	struct view *v;

	LIST_FOREACH(v, &m->views, link)
	if (v->events && session_chan(v->session) != NULL && reader_slow(v))
		v->lagging = true;
}

/* The reader may have heard of an expunge before the pass that told it was over. */
static void view_is_told(struct view *v, uint64_t modseq)
{
	v->told_modseq = modseq;
	view_knows(v, v->reader_knows);
}

/* A lagging view's own change: its rows are told later, with the request that made them. */
static void own_note(struct view *v, const struct feed_row *r)
{
	if (v->n_own == FEED_OWN_MAX)
		memmove(v->own, v->own + 1, --v->n_own * sizeof(v->own[0]));
	if (v->own == NULL)
		v->own = calloc(FEED_OWN_MAX, sizeof(v->own[0]));
	if (v->own != NULL)
		v->own[v->n_own++] = (struct feed_own){ r->modseq, r->seq };
}

static uint32_t own_seq(const struct view *v, uint64_t modseq)
{
	for (size_t i = 0; i < v->n_own; i++)
		if (v->own[i].modseq == modseq)
			return v->own[i].seq;
	return 0;
}

void feed_tell(struct mbox *m, const struct session *by, struct feed_row *rows, size_t n)
{
	uint32_t seq = n > 0 ? rows[0].seq : 0;
	struct view *v;

	LIST_FOREACH(v, &m->views, link)
	{
		if (!v->events || session_chan(v->session) == NULL || n == 0)
			continue;
		if (!v->lagging && reader_slow(v))
			v->lagging = true;
		if (v->lagging && by == v->session)
			own_note(v, &rows[0]);
		if (v->lagging)
			continue;
		for (size_t i = 0; i < n; i++)
			rows[i].seq = by == v->session ? seq : 0;
		rows_send(v, rows, n);
		rows[0].seq = seq;
		v->see.uid_limit = m->pub.uidnext;
		view_is_told(v, m->pub.modseq);
	}
}

void feed_keywords(struct mbox *m)
{
	static struct buf names = { .max = KEYWORDS_TEXT_MAX };
	struct view *v;

	LIST_FOREACH(v, &m->views, link)
	{
		struct ipc_mbox_keywords k = { .mbox = v->handle, .first = v->n_keywords };

		if (!v->events || session_chan(v->session) == NULL ||
		    v->n_keywords == m->keywords.n)
			continue;
		buf_reset(&names);
		keywords_tell(&m->keywords, v->n_keywords, &names);
		k.names = buf_slice(&names);
		v->n_keywords = m->keywords.n;
		(void)ipc_send(session_chan(v->session), IPC_mbox_keywords, &k, NULL);
	}
}

/* ---- catching up ---- */

/* Expunges of messages in front of `below`. One that came and went in the meantime is told whole,
 * because the view sees it until its reader knows. */
static size_t catch_dead(struct view *v, struct feed_row *out, size_t n, size_t max, uint32_t below)
{
	const struct cols *c = &v->mbox->cols;
	size_t d = cols_dead_lower(c, v->catch_uid);

	for (; d < c->n_dead && n + 1 < max && c->dead[d].row.uid < below; d++) {
		const struct cols_dead *dead = &c->dead[d];
		const struct cols_row *row = &dead->row;

		v->catch_uid = row->uid + 1;
		if (dead->gone > v->catch_modseq || dead->gone <= v->told_modseq)
			continue;
		if (row->uid >= v->see.uid_limit) {
			out[n++] = (struct feed_row){ .what = IPC_EV_NEW,
				.uid = row->uid,
				.flags = row->flags,
				.keywords = row->keywords,
				.modseq = row->modseq };
			v->see.uid_limit = row->uid + 1;
		}
		out[n++] = (struct feed_row){ .what = IPC_EV_EXPUNGED,
			.uid = row->uid,
			.seq = own_seq(v, dead->gone),
			.modseq = dead->gone };
	}
	return n;
}

static size_t catch_some(struct view *v, struct feed_row *out, size_t max)
{
	const struct cols *c = &v->mbox->cols;
	size_t n = 0;

	for (size_t i = cols_lower(c, v->catch_uid); i < c->n; i++) {
		uint32_t uid = c->uid[i];

		n = catch_dead(v, out, n, max, uid);
		if (n + 1 >= max || uid >= v->catch_limit)
			break;
		v->catch_uid = uid + 1;
		if (uid < v->see.uid_limit && c->modseq[i] <= v->told_modseq)
			continue;
		out[n++] =
		    (struct feed_row){ .what = uid < v->see.uid_limit ? IPC_EV_FLAGS : IPC_EV_NEW,
			    .uid = uid,
			    .flags = c->flags[i],
			    .seq = own_seq(v, c->modseq[i]),
			    .keywords = c->keywords[i],
			    .modseq = c->modseq[i] };
		if (uid >= v->see.uid_limit)
			v->see.uid_limit = uid + 1;
	}
	return catch_dead(v, out, n, max, v->catch_limit);
}

static void catch_begin(struct view *v)
{
	v->catching = true;
	v->catch_uid = 0;
	v->catch_limit = v->mbox->pub.uidnext;
	v->catch_modseq = v->mbox->pub.modseq;
}

void feed_catch_up(struct view *v)
{
	static struct feed_row rows[FEED_ROWS_MAX];
	struct mbox *m = v->mbox;

	if (m->cols_state != COLS_READY) {
		if (!m->load_failed)
			mbox_load(m);
		return;
	}
	while (v->lagging && session_chan(v->session) != NULL && !reader_slow(v)) {
		size_t n;

		if (!v->catching)
			catch_begin(v);
		n = catch_some(v, rows, FEED_ROWS_MAX);
		rows_send(v, rows, n);
		if (n + 1 >= FEED_ROWS_MAX)
			continue;
		v->catching = false;
		v->see.uid_limit = v->catch_limit;
		view_is_told(v, v->catch_modseq);
		v->lagging = m->pub.modseq != v->catch_modseq;
		if (!v->lagging)
			v->n_own = 0;
	}
	mbox_sweep(m);
}
