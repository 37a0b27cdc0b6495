/*
 * Batches written down as rows of another group, and read back from there.
 *
 * The row's key is the prefix, u32 number (big-endian, so that rows sort as the operations came),
 * u8 kind, the operation's key; its value and its reference are the operation's, for a range its
 * end. So a row is never longer than what the operation itself would be, but for its key.
 */
#include "common/engine/engine-private.h"

#include "common/base/wire.h"

#include <errno.h>

enum { NOTE_PREFIX_MAX = 32, NOTE_HEAD = 4 + 1 };

struct slice engine_batch_group(const struct engine_batch *b)
{
	return slice_of(b->core->prefix + 1, b->core->prefix_n - 1u);
}

bool engine_batch_ends_group(const struct engine_batch *b)
{
	return b->ends_group;
}

/* The upload whose place goes to `at`, if there is one: patches are in the order of the bytes. */
static struct engine_body *patch_take(const struct engine_batch *b, unsigned *next, size_t at)
{
	if (*next == b->n_patches || b->patches[*next].at != at)
		return NULL;
	return b->patches[(*next)++].body;
}

static int note_put(struct engine_batch *into, struct slice key, const struct engine_batch *b,
    const struct batch_op *op, unsigned *patch)
{
	struct engine_body *body = patch_take(b, patch, (size_t)(op->val.p - b->p) + 1);
	struct engine_row row;

	if (!row_decode(op->val, &row))
		return -EINVAL;
	if (body != NULL)
		return engine_put_body(into, key, row.val, body);
	return row.has_loc ? engine_put_ref(into, key, row.val, &row.loc)
			   : engine_put(into, key, row.val);
}

int engine_note(
    struct engine_batch *into, struct slice prefix, uint32_t *io_n, const struct engine_batch *b)
{
	struct batch_reader r = { .rest = batch_ops(b) };
	uint8_t space[NOTE_PREFIX_MAX + NOTE_HEAD + ENGINE_KEY_MAX];
	struct batch_op op;
	unsigned patch = 0;
	int rc = 0, more = 0;

	if (prefix.n > NOTE_PREFIX_MAX)
		return ENGINE_TOOBIG;
	memcpy(space, prefix.p, prefix.n);
	while (rc == 0 && (more = batch_read_op(&r, &op)) > 0) {
		uint8_t *p = space + prefix.n;
		struct slice key = slice_of(space, prefix.n + NOTE_HEAD + op.key.n);

		wire_store_u32be(p, (*io_n)++);
		p[4] = (uint8_t)op.kind;
		if (op.key.n > 0)
			memcpy(p + NOTE_HEAD, op.key.p, op.key.n);
		rc = op.kind == OP_PUT ? note_put(into, key, b, &op, &patch)
				       : engine_put(into, key, op.val);
	}
	return more < 0 ? -EINVAL : rc;
}

int engine_redo(struct engine_batch *into, const struct engine_row *row, size_t prefix_n)
{
	struct slice key;

	if (row->key.n < prefix_n + NOTE_HEAD)
		return ENGINE_CORRUPT;
	key = slice_from(row->key, prefix_n + NOTE_HEAD);
	switch (row->key.p[prefix_n + NOTE_HEAD - 1]) {
	case OP_PUT:
		if (key.n == 0)
			return ENGINE_CORRUPT;
		return row->has_loc ? engine_put_ref(into, key, row->val, &row->loc)
				    : engine_put(into, key, row->val);
	case OP_DEL:
		return key.n > 0 ? engine_del(into, key) : ENGINE_CORRUPT;
	case OP_DEL_RANGE:
		return engine_del_range(into, key, row->val);
	case OP_DEL_GROUP:
		return engine_del_group(into);
	default:
		return ENGINE_CORRUPT;
	}
}
