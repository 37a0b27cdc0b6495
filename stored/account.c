/*
 * account - the accounts in memory: who uses them, who waits for them, which may go.
 */
#include "stored/cross.h"
#include "stored/tree.h"

#include "common/base/log.h"

#include <assert.h>
#include <stdlib.h>

static void account_free(struct account *a)
{
	assert(a->refs == 0 && LIST_EMPTY(&a->sessions) && LIST_EMPTY(&a->guests) &&
	       STAILQ_EMPTY(&a->waiters));
	for (size_t i = 0; i < a->n_mboxes; i++)
		mbox_free(&a->mboxes[i]);
	free(a->mboxes);
	for (size_t i = 0; i < a->n_gone; i++)
		mbox_free(&a->gone[i]);
	free(a->gone);
	for (size_t i = 0; i < a->n_lost; i++)
		mbox_free(&a->lost[i]);
	free(a->lost);
	while (a->dirs.n > 0)
		tree_names_remove(&a->dirs, a->dirs.n - 1);
	while (a->subs.n > 0)
		tree_names_remove(&a->subs, a->subs.n - 1);
	free(a->dirs.v);
	free(a->subs.v);
	if (a->root != NULL)
		engine_group_close(&a->root);
	threads_fini(a);
	free(a->crossing);
	free(a);
}

static void idle_remove(struct account *a)
{
	TAILQ_REMOVE(&a->st->idle, a, idle_link);
	a->st->n_idle--;
	a->st->idle_rows -= a->idle_rows;
	a->idle = false;
}

static void idle_insert(struct account *a)
{
	a->idle_rows = 0;
	for (size_t i = 0; i < a->n_mboxes; i++)
		a->idle_rows += a->mboxes[i]->cols.n;
	TAILQ_INSERT_TAIL(&a->st->idle, a, idle_link);
	a->st->n_idle++;
	a->st->idle_rows += a->idle_rows;
	a->idle = true;
}

void account_ref(struct account *a)
{
	if (a->idle)
		idle_remove(a);
	a->refs++;
}

void account_unref(struct account *a)
{
	assert(a->refs > 0);
	if (--a->refs > 0)
		return;
	if (a->state == ACCOUNT_GONE)
		account_free(a);
	else if (a->state == ACCOUNT_READY)
		idle_insert(a);
}

void account_evict(struct store *st, bool all)
{
	while (!TAILQ_EMPTY(&st->idle) && (all || st->n_idle > STORE_IDLE_ACCOUNTS_MAX ||
					      st->idle_rows > STORE_IDLE_ROWS_MAX)) {
		struct account *a = TAILQ_FIRST(&st->idle);

		idle_remove(a);
		idmap_del(&st->accounts, a->id);
		account_free(a);
	}
}

void account_let_go(struct store *st, uint64_t id)
{
	struct account *a = idmap_get(&st->accounts, id);

	if (a == NULL || !a->idle)
		return;
	idle_remove(a);
	idmap_del(&st->accounts, id);
	account_free(a);
}

static void table_remove(struct account *a)
{
	if (a->state != ACCOUNT_GONE)
		idmap_del(&a->st->accounts, a->id);
	a->state = ACCOUNT_GONE;
}

static struct account *account_new(struct store *st, uint64_t id)
{
	struct account *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->st = st;
	a->id = id;
	a->policy = st->policy;
	STAILQ_INIT(&a->waiters);
	TAILQ_INIT(&a->ops);
	TAILQ_INIT(&a->copies);
	TAILQ_INIT(&a->commits.jobs);
	threads_init(a);
	if (idmap_add(&st->accounts, id, a) == 0)
		return a;
	free(a);
	return NULL;
}

/* What one who asks for a loaded account is told. */
static int account_status(const struct account *a, bool create)
{
	if (a->state == ACCOUNT_READY)
		return IPC_ST_OK;
	return create || a->forgotten ? IPC_ST_TRYLATER : IPC_ST_NOTFOUND;
}

static void waiters_tell(struct account *a, int status)
{
	struct account_waiter *w;

	while ((w = STAILQ_FIRST(&a->waiters)) != NULL) {
		/* One who waited in front may have begun to drop it. */
		int now = status == IPC_ST_OK ? account_status(a, w->create) : status;

		STAILQ_REMOVE_HEAD(&a->waiters, link);
		w->fn(w->arg, now, now == IPC_ST_OK ? a : NULL);
		free(w);
	}
	account_unref(a);
}

void account_settled(struct account *a, int status)
{
	a->settling = false;
	if (status != IPC_ST_OK)
		table_remove(a);
	waiters_tell(a, status);
}

void account_loaded(struct account *a, int status)
{
	if (status != IPC_ST_OK) {
		table_remove(a);
		waiters_tell(a, status);
		return;
	}
	a->state = ACCOUNT_READY;
	quota_begin(a);
	a->settling = a->crossing != NULL;
	if (a->settling)
		cross_settle(a);
	else
		waiters_tell(a, IPC_ST_OK);
}

void account_get(struct store *st, uint64_t id, unsigned flags, account_fn *fn, void *arg)
{
	struct account *a = idmap_get(&st->accounts, id);
	struct account_waiter *w;
	bool fresh = a == NULL;

	if (st->refused) {
		fn(arg, IPC_ST_TRYLATER, NULL);
		return;
	}
	if (!fresh && a->state == ACCOUNT_READY && !a->settling) {
		account_ref(a);
		fn(arg, IPC_ST_OK, a);
		account_unref(a);
		return;
	}
	if (!fresh && a->state == ACCOUNT_DROPPING) {
		fn(arg, account_status(a, (flags & ACCOUNT_CREATE) != 0), NULL);
		return;
	}
	w = malloc(sizeof(*w));
	if (w != NULL && fresh)
		a = account_new(st, id);
	if (w == NULL || a == NULL) {
		free(w);
		fn(arg, IPC_ST_TRYLATER, NULL);
		return;
	}
	*w = (struct account_waiter){
		.fn = fn, .arg = arg, .create = (flags & ACCOUNT_CREATE) != 0
	};
	STAILQ_INSERT_TAIL(&a->waiters, w, link);
	a->create |= w->create;
	if (!fresh)
		return;
	account_ref(a);
	if (!cross_parks(a))
		account_load(a);
}

/* What waits for a mailbox. */
static void fail_all(struct account *a)
{
	struct mbox *m;

	for (size_t i = 0; (m = account_nth(a, i)) != NULL; i++)
		change_fail(m);
}

void account_forget(struct account *a)
{
	if (a->state == ACCOUNT_GONE)
		return;
	account_ref(a);
	a->forgotten = true;
	table_remove(a);
	session_end_all(a->st, a, 0, IPC_BYE_STORE);
	fail_all(a);
	account_unref(a);
}

uint64_t account_usage(const struct account *a)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < a->n_mboxes; i++)
		sum += a->mboxes[i]->pend.bytes;
	return sum;
}

struct mbox *account_nth(const struct account *a, size_t i)
{
	if (i < a->n_mboxes)
		return a->mboxes[i];
	i -= a->n_mboxes;
	if (i < a->n_lost)
		return a->lost[i];
	i -= a->n_lost;
	/* On their way to the list of the lost. */
	for (size_t k = 0; k < a->n_gone; k++)
		if (a->gone[k]->deleted_s != 0 && i-- == 0)
			return a->gone[k];
	return NULL;
}

/* ---- dropping: the mailboxes' rows in portions, the account's own rows with the last ---- */

struct drop {
	struct account *a;
	account_fn *fn;
	void *arg;
	size_t next;
	bool last;
	struct engine_group *threads; /* owned; NULL: it has none */
};

static void drop_portion(struct drop *d);

static void on_dropped(void *arg, int rc)
{
	struct drop *d = arg;
	struct account *a = d->a;

	a->st->in_flight--;
	if (rc == ENGINE_OK && !d->last) {
		drop_portion(d);
		return;
	}
	if (rc == ENGINE_UNKNOWN && d->last)
		meta_reopen(a->st);
	if (rc == ENGINE_OK) {
		if (a->st->shards[a->shard].accounts > 0)
			a->st->shards[a->shard].accounts--;
		table_remove(a);
		d->fn(d->arg, IPC_ST_OK, NULL);
	} else {
		account_forget(a);
		d->fn(d->arg, store_status(rc), NULL);
	}
	account_unref(a);
	if (d->threads != NULL)
		engine_group_close(&d->threads);
	free(d);
}

static bool empty_group(struct engine_batch *b)
{
	return b != NULL && engine_del_group(b) == 0;
}

/* Batches of one portion; how many, 0 when one could not be made. */
static unsigned drop_batches(struct drop *d, struct engine_batch **b)
{
	struct account *a = d->a;
	struct rec_key key = key_u64(REC_ACCOUNT, a->id);
	struct mbox *m;
	unsigned n = 0;
	bool good = a->st->meta != NULL;

	while (good && n < TXN_COMMIT_MAX - 3 && (m = account_nth(a, d->next)) != NULL) {
		d->next++;
		good = m->state == MBOX_READY || m->deleted_s != 0;
		if (good) {
			b[n] = engine_batch_new(m->group);
			good = empty_group(b[n++]);
		}
	}
	d->last = account_nth(a, d->next) == NULL;
	if (good && d->last && d->threads != NULL) {
		b[n] = engine_batch_new(d->threads);
		good = empty_group(b[n++]);
	}
	if (good && d->last) {
		b[n] = engine_batch_new(a->root);
		good = empty_group(b[n++]);
	}
	if (good && d->last) {
		b[n] = engine_batch_new(a->st->meta);
		good = b[n] != NULL && engine_del(b[n], key_slice(&key)) == 0;
		n++;
	}
	for (unsigned i = 0; !good && i < n; i++)
		engine_batch_free(&b[i]);
	return good ? n : 0;
}

static void drop_portion(struct drop *d)
{
	struct engine_batch *b[TXN_COMMIT_MAX];
	const struct commit_ask ask = { .account = d->a, .done = on_dropped, .arg = d };
	unsigned n = drop_batches(d, b);

	d->a->st->in_flight++;
	if (n > 0 && commit_hand_in(d->a->st, &ask, b, n) == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		engine_batch_free(&b[i]);
	d->last = true;
	on_dropped(d, ENGINE_IO);
}

static void on_threads(void *arg, int rc, struct engine_group *take_group)
{
	struct drop *d = arg;

	if (rc == ENGINE_OK)
		d->threads = take_group;
	if (rc == ENGINE_OK || rc == ENGINE_NOTFOUND) {
		d->a->st->in_flight--;
		drop_portion(d);
		return;
	}
	d->last = true;
	on_dropped(d, rc);
}

static void drop_loaded(void *arg, int status, struct account *a)
{
	struct drop *d = arg;
	struct rec_key threads;

	if (status == IPC_ST_OK && account_held(a))
		status = IPC_ST_DENIED;
	if (status != IPC_ST_OK) {
		d->fn(d->arg, status == IPC_ST_NOTFOUND ? IPC_ST_OK : status, NULL);
		free(d);
		return;
	}
	d->a = a;
	account_ref(a);
	a->state = ACCOUNT_DROPPING;
	session_end_all(a->st, a, 0, IPC_BYE_IDENTITY);
	fail_all(a);
	threads = key_group_threads(a->id);
	a->st->in_flight++;
	engine_group_open(
	    store_engine(a->st), key_slice(&threads), 0, ENGINE_IN(a->shard), on_threads, d);
}

void account_drop(struct store *st, uint64_t id, account_fn *fn, void *arg)
{
	struct drop *d = malloc(sizeof(*d));

	if (d == NULL) {
		fn(arg, IPC_ST_TRYLATER, NULL);
		return;
	}
	*d = (struct drop){ .fn = fn, .arg = arg };
	account_get(st, id, 0, drop_loaded, d);
}
