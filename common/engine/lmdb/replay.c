/*
 * From files to the state at the last acknowledgement: frames since the checkpoint go into the
 * overlay.
 *
 * Only the last frame may be torn, since each is flushed before the next is written. So a bad frame
 * with a good one (or another segment) behind it is damage to acknowledged changes: we stop and
 * touch nothing. The last frame counts only if its bodies are whole too; the bodies of others are
 * not read.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads at any offset from a descriptor that may be O_DIRECT: whole blocks into an aligned window.
 */
struct window {
	int fd;
	uint8_t *p;
	uint64_t off;
	size_t n;
};

enum { WINDOW_BYTES = 64 << 10, BLOCK = 4096 };

static int window_fill(struct window *w, uint64_t off)
{
	ssize_t n;

	w->off = off & ~(uint64_t)(BLOCK - 1);
	w->n = 0;
	while (w->n < WINDOW_BYTES) {
		n = pread(w->fd, w->p + w->n, WINDOW_BYTES - w->n, (off_t)(w->off + w->n));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_rc("replay", errno);
		w->n += (size_t)n;
		if (n == 0 || n % BLOCK != 0)
			break;
	}
	return 0;
}

/* Exactly n bytes, or ENGINE_NOTFOUND at the end of the file. */
static int window_read(struct window *w, uint64_t off, void *to, size_t n)
{
	uint8_t *p = to;

	while (n > 0) {
		size_t part;

		if (off < w->off || off >= w->off + w->n) {
			int r = window_fill(w, off);

			if (r != 0)
				return r;
			if (off >= w->off + w->n)
				return ENGINE_NOTFOUND;
		}
		part = w->off + w->n - off < n ? w->off + w->n - off : n;
		memcpy(p, w->p + (off - w->off), part);
		p += part;
		off += part;
		n -= part;
	}
	return 0;
}

struct frame {
	struct frame_head h;
	uint64_t off;
	uint8_t *rows;
	size_t cap;
};

struct walk {
	struct store *s; /* NULL: verify only */
	struct window w;
	uint64_t store_id, file_bytes;
	struct log_pos pos;
	struct frame cur, last; /* last: found good, not applied yet */
	bool have_last;
};

/* The frame at w->pos.off with sequence w->pos.seq: 0, ENGINE_NOTFOUND (none here), ENGINE_IO. */
static int frame_read(struct walk *w, struct frame *f)
{
	uint8_t head[FRAME_HEAD];
	int r = window_read(&w->w, w->pos.off, head, sizeof(head));

	if (r != 0)
		return r;
	if (!frame_head_decode(head, &f->h) || f->h.seq != w->pos.seq ||
	    w->pos.off + frame_bytes(&f->h) > w->file_bytes)
		return ENGINE_NOTFOUND;
	if (f->cap < f->h.rows_n) {
		uint8_t *p = realloc(f->rows, f->h.rows_n);

		if (p == NULL)
			return -ENOMEM;
		f->rows = p;
		f->cap = f->h.rows_n;
	}
	r = window_read(&w->w, w->pos.off + FRAME_HEAD, f->rows, f->h.rows_n);
	if (r != 0)
		return r;
	if (!frame_check(head, slice_of(f->rows, f->h.rows_n), w->store_id))
		return ENGINE_NOTFOUND;
	f->off = w->pos.off;
	return 0;
}

/* All bodies that lie in this frame are whole? 0, ENGINE_CORRUPT, ENGINE_IO. */
static int frame_bodies_check(struct walk *w, const struct frame *f)
{
	struct slice rows = slice_of(f->rows, f->h.rows_n);
	struct batch_reader b;
	struct batch_op op;
	struct engine_row row;
	struct loc_parts p;

	for (uint32_t i = 0; i < f->h.batches; i++) {
		if (!batch_read_begin(&rows, &b))
			return ENGINE_CORRUPT;
		while (batch_read_op(&b, &op) > 0) {
			int r;

			if (op.kind != OP_PUT || !row_decode(op.val, &row) || !row.has_loc)
				continue;
			loc_decode(&row.loc, &p);
			if (p.kind != LOC_SEGMENT || p.file != w->pos.seg || p.off < f->off)
				continue;
			if ((r = body_verify_fd(w->w.fd, &p)) != 0)
				return r;
		}
	}
	return 0;
}

static int frame_apply(struct walk *w, const struct frame *f)
{
	struct slice rows = slice_of(f->rows, f->h.rows_n);
	struct store *s = w->s;
	int r;

	for (uint32_t i = 0; i < f->h.batches; i++) {
		size_t n = wire_load_u32(rows.p);

		if ((r = batch_apply(s->active, slice_part(rows, 0, n))) != 0)
			return r;
		rows = slice_from(rows, n);
	}
	s->n_replayed++;
	s->applied = (struct log_pos){ w->pos.seg, f->off + frame_bytes(&f->h), f->h.seq + 1 };
	/* A log that is longer than the memory for it: rebuild in steps. */
	if (s->active->bytes > s->conf.overlay_bytes)
		return checkpoint(s);
	return 0;
}

static int last_apply(struct walk *w)
{
	if (!w->have_last)
		return 0;
	w->have_last = false;
	return w->s != NULL ? frame_apply(w, &w->last) : 0;
}

/* Follows the frames from w->pos to the last good one of this file. */
static int walk_segment(struct walk *w)
{
	int r;

	while ((r = frame_read(w, &w->cur)) == 0) {
		struct frame f = w->cur;

		if (w->s != NULL)
			store_works(w->s);

		if ((r = last_apply(w)) != 0)
			return r;
		w->cur = w->last;
		w->last = f;
		w->have_last = true;
		w->pos.off += frame_bytes(&f.h);
		w->pos.seq++;
	}
	return r == ENGINE_NOTFOUND ? 0 : r;
}

/*
 * Anything behind the end? Zeros are what we write ahead. A good frame with a later number means
 * that one before it was damaged: ENGINE_CORRUPT. Other bytes are a torn frame: *ret_torn.
 */
static int tail_look(struct walk *w, bool *ret_torn)
{
	struct walk probe = { .w = w->w, .store_id = w->store_id, .file_bytes = w->file_bytes };
	uint8_t head[FRAME_HEAD];
	uint64_t first;
	int r = 0;

	*ret_torn = false;
	for (uint64_t off = w->pos.off; off < w->file_bytes; off += FRAME_ALIGN) {
		struct frame_head h;
		size_t n = w->file_bytes - off < sizeof(head) ? w->file_bytes - off : sizeof(head);

		first = 0;
		if ((r = window_read(
			 &probe.w, off, &first, n < sizeof(first) ? n : sizeof(first))) != 0)
			break;
		if (first == 0)
			continue;
		memset(head, 0, sizeof(head));
		if ((r = window_read(&probe.w, off, head, n)) != 0)
			break;
		*ret_torn = true;
		if (!frame_head_decode(head, &h) || h.seq <= w->pos.seq)
			continue;
		probe.pos = (struct log_pos){ w->pos.seg, off, h.seq };
		if (frame_read(&probe, &probe.cur) == 0) {
			r = ENGINE_CORRUPT;
			break;
		}
	}
	w->w = probe.w;
	free(probe.cur.rows);
	return r;
}

static int seg_open(struct walk *w, uint32_t seg, uint64_t *ret_first_seq)
{
	int fd = log_segment_open(w->s->dir_fd, seg, O_RDWR);
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT ? ENGINE_NOTFOUND : store_rc("segment", -fd);
	fd_close(&w->w.fd);
	w->w.fd = fd;
	w->w.n = 0;
	if (fstat(fd, &st) != 0)
		return store_rc("segment", errno);
	w->file_bytes = (uint64_t)st.st_size;
	if (io_pread_all(fd, head, sizeof(head), 0) != 0)
		return ENGINE_CORRUPT;
	switch (seg_head_decode(head, &h)) {
	case SEG_BAD:
		return ENGINE_CORRUPT;
	case SEG_NEWER:
		return ENGINE_VERSION;
	case SEG_OK:
		break;
	}
	if (h.kind != SEG_LOG || h.no != seg || (w->store_id != 0 && h.store_id != w->store_id))
		return ENGINE_CORRUPT;
	w->store_id = w->s->log.store_id = h.store_id;
	w->s->log.replay_from = (uint32_t)h.replay_from;
	if (w->s->log.version < h.version)
		w->s->log.version = h.version;
	*ret_first_seq = h.first_seq;
	return 0;
}

/*
 * The last segment ends at w->pos: drop a last frame with torn bodies, cut what is torn. After a
 * kill the last frame and the segment's name may be in memory only: nobody may see the one, and no
 * other segment may follow, before both are durable.
 */
static int finish(struct walk *w)
{
	struct log *l = &w->s->log;
	bool torn;
	int r;

	if (w->have_last) {
		struct frame *f = &w->last;

		r = frame_bodies_check(w, f);
		if (r == ENGINE_CORRUPT) {
			w->pos.off = f->off;
			w->pos.seq = f->h.seq;
			w->have_last = false;
		} else if (r != 0) {
			return r;
		}
	}
	if ((r = tail_look(w, &torn)) != 0)
		return r;
	if ((r = last_apply(w)) != 0)
		return r;
	l->fd = w->w.fd;
	w->w.fd = -1;
	l->pos = w->pos;
	l->ahead = w->file_bytes;
	if (torn) {
		w->s->n_cut = w->file_bytes - w->pos.off;
		log_ev(
		    LOG_NOTICE, "engine.cut", kv_u("seg", w->pos.seg), kv_u("bytes", w->s->n_cut));
		r = log_cut(l, w->pos.off);
	}
	if (r == 0 && (engine_sys.fdatasync(l->fd) != 0 || fsync(w->s->dir_fd) != 0))
		r = store_rc("replay", errno);
	return r;
}

/* A crash while a segment was made leaves a file without a whole header and with no frame. */
static bool seg_unborn(struct walk *w)
{
	uint8_t head[SEG_HEAD] = { 0 };
	bool torn;

	w->pos.off = SEG_HEAD;
	if (w->file_bytes > SEG_HEAD)
		return tail_look(w, &torn) == 0 && !torn;
	return pread(w->w.fd, head, sizeof(head), 0) >= 0;
}

/* The newest segment: UINT32_MAX when there is none. */
static int last_segment(struct store *s, uint32_t *ret_seg)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return store_rc("replay", errno);
	}
	*ret_seg = UINT32_MAX;
	while ((de = readdir(d)) != NULL) {
		uint64_t no;

		if (log_name_number(de->d_name, LOC_SEGMENT, &no) &&
		    (*ret_seg == UINT32_MAX || no > *ret_seg))
			*ret_seg = (uint32_t)no;
	}
	closedir(d);
	return 0;
}

static int walk_all(struct walk *w, const struct log_pos *from)
{
	uint64_t first_seq;
	uint32_t last;
	int r = last_segment(w->s, &last);

	if (r == 0)
		r = seg_open(w, from->seg, &first_seq);
	if (r == ENGINE_CORRUPT && from->seg == 0 && from->seq <= 1 && seg_unborn(w))
		r = ENGINE_NOTFOUND;
	if (r == ENGINE_NOTFOUND && from->seg == 0 && from->seq <= 1) {
		w->s->log.pos = (struct log_pos){ 0, SEG_HEAD, 1 };
		return log_segment_new(&w->s->log); /* an empty store */
	}
	if (r == ENGINE_NOTFOUND) {
		/* The log goes on without it: an old index, from before compaction removed it. */
		index_damaged(w->s, "it is older than the log", SLICE_NONE);
		r = ENGINE_CORRUPT;
	}
	if (r != 0)
		return r;
	w->pos = *from;
	for (;;) {
		struct log_pos end;

		w->s->segs_done = w->pos.seg - from->seg;
		w->s->segs = last - from->seg + 1;
		store_works(w->s);
		if ((r = walk_segment(w)) != 0)
			return r;
		end = w->pos;
		r = log_segment_open(w->s->dir_fd, end.seg + 1, O_RDONLY);
		if (r == -ENOENT)
			return end.seg == last ? finish(w) : ENGINE_CORRUPT;
		if (r < 0)
			return store_rc("segment", -r);
		close(r);
		/* There is a next one: the last frame here was acknowledged before it was made. */
		if ((r = last_apply(w)) != 0)
			return r;
		w->pos = (struct log_pos){ end.seg + 1, SEG_HEAD, end.seq };
		r = seg_open(w, end.seg + 1, &first_seq);
		if (r == ENGINE_CORRUPT && seg_unborn(w)) {
			w->s->log.pos = w->pos;
			return log_segment_new(&w->s->log);
		}
		if (r != 0)
			return r;
		if (first_seq != end.seq)
			return ENGINE_CORRUPT;
	}
}

/*
 * Where a rebuild begins: the newest segment's header says it. A crash may have come while that was
 * made; then the one before it says it, and nothing has been dropped since.
 */
static int replay_begin(struct walk *w, struct log_pos *ret_from)
{
	uint64_t first_seq;
	uint32_t last;
	int r = last_segment(w->s, &last);

	*ret_from = (struct log_pos){ 0, SEG_HEAD, 1 };
	if (r == 0 && last == UINT32_MAX && w->s->guard.aside[0] != '\0')
		return ENGINE_CORRUPT; /* there was an index: there must be a log */
	if (r != 0 || last == UINT32_MAX)
		return r;
	r = seg_open(w, last, &first_seq);
	if (r == ENGINE_CORRUPT && seg_unborn(w)) {
		if (last == 0)
			return 0;
		r = seg_open(w, last - 1, &first_seq);
	}
	if (r == 0 && w->s->log.replay_from != last) {
		ret_from->seg = w->s->log.replay_from;
		r = seg_open(w, ret_from->seg, &first_seq);
	} else {
		ret_from->seg = last;
	}
	if (r == 0)
		ret_from->seq = first_seq;
	return r == ENGINE_NOTFOUND ? ENGINE_CORRUPT : r;
}

static void walk_fini(struct walk *w)
{
	fd_close(&w->w.fd);
	free(w->w.p);
	free(w->cur.rows);
	free(w->last.rows);
}

int replay(struct store *s, struct log_pos *from)
{
	struct walk w = { .s = s, .w.fd = -1, .store_id = s->log.store_id };
	int r;

	w.w.p = aligned_alloc(BLOCK, WINDOW_BYTES);
	if (w.w.p == NULL)
		return -ENOMEM;
	r = s->log.store_id == 0 ? replay_begin(&w, from) : 0;
	s->applied = *from;
	s->index_seg = from->seg;
	if (r == 0)
		r = walk_all(&w, from);
	if (r == 0)
		s->applied = s->log.pos;
	if (r == ENGINE_CORRUPT)
		log_ev(LOG_ERR, "engine.damaged", kv_u("seg", w.pos.seg), kv_u("off", w.pos.off));
	walk_fini(&w);
	return r;
}

int log_verify(int fd, uint64_t off, const struct log_pos *to, uint64_t store_id)
{
	struct walk w = { .w.fd = fd, .store_id = store_id, .file_bytes = to->off };
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	int r;

	w.w.p = aligned_alloc(BLOCK, WINDOW_BYTES);
	if (w.w.p == NULL)
		return -ENOMEM;
	r = window_read(&w.w, 0, head, sizeof(head));
	if (r == 0 && (seg_head_decode(head, &h) != SEG_OK || h.no != to->seg))
		r = ENGINE_CORRUPT;
	if (r == 0) {
		w.pos = (struct log_pos){ to->seg, off, h.first_seq };
		r = walk_segment(&w);
	}
	if (r == 0 && (w.pos.off != to->off || w.pos.seq != to->seq))
		r = ENGINE_CORRUPT;
	w.w.fd = -1;
	walk_fini(&w);
	return r;
}
