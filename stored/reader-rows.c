/*
 * reader-rows - listings of a view, from the columns alone: its uids, its rows.
 */
#include "stored/pairs.h"
#include "stored/runs.h"
#include "stored/session-private.h"

#include "common/base/wire.h"

enum { ROWS_MAX = IPC_ROWS_BYTES_MAX / IPC_ROW_BYTES };

/* ---- which messages the view has ---- */

static uint32_t first_unseen(const struct view *v)
{
	struct cols *c = &v->mbox->cols;
	uint32_t uid = cols_first_unseen(c);

	uid = uid < v->see.uid_limit ? uid : 0;
	for (size_t d = 0; d < c->n_dead && (uid == 0 || c->dead[d].row.uid < uid); d++)
		if (cols_dead_seen(&v->see, &c->dead[d]) &&
		    (c->dead[d].row.flags & IPC_FLAG_SEEN) == 0)
			return c->dead[d].row.uid;
	return uid;
}

static void uids_answer(struct session *s, const struct ipc_mbox_uids_are *a)
{
	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_mbox_uids_are, a, NULL);
}

/* The answer before the index is loaded, if that is possible. */
static bool uids_early(
    const struct view *v, struct request *q, struct pairs_out *out, struct ipc_mbox_uids_are *a)
{
	const struct mbox *m = v->mbox;
	const struct uid_ranges *holes;
	uint32_t next = q->uid > 0 ? q->uid : 1, limit = v->see.uid_limit;

	if (m->cols_state != COLS_LOADING || m->load == NULL)
		return false;
	holes = mbox_load_early(m->load, &m->pub, limit, &a->first_unseen);
	if (holes == NULL)
		return false;
	for (size_t i = 0; i < holes->n && holes->v[i].first < limit; i++) {
		if (holes->v[i].first > next && !pairs_add(out, next, holes->v[i].first - 1)) {
			a->more = 1;
			q->uid = next;
			return true;
		}
		next = holes->v[i].last >= next ? holes->v[i].last + 1 : next;
	}
	if (next < limit && !pairs_add(out, next, limit - 1)) {
		a->more = 1;
		q->uid = next;
	}
	return true;
}

/* Run after run of what is there, the dead that the view sees between them; false: there is no room
 * for what begins with q->uid. */
static bool uids_runs(const struct view *v, struct request *q, struct pairs_out *out)
{
	const struct cols *c = &v->mbox->cols;
	size_t i = cols_lower(c, q->uid), end = cols_lower(c, v->see.uid_limit);
	size_t d = cols_dead_lower(c, q->uid);

	for (;;) {
		size_t stop = end, last = i;

		while (d < c->n_dead && !cols_dead_seen(&v->see, &c->dead[d]))
			d++;
		if (d < c->n_dead)
			stop = cols_lower_from(c, i, c->dead[d].row.uid);
		if (i < stop) {
			last = cols_run_last(c, i, stop);
			q->uid = c->uid[i];
			if (!pairs_add(out, c->uid[i], c->uid[last]))
				return false;
			i = last + 1;
		} else if (d < c->n_dead) {
			q->uid = c->dead[d].row.uid;
			if (!pairs_add(out, q->uid, q->uid))
				return false;
			d++;
		} else {
			return true;
		}
	}
}

/* The same from the index. */
static void uids_loaded(
    const struct view *v, struct request *q, struct pairs_out *out, struct ipc_mbox_uids_are *a)
{
	a->more = !uids_runs(v, q, out);
	if (a->more == 0)
		a->first_unseen = first_unseen(v);
}

enum run run_uids(struct session *s, struct request *q)
{
	static struct pairs_out out;
	struct ipc_mbox_uids_are a = { .seq = q->seq };
	int status;
	struct view *v = view_ready(s, q, &status);

	out.n = out.first = 0;
	if (v != NULL)
		uids_loaded(v, q, &out, &a);
	else if (status == IPC_ST_OK && !uids_early(session_view(s, q->mbox), q, &out, &a))
		return RUN_WAIT;
	pairs_close(&out);
	a.status = (uint32_t)status;
	a.uids = slice_of(out.p, out.n * 8);
	uids_answer(s, &a);
	return a.more ? RUN_AGAIN : RUN_DONE;
}

/* ---- rows ---- */

static void row_pack(uint8_t *p, const struct cols_row *r, uint64_t keywords)
{
	wire_store_u32(p, r->uid);
	wire_store_u32(p + 4, r->flags);
	wire_store_u64(p + 8, keywords);
	wire_store_u64(p + 16, r->size);
	wire_store_u64(p + 24, (uint64_t)r->date);
	wire_store_u64(p + 32, (uint64_t)r->saved);
	wire_store_u64(p + 40, r->modseq);
	wire_store_u64(p + 48, r->id);
	wire_store_u64(p + 56, r->thread);
}

static bool row_wanted(const struct request *q, const struct cols_walk *w)
{
	uint64_t modseq = w->dead != NULL ? w->dead->row.modseq : w->c->modseq[w->at];
	uint32_t flags = w->dead != NULL ? w->dead->row.flags : w->c->flags[w->at];

	return modseq > q->since && (flags & q->mask) == q->want;
}

/*
 * The walk's message, or the next one, that is in the list of pairs; *at is the first pair that is
 * not behind us. False: there is none.
 */
static bool walk_into_pairs(struct cols_walk *w, const struct request *q, size_t *at)
{
	while (q->n_data > 0) {
		while (*at < q->n_data && wire_load_u32(q->data + *at + 4) < w->uid)
			*at += 8;
		if (*at == q->n_data)
			return false;
		if (wire_load_u32(q->data + *at) <= w->uid)
			return true;
		/* Behind the last one, or at the pair's first message or a later one. */
		cols_walk_skip(w, wire_load_u32(q->data + *at));
		if (!cols_walk_next(w))
			return false;
	}
	return true;
}

/* Rows into `out`, and their sets; q->uid is where to go on, *ret_more whether. */
static size_t scan_rows(const struct view *v, struct request *q, size_t max, uint8_t *out,
    struct buf *sets, bool *ret_more)
{
	struct keysets_out told = { .list = sets };
	struct cols_walk w;
	size_t n = 0, at = 0;

	*ret_more = false;
	cols_walk_from(&w, &v->mbox->cols, &v->see, q->uid);
	while (cols_walk_next(&w) && walk_into_pairs(&w, q, &at)) {
		struct cols_row row;
		uint64_t keywords;

		if (!row_wanted(q, &w))
			continue;
		row = cols_walk_row(&w);
		if (n == max || !keysets_out(&told, &v->mbox->sets, row.keywords, &keywords)) {
			q->uid = w.uid;
			*ret_more = true;
			break;
		}
		row_pack(out + n++ * IPC_ROW_BYTES, &row, keywords);
	}
	return n;
}

enum run run_scan(struct session *s, struct request *q)
{
	static uint8_t out[ROWS_MAX * IPC_ROW_BYTES];
	static struct buf sets = { .max = IPC_SETS_BYTES_MAX };
	struct ipc_mbox_rows a = { .seq = q->seq };
	bool more = false;
	int status;
	struct view *v = view_ready(s, q, &status);
	size_t n = 0, max = q->limit != 0 && q->limit < ROWS_MAX ? q->limit : ROWS_MAX;

	if (v == NULL && status == IPC_ST_OK)
		return RUN_WAIT;
	buf_reset(&sets);
	if (v != NULL)
		n = scan_rows(v, q, max, out, &sets, &more);
	a.status = (uint32_t)status;
	a.more = more;
	a.next_uid = more ? q->uid : 0;
	a.rows = slice_of(out, n * IPC_ROW_BYTES);
	a.sets = buf_slice(&sets);
	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_mbox_rows, &a, NULL);
	return RUN_DONE;
}
