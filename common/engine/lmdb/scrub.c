/*
 * Reads everything that is there against its checksums: the frames of the log, then every row and
 * the body it refers to, each body once. Nothing is changed; what is damaged is told.
 *
 * It may take days, so whatever else is asked of this thread is done in between, after any segment,
 * any row and any piece of a long body: the files may then be others, and rows that were read
 * before are stale.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	BAD_MAX = 65536, /* damaged bodies of which every row is named */
	BODY_LATER =
	    ENGINE_BUSY + 1, /* something else is to be done before the rest of this body */
	/* Users who wait for the disk go first for so long, and yet it gets on; they are looked for
	 * as often as so much was read, be it one long body or many short ones. */
	READERS_FIRST_MS = 100,
	READERS_LOOK_MS = 2,
	READERS_STEP = ENGINE_BODY_READ_MAX,
};

struct scrub {
	struct store *s;
	struct compact_request *q;
	struct log_pos end;                       /* of the log, when it was looked at */
	uint32_t log_from;                        /* older segments only keep bodies */
	uint64_t alone;                           /* bytes read since users were looked for */
	struct containers files;                  /* when it began */
	uint8_t from[ENGINE_KEY_ENCODED_MAX + 1]; /* the row to go on with */
	/* the file that was read last */
	int fd;
	enum loc_kind kind;
	uint64_t no;
	/* a long body of which the rest is to be read: up to part_off; 0: none */
	struct loc_parts part_of;
	uint64_t part_off;
	/* damaged bodies, by their place: other rows may refer to them, too */
	struct loc_parts *bad;
	size_t n_bad, cap_bad;
	uint8_t *buf;
	size_t buf_cap;
};

/* ---- telling ---- */

struct found {
	struct engine_done d;
	engine_damage_fn *fn;
	void *arg;
	struct engine_damage damage;
	uint8_t text[];
};

static void found_run(struct engine *e, struct engine_done *d)
{
	struct found *f = (struct found *)d;

	if (!e->closing && f->fn != NULL)
		f->fn(f->arg, &f->damage);
	free(f);
}

static void tell(
    struct scrub *x, enum engine_damage_kind kind, struct slice key, uint64_t no, uint64_t off)
{
	struct compactor *k = &x->s->compactor;
	struct found *f = calloc(1, sizeof(*f) + key.n);
	size_t prefix_n = key.n > 0 ? 1 + (size_t)key.p[0] : 0;

	pthread_mutex_lock(&k->lock);
	k->damaged_bodies += kind == ENGINE_DAMAGED_BODY;
	k->damaged_rows += kind == ENGINE_DAMAGED_ROW;
	k->damaged_frames += kind == ENGINE_DAMAGED_LOG;
	pthread_mutex_unlock(&k->lock);
	log_ev(LOG_ERR, "engine.damage",
	    kv_s("what", kind == ENGINE_DAMAGED_BODY  ? "body"
			 : kind == ENGINE_DAMAGED_ROW ? "row"
						      : "log"),
	    kv_u("seg", no), kv_u("off", off));
	if (f == NULL)
		return;
	if (key.n > 0)
		memcpy(f->text, key.p, key.n);
	if (prefix_n > key.n)
		prefix_n = key.n;
	f->d.run = found_run;
	f->fn = x->q->found;
	f->arg = x->q->arg;
	f->damage = (struct engine_damage){ .kind = kind, .no = no, .off = off };
	if (prefix_n > 1)
		f->damage.group = slice_of(f->text + 1, prefix_n - 1);
	f->damage.key = slice_of(f->text + prefix_n, key.n - prefix_n);
	store_answer(&x->s->e, &f->d);
}

/* Cold reads of users are waited for before the next piece. */
static void readers_first(struct store *s)
{
	const struct timespec pause = { 0, READERS_LOOK_MS * 1000000 };
	bool wait = true;

	for (int ms = 0; wait && ms < READERS_FIRST_MS && !s->compactor.stop;
	     ms += READERS_LOOK_MS) {
		pthread_mutex_lock(&s->pool_lock);
		wait = s->jobs != NULL || s->n_working > 0;
		pthread_mutex_unlock(&s->pool_lock);
		if (wait)
			nanosleep(&pause, NULL);
	}
}

static bool scrub_step(struct scrub *x, uint64_t bytes)
{
	struct compactor *k = &x->s->compactor;

	pthread_mutex_lock(&k->lock);
	k->chore_done += bytes;
	k->scrub_bytes += bytes;
	pthread_mutex_unlock(&k->lock);
	x->alone += bytes;
	if (x->alone >= READERS_STEP) {
		x->alone = 0;
		readers_first(x->s);
	}
	return scrub_rest(x->s, bytes);
}

/* ---- files ---- */

static uint8_t *room(struct scrub *x, size_t n)
{
	uint8_t *p;

	if (x->buf_cap >= n)
		return x->buf;
	p = realloc(x->buf, n);
	if (p == NULL)
		return NULL;
	x->buf = p;
	x->buf_cap = n;
	return p;
}

/* x->fd is the file's. 0, ENGINE_NOTFOUND, or ENGINE_IO. */
static int file_open(struct scrub *x, enum loc_kind kind, uint64_t no)
{
	char name[32];

	if (x->fd >= 0 && x->kind == kind && x->no == no)
		return 0;
	fd_close(&x->fd);
	log_name_of(kind, no, name);
	x->fd = openat(x->s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	x->kind = kind;
	x->no = no;
	if (x->fd < 0)
		return errno == ENOENT ? ENGINE_NOTFOUND : store_rc("scrub", errno);
	return 0;
}

/* So many bytes, or what there is: how many; or -errno. */
static ssize_t read_at(int fd, uint8_t *p, size_t n, uint64_t off)
{
	size_t at = 0;

	while (at < n) {
		ssize_t r = pread(fd, p + at, n - at, (off_t)(off + at));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		at += (size_t)r;
	}
	return (ssize_t)at;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* ---- the log ---- */

enum frame_rc { FRAME_GOOD, FRAME_END, FRAME_BAD };

/* The frame at `off`, and how long it is. */
static enum frame_rc frame_look(struct scrub *x, uint64_t off, uint64_t end, uint64_t *ret_n)
{
	uint8_t head[FRAME_HEAD], *rows;
	struct frame_head h;
	ssize_t n = read_at(x->fd, head, sizeof(head), off);
	size_t rows_n;

	if (n == 0 || off == end)
		return FRAME_END;
	if (n != FRAME_HEAD)
		return n > 0 && all_zero(head, (size_t)n) ? FRAME_END : FRAME_BAD;
	if (all_zero(head, sizeof(head)))
		return FRAME_END; /* written ahead; the frames before it say nothing of it */
	if (!frame_head_decode(head, &h) || frame_bytes(&h) > end - off)
		return FRAME_BAD;
	rows_n = h.rows_n;
	rows = room(x, rows_n + 1);
	if (rows == NULL || read_at(x->fd, rows, rows_n, off + FRAME_HEAD) != (ssize_t)rows_n ||
	    !frame_check(head, slice_of(rows, rows_n), x->s->log.store_id))
		return FRAME_BAD;
	*ret_n = frame_bytes(&h);
	return FRAME_GOOD;
}

/* What was written ahead of the frames. */
static bool zero_tail(struct scrub *x, uint64_t off, uint64_t end)
{
	enum { PIECE = 64 << 10 };
	uint8_t *p = room(x, PIECE);
	ssize_t n = 1;

	for (; p != NULL && off < end && n > 0; off += (uint64_t)n) {
		n = read_at(x->fd, p, PIECE, off);
		if (n > 0 && !all_zero(p, (size_t)n))
			return false;
	}
	return true;
}

/* The rest of a damaged segment is not looked at: there is nothing in it to go by. */
static int scrub_segment(struct scrub *x, const struct container *f)
{
	uint64_t end = f->no == x->end.seg ? x->end.off : f->bytes, off = SEG_HEAD, n = 0;
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	enum frame_rc r = FRAME_BAD;
	int rc = file_open(x, LOC_SEGMENT, f->no);

	if (rc != 0)
		return rc;
	if (read_at(x->fd, head, SEG_HEAD, 0) != SEG_HEAD || seg_head_decode(head, &h) != SEG_OK ||
	    h.no != f->no) {
		tell(x, ENGINE_DAMAGED_LOG, SLICE_NONE, f->no, 0);
		return 0;
	}
	if (f->no < x->log_from)
		return 0;
	while ((r = frame_look(x, off, end, &n)) == FRAME_GOOD) {
		off += n;
		if (!scrub_step(x, x->buf_cap < n ? x->buf_cap : n))
			return ENGINE_CANCELLED;
	}
	if (r == FRAME_BAD || (f->no == x->end.seg ? off < end : !zero_tail(x, off, end)))
		tell(x, ENGINE_DAMAGED_LOG, SLICE_NONE, f->no, off);
	return 0;
}

/* Where the log begins: what the head of its newest segment says. */
static void log_bounds(struct scrub *x)
{
	uint8_t head[SEG_HEAD];
	struct seg_head h;

	pthread_rwlock_rdlock(&x->s->rows_lock);
	x->end = x->s->applied;
	pthread_rwlock_unlock(&x->s->rows_lock);
	if (file_open(x, LOC_SEGMENT, x->end.seg) == 0 &&
	    read_at(x->fd, head, SEG_HEAD, 0) == SEG_HEAD && seg_head_decode(head, &h) == SEG_OK)
		x->log_from = (uint32_t)h.replay_from;
}

static int scrub_log(struct scrub *x)
{
	const struct containers *c = &x->files;
	int r = 0;

	for (size_t i = 0; i < c->n && r == 0; i++) {
		if (c->v[i].kind != LOC_SEGMENT || c->v[i].no > x->end.seg)
			continue;
		r = scrub_segment(x, &c->v[i]);
		if (r == ENGINE_NOTFOUND) /* compaction has removed it */
			r = 0;
		(void)compactor_do_others(x->s);
	}
	return r;
}

/* ---- rows and bodies ---- */

static bool same_place(const struct loc_parts *a, const struct loc_parts *b)
{
	return a->kind == b->kind && a->file == b->file && a->off == b->off;
}

static bool known_bad(const struct scrub *x, const struct loc_parts *p)
{
	for (size_t i = 0; i < x->n_bad; i++)
		if (same_place(&x->bad[i], p))
			return true;
	return false;
}

static int bad_add(struct scrub *x, const struct loc_parts *p)
{
	if (x->n_bad == x->cap_bad) {
		size_t cap = x->cap_bad == 0 ? 64 : 2 * x->cap_bad;
		struct loc_parts *v = cap > BAD_MAX ? NULL : realloc(x->bad, cap * sizeof(*v));

		if (v == NULL)
			return cap > BAD_MAX ? 0 : -ENOMEM;
		x->bad = v;
		x->cap_bad = cap;
	}
	x->bad[x->n_bad++] = *p;
	return 0;
}

/* Of what the body takes on the disk, the share of its first `off` bytes. */
static uint64_t share(const struct loc_parts *p, uint64_t off)
{
	return off >= p->size ? body_span(p) : (uint64_t)body_span(p) * off / p->size;
}

/* Its pieces from `off` on, each at its pace: 0, BODY_LATER, or what is wrong. */
static int body_look(struct scrub *x, const struct loc_parts *p, uint64_t off)
{
	struct compactor *k = &x->s->compactor;
	bool others = false;

	while (off < p->size && !others) {
		uint64_t next = off + ENGINE_BODY_READ_MAX;
		struct span sp;
		uint8_t *buf;
		int r = span_of(p, off, ENGINE_BODY_READ_MAX, &sp);

		if (r != 0)
			return r;
		buf = room(x, sp.n + span_rest(p, &sp) + 1);
		r = buf == NULL ? -ENOMEM : span_read(x->fd, p, &sp, buf, buf + sp.n, 0);
		if (r != 0)
			return r;
		if (!scrub_step(x, share(p, next) - share(p, off)))
			return ENGINE_CANCELLED;
		off = next;
		pthread_mutex_lock(&k->lock);
		others = compactor_others(k);
		pthread_mutex_unlock(&k->lock);
	}
	if (off >= p->size)
		return 0;
	x->part_of = *p;
	x->part_off = off;
	return BODY_LATER;
}

static int scrub_body(struct scrub *x, struct slice key, const struct loc_parts *p)
{
	uint64_t from = same_place(&x->part_of, p) ? x->part_off : 0;
	struct container *f = container_of_loc(&x->files, p->kind, p->file);
	int r = 0;

	if (p->size == 0)
		return 0;
	/* Made since we looked: its turn comes with the next scrub. */
	if (f == NULL && (p->kind == LOC_FILE || p->file > x->end.seg))
		return 0;
	/* One that compaction has moved was checked by it. */
	x->part_off = 0;
	if (f != NULL && from == 0 && !container_first(f, p)) {
		if (known_bad(x, p))
			tell(x, ENGINE_DAMAGED_BODY, key, p->file, p->off);
		return 0;
	}
	r = f == NULL ? ENGINE_NOTFOUND : file_open(x, p->kind, p->file);
	if (r == 0)
		r = body_look(x, p, from);
	if (r == ENGINE_CORRUPT || r == ENGINE_NOTFOUND || r == ENGINE_IO) {
		tell(x, ENGINE_DAMAGED_BODY, key, p->file, p->off);
		r = bad_add(x, p);
	}
	return r;
}

static int scrub_row(struct scrub *x, const struct row_copy *row)
{
	struct engine_row r;
	struct loc_parts p;

	if (!row_decode(row->val, &r)) {
		tell(x, ENGINE_DAMAGED_ROW, row->key, 0, 0);
		return 0;
	}
	if (!r.has_loc)
		return 0;
	loc_decode(&r.loc, &p);
	return scrub_body(x, row->key, &p);
}

/* Of the chunk, until something else has to be done: how many rows. */
static int scrub_chunk(struct scrub *x, size_t *ret_n)
{
	struct compactor *k = &x->s->compactor;
	bool others = false;
	size_t i = 0;
	int r = 0;

	while (r == 0 && i < k->chunk->n && !others) {
		r = scrub_row(x, &k->chunk->rows[i]);
		i += r != BODY_LATER; /* else the same row again */
		pthread_mutex_lock(&k->lock);
		others = compactor_others(k);
		pthread_mutex_unlock(&k->lock);
	}
	*ret_n = i;
	return r == BODY_LATER ? 0 : r;
}

static int scrub_rows(struct scrub *x)
{
	struct compactor *k = &x->s->compactor;
	struct slice from = SLICE_NONE, next;
	size_t n;
	int r;

	for (;;) {
		r = rows_chunk(x->s, k->reader, from, k->chunk);
		/* The index is made anew by the next start, which index_damaged() has asked for. */
		if (r == ENGINE_CORRUPT)
			tell(x, ENGINE_DAMAGED_ROW, SLICE_NONE, 0, 0);
		if (r == 0)
			r = scrub_chunk(x, &n);
		if (r != 0 || (n == k->chunk->n && !k->chunk->more))
			return r;
		next = n < k->chunk->n ? row_chunk_at(k->chunk, n) : row_chunk_next(k->chunk);
		memcpy(x->from, next.p, next.n);
		from = slice_of(x->from, next.n);
		if (n == k->chunk->n && !scrub_step(x, k->chunk->bytes))
			return ENGINE_CANCELLED;
		(void)compactor_do_others(x->s);
	}
}

int scrub(struct store *s, struct compact_request *q)
{
	struct compactor *k = &s->compactor;
	struct scrub x = { .s = s, .q = q, .fd = -1 };
	uint64_t total = 0;
	int r;

	pthread_mutex_lock(&k->lock);
	k->scrub_bytes = k->damaged_bodies = k->damaged_rows = k->damaged_frames = 0;
	pthread_mutex_unlock(&k->lock);
	log_bounds(&x);
	r = containers_list(s, &x.files);
	for (size_t i = 0; i < x.files.n; i++)
		total += x.files.v[i].bytes;
	chore_begin(k, ENGINE_CHORE_SCRUB, total);
	if (r == 0)
		r = scrub_log(&x);
	if (r == 0)
		r = scrub_rows(&x);
	if (r == 0)
		r = compact_note_scrub(s, clock_wall_s());
	pthread_mutex_lock(&k->lock);
	k->scrubs += r == 0;
	pthread_mutex_unlock(&k->lock);
	fd_close(&x.fd);
	containers_fini(&x.files);
	free(x.bad);
	free(x.buf);
	return r;
}
