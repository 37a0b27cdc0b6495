/* The thread that measures, compacts and scrubs, one request after the other. */
#include "common/engine/lmdb/lmdb-private.h"

#include <errno.h>
#include <stdlib.h>

int compactor_init(struct store *s)
{
	struct compactor *k = &s->compactor;
	int r = index_reader_new(s, &k->reader);

	k->haste = 1;
	k->bytes_s = s->conf.compact_bytes_s;
	k->scrub_bytes_s = s->conf.scrub_bytes_s;
	k->chunk = calloc(1, sizeof(*k->chunk));
	k->move = calloc(1, sizeof(*k->move));
	if (r != 0 || k->chunk == NULL || k->move == NULL)
		return r != 0 ? r : -ENOMEM;
	k->move->out = malloc(2 * MOVE_OUT_BYTES);
	return k->move->out == NULL ? -ENOMEM : row_chunk_init(k->chunk);
}

void compactor_fini(struct compactor *k)
{
	if (k->move != NULL) {
		move_reset(k->move, MOVE_ROWS);
		free(k->move->out);
	}
	if (k->chunk != NULL)
		row_chunk_fini(k->chunk);
	free(k->move);
	free(k->chunk);
	containers_fini(&k->files);
	index_reader_free(&k->reader);
}

void compactor_figures(struct store *s, struct engine_stats *st)
{
	struct compactor *k = &s->compactor;

	pthread_mutex_lock(&k->lock);
	st->measures = k->measures;
	st->file_bytes = k->file_bytes;
	st->live_bytes = k->live_bytes;
	st->live_bodies_bytes = k->live_bodies_bytes;
	st->rows = k->rows;
	st->segments = k->segments;
	st->body_files = k->body_files;
	st->body_raw_bytes = k->body_raw_bytes;
	st->body_stored_bytes = k->body_stored_bytes;
	st->index_bytes = k->index_bytes;
	st->compactions = k->compactions;
	st->compactions_failed = k->compactions_failed;
	st->moved_bytes = k->moved_bytes;
	st->moved_rows = k->moved_rows;
	st->dropped_files = k->dropped_files;
	st->chore = k->chore;
	st->chore_done = k->chore_done < k->chore_total ? k->chore_done : k->chore_total;
	st->chore_total = k->chore_total;
	st->scrubbed_s = s->scrubbed_s;
	st->scrubs = k->scrubs;
	st->scrub_bytes = k->scrub_bytes;
	st->damaged_bodies = k->damaged_bodies;
	st->damaged_rows = k->damaged_rows;
	st->damaged_frames = k->damaged_frames;
	pthread_mutex_unlock(&k->lock);
}

void chore_begin(struct compactor *k, enum engine_chore chore, uint64_t total)
{
	pthread_mutex_lock(&k->lock);
	k->chore = chore;
	k->chore_done = 0;
	k->chore_total = total;
	pthread_mutex_unlock(&k->lock);
}

void chore_step(struct compactor *k, uint64_t bytes)
{
	pthread_mutex_lock(&k->lock);
	k->chore_done += bytes;
	pthread_mutex_unlock(&k->lock);
}

static int compact(struct store *s, const struct engine_compact_when *when)
{
	struct compactor *k = &s->compactor;
	int r = measure(s);

	if (r != 0 || !compact_pays(k, when))
		return r;
	r = compact_cycle(s);
	if (r == 0)
		r = measure(s);
	pthread_mutex_lock(&k->lock);
	k->compactions += r == 0;
	k->compactions_failed += r != 0 && r != ENGINE_CANCELLED;
	pthread_mutex_unlock(&k->lock);
	return r;
}

static int chore(struct store *s, struct compact_request *q)
{
	struct compactor *k = &s->compactor;
	int r;

	if (k->stop)
		return ENGINE_CANCELLED;
	if (q->what == COMPACT_MEASURE)
		r = measure(s);
	else if (q->what == COMPACT_PASS)
		r = compact(s, &q->when);
	else
		r = scrub(s, q);
	containers_fini(&k->files); /* a bit for each body */
	chore_begin(k, ENGINE_CHORE_NONE, 0);
	return r;
}

void compact_ask_store(struct engine *e, struct compact_request *q)
{
	struct compactor *k = &((struct store *)e)->compactor;
	struct compact_request **at = &k->queue;

	if (((struct store *)e)->out) {
		q->rc = ENGINE_IO;
		store_answer(e, &q->d);
		return;
	}
	pthread_mutex_lock(&k->lock);
	while (*at != NULL)
		at = &(*at)->next;
	*at = q;
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
}

void compact_pace_store(struct engine *e, uint64_t compact_bytes_s, uint64_t scrub_bytes_s)
{
	struct compactor *k = &((struct store *)e)->compactor;

	if (compact_bytes_s > 0)
		k->bytes_s = compact_bytes_s;
	if (scrub_bytes_s > 0)
		k->scrub_bytes_s = scrub_bytes_s;
}

/* The first of the queue, or the first that is no scrub; under the lock. NULL: there is none. */
static struct compact_request *queue_take(struct compactor *k, bool no_scrub)
{
	struct compact_request **at = &k->queue, *q;

	while (*at != NULL && no_scrub && (*at)->what == COMPACT_SCRUB)
		at = &(*at)->next;
	q = *at;
	if (q != NULL)
		*at = q->next;
	return q;
}

bool compactor_others(struct compactor *k)
{
	const struct compact_request *q = k->queue;

	while (q != NULL && q->what == COMPACT_SCRUB)
		q = q->next;
	return q != NULL;
}

bool compactor_do_others(struct store *s)
{
	struct compactor *k = &s->compactor;
	uint64_t done, total;
	enum engine_chore what;
	struct compact_request *q;
	bool any;

	pthread_mutex_lock(&k->lock);
	any = compactor_others(k);
	what = k->chore;
	done = k->chore_done;
	total = k->chore_total;
	while ((q = queue_take(k, true)) != NULL) {
		pthread_mutex_unlock(&k->lock);
		q->rc = chore(s, q);
		store_answer(&s->e, &q->d);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	if (any) {
		chore_begin(k, what, total);
		chore_step(k, done);
	}
	return any;
}

void *compactor_main(void *arg)
{
	struct store *s = arg;
	struct compactor *k = &s->compactor;
	struct compact_request *q;

	store_thread_ready(s);
	pthread_mutex_lock(&k->lock);
	for (;;) {
		while (k->queue == NULL && !k->stop)
			pthread_cond_wait(&k->wake, &k->lock);
		q = queue_take(k, false);
		if (q == NULL)
			break;
		pthread_mutex_unlock(&k->lock);
		q->rc = chore(s, q);
		store_answer(&s->e, &q->d);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	pack_thread_end();
	return NULL;
}
