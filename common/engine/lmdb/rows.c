/* Reading rows: the overlay, the frozen overlay and LMDB as one ordered map. */
#include "common/engine/lmdb/lmdb-private.h"

#include <errno.h>
#include <stdlib.h>

enum { LOOK_EVERY = 65536 }; /* reads by the owner between two looks at what is in memory */

/* ---- one key ---- */

enum found { FOUND_NOT, FOUND_ROW, FOUND_DELETED };

static enum found map_look(const struct map *m, struct slice key, struct slice *ret_val)
{
	const struct map_node *n;

	if (m == NULL)
		return FOUND_NOT;
	n = map_find(m, key);
	if (n == NULL)
		return map_covering(m, key) != NULL ? FOUND_DELETED : FOUND_NOT;
	*ret_val = map_val(n);
	return n->deleted ? FOUND_DELETED : FOUND_ROW;
}

static enum found overlay_look(const struct store *s, struct slice key, struct slice *ret_val)
{
	enum found f = map_look(s->active, key, ret_val);

	return f != FOUND_NOT ? f : map_look(s->frozen, key, ret_val);
}

static int answer_one(const struct row_range *r, struct slice stored, engine_rows_fn *fn, void *arg)
{
	struct engine_row row;

	if (!row_decode(stored, &row))
		return ENGINE_CORRUPT;
	row.key = slice_from(range_from(r), r->prefix_n);
	fn(arg, 0, &row, 1, false);
	return 0;
}

static int find_one(struct store *s, struct index_reader *ir, const struct row_range *r,
    engine_rows_fn *fn, void *arg)
{
	MDB_val k = { r->from_n, (void *)(uintptr_t)r->from }, v;
	struct slice stored;
	enum found f = overlay_look(s, range_from(r), &stored);
	int e;

	if (f == FOUND_DELETED)
		return ENGINE_NOTFOUND;
	if (f == FOUND_ROW)
		return answer_one(r, stored, fn, arg);
	if (ir == NULL)
		return ENGINE_AGAIN;
	if ((e = index_begin(s, ir)) != 0)
		return e;
	e = mdb_get(ir->txn, s->dbi, &k, &v);
	if (e == 0 && (e = index_row(&k, &v, s, &stored)) == 0)
		e = answer_one(r, stored, fn, arg);
	else if (e != ENGINE_CORRUPT)
		e = e == MDB_NOTFOUND ? ENGINE_NOTFOUND : index_rc(s, "read", e);
	index_end(s, ir);
	return e;
}

/* ---- many: three ordered sources, the newer one wins and hides ---- */

struct merge {
	struct store *s;
	struct index_reader *ir;
	struct slice end;
	const struct map_node *active, *frozen;
	MDB_val k, v;
	bool more; /* LMDB stands at k */
};

/* The row that LMDB stands at, as it was put. */
static int cursor_row(struct merge *m, struct slice *ret_stored)
{
	return index_row(&m->k, &m->v, m->s, ret_stored);
}

static int cursor_move(struct merge *m, MDB_cursor_op op)
{
	struct slice from = slice_of(m->k.mv_data, m->k.mv_size);
	int e = mdb_cursor_get(m->ir->cur, &m->k, &m->v, op), order;

	if (e == 0) {
		/* A page in a wrong place must not make rows come twice, or before their time. */
		order = slice_cmp(slice_of(m->k.mv_data, m->k.mv_size), from);
		if (op == MDB_NEXT ? order <= 0 : order < 0) {
			index_damaged(m->s, "a row is out of order", from);
			return ENGINE_CORRUPT;
		}
	}
	m->more = e == 0 && slice_cmp(slice_of(m->k.mv_data, m->k.mv_size), m->end) < 0;
	return e == 0 || e == MDB_NOTFOUND ? 0 : index_rc(m->s, "read", e);
}

/* Moves LMDB's cursor to the next row that no deleted range hides. */
static int cursor_settle(struct merge *m)
{
	while (m->more) {
		struct slice key = slice_of(m->k.mv_data, m->k.mv_size);
		const struct map_range *r = map_covering(m->s->active, key);
		int e;

		if (r == NULL && m->s->frozen != NULL)
			r = map_covering(m->s->frozen, key);
		if (r == NULL)
			return 0;
		m->k = (MDB_val){ r->to.n, (void *)(uintptr_t)r->to.p };
		if ((e = cursor_move(m, MDB_SET_RANGE)) != 0)
			return e;
	}
	return 0;
}

static const struct map_node *frozen_settle(const struct merge *m, const struct map_node *n)
{
	while (n != NULL && map_covering(m->s->active, map_key(n)) != NULL)
		n = n->next[0];
	return n != NULL && slice_cmp(map_key(n), m->end) < 0 ? n : NULL;
}

static const struct map_node *active_settle(const struct merge *m, const struct map_node *n)
{
	return n != NULL && slice_cmp(map_key(n), m->end) < 0 ? n : NULL;
}

static int merge_begin(struct merge *m, struct slice from)
{
	int e;

	m->active = active_settle(m, map_seek(m->s->active, from));
	m->frozen = m->s->frozen == NULL ? NULL : frozen_settle(m, map_seek(m->s->frozen, from));
	m->k = (MDB_val){ from.n, (void *)(uintptr_t)from.p };
	e = cursor_move(m, MDB_SET_RANGE);
	return e == 0 ? cursor_settle(m) : e;
}

/* The next row in order: 1 and key, value; 0 at the end; negative never. Deleted rows are passed
 * over. */
static int merge_next(struct merge *m, struct slice *ret_key, struct slice *ret_val, int *ret_rc)
{
	for (;;) {
		struct slice key = SLICE_NONE, val = SLICE_NONE;
		bool deleted = false, any = false, indexed = false;

		if (m->more) {
			key = slice_of(m->k.mv_data, m->k.mv_size);
			any = indexed = true;
		}
		if (m->frozen != NULL && (!any || slice_cmp(map_key(m->frozen), key) <= 0)) {
			key = map_key(m->frozen);
			val = map_val(m->frozen);
			deleted = m->frozen->deleted;
			any = true;
			indexed = false;
		}
		if (m->active != NULL && (!any || slice_cmp(map_key(m->active), key) <= 0)) {
			key = map_key(m->active);
			val = map_val(m->active);
			deleted = m->active->deleted;
			any = true;
			indexed = false;
		}
		if (!any ||
		    (indexed && !index_is_meta(key) && (*ret_rc = cursor_row(m, &val)) != 0))
			return 0;
		/* Every source that stands at this key moves on. LMDB's last: its bytes stay put.
		 */
		if (m->active != NULL && slice_eq(map_key(m->active), key))
			m->active = active_settle(m, m->active->next[0]);
		if (m->frozen != NULL && slice_eq(map_key(m->frozen), key))
			m->frozen = frozen_settle(m, m->frozen->next[0]);
		if (m->more && slice_eq(slice_of(m->k.mv_data, m->k.mv_size), key)) {
			if ((*ret_rc = cursor_move(m, MDB_NEXT)) != 0 ||
			    (*ret_rc = cursor_settle(m)) != 0)
				return 0;
		}
		if (deleted)
			continue;
		*ret_key = key;
		*ret_val = val;
		return 1;
	}
}

static int find_many(struct store *s, struct index_reader *ir, const struct row_range *r,
    engine_rows_fn *fn, void *arg)
{
	struct merge m = { .s = s, .ir = ir, .end = range_to(r) };
	struct slice key, stored;
	size_t n = 0, bytes = 0;
	bool more = false;
	int rc = index_begin(s, ir);

	if (rc != 0)
		return rc;
	rc = merge_begin(&m, range_from(r));
	while (rc == 0 && merge_next(&m, &key, &stored, &rc) == 1) {
		more = n == r->limit || (n > 0 && bytes + stored.n > ENGINE_SCAN_BYTES_MAX);
		if (more)
			break;
		if (!row_decode(stored, &ir->rows[n])) {
			rc = ENGINE_CORRUPT;
			break;
		}
		ir->rows[n++].key = slice_from(key, r->prefix_n);
		bytes += key.n + stored.n;
	}
	if (rc == 0)
		fn(arg, 0, ir->rows, n, more);
	index_end(s, ir);
	return rc;
}

int rows_find(struct store *s, struct index_reader *ir, const struct row_range *r,
    engine_rows_fn *fn, void *arg)
{
	int rc;

	pthread_rwlock_rdlock(&s->rows_lock);
	rc = r->exact ? find_one(s, ir, r, fn, arg) : find_many(s, ir, r, fn, arg);
	pthread_rwlock_unlock(&s->rows_lock);
	return rc;
}

/* ---- all of them, in pieces ---- */

enum { CHUNK_ROWS = 256, CHUNK_BYTES = 128 << 10 };

int row_chunk_init(struct row_chunk *c)
{
	c->rows = calloc(CHUNK_ROWS, sizeof(*c->rows));
	c->p = malloc(2 * ENGINE_KEY_ENCODED_MAX + 64 + CHUNK_BYTES + 2 * ENGINE_VALUE_MAX);
	return c->rows == NULL || c->p == NULL ? -ENOMEM : 0;
}

void row_chunk_fini(struct row_chunk *c)
{
	free(c->rows);
	free(c->p);
	c->rows = NULL;
	c->p = NULL;
}

struct slice row_chunk_at(struct row_chunk *c, size_t i)
{
	struct slice key = c->rows[i].key;

	memcpy(c->from, key.p, key.n);
	return slice_of(c->from, key.n);
}

struct slice row_chunk_next(struct row_chunk *c)
{
	struct slice key = row_chunk_at(c, c->n - 1);

	c->from[key.n] = 0;
	return slice_of(c->from, key.n + 1);
}

uint64_t rows_freezes(struct store *s)
{
	uint64_t n;

	pthread_rwlock_rdlock(&s->rows_lock);
	n = s->freezes;
	pthread_rwlock_unlock(&s->rows_lock);
	return n;
}

static struct slice chunk_copy(struct row_chunk *c, struct slice from)
{
	uint8_t *to = c->p + c->bytes;

	if (from.n > 0)
		memcpy(to, from.p, from.n);
	c->bytes += from.n;
	return slice_of(to, from.n);
}

/* The header of the group that `from` lies in. */
static int chunk_header(
    struct store *s, struct index_reader *ir, struct slice from, struct row_chunk *c)
{
	struct slice prefix, stored = SLICE_NONE;
	MDB_val k, v;
	enum found f;
	int e;

	c->header = SLICE_NONE;
	if (from.n == 0 || from.p[0] == SYS_PREFIX)
		return 0;
	prefix = slice_part(from, 0, 1 + (size_t)from.p[0]);
	f = overlay_look(s, prefix, &stored);
	if (f == FOUND_NOT) {
		k = (MDB_val){ prefix.n, (void *)(uintptr_t)prefix.p };
		e = mdb_get(ir->txn, s->dbi, &k, &v);
		if (e != 0)
			return e == MDB_NOTFOUND ? 0 : index_rc(s, "read", e);
		if ((e = index_row(&k, &v, s, &stored)) != 0)
			return e;
	}
	if (f != FOUND_DELETED)
		c->header = chunk_copy(c, slice_part(stored, 0, 1 + HEADER_BYTES));
	return 0;
}

static int chunk_fill(
    struct store *s, struct index_reader *ir, struct slice from, struct row_chunk *c)
{
	static const uint8_t first[2] = { SYS_PREFIX, 'f' }, end = 0xff;
	struct merge m = { .s = s, .ir = ir, .end = slice_of(&end, 1) };
	struct slice key, val;
	int rc = chunk_header(s, ir, from, c);

	if (rc == 0)
		rc = merge_begin(&m, from.n > 0 ? from : slice_of(first, sizeof(first)));
	while (rc == 0 && merge_next(&m, &key, &val, &rc) == 1) {
		c->more = c->n == CHUNK_ROWS || c->bytes > CHUNK_BYTES;
		if (c->more)
			break;
		if (index_is_meta(key))
			continue; /* the index's own, never in the log */
		c->rows[c->n].key = chunk_copy(c, key);
		c->rows[c->n++].val = chunk_copy(c, val);
	}
	return rc;
}

static void rows_warm(struct store *s, struct index_reader *ir, const struct row_range *r);

int rows_chunk(struct store *s, struct index_reader *ir, struct slice from, struct row_chunk *ret_c)
{
	struct row_range warm = { .from_n = from.n, .limit = CHUNK_ROWS };
	int rc;

	if (from.n > 0)
		memcpy(warm.from, from.p, from.n);
	else
		warm.from_n = 1;
	rows_warm(s, ir, &warm);
	ret_c->n = ret_c->bytes = 0;
	ret_c->more = false;
	pthread_rwlock_rdlock(&s->rows_lock);
	rc = index_begin(s, ir);
	if (rc == 0) {
		ret_c->freezes = s->freezes;
		rc = chunk_fill(s, ir, from, ret_c);
		index_end(s, ir);
	}
	pthread_rwlock_unlock(&s->rows_lock);
	return rc;
}

/* ---- now and later ---- */

static void look_soon(struct store *s)
{
	s->reads_since_look = 0;
	pthread_mutex_lock(&s->check_lock);
	s->check_look = true;
	pthread_cond_signal(&s->check_wake);
	pthread_mutex_unlock(&s->check_lock);
}

int rows_now(struct engine *e, const struct row_range *r, engine_rows_fn *fn, void *arg)
{
	struct store *s = (struct store *)e;
	bool warm = s->resident;
	int rc;

	if (s->out)
		return ENGINE_IO;
	if (++s->reads_since_look == LOOK_EVERY || (!warm && s->reads_since_look > 64))
		look_soon(s);
	if (!warm && !r->exact)
		return ENGINE_AGAIN;
	rc = rows_find(s, warm ? s->owner_reader : NULL, r, fn, arg);
	if (rc != ENGINE_AGAIN)
		s->n_reads_now++;
	return rc;
}

/* Touches the pages without the overlay's lock, so that a cold disk holds up this thread only. */
static void rows_warm(struct store *s, struct index_reader *ir, const struct row_range *r)
{
	MDB_val k = { r->from_n, (void *)(uintptr_t)r->from }, v;
	unsigned n = 0;
	int e;

	if (index_begin(s, ir) != 0)
		return;
	e = mdb_cursor_get(ir->cur, &k, &v, MDB_SET_RANGE);
	for (; e == 0 && n < r->limit; n++) {
		for (size_t at = 0; at < v.mv_size; at += 4096)
			(void)((const volatile uint8_t *)v.mv_data)[at];
		e = mdb_cursor_get(ir->cur, &k, &v, MDB_NEXT);
	}
	index_end(s, ir);
}

static void rows_work(struct engine *e, struct pool_job *p, struct index_reader *ir)
{
	struct store *s = (struct store *)e;
	struct read_job *j = (struct read_job *)p;
	int rc;

	rows_warm(s, ir, &j->range);
	rc = rows_find(s, ir, &j->range, read_copy_rows, j);
	if (rc != 0)
		j->rc = rc;
}

/* A body may have moved while its row was on the way here. */
static void rows_work_done(struct engine *e, struct engine_done *d)
{
	struct read_job *j = (struct read_job *)d;

	moving_resolve_rows(&((struct store *)e)->moving, j->rows, j->n_rows);
	j->done_run(e, d);
}

void rows_later(struct engine *e, struct read_job *j)
{
	struct store *s = (struct store *)e;
	int rc = rows_now(e, &j->range, read_copy_rows, j);

	if (rc == ENGINE_AGAIN) {
		s->n_reads_pool++;
		j->p.work = rows_work;
		j->done_run = j->p.d.run;
		j->p.d.run = rows_work_done;
		pool_submit(s, &j->p);
		return;
	}
	if (rc != 0)
		j->rc = rc;
	store_answer(e, &j->p.d);
}
