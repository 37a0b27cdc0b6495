/* One pass of compaction: what lives in the files that are to go is put into the log again; then
 * they go.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/log.h"
#include "common/base/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- one job ---- */

void move_reset(struct move *m, enum move_kind kind)
{
	for (unsigned i = 0; i < m->n_bodies; i++)
		free(m->bodies[i].p);
	m->kind = kind;
	m->n_rows = m->n_bodies = 0;
	m->body_bytes = m->out_need = 0;
}

static bool move_room(const struct move *m)
{
	return m->n_rows < MOVE_ROWS_MAX && m->out_need < MOVE_OUT_BYTES &&
	       m->body_bytes < MOVE_BODY_BYTES;
}

/* Into the job, once. 0, or why it has to stay where it is. */
static int body_take(struct store *s, struct move *m, const struct loc_parts *p, int *ret_body)
{
	struct move_body *b;
	int r;

	for (unsigned i = 0; i < m->n_bodies; i++)
		if (m->bodies[i].from.file == p->file && m->bodies[i].from.off == p->off &&
		    m->bodies[i].from.size == p->size) {
			*ret_body = (int)i;
			return 0;
		}
	b = &m->bodies[m->n_bodies];
	*b = (struct move_body){ .from = *p, .span = body_span(p) };
	b->p = malloc(b->span + 1);
	r = b->p == NULL ? -ENOMEM : body_copy(s, p, b->p);
	if (r != 0) {
		free(b->p);
		return r;
	}
	m->body_bytes += b->span;
	*ret_body = (int)m->n_bodies++;
	return 0;
}

/* A row whose body goes elsewhere, or all of them. */
static int row_take(
    struct store *s, struct move *m, const struct row_copy *row, struct slice header)
{
	struct move_row out = { .how = MOVE_SAME, .key = row->key, .val = row->val, .body = -1 };
	struct engine_row r;
	struct loc_parts p;
	int rc = 0;

	if (!row_decode(row->val, &r))
		return ENGINE_CORRUPT;
	if (r.has_loc) {
		loc_decode(&r.loc, &p);
		out.moved = moving_resolve(&s->moving, &p);
		if (out.moved)
			loc_encode(&p, &out.to);
		/* Where a cycle that was broken off took it may be about to go, too. */
		if (p.kind == LOC_FILE)
			moving_keep(&s->moving, p.kind, p.file);
		else if (moving_is_victim(&s->moving, p.kind, p.file))
			rc = body_take(s, m, &p, &out.body);
	}
	if (rc == ENGINE_CORRUPT || rc == ENGINE_NOTFOUND || rc == ENGINE_IO) {
		/* It stays, and what holds it: the only copy of something damaged. */
		log_ev(LOG_ERR, "engine.body", kv_u("seg", p.file), kv_u("off", p.off));
		moving_keep(&s->moving, p.kind, p.file);
		rc = 0;
	}
	if (rc != 0 || (!m->advance && !out.moved && out.body < 0))
		return rc;
	out.header = header;
	m->rows[m->n_rows++] = out;
	m->out_need += row->key.n + row->val.n + 64;
	return 0;
}

static int job_do(struct store *s)
{
	struct compactor *k = &s->compactor;
	struct move *m = k->move;
	int r;

	if (m->n_rows == 0)
		return 0;
	r = move_submit(s, m);
	if (r != 0)
		return r;
	pthread_mutex_lock(&k->lock);
	k->moved_rows += m->n_rows;
	k->moved_bytes += m->body_bytes;
	k->chore_done += m->body_bytes + m->out_need;
	pthread_mutex_unlock(&k->lock);
	/* What is left of the disk is the users'. */
	if (compact_room(s) == 0)
		return ENGINE_FULL;
	return compact_give_way(s, m->body_bytes + m->out_need) ? 0 : ENGINE_CANCELLED;
}

/* All of the chunk, in jobs. ENGINE_AGAIN: it must be read again, from its row *i on. */
static int chunk_do(struct store *s, size_t *i)
{
	struct row_chunk *c = s->compactor.chunk;
	struct move *m = s->compactor.move;
	struct slice header = c->header;
	size_t first;
	int r = 0;

	while (*i < c->n && r == 0) {
		move_reset(m, MOVE_ROWS);
		m->freezes = c->freezes;
		for (first = *i; *i < c->n && move_room(m) && r == 0; (*i)++) {
			const struct row_copy *row = &c->rows[*i];

			if (row->key.n == 1 + (size_t)row->key.p[0])
				header = row->val;
			r = row_take(s, m, row, header);
		}
		if (r == 0 && (r = job_do(s)) == ENGINE_AGAIN)
			*i = first;
	}
	return r;
}

static int walk(struct store *s)
{
	struct row_chunk *c = s->compactor.chunk;
	struct slice from = SLICE_NONE;
	int r;

	for (;;) {
		size_t i = 0;

		if ((r = rows_chunk(s, s->compactor.reader, from, c)) != 0)
			return r;
		r = chunk_do(s, &i);
		if (r == ENGINE_AGAIN)
			from = row_chunk_at(c, i);
		else if (r != 0 || !c->more)
			return r;
		else
			from = row_chunk_next(c);
		if (!compact_rest(s, c->bytes / 8))
			return ENGINE_CANCELLED;
	}
}

/* Rows that came to refer to a victim behind our back. */
static int walk_late(struct store *s)
{
	struct compactor *k = &s->compactor;
	struct buf late = moving_take_late(&s->moving);
	struct wire_reader w = wire_reader(buf_slice(&late));
	int r = 0;

	while (r == 0 && wire_left(&w) > 0) {
		struct slice key = wire_get_raw(&w, wire_get_u16(&w));

		do {
			move_reset(k->move, MOVE_ROWS);
			r = rows_chunk(s, k->reader, key, k->chunk);
			if (r != 0 || k->chunk->n == 0 || !slice_eq(k->chunk->rows[0].key, key))
				break;
			k->move->freezes = k->chunk->freezes;
			r = row_take(s, k->move, &k->chunk->rows[0], k->chunk->header);
			if (r == 0)
				r = job_do(s);
		} while (r == ENGINE_AGAIN);
	}
	buf_fini(&late);
	return r;
}

/* ---- the end of a cycle ---- */

struct fence {
	struct engine_done d;
	struct store *s;
};

/* The owner has heard of every move, and lets go of the files. */
static void fence_run(struct engine *e, struct engine_done *d)
{
	struct compactor *k = &((struct fence *)d)->s->compactor;

	bodies_let_go(((struct fence *)d)->s);
	free(d);
	pthread_mutex_lock(&k->lock);
	k->fences_passed++;
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
}

static int fence(struct store *s)
{
	struct compactor *k = &s->compactor;
	struct fence *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	f->d.run = fence_run;
	f->s = s;
	k->fences_asked++;
	store_answer(&s->e, &f->d);
	pthread_mutex_lock(&k->lock);
	while (k->fences_passed < k->fences_asked && !k->stop)
		pthread_cond_wait(&k->wake, &k->lock);
	pthread_mutex_unlock(&k->lock);
	return k->stop ? ENGINE_CANCELLED : 0;
}

/* The rows that said the files are ours. And no number comes back. */
static int files_disown(struct store *s, const struct victim *v, size_t n)
{
	struct move *m = s->compactor.move;
	uint8_t keys[MOVE_ROWS_MAX][10], counter[1 + 8] = { 0 };
	static const uint8_t counter_key[2] = { SYS_PREFIX, 'n' };
	int r = 0;

	for (size_t i = 0; i < n && r == 0;) {
		move_reset(m, MOVE_ROWS);
		wire_store_u64(counter + 1, s->next_file);
		m->rows[m->n_rows++] = (struct move_row){ .how = MOVE_SET,
			.key = slice_of(counter_key, 2),
			.val = slice_of(counter, sizeof(counter)),
			.body = -1 };
		for (; i < n && m->n_rows < MOVE_ROWS_MAX; i++) {
			uint8_t *key = keys[m->n_rows];

			if (v[i].kind != LOC_FILE || v[i].keep)
				continue;
			key[0] = SYS_PREFIX;
			key[1] = 'f';
			wire_store_u64be(key + 2, v[i].no);
			m->rows[m->n_rows++] = (struct move_row){
				.how = MOVE_DEL, .key = slice_of(key, 10), .body = -1
			};
		}
		if (m->n_rows == 1)
			continue;
		do {
			m->freezes = rows_freezes(s);
			r = move_submit(s, m);
		} while (r == ENGINE_AGAIN);
	}
	return r;
}

/* When everything was read last: a row of the engine's own. */
int compact_note_scrub(struct store *s, int64_t at_s)
{
	struct move *m = s->compactor.move;
	static const uint8_t key[2] = { SYS_PREFIX, 's' };
	uint8_t val[1 + 8] = { 0 };
	int r;

	wire_store_u64(val + 1, (uint64_t)at_s);
	move_reset(m, MOVE_ROWS);
	m->rows[m->n_rows++] = (struct move_row){ .how = MOVE_SET,
		.key = slice_of(key, 2),
		.val = slice_of(val, sizeof(val)),
		.body = -1 };
	do {
		m->freezes = rows_freezes(s);
		r = move_submit(s, m);
	} while (r == ENGINE_AGAIN);
	if (r == 0)
		s->scrubbed_s = at_s;
	return r;
}

static void files_remove(struct store *s, const struct victim *v, size_t n)
{
	struct compactor *k = &s->compactor;

	for (size_t i = 0; i < n; i++) {
		char name[32];

		if (v[i].keep)
			continue;
		log_name_of(v[i].kind, v[i].no, name);
		if (engine_sys.unlinkat(s->dir_fd, name, 0) != 0) {
			store_rc("compact", errno); /* leftovers_remove() tries again */
			continue;
		}
		pthread_mutex_lock(&k->lock);
		k->dropped_files++;
		pthread_mutex_unlock(&k->lock);
	}
}

/* Files that an earlier cycle emptied and could not remove. */
static void leftovers_remove(struct store *s)
{
	struct containers *c = &s->compactor.files;
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct container *f = &c->v[i];
		char name[32];

		log_name_of(f->kind, f->no, name);
		if (f->live == 0 && moving_is_gone(&s->moving, f->kind, f->no) &&
		    engine_sys.unlinkat(s->dir_fd, name, 0) == 0)
			free(f->seen);
		else
			c->v[kept++] = *f;
	}
	c->n = kept;
}

/* ---- a cycle ---- */

static int cycle_end(struct store *s)
{
	struct move *m = s->compactor.move;
	int r;

	do {
		r = walk_late(s);
		move_reset(m, MOVE_END);
		if (r == 0)
			r = move_submit(s, m);
	} while (r == ENGINE_AGAIN);
	return r;
}

int compact_cycle(struct store *s)
{
	struct compactor *k = &s->compactor;
	struct move *m = k->move;
	size_t n = 0, at = 0;
	struct victim *v;
	int r;

	leftovers_remove(s);
	r = choose_victims(s, &n);
	if (r != 0 || n == 0)
		return r;
	v = calloc(n, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < k->files.n; i++)
		if (k->files.v[i].victim)
			v[at++] = (struct victim){ k->files.v[i].kind, k->files.v[i].no, false };
	move_reset(m, MOVE_BEGIN);
	m->advance = true;
	m->victims = v;
	m->n_victims = n;
	r = move_submit(s, m);
	if (r == 0)
		r = walk(s);
	if (r == 0)
		r = cycle_end(s);
	if (r != 0)
		moving_abort(&s->moving);
	/* The next start must not look for what is removed. */
	if (r == 0)
		r = checkpoint_past(s, m->begin_seg);
	if (r == 0)
		r = fence(s);
	if (r == 0)
		r = files_disown(s, v, n);
	if (r == 0)
		files_remove(s, v, n);
	free(v);
	return r;
}
