/*
 * A body that outgrows its buffer goes to a file of its own, written by the pool, one write at a
 * time.
 *
 * The file is durable, with its name, before the body may be put into a batch; it belongs to the
 * store only when a frame says so, and is removed at the next open otherwise.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int put(struct body_spill *sp, const void *p, size_t n)
{
	while (n > 0) {
		struct iovec v = { (void *)(uintptr_t)p, n };
		ssize_t w = engine_sys.pwritev(sp->fd, &v, 1, (off_t)sp->written);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return store_rc("spill", w < 0 ? errno : EIO);
		sp->written += (uint64_t)w;
		p = (const uint8_t *)p + w;
		n -= (size_t)w;
	}
	return 0;
}

static int file_make(struct body_spill *sp)
{
	struct seg_head h = { SEG_BODY, sp->no, sp->s->log.store_id, 0, 0, SEG_VERSION };
	uint8_t head[SEG_HEAD];
	char name[32];

	log_body_name(sp->no, name);
	sp->fd =
	    openat(sp->s->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sp->fd < 0)
		return store_rc("spill", errno);
	seg_head_encode(&h, head);
	return put(sp, head, sizeof(head));
}

static int file_finish(struct body_spill *sp)
{
	static const uint8_t zeros[FRAME_ALIGN];
	const struct engine_body *b = sp->b; /* has ended: size and sums stand still */
	int r = put(sp, zeros, upload_table_at(b) - b->stored);

	if (r == 0)
		r = put(sp, b->sums, upload_table_bytes(b));
	if (r == 0 && (engine_sys.fdatasync(sp->fd) != 0 || fsync(sp->s->dir_fd) != 0))
		r = store_rc("spill", errno);
	return r;
}

static int put_chunk(struct body_spill *sp, const struct body_chunk *c)
{
	size_t n;
	int r;

	if (!sp->b->pack)
		return put(sp, c->data, c->n);
	if (sp->out == NULL && (sp->out = malloc(ENGINE_BODY_CHUNK)) == NULL)
		return -ENOMEM;
	r = packing_chunk(sp->b, c, sp->out, &n);
	return r == 0 ? put(sp, sp->out, n) : r;
}

static void spill_work(struct engine *e, struct pool_job *p, struct index_reader *ir)
{
	struct body_spill *sp = (struct body_spill *)p;

	if (sp->fd < 0)
		sp->rc = file_make(sp);
	for (struct body_chunk *c = sp->chunks; c != NULL && sp->rc == 0; c = c->next)
		sp->rc = put_chunk(sp, c);
	if (sp->end && sp->rc == 0) {
		if (sp->b->pack)
			packing_end(sp->b);
		sp->rc = file_finish(sp);
		sp->durable = sp->rc == 0;
	}
}

static void spill_start(struct engine *e, struct body_spill *sp, bool end);

static void spill_done(struct engine *e, struct engine_done *d)
{
	struct body_spill *sp = (struct body_spill *)d;
	struct engine_body *b = sp->b;
	struct body_chunk *c;

	sp->busy = false;
	while ((c = sp->chunks) != NULL) {
		sp->chunks = c->next;
		b->buffered -= c->n;
		free(c);
	}
	if (sp->s->out && sp->rc == 0 && !sp->durable)
		sp->rc = ENGINE_IO;
	if (!e->closing && sp->rc == 0 && sp->end_wanted && !sp->durable)
		spill_start(e, sp, true);
	else if (!e->closing)
		body_on_spilled(b, sp->rc, sp->durable);
	body_unref(b);
}

/* Hands what is whole (at the end: everything) to the pool. The body stays while that goes on. */
static void spill_start(struct engine *e, struct body_spill *sp, bool end)
{
	struct engine_body *b = sp->b;
	struct body_chunk **at = &sp->chunks;

	while (b->first != NULL && (end || b->first != b->last)) {
		*at = b->first;
		at = &b->first->next;
		b->first = b->first->next;
	}
	*at = NULL;
	if (b->first == NULL)
		b->last = NULL;
	sp->busy = true;
	sp->end = end;
	sp->p.work = spill_work;
	sp->p.d.run = spill_done;
	b->refs++;
	pool_submit(sp->s, &sp->p);
}

int spill(struct engine *e, struct engine_body *b, bool end)
{
	struct store *s = (struct store *)e;
	struct body_spill *sp = b->spill;

	if (s->out)
		return b->failed = ENGINE_IO;
	if (sp == NULL) {
		sp = calloc(1, sizeof(*sp));
		if (sp == NULL)
			return b->failed = -ENOMEM;
		*sp = (struct body_spill){ .s = s, .b = b, .fd = -1, .no = s->next_file++ };
		b->spill = sp;
	}
	sp->end_wanted |= end;
	if (!sp->busy)
		spill_start(e, sp, end);
	return end ? ENGINE_AGAIN : 0;
}

void spill_loc(const struct engine_body *b, struct engine_loc *ret_loc)
{
	struct loc_parts p = upload_parts(b, LOC_FILE, b->spill->no, 0);

	loc_encode(&p, ret_loc);
}

void spill_drop(struct engine *e, struct engine_body *b)
{
	struct body_spill *sp = b->spill;
	char name[32];

	if (sp->fd >= 0)
		close(sp->fd);
	if (!b->placed && sp->fd >= 0) {
		log_body_name(sp->no, name);
		unlinkat(sp->s->dir_fd, name, 0);
	}
	free(sp->out);
	free(sp);
	b->spill = NULL;
}
