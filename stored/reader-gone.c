/*
 * reader-gone - which uids were expunged since a modseq: from the history, as long as it goes back
 * so far and is not larger than the mailbox deserves; else every uid that is not there.
 */
#include "stored/pairs.h"
#include "stored/session-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

struct gone_pair {
	uint32_t first, last;
};

/* What a question has gathered. */
struct gone {
	bool all; /* the history does not tell */
	bool complete;
	uint64_t modseq; /* the rows up to this one are needed */
	struct rec_key from;
	struct gone_pair *v;
	size_t n, cap;
};

void gone_free(struct gone **gp)
{
	struct gone *g = *gp;

	*gp = NULL;
	if (g != NULL)
		free(g->v);
	free(g);
}

static void gone_add(struct gone *g, uint32_t first, uint32_t last)
{
	size_t cap = g->cap == 0 ? 64 : g->cap * 2;
	struct gone_pair *v;

	if (g->n == g->cap) {
		v = g->n < GONE_ROWS_MAX ? reallocarray(g->v, cap, sizeof(*v)) : NULL;
		if (v == NULL) {
			g->all = g->complete = true;
			return;
		}
		g->v = v;
		g->cap = cap;
	}
	g->v[g->n++] = (struct gone_pair){ first, last };
}

static int pair_compare(const void *a, const void *b)
{
	const struct gone_pair *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Ascending and apart: a run of neighbours may reach over uids that went earlier. */
static void gone_sort(struct gone *g)
{
	size_t to = 0;

	qsort(g->v, g->n, sizeof(*g->v), pair_compare);
	for (size_t i = 1; i < g->n; i++) {
		struct gone_pair *p = &g->v[to];

		if (g->v[i].first > (uint64_t)p->last + 1)
			g->v[++to] = g->v[i];
		else if (g->v[i].last > p->last)
			p->last = g->v[i].last;
	}
	g->n = to + 1;
}

/* ---- gathering ---- */

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct gone *g = arg;

	g->complete = !more || n == 0 || rc != ENGINE_OK;
	g->all |= rc != ENGINE_OK; /* true, too */
	for (size_t i = 0; rc == ENGINE_OK && i < n && !g->all; i++) {
		if (rows[i].key.n != 13 || rows[i].val.n != 4)
			g->all = true;
		else
			gone_add(
			    g, wire_load_u32be(rows[i].key.p + 9), wire_load_u32(rows[i].val.p));
	}
	if (!g->complete) {
		g->from = (struct rec_key){ .n = (uint8_t)(rows[n - 1].key.n + 1) };
		memcpy(g->from.p, rows[n - 1].key.p, rows[n - 1].key.n);
	}
	if (g->complete && g->n > 1)
		gone_sort(g);
}

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct fetch *f = arg;
	struct session *s = f->session;

	f->st->in_flight--;
	f->busy = false;
	if (s == NULL) {
		free(f);
		return;
	}
	if (s->dead)
		return;
	on_rows(TAILQ_FIRST(&s->requests)->gone, rc, rows, n, more);
	session_pump(s);
}

/* False: later. */
static bool gather(struct session *s, struct request *q, const struct mbox *m)
{
	struct gone *g = q->gone;

	while (!g->complete && !g->all) {
		struct rec_key to = key_gone(g->modseq + 1, 0);
		int r = m->group != NULL ? engine_scan_now(m->group, key_slice(&g->from),
					       key_slice(&to), 0, on_rows, g)
					 : ENGINE_IO;

		if (r == ENGINE_AGAIN) {
			s->fetch->busy = true;
			s->st->in_flight++;
			engine_scan(m->group, key_slice(&g->from), key_slice(&to), 0, on_rows_later,
			    s->fetch);
			return false;
		}
		if (r != ENGINE_OK)
			g->all = true;
	}
	return true;
}

static bool gone_new(struct request *q, const struct mbox *m)
{
	struct gone *g = calloc(1, sizeof(*g));

	q->gone = g;
	if (g == NULL)
		return false;
	g->modseq = m->pub.modseq;
	g->from = key_gone(q->since + 1, 0);
	g->all = q->since < m->pub.gone_floor;
	g->complete = q->since >= g->modseq; /* nothing happened */
	return true;
}

/* ---- telling ---- */

/* Uids of first..last that the view does not have, as far as there is room: where to go on. */
static uint32_t gone_from_pair(
    const struct view *v, uint32_t first, uint32_t last, struct pairs_out *out)
{
	struct cols_walk w;
	uint32_t next = first;

	cols_walk_from(&w, &v->mbox->cols, &v->see, first);
	while (cols_walk_next(&w) && w.uid <= last) {
		if (w.uid > next && !pairs_add(out, next, w.uid - 1))
			return next;
		next = w.uid + 1;
	}
	if (next <= last && !pairs_add(out, next, last))
		return next;
	return last + 1;
}

/* The same for what was gathered within first..last. */
static uint32_t gone_from_history(const struct view *v, const struct gone *g, uint32_t first,
    uint32_t last, struct pairs_out *out)
{
	size_t lo = 0, hi = g->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (g->v[mid].last < first)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < g->n && g->v[lo].first <= last; lo++) {
		uint32_t a = g->v[lo].first > first ? g->v[lo].first : first;
		uint32_t b = g->v[lo].last < last ? g->v[lo].last : last, next;

		next = gone_from_pair(v, a, b, out);
		if (next <= b)
			return next;
	}
	return last + 1;
}

/* False: there is more. */
static bool gone_fill(const struct view *v, struct request *q, struct pairs_out *out)
{
	uint32_t end = v->see.uid_limit - 1;
	size_t at = 0;

	do {
		uint32_t first = q->n_data > 0 ? wire_load_u32(q->data + at) : 1;
		uint32_t last = q->n_data > 0 ? wire_load_u32(q->data + at + 4) : end;

		last = last < end ? last : end;
		first = first > q->uid ? first : q->uid;
		if (first <= last) {
			q->uid = q->gone->all ? gone_from_pair(v, first, last, out)
					      : gone_from_history(v, q->gone, first, last, out);
			if (q->uid <= last)
				return false;
		}
		at += 8;
	} while (at < q->n_data);
	return true;
}

enum run run_gone(struct session *s, struct request *q)
{
	static struct pairs_out out;
	struct ipc_gone_are a = { .seq = q->seq };
	int status;
	struct view *v = view_ready(s, q, &status);

	if (v == NULL && status == IPC_ST_OK)
		return RUN_WAIT;
	if (v != NULL && q->gone == NULL && !gone_new(q, v->mbox)) {
		status = IPC_ST_TRYLATER;
		v = NULL;
	}
	if (v != NULL && !gather(s, q, v->mbox))
		return RUN_WAIT;
	out.n = out.first = 0;
	a.more = v != NULL && !gone_fill(v, q, &out);
	pairs_close(&out);
	a.status = (uint32_t)status;
	a.uids = slice_of(out.p, out.n * 8);
	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_gone_are, &a, NULL);
	return a.more ? RUN_AGAIN : RUN_DONE;
}
