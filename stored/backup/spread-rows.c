#include "stored/backup/spread.h"
#include "stored/salvage/sync.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	COMMIT_ROWS = 4000,
	COMMIT_BYTES = 4 << 20,
	PAGE_BYTES = 64 << 20,
	READ_BYTES = 256 << 10,
	KEY_BYTES = 400
};

/* ---- reading ---- */

struct scan {
	struct waiting w; /* first: see sync_done() */
	struct spread_page *page;
};

void spread_page_fini(struct spread_page *p)
{
	buf_fini(&p->bytes);
	free(p->rows);
	*p = (struct spread_page){ 0 };
}

static int page_put(struct spread_page *p, const struct engine_row *rows, size_t n)
{
	size_t at = 0;

	buf_reset(&p->bytes);
	if (n > p->cap) {
		free(p->rows);
		p->rows = calloc(n, sizeof(*p->rows));
		p->cap = p->rows != NULL ? n : 0;
	}
	p->n = n;
	for (size_t i = 0; i < n && p->rows != NULL; i++) {
		buf_put(&p->bytes, rows[i].key);
		buf_put(&p->bytes, rows[i].val);
	}
	if (p->cap < n || p->bytes.overflow)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		p->rows[i] = rows[i];
		p->rows[i].key.p = p->bytes.p + at;
		at += rows[i].key.n;
		p->rows[i].val.p = p->bytes.p + at;
		at += rows[i].val.n;
	}
	return 0;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct scan *s = arg;

	s->w.answered = true;
	s->w.rc = rc;
	s->page->more = more && n > 0;
	if (rc == ENGINE_OK)
		s->w.rc = page_put(s->page, rows, n);
}

int spread_scan(struct engine *e, struct engine_group *g, struct slice from, struct slice to,
    struct spread_page *ret_p)
{
	struct scan s = { .page = ret_p };

	ret_p->bytes.max = PAGE_BYTES;
	engine_scan(g, from, to, 0, on_rows, &s);
	return sync_wait(e, &s.w);
}

/* ---- the copy under way ---- */

struct copying_rows {
	const struct spread_group *g;
	struct engine_group *from, *to;
	struct engine_batch *batch;
	size_t n, bytes;
	/* Of the batch: bodies that are new in that shard. */
	struct {
		struct engine_loc from;
		struct engine_body *body;
	} bodies[SPREAD_BODIES_MAX];
	size_t n_bodies;
	struct spread_page page;
};

static int commit(struct copying_rows *c)
{
	struct spread *s = c->g->s;
	int rc = c->batch != NULL ? sync_commit(s->to, &c->batch) : 0;

	for (size_t i = 0; i < c->n_bodies; i++) {
		struct engine_loc to;

		if (rc == 0)
			rc = sync_rc(engine_body_loc_in(c->bodies[i].body, c->to, &to));
		if (rc == 0)
			rc = locmap_add(&s->locs, &c->bodies[i].from, c->g->to, &to);
		engine_body_free(&c->bodies[i].body);
	}
	s->bytes[c->g->to] += c->bytes;
	c->n = c->bytes = c->n_bodies = 0;
	return rc;
}

/* ---- bodies ---- */

struct reading {
	struct waiting w;
	uint8_t bytes[READ_BYTES];
	size_t n;
};

static void on_data(void *arg, int rc, struct slice data)
{
	struct reading *r = arg;

	r->w.answered = true;
	r->w.rc = rc;
	r->n = data.n;
	assert(data.n <= sizeof(r->bytes));
	if (rc == ENGINE_OK)
		memcpy(r->bytes, data.p, data.n);
}

/* Positive: an answer of the engine, about this body. */
static int body_read(
    struct engine *e, const struct engine_loc *loc, uint64_t off, struct reading *r)
{
	int rc;

	engine_body_read(e, loc, off, sizeof(r->bytes), on_data, r);
	rc = sync_wait(e, &r->w);
	return rc != 0 && (r->w.rc == ENGINE_CORRUPT || r->w.rc == ENGINE_NOTFOUND) ? r->w.rc : rc;
}

static int body_append(
    struct engine *e, struct engine_body *b, struct slice bytes, struct waiting *room)
{
	int rc;

	while ((rc = engine_body_append(b, bytes)) == ENGINE_AGAIN)
		if ((rc = sync_wait(e, room)) != 0)
			return rc;
	return sync_rc(rc);
}

/* 0: *ret_b is ready for batches; positive: it cannot be read. */
static int body_copy(
    struct copying_rows *c, const struct engine_loc *loc, struct engine_body **ret_b)
{
	static struct reading r;
	struct spread *s = c->g->s;
	uint64_t of = engine_loc_bytes(loc);
	struct waiting room = { 0 }, ready = { 0 };
	struct engine_body *b = engine_body_begin(s->to, of, sync_done, &room);
	int rc = b == NULL ? -ENOMEM : 0;

	if (b != NULL)
		engine_body_near(b, c->to);
	if (b != NULL && engine_loc_packed(loc))
		engine_body_pack(b);
	for (uint64_t off = 0; rc == 0 && off < of; off += r.n) {
		rc = body_read(s->from, loc, off, &r);
		if (rc == 0 && r.n == 0)
			rc = ENGINE_CORRUPT;
		if (rc == 0)
			rc = body_append(s->to, b, slice_of(r.bytes, r.n), &room);
	}
	if (rc == 0) {
		rc = engine_body_end(b, sync_done, &ready);
		rc = rc == ENGINE_AGAIN ? sync_wait(s->to, &ready) : sync_rc(rc);
	}
	if (rc != 0)
		engine_body_free(&b);
	else
		*ret_b = b;
	return rc;
}

static struct engine_body *body_of_batch(const struct copying_rows *c, const struct engine_loc *loc)
{
	for (size_t i = 0; i < c->n_bodies; i++)
		if (memcmp(&c->bodies[i].from, loc, sizeof(*loc)) == 0)
			return c->bodies[i].body;
	return NULL;
}

/* A row that refers to a body; positive: that cannot be read. */
static int ref_put(struct copying_rows *c, const struct engine_row *row)
{
	const struct engine_loc *known = locmap_get(&c->g->s->locs, &row->loc, c->g->to);
	struct engine_body *b = known == NULL ? body_of_batch(c, &row->loc) : NULL;
	int rc = 0;

	if (known != NULL)
		return sync_rc(engine_put_ref(c->batch, row->key, row->val, known));
	if (b == NULL) {
		rc = body_copy(c, &row->loc, &b);
		if (rc != 0)
			return rc;
		c->bodies[c->n_bodies].from = row->loc;
		c->bodies[c->n_bodies++].body = b;
		c->bytes += engine_loc_stored(&row->loc);
	}
	return sync_rc(engine_put_body(c->batch, row->key, row->val, b));
}

/* ---- rows ---- */

static int batch_new(struct copying_rows *c)
{
	if (c->batch == NULL)
		c->batch = engine_batch_new(c->to);
	return c->batch != NULL ? 0 : -ENOMEM;
}

/* What the message's row says is needed when its bytes are not: what was written so far is durable
 * first, for the header to be looked at. Of a row for views nobody is left. */
static int lose(struct copying_rows *c, const struct engine_row *row)
{
	struct msg_rec rec;
	uint32_t uid;
	int rc = 0;

	if (key_get_u32(row->key, REC_MSG, &uid) != 0 || msg_unpack(row->val, &rec) != 0)
		return 0;
	rc = commit(c);
	return rc == 0 ? spread_leave_out(c->g, c->to, uid, &rec) : rc;
}

static int row_put(struct copying_rows *c, const struct engine_row *row)
{
	int rc = batch_new(c);

	if (rc == 0 && row->has_loc)
		rc = ref_put(c, row);
	else if (rc == 0)
		rc = sync_rc(engine_put(c->batch, row->key, row->val));
	if (rc > 0)
		return lose(c, row);
	c->bytes += row->key.n + row->val.n;
	c->n++;
	if (rc == 0 &&
	    (c->n >= COMMIT_ROWS || c->bytes >= COMMIT_BYTES || c->n_bodies == SPREAD_BODIES_MAX))
		rc = commit(c);
	return rc;
}

static int rows_copy(struct copying_rows *c)
{
	struct spread *s = c->g->s;
	uint8_t last[KEY_BYTES + 1];
	struct slice from = SLICE_NONE;
	int rc;

	do {
		rc = spread_scan(s->from, c->from, from, SLICE_NONE, &c->page);
		for (size_t i = 0; rc == 0 && i < c->page.n; i++)
			if (c->g->row == NULL || c->g->row(c->g->arg, &c->page.rows[i]))
				rc = row_put(c, &c->page.rows[i]);
		if (rc == 0 && c->page.more) {
			struct slice key = c->page.rows[c->page.n - 1].key;

			if (key.n >= sizeof(last))
				return -EUCLEAN;
			memcpy(last, key.p, key.n);
			last[key.n] = 0;
			from = slice_of(last, key.n + 1);
		}
	} while (rc == 0 && c->page.more);
	return rc == 0 ? commit(c) : rc;
}

int spread_rows(const struct spread_group *g)
{
	static struct copying_rows c;
	int rc;

	c = (struct copying_rows){ .g = g };
	rc = sync_group_in(g->s->from, g->from, g->id, &c.from);
	if (rc == 0)
		rc = sync_group_in(g->s->to, g->to, g->id, &c.to);
	if (rc == 0)
		rc = rows_copy(&c);
	engine_batch_free(&c.batch);
	for (size_t i = 0; i < c.n_bodies; i++)
		engine_body_free(&c.bodies[i].body);
	if (c.from != NULL)
		engine_group_close(&c.from);
	if (c.to != NULL)
		engine_group_close(&c.to);
	spread_page_fini(&c.page);
	return rc;
}
