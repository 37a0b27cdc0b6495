/* Reading bodies: whole chunks, checked, from the page cache if they are there. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	FILES_MAX = 256, /* descriptors kept open for reading */
	/* the chunks that an unaligned read touches */
	SPAN_MAX = ENGINE_BODY_READ_MAX + 2 * ENGINE_BODY_CHUNK,
};

/* ---- open files ---- */

static int file_fd(struct store *s, const struct loc_parts *p)
{
	char name[32];
	int fd;

	if (p->kind == LOC_SEGMENT)
		return log_segment_open(s->dir_fd, p->file, O_RDONLY);
	log_body_name(p->file, name);
	fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Closes the one that was used longest ago and is not being read. */
static void files_trim(struct store *s)
{
	struct body_file **at, **victim = NULL, *f;

	if (s->n_files < FILES_MAX)
		return;
	for (at = &s->files; *at != NULL; at = &(*at)->next)
		if ((*at)->refs == 0)
			victim = at;
	if (victim == NULL)
		return;
	f = *victim;
	*victim = f->next;
	close(f->fd);
	free(f);
	s->n_files--;
}

static int file_get(struct store *s, const struct loc_parts *p, struct body_file **ret_f)
{
	struct body_file **at, *f;
	int fd;

	for (at = &s->files; (f = *at) != NULL; at = &f->next)
		if (f->no == p->file && f->kind == p->kind) {
			*at = f->next;
			goto front;
		}
	files_trim(s);
	if (moving_is_gone(&s->moving, p->kind, p->file))
		return ENGINE_NOTFOUND;
	fd = file_fd(s, p);
	if (fd < 0)
		return fd == -ENOENT ? ENGINE_NOTFOUND : store_rc("body", -fd);
	f = malloc(sizeof(*f));
	if (f == NULL) {
		close(fd);
		return -ENOMEM;
	}
	*f = (struct body_file){ .kind = p->kind, .no = p->file, .fd = fd };
	s->n_files++;
front:
	f->next = s->files;
	s->files = f;
	*ret_f = f;
	return 0;
}

/* Of a body that may have moved: *p is where it is now. */
static int file_get_moved(struct store *s, struct loc_parts *p, struct body_file **ret_f)
{
	int r = file_get(s, p, ret_f);

	if (r == ENGINE_NOTFOUND && moving_resolve(&s->moving, p))
		r = file_get(s, p, ret_f);
	return r;
}

static void file_drop(struct store *s, struct body_file *f)
{
	struct body_file **at = &s->files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	close(f->fd);
	free(f);
	s->n_files--;
}

void bodies_let_go(struct store *s)
{
	struct body_file *next;

	for (struct body_file *f = s->files; f != NULL; f = next) {
		next = f->next;
		if (!moving_is_gone(&s->moving, f->kind, f->no))
			continue;
		f->gone = true;
		if (f->refs == 0)
			file_drop(s, f);
	}
}

void bodies_close(struct store *s)
{
	struct body_file *f;

	while ((f = s->files) != NULL) {
		s->files = f->next;
		close(f->fd);
		free(f);
	}
}

/* ---- reading ---- */

/* The tables of most bodies fit into the owner's scratch; for others it grows. */
static uint8_t *scratch_room(struct store *s, size_t n)
{
	if (s->body_scratch_n < n) {
		uint8_t *p = realloc(s->body_scratch, n < SPAN_MAX ? SPAN_MAX : n);

		if (p == NULL)
			return NULL;
		s->body_scratch = p;
		s->body_scratch_n = n < SPAN_MAX ? SPAN_MAX : n;
	}
	return s->body_scratch;
}

int body_now(struct engine *e, const struct engine_loc *loc, uint64_t off, void *buf, size_t len,
    size_t *ret_n)
{
	struct store *s = (struct store *)e;
	struct body_file *f;
	struct loc_parts p;
	struct span sp;
	uint8_t *to = buf, *rest = NULL;
	size_t inside, n;
	int r;

	if (s->out)
		return ENGINE_IO;
	loc_decode(loc, &p);
	if ((r = span_of(&p, off, len, &sp)) != 0)
		return r;
	if (p.packed && sp.n > ENGINE_UNPACK_NOW)
		return ENGINE_AGAIN; /* others would wait while it is opened here */
	if ((r = file_get_moved(s, &p, &f)) != 0 || (r = span_of(&p, off, len, &sp)) != 0)
		return r;
	inside = sp.skip != 0 || sp.n > len ? sp.n : 0; /* read whole, and a part of it wanted */
	n = inside + span_rest(&p, &sp);
	if (n > 0 && (rest = scratch_room(s, n)) == NULL)
		return -ENOMEM;
	if (inside > 0) {
		to = rest;
		rest += inside;
	}
	r = span_read(f->fd, &p, &sp, to, rest, RWF_NOWAIT);
	if (r != 0)
		return r;
	if (to != buf && sp.want > 0)
		memcpy(buf, to + sp.skip, sp.want);
	*ret_n = sp.want;
	s->n_reads_now++;
	return 0;
}

static void body_work(struct engine *e, struct pool_job *pj, struct index_reader *ir)
{
	struct read_job *j = (struct read_job *)pj;
	struct loc_parts p;
	struct span sp;

	loc_decode(&j->loc, &p);
	j->rc = span_of(&p, j->off, j->len, &sp);
	if (j->rc != 0)
		return;
	j->copy = malloc(sp.n + span_rest(&p, &sp) + 1);
	if (j->copy == NULL) {
		j->rc = -ENOMEM;
		return;
	}
	j->rc = span_read(j->file->fd, &p, &sp, j->copy, j->copy + sp.n, 0);
	if (j->rc == 0 && sp.skip > 0)
		memmove(j->copy, j->copy + sp.skip, sp.want);
	j->copy_n = sp.want;
}

static void body_work_done(struct engine *e, struct engine_done *d)
{
	struct read_job *j = (struct read_job *)d;

	if (--j->file->refs == 0 && j->file->gone)
		file_drop((struct store *)e, j->file);
	read_done_run(e, d);
}

void body_later(struct engine *e, struct read_job *j)
{
	struct store *s = (struct store *)e;
	struct loc_parts p;

	j->copy = malloc(j->len + 1);
	if (j->copy == NULL)
		j->rc = -ENOMEM;
	else
		j->rc = body_now(e, &j->loc, j->off, j->copy, j->len, &j->copy_n);
	loc_decode(&j->loc, &p);
	if (j->rc == ENGINE_AGAIN)
		j->rc = file_get_moved(s, &p, &j->file);
	else
		goto now;
	if (j->rc != 0)
		goto now;
	loc_encode(&p, &j->loc);
	free(j->copy);
	j->copy = NULL;
	j->file->refs++;
	j->p.work = body_work;
	j->p.d.run = body_work_done;
	s->n_reads_pool++;
	pool_submit(s, &j->p);
	return;
now:
	store_answer(e, &j->p.d);
}

int body_verify_fd(int fd, const struct loc_parts *p)
{
	uint64_t off = 0;
	uint8_t *buf;
	struct span sp;
	int r = span_of(p, off, ENGINE_BODY_READ_MAX, &sp);

	if (r != 0)
		return r;
	buf = malloc(sp.n + span_rest(p, &sp) + 1); /* no later part needs more */
	if (buf == NULL)
		return -ENOMEM;
	do {
		r = span_read(fd, p, &sp, buf, buf + sp.n, 0);
		off += ENGINE_BODY_READ_MAX;
	} while (r == 0 && off < p->size && (r = span_of(p, off, ENGINE_BODY_READ_MAX, &sp)) == 0);
	free(buf);
	return r;
}

/* The chunks as they are stored, and behind those of a packed one nothing but zeros. */
static bool copy_ok(const struct loc_parts *p, struct slice bytes, struct slice table)
{
	struct body_piece last;

	if (p->packed) {
		if (!body_table_ok(p, table) || !body_piece(p, table, body_chunks(p) - 1, &last))
			return false;
		bytes = slice_part(bytes, 0, last.at + last.stored);
	}
	return body_check(p, 0, bytes, table);
}

int body_copy(struct store *s, const struct loc_parts *p, uint8_t *to)
{
	size_t table_n = body_table_bytes(p), table_at, end = p->size;
	int fd, r;

	if (!body_place_ok(p))
		return ENGINE_NOTFOUND;
	table_at = body_span(p) - table_n;
	fd = file_fd(s, p);
	if (fd < 0)
		return fd == -ENOENT ? ENGINE_NOTFOUND : store_rc("body", -fd);
	if (p->packed)
		end = table_at;
	r = read_flags(fd, to, end, p->off, 0);
	memset(to + end, 0, table_at - end);
	if (r == 0 && table_n > 0)
		r = read_flags(fd, to + table_at, table_n, p->off + table_at, 0);
	close(fd);
	return r == 0 && !copy_ok(p, slice_of(to, end), slice_of(to + table_at, table_n))
		   ? ENGINE_CORRUPT
		   : r;
}

/* ---- files of uploads that no frame adopted ---- */

/* A number that was given to a file once does not come back when the file has gone. */
static void counter_read(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	if (n == 1 && rows[0].val.n == 8)
		*(uint64_t *)arg = wire_load_u64(rows[0].val.p);
}

static void file_adopted(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	*(bool *)arg = n == 1;
}

/* Runs at open, when rows can be read. Who has it open again, or opens it for somebody who has had
 * it open, removes nothing: there are uploads that do not belong to any row yet. */
int bodies_sweep(struct store *s)
{
	uint64_t was = s->next_file;
	bool may_remove = was == 0 && s->conf.how != ENGINE_ANEW;
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct row_range counter = { .from = { SYS_PREFIX, 'n' }, .from_n = 2, .exact = true };
	uint64_t next = 1;
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return store_rc("sweep", errno);
	}
	r = rows_find(s, s->owner_reader, &counter, counter_read, &next);
	if (r == ENGINE_NOTFOUND)
		r = 0;
	s->next_file = next;
	counter.from[1] = 's';
	next = 0;
	if (r == 0 && rows_find(s, s->owner_reader, &counter, counter_read, &next) == 0)
		s->scrubbed_s = (int64_t)next;
	while (r == 0 && (de = readdir(d)) != NULL) {
		struct row_range k = { .from = { SYS_PREFIX, 'f' }, .from_n = 10, .exact = true };
		unsigned long long no;
		char canonical[32];
		bool keep = false;

		if (strncmp(de->d_name, "body-", 5) != 0)
			continue;
		no = strtoull(de->d_name + 5, NULL, 16);
		log_body_name(no, canonical);
		if (strcmp(canonical, de->d_name) != 0)
			continue;
		if (no >= s->next_file)
			s->next_file = no + 1;
		store_works(s);
		wire_store_u64be(k.from + 2, no);
		r = rows_find(s, s->owner_reader, &k, file_adopted, &keep);
		if (r == ENGINE_NOTFOUND)
			r = 0;
		if (r == 0 && !keep && may_remove)
			unlinkat(s->dir_fd, de->d_name, 0);
	}
	closedir(d);
	if (s->next_file < was)
		s->next_file = was;
	return r;
}
