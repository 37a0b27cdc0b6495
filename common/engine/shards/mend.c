#include "common/engine/shards/mend.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/engine/identity.h"
#include "common/engine/lmdb/reopen.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	AGAIN_MS = 60000,
	BUSY_MS = 500, /* a mender of the process before, or a tool */
	TRIES = 4,     /* of a rebuild that ends whoever does it */
	STACK_BYTES = 512 << 10,
};

static const char rebuilding[] = "rebuilding";

struct mend_one {
	bool wanted;
	int64_t due_ms;
	bool news;       /* for the owner: */
	const char *why; /* NULL: it is loaded */
};

struct mend {
	struct shards *w;
	int dir_fd, fd;
	struct identity store;
	struct engine_conf conf;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	struct mend_one one[ENGINE_SHARDS_MAX];
};

/* ---- the thread ---- */

/* Under the lock, as all of struct mend_one. */
static void say(struct mend *m, unsigned k, const char *why)
{
	uint64_t one = 1;

	m->one[k].why = why;
	m->one[k].news = true;
	if (write(m->fd, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes 2^64 - 2 of these */
}

static bool stops(struct mend *m)
{
	bool r;

	pthread_mutex_lock(&m->lock);
	r = m->stop;
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int rebuild(struct mend *m, unsigned k)
{
	if (m->conf.rebuild != NULL)
		return m->conf.rebuild(m->conf.rebuild_arg, k);
	return engine_shard_rebuild(m->dir_fd, k, NULL, NULL);
}

static int look(struct mend *m, unsigned k, const char **ret_why)
{
	struct engine *e = m->w->at[k];
	int fd = -1, r;

	engine_lmdb_unload(e);
	*ret_why = shard_dir_open(m->dir_fd, &m->store, k, true, &fd);
	if (*ret_why != NULL)
		return ENGINE_IO;
	r = engine_lmdb_load(e, fd);
	fd_close(&fd);
	*ret_why = r == 0 ? NULL : shards_open_word(r);
	return r;
}

/* NULL: it is loaded. */
static const char *mend_shard(struct mend *m, unsigned k)
{
	const char *why;
	int r;

	for (int i = 0; i < TRIES; i++) {
		r = look(m, k, &why);
		if (r != ENGINE_REBUILD || stops(m))
			return why;
		pthread_mutex_lock(&m->lock);
		say(m, k, rebuilding);
		pthread_mutex_unlock(&m->lock);
		r = rebuild(m, k);
		if (r > 0)
			return shards_open_word(r);
	}
	return "rebuild-failed";
}

/* What may pass without anybody who tells us. */
static bool may_pass(const char *why)
{
	static const char *const words[] = { "full", "io", "busy", "missing", "not-mounted",
		"empty" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(why, words[i]) == 0)
			return true;
	return false;
}

/* Under the lock. */
static void plan(struct mend *m, unsigned k, const char *why)
{
	m->one[k].wanted = strcmp(why, rebuilding) == 0 || may_pass(why);
	m->one[k].due_ms = clock_mono_ms();
	if (strcmp(why, "busy") == 0)
		m->one[k].due_ms += BUSY_MS;
	else if (strcmp(why, rebuilding) != 0)
		m->one[k].due_ms += m->conf.again_ms == 0 ? AGAIN_MS : m->conf.again_ms;
}

/* Waits for the next one that is due; under the lock. -1: the end. */
static int next_due(struct mend *m)
{
	for (;;) {
		int64_t now = clock_mono_ms();
		struct timespec t;
		int best = -1;

		for (unsigned k = 1; k < m->w->e.n_parts; k++)
			if (m->one[k].wanted &&
			    (best < 0 || m->one[k].due_ms < m->one[best].due_ms))
				best = (int)k;
		if (m->stop)
			return -1;
		if (best >= 0 && m->one[best].due_ms <= now)
			return best;
		if (best < 0) {
			pthread_cond_wait(&m->wake, &m->lock);
			continue;
		}
		t.tv_sec = m->one[best].due_ms / 1000;
		t.tv_nsec = m->one[best].due_ms % 1000 * 1000000;
		(void)pthread_cond_timedwait(&m->wake, &m->lock, &t);
	}
}

static void *thread_main(void *arg)
{
	struct mend *m = arg;
	int k;

	pthread_mutex_lock(&m->lock);
	while ((k = next_due(m)) >= 0) {
		const char *why;

		m->one[k].wanted = false;
		pthread_mutex_unlock(&m->lock);
		why = mend_shard(m, (unsigned)k);
		pthread_mutex_lock(&m->lock);
		m->one[k].wanted = false; /* whatever was asked for meanwhile: it may be in use */
		if (why != NULL)
			plan(m, (unsigned)k, why);
		say(m, (unsigned)k, why);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* ---- the owner ---- */

bool mend_will(const struct shards *w, unsigned shard)
{
	return w->mend != NULL && shard > 0 && w->away[shard] == NULL &&
	       engine_health(w->at[shard]) == ENGINE_BROKEN;
}

static void set_away(struct shards *w, unsigned k, const char *why)
{
	if (w->away[k] == NULL || strcmp(w->away[k], why) != 0)
		log_ev(LOG_ERR, "engine.away", kv_u("shard", k), kv_s("why", why));
	w->away[k] = why;
}

static void take_out(struct shards *w, unsigned k)
{
	struct mend *m = w->mend;

	engine_lmdb_out(w->at[k]);
	set_away(w, k, rebuilding);
	pthread_mutex_lock(&m->lock);
	plan(m, k, rebuilding);
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

static void take_in(struct shards *w, unsigned k)
{
	engine_lmdb_in(w->at[k]);
	w->away[k] = NULL;
	log_ev(LOG_NOTICE, "engine.back", kv_u("shard", k));
}

void mend_turn(struct shards *w)
{
	struct mend *m = w->mend;
	uint64_t n;

	if (m == NULL)
		return;
	if (read(m->fd, &n, sizeof(n)) == (ssize_t)sizeof(n)) {
		pthread_mutex_lock(&m->lock);
		for (unsigned k = 1; k < w->e.n_parts; k++) {
			if (!m->one[k].news)
				continue;
			m->one[k].news = false;
			if (m->one[k].why == NULL)
				take_in(w, k);
			else
				set_away(w, k, m->one[k].why);
		}
		pthread_mutex_unlock(&m->lock);
	}
	for (unsigned k = 1; m->runs && k < w->e.n_parts; k++)
		if (mend_will(w, k))
			take_out(w, k);
}

void mend_now(struct shards *w)
{
	struct mend *m = w->mend;

	pthread_mutex_lock(&m->lock);
	for (unsigned k = 1; k < w->e.n_parts; k++) {
		/* Its news are on their way, or it is being looked at: then once more is no harm.
		 */
		if (w->away[k] == NULL || (m->one[k].news && m->one[k].why == NULL))
			continue;
		m->one[k].wanted = true;
		m->one[k].due_ms = clock_mono_ms();
	}
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

/* ---- life ---- */

int mend_new(
    struct shards *w, int dir_fd, const struct identity *store, const struct engine_conf *conf)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct mend *m = calloc(1, sizeof(*m));
	pthread_condattr_t ca;

	if (m == NULL)
		return -ENOMEM;
	m->w = w;
	m->store = *store;
	m->conf = *conf;
	m->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&m->wake, &ca);
	pthread_condattr_destroy(&ca);
	w->mend = m;
	for (unsigned k = 1; k < w->e.n_parts; k++)
		if (w->away[k] != NULL)
			plan(m, k, w->away[k]);
	if (m->dir_fd >= 0 && m->fd >= 0 && epoll_ctl(w->e.fd, EPOLL_CTL_ADD, m->fd, &ev) == 0)
		return 0;
	mend_free(w);
	return -EMFILE;
}

int mend_start(struct shards *w)
{
	struct mend *m = w->mend;
	pthread_attr_t a;
	sigset_t all, old;
	int r;

	if (m == NULL || m->runs)
		return 0;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&m->thread, &a, thread_main, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&a);
	m->runs = r == 0;
	return -r;
}

void mend_free(struct shards *w)
{
	struct mend *m = w->mend;

	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
	if (m->runs && m->conf.rebuild_cancel != NULL)
		m->conf.rebuild_cancel(m->conf.rebuild_arg);
	if (m->runs)
		pthread_join(m->thread, NULL);
	fd_close(&m->dir_fd);
	fd_close(&m->fd);
	free(m);
	w->mend = NULL;
}
