/*
 * lost-load - what can be restored of a mailbox, read from the store: its runs, their messages,
 * the flags these had.
 */
#include "stored/lost.h"

#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

enum { NEAR = 64 }; /* uids between two ranges that are read over */

struct lost_load {
	struct mbox *m;
	struct lost_box *box;
	lost_loaded_fn *fn;
	void *arg;
	enum { STEP_RUNS, STEP_MSGS, STEP_FLAGS, STEP_DONE } step;
	int rc;
	bool more; /* of the scan under way */
	unsigned pages;
	struct rec_key from, to;
	struct uid_ranges ranges;
	size_t next; /* range behind those of the scan under way */
};

void lost_box_fini(struct lost_box *b)
{
	runs_fini(&b->runs);
	cols_fini(&b->cols);
	keysets_fini(&b->sets);
	free(b->owner);
	*b = (struct lost_box){ 0 };
}

static int owners(struct lost_box *b)
{
	b->owner = calloc(b->cols.n + 1, sizeof(*b->owner));
	if (b->owner == NULL)
		return -1;
	return runs_owners(&b->runs, b->cols.uid, b->cols.n, b->owner);
}

static void load_end(struct lost_load *l)
{
	struct account *a = l->m->account;
	lost_loaded_fn *fn = l->fn;
	void *arg = l->arg;
	int status;

	if (l->rc == ENGINE_OK && owners(l->box) != 0)
		l->rc = ENGINE_IO;
	status = store_status(l->rc);
	if (status != IPC_ST_OK)
		lost_box_fini(l->box);
	l->m->pins--;
	uid_ranges_fini(&l->ranges);
	free(l);
	a->st->in_flight--;
	fn(arg, status);
	account_unref(a);
}

/* ---- rows ---- */

static int take_run(struct lost_load *l, const struct engine_row *row)
{
	struct run_rec rec;

	if (run_unpack(row->key, row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	return runs_add(&l->box->runs, &rec) == 0 ? ENGINE_OK : ENGINE_IO;
}

static bool in_range(struct lost_load *l, uint32_t uid)
{
	const struct uid_range *r = uid_ranges_at(&l->ranges, uid);

	return r != NULL && r->first <= uid;
}

static int take_msg(struct lost_load *l, const struct engine_row *row)
{
	struct msg_rec rec;
	uint32_t uid;

	if (key_get_u32(row->key, REC_MSG, &uid) != 0 || msg_unpack(row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	if (!in_range(l, uid))
		return ENGINE_OK;
	if (!row->has_loc)
		return ENGINE_CORRUPT;
	return mbox_load_row(&l->box->cols, &l->box->sets, uid, &rec, &row->loc);
}

static int take_flags(struct lost_load *l, const struct engine_row *row)
{
	struct cols *c = &l->box->cols;
	struct flags_rec rec;
	uint32_t uid;
	size_t i;

	if (key_get_u32(row->key, REC_FLAGS, &uid) != 0 || flags_unpack(row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	i = cols_lower(c, uid);
	if (i == c->n || c->uid[i] != uid)
		return ENGINE_OK;
	c->flags[i] = rec.flags;
	return keysets_word(&l->box->sets, rec.keywords, &c->keywords[i]) == 0 ? ENGINE_OK
									       : ENGINE_IO;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct lost_load *l = arg;

	l->rc = rc;
	l->more = more && n > 0;
	for (size_t i = 0; l->rc == ENGINE_OK && i < n; i++) {
		if (l->step == STEP_RUNS)
			l->rc = take_run(l, &rows[i]);
		else if (l->step == STEP_MSGS)
			l->rc = take_msg(l, &rows[i]);
		else
			l->rc = take_flags(l, &rows[i]);
	}
	if (l->more)
		l->from = key_after(rows[n - 1].key);
}

/* ---- scans ---- */

/* The next ranges that lie close to each other. */
static void scan_ranges(struct lost_load *l)
{
	enum record_kind kind = l->step == STEP_MSGS ? REC_MSG : REC_FLAGS;
	const struct uid_range *v = l->ranges.v;
	size_t i = l->next;

	l->from = key_u32(kind, v[i].first);
	while (i + 1 < l->ranges.n && v[i + 1].first - v[i].last <= NEAR)
		i++;
	l->to = key_u32(kind, v[i].last + 1);
	l->next = i + 1;
}

/* The scan under way has ended. */
static void scan_next(struct lost_load *l)
{
	if (l->step == STEP_RUNS && runs_ranges(&l->box->runs, &l->ranges) != 0)
		l->rc = ENGINE_IO;
	if (l->step == STEP_RUNS || l->next == l->ranges.n) {
		l->step++;
		l->next = 0;
		l->ranges.at = 0;
	}
	if (l->step != STEP_DONE && l->ranges.n > 0)
		scan_ranges(l);
	else
		l->step = STEP_DONE;
}

static void load_steps(struct lost_load *l);

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	on_rows(arg, rc, rows, n, more);
	load_steps(arg);
}

/* On entry in the middle, an answer has arrived. */
static void load_steps(struct lost_load *l)
{
	for (;;) {
		struct slice from, to;
		int r;

		if (l->rc == ENGINE_OK && !l->more)
			scan_next(l);
		if (l->rc == ENGINE_OK && l->m->group == NULL)
			l->rc = ENGINE_IO; /* it is being opened again */
		if (l->rc != ENGINE_OK || l->step == STEP_DONE)
			break;
		from = key_slice(&l->from);
		to = key_slice(&l->to);
		/* A large mailbox is not read in one go: others get their turn. */
		r = ++l->pages % LOAD_PAGES_MAX == 0
			? ENGINE_AGAIN
			: engine_scan_now(l->m->group, from, to, 0, on_rows, l);
		if (r == ENGINE_AGAIN) {
			engine_scan(l->m->group, from, to, 0, on_rows_later, l);
			return;
		}
		if (r != ENGINE_OK)
			l->rc = r;
	}
	load_end(l);
}

void lost_load(struct mbox *m, struct lost_box *out, lost_loaded_fn *fn, void *arg)
{
	struct lost_load *l = calloc(1, sizeof(*l));

	*out = (struct lost_box){ 0 };
	if (l == NULL) {
		fn(arg, IPC_ST_TRYLATER);
		return;
	}
	*l = (struct lost_load){ .m = m, .box = out, .fn = fn, .arg = arg, .more = true };
	l->from = key_kind(REC_RUN);
	l->to = key_kind_end(REC_RUN);
	account_ref(m->account);
	m->account->st->in_flight++;
	m->pins++;
	load_steps(l);
}

/* ---- choosing ---- */

static int pairs_ranges(struct slice pairs, struct uid_ranges *ret)
{
	ret->v = reallocarray(NULL, pairs.n / 8 + 1, sizeof(*ret->v));
	if (ret->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i + 8 <= pairs.n; i += 8)
		ret->v[ret->n++] = (struct uid_range){ wire_load_u32(pairs.p + i),
			wire_load_u32(pairs.p + i + 4) };
	return 0;
}

int lost_choose(const struct lost_box *b, const struct lost_pick *p, uint32_t **ret, size_t *ret_n)
{
	uint32_t *v = calloc(b->cols.n + 1, sizeof(*v));
	struct uid_ranges pairs = { 0 };
	size_t n = 0;

	if (v == NULL || pairs_ranges(p->uids, &pairs) != 0) {
		free(v);
		return -ENOMEM;
	}
	for (size_t i = 0; i < b->cols.n && n < p->max; i++) {
		const struct uid_range *r = uid_ranges_at(&pairs, b->cols.uid[i]);
		int64_t when;

		if (b->owner[i] == b->runs.n)
			continue;
		when = b->runs.v[b->owner[i]].when;
		if (when < p->since || when >= p->until)
			continue;
		if (p->uids.n == 0 || (r != NULL && r->first <= b->cols.uid[i]))
			v[n++] = (uint32_t)i;
	}
	uid_ranges_fini(&pairs);
	*ret = v;
	*ret_n = n;
	return 0;
}
