/* What the committer does for the compactor: rows that are still as they were read go into a frame
 * once more, with their bodies where those move; and the turns at which files begin and end to go.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { OP_HEAD = 7, STAMP_BYTES = 24 };

static struct slice row_prefix(struct slice key)
{
	return slice_part(key, 0, 1 + (size_t)key.p[0]);
}

/* All that was committed since the rows were read lies in the active overlay. */
static bool row_unchanged(const struct store *s, const struct move_row *r)
{
	const struct map_node *n = map_find(s->active, r->key);

	if (r->how != MOVE_SAME)
		return true;
	if (n != NULL)
		return !n->deleted && slice_eq(map_val(n), r->val);
	return map_covering(s->active, r->key) == NULL;
}

/* The header of the row's group as it is now; none: the group has gone. */
static struct slice header_now(const struct store *s, const struct move_row *r)
{
	struct slice prefix = row_prefix(r->key);
	const struct map_node *n = map_find(s->active, prefix);

	if (n != NULL)
		return n->deleted ? SLICE_NONE : map_val(n);
	return map_covering(s->active, prefix) != NULL ? SLICE_NONE : r->header;
}

struct encoder {
	struct move *m;
	struct slice prefix; /* of the batch being made */
	size_t begin;
};

static void encoder_end(struct encoder *e)
{
	if (e->prefix.n > 0)
		wire_store_u32(e->m->out + e->begin, (uint32_t)(e->m->out_n - e->begin));
	e->prefix = SLICE_NONE;
}

/* A batch that says of its header what is there already. */
static bool encoder_begin(struct encoder *e, const struct store *s, const struct move_row *r)
{
	struct slice prefix = row_prefix(r->key), h = SLICE_NONE;
	struct move *m = e->m;
	uint8_t *p;

	if (e->prefix.n > 0 && slice_eq(e->prefix, prefix))
		return true;
	encoder_end(e);
	if (prefix.p[0] != SYS_PREFIX) {
		h = header_now(s, r);
		if (h.n != 1 + HEADER_BYTES)
			return false;
	}
	e->prefix = prefix;
	e->begin = m->out_n;
	p = m->out + m->out_n;
	p[4] = (uint8_t)prefix.n;
	memcpy(p + 5, prefix.p, prefix.n);
	if (h.n > 0)
		memcpy(p + 5 + prefix.n, h.p + 1, STAMP_BYTES);
	else
		memset(p + 5 + prefix.n, 0, STAMP_BYTES);
	m->out_n += 5 + prefix.n + STAMP_BYTES;
	m->batches++;
	return true;
}

static void encode_op(struct move *m, unsigned i, size_t prefix_n)
{
	struct move_row *r = &m->rows[i];
	struct slice key = slice_from(r->key, prefix_n);
	struct slice val = r->how == MOVE_DEL ? SLICE_NONE : r->val;
	uint8_t *p = m->out + m->out_n;

	p[0] = r->how == MOVE_DEL ? OP_DEL : OP_PUT;
	p[1] = (uint8_t)key.n;
	p[2] = (uint8_t)(key.n >> 8);
	wire_store_u32(p + 3, (uint32_t)val.n);
	memcpy(p + OP_HEAD, key.p, key.n);
	p += OP_HEAD + key.n;
	if (val.n > 0)
		memcpy(p, val.p, val.n);
	if (r->body >= 0) {
		m->bodies[r->body].used = true;
		m->patches[m->n_patches].at = (size_t)(p + 1 - m->out);
		m->patches[m->n_patches++].row = i;
	} else if (r->moved) {
		memcpy(p + 1, r->to.b, sizeof(r->to.b));
	}
	m->out_n += OP_HEAD + key.n + val.n;
}

/*
 * Makes the job's batches as of now. 0: they go first into the frame of `h`; ENGINE_AGAIN: there
 * was a checkpoint since the rows were read, nobody can tell whether they are still so.
 */
int move_prepare(struct store *s, struct move *m, struct frame_head *h)
{
	struct encoder e = { .m = m };
	int r = moving_reserve(&s->moving, m->n_bodies);

	if (r != 0)
		return r;
	m->out_n = 0;
	m->batches = m->n_patches = 0;
	pthread_rwlock_rdlock(&s->rows_lock);
	if (m->freezes != s->freezes)
		r = ENGINE_AGAIN;
	for (unsigned i = 0; i < m->n_rows && r == 0; i++) {
		struct move_row *row = &m->rows[i];
		size_t prefix_n = row_prefix(row->key).n;

		row->done = false;
		if (!row_unchanged(s, row) || !encoder_begin(&e, s, row))
			continue;
		if (row->key.n > prefix_n)
			encode_op(m, i, prefix_n);
		row->done = true;
	}
	encoder_end(&e);
	pthread_rwlock_unlock(&s->rows_lock);
	if (r != 0)
		return r;
	h->batches += m->batches;
	h->rows_n += (uint32_t)m->out_n;
	for (unsigned i = 0; i < m->n_bodies; i++)
		h->bodies_n += m->bodies[i].used ? m->bodies[i].span : 0;
	return 0;
}

static int row_note(const struct move *m, const struct move_row *r, struct moved_note **note)
{
	struct slice prefix = row_prefix(r->key);
	struct engine_loc from;

	if (!r->done || !r->moved)
		return 0;
	memcpy(from.b, r->val.p + 1, sizeof(from.b));
	return note_add(note, prefix, slice_from(r->key, prefix.n), &from, &r->to);
}

/* The bodies get their places, and the rows say so. */
int move_place(struct log *l, struct move *m, uint64_t *at, struct moved_note **note)
{
	int r = 0;

	for (unsigned i = 0; i < m->n_bodies && r == 0; i++) {
		struct move_body *b = &m->bodies[i];

		if (!b->used)
			continue;
		b->to = b->from;
		b->to.file = l->pos.seg;
		b->to.off = *at;
		*at += b->span;
		r = log_add(l, b->p, b->span);
	}
	for (unsigned i = 0; i < m->n_patches && r == 0; i++) {
		struct move_row *row = &m->rows[m->patches[i].row];

		loc_encode(&m->bodies[row->body].to, &row->to);
		row->moved = true;
		memcpy(m->out + m->patches[i].at, row->to.b, sizeof(row->to.b));
	}
	for (unsigned i = 0; i < m->n_rows && r == 0; i++)
		r = row_note(m, &m->rows[i], note);
	return r;
}

void move_durable(struct store *s, struct move *m)
{
	for (unsigned i = 0; i < m->n_bodies; i++)
		if (m->bodies[i].used)
			moving_add(&s->moving, &m->bodies[i].from, &m->bodies[i].to);
}

/* ---- turns between two frames ---- */

/* Everything before this moment is in segments before the one that comes. */
static int rotate(struct store *s)
{
	int r = log_rotate(&s->log);

	if (r == 0) {
		pthread_rwlock_wrlock(&s->rows_lock);
		s->applied = s->log.pos;
		pthread_rwlock_unlock(&s->rows_lock);
	}
	return r;
}

static int control_begin(struct store *s, struct move *m)
{
	int r = 0;

	if (m->advance && s->log.pos.off > SEG_HEAD)
		r = rotate(s);
	m->begin_seg = s->log.pos.seg;
	for (size_t i = 0; r == 0 && i < m->n_victims; i++)
		assert(m->victims[i].kind != LOC_SEGMENT || m->victims[i].no < m->begin_seg);
	return r == 0 ? moving_begin(&s->moving, m->victims, m->n_victims) : r;
}

static int control_end(struct store *s, struct move *m)
{
	uint32_t before = s->log.replay_from;
	int r = 0;

	pthread_mutex_lock(&s->moving.lock);
	if (s->moving.late.n > 0)
		r = ENGINE_AGAIN;
	pthread_mutex_unlock(&s->moving.lock);
	if (r == 0 && m->advance) {
		s->log.replay_from = m->begin_seg;
		r = rotate(s);
		if (r != 0)
			s->log.replay_from = before;
	}
	return r == 0 ? moving_end(&s->moving) : r;
}

void move_control(struct store *s, struct move *m)
{
	move_finish(s, m, m->kind == MOVE_BEGIN ? control_begin(s, m) : control_end(s, m));
}

void move_finish(struct store *s, struct move *m, int rc)
{
	pthread_mutex_lock(&s->compactor.lock);
	m->rc = rc;
	m->finished = true;
	pthread_cond_broadcast(&s->compactor.wake);
	pthread_mutex_unlock(&s->compactor.lock);
}

int move_submit(struct store *s, struct move *m)
{
	m->finished = false;
	for (unsigned i = 0; i < m->n_bodies; i++)
		m->bodies[i].used = false;
	pthread_mutex_lock(&s->commit_lock);
	assert(s->move == NULL);
	s->move = m;
	pthread_cond_signal(&s->commit_more);
	pthread_mutex_unlock(&s->commit_lock);
	pthread_mutex_lock(&s->compactor.lock);
	while (!m->finished)
		pthread_cond_wait(&s->compactor.wake, &s->compactor.lock);
	pthread_mutex_unlock(&s->compactor.lock);
	return m->rc;
}
