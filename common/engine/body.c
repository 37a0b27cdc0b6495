/* Uploads and their checksums. The engine below decides where the bytes go. */
#include "common/engine/engine-private.h"

#include "common/base/checked.h"
#include "common/base/wire.h"
#include "common/engine/shards/twin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

uint64_t body_sum(const struct engine_body *b)
{
	if (b->n_sums <= 1 && !b->packed)
		return b->n_sums == 0 ? XXH3_64bits(NULL, 0) : b->sums[0];
	return XXH3_64bits(b->sums, b->n_sums * 8);
}

struct engine_body *engine_body_begin(
    struct engine *e, uint64_t size_hint, engine_done_fn *room, void *arg)
{
	struct engine_body *b = calloc(1, sizeof(*b));
	size_t cap = size_hint > ENGINE_BODY_CHUNK ? ENGINE_BODY_CHUNK : size_hint;

	if (b == NULL)
		return NULL;
	b->e = engine_part(e, 0);
	b->refs = 1;
	b->room = room;
	b->room_arg = arg;
	b->first = malloc(sizeof(*b->first) + (cap < 4096 ? 4096 : cap));
	if (b->first == NULL) {
		free(b);
		return NULL;
	}
	*b->first = (struct body_chunk){ .cap = cap < 4096 ? 4096 : cap };
	b->last = b->first;
	return b;
}

void engine_body_near(struct engine_body *b, const struct engine_group *g)
{
	assert(b->size == 0 && !b->ended);
	b->e = g->e;
}

/* Kept for good. Little-endian, as it goes to disk. */
int body_sums_add(struct engine_body *b, uint64_t v)
{
	if (b->n_sums == b->cap_sums) {
		size_t cap = b->cap_sums == 0 ? 2 : 2 * b->cap_sums;
		uint64_t *q = realloc(b->sums, cap * sizeof(*q));

		if (q == NULL)
			return -ENOMEM;
		b->sums = q;
		b->cap_sums = cap;
	}
	wire_store_u64((uint8_t *)&b->sums[b->n_sums++], v);
	return 0;
}

static int sum_add(struct engine_body *b, const uint8_t *p, size_t n)
{
	return body_sums_add(b, XXH3_64bits(p, n));
}

/* A piece of memory is full (or the last): one chunk, or two at the begin of a long body. */
static int chunk_finish(struct engine_body *b, const struct body_chunk *c)
{
	size_t first = b->n_sums == 0 && body_is_parted(c->n) ? ENGINE_BODY_FIRST : 0;
	int r = first > 0 ? sum_add(b, c->data, first) : 0;

	if (r == 0)
		r = sum_add(b, c->data + first, c->n - first);
	return r;
}

/* The last chunk grows by doubling to its full size; then a new one is hung behind it. */
static int chunk_room(struct engine_body *b)
{
	struct body_chunk *c = b->last, **at;
	size_t cap, n_sums = b->pack ? 0 : b->n_sums; /* packed: they are the pool's */
	int r;

	if (c != NULL && c->n < c->cap)
		return 0;
	if (c != NULL && c->cap < ENGINE_BODY_CHUNK) {
		assert(b->first == c);
		cap = 2 * c->cap > ENGINE_BODY_CHUNK ? ENGINE_BODY_CHUNK : 2 * c->cap;
		c = realloc(c, sizeof(*c) + cap);
		if (c == NULL)
			return -ENOMEM;
		c->cap = cap;
		b->first = b->last = c;
		return 0;
	}
	if (c != NULL && !b->pack && (r = chunk_finish(b, c)) != 0) {
		b->n_sums = n_sums;
		return r;
	}
	at = c != NULL ? &c->next : &b->first;
	*at = malloc(sizeof(*c) + ENGINE_BODY_CHUNK);
	if (*at == NULL) {
		if (!b->pack)
			b->n_sums = n_sums;
		return -ENOMEM;
	}
	**at = (struct body_chunk){ .cap = ENGINE_BODY_CHUNK };
	b->last = *at;
	return 0;
}

int engine_body_append(struct engine_body *b, struct slice data)
{
	uint64_t size;
	int r;

	assert(!b->ended);
	if (b->failed != 0)
		return b->failed;
	if (data.n > ENGINE_BODY_APPEND_MAX || add_overflows_u64(b->size, data.n, &size) ||
	    size > ENGINE_BODY_MAX)
		return ENGINE_TOOBIG;
	if (b->e->ops->append_fault != NULL && (r = b->e->ops->append_fault(b->e)) != 0)
		return r;
	if (b->buffered + data.n > b->e->limits.body_buffered) {
		if ((r = b->e->ops->spill(b->e, b, false)) != 0)
			return r;
		if (b->buffered + data.n > b->e->limits.body_buffered) {
			b->want_room = true;
			return ENGINE_AGAIN;
		}
	}
	while (data.n > 0) {
		struct slice part;

		if ((r = chunk_room(b)) != 0)
			return b->failed = r;
		part = slice_part(data, 0, b->last->cap - b->last->n);
		memcpy(b->last->data + b->last->n, part.p, part.n);
		b->last->n += part.n;
		b->buffered += part.n;
		b->size += part.n;
		data = slice_from(data, part.n);
	}
	return 0;
}

/* Chunks are packed, and summed, by whoever writes them: those of a spill may have gone. */
void engine_body_pack(struct engine_body *b)
{
	assert(!b->ended);
	if (b->e->ops->pack == NULL || b->spill != NULL)
		return;
	b->pack = true;
	b->n_sums = 0;
}

int engine_body_end(struct engine_body *b, engine_done_fn *done, void *arg)
{
	int r;

	assert(!b->ended);
	if (b->failed != 0)
		return b->failed;
	if (b->size < ENGINE_PACK_MIN)
		b->pack = false;
	if (!b->pack && b->last != NULL && b->last->n > 0 && (r = chunk_finish(b, b->last)) != 0)
		return b->failed = r;
	if (!b->pack)
		b->stored = b->size;
	b->ended = true;
	b->done = done;
	b->done_arg = arg;
	if (b->spill != NULL)
		return b->e->ops->spill(b->e, b, true);
	if (b->pack)
		return b->e->ops->pack(b->e, b);
	b->ready = true;
	return 0;
}

void body_on_spilled(struct engine_body *b, int rc, bool durable)
{
	bool want = b->want_room;

	if (rc != 0)
		b->failed = rc;
	b->want_room = false;
	if (b->ended && (durable || rc != 0)) {
		b->ready = rc == 0;
		if (!b->let_go && b->done != NULL)
			b->done(b->done_arg, rc);
		return;
	}
	if (want && !b->let_go && b->room != NULL)
		b->room(b->room_arg, rc);
}

void body_free_chunks(struct engine_body *b)
{
	struct body_chunk *next;

	for (struct body_chunk *c = b->first; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	b->first = b->last = NULL;
	b->buffered = 0;
}

void body_unref(struct engine_body *b)
{
	assert(b->refs > 0);
	if (--b->refs > 0)
		return;
	if (b->spill != NULL)
		b->e->ops->spill_drop(b->e, b);
	twins_let_go(b);
	twin_free(b);
	body_free_chunks(b);
	free(b->sums);
	free(b);
}

void engine_body_free(struct engine_body **b)
{
	if (*b == NULL)
		return;
	(*b)->let_go = true;
	twins_let_go(*b);
	body_unref(*b);
	*b = NULL;
}

uint64_t engine_body_bytes(const struct engine_body *b)
{
	return b->size;
}

int engine_body_loc(const struct engine_body *b, struct engine_loc *ret_loc)
{
	if (!b->placed)
		return ENGINE_NOTFOUND;
	*ret_loc = b->loc;
	return 0;
}

int engine_body_loc_in(
    const struct engine_body *b, const struct engine_group *g, struct engine_loc *ret_loc)
{
	if (b->e != g->e)
		for (b = b->twins; b != NULL && b->e != g->e; b = b->next_twin)
			;
	return b != NULL ? engine_body_loc(b, ret_loc) : ENGINE_NOTFOUND;
}
