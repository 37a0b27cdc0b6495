/*
 * Packing an upload: its chunks become shorter on the pool, before the committer sees them. The
 * owner, who serves everybody, never does it; an upload that spills is packed by the thread that
 * writes it.
 *
 * A packed body's table has two numbers for a chunk: the sum of its stored bytes, and how they are
 * stored with where they end. When no chunk was worth it, it is a body like any other.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

enum { KIND_SHIFT = 56 };

/* ---- chunks ---- */

static int piece_add(struct engine_body *b, struct slice raw, uint8_t *out, size_t *n)
{
	uint64_t kind = PACK_ZSTD;
	size_t len = pack_make(raw, out);
	int r;

	if (len == 0) {
		kind = PACK_PLAIN;
		len = raw.n;
		memcpy(out, raw.p, raw.n);
	}
	r = body_sums_add(b, XXH3_64bits(out, len));
	b->stored += len;
	b->packed |= kind != PACK_PLAIN;
	*n += len;
	return r == 0 ? body_sums_add(b, kind << KIND_SHIFT | b->stored) : r;
}

int packing_chunk(struct engine_body *b, const struct body_chunk *c, uint8_t *out, size_t *ret_n)
{
	size_t first = b->n_sums == 0 && body_is_parted(c->n) ? ENGINE_BODY_FIRST : 0;
	int r = 0;

	*ret_n = 0;
	if (first > 0)
		r = piece_add(b, slice_of(c->data, first), out, ret_n);
	if (r == 0)
		r = piece_add(b, slice_of(c->data + first, c->n - first), out + *ret_n, ret_n);
	return r;
}

void packing_end(struct engine_body *b)
{
	if (b->packed)
		return;
	assert(b->stored == b->size);
	b->n_sums /= 2;
	for (size_t i = 0; i < b->n_sums; i++)
		b->sums[i] = b->sums[2 * i];
}

/* ---- where things lie ---- */

/* A body takes a place that tells it from the next one where living bodies are counted (mark.c). */
uint64_t upload_table_at(const struct engine_body *b)
{
	uint64_t at = frame_pad(b->stored), least = ENGINE_PACK_SPAN_MIN - upload_table_bytes(b);

	return b->packed && b->spill == NULL && upload_table_bytes(b) < ENGINE_PACK_SPAN_MIN &&
		       at < least
		   ? least
		   : at;
}

size_t upload_table_bytes(const struct engine_body *b)
{
	return b->packed || b->n_sums > 1 ? b->n_sums * 8 : 0;
}

struct loc_parts upload_parts(
    const struct engine_body *b, enum loc_kind kind, uint64_t file, uint64_t off)
{
	return (struct loc_parts){ .kind = kind,
		.file = file,
		.shard = b->e->shard,
		.off = off,
		.size = b->size,
		.sum = body_sum(b),
		.parted = body_is_parted(b->size),
		.packed = b->packed,
		.span = upload_table_at(b) + upload_table_bytes(b) };
}

/* ---- an upload that stays in memory ---- */

struct packing {
	struct pool_job p;
	struct engine_body *b;
	int rc;
};

/* The chunk as it will be stored, in its own place. */
static int repack(struct engine_body *b, struct body_chunk **at, uint8_t *out)
{
	struct body_chunk *c = *at;
	size_t n;
	int r = packing_chunk(b, c, out, &n);

	if (r != 0 || n == c->n)
		return r;
	memcpy(c->data, out, n);
	c->n = c->cap = n;
	c = realloc(c, sizeof(*c) + n);
	if (c != NULL)
		*at = c;
	return 0;
}

static void packing_work(struct engine *e, struct pool_job *p, struct index_reader *ir)
{
	struct packing *k = (struct packing *)p;
	struct engine_body *b = k->b;
	uint8_t *out = malloc(ENGINE_BODY_CHUNK);

	k->rc = out == NULL ? -ENOMEM : 0;
	for (struct body_chunk **at = &b->first; *at != NULL && k->rc == 0; at = &(*at)->next) {
		k->rc = repack(b, at, out);
		b->last = *at;
	}
	if (k->rc == 0)
		packing_end(b);
	free(out);
}

static void packing_done(struct engine *e, struct engine_done *d)
{
	struct packing *k = (struct packing *)d;

	if (!e->closing)
		body_on_spilled(k->b, k->rc, true);
	body_unref(k->b);
	free(k);
}

int packing_start(struct engine *e, struct engine_body *b)
{
	struct packing *k = ((struct store *)e)->out ? NULL : calloc(1, sizeof(*k));

	if (k == NULL)
		return b->failed = ((struct store *)e)->out ? ENGINE_IO : -ENOMEM;
	k->p.work = packing_work;
	k->p.d.run = packing_done;
	k->b = b;
	b->refs++;
	pool_submit((struct store *)e, &k->p);
	return ENGINE_AGAIN;
}
