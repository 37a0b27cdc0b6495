#include "stored/salvage/newstore.h"

#include "common/base/io.h"
#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "stored/salvage/open.h"
#include "stored/salvage/sync.h"

#include <errno.h>
#include <stdlib.h>

enum { COMMIT_MESSAGES = 100, COMMIT_BYTES = 4 << 20, COPY_ROWS = 500 };

struct newstore {
	struct model *model;
	struct report *rep;
	struct engine *e;
	uint64_t id_max;
	/* the mailbox under way */
	struct engine_group *group;
	struct engine_batch *batch;
	struct mbox_head head;
	unsigned n;
	uint64_t bytes;
	/* the message under way */
	struct engine_body *body;
	struct waiting room;
};

int newstore_open(struct out *o, struct model *m, struct report *rep, struct newstore **ret_n)
{
	struct newstore *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return -ENOMEM;
	n->model = m;
	n->rep = rep;
	rc = out_database(o, "store", &n->e);
	if (rc != 0)
		free(n);
	else
		*ret_n = n;
	return rc;
}

void newstore_free(struct newstore **n)
{
	if (*n == NULL)
		return;
	engine_body_free(&(*n)->body);
	engine_batch_free(&(*n)->batch);
	if ((*n)->group != NULL)
		engine_group_close(&(*n)->group);
	engine_close(&(*n)->e);
	free(*n);
	*n = NULL;
}

static void saw_id(struct newstore *n, uint64_t id)
{
	if (id > n->id_max)
		n->id_max = id;
}

static int put(struct engine_batch *b, struct rec_key key, const void *p, size_t n)
{
	int rc = b == NULL ? -ENOMEM : engine_put(b, key_slice(&key), slice_of(p, n));

	return rc > 0 ? -EIO : rc;
}

/* ---- mailboxes ---- */

static int batch_commit(struct newstore *n)
{
	uint8_t val[RECORD_HEAD_BYTES];
	int rc;

	head_pack(&n->head, val);
	rc = put(n->batch, key_kind(REC_HEAD), val, sizeof(val));
	if (rc == 0)
		rc = sync_commit(n->e, &n->batch);
	n->n = 0;
	n->bytes = 0;
	return rc;
}

static int on_mbox_begin(void *arg, struct sv_mbox *b)
{
	struct newstore *n = arg;
	struct rec_key id = key_group_mbox(b->id);
	uint8_t names[KEYWORDS_RECORD_MAX];
	int rc = sync_group(n->e, key_slice(&id), &n->group);

	if (rc != 0)
		return rc;
	saw_id(n, b->id);
	n->head = (struct mbox_head){ .uidvalidity = sv_mbox_validity(b),
		.uidnext = b->has_head ? b->head.uidnext : 1,
		.modseq = b->has_head ? b->head.modseq : 1,
		.account = b->account->id,
		.recent_from = b->head.recent_from,
		.keywords = b->keywords.n };
	n->batch = engine_batch_new(n->group);
	if (n->batch == NULL)
		return -ENOMEM;
	for (unsigned row = 0; rc == 0 && row < keywords_rows(&b->keywords); row++)
		rc = put(
		    n->batch, key_keywords(row), names, keywords_pack(&b->keywords, row, names));
	return rc;
}

static int on_mbox_end(void *arg, struct sv_mbox *b)
{
	struct newstore *n = arg;
	int rc;

	if (n->head.uidnext <= b->uid_max)
		n->head.uidnext = b->uid_max + 1;
	if (n->head.modseq < b->modseq)
		n->head.modseq = b->modseq;
	record_head_ahead(&n->head);
	rc = batch_commit(n);
	engine_group_close(&n->group);
	return rc;
}

/* ---- messages ---- */

static int on_begin(void *arg, const struct sv_msg *m)
{
	struct newstore *n = arg;

	n->body = engine_body_begin(n->e, m->rec.size, sync_done, &n->room);
	if (n->body != NULL && engine_loc_packed(&m->loc))
		engine_body_pack(n->body);
	return n->body == NULL ? -ENOMEM : 0;
}

static int on_bytes(void *arg, struct slice s)
{
	struct newstore *n = arg;
	int rc;

	while ((rc = engine_body_append(n->body, s)) == ENGINE_AGAIN)
		if ((rc = sync_wait(n->e, &n->room)) != 0)
			return rc;
	return sync_rc(rc);
}

static int rows_put(struct newstore *n, const struct sv_msg *m)
{
	struct rec_key key = key_u32(REC_MSG, m->uid);
	struct flags_rec f = { m->flags, m->keywords, m->modseq };
	static uint8_t msg[RECORD_MSG_MAX], flags[RECORD_FLAGS_MAX];
	int rc = sync_rc(engine_put_body(
	    n->batch, key_slice(&key), slice_of(msg, msg_pack(&m->rec, msg)), n->body));

	if (rc == 0 && m->modseq != m->rec.modseq)
		rc = put(n->batch, key_u32(REC_FLAGS, m->uid), flags, flags_pack(&f, flags));
	n->head.exists++;
	n->head.unseen += (m->flags & IPC_FLAG_SEEN) == 0;
	n->head.bytes += m->rec.size;
	saw_id(n, m->rec.id);
	return rc;
}

static int on_end(void *arg, const struct sv_msg *m, bool whole)
{
	struct newstore *n = arg;
	struct waiting ready = { 0 };
	int rc = 0;

	if (whole) {
		rc = engine_body_end(n->body, sync_done, &ready);
		rc = rc == ENGINE_AGAIN ? sync_wait(n->e, &ready) : sync_rc(rc);
		if (rc == 0)
			rc = rows_put(n, m);
		n->bytes += m->rec.size;
		n->n++;
	}
	engine_body_free(&n->body);
	if (rc != 0 || (n->n < COMMIT_MESSAGES && n->bytes < COMMIT_BYTES))
		return rc;
	rc = batch_commit(n);
	n->batch = engine_batch_new(n->group);
	return rc == 0 && n->batch == NULL ? -ENOMEM : rc;
}

struct sink newstore_sink(struct newstore *n)
{
	return (struct sink){ .arg = n,
		.mbox_begin = on_mbox_begin,
		.begin = on_begin,
		.bytes = on_bytes,
		.end = on_end,
		.mbox_end = on_mbox_end };
}

/* ---- accounts ---- */

static int name_put(void *arg, enum record_kind k, uint64_t id, struct slice name)
{
	uint8_t val[RECORD_NAME_BYTES + 1024];

	if (name.n > 1024)
		return 0;
	return put(arg, key_u64(k, id), val, name_pack(name, val));
}

static int dir_put(void *arg, uint64_t id, struct slice name)
{
	return name_put(arg, REC_DIR, id, name);
}

static int sub_put(void *arg, uint64_t id, struct slice name)
{
	return name_put(arg, REC_SUB, id, name);
}

static int mbox_put(
    struct engine_batch *b, uint64_t id, uint32_t validity, uint32_t attrs, struct slice name)
{
	struct mbox_rec rec = { .uidvalidity = validity, .attrs = attrs, .name = name };
	uint8_t val[RECORD_MBOX_BYTES + 1024];

	if (name.n > 1024)
		return 0;
	return put(b, key_u64(REC_MBOX, id), val, mbox_pack(&rec, val));
}

/* An account always has an INBOX. */
static int mboxes_put(
    struct newstore *n, struct engine_batch *b, const struct sv_account *a, struct root_rec *root)
{
	bool inbox = false;
	int rc = 0;

	for (size_t i = 0; i < a->n && rc == 0; i++) {
		const struct sv_mbox *m = a->mboxes[i];
		uint32_t validity = sv_mbox_validity(m);

		if (m->deleted)
			continue;
		inbox |= slice_eq(m->name, SLICE("INBOX"));
		if (validity >= root->next_uidvalidity)
			root->next_uidvalidity = validity + 1;
		rc = mbox_put(b, m->id, validity, m->rec.attrs, m->name);
	}
	if (rc == 0 && !inbox)
		rc = mbox_put(b, ++n->id_max, root->next_uidvalidity++, 0, SLICE("INBOX"));
	return rc;
}

static int account_write(struct newstore *n, const struct sv_account *a)
{
	struct rec_key id = key_group_root(a->id), all = key_group_store();
	struct root_rec root = a->has_root ? a->root : (struct root_rec){ a->id, 1, 0, false };
	uint8_t val[RECORD_ROOT_BYTES], shard[4] = { 0 };
	struct engine_group *g;
	struct engine_batch *b;
	int rc = sync_group(n->e, key_slice(&id), &g);

	if (rc != 0)
		return rc;
	b = engine_batch_new(g);
	rc = b == NULL ? -ENOMEM : mboxes_put(n, b, a, &root);
	if (rc == 0)
		rc = model_each_name(n->model, a->id, REC_DIR, dir_put, b);
	if (rc == 0)
		rc = model_each_name(n->model, a->id, REC_SUB, sub_put, b);
	record_root_ahead(&root);
	root_pack(&root, val);
	if (rc == 0)
		rc = put(b, key_kind(REC_HEAD), val, sizeof(val));
	if (rc == 0)
		rc = sync_commit(n->e, &b);
	engine_batch_free(&b);
	engine_group_close(&g);
	if (rc == 0)
		rc = threads_copy(n->model->raw, a->id, n->e);
	return rc != 0 ? rc
		       : sync_put(n->e, key_slice(&all), key_u64(REC_ACCOUNT, a->id),
			     slice_of(shard, sizeof(shard)));
}

int newstore_finish(struct newstore *n)
{
	struct rec_key all = key_group_store(), ids = key_kind(REC_IDS);
	struct raw_row row;
	uint8_t val[8];
	int rc = 0;

	if (raw_get(n->model->raw, key_slice(&all), key_slice(&ids), &row) && row.val.n == 8)
		saw_id(n, wire_load_u64(row.val.p));
	for (size_t i = 0; i < n->model->n && rc == 0; i++)
		if (n->model->accounts[i]->id != 0)
			rc = account_write(n, n->model->accounts[i]);
	wire_store_u64(val, n->id_max + RECORD_IDS_AHEAD);
	return rc == 0 ? sync_put(n->e, key_slice(&all), ids, slice_of(val, sizeof(val))) : rc;
}

/* ---- databases without bodies ---- */

static int copy_rows(struct engine *e, struct raw *r)
{
	struct engine_group *g = NULL;
	struct engine_batch *b = NULL;
	struct raw_row row, next = { 0 };
	unsigned n = 0;
	int rc = 0;

	for (bool any = raw_seek(r, SLICE_NONE, SLICE_NONE, &row); any && rc == 0; row = next) {
		any = raw_next(r, &row, &next);
		if (g == NULL)
			rc = sync_group(e, row.group, &g);
		if (rc == 0 && b == NULL && (b = engine_batch_new(g)) == NULL)
			rc = -ENOMEM;
		if (rc == 0 && !row.has_loc)
			rc = sync_rc(engine_put(b, row.key, row.val));
		if (rc == 0 && (!any || ++n % COPY_ROWS == 0 || !slice_eq(next.group, row.group)))
			rc = sync_commit(e, &b);
		if (g != NULL && (!any || !slice_eq(next.group, row.group)))
			engine_group_close(&g);
	}
	engine_batch_free(&b);
	if (g != NULL)
		engine_group_close(&g);
	return rc;
}

int newstore_copy(struct out *o, int from_fd, const char *name, struct report *rep)
{
	struct engine *e;
	struct raw *r;
	int rc = open_raw(from_fd, name, NULL, NULL, rep, &r);

	if (rc != 0)
		return rc < 0 ? rc : 0; /* it is in the report */
	rc = out_database(o, name, &e);
	if (rc == 0) {
		rc = copy_rows(e, r);
		engine_close(&e);
	}
	raw_close(&r);
	return rc;
}
