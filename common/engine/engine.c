/* What is the same for every engine: specs, handles, the guard, callbacks. */
#include "common/engine/engine-private.h"

#include "common/base/wire.h"
#include "common/engine/shards/held.h"
#include "common/engine/shards/twin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const char *engine_rc_name(int rc)
{
	static const char *const names[] = { "ok", "not-found", "stale", "cancelled", "unknown",
		"full", "too-big", "corrupt", "io", "again", "version", "busy", "rebuild" };

	if (rc < 0)
		return strerror(-rc);
	return (size_t)rc < sizeof(names) / sizeof(*names) ? names[rc] : "?";
}

int engine_open(const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e)
{
	static const struct engine_conf none;
	char *child;
	unsigned long n = strtoul(spec, &child, 10);

	if (conf == NULL)
		conf = &none;
	if (n > 0 && n <= ENGINE_SHARDS_MAX && *child == '*')
		return engine_shards_open((unsigned)n, child + 1, dir_fd, conf, ret_e);
	if (strcmp(spec, "lmdb") == 0)
		return engine_lmdb_open(dir_fd, conf, ret_e);
	if (strcmp(spec, "lmdb:one_group=1") == 0) {
		int r = engine_lmdb_open(dir_fd, conf, ret_e);

		if (r == 0)
			engine_one_group(*ret_e);
		return r;
	}
	if (strcmp(spec, "mem") == 0)
		return engine_mem_open("", ret_e);
	if (strncmp(spec, "mem:", 4) == 0)
		return engine_mem_open(spec + 4, ret_e);
	return -EINVAL;
}

int engine_start(struct engine *e)
{
	return e->ops->start != NULL ? e->ops->start(e) : 0;
}

void engine_base_init(struct engine *e, const struct engine_ops *ops)
{
	e->ops = ops;
	e->fd = -1;
	e->limits = (struct engine_limits){
		.group_id_bytes = ENGINE_GROUP_ID_MAX,
		.key_bytes = ENGINE_KEY_MAX,
		.value_bytes = ENGINE_VALUE_MAX,
		.batch_bytes = ENGINE_BATCH_BYTES_MAX,
		.batch_keys = ENGINE_BATCH_KEYS_MAX,
		.commit_batches = ENGINE_COMMIT_BATCHES_MAX,
		.scan_rows = ENGINE_SCAN_ROWS_MAX,
		.body_read_bytes = ENGINE_BODY_READ_MAX,
		.body_append_bytes = ENGINE_BODY_APPEND_MAX,
		.body_buffered = ENGINE_BODY_BUFFERED_MAX,
		.commit_atomic = true,
		.bodies_shared = true,
	};
	/* Batch ids must not come back after a restart: a random start in 64 bits sees to that. */
	if (getrandom(&e->next_batch_id, sizeof(e->next_batch_id), 0) != sizeof(e->next_batch_id))
		e->next_batch_id = (uintptr_t)e;
}

void engine_one_group(struct engine *e)
{
	e->limits.commit_atomic = false;
	e->limits.commit_batches = 1;
}

void engine_close(struct engine **e)
{
	struct engine_core *next;

	if (*e == NULL)
		return;
	assert((*e)->n_handles == 0 && !(*e)->dispatching);
	(*e)->closing = true;
	held_fini(*e);
	(*e)->ops->close(*e);
	for (size_t i = 0; i < ENGINE_CORE_BUCKETS; i++)
		for (struct engine_core *c = (*e)->cores[i]; c != NULL; c = next) {
			next = c->next;
			free(c);
		}
	free(*e);
	*e = NULL;
}

int engine_fd(const struct engine *e)
{
	return e->fd;
}

const struct engine_limits *engine_limits(const struct engine *e)
{
	return &e->limits;
}

enum engine_health engine_health(const struct engine *e)
{
	return e->ops->health(e);
}

void engine_stats(const struct engine *e, struct engine_stats *ret_s)
{
	*ret_s = (struct engine_stats){ 0 };
	e->ops->stats(e, ret_s);
}

/* ---- shards ---- */

struct engine *engine_part(struct engine *e, unsigned shard)
{
	return e->parts == NULL ? e : e->parts[shard < e->n_parts ? shard : 0];
}

struct engine *engine_shard(const struct engine *e, unsigned shard)
{
	return engine_part((struct engine *)(uintptr_t)e, shard);
}

unsigned engine_shards(const struct engine *e)
{
	return e->parts == NULL ? 1 : e->n_parts;
}

/* ---- space ---- */

void compact_done_run(struct engine *e, struct engine_done *d)
{
	struct compact_request *q = (struct compact_request *)d;

	if (!e->closing && q->done != NULL)
		q->done(q->arg, q->rc);
	free(q);
}

static struct compact_request *compact_ask(enum compact_what what, engine_done_fn *done, void *arg)
{
	struct compact_request *q = calloc(1, sizeof(*q));

	assert(q != NULL);
	q->d.run = compact_done_run;
	q->what = what;
	q->done = done;
	q->arg = arg;
	return q;
}

void engine_measure(struct engine *e, engine_done_fn *done, void *arg)
{
	e->ops->compact(e, compact_ask(COMPACT_MEASURE, done, arg));
}

void engine_compact(
    struct engine *e, const struct engine_compact_when *when, engine_done_fn *done, void *arg)
{
	struct compact_request *q = compact_ask(COMPACT_PASS, done, arg);

	if (when != NULL)
		q->when = *when;
	e->ops->compact(e, q);
}

void engine_scrub(struct engine *e, engine_damage_fn *found, engine_done_fn *done, void *arg)
{
	struct compact_request *q = compact_ask(COMPACT_SCRUB, done, arg);

	q->found = found;
	e->ops->compact(e, q);
}

void engine_pace(struct engine *e, uint64_t compact_bytes_s, uint64_t scrub_bytes_s)
{
	if (e->ops->pace != NULL)
		e->ops->pace(e, compact_bytes_s, scrub_bytes_s);
}

int engine_faults_set(struct engine *e, const struct engine_faults *f)
{
	return e->ops->faults(e, f);
}

unsigned engine_dispatch(struct engine *e, unsigned max)
{
	struct engine_done *list, *d;
	unsigned n = 0;

	if (e->ops->dispatch != NULL)
		return e->ops->dispatch(e, max);
	assert(!e->dispatching);
	e->dispatching = true;
	list = e->ops->pull(e);
	while (list != NULL && (max == 0 || n < max)) {
		d = list;
		list = d->next;
		d->run(e, d);
		n++;
	}
	if (list != NULL)
		e->ops->push_back(e, list);
	e->dispatching = false;
	return n;
}

/* ---- cores ---- */

static size_t core_bucket(struct slice prefix)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < prefix.n; i++)
		h = (h ^ prefix.p[i]) * 0x100000001b3u;
	return (h ^ h >> 32) % ENGINE_CORE_BUCKETS;
}

static struct engine_core *core_get(struct engine *e, struct slice id)
{
	uint8_t prefix[1 + ENGINE_GROUP_ID_MAX];
	struct engine_core **at, *c;

	prefix[0] = (uint8_t)id.n;
	memcpy(prefix + 1, id.p, id.n);
	at = &e->cores[core_bucket(slice_of(prefix, 1 + id.n))];
	for (c = *at; c != NULL; c = c->next)
		if (c->prefix_n == 1 + id.n && memcmp(c->prefix, prefix, c->prefix_n) == 0) {
			c->refs++;
			return c;
		}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->prefix_n = (uint8_t)(1 + id.n);
	memcpy(c->prefix, prefix, c->prefix_n);
	c->gen = 1;
	c->refs = 1;
	c->next = *at;
	*at = c;
	return c;
}

static void core_unref(struct engine *e, struct engine_core *c)
{
	struct engine_core **at;

	assert(c->refs > 0);
	if (--c->refs > 0)
		return;
	at = &e->cores[core_bucket(slice_of(c->prefix, c->prefix_n))];
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

/* ---- opening a group: wait for commits in flight, read the header, take over ---- */

struct group_open {
	struct read_job j;
	struct group_open *next;
	struct engine_core *core;
	uint64_t epoch;
	unsigned flags;
	engine_group_fn *done;
	void *arg;
	int header_rc;
};

static void header_take(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct engine_core *c = arg;
	struct slice v;

	if (rc != 0 || n != 1)
		return;
	v = rows[0].val;
	if (v.n != HEADER_BYTES)
		return;
	c->seq = wire_load_u64(v.p);
	c->epoch = wire_load_u64(v.p + 8);
	c->batch = wire_load_u64(v.p + 16);
	c->next_seq = c->seq;
	c->loaded = true;
}

static void header_range(const struct engine_core *c, struct row_range *ret_r)
{
	memcpy(ret_r->from, c->prefix, c->prefix_n);
	ret_r->from_n = ret_r->prefix_n = c->prefix_n;
	ret_r->to_n = 0;
	ret_r->limit = 1;
	ret_r->exact = true;
}

/* The header is known (rc of reading it): decide, and make the handle. */
static int group_take(struct engine *e, struct engine_core *c, int rc, uint64_t epoch,
    unsigned flags, struct engine_group **ret_group)
{
	struct engine_group *g;

	if (rc == ENGINE_NOTFOUND && c->seq == 0) {
		if (!(flags & ENGINE_CREATE))
			return rc;
		c->loaded = true;
	} else if (rc != 0) {
		return rc;
	}
	if (!c->loaded)
		return ENGINE_CORRUPT;
	if (c->unknown && engine_health(e) == ENGINE_RECOVERING)
		return ENGINE_IO; /* whether it is stored is still being found out */
	if (epoch < c->epoch)
		return ENGINE_STALE;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	c->epoch = epoch;
	c->unknown = false;
	c->incarnation = ++e->next_incarnation;
	c->gen++;
	c->next_seq = c->seq;
	*g = (struct engine_group){ e, c, c->incarnation, epoch };
	e->n_handles++;
	*ret_group = g;
	return 0;
}

/* A group that was only ever opened, or whose outcome is unknown, is read again. */
static int header_now(struct engine *e, struct engine_core *c)
{
	struct row_range r;
	int rc;

	if (c->loaded && c->seq > 0 && !c->unknown)
		return 0;
	header_range(c, &r);
	rc = e->ops->rows_now(e, &r, header_take, c);
	return rc;
}

int engine_group_open_now(struct engine *e, struct slice id, uint64_t epoch, unsigned flags,
    struct engine_group **ret_group)
{
	struct engine_core *c;
	int rc;

	if (id.n == 0 || id.n > ENGINE_GROUP_ID_MAX)
		return ENGINE_TOOBIG;
	e = engine_part(e, flags >> ENGINE_IN_SHIFT);
	c = core_get(e, id);
	if (c == NULL)
		return -ENOMEM;
	rc = c->in_flight > 0 || c->waiting != NULL ? ENGINE_AGAIN : header_now(e, c);
	if (rc != ENGINE_AGAIN)
		rc = group_take(e, c, rc, epoch, flags, ret_group);
	if (rc != 0)
		core_unref(e, c);
	return rc;
}

static void open_finish(struct engine *e, struct engine_done *d)
{
	struct group_open *o = (struct group_open *)d;
	struct engine_group *g = NULL;
	int rc = o->j.rc;

	if (o->j.n_rows == 1)
		header_take(o->core, 0, o->j.rows, 1, false);
	if (e->closing)
		rc = ENGINE_AGAIN;
	if (rc == 0 || rc == ENGINE_NOTFOUND)
		rc = group_take(e, o->core, rc, o->epoch, o->flags, &g);
	if (rc != 0)
		core_unref(e, o->core);
	if (!e->closing)
		o->done(o->arg, rc, g);
	free(o->j.rows);
	free(o->j.copy);
	free(o);
}

static void open_start(struct engine *e, struct group_open *o)
{
	header_range(o->core, &o->j.range);
	o->j.p.d.run = open_finish;
	e->ops->rows(e, &o->j);
}

void engine_group_open(struct engine *e, struct slice id, uint64_t epoch, unsigned flags,
    engine_group_fn *done, void *arg)
{
	struct group_open *o = calloc(1, sizeof(*o));

	assert(o != NULL && id.n > 0 && id.n <= ENGINE_GROUP_ID_MAX);
	e = engine_part(e, flags >> ENGINE_IN_SHIFT);
	o->core = core_get(e, id);
	assert(o->core != NULL);
	o->epoch = epoch;
	o->flags = flags;
	o->done = done;
	o->arg = arg;
	if (o->core->in_flight == 0) {
		open_start(e, o);
		return;
	}
	/* The old owner is fenced from now on, so that what is in flight comes to an end. */
	o->core->incarnation = ++e->next_incarnation;
	o->next = o->core->waiting;
	o->core->waiting = o;
}

void engine_group_on_moved(struct engine_group *g, engine_moved_fn *fn, void *arg)
{
	if (g->core->incarnation != g->incarnation)
		return; /* stale: somebody else's by now */
	g->core->moved = fn;
	g->core->moved_arg = arg;
	g->core->moved_incarnation = g->incarnation;
}

void engine_tell_moved(struct engine *e, struct slice prefix, struct slice key,
    const struct engine_loc *from, const struct engine_loc *to)
{
	struct engine_core *c = e->cores[core_bucket(prefix)];

	while (c != NULL && !slice_eq(slice_of(c->prefix, c->prefix_n), prefix))
		c = c->next;
	if (c != NULL && c->moved != NULL && c->moved_incarnation == c->incarnation)
		c->moved(c->moved_arg, key, from, to);
}

void engine_group_close(struct engine_group **g)
{
	if (*g == NULL)
		return;
	if ((*g)->core->moved_incarnation == (*g)->incarnation)
		(*g)->core->moved = NULL;
	(*g)->e->n_handles--;
	core_unref((*g)->e, (*g)->core);
	free(*g);
	*g = NULL;
}

uint64_t engine_group_seq(const struct engine_group *g)
{
	return g->core->seq;
}

uint64_t engine_group_batch(const struct engine_group *g)
{
	return g->core->batch;
}

/* ---- batches and commits ---- */

struct engine_batch *engine_batch_new(struct engine_group *g)
{
	struct engine_batch *b = batch_alloc(g->e, g->core);

	if (b == NULL)
		return NULL;
	g->core->refs++;
	b->incarnation = g->incarnation;
	b->epoch = g->epoch;
	b->id = g->e->next_batch_id++;
	return b;
}

void engine_batch_free(struct engine_batch **b)
{
	if (*b == NULL)
		return;
	batch_unref_bodies(*b);
	if ((*b)->core != NULL)
		core_unref((*b)->e, (*b)->core);
	free((*b)->patches);
	free((*b)->p);
	free(*b);
	*b = NULL;
}

static bool batch_stale(const struct engine_batch *b)
{
	return b->core->incarnation != b->incarnation || b->core->unknown;
}

bool engine_may_commit(const struct engine *e, struct engine_batch *const *batches, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (batches[i]->e != batches[0]->e)
			return false;
	return n > 0 && n <= batches[0]->e->limits.commit_batches;
}

void engine_commit(struct engine *e, struct engine_batch **take_batches, unsigned n,
    engine_done_fn *done, void *arg)
{
	struct commit *c = calloc(1, sizeof(*c) + n * sizeof(c->b[0]));

	assert(c != NULL && n > 0 && (take_batches[0]->e == e || take_batches[0]->e->whole == e));
	e = take_batches[0]->e;
	assert(n <= e->limits.commit_batches);
	c->d.run = commit_done_run;
	c->e = e;
	c->done = done;
	c->arg = arg;
	c->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct engine_batch *b = take_batches[i];

		assert(b->e == e);
		c->b[i] = b;
		take_batches[i] = NULL;
		if (batch_stale(b))
			c->rc = ENGINE_STALE;
	}
	for (unsigned i = 0; i < n; i++) {
		struct engine_batch *b = c->b[i];

		b->core->in_flight++;
		if (batch_stale(b))
			continue; /* generation 0: its failure is not the present owner's */
		b->gen = b->core->gen;
		b->seq = ++b->core->next_seq;
		batch_stamp(b);
	}
	if (e->held == NULL || !held_take(e, c))
		e->ops->commit(e, c);
}

int commit_guard(const struct commit *c)
{
	if (c->rc != 0)
		return c->rc;
	for (unsigned i = 0; i < c->n; i++)
		if (c->b[i]->gen <= c->b[i]->core->failed_gen)
			return ENGINE_CANCELLED;
	return 0;
}

void commit_failed(struct commit *c, int rc)
{
	c->rc = rc;
	for (unsigned i = 0; i < c->n; i++)
		if (c->b[i]->core->failed_gen < c->b[i]->gen)
			c->b[i]->core->failed_gen = c->b[i]->gen;
}

/* The owner learns of one batch: the header moves on, or a new generation starts behind the
 * failure. */
static void batch_settle(struct engine *e, struct engine_batch *b, int rc)
{
	struct engine_core *core = b->core;
	struct group_open *o;

	core->in_flight--;
	if (rc == 0) {
		core->seq = b->ends_group ? 0 : b->seq;
		core->batch = b->ends_group ? 0 : b->id;
		core->loaded = !b->ends_group;
	} else if (b->gen == core->gen) {
		core->gen++;
		core->next_seq = core->seq;
	}
	if (rc == ENGINE_UNKNOWN)
		core->unknown = true;
	if (core->in_flight == 0 && !e->closing && (o = core->waiting) != NULL) {
		core->waiting = NULL;
		for (struct group_open *next; o != NULL; o = next) {
			next = o->next;
			open_start(e, o);
		}
	}
}

/* Rows that got a copy of a body in another shard: whoever keeps places was told of the other. */
static void tell_twins(struct engine *e, const struct engine_batch *b)
{
	struct slice prefix = slice_of(b->core->prefix, b->core->prefix_n);

	for (unsigned i = 0; i < b->n_patches; i++) {
		const struct batch_patch *p = &b->patches[i];
		const struct engine_loc *was = twin_was(p->body);

		if (was != NULL)
			engine_tell_moved(e, prefix,
			    slice_of(b->p + p->at - 1 - p->key_n, p->key_n), was, &p->body->loc);
	}
}

void commit_done_run(struct engine *e, struct engine_done *d)
{
	struct commit *c = (struct commit *)d;
	bool tell = e->whole != NULL && c->rc == 0 && !e->closing;

	for (unsigned i = 0; i < c->n; i++)
		batch_settle(e, c->b[i], c->rc);
	for (unsigned i = 0; !tell && i < c->n; i++)
		engine_batch_free(&c->b[i]);
	if (c->done != NULL && !e->closing)
		c->done(c->arg, c->rc);
	for (unsigned i = 0; tell && i < c->n; i++) {
		tell_twins(e, c->b[i]);
		engine_batch_free(&c->b[i]);
	}
	free(c);
}
