/* The committer: everything that waits becomes one frame, one flush, one change of the overlay. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	FRAME_COMMITS_MAX = 1024,
	FRAME_BYTES_GOAL = 8 << 20, /* a frame takes no further commit beyond this */
	RECOVER_PAUSE_MS = 500,
};

static void commit_answer(struct store *s, struct commit *c, int rc)
{
	c->rc = rc;
	if (rc != 0)
		commit_failed(c, rc);
	s->n_commits++;
	store_answer(&s->e, &c->d);
}

/* Without a committer everything before this one has been answered. */
void commit_submit(struct engine *e, struct commit *c)
{
	struct store *s = (struct store *)e;
	bool idle;

	c->next = NULL;
	pthread_mutex_lock(&s->commit_lock);
	if (s->commit_over) {
		pthread_mutex_unlock(&s->commit_lock);
		commit_answer(s, c, c->rc != 0 ? c->rc : ENGINE_IO);
		return;
	}
	idle = s->queue == NULL;
	*s->queue_tail = c;
	s->queue_tail = &c->next;
	if (idle)
		pthread_cond_signal(&s->commit_more);
	pthread_mutex_unlock(&s->commit_lock);
}

/* What one frame carries. */
struct group {
	struct commit *c[FRAME_COMMITS_MAX];
	unsigned n;
	struct frame_head h;
	struct engine_batch *sys; /* the engine's own batch: files adopted */
	struct move *move;        /* the compactor's rows, before all others */
	struct moved_note *note;
	bool packs; /* some body that it brings is packed */
	uint8_t head[FRAME_HEAD];
};

/* Bodies count once per frame; b->frame says that this frame has it already. */
static uint64_t commit_bodies(const struct commit *c, uint64_t frame, bool *packs)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < c->b[i]->n_patches; k++) {
			struct engine_body *b = c->b[i]->patches[k].body;

			if (b->placed || b->frame == frame)
				continue;
			b->frame = frame;
			*packs |= b->packed;
			memset(&b->frame_loc, 0, sizeof(b->frame_loc));
			if (b->spill == NULL)
				n += upload_table_at(b) + upload_table_bytes(b);
		}
	return n;
}

static size_t commit_rows(const struct commit *c)
{
	size_t n = 0;

	for (unsigned i = 0; i < c->n; i++)
		n += c->b[i]->n;
	return n;
}

/* Takes what waits, in order, up to a frame's worth; answers what the guard refuses. */
static struct commit *gather(struct store *s, struct commit *list, struct group *g)
{
	uint64_t frame = ++s->attempt;

	g->n = 0;
	g->packs = false;
	g->h = (struct frame_head){ .seq = s->log.pos.seq };
	for (struct commit *next; list != NULL && g->n < FRAME_COMMITS_MAX &&
				  g->h.rows_n + g->h.bodies_n < FRAME_BYTES_GOAL;
	     list = next) {
		int rc = commit_guard(list);

		if (rc == 0)
			rc = moving_check(&s->moving, list, &g->note);
		next = list->next;
		if (rc != 0) {
			commit_answer(s, list, rc);
			continue;
		}
		g->c[g->n++] = list;
		g->h.batches += list->n;
		g->h.rows_n += (uint32_t)commit_rows(list);
		g->h.bodies_n += commit_bodies(list, frame, &g->packs);
	}
	return list;
}

/* ---- bodies get their places ---- */

/* A large body in a file of its own: the frame notes that the file belongs to the store. */
static int adopt_file(struct group *g, struct engine_body *b, struct engine_loc *ret_loc)
{
	struct loc_parts p = upload_parts(b, LOC_FILE, b->spill->no, 0);
	static struct engine_core sys_core = { .prefix_n = 1, .prefix = { SYS_PREFIX } };
	uint8_t key[9] = { 'f' };

	if (g->sys == NULL && (g->sys = batch_alloc(b->e, &sys_core)) == NULL)
		return -ENOMEM;
	wire_store_u64be(key + 1, b->spill->no);
	loc_encode(&p, ret_loc);
	return engine_put(g->sys, slice_of(key, sizeof(key)), SLICE_NONE);
}

static int files_adopt(struct group *g)
{
	int r = 0;

	for (unsigned i = 0; i < g->n; i++)
		for (unsigned j = 0; j < g->c[i]->n; j++)
			for (unsigned k = 0; k < g->c[i]->b[j]->n_patches && r == 0; k++) {
				struct engine_body *b = g->c[i]->b[j]->patches[k].body;

				if (!b->placed && b->spill != NULL && b->frame_loc.b[7] == LOC_NONE)
					r = adopt_file(g, b, &b->frame_loc);
			}
	if (r == 0 && g->sys != NULL) {
		batch_stamp(g->sys);
		g->h.batches++;
		g->h.rows_n += (uint32_t)g->sys->n;
	}
	return r;
}

static int add_body(struct log *l, struct engine_body *b, uint64_t *at)
{
	static const uint8_t zeros[ENGINE_PACK_SPAN_MIN];
	struct loc_parts p = upload_parts(b, LOC_SEGMENT, l->pos.seg, *at);
	uint64_t table_at = upload_table_at(b);
	int r = 0;

	loc_encode(&p, &b->frame_loc);
	for (struct body_chunk *c = b->first; c != NULL && r == 0; c = c->next)
		r = log_add(l, c->data, c->n);
	if (r == 0)
		r = log_add(l, zeros, table_at - b->stored);
	if (r == 0)
		r = log_add(l, b->sums, upload_table_bytes(b));
	*at += table_at + upload_table_bytes(b);
	return r;
}

static int batch_place(struct store *s, struct engine_batch *b, uint64_t *at)
{
	int r = 0;

	for (unsigned k = 0; k < b->n_patches && r == 0; k++) {
		struct engine_body *body = b->patches[k].body;

		if (!body->placed && body->frame_loc.b[7] == LOC_NONE)
			r = add_body(&s->log, body, at);
		if (body->placed && b->p[b->patches[k].at + 7] != LOC_NONE)
			continue; /* put right by moving_check() */
		memcpy(b->p + b->patches[k].at, body->placed ? body->loc.b : body->frame_loc.b,
		    sizeof(body->loc.b));
	}
	return r;
}

static int rows_room(struct store *s, size_t n)
{
	uint8_t *p;

	if (s->rows_cap >= n)
		return 0;
	p = realloc(s->rows_buf, n + n / 2);
	if (p == NULL)
		return -ENOMEM;
	s->rows_buf = p;
	s->rows_cap = n + n / 2;
	return 0;
}

/* Lays the frame out behind pos: header, rows, bodies; and writes it. */
static int frame_write(struct store *s, struct group *g)
{
	uint64_t at = s->log.pos.off + FRAME_HEAD;
	uint8_t *rows;
	size_t n = 0;
	int r = rows_room(s, frame_pad(g->h.rows_n));

	if (r == 0)
		r = log_add(&s->log, s->rows_buf, frame_pad(g->h.rows_n));
	if (r != 0)
		return r;
	rows = s->rows_buf;
	memset(rows + g->h.rows_n, 0, frame_pad(g->h.rows_n) - g->h.rows_n);
	at += frame_pad(g->h.rows_n);
	if (g->move != NULL) {
		if ((r = move_place(&s->log, g->move, &at, &g->note)) != 0)
			return r;
		n = g->move->out_n;
		if (n > 0)
			memcpy(rows, g->move->out, n);
	}
	for (unsigned i = 0; i < g->n; i++)
		for (unsigned j = 0; j < g->c[i]->n; j++) {
			struct engine_batch *b = g->c[i]->b[j];

			if ((r = batch_place(s, b, &at)) != 0)
				return r;
			memcpy(rows + n, b->p, b->n);
			n += b->n;
		}
	if (g->sys != NULL)
		memcpy(rows + n, g->sys->p, g->sys->n);
	assert(at == s->log.pos.off + frame_bytes(&g->h));
	frame_head_encode(&g->h, slice_of(rows, g->h.rows_n), s->log.store_id, g->head);
	s->log.iov[0] = (struct iovec){ g->head, sizeof(g->head) };
	return log_write(&s->log, &g->h);
}

/* ---- durable: show it ---- */

static void apply(struct store *s, struct group *g)
{
	struct slice rows = slice_of(s->rows_buf, g->h.rows_n);
	size_t overlay;
	int r = 0;

	pthread_rwlock_wrlock(&s->rows_lock);
	while (rows.n > 0 && r == 0) {
		size_t n = wire_load_u32(rows.p);

		r = batch_apply(s->active, slice_part(rows, 0, n));
		rows = slice_from(rows, n);
	}
	s->applied = s->log.pos;
	overlay = s->active->bytes;
	pthread_rwlock_unlock(&s->rows_lock);
	if (r != 0) {
		/* Durable but not to be shown: only a new start can put this right. */
		store_rc("overlay", -r);
		abort();
	}
	if (g->move != NULL)
		move_durable(s, g->move);
	for (unsigned i = 0; i < g->n; i++)
		for (unsigned j = 0; j < g->c[i]->n; j++)
			for (unsigned k = 0; k < g->c[i]->b[j]->n_patches; k++) {
				struct engine_body *b = g->c[i]->b[j]->patches[k].body;

				if (!b->placed)
					b->loc = b->frame_loc;
				b->placed = true;
			}
	checkpoint_kick(s, frame_bytes(&g->h), overlay);
}

/* ---- when it goes wrong ---- */

static void recover(struct store *s)
{
	int r;

	s->health = ENGINE_RECOVERING;
	s->recover_at_ms = clock_mono_ms() + RECOVER_PAUSE_MS;
	r = log_reopen(&s->log);
	if (r == ENGINE_CORRUPT || r == ENGINE_NOTFOUND) {
		s->health = ENGINE_BROKEN;
		log_ev(LOG_ERR, "engine.broken", kv_u("seg", s->log.pos.seg));
	} else if (r == 0) {
		s->health = ENGINE_HEALTHY;
		log_ev(LOG_NOTICE, "engine.recovered", kv_u("seg", s->log.pos.seg));
	}
}

/* May a frame be written now? The overlay bounds what waits for a checkpoint. */
static int may_commit(struct store *s)
{
	if (s->health == ENGINE_RECOVERING && clock_mono_ms() >= s->recover_at_ms)
		recover(s);
	if (s->health == ENGINE_RECOVERING || s->health == ENGINE_BROKEN)
		return ENGINE_IO;
	return checkpoint_room(s);
}

static int group_store(struct store *s, struct group *g)
{
	int r = may_commit(s);

	if (r == 0 && g->move != NULL) {
		r = move_prepare(s, g->move, &g->h);
		if (r != 0) {
			/* The compactor's affair, not that of the others. */
			move_finish(s, g->move, r);
			g->move = NULL;
			r = 0;
		}
	}
	if (r == 0)
		r = files_adopt(g);
	if (r == 0 && g->h.batches == 0)
		return 0; /* rows of the compactor that all had changed */
	if (r == 0 && g->packs)
		log_need(&s->log, SEG_VERSION_PACKED);
	/* Who knows no shards would take the accounts of the others for empty ones. */
	if (r == 0 && s->e.whole != NULL && s->e.whole->n_parts > 1)
		log_need(&s->log, SEG_VERSION_SHARDS);
	if (r == 0)
		r = log_begin(&s->log, &g->h);
	if (r != 0)
		return r;
	r = frame_write(s, g);
	if (r == 0) {
		s->n_frames++;
		s->n_user_frames += g->n > 0;
		s->n_syncs++;
		s->n_frame_bytes += frame_bytes(&g->h);
		if (frame_bytes(&g->h) > s->frame_largest)
			s->frame_largest = frame_bytes(&g->h);
		apply(s, g);
		return 0;
	}
	if (r == ENGINE_UNKNOWN) {
		s->n_sync_failures++;
		recover(s);
		return s->health == ENGINE_HEALTHY ? s->log.sync_rc : ENGINE_UNKNOWN;
	}
	/* Part of the frame may be there. It is no whole frame, but the next one needs the place.
	 */
	if (log_cut(&s->log, s->log.pos.off) != 0)
		s->health = ENGINE_RECOVERING;
	return r;
}

static void move_turn(struct store *s, struct move *m)
{
	int r = may_commit(s);

	if (r == 0)
		move_control(s, m);
	else
		move_finish(s, m, r);
}

void *committer_main(void *arg)
{
	struct store *s = arg;
	static _Thread_local struct group g;
	struct commit *list = NULL;
	struct move *move = NULL;
	int rc;

	store_thread_ready(s);
	for (;;) {
		if (list == NULL) {
			pthread_mutex_lock(&s->commit_lock);
			while (s->queue == NULL && s->move == NULL && !s->commit_stop)
				pthread_cond_wait(&s->commit_more, &s->commit_lock);
			list = s->queue;
			s->queue = NULL;
			s->queue_tail = &s->queue;
			move = s->move;
			s->move = NULL;
			s->commit_over = list == NULL && move == NULL;
			pthread_mutex_unlock(&s->commit_lock);
		}
		if (list == NULL && move == NULL)
			return NULL;
		if (move != NULL && move->kind != MOVE_ROWS) {
			move_turn(s, move);
			move = NULL;
			if (list == NULL)
				continue;
		}
		g.move = move;
		list = gather(s, list, &g);
		move = NULL;
		if (g.n == 0 && g.move == NULL) {
			note_free(&g.note);
			continue;
		}
		rc = group_store(s, &g);
		for (unsigned i = 0; i < g.n; i++)
			commit_answer(s, g.c[i], rc);
		if (g.note != NULL && rc == 0)
			store_answer(&s->e, &g.note->d);
		else
			note_free(&g.note);
		g.note = NULL;
		if (g.move != NULL)
			move_finish(s, g.move, rc);
		if (g.sys != NULL)
			g.sys->core = NULL; /* the engine's own: not counted */
		engine_batch_free(&g.sys);
	}
}
