/*
 * loans - see the header.
 */
#include "stored/loans.h"

#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

void loans_fini(struct loans *l)
{
	free(l->v);
	*l = (struct loans){ 0 };
}

static int reserve(struct loans *l, size_t more)
{
	size_t cap = l->cap < 16 ? 16 : l->cap;
	struct loan *v;

	while (cap < l->n + more)
		cap *= 2;
	if (cap == l->cap)
		return 0;
	v = reallocarray(l->v, cap, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	l->v = v;
	l->cap = cap;
	return 0;
}

int loans_append(struct loans *l, const struct loan *v, size_t n)
{
	if (n == 0)
		return 0;
	if (reserve(l, n) != 0)
		return -ENOMEM;
	memcpy(l->v + l->n, v, n * sizeof(*v));
	l->n += n;
	return 0;
}

int loans_add(struct loans *l, uint32_t uid, uint64_t mbox, uint32_t there)
{
	struct loan *last = l->n > 0 ? &l->v[l->n - 1] : NULL;
	bool same_row = last != NULL && last->mbox == mbox && l->row_msgs < LOANS_ROW_MSGS;
	struct loan one = { uid, 1, there, same_row ? last->row : uid, mbox };

	if (same_row && last->first + last->n == uid && last->there + last->n == there)
		last->n++;
	else if (loans_append(l, &one, 1) != 0)
		return -ENOMEM;
	l->row_msgs = same_row ? l->row_msgs + 1 : 1;
	return 0;
}

/* The first one that ends at the uid or behind it. */
static size_t lower(const struct loans *l, uint32_t uid)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].first + (l->v[mid].n - 1) < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct loan *loans_at(const struct loans *l, uint32_t uid)
{
	size_t i = lower(l, uid);

	return i < l->n ? &l->v[i] : NULL;
}

/* What is left of a loan before `first`, and behind `last`. */
static size_t rest(struct loan one, uint32_t first, uint32_t last, struct loan out[2])
{
	uint32_t end = one.first + (one.n - 1), gone;
	size_t n = 0;

	if (one.first < first) {
		out[n] = one;
		out[n++].n = first - one.first;
	}
	if (end > last) {
		gone = last + 1 - one.first;
		out[n] = one;
		out[n].first += gone;
		out[n].there += gone;
		out[n++].n = end - last;
	}
	return n;
}

int loans_cut(struct loans *l, uint32_t first, uint32_t last)
{
	size_t from = lower(l, first), to = from, n = 0;
	struct loan left[4];

	if (last < first || from == l->n || l->v[from].first > last)
		return 0;
	while (to < l->n && l->v[to].first <= last)
		to++;
	/* Only the first and the last of them can leave something. */
	n = rest(l->v[from], first, last, left);
	if (to - 1 > from)
		n += rest(l->v[to - 1], first, last, left + n);
	if (reserve(l, n) != 0)
		return -ENOMEM;
	memmove(l->v + from + n, l->v + to, (l->n - to) * sizeof(*l->v));
	if (n > 0)
		memcpy(l->v + from, left, n * sizeof(*l->v));
	l->n = from + n + (l->n - to);
	return 0;
}

size_t loans_pack(const struct loans *l, uint32_t row, uint8_t out[LOANS_ROW_MAX])
{
	size_t n = LOANS_ROW_BYTES, i = lower(l, row);

	memset(out, 0, LOANS_ROW_BYTES);
	out[0] = RECORD_VERSION;
	for (; i < l->n && l->v[i].row <= row; i++) {
		const struct loan *one = &l->v[i];

		if (one->row != row)
			continue;
		wire_store_u64(out + 4, one->mbox);
		wire_store_u32(out + n, one->first);
		wire_store_u32(out + n + 4, one->there);
		wire_store_u32(out + n + 8, one->n);
		n += LOANS_RUN_BYTES;
	}
	return n == LOANS_ROW_BYTES ? 0 : n;
}

/* Ascending, apart, and no more than a row has. */
static bool good(const struct loans *l, uint32_t row, struct slice val)
{
	uint64_t next = row, msgs = 0, n;

	if (val.n <= LOANS_ROW_BYTES || val.n > LOANS_ROW_MAX || val.p[0] != RECORD_VERSION ||
	    (val.n - LOANS_ROW_BYTES) % LOANS_RUN_BYTES != 0)
		return false;
	if (l->n > 0 && row < l->v[l->n - 1].first + l->v[l->n - 1].n)
		return false;
	for (size_t at = LOANS_ROW_BYTES; at < val.n; at += LOANS_RUN_BYTES) {
		if (wire_load_u32(val.p + at) < next)
			return false;
		n = wire_load_u32(val.p + at + 8);
		next = wire_load_u32(val.p + at) + n;
		msgs += n;
		if (n == 0 || next > UINT32_MAX || wire_load_u32(val.p + at + 4) + n > UINT32_MAX)
			return false;
	}
	return msgs <= LOANS_ROW_MSGS;
}

int loans_unpack(struct loans *l, uint32_t row, struct slice val)
{
	if (row == 0 || !good(l, row, val))
		return 1;
	if (reserve(l, (val.n - LOANS_ROW_BYTES) / LOANS_RUN_BYTES) != 0)
		return -ENOMEM;
	for (size_t at = LOANS_ROW_BYTES; at < val.n; at += LOANS_RUN_BYTES)
		l->v[l->n++] = (struct loan){ .first = wire_load_u32(val.p + at),
			.there = wire_load_u32(val.p + at + 4),
			.n = wire_load_u32(val.p + at + 8),
			.row = row,
			.mbox = wire_load_u64(val.p + 4) };
	return 0;
}
