#include "stored/threads.h"

#include "stored/store-private.h"

#include "common/base/log.h"
#include "common/base/wire.h"

#include <assert.h>
#include <stdlib.h>

struct thread_note {
	uint64_t number, thread;
};

struct thread_ask {
	STAILQ_ENTRY(thread_ask) link;
	struct account *account; /* holds a reference */
	struct thread_ids ids;
	unsigned at;     /* which id is looked up: the message's own, then from the newest back */
	bool older;      /* in the generation before the last one */
	bool waits;      /* for the engine */
	bool opened;     /* the index, or that was tried */
	uint64_t thread; /* 0: nobody knew it yet */
	threads_fn *fn;
	void *arg;
};

void thread_ids_take(struct slice packed, struct thread_ids *ret_ids)
{
	*ret_ids = (struct thread_ids){ .thread = ret_ids->thread };
	if (packed.n % 8 != 0 || packed.n > 8 * IPC_THREAD_NUMBERS)
		return;
	for (size_t i = 0; i < packed.n / 8; i++) {
		uint64_t number = wire_load_u64(packed.p + 8 * i);

		/* Only the message itself may have no id. */
		if (number == 0 && i > 0)
			break;
		ret_ids->v[ret_ids->n++] = number;
	}
}

void threads_init(struct account *a)
{
	STAILQ_INIT(&a->threads.asks);
}

void threads_fini(struct account *a)
{
	struct threads *t = &a->threads;

	assert(STAILQ_EMPTY(&t->asks) && t->n_handed == 0 && !t->dirty);
	if (t->group != NULL)
		engine_group_close(&t->group);
	free(t->notes);
}

/* ---- what is not durable yet ---- */

static bool noted(const struct threads *t, uint64_t number, uint64_t *ret_thread)
{
	for (size_t i = t->n; i-- > 0;)
		if (t->notes[i].number == number) {
			*ret_thread = t->notes[i].thread;
			return true;
		}
	return false;
}

static void note(struct threads *t, uint64_t number, uint64_t thread)
{
	/* An id without a row stands for itself. */
	if (number == 0 || number == thread || t->n == THREADS_NOTES_MAX)
		return;
	if (t->n == t->cap) {
		size_t cap = t->cap == 0 ? 8 : 2 * t->cap;
		struct thread_note *p = reallocarray(t->notes, cap, sizeof(*p));

		if (p == NULL)
			return;
		t->notes = p;
		t->cap = cap;
	}
	t->notes[t->n++] = (struct thread_note){ number, thread };
}

/* ---- opening ---- */

static void asks_run(struct account *a);

static void index_close(struct threads *t)
{
	if (t->group != NULL)
		engine_group_close(&t->group);
	t->state = THREADS_CLOSED;
}

static void on_head(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct threads *t = &((struct account *)arg)->threads;

	t->head = (struct threads_rec){ .generation = 1 };
	if (rc == ENGINE_OK && n > 0)
		rc = threads_unpack(rows[0].val, &t->head) == 0 ? ENGINE_OK : ENGINE_CORRUPT;
	t->state = THREADS_READY;
	if (rc == ENGINE_OK || rc == ENGINE_NOTFOUND)
		return;
	log_ev(LOG_WARNING, "stored.engine", kv_s("what", "threads"),
	    kv_u("account", ((struct account *)arg)->id), kv_s("why", engine_rc_name(rc)));
	index_close(t);
}

/* What began with THREADS_OPENING is over: goes on with those who wait. */
static void opening_over(struct account *a)
{
	a->st->in_flight--;
	asks_run(a);
	account_unref(a);
}

static void on_head_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	on_head(arg, rc, rows, n, more);
	opening_over(arg);
}

/* False: the answer comes later. */
static bool index_opened(struct account *a, int rc, struct engine_group *take_group)
{
	struct threads *t = &a->threads;
	struct rec_key key = key_kind(REC_HEAD);

	t->group = rc == ENGINE_OK ? take_group : NULL;
	if (t->group == NULL) {
		on_head(a, rc, NULL, 0, false);
		return true;
	}
	rc = engine_get_now(t->group, key_slice(&key), on_head, a);
	if (rc == ENGINE_AGAIN) {
		engine_get(t->group, key_slice(&key), on_head_later, a);
		return false;
	}
	if (rc != ENGINE_OK)
		on_head(a, rc, NULL, 0, false);
	return true;
}

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	if (index_opened(arg, rc, take_group))
		opening_over(arg);
}

static void index_open(struct account *a)
{
	struct engine *e = store_engine(a->st);
	struct rec_key id = key_group_threads(a->id);
	struct engine_group *group = NULL;
	unsigned how = ENGINE_CREATE | ENGINE_IN(a->shard);
	int rc = engine_group_open_now(e, key_slice(&id), 0, how, &group);

	a->threads.state = THREADS_OPENING;
	a->st->in_flight++;
	account_ref(a);
	if (rc == ENGINE_AGAIN) {
		engine_group_open(e, key_slice(&id), 0, how, on_group, a);
		return;
	}
	if (!index_opened(a, rc, group))
		return;
	a->st->in_flight--;
	account_unref(a);
}

/* ---- asking ---- */

static uint64_t number_at(const struct thread_ask *k)
{
	return k->at == 0 ? k->ids.v[0] : k->ids.v[k->ids.n - k->at];
}

static void look_next(struct thread_ask *k)
{
	if (k->thread != 0)
		return;
	k->older = !k->older;
	if (!k->older)
		k->at++;
}

static void on_row(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct thread_ask *k = arg;

	if (rc != ENGINE_OK || n == 0 || thread_row_unpack(rows[0].val, &k->thread) != 0)
		k->thread = 0;
}

static void on_row_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct thread_ask *k = arg;

	on_row(k, rc, rows, n, more);
	k->account->st->in_flight--;
	k->waits = false;
	look_next(k);
	asks_run(k->account);
}

/* False: the answer comes later. */
static bool look(struct thread_ask *k)
{
	struct threads *t = &k->account->threads;
	uint64_t number = number_at(k);
	struct rec_key key = key_thread(t->head.generation - k->older, number);

	if (number == 0 || t->state != THREADS_READY || noted(t, number, &k->thread))
		return true;
	if (engine_get_now(t->group, key_slice(&key), on_row, k) != ENGINE_AGAIN)
		return true;
	k->waits = true;
	k->account->st->in_flight++;
	engine_get(t->group, key_slice(&key), on_row_later, k);
	return false;
}

/* Nobody who is named in a message needs more than the message to find its thread again. */
static void ask_end(struct thread_ask *k)
{
	struct account *a = k->account;
	uint64_t thread = k->thread != 0 ? k->thread : k->ids.v[1];
	/* Answers to a message that is restored go where it is. */
	uint64_t noted = k->ids.thread != 0 ? k->ids.thread : thread;
	unsigned n = k->at;

	for (k->at = 0; k->at < n; k->at++)
		note(&a->threads, number_at(k), noted);
	STAILQ_REMOVE_HEAD(&a->threads.asks, link);
	k->fn(k->arg, thread);
	free(k);
	account_unref(a);
}

static void asks_run(struct account *a)
{
	struct threads *t = &a->threads;
	struct thread_ask *k;

	if (t->running)
		return;
	account_ref(a);
	t->running = true;
	while (t->state != THREADS_OPENING && (k = STAILQ_FIRST(&t->asks)) != NULL && !k->waits) {
		if (t->state == THREADS_CLOSED && !k->opened && a->state == ACCOUNT_READY) {
			k->opened = true;
			index_open(a);
			continue;
		}
		while (k->thread == 0 && k->at < k->ids.n && look(k))
			look_next(k);
		if (!k->waits)
			ask_end(k);
	}
	t->running = false;
	account_unref(a);
}

void threads_find(struct account *a, const struct thread_ids *ids, threads_fn *fn, void *arg)
{
	struct thread_ask *k;

	/* Whoever refers to nobody begins a thread: its id is the message's own. */
	if (ids->n < 2) {
		fn(arg, ids->n == 1 ? ids->v[0] : 0);
		return;
	}
	k = calloc(1, sizeof(*k));
	if (k == NULL) {
		fn(arg, ids->v[1]);
		return;
	}
	*k = (struct thread_ask){ .account = a, .ids = *ids, .fn = fn, .arg = arg };
	account_ref(a);
	STAILQ_INSERT_TAIL(&a->threads.asks, k, link);
	asks_run(a);
}

/* ---- writing ---- */

/* Notes on their way into the index; those of an account are answered in the order of their making.
 */
struct threads_write {
	struct threads_write *next;
	struct account *account; /* holds a reference */
	size_t n;                /* its notes, behind those that were handed in before */
};

static void written(struct threads_write *w, int rc)
{
	struct account *a = w->account;
	struct threads *t = &a->threads;

	t->n_handed -= w->n;
	if (rc == ENGINE_OK) {
		t->n -= w->n;
		memmove(t->notes, t->notes + w->n, t->n * sizeof(*t->notes));
	} else {
		/* What was noted stays so; whoever asks next finds out what is stored. */
		if (rc != ENGINE_CANCELLED)
			log_ev(LOG_WARNING, "stored.engine", kv_s("what", "threads"),
			    kv_u("account", a->id), kv_s("why", engine_rc_name(rc)));
		if (!t->failing && t->state == THREADS_READY)
			index_close(t);
		t->failing = true;
	}
	/* One failure is that of all behind it: until they are answered nothing is handed in. */
	if (t->n_handed == 0)
		t->failing = false;
	a->st->in_flight--;
	free(w);
	threads_flush(a);
	account_unref(a);
}

void threads_written(struct threads_write *w, int rc)
{
	while (w != NULL) {
		struct threads_write *next = w->next;

		written(w, rc);
		w = next;
	}
}

/* A generation that is full becomes the older one, and the one before that is dropped. */
static bool turn(struct engine_batch *b, uint32_t rows_max, struct threads_rec *head)
{
	struct rec_key from = key_kind(REC_THREAD), to = key_thread(head->generation, 0);

	if (head->rows < rows_max)
		return true;
	head->generation++;
	head->rows = 0;
	return engine_del_range(b, key_slice(&from), key_slice(&to)) == 0;
}

static bool rows_put(
    struct engine_batch *b, const struct account *a, size_t n, struct threads_rec *head)
{
	const struct threads *t = &a->threads;
	struct rec_key key = key_kind(REC_HEAD);
	uint8_t val[RECORD_THREADS_BYTES];
	bool good = turn(b, a->st->threads_rows, head);

	for (size_t i = 0; good && i < n; i++) {
		const struct thread_note *note = &t->notes[t->n_handed + i];
		struct rec_key row = key_thread(head->generation, note->number);
		uint8_t row_val[RECORD_THREAD_BYTES];

		thread_row_pack(note->thread, row_val);
		good = engine_put(b, key_slice(&row), slice_of(row_val, sizeof(row_val))) == 0;
	}
	head->rows += (uint32_t)n;
	threads_pack(head, val);
	return good && engine_put(b, key_slice(&key), slice_of(val, sizeof(val))) == 0;
}

struct engine_batch *threads_carry(struct account *a, struct threads_write **list)
{
	struct threads *t = &a->threads;
	struct threads_rec head = t->head;
	struct engine_batch *b;
	struct threads_write *w;
	size_t n = t->n - t->n_handed;

	if (n == 0 || t->failing || t->state != THREADS_READY || a->state != ACCOUNT_READY)
		return NULL;
	if (n > THREADS_BATCH)
		n = THREADS_BATCH;
	b = engine_batch_new(t->group);
	w = malloc(sizeof(*w));
	if (b == NULL || w == NULL || !rows_put(b, a, n, &head)) {
		engine_batch_free(&b);
		free(w);
		return NULL;
	}
	*w = (struct threads_write){ *list, a, n };
	*list = w;
	t->head = head;
	t->n_handed += n;
	a->st->in_flight++;
	account_ref(a);
	return b;
}

/* ---- what no other commit took along ---- */

static void on_written(void *arg, int rc)
{
	threads_written(arg, rc);
}

static void flush_now(struct account *a)
{
	struct threads_write *w = NULL;
	struct engine_batch *b = threads_carry(a, &w);
	const struct commit_ask ask = { .account = a, .done = on_written, .arg = w };

	if (b != NULL && commit_hand_in(a->st, &ask, &b, 1) != 0) {
		engine_batch_free(&b);
		threads_written(w, ENGINE_CANCELLED);
	}
}

void threads_flush_all(struct store *st)
{
	struct account *a;
	unsigned n = st->n_threads_dirty;

	for (; n > 0 && (a = TAILQ_FIRST(&st->threads_dirty)) != NULL; n--) {
		TAILQ_REMOVE(&st->threads_dirty, a, threads.link);
		st->n_threads_dirty--;
		a->threads.dirty = false;
		flush_now(a);
		account_unref(a);
	}
}

void threads_flush(struct account *a)
{
	static const struct timeval later = { .tv_usec = THREADS_FLUSH_MS * 1000 };
	struct threads *t = &a->threads;
	struct store *st = a->st;

	if (t->n == t->n_handed || t->dirty || t->state != THREADS_READY ||
	    a->state != ACCOUNT_READY)
		return;
	if (st->stopping) {
		flush_now(a);
		return;
	}
	if (!evtimer_pending(st->ev_threads, NULL))
		(void)event_add(st->ev_threads, &later);
	t->dirty = true;
	account_ref(a);
	TAILQ_INSERT_TAIL(&st->threads_dirty, a, threads.link);
	st->n_threads_dirty++;
}
