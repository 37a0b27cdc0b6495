/*
 * account-load - from the store to memory: the account's row, its root group, the header of each
 * mailbox. Messages are not touched. Each step asks for an answer from memory first.
 */
#include "stored/cross.h"
#include "stored/tree.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <stdlib.h>

enum load_step {
	LOAD_BEGUN, /* in the store's group */
	LOAD_SHARD,
	LOAD_ROOT,
	LOAD_BEGUN_ROOT, /* in the account's */
	LOAD_ROWS,
	LOAD_GROUP,
	LOAD_HEAD,
	LOAD_LOANS,
	LOAD_END
};

struct account_load {
	struct account *a;
	enum load_step step;
	int rc;
	bool found, more;
	bool making; /* its shard was chosen now */
	size_t next; /* mailbox */
	struct rec_key from;
	struct engine_group *group;
};

static void load_steps(struct account_load *l);

/* Deleted mailboxes get a list of their own. */
static bool lost_split(struct account *a)
{
	size_t n = 0, to = 0;

	for (size_t i = 0; i < a->n_mboxes; i++)
		n += a->mboxes[i]->deleted_s != 0;
	a->lost = n > 0 ? calloc(n, sizeof(struct mbox *)) : NULL;
	if (n > 0 && a->lost == NULL)
		return false;
	for (size_t i = 0; n > 0 && i < a->n_mboxes; i++) {
		struct mbox *m = a->mboxes[i];

		if (m->deleted_s != 0)
			a->lost[a->n_lost++] = m;
		else
			a->mboxes[to++] = m;
	}
	if (n > 0)
		a->n_mboxes = to;
	return true;
}

static void load_finish(struct account_load *l, int status)
{
	struct account *a = l->a;

	if (status != IPC_ST_OK && status != IPC_ST_NOTFOUND)
		log_ev(LOG_ERR, "stored.engine", kv_s("what", "account"), kv_u("account", a->id),
		    kv_s("why", engine_rc_name(l->rc)));
	if (!lost_split(a) && status == IPC_ST_OK)
		status = IPC_ST_TRYLATER;
	if (l->making && status != IPC_ST_OK)
		shard_refused(a->st, a->shard);
	tree_mboxes_sort(a);
	a->load = NULL;
	a->st->in_flight--;
	free(l);
	account_loaded(a, status);
}

/* ---- rows ---- */

static void on_shard(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct account_load *l = arg;

	l->rc = rc;
	l->found = rc == ENGINE_OK && n == 1;
	if (!l->found)
		l->rc = rc == ENGINE_OK ? ENGINE_NOTFOUND : rc;
	else if (rows[0].val.n != 4 || wire_load_u32(rows[0].val.p) >= l->a->st->n_shards)
		l->rc = ENGINE_CORRUPT;
	else
		l->a->shard = wire_load_u32(rows[0].val.p);
}

static int mbox_list_add(
    struct account *a, uint64_t id, const struct mbox_rec *rec, int64_t deleted_s)
{
	struct mbox **p = reallocarray(a->mboxes, a->n_mboxes + 1, sizeof(*p));

	if (p == NULL)
		return 1;
	a->mboxes = p;
	p[a->n_mboxes] = mbox_new(a, id, rec);
	if (p[a->n_mboxes] == NULL)
		return 1;
	p[a->n_mboxes]->deleted_s = deleted_s;
	if (slice_eq(rec->name, SLICE("INBOX")) && deleted_s == 0)
		a->inbox = p[a->n_mboxes];
	a->n_mboxes++;
	return 0;
}

static int root_row(struct account *a, const struct engine_row *row)
{
	struct lost_rec lost;
	struct mbox_rec rec;
	struct slice name;
	uint64_t id;

	if (key_get_u64(row->key, REC_DIR, &id) == 0)
		return name_unpack(row->val, &name) != 0 || tree_names_add(&a->dirs, id, name) != 0;
	if (key_get_u64(row->key, REC_SUB, &id) == 0)
		return name_unpack(row->val, &name) != 0 || tree_names_add(&a->subs, id, name) != 0;
	if (row->key.n == 1 && row->key.p[0] == REC_HEAD)
		return root_unpack(row->val, &a->rec);
	if (row->key.n == 1 && row->key.p[0] == REC_ALLOW)
		return allow_unpack(row->val, &a->allow);
	if (row->key.n == 1 && row->key.p[0] == REC_CROSS)
		return cross_found(a, row->val);
	if (row->key.n > 0 && (row->key.p[0] == REC_INTENT || row->key.p[0] == REC_APPLIED))
		return 0;
	if (a->n_mboxes == ACCOUNT_MBOXES_MAX + LOST_MBOXES_MAX)
		return 1;
	if (key_get_u64(row->key, REC_LOST, &id) == 0)
		return lost_unpack(row->val, &lost) != 0 ||
		       mbox_list_add(a, id, &lost.mbox, lost.when) != 0;
	if (key_get_u64(row->key, REC_MBOX, &id) != 0)
		return 1;
	return mbox_unpack(row->val, &rec) != 0 || mbox_list_add(a, id, &rec, 0) != 0;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct account_load *l = arg;

	l->rc = rc;
	l->more = more;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++) {
		if (root_row(l->a, &rows[i]) != 0) {
			l->rc = ENGINE_CORRUPT;
			return;
		}
	}
	if (rc == ENGINE_OK && more && n > 0 && rows[n - 1].key.n < RECORD_KEY_MAX) {
		l->from = (struct rec_key){ .n = (uint8_t)(rows[n - 1].key.n + 1) };
		memcpy(l->from.p, rows[n - 1].key.p, rows[n - 1].key.n);
	}
}

static void on_head(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct account_load *l = arg;
	struct mbox *m = l->a->mboxes[l->next];

	l->rc = rc == ENGINE_NOTFOUND ? ENGINE_OK : rc;
	if (rc != ENGINE_OK || n == 0)
		return; /* never written to: as mbox_new() made it */
	if (head_unpack(rows[0].val, &m->pub) != 0 || m->pub.account != l->a->id)
		l->rc = ENGINE_CORRUPT;
	m->pend = m->pub;
	m->recent_from = m->pub.recent_from;
	if (m->pub.modseq > l->a->modseq)
		l->a->modseq = m->pub.modseq;
}

/* A damaged row is none: its messages are as if they never had facts. */
static void on_loans(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct account_load *l = arg;
	struct mbox *m = l->a->mboxes[l->next];
	uint32_t row;

	l->rc = rc;
	l->more = more && n > 0;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++)
		if (key_get_u32(rows[i].key, REC_LOANS, &row) == 0 && row < mbox_end(&m->pub) &&
		    loans_unpack(&m->loans, row, rows[i].val) < 0)
			l->rc = ENGINE_IO;
	if (rc == ENGINE_OK && l->more)
		l->from = key_after(rows[n - 1].key);
}

/* The same, when the answer came later. */
#define LATER(name)                                                                \
	static void name##_later(                                                  \
	    void *arg, int rc, const struct engine_row *rows, size_t n, bool more) \
	{                                                                          \
		name(arg, rc, rows, n, more);                                      \
		((struct account_load *)arg)->step++;                              \
		load_steps(arg);                                                   \
	}
LATER(on_shard)
LATER(on_rows)
LATER(on_head)
LATER(on_loans)
#undef LATER

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	struct account_load *l = arg;

	l->rc = rc;
	l->group = rc == ENGINE_OK ? take_group : NULL;
	l->step++;
	load_steps(l);
}

/* ---- what was begun in several groups ---- */

static void on_replayed(void *arg, int rc)
{
	struct account_load *l = arg;

	l->rc = rc;
	l->step++;
	load_steps(l);
}

static bool step_replay(struct account_load *l, struct engine_group *const *home)
{
	struct store *st = l->a->st;

	if (engine_limits(store_engine(st))->commit_atomic)
		return true;
	if (*home == NULL) {
		meta_reopen(st); /* the last try failed, or is under way */
		l->rc = ENGINE_IO;
		return true;
	}
	intent_replay(st, home, l->a->id, on_replayed, l);
	return false;
}

/* ---- making ---- */

static void on_made(void *arg, int rc)
{
	struct account_load *l = arg;
	struct account *a = l->a;

	if (rc == ENGINE_UNKNOWN)
		meta_reopen(a->st);
	l->rc = rc;
	l->step = LOAD_GROUP;
	load_steps(l);
}

static bool make_rows(struct account *a, struct engine_batch *root, struct engine_batch *meta,
    uint64_t inbox, const struct mbox_rec *rec)
{
	struct rec_key head = key_kind(REC_HEAD), row = key_u64(REC_MBOX, inbox);
	struct rec_key account = key_u64(REC_ACCOUNT, a->id);
	uint8_t root_val[RECORD_ROOT_BYTES], mbox_val[RECORD_MBOX_BYTES + 8], shard[4];
	size_t n = mbox_pack(rec, mbox_val);

	root_pack(&a->rec, root_val);
	wire_store_u32(shard, a->shard);
	return engine_put(root, key_slice(&head), slice_of(root_val, sizeof(root_val))) == 0 &&
	       engine_put(root, key_slice(&row), slice_of(mbox_val, n)) == 0 &&
	       engine_put(meta, key_slice(&account), slice_of(shard, sizeof(shard))) == 0;
}

/* The root group is open. False: not even tried. */
static bool account_make(struct account_load *l)
{
	struct account *a = l->a;
	struct store *st = a->st;
	uint64_t inbox = store_id(st);
	uint32_t now = (uint32_t)clock_wall_s();
	struct mbox_rec rec = { .kind = MBOX_STORE, .uidvalidity = now, .name = SLICE("INBOX") };
	const struct commit_ask ask = { .account = a, .done = on_made, .arg = l };
	struct engine_batch *b[2];

	if (st->meta == NULL || inbox == 0)
		return false;
	a->rec = (struct root_rec){
		.account = a->id, .next_uidvalidity = now + 1, .created = clock_wall_s()
	};
	b[0] = engine_batch_new(a->root);
	b[1] = engine_batch_new(st->meta);
	if (b[0] == NULL || b[1] == NULL || !make_rows(a, b[0], b[1], inbox, &rec) ||
	    mbox_list_add(a, inbox, &rec, 0) != 0 || commit_hand_in(st, &ask, b, 2) != 0) {
		engine_batch_free(&b[0]);
		engine_batch_free(&b[1]);
		return false;
	}
	return true;
}

/* ---- the steps; each returns false when an answer comes later ---- */

static bool step_shard(struct account_load *l)
{
	struct rec_key key = key_u64(REC_ACCOUNT, l->a->id);
	struct engine_group *meta = l->a->st->meta;
	int r;

	if (meta == NULL) {
		meta_reopen(l->a->st); /* the last try failed, or is under way */
		l->rc = ENGINE_IO;
		return true;
	}
	r = engine_get_now(meta, key_slice(&key), on_shard, l);
	if (r == ENGINE_AGAIN) {
		engine_get(meta, key_slice(&key), on_shard_later, l);
		return false;
	}
	if (r != ENGINE_OK)
		l->rc = r;
	return true;
}

static bool step_open(struct account_load *l, struct rec_key id)
{
	struct engine *e = store_engine(l->a->st);
	unsigned how = ENGINE_CREATE | ENGINE_IN(l->a->shard);

	l->rc = engine_group_open_now(e, key_slice(&id), 0, how, &l->group);
	if (l->rc != ENGINE_AGAIN)
		return true;
	engine_group_open(e, key_slice(&id), 0, how, on_group, l);
	return false;
}

static bool step_rows(struct account_load *l)
{
	int r = engine_scan_now(l->a->root, key_slice(&l->from), SLICE_NONE, 0, on_rows, l);

	if (r == ENGINE_AGAIN) {
		engine_scan(l->a->root, key_slice(&l->from), SLICE_NONE, 0, on_rows_later, l);
		return false;
	}
	if (r != ENGINE_OK)
		l->rc = r;
	return true;
}

static bool step_head(struct account_load *l)
{
	struct rec_key key = key_kind(REC_HEAD);
	struct mbox *m = l->a->mboxes[l->next];
	int r = engine_get_now(m->group, key_slice(&key), on_head, l);

	if (r == ENGINE_AGAIN) {
		engine_get(m->group, key_slice(&key), on_head_later, l);
		return false;
	}
	if (r != ENGINE_OK)
		on_head(l, r, NULL, 0, false);
	return true;
}

static bool step_loans(struct account_load *l)
{
	struct mbox *m = l->a->mboxes[l->next];
	struct rec_key to = key_kind_end(REC_LOANS);
	int r;

	if (!m->pub.loans)
		return true;
	r = engine_scan_now(m->group, key_slice(&l->from), key_slice(&to), 0, on_loans, l);
	if (r == ENGINE_AGAIN) {
		engine_scan(m->group, key_slice(&l->from), key_slice(&to), 0, on_loans_later, l);
		return false;
	}
	if (r != ENGINE_OK)
		l->rc = r;
	return true;
}

/* What was read decides where to go on. False: the load has ended. */
static bool load_decide(struct account_load *l)
{
	struct account *a = l->a;

	switch (l->step) {
	case LOAD_ROOT: /* the account's row was looked up */
		if (l->rc == ENGINE_NOTFOUND && a->create) {
			l->rc = ENGINE_OK;
			a->shard = shard_for_new(a->st);
			l->making = true;
		}
		break;
	case LOAD_SHARD: /* nothing of the account is half made, or half gone */
	case LOAD_ROWS:  /* nor of its mailboxes */
		break;
	case LOAD_BEGUN_ROOT: /* the root group was opened */
		if (l->rc != ENGINE_OK)
			break;
		a->root = l->group;
		if (!l->found) {
			if (account_make(l))
				return false;
			l->rc = ENGINE_IO;
		}
		break;
	case LOAD_GROUP: /* rows were read, or made */
		if (l->rc == ENGINE_OK && l->more && l->found)
			l->step = LOAD_ROWS;
		break;
	case LOAD_HEAD: /* a mailbox's group was opened */
		if (l->rc == ENGINE_OK)
			mbox_take_group(a->mboxes[l->next], l->group);
		break;
	case LOAD_LOANS: /* its header was read */
		l->from = key_kind(REC_LOANS);
		break;
	default: /* what it shares was read */
		if (l->rc == ENGINE_OK && l->more) {
			l->step = LOAD_LOANS;
			break;
		}
		l->next++;
		l->step = LOAD_GROUP;
		break;
	}
	if (l->rc == ENGINE_OK && l->step == LOAD_GROUP && l->next == a->n_mboxes) {
		if (a->inbox == NULL)
			l->rc = ENGINE_CORRUPT;
		load_finish(l, store_status(l->rc));
		return false;
	}
	if (l->rc != ENGINE_OK) {
		load_finish(l, store_status(l->rc));
		return false;
	}
	return true;
}

static void load_steps(struct account_load *l)
{
	/* A step number names what comes next; on entry in the middle, an answer has arrived. */
	while (l->step == LOAD_BEGUN || load_decide(l)) {
		bool now = false;

		switch (l->step) {
		case LOAD_BEGUN:
			now = step_replay(l, &l->a->st->meta);
			break;
		case LOAD_BEGUN_ROOT:
			now = step_replay(l, &l->a->root);
			break;
		case LOAD_SHARD:
			now = step_shard(l);
			break;
		case LOAD_ROOT:
			now = step_open(l, key_group_root(l->a->id));
			break;
		case LOAD_ROWS:
			now = step_rows(l);
			break;
		case LOAD_GROUP:
			now = step_open(l, key_group_mbox(l->a->mboxes[l->next]->id));
			break;
		case LOAD_HEAD:
			now = step_head(l);
			break;
		default:
			now = step_loans(l);
			break;
		}
		if (!now)
			return;
		l->step++;
	}
}

void account_load(struct account *a)
{
	struct account_load *l = calloc(1, sizeof(*l));

	a->st->in_flight++;
	if (l == NULL) {
		a->st->in_flight--;
		account_loaded(a, IPC_ST_TRYLATER);
		return;
	}
	*l = (struct account_load){ .a = a, .step = LOAD_BEGUN, .from = { { 0 }, 1 } };
	a->load = l;
	load_steps(l);
}
