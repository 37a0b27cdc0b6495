/*
 * The memory engine: nothing survives it, everything can go wrong on demand.
 *
 * A commit takes effect when its answer is due, just before its callback: a user that looks at its
 * own changes too early, or counts on answers of different groups coming in order, is found out.
 */
#include "common/engine/engine-private.h"

#include "common/base/clock.h"
#include "common/engine/map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct mem_body {
	uint8_t *p;
	size_t n;
};

struct mem {
	struct engine e;
	struct map rows;
	struct engine_faults faults;
	uint64_t rnd, tried;     /* tried: commits, since the faults were set */
	struct engine_done *due; /* sorted by due_ns */
	uint64_t last_due_ns;
	struct mem_body *bodies;
	size_t n_bodies, cap_bodies, body_bytes;
	struct engine_stats stats;
};

static uint64_t mem_random(struct mem *m)
{
	m->rnd += 0x9e3779b97f4a7c15u;
	uint64_t z = m->rnd;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool one_in(struct mem *m, unsigned n)
{
	return n > 0 && mem_random(m) % n == 0;
}

/* ---- answers to come ---- */

static void arm(struct mem *m)
{
	struct itimerspec t = { 0 };
	uint64_t ns;

	if (m->due != NULL) {
		ns = m->due->due_ns;
		t.it_value.tv_sec = (time_t)(ns / 1000000000u);
		t.it_value.tv_nsec = (long)(ns % 1000000000u);
	}
	if (timerfd_settime(m->e.fd, TFD_TIMER_ABSTIME, &t, NULL) != 0)
		abort();
}

/* Queues an answer; those with the same `last_due_ns` keep their order. */
static void answer(struct mem *m, struct engine_done *d, uint64_t *last_due_ns)
{
	struct engine_done **at = &m->due;
	uint64_t due = (uint64_t)clock_mono_ns();

	if (m->faults.delay_ms > 0)
		due += mem_random(m) % ((uint64_t)m->faults.delay_ms * 1000000u);
	else if (m->faults.reorder)
		due += mem_random(m) % 200000u;
	if (due < *last_due_ns)
		due = *last_due_ns;
	if (!m->faults.reorder && due < m->last_due_ns)
		due = m->last_due_ns;
	*last_due_ns = due;
	/* Kept while answers are reordered, too: the faults may change while some are on their way.
	 */
	if (m->last_due_ns < due)
		m->last_due_ns = due;
	d->due_ns = due;
	while (*at != NULL && (*at)->due_ns <= due)
		at = &(*at)->next;
	d->next = *at;
	*at = d;
	if (m->due == d)
		arm(m);
}

static struct engine_done *mem_pull(struct engine *e)
{
	struct mem *m = (struct mem *)e;
	struct engine_done *list = m->due, **at = &m->due;
	uint64_t now = (uint64_t)clock_mono_ns(), n;

	if (read(e->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		abort();
	while (*at != NULL && (*at)->due_ns <= now)
		at = &(*at)->next;
	if (at == &m->due) {
		arm(m);
		return NULL;
	}
	m->due = *at;
	*at = NULL;
	arm(m);
	return list;
}

static void mem_push_back(struct engine *e, struct engine_done *list)
{
	struct mem *m = (struct mem *)e;
	struct engine_done *last = list;

	while (last->next != NULL)
		last = last->next;
	/* What was queued meanwhile is due later than all of these, or at the same time. */
	last->next = m->due;
	m->due = list;
	arm(m);
}

/* ---- commits ---- */

static int body_place(struct mem *m, struct engine_body *b)
{
	struct loc_parts p = { .kind = LOC_MEMORY, .file = m->n_bodies, .size = b->size };
	uint8_t *bytes = malloc(b->size + 1);
	size_t at = 0;

	if (m->n_bodies == m->cap_bodies) {
		size_t cap = m->cap_bodies == 0 ? 64 : 2 * m->cap_bodies;
		struct mem_body *q = realloc(m->bodies, cap * sizeof(*q));

		if (q == NULL) {
			free(bytes);
			return -ENOMEM;
		}
		m->bodies = q;
		m->cap_bodies = cap;
	}
	if (bytes == NULL)
		return -ENOMEM;
	for (struct body_chunk *c = b->first; c != NULL; c = c->next) {
		memcpy(bytes + at, c->data, c->n);
		at += c->n;
	}
	m->bodies[m->n_bodies++] = (struct mem_body){ bytes, at };
	m->body_bytes += at;
	p.sum = body_sum(b);
	p.shard = m->e.shard;
	p.parted = body_is_parted(b->size);
	loc_encode(&p, &b->loc);
	b->placed = true;
	body_free_chunks(b);
	return 0;
}

static int commit_store(struct mem *m, struct commit *c)
{
	int r = 0;

	for (unsigned i = 0; i < c->n && r == 0; i++) {
		struct engine_batch *b = c->b[i];

		for (unsigned k = 0; k < b->n_patches && r == 0; k++) {
			struct engine_body *body = b->patches[k].body;

			if (!body->placed)
				r = body_place(m, body);
			memcpy(b->p + b->patches[k].at, body->loc.b, sizeof(body->loc.b));
		}
	}
	for (unsigned i = 0; i < c->n && r == 0; i++)
		r = batch_apply(&m->rows, slice_of(c->b[i]->p, c->b[i]->n));
	return r;
}

static void mem_commit_due(struct engine *e, struct engine_done *d)
{
	struct mem *m = (struct mem *)e;
	struct commit *c = (struct commit *)d;
	int fault = c->rc, r;

	c->rc = 0;
	r = fault == ENGINE_STALE ? fault : commit_guard(c);
	if (r == 0) {
		if (fault == 0 || c->apply)
			r = commit_store(m, c);
		if (r == 0)
			r = fault;
		m->stats.frames++;
	}
	c->rc = r;
	if (r != 0)
		commit_failed(c, r);
	m->stats.commits++;
	commit_done_run(e, d);
}

static int commit_fault(struct mem *m, struct commit *c)
{
	if (m->faults.last_commits > 0 && m->tried++ >= m->faults.last_commits)
		return ENGINE_IO;
	if (one_in(m, m->faults.io))
		return ENGINE_IO;
	if (one_in(m, m->faults.full) ||
	    (m->faults.max_bytes > 0 && m->rows.bytes + m->body_bytes > m->faults.max_bytes))
		return ENGINE_FULL;
	if (one_in(m, m->faults.unknown)) {
		c->apply = mem_random(m) & 1;
		return ENGINE_UNKNOWN;
	}
	return 0;
}

static void mem_commit(struct engine *e, struct commit *c)
{
	struct mem *m = (struct mem *)e;
	uint64_t last = 0;

	if (c->rc == 0)
		c->rc = commit_fault(m, c);
	c->d.run = mem_commit_due;
	for (unsigned i = 0; i < c->n; i++)
		if (last < c->b[i]->core->last_due_ns)
			last = c->b[i]->core->last_due_ns;
	answer(m, &c->d, &last);
	for (unsigned i = 0; i < c->n; i++)
		c->b[i]->core->last_due_ns = last;
}

/* ---- reads ---- */

static int mem_rows_find(struct mem *m, const struct row_range *r, engine_rows_fn *fn, void *arg)
{
	static struct engine_row rows[ENGINE_SCAN_ROWS_MAX];
	const struct map_node *n = map_seek(&m->rows, range_from(r));
	struct slice end = r->exact ? range_from(r) : range_to(r);
	size_t count = 0;
	bool more = false;

	for (; n != NULL; n = n->next[0]) {
		int c = slice_cmp(map_key(n), end);

		if (r->exact ? c != 0 : c >= 0)
			break;
		more = count == r->limit;
		if (more || !row_decode(map_val(n), &rows[count]))
			break;
		rows[count++].key = slice_from(map_key(n), r->prefix_n);
	}
	if (r->exact && count == 0)
		return ENGINE_NOTFOUND;
	fn(arg, 0, rows, count, more);
	return 0;
}

static int mem_rows_now(struct engine *e, const struct row_range *r, engine_rows_fn *fn, void *arg)
{
	struct mem *m = (struct mem *)e;

	m->stats.reads_now++;
	if (one_in(m, m->faults.again))
		return ENGINE_AGAIN;
	if (one_in(m, m->faults.io))
		return ENGINE_IO;
	return mem_rows_find(m, r, fn, arg);
}

static void mem_rows(struct engine *e, struct read_job *j)
{
	struct mem *m = (struct mem *)e;
	uint64_t none = 0;

	m->stats.reads_pool++;
	j->rc =
	    one_in(m, m->faults.io) ? ENGINE_IO : mem_rows_find(m, &j->range, read_copy_rows, j);
	answer(m, &j->p.d, &none);
}

static int body_find(
    struct mem *m, const struct engine_loc *loc, uint64_t off, size_t *len, const uint8_t **ret_p)
{
	struct loc_parts p;
	struct mem_body *b;

	loc_decode(loc, &p);
	if (one_in(m, m->faults.io))
		return ENGINE_IO;
	if (p.kind != LOC_MEMORY || p.file >= m->n_bodies || off > p.size)
		return ENGINE_NOTFOUND;
	b = &m->bodies[p.file];
	if (b->n != p.size)
		return ENGINE_NOTFOUND;
	if (one_in(m, m->faults.corrupt))
		return ENGINE_CORRUPT;
	if (*len > b->n - off)
		*len = b->n - off;
	*ret_p = b->p + off;
	return 0;
}

static int mem_body_now(struct engine *e, const struct engine_loc *loc, uint64_t off, void *buf,
    size_t len, size_t *ret_n)
{
	struct mem *m = (struct mem *)e;
	const uint8_t *p;
	int r;

	if (one_in(m, m->faults.again))
		return ENGINE_AGAIN;
	r = body_find(m, loc, off, &len, &p);
	if (r != 0)
		return r;
	memcpy(buf, p, len);
	*ret_n = len;
	return 0;
}

static void mem_body(struct engine *e, struct read_job *j)
{
	struct mem *m = (struct mem *)e;
	const uint8_t *p;
	uint64_t none = 0;

	j->rc = body_find(m, &j->loc, j->off, &j->len, &p);
	if (j->rc == 0) {
		j->copy = malloc(j->len + 1);
		if (j->copy == NULL)
			j->rc = -ENOMEM;
		else
			memcpy(j->copy, p, j->len);
		j->copy_n = j->len;
	}
	answer(m, &j->p.d, &none);
}

/* ---- the rest ---- */

static int mem_spill(struct engine *e, struct engine_body *b, bool end)
{
	return 0; /* never called for more: the limit of buffered bytes is infinite here */
}

static void mem_spill_drop(struct engine *e, struct engine_body *b)
{
}

static int mem_append_fault(struct engine *e)
{
	struct mem *m = (struct mem *)e;

	return one_in(m, m->faults.full) ? ENGINE_FULL : 0;
}

static int mem_faults(struct engine *e, const struct engine_faults *f)
{
	struct mem *m = (struct mem *)e;

	m->faults = *f;
	m->rnd = f->seed;
	m->tried = 0;
	return 0;
}

/* Nothing is left behind here: there is nothing to do but to answer. */
static void mem_compact(struct engine *e, struct compact_request *q)
{
	struct mem *m = (struct mem *)e;
	uint64_t none = 0;

	m->stats.measures++;
	m->stats.compactions += q->what == COMPACT_PASS;
	m->stats.scrubs += q->what == COMPACT_SCRUB;
	if (q->what == COMPACT_SCRUB)
		m->stats.scrubbed_s = clock_wall_s();
	m->stats.rows = m->rows.rows;
	m->stats.live_bodies_bytes = m->body_bytes;
	m->stats.file_bytes = m->stats.live_bytes = m->body_bytes + m->rows.bytes;
	answer(m, &q->d, &none);
}

static void mem_stats(const struct engine *e, struct engine_stats *s)
{
	const struct mem *m = (const struct mem *)e;

	*s = m->stats;
	s->overlay_rows = m->rows.rows;
	s->overlay_bytes = m->rows.bytes;
}

static enum engine_health mem_health(const struct engine *e)
{
	return ENGINE_HEALTHY;
}

static void mem_close(struct engine *e)
{
	struct mem *m = (struct mem *)e;
	struct engine_done *d;

	while ((d = m->due) != NULL) {
		m->due = d->next;
		d->run(e, d);
	}
	map_fini(&m->rows);
	for (size_t i = 0; i < m->n_bodies; i++)
		free(m->bodies[i].p);
	free(m->bodies);
	close(e->fd);
}

static const struct engine_ops mem_ops = {
	.close = mem_close,
	.pull = mem_pull,
	.push_back = mem_push_back,
	.commit = mem_commit,
	.rows_now = mem_rows_now,
	.rows = mem_rows,
	.body_now = mem_body_now,
	.body = mem_body,
	.spill = mem_spill,
	.spill_drop = mem_spill_drop,
	.faults = mem_faults,
	.stats = mem_stats,
	.health = mem_health,
	.append_fault = mem_append_fault,
	.compact = mem_compact,
};

int engine_mem_open(const char *opts, struct engine **ret_e)
{
	struct engine_faults f;
	struct mem *m;
	int r = engine_faults_parse(opts, &f);

	if (r != 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	engine_base_init(&m->e, &mem_ops);
	m->e.limits.body_buffered = SIZE_MAX;
	m->faults = f;
	m->rnd = f.seed;
	if (f.one_group)
		engine_one_group(&m->e);
	map_init(&m->rows, false);
	m->e.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (m->e.fd < 0) {
		r = -errno;
		free(m);
		return r;
	}
	*ret_e = &m->e;
	return 0;
}
