/*
 * feed - tells the sessions that asked for it what changed in a mailbox.
 *
 * Nothing is stored for a slow reader: a view that lags is told later from the columns, in passes
 * from the lowest uid to the highest, until nothing newer is left.
 */
#include "stored/store-private.h"

#include "common/base/wire.h"

enum { FEED_ROW_BYTES = 24, FEED_ROWS_MAX = 61440 / FEED_ROW_BYTES };

static void row_pack(uint8_t *p, const struct feed_row *r)
{
	wire_store_u32(p, r->what);
	wire_store_u32(p + 4, r->uid);
	wire_store_u32(p + 8, r->flags);
	wire_store_u32(p + 12, 0);
	wire_store_u64(p + 16, r->modseq);
}

static bool reader_slow(const struct view *v)
{
	return ipc_chan_queued(session_chan(v->session)) > SESSION_QUEUE_HIGH;
}

static void rows_send(struct view *v, const struct feed_row *rows, size_t n)
{
	static uint8_t out[FEED_ROWS_MAX * FEED_ROW_BYTES];

	while (n > 0) {
		size_t k = n < FEED_ROWS_MAX ? n : FEED_ROWS_MAX;
		struct ipc_mbox_event e = { v->handle, slice_of(out, k * FEED_ROW_BYTES) };

		for (size_t i = 0; i < k; i++)
			row_pack(out + i * FEED_ROW_BYTES, &rows[i]);
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

static void view_is_told(struct view *v)
{
	v->told_modseq = v->mbox->pub.modseq;
	v->see.uid_limit = v->mbox->pub.uidnext;
	v->see.version = v->mbox->cols.version;
}

void feed_tell(struct mbox *m, const struct feed_row *rows, size_t n)
{
	struct view *v;

	LIST_FOREACH(v, &m->views, link)
	{
		if (!v->events || session_chan(v->session) == NULL)
			continue;
		if (!v->lagging && reader_slow(v))
			v->lagging = true;
		if (v->lagging)
			continue;
		rows_send(v, rows, n);
		view_is_told(v);
	}
}

/* ---- catching up ---- */

static size_t catch_dead(struct view *v, struct feed_row *out, size_t n, size_t max, uint32_t below)
{
	const struct cols *c = &v->mbox->cols;

	for (size_t d = 0; d < c->n_dead && n < max; d++) {
		const struct cols_dead *dead = &c->dead[d];

		if (dead->row.uid < v->catch_uid || dead->row.uid >= below ||
		    dead->version > v->catch_version || !cols_dead_seen(&v->see, dead))
			continue;
		out[n++] =
		    (struct feed_row){ IPC_EV_EXPUNGED, dead->row.uid, 0, v->mbox->pub.modseq };
		v->catch_uid = dead->row.uid + 1;
	}
	return n;
}

static size_t catch_some(struct view *v, struct feed_row *out, size_t max)
{
	const struct cols *c = &v->mbox->cols;
	size_t n = 0;

	for (size_t i = cols_lower(c, v->catch_uid); i < c->n && n < max; i++) {
		uint32_t uid = c->uid[i];

		n = catch_dead(v, out, n, max, uid);
		if (n == max || uid >= v->catch_limit)
			break;
		v->catch_uid = uid + 1;
		if (uid >= v->see.uid_limit) {
			out[n++] = (struct feed_row){ IPC_EV_NEW, uid, c->flags[i], c->modseq[i] };
			v->see.uid_limit = uid + 1;
		} else if (c->modseq[i] > v->told_modseq) {
			out[n++] =
			    (struct feed_row){ IPC_EV_FLAGS, uid, c->flags[i], c->modseq[i] };
		}
	}
	return catch_dead(v, out, n, max, v->catch_limit);
}

static void catch_begin(struct view *v)
{
	v->catching = true;
	v->catch_uid = 0;
	v->catch_limit = v->mbox->pub.uidnext;
	v->catch_modseq = v->mbox->pub.modseq;
	v->catch_version = v->mbox->cols.version;
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
		if (n == FEED_ROWS_MAX)
			continue;
		v->catching = false;
		v->told_modseq = v->catch_modseq;
		v->see.version = v->catch_version;
		v->see.uid_limit = v->catch_limit;
		v->lagging = m->pub.modseq != v->catch_modseq;
	}
	mbox_sweep(m);
}
