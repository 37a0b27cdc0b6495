/*
 * The LMDB engine put together: opening (everything that needs a path, a thread or a long wait
 * happens here, before the sandbox), answering, closing.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A full disk fails every commit: one line a second is enough to say so. */
static bool may_log(void)
{
	static _Atomic int64_t last_ms = INT64_MIN / 2;
	int64_t now = clock_mono_ms(), last = last_ms;

	return now - last >= 1000 && atomic_compare_exchange_strong(&last_ms, &last, now);
}

int store_rc(const char *what, int err)
{
	bool full = err == ENOSPC || err == EDQUOT || err == EFBIG || err == MDB_MAP_FULL;

	if (may_log())
		log_ev(full ? LOG_WARNING : LOG_ERR, "engine.error", kv_s("what", what),
		    kv_s("err", err > 0 ? strerrordesc_np(err) : mdb_strerror(err)));
	if (full)
		return ENGINE_FULL;
	/* RESIZED: the map is ours alone, so a first page that speaks of a larger one is damaged.
	 */
	if (err == MDB_CORRUPTED || err == MDB_PAGE_NOTFOUND || err == MDB_INVALID ||
	    err == MDB_CURSOR_FULL || err == MDB_MAP_RESIZED)
		return ENGINE_CORRUPT;
	return err == MDB_VERSION_MISMATCH ? ENGINE_VERSION : ENGINE_IO;
}

void store_works(struct store *s)
{
	if (s->conf.progress != NULL)
		s->conf.progress(s->conf.progress_arg, s->segs_done, s->segs);
}

/* ---- answers ---- */

void store_answer(struct engine *e, struct engine_done *d)
{
	struct store *s = (struct store *)e;
	uint64_t one = 1;
	bool first;

	d->next = NULL;
	pthread_mutex_lock(&s->done_lock);
	first = s->done == NULL;
	*s->done_tail = d;
	s->done_tail = &d->next;
	pthread_mutex_unlock(&s->done_lock);
	if (first && write(e->fd, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes 2^64 - 2 of these */
}

void store_wake(struct store *s)
{
	uint64_t one = 1;

	if (write(s->e.fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static struct engine_done *store_pull(struct engine *e)
{
	struct store *s = (struct store *)e;
	struct engine_done *list;
	uint64_t n;

	if (read(e->fd, &n, sizeof(n)) < 0)
		assert(errno == EAGAIN);
	pthread_mutex_lock(&s->done_lock);
	list = s->done;
	s->done = NULL;
	s->done_tail = &s->done;
	pthread_mutex_unlock(&s->done_lock);
	return list;
}

static void store_push_back(struct engine *e, struct engine_done *list)
{
	struct store *s = (struct store *)e;
	struct engine_done *last = list;
	uint64_t one = 1;

	while (last->next != NULL)
		last = last->next;
	pthread_mutex_lock(&s->done_lock);
	last->next = s->done;
	if (s->done == NULL)
		s->done_tail = &last->next;
	s->done = list;
	pthread_mutex_unlock(&s->done_lock);
	if (write(e->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void store_fini(struct store *s)
{
	bodies_close(s);
	moving_fini(&s->moving);
	compactor_fini(&s->compactor);
	index_reader_free(&s->owner_reader);
	index_close(s);
	fd_close(&s->log.fd);
	free(s->log.iov);
	free(s->rows_buf);
	free(s->body_scratch);
	pack_thread_end();
	for (int i = 0; i < 2; i++) {
		struct map *m = i == 0 ? s->active : s->frozen;

		if (m != NULL)
			map_fini(m);
		free(m);
	}
	fd_close(&s->guard.fd);
	fd_close(&s->lock_fd);
	fd_close(&s->dir_fd);
	fd_close(&s->e.fd);
}

static void store_close(struct engine *e)
{
	struct store *s = (struct store *)e;
	struct engine_done *d, *next;

	s->hurry = true;
	store_threads_stop(s);
	for (d = store_pull(e); d != NULL; d = next) {
		next = d->next;
		d->run(e, d);
	}
	/* So that the next open has nothing to replay and no zeros to look through. */
	if (s->health == ENGINE_HEALTHY && (s->active->rows > 0 || s->active->n_ranges > 0) &&
	    checkpoint(s) != 0)
		log_ev(LOG_NOTICE, "engine.unclean");
	else if (s->health == ENGINE_HEALTHY)
		guard_end(s);
	if (s->health == ENGINE_HEALTHY && s->log.ahead > s->log.pos.off)
		log_cut(&s->log, s->log.pos.off);
	store_fini(s);
}

/* ---- opening ---- */

static enum engine_health store_health(const struct engine *e)
{
	return (enum engine_health)((const struct store *)e)->health;
}

static int no_faults(struct engine *e, const struct engine_faults *f)
{
	return -ENOTSUP;
}

static void store_stats(const struct engine *e, struct engine_stats *st)
{
	struct store *s = (struct store *)(uintptr_t)e;

	pthread_rwlock_rdlock(&s->rows_lock);
	st->overlay_rows = s->active->rows;
	st->overlay_bytes = s->active->bytes;
	pthread_rwlock_unlock(&s->rows_lock);
	st->commits = s->n_commits;
	st->frames = s->n_frames;
	st->frame_bytes = s->n_frame_bytes;
	st->frame_largest = s->frame_largest;
	st->reader_lag = s->reader_lag;
	st->syncs = s->n_syncs;
	st->checkpoints = s->n_checkpoints;
	st->checkpoint_rows = s->n_checkpoint_rows;
	st->sync_failures = s->n_sync_failures;
	st->replayed_frames = s->n_replayed;
	st->cut_bytes = s->n_cut;
	st->reads_now = s->n_reads_now;
	st->reads_pool = s->n_reads_pool;
	st->index_damaged = s->guard.bad_rows;
	st->index_rebuilds = s->guard.aside[0] != '\0';
	compactor_figures(s, st);
}

static int store_start(struct engine *e);

static const struct engine_ops lmdb_ops = {
	.close = store_close,
	.pull = store_pull,
	.push_back = store_push_back,
	.commit = commit_submit,
	.rows_now = rows_now,
	.rows = rows_later,
	.body_now = body_now,
	.body = body_later,
	.spill = spill,
	.spill_drop = spill_drop,
	.spill_loc = spill_loc,
	.pack = packing_start,
	.faults = no_faults,
	.stats = store_stats,
	.health = store_health,
	.start = store_start,
	.compact = compact_ask_store,
	.pace = compact_pace_store,
};

static void conf_fill(struct engine_conf *c, const struct engine_conf *from)
{
	*c = *from;
	c->readers = c->readers == 0 ? 2 : c->readers > 8 ? 8 : c->readers;
	c->segment_bytes = c->segment_bytes == 0 ? 64 << 20 : c->segment_bytes;
	if (c->segment_bytes > (size_t)1 << 30)
		c->segment_bytes = (size_t)1 << 30; /* offsets in a loc have 32 bits */
	c->overlay_bytes = c->overlay_bytes == 0 ? 16 << 20 : c->overlay_bytes;
	c->log_max_bytes = c->log_max_bytes == 0 ? 64 << 20 : c->log_max_bytes;
	c->checkpoint_ms = c->checkpoint_ms == 0 ? 5000 : c->checkpoint_ms;
	c->compact_bytes_s = c->compact_bytes_s == 0 ? 32 << 20 : c->compact_bytes_s;
	c->scrub_bytes_s = c->scrub_bytes_s == 0 ? 16 << 20 : c->scrub_bytes_s;
	c->map_bytes = c->map_bytes == 0 ? 256 << 20 : c->map_bytes;
}

struct store *lmdb_store_new(const struct engine_conf *conf)
{
	struct store *s = calloc(1, sizeof(*s));
	pthread_rwlockattr_t ra;
	pthread_condattr_t ca;

	if (s == NULL)
		return NULL;
	engine_base_init(&s->e, &lmdb_ops);
	s->e.shard = conf->shard;
	conf_fill(&s->conf, conf);
	s->dir_fd = s->lock_fd = s->log.fd = s->guard.fd = -1;
	s->e.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->log.version = SEG_VERSION;
	s->hurry = true; /* until there is somebody to give way to */
	s->queue_tail = &s->queue;
	s->jobs_tail = &s->jobs;
	s->done_tail = &s->done;
	/* The committer must not starve behind a stream of reads. */
	pthread_rwlockattr_init(&ra);
	pthread_rwlockattr_setkind_np(&ra, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->rows_lock, &ra);
	pthread_rwlock_init(&s->map_lock, &ra);
	pthread_rwlockattr_destroy(&ra);
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&s->check_wake, &ca);
	pthread_cond_init(&s->compactor.wake, &ca);
	pthread_condattr_destroy(&ca);
	pthread_cond_init(&s->check_done, NULL);
	pthread_cond_init(&s->commit_more, NULL);
	pthread_cond_init(&s->pool_more, NULL);
	pthread_cond_init(&s->ready, NULL);
	pthread_mutex_init(&s->commit_lock, NULL);
	pthread_mutex_init(&s->check_lock, NULL);
	pthread_mutex_init(&s->pool_lock, NULL);
	pthread_mutex_init(&s->done_lock, NULL);
	pthread_mutex_init(&s->compactor.lock, NULL);
	moving_init(&s->moving);
	s->active = malloc(sizeof(*s->active));
	if (s->active != NULL)
		map_init(s->active, true);
	return s;
}

static int store_lock(struct store *s)
{
	s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return store_rc("lock", errno);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? ENGINE_BUSY : store_rc("lock", errno);
	return 0;
}

static int load_parts(struct store *s)
{
	struct log_pos from;
	int r;

	if ((r = store_lock(s)) != 0 || (r = guard_begin(s)) != 0 ||
	    (r = index_open(s, &from, &s->log.store_id)) != 0 || (r = replay(s, &from)) != 0 ||
	    (r = index_reader_new(s, &s->owner_reader)) != 0 || (r = compactor_init(s)) != 0 ||
	    (r = bodies_sweep(s)) != 0)
		return r;
	guard_opened(s);
	index_look(s);
	s->conf.progress = NULL; /* from now on threads would call it */
	return 0;
}

bool store_without_index(const struct store *s, int rc)
{
	return rc == ENGINE_CORRUPT && s->guard.marked && s->guard.aside[0] == '\0';
}

/* The number stays the same where there was one: others may be using it. */
int store_dir_take(struct store *s, int dir_fd)
{
	if (s->dir_fd >= 0)
		return dup3(dir_fd, s->dir_fd, O_CLOEXEC) < 0 ? -errno : 0;
	s->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	s->log.dir_fd = s->dir_fd;
	s->log.segment_bytes = s->conf.segment_bytes;
	return s->dir_fd < 0 ? -errno : 0;
}

int store_load(struct store *s)
{
	int r = s->active == NULL || s->e.fd < 0 ? -ENOMEM : load_parts(s);

	if (r != 0 && !store_without_index(s, r))
		guard_undo(s);
	return r;
}

static int store_start(struct engine *e)
{
	struct store *s = (struct store *)e;

	return s->threads > 0 ? 0 : store_threads_start(s);
}

static int load_here(struct store *s, int dir_fd)
{
	int r = store_dir_take(s, dir_fd);

	if (r == 0)
		r = store_load(s);
	return r == 0 && !s->conf.hold_threads ? store_threads_start(s) : r;
}

/* Root makes files as the directory's owner: the process that uses them is no longer root then. */
static int load_as_owner(struct store *s, int dir_fd)
{
	struct stat st;
	int r;

	if (geteuid() != 0)
		return load_here(s, dir_fd);
	if (fstat(dir_fd, &st) != 0)
		return -errno;
	if (st.st_uid == 0 && st.st_gid == getegid())
		return load_here(s, dir_fd);
	if (setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0)
		return -errno;
	r = load_here(s, dir_fd);
	if (seteuid(0) != 0 || setegid(0) != 0)
		abort(); /* half a root is nobody's idea of a start */
	return r;
}

static int open_once(
    int dir_fd, const struct engine_conf *conf, struct engine **ret_e, bool *ret_damaged)
{
	struct store *s = lmdb_store_new(conf);
	int r = s == NULL ? -ENOMEM : load_as_owner(s, dir_fd);

	if (r == 0) {
		*ret_e = &s->e;
		return 0;
	}
	if (s == NULL)
		return r;
	store_threads_stop(s);
	*ret_damaged = store_without_index(s, r);
	store_fini(s);
	free(s);
	return r;
}

int engine_lmdb_open(int dir_fd, const struct engine_conf *conf, struct engine **ret_e)
{
	bool damaged = false;
	int r = open_once(dir_fd, conf, ret_e, &damaged);

	return damaged ? open_once(dir_fd, conf, ret_e, &damaged) : r;
}
