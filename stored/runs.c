#include "stored/runs.h"

#include <errno.h>
#include <stdlib.h>

void runs_fini(struct runs *r)
{
	free(r->v);
	*r = (struct runs){ 0 };
}

int runs_add(struct runs *r, const struct run_rec *run)
{
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 16 : r->cap * 2;
		struct run_rec *v = reallocarray(r->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = *run;
	return 0;
}

void uid_ranges_fini(struct uid_ranges *u)
{
	free(u->v);
	*u = (struct uid_ranges){ 0 };
}

static int by_first(const void *x, const void *y)
{
	const struct uid_range *a = x, *b = y;

	return a->first < b->first ? -1 : a->first > b->first;
}

int runs_ranges(const struct runs *r, struct uid_ranges *ret)
{
	struct uid_ranges u = { 0 };
	size_t to = 0;

	if (r->n > 0) {
		u.v = reallocarray(NULL, r->n, sizeof(*u.v));
		if (u.v == NULL)
			return -ENOMEM;
	}
	for (size_t i = 0; i < r->n; i++)
		u.v[i] = (struct uid_range){ r->v[i].first, r->v[i].last };
	if (r->n > 1)
		qsort(u.v, r->n, sizeof(*u.v), by_first);
	for (size_t i = 0; i < r->n; i++) {
		if (to > 0 && u.v[i].first <= u.v[to - 1].last + 1) {
			if (u.v[i].last > u.v[to - 1].last)
				u.v[to - 1].last = u.v[i].last;
		} else {
			u.v[to++] = u.v[i];
		}
	}
	u.n = to;
	*ret = u;
	return 0;
}

const struct uid_range *uid_ranges_at(struct uid_ranges *u, uint32_t uid)
{
	while (u->at < u->n && u->v[u->at].last < uid)
		u->at++;
	return u->at < u->n ? &u->v[u->at] : NULL;
}

static size_t lower(const uint32_t *uids, size_t n, uint32_t uid)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (uids[mid] < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first index from i on that nobody has taken; next[i] leads towards it. */
static size_t free_from(uint32_t *next, size_t i)
{
	size_t end = i;

	while (next[end] != end)
		end = next[end];
	while (next[i] != end) {
		size_t step = next[i];

		next[i] = (uint32_t)end;
		i = step;
	}
	return end;
}

int runs_owners(const struct runs *r, const uint32_t *uids, size_t n, uint32_t *out)
{
	uint32_t *next = reallocarray(NULL, n + 1, sizeof(*next));

	if (next == NULL || n >= UINT32_MAX) {
		free(next);
		return -ENOMEM;
	}
	for (size_t i = 0; i <= n; i++)
		next[i] = (uint32_t)i;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint32_t)r->n;
	/* The oldest takes first; what is taken is stepped over. */
	for (size_t k = 0; k < r->n; k++) {
		size_t i = free_from(next, lower(uids, n, r->v[k].first));

		while (i < n && uids[i] <= r->v[k].last) {
			out[i] = (uint32_t)k;
			next[i] = (uint32_t)(i + 1);
			i = free_from(next, i + 1);
		}
	}
	free(next);
	return 0;
}
