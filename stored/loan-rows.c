/*
 * loan-rows - see the header.
 */
#include "stored/loan-rows.h"

#include <stdlib.h>

struct engine_group *loan_lender(const struct account *a, uint64_t id)
{
	struct mbox *m;

	for (size_t i = 0; (m = account_nth(a, i)) != NULL; i++)
		if (m->id == id)
			return m->group;
	return NULL;
}

struct engine_group *loan_group(
    const struct mbox *m, uint32_t uid, uint32_t *io_last, uint32_t *ret_shift)
{
	const struct loan *one = loans_at(&m->loans, uid);
	struct engine_group *g = NULL;
	uint32_t end;

	*ret_shift = 0;
	if (one != NULL && one->first > uid && one->first <= *io_last)
		*io_last = one->first - 1;
	if (one == NULL || one->first > uid)
		return m->group;
	end = one->first + (one->n - 1);
	if (end < *io_last)
		*io_last = end;
	g = one->mbox == m->id ? m->group : loan_lender(m->account, one->mbox);
	if (g == NULL)
		return m->group; /* the lender has gone */
	*ret_shift = one->first - one->there;
	return g;
}

static bool row_put(struct txn *t, const struct loans *l, uint32_t row)
{
	static uint8_t val[LOANS_ROW_MAX];
	struct rec_key key = key_u32(REC_LOANS, row);
	size_t n = loans_pack(l, row, val);

	if (n == 0)
		return engine_del(t->batch, key_slice(&key)) == 0;
	return engine_put(t->batch, key_slice(&key), slice_of(val, n)) == 0;
}

bool loan_put_new(struct txn *t, const struct loans *l, size_t from)
{
	struct rec_key first = key_kind(REC_LOANS), end = key_kind_end(REC_LOANS);
	bool good = true;

	/* A program that knows no loans may have left some of uids that it gave away. */
	if (from < l->n && !t->head.loans)
		good = engine_del_range(t->batch, key_slice(&first), key_slice(&end)) == 0;
	for (size_t i = from; good && i < l->n; i++) {
		t->head.loans = true;
		if (i == from || l->v[i].row != l->v[i - 1].row)
			good = row_put(t, l, l->v[i].row);
	}
	return good;
}

/* The loans of all rows that have one of these messages. 0 or -ENOMEM. */
static int rows_of(const struct loans *l, const struct uid_range *v, size_t n, struct loans *ret)
{
	size_t done = 0;
	int r = 0;

	for (size_t k = 0; r == 0 && k < n; k++) {
		const struct loan *one = loans_at(l, v[k].first);
		size_t from = one != NULL ? (size_t)(one - l->v) : l->n, to;

		if (from == l->n || one->first > v[k].last)
			continue;
		while (from > 0 && l->v[from - 1].row == l->v[from].row)
			from--;
		from = from < done ? done : from;
		to = from;
		while (to < l->n && (l->v[to].first <= v[k].last ||
					(to > from && l->v[to].row == l->v[to - 1].row)))
			to++;
		r = loans_append(ret, l->v + from, to - from);
		done = to;
	}
	return r;
}

bool loan_put_cut(struct txn *t, const struct uid_range *v, size_t n)
{
	struct loans was = { 0 }, is = { 0 };
	bool good = t->mbox->loans.n == 0;

	if (good)
		return true;
	good = rows_of(&t->mbox->loans, v, n, &was) == 0 && loans_append(&is, was.v, was.n) == 0;
	for (size_t k = 0; good && k < n; k++)
		good = loans_cut(&is, v[k].first, v[k].last) == 0;
	for (size_t i = 0; good && i < was.n; i++)
		if (i == 0 || was.v[i].row != was.v[i - 1].row)
			good = row_put(t, &is, was.v[i].row);
	loans_fini(&was);
	loans_fini(&is);
	return good;
}

void loan_cut(struct mbox *m, const struct uid_range *v, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (loans_cut(&m->loans, v[k].first, v[k].last) != 0) {
			account_forget(m->account);
			return;
		}
}
