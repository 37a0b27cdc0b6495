/* What lives: walks all rows and notes which bodies they refer to. Bodies that several rows share
 * count once. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	GRANULE = 512,
	SLOT = FRAME_ALIGN, /* where a body may begin */
	PAGE_BYTES = 512,   /* a bit for each slot of so many bytes of the segment: */
	PAGE_SPAN = PAGE_BYTES * 8 * SLOT,
	OP_HEAD = 7,
	BATCH_HEAD = 5 + 24,
	WALK_SHARE = 8,          /* a byte that is read costs so much less rest than one written */
	LIVE_PERCENT_GOAL = 106, /* files after a compaction, of what lives */
	WORTH_BYTES = 64 << 10,
	HASTE = 8, /* times faster, while the larger part of the files is dead */
};

void containers_fini(struct containers *c)
{
	for (size_t i = 0; i < c->n; i++) {
		for (uint64_t k = 0; c->v[i].small != NULL && k <= c->v[i].bytes / PAGE_SPAN; k++)
			free(c->v[i].small[k]);
		free(c->v[i].small);
		free(c->v[i].seen);
	}
	free(c->v);
	*c = (struct containers){ 0 };
}

static int container_add(struct containers *c, enum loc_kind kind, uint64_t no, uint64_t bytes)
{
	struct container *f;

	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 64 : 2 * c->cap;
		struct container *v = realloc(c->v, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	f = &c->v[c->n];
	*f = (struct container){ .kind = kind, .no = no, .bytes = bytes };
	if (kind == LOC_SEGMENT && (f->seen = calloc(1, bytes / GRANULE / 8 + 1)) == NULL)
		return -ENOMEM;
	c->n++;
	return 0;
}

static int by_kind_and_number(const void *a, const void *b)
{
	const struct container *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->no < y->no ? -1 : x->no > y->no;
}

int containers_list(struct store *s, struct containers *c)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return store_rc("measure", errno);
	}
	while (r == 0 && (de = readdir(d)) != NULL) {
		enum loc_kind kind = de->d_name[0] == 'l' ? LOC_SEGMENT : LOC_FILE;
		struct stat st;
		uint64_t no;

		if (!log_name_number(de->d_name, kind, &no))
			continue;
		if (fstatat(s->dir_fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = container_add(c, kind, no, (uint64_t)st.st_size);
	}
	closedir(d);
	if (c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), by_kind_and_number);
	return r;
}

struct container *container_of_loc(const struct containers *c, enum loc_kind kind, uint64_t no)
{
	struct container key = { .kind = kind, .no = no };

	return c->n == 0 ? NULL : bsearch(&key, c->v, c->n, sizeof(*c->v), by_kind_and_number);
}

/* Was it set? It is now. */
static bool bit_set(uint8_t *bits, uint64_t at)
{
	bool was = (bits[at / 8] >> at % 8 & 1) != 0;

	bits[at / 8] |= (uint8_t)(1u << at % 8);
	return was;
}

/* The page of bits of those that begin in that part of the segment; NULL without memory. */
static uint8_t *small_page(struct container *f, uint64_t off)
{
	uint8_t **at;

	if (f->small == NULL)
		f->small = calloc(f->bytes / PAGE_SPAN + 1, sizeof(*f->small));
	if (f->small == NULL)
		return NULL;
	at = &f->small[off / PAGE_SPAN];
	if (*at == NULL)
		*at = calloc(1, PAGE_BYTES);
	return *at;
}

/* Of two bodies that begin in one granule the first is shorter than that: those have a bit for each
 * place where one may begin. Without memory one is looked at more than once, never not at all. */
static bool seen_before(struct container *f, const struct loc_parts *p)
{
	uint8_t *page;

	if (body_span(p) >= GRANULE)
		return bit_set(f->seen, p->off / GRANULE);
	page = small_page(f, p->off);
	return page != NULL && bit_set(page, p->off % PAGE_SPAN / SLOT);
}

bool container_first(struct container *f, const struct loc_parts *p)
{
	bool first;

	if (p->kind == LOC_FILE) {
		first = f->live == 0;
		f->live = f->bytes;
		return first;
	}
	/* An empty body takes no place: another may begin there. */
	if (p->size == 0 || p->off >= f->bytes || seen_before(f, p))
		return false;
	f->live += body_span(p);
	return true;
}

static void mark_body(struct containers *c, const struct loc_parts *p)
{
	struct container *f = container_of_loc(c, p->kind, p->file);

	if (f == NULL || !container_first(f, p))
		return; /* made since we looked; counted already */
	c->raw_bytes += p->size;
	c->stored_bytes += body_span(p);
}

static int mark_row(struct containers *c, const struct row_copy *row)
{
	size_t prefix_n = 1 + (size_t)row->key.p[0];
	struct engine_row r;
	struct loc_parts p;

	if (row->key.p[0] == SYS_PREFIX && row->key.n == 10 && row->key.p[1] == 'f') {
		struct container *f =
		    container_of_loc(c, LOC_FILE, wire_load_u64be(row->key.p + 2));

		if (f != NULL)
			f->adopted = true;
	}
	c->rows++;
	if (row->key.n == prefix_n)
		c->row_bytes += BATCH_HEAD + prefix_n;
	else
		c->row_bytes += OP_HEAD + row->key.n - prefix_n + row->val.n;
	if (!row_decode(row->val, &r))
		return ENGINE_CORRUPT;
	if (!r.has_loc)
		return 0;
	loc_decode(&r.loc, &p);
	mark_body(c, &p);
	return 0;
}

static void publish(struct store *s, const struct containers *c)
{
	struct compactor *k = &s->compactor;
	uint64_t live = 0, all = 0, segments = 0;
	struct stat st = { 0 };

	(void)fstatat(s->dir_fd, "data.mdb", &st, AT_SYMLINK_NOFOLLOW);

	for (size_t i = 0; i < c->n; i++) {
		live += c->v[i].live;
		all += c->v[i].bytes;
		segments += c->v[i].kind == LOC_SEGMENT;
	}
	pthread_mutex_lock(&k->lock);
	k->measures++;
	k->index_bytes = (uint64_t)st.st_size;
	k->file_bytes = all;
	k->live_bodies_bytes = live;
	k->live_bytes = live + c->row_bytes;
	k->body_raw_bytes = c->raw_bytes;
	k->body_stored_bytes = c->stored_bytes;
	k->rows = c->rows;
	k->segments = segments;
	k->body_files = c->n - segments;
	pthread_mutex_unlock(&k->lock);
}

int measure(struct store *s)
{
	struct compactor *k = &s->compactor;
	struct slice from = SLICE_NONE;
	int r;

	chore_begin(k, ENGINE_CHORE_MEASURE, k->live_bytes - k->live_bodies_bytes);
	containers_fini(&k->files);
	pthread_rwlock_rdlock(&s->rows_lock);
	k->files.open = s->applied.seg + (s->applied.off > SEG_HEAD);
	pthread_rwlock_unlock(&s->rows_lock);
	r = containers_list(s, &k->files);
	while (r == 0) {
		r = rows_chunk(s, k->reader, from, k->chunk);
		for (size_t i = 0; r == 0 && i < k->chunk->n; i++)
			r = mark_row(&k->files, &k->chunk->rows[i]);
		if (r != 0 || !k->chunk->more)
			break;
		from = row_chunk_next(k->chunk);
		chore_step(k, k->chunk->bytes);
		if (!compact_rest(s, k->chunk->bytes / WALK_SHARE))
			r = ENGINE_CANCELLED;
	}
	if (r == 0)
		publish(s, &k->files);
	return r;
}

/* ---- what is to go ---- */

static int by_live_share(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a;
	const struct container *y = *(struct container *const *)b;
	double p = (double)x->live / (double)(x->bytes + 1);
	double q = (double)y->live / (double)(y->bytes + 1);

	return p < q ? -1 : p > q;
}

bool compact_pays(const struct compactor *k, const struct engine_compact_when *when)
{
	uint64_t all = 0, live = k->files.row_bytes, dead;

	for (size_t i = 0; i < k->files.n; i++) {
		all += k->files.v[i].bytes;
		live += k->files.v[i].live;
	}
	dead = all > live ? all - live : 0;
	return dead >= when->dead_bytes && dead >= all / 100 * when->dead_percent;
}

/*
 * The emptiest first, until what is left is hardly more than what lives, or there is no room for
 * more of what lives. Never an empty segment that frames go to: the log may have to begin with it.
 */
static size_t mark_victims(struct store *s, struct container **order, uint64_t room)
{
	struct containers *c = &s->compactor.files;
	uint64_t all = 0, live = c->row_bytes, need = live, goal;
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		order[i] = &c->v[i];
		all += c->v[i].bytes;
		live += c->v[i].live;
	}
	s->compactor.haste = all > 2 * live ? HASTE : 1;
	goal = live / 100 * LIVE_PERCENT_GOAL + WORTH_BYTES;
	if (c->n > 1)
		qsort(order, c->n, sizeof(struct container *), by_live_share);
	for (size_t i = 0; i < c->n && all > goal; i++) {
		struct container *f = order[i];

		/* An upload under way is nobody's yet; what has gone only waits for its unlink. */
		if (f->live >= f->bytes || (f->kind == LOC_FILE && !f->adopted) ||
		    moving_is_gone(&s->moving, f->kind, f->no) ||
		    (f->kind == LOC_SEGMENT && f->no >= c->open))
			continue;
		if (need + f->live > room)
			break;
		need += f->live;
		f->victim = true;
		all -= f->bytes - f->live;
		n++;
	}
	chore_begin(&s->compactor, ENGINE_CHORE_COMPACT, need);
	return n;
}

int choose_victims(struct store *s, size_t *ret_n)
{
	struct containers *c = &s->compactor.files;
	uint64_t room = compact_room(s);
	struct container **order;

	if (c->row_bytes > room)
		return ENGINE_FULL;
	order = calloc(c->n + 1, sizeof(struct container *));
	if (order == NULL)
		return -ENOMEM;
	*ret_n = mark_victims(s, order, room);
	free(order);
	return 0;
}
