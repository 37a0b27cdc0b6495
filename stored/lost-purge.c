/*
 * lost-purge - what was expunged before some second goes for good: the oldest runs of each mailbox,
 * in portions that are atoms each; then deleted mailboxes that nothing is left of.
 */
#include "stored/loan-rows.h"
#include "stored/lost.h"
#include "stored/tree.h"

#include <stdlib.h>

struct purge {
	struct txn txn; /* first: see on_portion() */
	struct account *a;
	lost_purged_fn *fn;
	void *arg;
	int64_t before_s;
	struct lost_mboxes mboxes; /* to look at */
	struct mbox *m;            /* held */
	bool bad;                  /* this mailbox */
	bool looping, again, over;
	struct run_rec *runs;
	size_t n_runs;
	bool more; /* the portion was not all that is due */
	int rc, status;
	size_t n;
	uint64_t bytes;
};

static void purge_end(struct purge *p)
{
	struct account *a = p->a;

	p->fn(p->arg, p->status, p->n, p->bytes);
	lost_mboxes_fini(&p->mboxes);
	free(p->runs);
	free(p);
	account_unref(a);
}

static void purge_next(struct purge *p);

/* ---- one portion ---- */

/* Views that still see a message keep its body. */
static bool doom(struct purge *p, const struct run_rec *run)
{
	static const uint8_t version[1] = { RECORD_VERSION };
	const struct cols *c = &p->m->cols;
	bool good = true;

	for (size_t d = cols_dead_lower(c, run->first);
	     good && d < c->n_dead && c->dead[d].row.uid <= run->last; d++) {
		struct rec_key key = key_u32(REC_DOOMED, c->dead[d].row.uid);

		p->m->doomed = true;
		good = engine_put_ref(p->txn.batch, key_slice(&key), slice_of(version, 1),
			   &c->dead[d].row.loc) == 0;
	}
	return good;
}

static bool portion_rows(struct purge *p)
{
	struct mbox_head *h = &p->txn.head;
	bool good = true;

	for (size_t i = 0; good && i < p->n_runs; i++) {
		const struct run_rec *run = &p->runs[i];
		struct rec_key key = key_run(run->modseq, run->first);

		h->lost -= run->n < h->lost ? run->n : h->lost;
		h->lost_bytes -= run->bytes < h->lost_bytes ? run->bytes : h->lost_bytes;
		good = mbox_del_rows(p->txn.batch, run->first, run->last) && doom(p, run) &&
		       engine_del(p->txn.batch, key_slice(&key)) == 0;
	}
	return good;
}

static void on_erased(void *arg, int status, uint64_t id)
{
	struct purge *p = arg;

	if (status != IPC_ST_OK)
		p->status = status;
	purge_next(p);
}

/* The mailbox is done with. */
static void mbox_done(struct purge *p)
{
	struct mbox *m = p->m;
	bool erase = m->deleted_s != 0 && m->pend.lost == 0 && !p->bad && !account_held(p->a);
	uint64_t id = m->id;

	p->m = NULL;
	change_release(m);
	if (erase)
		tree_erase(p->a, id, on_erased, p);
	else
		purge_next(p);
}

/* The others are looked at all the same. */
static void mbox_failed(struct purge *p, int status)
{
	p->status = status;
	p->bad = true;
	mbox_done(p);
}

static void portion_begin(struct purge *p);

static void on_portion(struct txn *t, int status)
{
	struct purge *p = (struct purge *)t;

	for (size_t i = 0; status == IPC_ST_OK && i < p->n_runs; i++) {
		p->n += p->runs[i].n;
		p->bytes += p->runs[i].bytes;
	}
	if (status == IPC_ST_OK && p->more)
		portion_begin(p);
	else if (status == IPC_ST_OK)
		mbox_done(p);
	else
		mbox_failed(p, status);
}

static void portion_commit(struct purge *p)
{
	struct txn *t = &p->txn;
	int r = store_status(p->rc);

	if (r == IPC_ST_OK && account_held(p->a)) /* since the portion before */
		r = IPC_ST_DENIED;
	if (r == IPC_ST_OK && p->n_runs == 0) {
		mbox_done(p);
		return;
	}
	if (r == IPC_ST_OK)
		r = txn_begin(p->m, t, on_portion);
	if (r == IPC_ST_OK && !portion_rows(p)) {
		txn_abort(t);
		r = IPC_ST_TRYLATER;
	} else if (r == IPC_ST_OK) {
		r = txn_commit(p->a->st, &t, 1);
	}
	if (r != IPC_ST_OK)
		mbox_failed(p, r);
}

static struct uid_range *ranges_of(const struct purge *p)
{
	struct uid_range *v = calloc(p->n_runs, sizeof(*v));

	for (size_t i = 0; v != NULL && i < p->n_runs; i++)
		v[i] = (struct uid_range){ p->runs[i].first, p->runs[i].last };
	return v;
}

static void on_settled(void *arg)
{
	portion_commit(arg);
}

/* Who shares facts and headers of what goes gets his own first. */
static void portion_settle(struct purge *p)
{
	struct loan_ask ask = { LOANS_GIVEN, p->m, NULL, p->n_runs, on_settled, p };

	if (p->rc == ENGINE_OK && p->n_runs > 0 && loan_any(p->m, LOANS_GIVEN))
		ask.take_v = ranges_of(p);
	if (ask.take_v != NULL)
		loan_settle(&ask);
	else
		portion_commit(p);
}

/* The oldest first: the first that is not due ends it. */
static void on_runs(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct purge *p = arg;

	p->rc = rc;
	p->more = more;
	for (size_t i = 0; p->rc == ENGINE_OK && i < n; i++) {
		struct run_rec *run = &p->runs[p->n_runs];

		if (run_unpack(rows[i].key, rows[i].val, run) != 0)
			p->rc = ENGINE_CORRUPT;
		else if (run->when >= p->before_s)
			break;
		else
			p->n_runs++;
	}
	p->more = more && p->n_runs == n;
}

static void on_runs_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct purge *p = arg;

	p->a->st->in_flight--;
	on_runs(arg, rc, rows, n, more);
	portion_settle(p);
}

static void portion_begin(struct purge *p)
{
	struct rec_key from = key_kind(REC_RUN), to = key_kind_end(REC_RUN);
	int r = ENGINE_IO;

	p->n_runs = 0;
	p->more = false;
	p->rc = ENGINE_OK;
	if (p->m->group != NULL && p->m->cols.n_dead <= LOST_DEAD_MAX)
		r = engine_scan_now(
		    p->m->group, key_slice(&from), key_slice(&to), LOST_PURGE_RUNS, on_runs, p);
	if (r == ENGINE_AGAIN) {
		p->a->st->in_flight++;
		engine_scan(p->m->group, key_slice(&from), key_slice(&to), LOST_PURGE_RUNS,
		    on_runs_later, p);
		return;
	}
	if (r != ENGINE_OK)
		p->rc = r;
	portion_settle(p);
}

/* ---- mailbox after mailbox ---- */

static void on_held(void *arg, int status)
{
	struct purge *p = arg;

	if (status == IPC_ST_OK && account_held(p->a)) {
		mbox_failed(p, IPC_ST_DENIED);
		return;
	}
	if (status == IPC_ST_OK) {
		portion_begin(p);
		return;
	}
	p->m = NULL;
	if (status != IPC_ST_NOTFOUND) /* deleted meanwhile */
		p->status = status;
	purge_next(p);
}

static void purge_step(struct purge *p)
{
	bool ends =
	    p->status == IPC_ST_DENIED || p->a->state != ACCOUNT_READY || p->a->st->stopping;

	p->m = ends ? NULL : lost_mboxes_next(&p->mboxes);
	p->bad = false;
	p->over = p->m == NULL;
	if (!p->over)
		change_hold(p->m, false, on_held, p);
}

/* What is done at once comes back here: by a loop, not by one call in the other. */
static void purge_next(struct purge *p)
{
	p->again = true;
	if (p->looping)
		return;
	p->looping = true;
	while (p->again && !p->over) {
		p->again = false;
		purge_step(p);
	}
	p->looping = false;
	if (p->over)
		purge_end(p);
}

void lost_purge(
    struct account *a, struct slice name, int64_t before_s, lost_purged_fn *fn, void *arg)
{
	struct purge *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		fn(arg, IPC_ST_TRYLATER, 0, 0);
		return;
	}
	*p = (struct purge){ .a = a, .fn = fn, .arg = arg, .before_s = before_s };
	account_ref(a);
	p->runs = calloc(LOST_PURGE_RUNS, sizeof(*p->runs));
	if (account_held(a))
		p->status = IPC_ST_DENIED;
	else if (p->runs == NULL || lost_mboxes_find(a, name, 0, &p->mboxes) != 0)
		p->status = IPC_ST_TRYLATER;
	purge_next(p);
}
