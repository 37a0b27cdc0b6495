/*
 * The step ahead: what was given out after the backup was made is not known any more, and must not
 * be given out again. So every mailbox goes on behind any uid and modseq that it can have reached.
 */
#include "stored/backup/backup.h"

#include "common/base/io.h"
#include "common/base/wire.h"
#include "stored/salvage/model.h"
#include "stored/salvage/open.h"
#include "stored/salvage/sync.h"

#include <errno.h>
#include <stdlib.h>

/* What a change is to be made to. */
struct step {
	uint8_t group[ENGINE_GROUP_BYTES];
	size_t group_n;
	unsigned shard;
	bool root;
	struct root_rec account; /* of a root group */
	struct mbox_head head;   /* of a mailbox */
};

struct steps {
	struct step *v;
	size_t n, cap;
	uint64_t ids;
};

static int step_add(struct steps *l, const struct raw_row *row)
{
	struct slice group = row->group;
	struct step s = { .group_n = group.n, .shard = row->shard, .root = group.p[0] == 'r' };

	memcpy(s.group, group.p, group.n);
	if (s.root ? root_unpack(row->val, &s.account) : head_unpack(row->val, &s.head))
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 256 : 2 * l->cap;
		struct step *v = realloc(l->v, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = s;
	return 0;
}

static bool heads_and_ids(void *arg, struct slice group, struct slice key)
{
	return key.n == 1 && (key.p[0] == REC_HEAD || key.p[0] == REC_IDS);
}

static int steps_find(int store_fd, struct report *rep, struct steps *ret)
{
	struct raw_row row;
	struct raw *r;
	int rc = open_raw(store_fd, "store", NULL, heads_and_ids, rep, &r);

	if (rc != 0)
		return rc < 0 ? rc : -EIO;
	for (bool any = raw_seek(r, SLICE_NONE, SLICE_NONE, &row); any && rc == 0;
	     any = raw_next(r, &row, &row)) {
		if (row.group.n == 1 && row.key.p[0] == REC_IDS && row.val.n == 8)
			ret->ids = wire_load_u64(row.val.p);
		else if (row.group.n == 9 && row.key.p[0] == REC_HEAD &&
			 (row.group.p[0] == 'm' || row.group.p[0] == 'r'))
			rc = step_add(ret, &row);
	}
	raw_close(&r);
	return rc;
}

static int mailbox_write(struct engine *e, const struct step *s)
{
	struct rec_key from = key_kind(REC_GONE), to = key_kind_end(REC_GONE),
		       key = key_kind(REC_HEAD);
	uint8_t val[RECORD_HEAD_BYTES];
	struct mbox_head h = s->head;
	struct engine_group *g;
	struct engine_batch *b;
	int rc = sync_group_in(e, s->shard, slice_of(s->group, s->group_n), &g);

	if (rc != 0)
		return rc;
	record_head_ahead(&h);
	head_pack(&h, val);
	b = engine_batch_new(g);
	rc = b == NULL ? -ENOMEM
		       : sync_rc(engine_put(b, key_slice(&key), slice_of(val, sizeof(val))));
	if (rc == 0)
		rc = sync_rc(engine_del_range(b, key_slice(&from), key_slice(&to)));
	if (rc == 0)
		rc = sync_commit(e, &b);
	engine_batch_free(&b);
	engine_group_close(&g);
	return rc;
}

static int account_write(struct engine *e, const struct step *s)
{
	uint8_t val[RECORD_ROOT_BYTES];
	struct root_rec r = s->account;

	record_root_ahead(&r);
	root_pack(&r, val);
	return sync_put_in(e, s->shard, slice_of(s->group, s->group_n), key_kind(REC_HEAD),
	    slice_of(val, sizeof(val)));
}

static int ids_write(struct engine *e, uint64_t ids)
{
	struct rec_key group = key_group_store();
	uint8_t val[8];

	wire_store_u64(val, ids + RECORD_IDS_AHEAD);
	return sync_put(e, key_slice(&group), key_kind(REC_IDS), slice_of(val, sizeof(val)));
}

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	report_progress(arg, "segments of the log", done, of);
}

int restore_step_ahead(int store_fd, struct report *rep)
{
	const struct engine_conf conf = { .progress = on_progress, .progress_arg = rep };
	struct steps l = { 0 };
	struct engine *e = NULL;
	int rc = steps_find(store_fd, rep, &l);

	if (rc == 0) {
		rc = engine_open("1*lmdb", store_fd, &conf, &e); /* as many shards as there are */
		rc = rc > 0 ? -EIO : rc;
	}
	if (rc == 0 && l.ids > 0)
		rc = ids_write(e, l.ids);
	for (size_t i = 0; i < l.n && rc == 0; i++) {
		rc = l.v[i].root ? account_write(e, &l.v[i]) : mailbox_write(e, &l.v[i]);
		report_progress(rep, "mailboxes", i + 1, l.n);
	}
	if (e != NULL)
		engine_close(&e);
	free(l.v);
	return rc;
}
