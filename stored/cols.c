#include "stored/cols.h"

#include "common/ipc/types.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	size_t at, width;
} columns[] = {
	{ offsetof(struct cols, uid), sizeof(uint32_t) },
	{ offsetof(struct cols, flags), sizeof(uint32_t) },
	{ offsetof(struct cols, keywords), sizeof(uint64_t) },
	{ offsetof(struct cols, size), sizeof(uint64_t) },
	{ offsetof(struct cols, modseq), sizeof(uint64_t) },
	{ offsetof(struct cols, id), sizeof(uint64_t) },
	{ offsetof(struct cols, sum), sizeof(uint64_t) },
	{ offsetof(struct cols, thread), sizeof(uint64_t) },
	{ offsetof(struct cols, date), sizeof(int64_t) },
	{ offsetof(struct cols, saved), sizeof(int64_t) },
	{ offsetof(struct cols, loc), sizeof(struct engine_loc) },
};

enum { N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static void *column_get(const struct cols *c, size_t k)
{
	void *p;

	memcpy(&p, (const uint8_t *)c + columns[k].at, sizeof(p));
	return p;
}

static void column_set(struct cols *c, size_t k, void *p)
{
	memcpy((uint8_t *)c + columns[k].at, &p, sizeof(p));
}

void cols_fini(struct cols *c)
{
	for (size_t k = 0; k < N_COLUMNS; k++)
		free(column_get(c, k));
	free(c->dead);
	*c = (struct cols){ 0 };
}

int cols_reserve(struct cols *c, size_t n)
{
	size_t cap = c->cap == 0 ? 16 : c->cap;

	while (cap < c->n + n)
		cap *= 2;
	if (cap == c->cap)
		return 0;
	/* A column that grew while a later one could not is only larger than it needs to be. */
	for (size_t k = 0; k < N_COLUMNS; k++) {
		void *p = reallocarray(column_get(c, k), cap, columns[k].width);

		if (p == NULL)
			return -ENOMEM;
		column_set(c, k, p);
	}
	c->cap = cap;
	return 0;
}

int cols_append(struct cols *c, const struct cols_row *row)
{
	assert(c->n == 0 || c->uid[c->n - 1] < row->uid);
	if (c->n == c->cap && cols_reserve(c, 1) != 0)
		return -ENOMEM;
	c->uid[c->n] = row->uid;
	c->flags[c->n] = row->flags;
	c->keywords[c->n] = row->keywords;
	c->size[c->n] = row->size;
	c->modseq[c->n] = row->modseq;
	c->id[c->n] = row->id;
	c->sum[c->n] = row->sum;
	c->thread[c->n] = row->thread;
	c->date[c->n] = row->date;
	c->saved[c->n] = row->saved;
	c->loc[c->n] = row->loc;
	c->n++;
	return 0;
}

/* First of lo..hi with a uid not below `uid`. */
static size_t lower(const struct cols *c, uint32_t uid, size_t lo, size_t hi)
{
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->uid[mid] < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t cols_lower(const struct cols *c, uint32_t uid)
{
	return lower(c, uid, 0, c->n);
}

size_t cols_lower_from(const struct cols *c, size_t from, uint32_t uid)
{
	size_t step = 1;

	while (from + step < c->n && c->uid[from + step] < uid)
		step *= 2;
	return lower(c, uid, from, from + step < c->n ? from + step : c->n);
}

size_t cols_dead_lower(const struct cols *c, uint32_t uid)
{
	size_t lo = 0, hi = c->n_dead;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->dead[mid].row.uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool in_run(const struct cols *c, size_t i, size_t k)
{
	return c->uid[k] - c->uid[i] == k - i;
}

size_t cols_run_last(const struct cols *c, size_t i, size_t end)
{
	size_t good = i, step = 1;

	/* Uids grow: what lies between two of a run is of it. */
	while (good + step < end && in_run(c, i, good + step)) {
		good += step;
		step *= 2;
	}
	for (; step > 0; step /= 2)
		if (good + step < end && in_run(c, i, good + step))
			good += step;
	return good;
}

uint32_t cols_first_unseen(struct cols *c)
{
	size_t i = cols_lower(c, c->seen_below);

	while (i < c->n && (c->flags[i] & IPC_FLAG_SEEN) != 0)
		i++;
	c->seen_below = i < c->n ? c->uid[i] : i > 0 ? c->uid[i - 1] + 1 : 0;
	return i < c->n ? c->uid[i] : 0;
}

void cols_set_flags(struct cols *c, size_t i, uint32_t flags)
{
	c->flags[i] = flags;
	if ((flags & IPC_FLAG_SEEN) == 0 && c->uid[i] < c->seen_below)
		c->seen_below = c->uid[i];
}

struct cols_row cols_at(const struct cols *c, size_t i)
{
	return (struct cols_row){ .uid = c->uid[i],
		.flags = c->flags[i],
		.keywords = c->keywords[i],
		.size = c->size[i],
		.modseq = c->modseq[i],
		.id = c->id[i],
		.sum = c->sum[i],
		.thread = c->thread[i],
		.date = c->date[i],
		.saved = c->saved[i],
		.loc = c->loc[i] };
}

int cols_reserve_dead(struct cols *c, size_t n)
{
	size_t cap = c->cap_dead == 0 ? 16 : c->cap_dead;
	struct cols_dead *p;

	while (cap < c->n_dead + n)
		cap *= 2;
	if (cap == c->cap_dead)
		return 0;
	p = reallocarray(c->dead, cap, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	c->dead = p;
	c->cap_dead = cap;
	return 0;
}

static void dead_add(struct cols *c, const struct cols_dead *d)
{
	size_t at = c->n_dead;

	assert(c->n_dead < c->cap_dead);
	while (at > 0 && c->dead[at - 1].row.uid > d->row.uid)
		at--;
	memmove(&c->dead[at + 1], &c->dead[at], (c->n_dead - at) * sizeof(*d));
	c->dead[at] = *d;
	c->n_dead++;
}

static void row_move(struct cols *c, size_t to, size_t from)
{
	for (size_t k = 0; k < N_COLUMNS; k++) {
		uint8_t *p = column_get(c, k);
		size_t w = columns[k].width;

		memcpy(p + to * w, p + from * w, w);
	}
}

void cols_expunge(
    struct cols *c, const uint32_t *uids, const bool *keep, size_t n, uint32_t by, uint64_t modseq)
{
	size_t to = n > 0 ? cols_lower(c, uids[0]) : c->n, done = 0;

	if (n == 0)
		return;
	for (size_t i = to; i < c->n; i++) {
		if (done < n && c->uid[i] == uids[done]) {
			if (keep[done])
				dead_add(c, &(struct cols_dead){ cols_at(c, i), modseq, by });
			done++;
			continue;
		}
		if (to != i)
			row_move(c, to, i);
		to++;
	}
	assert(done == n);
	c->n = to;
}

bool cols_dead_seen(const struct cols_view *v, const struct cols_dead *d)
{
	return d->row.uid < v->uid_limit && d->gone > v->known && d->by != v->number;
}

int cols_find(const struct cols *c, const struct cols_view *v, uint32_t uid, struct cols_row *ret)
{
	size_t i = cols_lower(c, uid), d;

	if (uid >= v->uid_limit)
		return 1;
	if (i < c->n && c->uid[i] == uid) {
		*ret = cols_at(c, i);
		return 0;
	}
	d = cols_dead_lower(c, uid);
	if (d >= c->n_dead || c->dead[d].row.uid != uid || !cols_dead_seen(v, &c->dead[d]))
		return 1;
	*ret = c->dead[d].row;
	return 0;
}

void cols_walk_from(
    struct cols_walk *w, const struct cols *c, const struct cols_view *v, uint32_t uid)
{
	*w = (struct cols_walk){
		.c = c, .v = v, .i = cols_lower(c, uid), .d = cols_dead_lower(c, uid)
	};
}

bool cols_walk_next(struct cols_walk *w)
{
	const struct cols *c = w->c;

	while (w->d < c->n_dead && !cols_dead_seen(w->v, &c->dead[w->d]))
		w->d++;
	if (w->d < c->n_dead && (w->i >= c->n || c->dead[w->d].row.uid < c->uid[w->i])) {
		w->dead = &c->dead[w->d++];
		w->uid = w->dead->row.uid;
		return true;
	}
	if (w->i >= c->n || c->uid[w->i] >= w->v->uid_limit)
		return false;
	w->dead = NULL;
	w->at = w->i++;
	w->uid = c->uid[w->at];
	return true;
}

uint32_t cols_walk_peek(struct cols_walk *w)
{
	struct cols_walk ahead = *w;
	bool any = cols_walk_next(&ahead);

	return any ? ahead.uid : UINT32_MAX;
}

void cols_walk_skip(struct cols_walk *w, uint32_t uid)
{
	w->i = cols_lower_from(w->c, w->i, uid);
	if (w->d < w->c->n_dead)
		w->d = cols_dead_lower(w->c, uid);
}

struct cols_row cols_walk_row(const struct cols_walk *w)
{
	return w->dead != NULL ? w->dead->row : cols_at(w->c, w->at);
}

size_t cols_sweep(struct cols *c, bool (*seen)(void *arg, const struct cols_dead *d), void *arg,
    uint32_t *ret_uids, size_t max)
{
	size_t to = 0, n = 0;

	for (size_t i = 0; i < c->n_dead; i++) {
		if (n < max && !seen(arg, &c->dead[i]))
			ret_uids[n++] = c->dead[i].row.uid;
		else
			c->dead[to++] = c->dead[i];
	}
	c->n_dead = to;
	return n;
}

static void loc_moved(
    struct engine_loc *loc, const struct engine_loc *from, const struct engine_loc *to)
{
	if (memcmp(loc, from, sizeof(*loc)) == 0)
		*loc = *to;
}

void cols_moved(
    struct cols *c, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to)
{
	size_t i = cols_lower(c, uid), d = cols_dead_lower(c, uid);

	if (i < c->n && c->uid[i] == uid)
		loc_moved(&c->loc[i], from, to);
	if (d < c->n_dead && c->dead[d].row.uid == uid)
		loc_moved(&c->dead[d].row.loc, from, to);
}
