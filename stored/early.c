#include "stored/early.h"

#include "common/base/wire.h"
#include "stored/limits.h"

#include "common/ipc/types.h"

#include <stdlib.h>

enum { THERE = 1, UNSEEN = 2 };

bool early_wanted(const struct mbox_head *h)
{
	return h->exists >= EARLY_MESSAGES_MIN && h->gone_rows <= EARLY_GONE_MAX && h->staged == 0;
}

void early_fini(struct early *e)
{
	runs_fini(&e->gone);
	uid_ranges_fini(&e->holes);
	free(e->there);
	*e = (struct early){ 0 };
}

void early_gone(struct early *e, struct slice key, struct slice val)
{
	struct run_rec run = { 0 };

	if (key.n == 13 && val.n == 4) {
		run.first = wire_load_u32be(key.p + 9);
		run.last = wire_load_u32(val.p);
	}
	e->bad |= run.first == 0 || run.last < run.first || runs_add(&e->gone, &run) != 0;
}

void early_settle(struct early *e)
{
	if (e->bad || runs_ranges(&e->gone, &e->holes) != 0)
		return;
	for (size_t i = 0; i < e->holes.n; i++)
		e->n_holes += (uint64_t)e->holes.v[i].last - e->holes.v[i].first + 1;
	e->settled = true;
}

static bool all_there(const struct early *e, const struct mbox_head *h)
{
	return e->settled && h->staged == 0 && h->uidnext - 1ull - e->n_holes == h->exists;
}

bool early_window(struct early *e, const struct mbox_head *h)
{
	uint32_t n = e->to == 0 ? EARLY_WINDOW_MIN : (e->to - e->from) * 4;

	if (!all_there(e, h) || h->unseen == 0 || h->unseen == h->exists || e->first_unseen != 0 ||
	    n > EARLY_WINDOW_MAX || n >= h->uidnext)
		return false;
	free(e->there);
	e->there = calloc(n, 1);
	if (e->there == NULL)
		return false;
	e->to = h->uidnext;
	e->from = e->to - n;
	return true;
}

void early_flags(struct early *e, uint32_t uid, uint32_t flags, bool changed)
{
	uint8_t *p;

	if (uid < e->from || uid >= e->to)
		return;
	p = &e->there[uid - e->from];
	if (changed && *p == 0)
		return;
	*p = flags & IPC_FLAG_SEEN ? THERE : THERE | UNSEEN;
}

void early_window_end(struct early *e, const struct mbox_head *h)
{
	uint32_t n = 0, first = 0;

	/* Rows of what is expunged and can be restored are among them. */
	for (uint32_t uid = e->to - 1; uid >= e->from; uid--) {
		bool hole = false;

		for (size_t lo = 0, hi = e->holes.n; lo < hi && !hole;) {
			size_t mid = lo + (hi - lo) / 2;

			hole = e->holes.v[mid].first <= uid && uid <= e->holes.v[mid].last;
			if (e->holes.v[mid].last < uid)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (hole || !(e->there[uid - e->from] & UNSEEN))
			continue;
		n++;
		first = uid;
	}
	if (n == h->unseen)
		e->first_unseen = first;
}

/* The lowest uid that is there. */
static uint32_t lowest(const struct early *e)
{
	return e->holes.n > 0 && e->holes.v[0].first == 1 ? e->holes.v[0].last + 1 : 1;
}

bool early_known(
    const struct early *e, const struct mbox_head *h, uint32_t limit, uint32_t *ret_unseen)
{
	uint32_t first = 0;

	if (!all_there(e, h))
		return false;
	if (h->unseen == h->exists)
		first = lowest(e);
	else if (h->unseen > 0)
		first = e->first_unseen;
	if (h->unseen > 0 && first == 0)
		return false;
	*ret_unseen = first < limit ? first : 0;
	return true;
}
