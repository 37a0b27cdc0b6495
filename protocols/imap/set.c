#include "protocols/imap/set.h"

#include "common/base/wire.h"
#include "protocols/imap/limits.h"

#include <stdlib.h>

void set_fini(struct set *s)
{
	free(s->r);
	*s = (struct set){ 0 };
}

void set_reset(struct set *s)
{
	s->n = 0;
	s->failed = false;
}

static bool room(struct set *s)
{
	size_t cap = s->cap != 0 ? s->cap * 2 : 4;
	struct set_range *r;

	if (s->n < s->cap)
		return true;
	r = s->n < IMAP_RUNS_MAX ? realloc(s->r, cap * sizeof(*r)) : NULL;
	if (r == NULL) {
		s->failed = true;
		return false;
	}
	s->r = r;
	s->cap = cap;
	return true;
}

void set_add(struct set *s, uint32_t first, uint32_t last)
{
	struct set_range *end = s->n > 0 ? &s->r[s->n - 1] : NULL;

	if (end != NULL && first > end->last && first - 1 == end->last) {
		end->last = last;
		return;
	}
	if (room(s))
		s->r[s->n++] = (struct set_range){ first, last };
}

static int range_cmp(const void *a, const void *b)
{
	const struct set_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

void set_norm(struct set *s)
{
	size_t n = 0;
	bool sorted = true;

	for (size_t i = 1; i < s->n && sorted; i++)
		sorted = s->r[i - 1].first <= s->r[i].first;
	if (!sorted)
		qsort(s->r, s->n, sizeof(*s->r), range_cmp);
	for (size_t i = 0; i < s->n; i++) {
		struct set_range r = s->r[i], *end = n > 0 ? &s->r[n - 1] : NULL;

		if (end != NULL && (end->last == UINT32_MAX || r.first <= end->last + 1)) {
			if (r.last > end->last)
				end->last = r.last;
		} else {
			s->r[n++] = r;
		}
	}
	s->n = n;
}

/* The first range that does not end before `n`. */
static size_t range_from(const struct set *s, uint32_t n)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->r[mid].last < n)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool set_has(const struct set *s, uint32_t n)
{
	size_t i = range_from(s, n);

	return i < s->n && s->r[i].first <= n;
}

uint64_t set_count(const struct set *s)
{
	uint64_t count = 0;

	for (size_t i = 0; i < s->n; i++)
		count += (uint64_t)s->r[i].last - s->r[i].first + 1;
	return count;
}

uint64_t set_count_from(const struct set *s, uint32_t first)
{
	uint64_t count = 0;

	for (size_t i = range_from(s, first); i < s->n; i++)
		count +=
		    (uint64_t)s->r[i].last - (s->r[i].first > first ? s->r[i].first : first) + 1;
	return count;
}

void set_clip(const struct set *s, uint32_t first, uint32_t last, struct set *out)
{
	for (size_t i = range_from(s, first); i < s->n && s->r[i].first <= last; i++)
		set_add(out, s->r[i].first > first ? s->r[i].first : first,
		    s->r[i].last < last ? s->r[i].last : last);
}

void set_remove(struct set *s, uint32_t first, uint32_t last)
{
	size_t i = range_from(s, first), j;

	if (i == s->n || s->r[i].first > last)
		return;
	if (s->r[i].first < first && s->r[i].last > last) {
		uint32_t end = s->r[i].last;

		if (!room(s))
			return;
		memmove(&s->r[i + 2], &s->r[i + 1], (s->n - i - 1) * sizeof(*s->r));
		s->n++;
		s->r[i].last = first - 1;
		s->r[i + 1] = (struct set_range){ last + 1, end };
		return;
	}
	if (s->r[i].first < first)
		s->r[i++].last = first - 1;
	for (j = i; j < s->n && s->r[j].last <= last; j++)
		;
	if (j < s->n && s->r[j].first <= last)
		s->r[j].first = last + 1;
	memmove(&s->r[i], &s->r[j], (s->n - j) * sizeof(*s->r));
	s->n -= j - i;
}

void set_subtract(struct set *s, const struct set *gone)
{
	struct set left = { 0 };
	size_t at = 0;

	if (s->n == 0 || gone->n == 0)
		return;
	for (size_t i = 0; i < s->n; i++) {
		uint32_t first = s->r[i].first, last = s->r[i].last;
		bool over = false;

		while (at < gone->n && gone->r[at].last < first)
			at++;
		while (!over && at < gone->n && gone->r[at].first <= last) {
			if (gone->r[at].first > first)
				set_add(&left, first, gone->r[at].first - 1);
			over = gone->r[at].last >= last;
			if (!over)
				first = gone->r[at++].last + 1;
		}
		if (!over)
			set_add(&left, first, last);
	}
	left.failed |= s->failed;
	set_fini(s);
	*s = left;
}

void set_pairs(const struct set *s, size_t *at, struct buf *out)
{
	for (size_t n = 0; n < IMAP_PAIRS_MAX && *at < s->n; n++, ++*at) {
		wire_put_u32(out, s->r[*at].first);
		wire_put_u32(out, s->r[*at].last);
	}
}

bool set_add_pairs(struct set *s, struct slice pairs)
{
	struct wire_reader r = wire_reader(pairs);

	while (wire_left(&r) > 0) {
		uint32_t first = wire_get_u32(&r), last = wire_get_u32(&r);

		if (r.bad || first == 0 || last < first)
			return false;
		set_add(s, first, last);
	}
	return !s->failed;
}
