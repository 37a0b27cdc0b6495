/* Reads: key ranges, answers now, and answers later whose rows must be copied. */
#include "common/engine/engine-private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct slice range_from(const struct row_range *r)
{
	return slice_of(r->from, r->from_n);
}

struct slice range_to(const struct row_range *r)
{
	return slice_of(r->to, r->to_n);
}

static size_t key_encode(uint8_t *to, struct slice prefix, struct slice key)
{
	memcpy(to, prefix.p, prefix.n);
	if (key.n > 0)
		memcpy(to + prefix.n, key.p, key.n);
	return prefix.n + key.n;
}

static bool range_get(const struct engine_group *g, struct slice key, struct row_range *ret_r)
{
	struct slice prefix = slice_of(g->core->prefix, g->core->prefix_n);

	if (key.n == 0 || key.n > ENGINE_KEY_MAX)
		return false;
	ret_r->from_n = key_encode(ret_r->from, prefix, key);
	ret_r->prefix_n = prefix.n;
	ret_r->to_n = 0;
	ret_r->limit = 1;
	ret_r->exact = true;
	return true;
}

static bool range_scan(const struct engine_group *g, struct slice from, struct slice to,
    unsigned limit, struct row_range *ret_r)
{
	static const uint8_t first_key = 0; /* behind the header row */
	struct slice prefix = slice_of(g->core->prefix, g->core->prefix_n);

	if (from.n > ENGINE_KEY_MAX || to.n > ENGINE_KEY_MAX)
		return false;
	if (from.n == 0)
		from = slice_of(&first_key, 1);
	ret_r->from_n = key_encode(ret_r->from, prefix, from);
	ret_r->prefix_n = prefix.n;
	if (to.n > 0)
		ret_r->to_n = key_encode(ret_r->to, prefix, to);
	else
		ret_r->to_n = key_range_end(ret_r->to, prefix);
	ret_r->limit = limit == 0 || limit > ENGINE_SCAN_ROWS_MAX ? ENGINE_SCAN_ROWS_MAX : limit;
	ret_r->exact = false;
	return true;
}

/* The callback runs under the engine's locks: one that reads again would wait for itself, some day.
 */
static int read_now(struct engine *e, const struct row_range *r, engine_rows_fn *fn, void *arg)
{
	int rc;

	assert(!e->in_now);
	e->in_now = true;
	rc = e->ops->rows_now(e, r, fn, arg);
	e->in_now = false;
	return rc;
}

int engine_get_now(struct engine_group *g, struct slice key, engine_rows_fn *row, void *arg)
{
	struct row_range r;

	if (!range_get(g, key, &r))
		return ENGINE_NOTFOUND;
	return read_now(g->e, &r, row, arg);
}

int engine_scan_now(struct engine_group *g, struct slice from, struct slice to, unsigned limit,
    engine_rows_fn *rows, void *arg)
{
	struct row_range r;

	if (!range_scan(g, from, to, limit, &r))
		return ENGINE_TOOBIG;
	return read_now(g->e, &r, rows, arg);
}

static uint8_t *copy_room(struct read_job *j, size_t n)
{
	uint8_t *p;

	if (j->copy_cap < n) {
		p = realloc(j->copy, n);
		if (p == NULL)
			return NULL;
		j->copy = p;
		j->copy_cap = n;
	}
	return j->copy;
}

void read_copy_rows(void *job, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct read_job *j = job;
	size_t bytes = 0;
	uint8_t *p;

	for (size_t i = 0; i < n; i++)
		bytes += rows[i].key.n + rows[i].val.n;
	p = copy_room(j, bytes + 1);
	j->rows = malloc((n + 1) * sizeof(*rows));
	if (p == NULL || j->rows == NULL) {
		j->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		j->rows[i] = rows[i];
		j->rows[i].key = slice_of(memcpy(p, rows[i].key.p, rows[i].key.n), rows[i].key.n);
		p += rows[i].key.n;
		if (rows[i].val.n > 0)
			memcpy(p, rows[i].val.p, rows[i].val.n);
		j->rows[i].val = slice_of(p, rows[i].val.n);
		p += rows[i].val.n;
	}
	j->n_rows = n;
	j->more = more;
	j->rc = rc;
}

void read_done_run(struct engine *e, struct engine_done *d)
{
	struct read_job *j = (struct read_job *)d;

	if (e->closing)
		;
	else if (j->rows_done != NULL)
		j->rows_done(j->arg, j->rc, j->rows, j->n_rows, j->more);
	else
		j->data_done(j->arg, j->rc, slice_of(j->copy, j->rc == 0 ? j->copy_n : 0));
	free(j->rows);
	free(j->copy);
	free(j);
}

static struct read_job *job_new(struct engine *e, void *arg)
{
	struct read_job *j = calloc(1, sizeof(*j));

	assert(j != NULL && !e->in_now);
	j->p.d.run = read_done_run;
	j->arg = arg;
	return j;
}

void engine_get(struct engine_group *g, struct slice key, engine_rows_fn *done, void *arg)
{
	struct read_job *j = job_new(g->e, arg);

	assert(key.n > 0 && key.n <= ENGINE_KEY_MAX);
	j->rows_done = done;
	range_get(g, key, &j->range);
	g->e->ops->rows(g->e, j);
}

void engine_peek(
    struct engine *e, struct slice group_id, struct slice key, engine_rows_fn *done, void *arg)
{
	struct engine_core core = { .prefix_n = (uint8_t)(1 + group_id.n),
		.prefix = { (uint8_t)group_id.n } };
	struct engine_group g = { .e = engine_part(e, 0), .core = &core };

	assert(group_id.n > 0 && group_id.n <= ENGINE_GROUP_ID_MAX);
	memcpy(core.prefix + 1, group_id.p, group_id.n);
	engine_get(&g, key, done, arg);
}

void engine_scan(struct engine_group *g, struct slice from, struct slice to, unsigned limit,
    engine_rows_fn *done, void *arg)
{
	struct read_job *j = job_new(g->e, arg);

	assert(from.n <= ENGINE_KEY_MAX && to.n <= ENGINE_KEY_MAX);
	j->rows_done = done;
	range_scan(g, from, to, limit, &j->range);
	g->e->ops->rows(g->e, j);
}

/* A place that is of no shard of ours is refused by the first. */
static struct engine *part_of(struct engine *e, const struct engine_loc *loc)
{
	struct loc_parts p;

	if (e->parts == NULL)
		return e;
	loc_decode(loc, &p);
	return engine_part(e, p.shard);
}

void engine_body_read(struct engine *e, const struct engine_loc *loc, uint64_t off, size_t len,
    engine_data_fn *done, void *arg)
{
	struct read_job *j;

	e = part_of(e, loc);
	j = job_new(e, arg);
	j->data_done = done;
	j->loc = *loc;
	j->off = off;
	j->len = len > ENGINE_BODY_READ_MAX ? ENGINE_BODY_READ_MAX : len;
	e->ops->body(e, j);
}

int engine_body_read_now(struct engine *e, const struct engine_loc *loc, uint64_t off, void *buf,
    size_t len, size_t *ret_n)
{
	if (len > ENGINE_BODY_READ_MAX)
		len = ENGINE_BODY_READ_MAX;
	e = part_of(e, loc);
	return e->ops->body_now(e, loc, off, buf, len, ret_n);
}
