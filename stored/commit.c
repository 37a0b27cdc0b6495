#include "stored/store-private.h"

#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct commit_job {
	TAILQ_ENTRY(commit_job) link;
	struct store *st;
	struct commit_ask ask;
	/* An intent, and what else its group gets in the same commit; NULL: one group is enough. */
	struct engine_batch *home;
	bool in_store; /* that is the store's group, else the account's root */
	int rc;
	unsigned n, left;
	struct engine_batch *b[];
};

static void commit_next(struct account *a);

/* ---- the intent's rows ---- */

static bool is_group(const struct engine_batch *b, struct rec_key id)
{
	return slice_eq(engine_batch_group(b), key_slice(&id));
}

/* The batch that gets the intent leaves the others; or a new one does. */
static int home_take(struct commit_job *j)
{
	struct account *a = j->ask.account;
	unsigned at = j->n;

	for (unsigned i = 0; i < j->n && !j->in_store; i++) {
		j->in_store = is_group(j->b[i], key_group_store());
		if (j->in_store || is_group(j->b[i], key_group_root(a->id)))
			at = i;
	}
	if (at == j->n) {
		j->home = engine_batch_new(a->root);
		return j->home != NULL ? 0 : -ENOMEM;
	}
	j->home = j->b[at];
	j->n--;
	for (unsigned i = at; i < j->n; i++)
		j->b[i] = j->b[i + 1];
	return 0;
}

/* A group that goes needs no mark: nobody else will ever use its id. */
static int mark_put(struct engine_batch *b, uint64_t intent)
{
	struct rec_key key = key_kind(REC_APPLIED);
	uint8_t val[RECORD_APPLIED_BYTES];

	if (engine_batch_ends_group(b))
		return 0;
	applied_pack(intent, val);
	return engine_put(b, key_slice(&key), slice_of(val, sizeof(val)));
}

int intent_del(struct engine_batch *b, uint64_t account)
{
	struct rec_key from = key_u64(REC_INTENT, account), to = key_u64(REC_INTENT, account + 1);

	return engine_del_range(b, key_slice(&from), key_slice(&to));
}

/* An older one of this account was carried out, and only failed to be removed. */
static int intent_put(struct commit_job *j, uint64_t id)
{
	uint64_t account = j->ask.account->id;
	struct rec_key key = key_u64(REC_INTENT, account);
	struct intent_rec rec = { .id = id, .n = j->n };
	uint8_t val[RECORD_INTENT_MAX];
	uint32_t row = 0;
	int r = intent_del(j->home, account);

	assert(j->n <= RECORD_INTENT_GROUPS);
	for (unsigned i = 0; r == 0 && i < j->n; i++) {
		struct slice group = engine_batch_group(j->b[i]);
		uint32_t first = row;

		assert(group.n <= RECORD_KEY_MAX);
		memcpy(rec.to[i].group.p, group.p, group.n);
		rec.to[i].group.n = (uint8_t)group.n;
		r = mark_put(j->b[i], id);
		if (r == 0)
			r = engine_note(j->home, key_slice(&key), &row, j->b[i]);
		rec.to[i].rows = row - first;
		rec.to[i].shard = engine_batch_shard(j->b[i]);
	}
	if (r != 0)
		return r;
	return engine_put(j->home, key_slice(&key), slice_of(val, intent_pack(&rec, val)));
}

static struct commit_job *job_new(
    struct store *st, const struct commit_ask *q, struct engine_batch **b, unsigned n)
{
	struct commit_job *j = malloc(sizeof(*j) + n * sizeof(j->b[0]));

	if (j == NULL)
		return NULL;
	*j = (struct commit_job){ .st = st, .ask = *q, .n = n };
	memcpy(j->b, b, n * sizeof(j->b[0]));
	return j;
}

/* 0, or why not; then the batches are the caller's still. */
static int intent_make(struct commit_job *j)
{
	uint64_t id = store_id(j->st);
	unsigned n = j->n;
	int r;

	if (id == 0)
		return ENGINE_AGAIN;
	r = home_take(j);
	if (r == 0)
		r = intent_put(j, id);
	if (r != 0 && n == j->n)
		engine_batch_free(&j->home);
	return r;
}

/* ---- on the way ---- */

static void job_free(struct commit_job *j)
{
	struct account *a = j->ask.account;

	engine_batch_free(&j->home);
	for (unsigned i = 0; i < j->n; i++)
		engine_batch_free(&j->b[i]);
	free(j);
	account_unref(a);
}

static void on_single(void *arg, int rc)
{
	struct commit_job *j = arg;
	struct account *a = j->ask.account;

	account_ref(a);
	a->commits.handed--;
	j->ask.done(j->ask.arg, rc);
	job_free(j);
	commit_next(a);
	account_unref(a);
}

static void cleaned(struct commit_job *j)
{
	struct account *a = j->ask.account;

	account_ref(a);
	if (j->in_store) {
		a->commits.intent = false;
		j->ask.done(j->ask.arg, ENGINE_OK);
	}
	job_free(j);
	commit_next(a);
	account_unref(a);
}

static void on_cleaned(void *arg, int rc)
{
	struct commit_job *j = arg;

	j->st->in_flight--;
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE) {
		if (j->in_store)
			meta_reopen(j->st);
		else
			account_forget(j->ask.account);
	}
	cleaned(j);
}

/* If it cannot be removed now the next one, or the next load, removes it. That of a forgotten
 * account is the load's: there may be a later one by now. */
static void clean(struct commit_job *j)
{
	struct account *a = j->ask.account;
	struct engine_group *home = j->in_store ? j->st->meta : a->root;

	if (a->forgotten)
		home = NULL;
	j->home = home != NULL ? engine_batch_new(home) : NULL;
	if (j->home == NULL || intent_del(j->home, a->id) != 0) {
		cleaned(j);
		return;
	}
	j->st->in_flight++;
	engine_commit(store_engine(j->st), &j->home, 1, on_cleaned, j);
}

/*
 * All or nothing of it is done; or nobody knows, and the account is loaded anew. An intent in the
 * store's group goes before its owner is told: the next load of the account reads that group while
 * others change it. One in the root goes behind that; but the owner's next intent waits until this
 * one's removal was handed in, which would remove it, too.
 */
static void intent_over(struct commit_job *j, int rc)
{
	struct account *a = j->ask.account;
	bool told = rc != ENGINE_OK || !j->in_store;

	account_ref(a);
	if (told)
		j->ask.done(j->ask.arg, rc);
	if (rc == ENGINE_OK)
		clean(j);
	else
		job_free(j);
	if (told)
		a->commits.intent = false;
	commit_next(a);
	account_unref(a);
}

/* What memory says may not be what the store says, or will say. */
static int intent_lost(struct commit_job *j, int rc)
{
	log_ev(LOG_WARNING, "stored.engine", kv_s("what", "intent"),
	    kv_s("why", engine_rc_name(rc)), kv_u("account", j->ask.account->id));
	if (j->in_store)
		return rc;
	account_forget(j->ask.account);
	return ENGINE_IO;
}

/* The intent is durable: whatever happens now, it is carried out before anybody looks again. */
static void on_part(void *arg, int rc)
{
	struct commit_job *j = arg;

	if (rc != ENGINE_OK)
		j->rc = rc;
	if (--j->left > 0)
		return;
	if (j->rc != ENGINE_OK) {
		(void)intent_lost(j, j->rc);
		j->rc = ENGINE_IO;
	}
	intent_over(j, j->rc);
}

static void on_intent(void *arg, int rc)
{
	struct commit_job *j = arg;
	unsigned n = j->n;

	if (rc != ENGINE_OK) {
		bool lost = rc == ENGINE_UNKNOWN || rc == ENGINE_STALE;

		intent_over(j, lost ? intent_lost(j, rc) : rc);
		return;
	}
	j->left = n;
	for (unsigned i = 0; i < n; i++)
		engine_commit(store_engine(j->st), &j->b[i], 1, on_part, j);
}

static bool still_good(const struct commit_job *j)
{
	return !j->ask.account->forgotten && (j->ask.good == NULL || j->ask.good(j->ask.arg));
}

static void cancel(struct commit_job *j)
{
	j->ask.done(j->ask.arg, ENGINE_CANCELLED);
	job_free(j);
}

static void hand_in(struct commit_job *j)
{
	struct commit_queue *q = &j->ask.account->commits;
	struct engine *e = store_engine(j->st);

	if (j->home == NULL) {
		q->handed++;
		engine_commit(e, j->b, j->n, on_single, j);
	} else {
		q->intent = true;
		engine_commit(e, &j->home, 1, on_intent, j);
	}
}

static void commit_next(struct account *a)
{
	struct commit_queue *q = &a->commits;
	struct commit_job *j;

	if (q->looping)
		return;
	account_ref(a);
	q->looping = true;
	while ((j = TAILQ_FIRST(&q->jobs)) != NULL && !q->intent &&
	       (j->home == NULL || q->handed == 0)) {
		TAILQ_REMOVE(&q->jobs, j, link);
		if (still_good(j))
			hand_in(j);
		else
			cancel(j);
	}
	q->looping = false;
	account_unref(a);
}

int commit_hand_in(
    struct store *st, const struct commit_ask *q, struct engine_batch **take_batches, unsigned n)
{
	struct account *a = q->account;
	struct commit_job *j;
	bool first;
	int r = 0;

	if (engine_limits(store_engine(st))->commit_atomic) {
		engine_commit(store_engine(st), take_batches, n, q->done, q->arg);
		return 0;
	}
	/* What it was built on is not what the next load will find; and `done` must not run here.
	 */
	if (a->forgotten)
		return ENGINE_AGAIN;
	j = job_new(st, q, take_batches, n);
	if (j != NULL && !engine_may_commit(store_engine(st), take_batches, n))
		r = intent_make(j);
	if (j == NULL || r != 0) {
		free(j);
		return r != 0 ? r : -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++)
		take_batches[i] = NULL;
	account_ref(a);
	/* Who waits in front is cancelled by an answer, never from here. */
	first = TAILQ_EMPTY(&a->commits.jobs);
	TAILQ_INSERT_TAIL(&a->commits.jobs, j, link);
	if (first)
		commit_next(a);
	return 0;
}

bool commit_is_idle(const struct account *a)
{
	const struct commit_queue *q = &a->commits;

	return TAILQ_EMPTY(&q->jobs) && !q->intent && !q->looping;
}
