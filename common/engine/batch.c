/*
 * The encoded batch: what goes into a log frame, byte for byte, and what every engine applies.
 *
 *   u32 bytes of the whole batch, this field included
 *   u8 n, then n bytes of prefix: the number of id bytes, then the id (a lone 0: the engine's own
 * rows) u64 seq, u64 epoch, u64 batch id operations: u8 kind, u16 key bytes, u32 value bytes, key,
 * value
 *
 * All little-endian. A value in stored form is a flag byte (1: a loc follows), the loc, the user's
 * bytes.
 */
#include "common/engine/engine-private.h"

#include "common/base/wire.h"
#include "common/engine/map.h"
#include "common/engine/shards/twin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { OP_HEAD = 7, STAMP_BYTES = 24 };

struct engine_batch *batch_alloc(struct engine *e, struct engine_core *core)
{
	struct engine_batch *b = calloc(1, sizeof(*b));
	size_t head = 4 + 1 + core->prefix_n + STAMP_BYTES;

	if (b == NULL)
		return NULL;
	b->cap = 512;
	b->p = malloc(b->cap);
	if (b->p == NULL) {
		free(b);
		return NULL;
	}
	b->e = e;
	b->core = core;
	b->p[4] = core->prefix_n;
	memcpy(b->p + 5, core->prefix, core->prefix_n);
	b->n = head;
	return b;
}

void batch_stamp(struct engine_batch *b)
{
	uint8_t *p = b->p + 5 + b->core->prefix_n;

	wire_store_u32(b->p, (uint32_t)b->n);
	wire_store_u64(p, b->seq);
	wire_store_u64(p + 8, b->epoch);
	wire_store_u64(p + 16, b->id);
}

struct slice batch_ops(const struct engine_batch *b)
{
	size_t head = 4 + 1 + b->core->prefix_n + STAMP_BYTES;

	return slice_of(b->p + head, b->n - head);
}

void batch_unref_bodies(struct engine_batch *b)
{
	for (unsigned i = 0; i < b->n_patches; i++)
		body_unref(b->patches[i].body);
	b->n_patches = 0;
}

static int batch_room(struct engine_batch *b, size_t n)
{
	size_t cap = b->cap;
	uint8_t *p;

	if (b->n + n > ENGINE_BATCH_BYTES_MAX || b->keys >= ENGINE_BATCH_KEYS_MAX)
		return ENGINE_TOOBIG;
	if (b->n + n <= cap)
		return 0;
	while (cap < b->n + n)
		cap *= 2;
	p = realloc(b->p, cap);
	if (p == NULL)
		return -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

/* Appends one operation; val is preceded by `extra` bytes that the caller fills in at *ret_extra.
 */
static int batch_op(struct engine_batch *b, enum op_kind kind, struct slice key, size_t extra,
    struct slice val, uint8_t **ret_extra)
{
	size_t max = kind == OP_DEL_RANGE ? ENGINE_KEY_MAX : extra + ENGINE_VALUE_MAX;
	uint8_t *p;
	int r;

	if (key.n > ENGINE_KEY_MAX || val.n + extra > max)
		return ENGINE_TOOBIG;
	if ((r = batch_room(b, OP_HEAD + key.n + extra + val.n)) != 0)
		return r;
	p = b->p + b->n;
	p[0] = (uint8_t)kind;
	p[1] = (uint8_t)key.n;
	p[2] = (uint8_t)(key.n >> 8);
	wire_store_u32(p + 3, (uint32_t)(extra + val.n));
	p += OP_HEAD;
	if (key.n > 0)
		memcpy(p, key.p, key.n);
	p += key.n;
	if (ret_extra != NULL)
		*ret_extra = p;
	if (val.n > 0)
		memcpy(p + extra, val.p, val.n);
	b->n += OP_HEAD + key.n + extra + val.n;
	b->keys++;
	b->ends_group = kind == OP_DEL_GROUP;
	return 0;
}

int engine_put(struct engine_batch *b, struct slice key, struct slice val)
{
	uint8_t *flag;
	int r;

	if (key.n == 0)
		return -EINVAL;
	r = batch_op(b, OP_PUT, key, 1, val, &flag);
	if (r == 0)
		*flag = 0;
	return r;
}

/* A row that will get its place when the body has one; the body's reference is taken. */
static int put_patch(
    struct engine_batch *b, struct slice key, struct slice val, struct engine_body *take_body)
{
	uint8_t *at;
	int r;

	if (b->n_patches == b->cap_patches) {
		unsigned cap = b->cap_patches == 0 ? 4 : 2 * b->cap_patches;
		struct batch_patch *p = realloc(b->patches, cap * sizeof(*p));

		if (p == NULL)
			return -ENOMEM;
		b->patches = p;
		b->cap_patches = cap;
	}
	r = batch_op(b, OP_PUT, key, 1 + sizeof(take_body->loc.b), val, &at);
	if (r != 0)
		return r;
	at[0] = 1;
	memset(at + 1, 0, sizeof(take_body->loc.b));
	b->patches[b->n_patches++] =
	    (struct batch_patch){ (size_t)(at + 1 - b->p), key.n, take_body };
	return 0;
}

static bool is_elsewhere(const struct engine_batch *b, const struct engine_loc *loc)
{
	struct loc_parts p;

	if (b->e->whole == NULL)
		return false;
	loc_decode(loc, &p);
	return p.kind != LOC_NONE && p.shard != b->e->shard;
}

static int put_far(
    struct engine_batch *b, struct slice key, struct slice val, const struct engine_loc *loc)
{
	struct engine_body *twin;
	int r = twin_of_place(b->e, loc, &twin);

	if (r == 0 && (r = put_patch(b, key, val, twin)) != 0)
		body_unref(twin);
	return r;
}

int engine_put_ref(
    struct engine_batch *b, struct slice key, struct slice val, const struct engine_loc *loc)
{
	uint8_t *at;
	int r;

	if (key.n == 0)
		return -EINVAL;
	if (is_elsewhere(b, loc))
		return put_far(b, key, val, loc);
	r = batch_op(b, OP_PUT, key, 1 + sizeof(loc->b), val, &at);
	if (r != 0)
		return r;
	at[0] = 1;
	memcpy(at + 1, loc->b, sizeof(loc->b));
	b->has_refs = true;
	return 0;
}

int engine_put_body(
    struct engine_batch *b, struct slice key, struct slice val, struct engine_body *body)
{
	const struct engine_loc *place;
	int r = 0;

	if (key.n == 0 || (!body->ready && !twin_unready(body)))
		return -EINVAL;
	if (body->e == b->e)
		body->refs++;
	else if ((place = twin_place(body, b->e)) != NULL)
		return engine_put_ref(b, key, val, place);
	else
		r = twin_of_body(b->e, &body);
	if (r == 0 && (r = put_patch(b, key, val, body)) != 0)
		body_unref(body);
	return r;
}

int engine_del(struct engine_batch *b, struct slice key)
{
	if (key.n == 0)
		return -EINVAL;
	return batch_op(b, OP_DEL, key, 0, SLICE_NONE, NULL);
}

int engine_del_range(struct engine_batch *b, struct slice from, struct slice to)
{
	return batch_op(b, OP_DEL_RANGE, from, 0, to, NULL);
}

int engine_del_group(struct engine_batch *b)
{
	return batch_op(b, OP_DEL_GROUP, SLICE_NONE, 0, SLICE_NONE, NULL);
}

uint64_t engine_batch_id(const struct engine_batch *b)
{
	return b->id;
}

unsigned engine_batch_shard(const struct engine_batch *b)
{
	return b->e->shard;
}

/* ---- reading it back: replay, apply, fuzz ---- */

bool batch_read_begin(struct slice *s, struct batch_reader *ret_r)
{
	struct wire_reader w;
	uint32_t n;

	if (s->n < 4)
		return false;
	n = wire_load_u32(s->p);
	if (n > s->n || n < 4)
		return false;
	w = wire_reader(slice_part(*s, 4, n - 4));
	ret_r->prefix = wire_get_raw(&w, wire_get_u8(&w));
	ret_r->seq = wire_get_u64(&w);
	ret_r->epoch = wire_get_u64(&w);
	ret_r->id = wire_get_u64(&w);
	if (w.bad || ret_r->prefix.n == 0 || ret_r->prefix.n > 1 + ENGINE_GROUP_ID_MAX ||
	    ret_r->prefix.p[0] != ret_r->prefix.n - 1)
		return false;
	ret_r->rest = slice_of(w.p, wire_left(&w));
	*s = slice_from(*s, n);
	return true;
}

static bool op_ok(const struct batch_op *op)
{
	struct engine_row row;

	if (op->key.n > ENGINE_KEY_MAX)
		return false;
	switch (op->kind) {
	case OP_PUT:
		return op->key.n > 0 && row_decode(op->val, &row) && row.val.n <= ENGINE_VALUE_MAX;
	case OP_DEL:
		return op->key.n > 0 && op->val.n == 0;
	case OP_DEL_RANGE:
		return op->val.n <= ENGINE_KEY_MAX;
	case OP_DEL_GROUP:
		return op->key.n == 0 && op->val.n == 0;
	}
	return false;
}

int batch_read_op(struct batch_reader *r, struct batch_op *ret_op)
{
	struct wire_reader w = wire_reader(r->rest);
	uint16_t key_n;
	uint32_t val_n;

	if (r->rest.n == 0)
		return 0;
	ret_op->kind = wire_get_u8(&w);
	key_n = wire_get_u16(&w);
	val_n = wire_get_u32(&w);
	ret_op->key = wire_get_raw(&w, key_n);
	ret_op->val = wire_get_raw(&w, val_n);
	if (w.bad || !op_ok(ret_op))
		return -1;
	r->rest = slice_of(w.p, wire_left(&w));
	return 1;
}

bool row_decode(struct slice stored, struct engine_row *ret_row)
{
	if (stored.n < 1 || stored.p[0] > 1)
		return false;
	ret_row->has_loc = stored.p[0] == 1;
	stored = slice_from(stored, 1);
	if (ret_row->has_loc) {
		if (stored.n < sizeof(ret_row->loc.b))
			return false;
		memcpy(ret_row->loc.b, stored.p, sizeof(ret_row->loc.b));
		stored = slice_from(stored, sizeof(ret_row->loc.b));
	}
	ret_row->val = stored;
	return true;
}

/* ---- applying it ---- */

struct key_buf {
	uint8_t b[ENGINE_KEY_ENCODED_MAX];
	size_t n;
};

static struct slice key_join(struct key_buf *k, struct slice prefix, struct slice key)
{
	assert(prefix.n + key.n <= sizeof(k->b));
	memcpy(k->b, prefix.p, prefix.n);
	if (key.n > 0)
		memcpy(k->b + prefix.n, key.p, key.n);
	k->n = prefix.n + key.n;
	return slice_of(k->b, k->n);
}

size_t key_range_end(uint8_t *b, struct slice prefix)
{
	size_t n = prefix.n;

	memcpy(b, prefix.p, n);
	while (b[n - 1] == 0xff)
		n--; /* the first byte is a small length: the loop ends */
	b[n - 1]++;
	return n;
}

/* The header row too. */
static int apply_del_group(struct map *m, struct slice prefix)
{
	uint8_t end[1 + ENGINE_GROUP_ID_MAX];

	return map_del_range(m, prefix, slice_of(end, key_range_end(end, prefix)));
}

static int apply_range(struct map *m, struct slice prefix, const struct batch_op *op)
{
	static const uint8_t first_key = 0; /* behind the header row, whose key is empty */
	struct slice from = op->key.n > 0 ? op->key : slice_of(&first_key, 1);
	struct key_buf a, b;

	if (op->val.n > 0)
		key_join(&b, prefix, op->val);
	else
		b.n = key_range_end(b.b, prefix);
	return map_del_range(m, key_join(&a, prefix, from), slice_of(b.b, b.n));
}

int batch_apply_op(struct map *m, struct slice prefix, const struct batch_op *op)
{
	struct key_buf k;

	switch (op->kind) {
	case OP_PUT:
		return map_put(m, key_join(&k, prefix, op->key), op->val);
	case OP_DEL:
		return map_del(m, key_join(&k, prefix, op->key));
	case OP_DEL_RANGE:
		return apply_range(m, prefix, op);
	case OP_DEL_GROUP:
		return apply_del_group(m, prefix);
	}
	return -EINVAL;
}

int batch_apply(struct map *m, struct slice encoded)
{
	struct batch_reader r;
	struct batch_op op;
	uint8_t head[1 + HEADER_BYTES] = { 0 };
	bool ends_group = false;
	int e = 0, more;

	if (!batch_read_begin(&encoded, &r))
		return -EINVAL;
	while (e == 0 && (more = batch_read_op(&r, &op)) != 0) {
		if (more < 0)
			return -EINVAL;
		e = batch_apply_op(m, r.prefix, &op);
		ends_group = op.kind == OP_DEL_GROUP;
	}
	if (e != 0 || ends_group || r.prefix.p[0] == SYS_PREFIX)
		return e;
	wire_store_u64(head + 1, r.seq);
	wire_store_u64(head + 9, r.epoch);
	wire_store_u64(head + 17, r.id);
	return map_put(m, r.prefix, slice_of(head, sizeof(head)));
}
