#include "common/base/wire.h"
#include "stored/salvage/newstore.h"
#include "stored/salvage/sync.h"

#include <errno.h>

enum { COMMIT_ROWS = 1000, ROW_KEY_BYTES = 1 + 4 + 8 };

/* Where the row is of the index's rows: its generation; 0: it is none. */
static uint32_t generation_of(const struct raw_row *row)
{
	uint64_t thread;

	if (row->key.n != ROW_KEY_BYTES || row->key.p[0] != REC_THREAD ||
	    thread_row_unpack(row->val, &thread) != 0)
		return 0;
	return wire_load_u32be(row->key.p + 1);
}

static int head_put(struct engine_batch *b, const struct threads_rec *head)
{
	struct rec_key key = key_kind(REC_HEAD);
	uint8_t val[RECORD_THREADS_BYTES];

	threads_pack(head, val);
	return sync_rc(engine_put(b, key_slice(&key), slice_of(val, sizeof(val))));
}

/* What is put counts, not what the old header says. */
static int rows_copy(struct raw *raw, struct slice group, struct engine *e, struct engine_group *g)
{
	struct threads_rec head = { 0 };
	struct engine_batch *b = NULL;
	struct raw_row row;
	unsigned n = 0;
	int rc = 0;

	for (bool any = raw_seek(raw, group, SLICE_NONE, &row);
	     any && rc == 0 && slice_eq(row.group, group); any = raw_next(raw, &row, &row)) {
		uint32_t generation = generation_of(&row);

		if (generation == 0)
			continue;
		if (generation > head.generation)
			head = (struct threads_rec){ .generation = generation };
		head.rows += generation == head.generation;
		if (b == NULL && (b = engine_batch_new(g)) == NULL)
			rc = -ENOMEM;
		if (rc == 0)
			rc = sync_rc(engine_put(b, row.key, row.val));
		if (rc == 0 && ++n % COMMIT_ROWS == 0)
			rc = sync_commit(e, &b);
	}
	if (rc == 0 && n > 0 && b == NULL && (b = engine_batch_new(g)) == NULL)
		rc = -ENOMEM;
	if (rc == 0 && n > 0)
		rc = head_put(b, &head);
	if (rc == 0 && n > 0)
		rc = sync_commit(e, &b);
	engine_batch_free(&b);
	return rc;
}

int threads_copy(struct raw *raw, uint64_t account, struct engine *e)
{
	struct rec_key id = key_group_threads(account);
	struct engine_group *g;
	struct raw_row row;
	int rc;

	if (!raw_seek(raw, key_slice(&id), SLICE_NONE, &row) ||
	    !slice_eq(row.group, key_slice(&id)))
		return 0;
	rc = sync_group(e, key_slice(&id), &g);
	if (rc == 0) {
		rc = rows_copy(raw, key_slice(&id), e, g);
		engine_group_close(&g);
	}
	return rc;
}
