/* The checkpointer: takes the overlay away under the readers' feet, applies it to LMDB, off the
 * commit path. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	STUCK_PAUSE_MS = 1000, /* between tries while the disk or the map is full */
	LOOK_PAUSE_MS = 500,
};

/* Swaps in an empty overlay. */
static int freeze(struct store *s)
{
	struct map *fresh = malloc(sizeof(*fresh));

	if (fresh == NULL)
		return -ENOMEM;
	map_init(fresh, true);
	pthread_rwlock_wrlock(&s->rows_lock);
	s->frozen = s->active;
	s->active = fresh;
	s->frozen_pos = s->applied;
	s->freezes++;
	pthread_rwlock_unlock(&s->rows_lock);
	return 0;
}

static int apply_frozen(struct store *s)
{
	struct map *m;
	int r = index_apply(s, s->frozen, &s->frozen_pos);

	if (r != 0)
		return r;
	pthread_rwlock_wrlock(&s->rows_lock);
	m = s->frozen;
	s->frozen = NULL;
	pthread_rwlock_unlock(&s->rows_lock);
	s->index_seg = s->frozen_pos.seg;
	s->n_checkpoints++;
	s->n_checkpoint_rows += m->rows;
	map_fini(m);
	free(m);
	return 0;
}

/* All of the overlay at this moment; first what an earlier checkpoint could not apply. */
int checkpoint(struct store *s)
{
	int r = s->frozen != NULL ? apply_frozen(s) : 0;

	if (r == 0)
		r = freeze(s);
	return r == 0 ? apply_frozen(s) : r;
}

void checkpoint_kick(struct store *s, uint64_t frame_bytes, size_t overlay_bytes)
{
	pthread_mutex_lock(&s->check_lock);
	s->check_log_bytes += frame_bytes;
	if (overlay_bytes >= s->conf.overlay_bytes || s->check_log_bytes >= s->conf.log_max_bytes)
		s->check_now = true;
	if (!s->check_dirty || s->check_now)
		pthread_cond_signal(&s->check_wake);
	s->check_dirty = true;
	pthread_mutex_unlock(&s->check_lock);
}

/*
 * Twice the overlay's size and one more frozen is what may wait. Beyond that commits wait for the
 * checkpoint, or are refused while it cannot go on.
 */
int checkpoint_room(struct store *s)
{
	bool waited = false;
	int r = 0;

	pthread_mutex_lock(&s->check_lock);
	for (;;) {
		size_t bytes;

		pthread_rwlock_rdlock(&s->rows_lock);
		bytes = s->active->bytes;
		pthread_rwlock_unlock(&s->rows_lock);
		if (bytes < 2 * s->conf.overlay_bytes)
			break;
		if (s->check_stuck) {
			r = ENGINE_FULL;
			break;
		}
		s->check_now = true;
		s->hurry = waited = true;
		pthread_cond_signal(&s->check_wake);
		pthread_cond_wait(&s->check_done, &s->check_lock);
	}
	pthread_mutex_unlock(&s->check_lock);
	if (waited)
		s->hurry = false;
	return r;
}

int checkpoint_past(struct store *s, uint32_t seg)
{
	int r = 0;

	pthread_mutex_lock(&s->check_lock);
	while (s->index_seg < seg && r == 0) {
		s->check_now = true;
		pthread_cond_signal(&s->check_wake);
		pthread_cond_wait(&s->check_done, &s->check_lock);
		if (s->index_seg < seg && s->check_stuck)
			r = ENGINE_FULL;
		if (s->compactor.stop)
			r = ENGINE_CANCELLED;
	}
	pthread_mutex_unlock(&s->check_lock);
	return r;
}

static void deadline(struct timespec *t, int64_t ms)
{
	t->tv_sec = ms / 1000;
	t->tv_nsec = ms % 1000 * 1000000;
}

/* Until a checkpoint or a look is due. False: time to go. Called and left with check_lock held. */
static bool wait_for_work(struct store *s)
{
	struct timespec t;

	while (!s->check_dirty && !s->check_now && !s->check_look && !s->check_stop)
		pthread_cond_wait(&s->check_wake, &s->check_lock);
	if (s->check_due_ms == 0)
		s->check_due_ms =
		    clock_mono_ms() + (s->check_stuck ? STUCK_PAUSE_MS : s->conf.checkpoint_ms);
	deadline(&t, s->check_due_ms);
	while (!(s->check_now && !s->check_stuck) && !s->check_look && !s->check_stop)
		if (pthread_cond_timedwait(&s->check_wake, &s->check_lock, &t) == ETIMEDOUT)
			break;
	return !s->check_stop;
}

static void set_stuck(struct store *s, bool stuck)
{
	int was = stuck ? ENGINE_HEALTHY : ENGINE_INDEX_STUCK;

	if (s->check_stuck != stuck)
		log_ev(stuck ? LOG_ERR : LOG_NOTICE, stuck ? "engine.stuck" : "engine.unstuck");
	s->check_stuck = stuck;
	atomic_compare_exchange_strong(
	    &s->health, &was, stuck ? ENGINE_INDEX_STUCK : ENGINE_HEALTHY);
}

static void look_now(struct store *s, int64_t *looked_ms)
{
	int64_t now = clock_mono_ms();

	if (now - *looked_ms < LOOK_PAUSE_MS)
		return;
	*looked_ms = now;
	index_look(s);
}

void *checkpointer_main(void *arg)
{
	struct store *s = arg;
	int64_t looked_ms = 0;
	bool look;
	int r;

	s->hurry = false;
	store_thread_ready(s);
	pthread_mutex_lock(&s->check_lock);
	while (wait_for_work(s)) {
		look = s->check_look && !s->check_now && clock_mono_ms() < s->check_due_ms;
		s->check_look = false;
		if (look) {
			pthread_mutex_unlock(&s->check_lock);
			look_now(s, &looked_ms);
			pthread_mutex_lock(&s->check_lock);
			if (!s->check_dirty)
				s->check_due_ms = 0;
			continue;
		}
		s->check_dirty = s->check_now = false;
		s->check_log_bytes = 0;
		pthread_mutex_unlock(&s->check_lock);
		r = checkpoint(s);
		look_now(s, &looked_ms);
		pthread_mutex_lock(&s->check_lock);
		if (r != 0)
			s->check_dirty = true;
		s->check_due_ms = 0;
		set_stuck(s, r != 0);
		pthread_cond_broadcast(&s->check_done);
	}
	pthread_mutex_unlock(&s->check_lock);
	return NULL;
}
