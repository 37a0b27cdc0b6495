#include "common/engine/lmdb/guard.h"
#include "common/engine/shards/shards.h"

#include "common/engine/identity.h"
#include "common/engine/shards/held.h"
#include "common/engine/shards/mend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- all of them ---- */

/* Each gets its part of `max`, and another one is first the next time. */
static unsigned whole_dispatch(struct engine *e, unsigned max)
{
	struct shards *w = (struct shards *)e;
	unsigned n = 0, first = w->turn++;

	assert(!e->dispatching);
	mend_turn(w);
	e->dispatching = true;
	for (unsigned i = 0; i < e->n_parts && (max == 0 || n < max); i++)
		n += engine_dispatch(
		    w->at[(first + i) % e->n_parts], max == 0 ? 0 : (max - n + 1) / 2);
	e->dispatching = false;
	return n;
}

/*
 * What is held in one may be of another: first all callbacks end, then the shards do. The first one
 * last: whoever gets its lock finds all others free.
 */
static void whole_close(struct engine *e)
{
	struct shards *w = (struct shards *)e;

	mend_free(w);
	for (unsigned i = 0; i < e->n_parts; i++)
		w->at[i]->closing = true;
	for (unsigned i = 0; i < e->n_parts; i++)
		held_fini(w->at[i]);
	for (unsigned i = e->n_parts; i-- > 0;)
		engine_close(&w->at[i]);
	close(e->fd);
}

static int whole_start(struct engine *e)
{
	struct shards *w = (struct shards *)e;
	int r = 0;

	for (unsigned i = 0; i < e->n_parts && r == 0; i++)
		r = w->away[i] != NULL ? 0 : engine_start(e->parts[i]);
	return r == 0 ? mend_start(w) : r;
}

static int whole_faults(struct engine *e, const struct engine_faults *f)
{
	const struct shards *w = (struct shards *)e;
	int r = 0;

	for (unsigned i = 0; i < e->n_parts && r == 0; i++)
		r = w->away[i] != NULL ? 0 : engine_faults_set(w->at[i], f);
	return r;
}

/* One that is broken and will be mended is away from the next turn on. */
static enum engine_health whole_health(const struct engine *e)
{
	const struct shards *w = (const struct shards *)e;
	enum engine_health worst = ENGINE_HEALTHY, h;

	for (unsigned i = 0; i < e->n_parts; i++) {
		if (w->away[i] != NULL)
			continue;
		h = mend_will(w, i) ? ENGINE_RECOVERING : engine_health(e->parts[i]);
		worst = h > worst ? h : worst;
	}
	return worst;
}

/* ---- figures ---- */

/* All of them are u64, but those that are not sums. */
static void stats_add(struct engine_stats *to, const struct engine_stats *s)
{
#define ADD(x) to->x += s->x
	ADD(commits), ADD(frames), ADD(frame_bytes), ADD(syncs), ADD(checkpoints);
	ADD(checkpoint_rows), ADD(overlay_rows), ADD(overlay_bytes), ADD(replayed_frames);
	ADD(cut_bytes), ADD(reads_now), ADD(reads_pool), ADD(sync_failures), ADD(measures);
	ADD(file_bytes), ADD(live_bytes), ADD(live_bodies_bytes), ADD(rows), ADD(segments);
	ADD(body_files), ADD(body_raw_bytes), ADD(body_stored_bytes), ADD(index_damaged);
	ADD(index_rebuilds), ADD(index_bytes), ADD(compactions), ADD(compactions_failed);
	ADD(moved_bytes), ADD(moved_rows), ADD(dropped_files), ADD(scrubs), ADD(scrub_bytes);
	ADD(damaged_bodies), ADD(damaged_rows), ADD(damaged_frames);
#undef ADD
	if (s->chore != ENGINE_CHORE_NONE) {
		to->chore = s->chore;
		to->chore_done += s->chore_done;
		to->chore_total += s->chore_total;
	}
}

/* The scrub that is longest ago. */
static void whole_stats(const struct engine *e, struct engine_stats *ret_s)
{
	const struct shards *w = (const struct shards *)e;
	bool first = true;

	for (unsigned i = 0; i < e->n_parts; i++) {
		struct engine_stats s;

		if (w->away[i] != NULL)
			continue;
		engine_stats(w->at[i], &s);
		if (first || s.scrubbed_s < ret_s->scrubbed_s)
			ret_s->scrubbed_s = s.scrubbed_s;
		first = false;
		if (s.frame_largest > ret_s->frame_largest)
			ret_s->frame_largest = s.frame_largest;
		if (s.reader_lag > ret_s->reader_lag)
			ret_s->reader_lag = s.reader_lag;
		stats_add(ret_s, &s);
	}
}

/* ---- chores: of all, beside each other ---- */

struct chores {
	struct engine *whole;
	struct compact_request *q;
	unsigned left;
	int rc;
};

static void on_chore(void *arg, int rc)
{
	struct chores *k = arg;

	if (rc != 0)
		k->rc = rc;
	if (--k->left > 0)
		return;
	if (k->q->done != NULL)
		k->q->done(k->q->arg, k->rc);
	free(k->q);
	free(k);
}

static void on_damage(void *arg, const struct engine_damage *d)
{
	struct chores *k = arg;

	if (k->q->found != NULL)
		k->q->found(k->q->arg, d);
}

/* Of a shard whose callbacks are dropped, because the engine closes, the request stays: who asks
 * for one of a shard (engine_shard()) has none of this. */
static void whole_compact(struct engine *e, struct compact_request *q)
{
	struct shards *w = (struct shards *)e;
	struct chores *k = calloc(1, sizeof(*k));

	assert(k != NULL);
	*k = (struct chores){ .whole = e, .q = q };
	for (unsigned i = 0; i < e->n_parts; i++)
		k->left += w->away[i] == NULL;
	for (unsigned i = 0; i < e->n_parts; i++) {
		if (w->away[i] != NULL)
			continue;
		if (q->what == COMPACT_MEASURE)
			engine_measure(w->at[i], on_chore, k);
		else if (q->what == COMPACT_PASS)
			engine_compact(w->at[i], &q->when, on_chore, k);
		else
			engine_scrub(w->at[i], on_damage, on_chore, k);
	}
}

static void whole_pace(struct engine *e, uint64_t compact_bytes_s, uint64_t scrub_bytes_s)
{
	for (unsigned i = 0; i < e->n_parts; i++)
		engine_pace(e->parts[i], compact_bytes_s, scrub_bytes_s);
}

static const struct engine_ops whole_ops = {
	.close = whole_close,
	.faults = whole_faults,
	.stats = whole_stats,
	.health = whole_health,
	.start = whole_start,
	.compact = whole_compact,
	.pace = whole_pace,
	.dispatch = whole_dispatch,
};

const char *engine_shard_away(const struct engine *e, unsigned shard)
{
	if (e->parts == NULL)
		return NULL;
	return shard < e->n_parts ? ((const struct shards *)e)->away[shard] : "missing";
}

bool engine_mend(struct engine *e)
{
	struct shards *w = (struct shards *)e;

	if (e->parts == NULL || w->mend == NULL)
		return false;
	mend_now(w);
	return true;
}

/* ---- life ---- */

struct shards *shards_new(void)
{
	struct shards *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	engine_base_init(&w->e, &whole_ops);
	engine_one_group(&w->e);
	w->e.limits.bodies_shared = false;
	w->e.parts = w->at;
	w->e.fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->e.fd >= 0)
		return w;
	free(w);
	return NULL;
}

/* Every read and every commit of it is an I/O error. */
static int stand_in(struct engine **ret_e)
{
	return engine_mem_open("io=1", ret_e);
}

int shards_add(struct shards *w, struct engine *take_e, const char *away)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct engine *e = take_e;
	int r = e == NULL ? stand_in(&e) : 0;

	if (r != 0)
		return r;
	if (held_init(e) != 0 || epoll_ctl(w->e.fd, EPOLL_CTL_ADD, engine_fd(e), &ev) != 0) {
		if (take_e == NULL)
			engine_close(&e);
		return -ENOMEM;
	}
	e->whole = &w->e;
	e->shard = w->e.n_parts;
	w->away[e->shard] = away;
	w->at[w->e.n_parts++] = e;
	return 0;
}

void shards_free(struct shards *w)
{
	struct engine *e = &w->e;

	engine_close(&e);
}

static int open_first(
    const char *child, int dir_fd, const struct engine_conf *conf, struct shards *w)
{
	struct engine *e;
	int r = engine_open(child, dir_fd, conf, &e);

	if (r == 0 && (r = shards_add(w, e, NULL)) != 0)
		engine_close(&e);
	return r;
}

/* In memory there is nothing that could be elsewhere. */
static int open_memory(
    struct shards *w, unsigned n, const char *child, const struct engine_conf *conf)
{
	struct engine *e;
	int r = 0;

	while (r == 0 && w->e.n_parts < n) {
		r = engine_open(child, -1, conf, &e);
		if (r == 0 && (r = shards_add(w, e, NULL)) != 0)
			engine_close(&e);
	}
	return r;
}

/* One shard that never had others needs no whole. */
static bool alone(unsigned n, bool memory, int dir_fd)
{
	struct identity id;

	return n == 1 && (memory || identity_read(dir_fd, &id) == ENGINE_NOTFOUND);
}

/*
 * Whose it is, before anything is made or changed in it: where the disk of another shard is mounted
 * in the first one's place it stays as it is. Without identity it is a store of one shard, or new.
 */
static int look_first(int dir_fd)
{
	struct identity id;
	int r = identity_read(dir_fd, &id);

	if (r == ENGINE_NOTFOUND)
		return 0;
	return r == 0 && id.shard != 0 ? ENGINE_CORRUPT : r;
}

int engine_shards_open(unsigned n, const char *child, int dir_fd, const struct engine_conf *conf,
    struct engine **ret_e)
{
	bool memory = strncmp(child, "mem", 3) == 0;
	struct engine_conf own = *conf;
	struct shards *w;
	bool first;
	int r;

	if (alone(n, memory, dir_fd))
		return engine_open(child, dir_fd, conf, ret_e);
	if (!memory && (r = look_first(dir_fd)) != 0)
		return r;
	w = shards_new();
	if (w == NULL)
		return -ENOMEM;
	first = !memory && guard_is_blamed(dir_fd); /* opening it forgets that */
	if (!memory && !first && shards_are_blamed(dir_fd))
		own.crashes = 0; /* not by its fault */
	r = open_first(child, dir_fd, &own, w);
	if (first)
		own.crashes = 0; /* nor is it the others' */
	if (r == 0)
		r = memory ? open_memory(w, n, child, &own)
			   : shards_open_dirs(w, n, child, dir_fd, &own);
	if (r != 0) {
		shards_free(w);
		return r;
	}
	*ret_e = &w->e;
	return 0;
}
