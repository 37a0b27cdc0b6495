#include "common/engine/lmdb/reopen.h"

#include "common/base/io.h"
#include "common/engine/lmdb/lmdb-private.h"

#include <errno.h>
#include <stdlib.h>

int engine_lmdb_out_new(const struct engine_conf *conf, struct engine **ret_e)
{
	struct store *s = lmdb_store_new(conf);

	if (s == NULL || s->active == NULL || s->e.fd < 0) {
		if (s != NULL) {
			free(s->active);
			fd_close(&s->e.fd);
		}
		free(s);
		return -ENOMEM;
	}
	s->out = s->commit_over = true;
	s->health = ENGINE_BROKEN;
	*ret_e = &s->e;
	return 0;
}

void engine_lmdb_out(struct engine *e)
{
	struct store *s = (struct store *)e;

	s->health = ENGINE_BROKEN; /* the committer refuses what waits, in its order */
	s->out = true;
}

/* ---- nothing is left of it but what the owner holds ---- */

static void maps_empty(struct store *s)
{
	struct map *frozen;

	pthread_rwlock_wrlock(&s->rows_lock);
	map_fini(s->active);
	map_init(s->active, true);
	frozen = s->frozen;
	s->frozen = NULL;
	pthread_rwlock_unlock(&s->rows_lock);
	if (frozen != NULL)
		map_fini(frozen);
	free(frozen);
}

static void guard_forget(struct guard *g)
{
	fd_close(&g->fd);
	g->marked = false;
	g->was_there = g->blamed = g->making = false;
	g->rebuilds = g->first_s = 0;
	g->aside[0] = '\0';
}

static void log_forget(struct store *s)
{
	struct log *l = &s->log;

	fd_close(&l->fd);
	*l = (struct log){ .dir_fd = s->dir_fd,
		.fd = -1,
		.segment_bytes = s->conf.segment_bytes,
		.version = SEG_VERSION,
		.iov = l->iov,
		.cap_iov = l->cap_iov };
}

/* The files of bodies that are open for reading are the owner's, and stay. */
void engine_lmdb_unload(struct engine *e)
{
	struct store *s = (struct store *)e;

	s->hurry = true;
	store_threads_stop(s);
	s->threads = s->n_pool = s->n_ready = 0;
	s->commit_stop = s->pool_stop = false;
	s->compactor.stop = false;
	s->check_stop = s->check_dirty = s->check_now = false;
	s->check_look = s->check_stuck = false;
	s->check_due_ms = 0;
	s->check_log_bytes = 0;
	s->resident = false;
	index_reader_free(&s->owner_reader);
	compactor_fini(&s->compactor);
	s->compactor.move = NULL;
	s->compactor.chunk = NULL;
	index_close(s);
	maps_empty(s);
	log_forget(s);
	guard_forget(&s->guard);
	s->map_lost = false;
	fd_close(&s->lock_fd);
}

/* ---- back ---- */

/* What was found damaged only now is marked, and the second look at that mark says so. */
static int load(struct store *s)
{
	int r = store_load(s);

	if (r == ENGINE_CORRUPT && store_without_index(s, r)) {
		engine_lmdb_unload(&s->e);
		s->health = ENGINE_HEALTHY;
		r = store_load(s);
	}
	return r;
}

int engine_lmdb_load(struct engine *e, int dir_fd)
{
	struct store *s = (struct store *)e;
	int r;

	s->conf.how = ENGINE_UNSEEN;
	s->conf.crashes = 0;
	s->conf.progress = NULL;
	s->health = ENGINE_HEALTHY;
	r = store_dir_take(s, dir_fd);
	if (r == 0)
		r = load(s);
	if (r == 0)
		r = store_threads_start(s);
	if (r != 0) {
		s->health = ENGINE_BROKEN;
		engine_lmdb_unload(e);
	}
	return r;
}

void engine_lmdb_in(struct engine *e)
{
	struct store *s = (struct store *)e;

	pthread_mutex_lock(&s->commit_lock);
	s->commit_over = false;
	pthread_mutex_unlock(&s->commit_lock);
	s->out = false;
}
