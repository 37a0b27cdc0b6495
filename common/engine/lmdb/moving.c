#include "common/engine/lmdb/moving.h"

#include "common/base/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { NOTE_BYTES_MAX = 64 << 20, LATE_BYTES_MAX = 256 << 20, TABLE_FIRST = 1024 };

/* ---- notes ---- */

int note_add(struct moved_note **note, struct slice prefix, struct slice key,
    const struct engine_loc *from, const struct engine_loc *to)
{
	struct moved_note *n = *note;

	if (n == NULL) {
		n = calloc(1, sizeof(*n));
		if (n == NULL)
			return -ENOMEM;
		n->d.run = note_run;
		n->b = BUF_INIT(NOTE_BYTES_MAX);
		*note = n;
	}
	wire_put_u8(&n->b, (uint8_t)prefix.n);
	buf_put(&n->b, prefix);
	wire_put_u16(&n->b, (uint16_t)key.n);
	buf_put(&n->b, key);
	buf_put(&n->b, slice_of(from->b, sizeof(from->b)));
	buf_put(&n->b, slice_of(to->b, sizeof(to->b)));
	return n->b.overflow ? -ENOMEM : 0;
}

void note_free(struct moved_note **note)
{
	if (*note != NULL)
		buf_fini(&(*note)->b);
	free(*note);
	*note = NULL;
}

void note_run(struct engine *e, struct engine_done *d)
{
	struct moved_note *n = (struct moved_note *)d;
	struct wire_reader r = wire_reader(buf_slice(&n->b));

	while (wire_left(&r) > 0 && !e->closing) {
		struct slice prefix = wire_get_raw(&r, wire_get_u8(&r));
		struct slice key = wire_get_raw(&r, wire_get_u16(&r));
		struct engine_loc from, to;

		memcpy(from.b, wire_get_raw(&r, sizeof(from.b)).p, sizeof(from.b));
		memcpy(to.b, wire_get_raw(&r, sizeof(to.b)).p, sizeof(to.b));
		engine_tell_moved(e, prefix, key, &from, &to);
	}
	note_free(&n);
}

/* ---- from place to place ---- */

/* Behind an empty body begins the next one at the same place, a multiple of 8: they differ in bit
 * 0. */
static uint64_t place(const struct loc_parts *p)
{
	return p->file << 32 | p->off | (p->size == 0);
}

/* The slot of this place, or the free one where it belongs. */
static uint64_t *slot(const struct moved_table *t, uint64_t at)
{
	size_t i = (at * 0x9e3779b97f4a7c15u >> 20) & (t->cap - 1);

	while (t->slots[2 * i] != 0 && t->slots[2 * i] != at)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[2 * i];
}

static int table_reserve(struct moved_table *t, size_t n)
{
	struct moved_table bigger = { .cap = t->cap == 0 ? TABLE_FIRST : t->cap };

	while (2 * (t->n + n) > bigger.cap)
		bigger.cap *= 2;
	if (bigger.cap == t->cap)
		return 0;
	bigger.slots = calloc(bigger.cap, 2 * sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++)
		if (t->slots[2 * i] != 0)
			memcpy(slot(&bigger, t->slots[2 * i]), &t->slots[2 * i],
			    2 * sizeof(*bigger.slots));
	bigger.n = t->n;
	free(t->slots);
	*t = bigger;
	return 0;
}

static bool table_step(const struct moved_table *t, struct loc_parts *p)
{
	const uint64_t *at;

	if (t->n == 0)
		return false;
	at = slot(t, place(p));
	if (at[0] == 0)
		return false;
	p->file = at[1] >> 32;
	p->off = at[1] & (UINT32_MAX - 1);
	return true;
}

static bool resolve(const struct moving *m, struct loc_parts *p)
{
	bool any = false;

	if (p->kind != LOC_SEGMENT)
		return false;
	/* A body moves at most once in a cycle. */
	any |= table_step(&m->moved_before, p);
	any |= table_step(&m->moved, p);
	return any;
}

static struct victim *find(struct victim *list, size_t n, enum loc_kind kind, uint64_t no)
{
	for (size_t lo = 0; lo < n;) {
		size_t mid = lo + (n - lo) / 2;
		struct victim *v = &list[mid];

		if (v->kind == kind && v->no == no)
			return v;
		if (v->kind < kind || (v->kind == kind && v->no < no))
			lo = mid + 1;
		else
			n = mid;
	}
	return NULL;
}

static struct victim *victim_of(const struct moving *m, enum loc_kind kind, uint64_t no)
{
	return find(m->victims, m->n_victims, kind, no);
}

static bool is_gone(const struct moving *m, enum loc_kind kind, uint64_t no)
{
	return find(m->gone, m->n_gone, kind, no) != NULL;
}

static int by_kind_and_number(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->no < y->no ? -1 : x->no > y->no;
}

void moving_init(struct moving *m)
{
	*m = (struct moving){ .late = BUF_INIT(LATE_BYTES_MAX) };
	pthread_mutex_init(&m->lock, NULL);
}

void moving_fini(struct moving *m)
{
	free(m->moved.slots);
	free(m->moved_before.slots);
	free(m->gone);
	buf_fini(&m->late);
}

bool moving_resolve(struct moving *m, struct loc_parts *p)
{
	bool r;

	if (!m->any)
		return false;
	pthread_mutex_lock(&m->lock);
	r = resolve(m, p);
	pthread_mutex_unlock(&m->lock);
	return r;
}

bool moving_is_gone(struct moving *m, enum loc_kind kind, uint64_t no)
{
	bool r;

	if (!m->any)
		return false;
	pthread_mutex_lock(&m->lock);
	r = is_gone(m, kind, no);
	pthread_mutex_unlock(&m->lock);
	return r;
}

void moving_resolve_rows(struct moving *m, struct engine_row *rows, size_t n)
{
	struct loc_parts p;

	for (size_t i = 0; i < n && m->any; i++) {
		if (!rows[i].has_loc)
			continue;
		loc_decode(&rows[i].loc, &p);
		if (moving_resolve(m, &p))
			loc_encode(&p, &rows[i].loc);
	}
}

bool moving_is_victim(struct moving *m, enum loc_kind kind, uint64_t no)
{
	bool r;

	pthread_mutex_lock(&m->lock);
	r = victim_of(m, kind, no) != NULL;
	pthread_mutex_unlock(&m->lock);
	return r;
}

void moving_keep(struct moving *m, enum loc_kind kind, uint64_t no)
{
	struct victim *v;

	pthread_mutex_lock(&m->lock);
	v = victim_of(m, kind, no);
	if (v != NULL)
		v->keep = true;
	pthread_mutex_unlock(&m->lock);
}

struct buf moving_take_late(struct moving *m)
{
	struct buf late;

	pthread_mutex_lock(&m->lock);
	late = m->late;
	m->late = BUF_INIT(LATE_BYTES_MAX);
	pthread_mutex_unlock(&m->lock);
	return late;
}

void moving_abort(struct moving *m)
{
	struct buf late = moving_take_late(m);

	pthread_mutex_lock(&m->lock);
	m->victims = NULL;
	m->n_victims = 0;
	pthread_mutex_unlock(&m->lock);
	buf_fini(&late);
}

/* ---- the committer's ---- */

static int late_add(struct moving *m, struct slice prefix, struct slice key)
{
	wire_put_u16(&m->late, (uint16_t)(prefix.n + key.n));
	buf_put(&m->late, prefix);
	buf_put(&m->late, key);
	return m->late.overflow ? -ENOMEM : 0;
}

static int check_op(
    struct moving *m, struct slice prefix, const struct batch_op *op, struct moved_note **note)
{
	uint8_t *at = (uint8_t *)(uintptr_t)op->val.p + 1;
	struct engine_loc was, now;
	struct loc_parts p;
	struct victim *v;
	int r = 0;

	memcpy(was.b, at, sizeof(was.b));
	loc_decode(&was, &p);
	if (resolve(m, &p)) {
		loc_encode(&p, &now);
		memcpy(at, now.b, sizeof(now.b));
		r = note_add(note, prefix, op->key, &was, &now);
	}
	if (r == 0 && is_gone(m, p.kind, p.file))
		return ENGINE_NOTFOUND;
	v = r == 0 ? victim_of(m, p.kind, p.file) : NULL;
	if (v == NULL)
		return r;
	if (p.kind == LOC_SEGMENT)
		return late_add(m, prefix, op->key);
	v->keep = true;
	return 0;
}

/* A body that an earlier commit placed is a reference like any other. */
static bool fill_placed(struct engine_batch *b)
{
	bool any = false;

	for (unsigned k = 0; k < b->n_patches; k++)
		if (b->patches[k].body->placed) {
			memcpy(b->p + b->patches[k].at, b->patches[k].body->loc.b,
			    sizeof(b->patches[k].body->loc.b));
			any = true;
		}
	return any;
}

static int check_batch(struct moving *m, struct engine_batch *b, struct moved_note **note)
{
	struct slice all = slice_of(b->p, b->n);
	struct batch_reader br;
	struct batch_op op;
	int r = 0;

	if (!fill_placed(b) && !b->has_refs)
		return 0;
	if (!batch_read_begin(&all, &br))
		return -EINVAL;
	while (r == 0 && batch_read_op(&br, &op) > 0)
		if (op.kind == OP_PUT && op.val.p[0] == 1)
			r = check_op(m, br.prefix, &op, note);
	return r;
}

int moving_check(struct moving *m, struct commit *c, struct moved_note **note)
{
	int r = 0;

	if (!m->any)
		return 0;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < c->n && r == 0; i++)
		r = check_batch(m, c->b[i], note);
	pthread_mutex_unlock(&m->lock);
	return r;
}

int moving_begin(struct moving *m, struct victim *victims, size_t n)
{
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (m->cap_gone < m->n_gone + n) {
		struct victim *p = realloc(m->gone, (m->n_gone + n) * sizeof(*p));

		if (p == NULL)
			r = -ENOMEM;
		else
			m->gone = p;
		m->cap_gone = r == 0 ? m->n_gone + n : m->cap_gone;
	}
	if (r == 0) {
		free(m->moved_before.slots);
		m->moved_before = m->moved;
		m->moved = (struct moved_table){ 0 };
		m->victims = victims;
		m->n_victims = n;
		m->any = true;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

int moving_end(struct moving *m)
{
	int r;

	pthread_mutex_lock(&m->lock);
	r = m->late.n > 0 ? ENGINE_AGAIN : 0;
	for (size_t i = 0; r == 0 && i < m->n_victims; i++)
		if (!m->victims[i].keep)
			m->gone[m->n_gone++] = m->victims[i];
	if (r == 0) {
		if (m->n_gone > 1)
			qsort(m->gone, m->n_gone, sizeof(*m->gone), by_kind_and_number);
		m->victims = NULL;
		m->n_victims = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

int moving_reserve(struct moving *m, size_t n)
{
	int r;

	pthread_mutex_lock(&m->lock);
	r = table_reserve(&m->moved, n);
	pthread_mutex_unlock(&m->lock);
	return r;
}

void moving_add(struct moving *m, const struct loc_parts *from, const struct loc_parts *to)
{
	uint64_t *at;

	pthread_mutex_lock(&m->lock);
	at = slot(&m->moved, place(from));
	assert(at[0] == 0);
	at[0] = place(from);
	at[1] = place(to);
	m->moved.n++;
	pthread_mutex_unlock(&m->lock);
}
