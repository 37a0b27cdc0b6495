/*
 * tree-rows - what an operation on names checks, and the rows of its one commit.
 */
#include "stored/tree-private.h"

#include <stdlib.h>

static bool put_name(struct tree_op *op, enum record_kind kind, uint64_t id, struct slice name)
{
	struct rec_key key = key_u64(kind, id);
	uint8_t val[RECORD_NAME_BYTES + MBOX_NAME_MAX];
	size_t n = name_pack(name, val);

	return engine_put(op->root, key_slice(&key), slice_of(val, n)) == 0;
}

static bool put_mbox(struct tree_op *op, uint64_t id, const struct mbox_rec *rec)
{
	struct rec_key key = key_u64(REC_MBOX, id);
	uint8_t val[RECORD_MBOX_BYTES + MBOX_NAME_MAX];
	size_t n = mbox_pack(rec, val);

	return engine_put(op->root, key_slice(&key), slice_of(val, n)) == 0;
}

static bool del_row(struct tree_op *op, enum record_kind kind, uint64_t id)
{
	struct rec_key key = key_u64(kind, id);

	return engine_del(op->root, key_slice(&key)) == 0;
}

static bool name_exists(const struct account *a, struct slice name)
{
	bool mbox, dir;

	(void)tree_mboxes_lower(a, name, &mbox);
	(void)tree_names_lower(&a->dirs, name, &dir);
	return mbox || dir;
}

/* Directories for the levels above op->to that nobody has. */
static bool put_parents(struct tree_op *op)
{
	struct account *a = op->account;

	for (size_t i = 0; i < op->to.n; i++) {
		struct slice above = slice_part(op->to, 0, i);
		struct tree_parent *p = &op->parents[op->n_parents];

		if (op->to.p[i] != '/' || name_exists(a, above))
			continue;
		*p = (struct tree_parent){ store_id(a->st), i };
		op->n_parents++;
		if (p->id == 0 || !put_name(op, REC_DIR, p->id, above))
			return false;
	}
	return true;
}

/* The next uidvalidity of the account belongs to the new mailbox. */
static bool put_uidvalidity(struct tree_op *op)
{
	struct rec_key key = key_kind(REC_HEAD);
	struct root_rec rec = op->account->rec;
	uint8_t val[RECORD_ROOT_BYTES];

	op->uidvalidity = rec.next_uidvalidity++;
	root_pack(&rec, val);
	return engine_put(op->root, key_slice(&key), slice_of(val, sizeof(val))) == 0;
}

/* ---- a new mailbox needs its group first ---- */

static int fresh_commit(struct tree_op *op);

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	struct tree_op *op = arg;
	struct account *a = op->account;
	int r = store_status(rc);

	a->st->in_flight--;
	if (rc == ENGINE_OK)
		op->group = take_group;
	if (rc == ENGINE_OK)
		r = a->state == ACCOUNT_READY ? fresh_commit(op) : IPC_ST_TRYLATER;
	if (r != OP_UNDER_WAY)
		tree_resume(op, r);
}

static int fresh_start(struct tree_op *op)
{
	struct account *a = op->account;
	struct engine *e = store_engine(a->st);
	unsigned how = ENGINE_CREATE | ENGINE_IN(a->shard);
	struct rec_key id;
	int rc;

	if (a->n_mboxes >= ACCOUNT_MBOXES_MAX)
		return IPC_ST_LIMIT;
	op->id = store_id(a->st);
	if (op->id == 0)
		return IPC_ST_TRYLATER;
	id = key_group_mbox(op->id);
	rc = engine_group_open_now(e, key_slice(&id), 0, how, &op->group);
	if (rc == ENGINE_AGAIN) {
		a->st->in_flight++;
		engine_group_open(e, key_slice(&id), 0, how, on_group, op);
		return OP_UNDER_WAY;
	}
	return rc == ENGINE_OK ? fresh_commit(op) : store_status(rc);
}

static bool move_rows(struct tree_op *op);

/* The group is open: the row of the mailbox, and the new name of what it takes the place of. */
static int fresh_commit(struct tree_op *op)
{
	struct account *a = op->account;
	struct mbox_rec rec = { .kind = MBOX_STORE, .attrs = op->attrs & IPC_ATTR_SPECIAL };
	bool found, good = put_uidvalidity(op);
	size_t dir = tree_names_lower(&a->dirs, op->to, &found);

	rec.uidvalidity = op->uidvalidity;
	rec.name = op->kind == TREE_RENAME ? SLICE("INBOX") : op->to;
	op->fresh = mbox_new(a, op->id, &rec);
	if (op->fresh == NULL)
		return IPC_ST_TRYLATER;
	if (found && op->kind == TREE_CREATE)
		good = good && del_row(op, REC_DIR, a->dirs.v[dir].id);
	good = good && put_mbox(op, op->id, &rec) && put_parents(op) && move_rows(op);
	return tree_commit(op, good, NULL);
}

/* ---- the operations ---- */

static int create_start(struct tree_op *op)
{
	struct account *a = op->account;
	bool mbox, dir;

	(void)tree_mboxes_lower(a, op->to, &mbox);
	(void)tree_names_lower(&a->dirs, op->to, &dir);
	if (mbox || (dir && (op->attrs & IPC_ATTR_NOSELECT)))
		return IPC_ST_EXISTS;
	if (a->dirs.n + TREE_LEVELS_MAX > ACCOUNT_MBOXES_MAX)
		return IPC_ST_LIMIT;
	if (!(op->attrs & IPC_ATTR_NOSELECT))
		return fresh_start(op);
	op->id = store_id(a->st);
	if (op->id == 0)
		return IPC_ST_TRYLATER;
	return tree_commit(op, put_parents(op) && put_name(op, REC_DIR, op->id, op->to), NULL);
}

static int delete_mbox(struct tree_op *op, struct mbox *m)
{
	struct account *a = op->account;
	struct engine_batch *rows;
	bool good;
	int r;

	if (m == a->inbox)
		return IPC_ST_CANNOT;
	if (m->state != MBOX_READY)
		return IPC_ST_TRYLATER;
	op->lose = account_keeps(a) && m->pend.exists + m->pend.lost > 0;
	rows = engine_batch_new(m->group);
	r = op->lose && rows != NULL ? tree_lose(op, m, rows) : IPC_ST_OK;
	if (r != IPC_ST_OK) {
		engine_batch_free(&rows);
		return r;
	}
	good = rows != NULL && del_row(op, REC_MBOX, m->id) &&
	       (op->lose || engine_del_group(rows) == 0);
	if (good && tree_has_children(a, op->name)) {
		op->id = store_id(a->st);
		good = op->id != 0 && put_name(op, REC_DIR, op->id, op->name);
	}
	m->state = MBOX_GOING;
	op->doomed = m;
	r = tree_commit(op, good, rows);
	if (r != OP_UNDER_WAY)
		m->state = MBOX_READY;
	return r;
}

static int delete_start(struct tree_op *op)
{
	struct account *a = op->account;
	bool found;
	size_t i = tree_mboxes_lower(a, op->name, &found);

	if (found)
		return delete_mbox(op, a->mboxes[i]);
	i = tree_names_lower(&a->dirs, op->name, &found);
	if (!found)
		return IPC_ST_NOTFOUND;
	if (tree_has_children(a, op->name))
		return IPC_ST_CANNOT;
	return tree_commit(op, del_row(op, REC_DIR, a->dirs.v[i].id), NULL);
}

/* One name of the renamed tree; false when the new one cannot be. */
static bool move_add(struct tree_op *op, struct mbox *m, uint64_t id, struct slice old)
{
	size_t tail = old.n - op->name.n, n = op->to.n + tail;
	uint8_t space[MBOX_NAME_MAX], *name;
	struct slice good;

	if (n > MBOX_NAME_MAX)
		return false;
	name = malloc(n);
	if (name == NULL)
		return false;
	memcpy(name, op->to.p, op->to.n);
	memcpy(name + op->to.n, old.p + op->name.n, tail);
	op->moves[op->n_moves++] = (struct tree_move){ m, id, slice_of(name, n) };
	return tree_name_good(slice_of(name, n), space, &good);
}

/* What is renamed: the name, and all below but for INBOX. */
static bool moves_collect(struct tree_op *op)
{
	struct account *a = op->account;
	bool found, all = !op->inbox;
	size_t i = tree_mboxes_lower(a, op->name, &found);
	size_t k = tree_names_lower(&a->dirs, op->name, &found), n_m = 0, n_d = 0;

	while (i + n_m < a->n_mboxes && tree_name_within(a->mboxes[i + n_m]->name, op->name) &&
	       (all || n_m == 0))
		n_m++;
	while (all && k + n_d < a->dirs.n && tree_name_within(a->dirs.v[k + n_d].name, op->name))
		n_d++;
	op->moves = calloc(n_m + n_d + 1, sizeof(*op->moves));
	if (op->moves == NULL)
		return false;
	for (; n_m > 0; n_m--, i++)
		if (!move_add(op, a->mboxes[i], a->mboxes[i]->id, a->mboxes[i]->name))
			return false;
	for (; n_d > 0; n_d--, k++)
		if (!move_add(op, NULL, a->dirs.v[k].id, a->dirs.v[k].name))
			return false;
	return true;
}

static bool move_rows(struct tree_op *op)
{
	bool good = true;

	for (size_t i = 0; good && i < op->n_moves; i++) {
		const struct tree_move *v = &op->moves[i];

		if (v->m == NULL)
			good = put_name(op, REC_DIR, v->id, v->name);
		else
			good = put_mbox(op, v->id,
			    &(struct mbox_rec){ .kind = v->m->pub.kind,
				.uidvalidity = v->m->uidvalidity,
				.attrs = v->m->attrs,
				.name = v->name });
	}
	return good;
}

static int rename_start(struct tree_op *op)
{
	struct account *a = op->account;

	if (!name_exists(a, op->name))
		return IPC_ST_NOTFOUND;
	if (name_exists(a, op->to))
		return IPC_ST_EXISTS;
	if (tree_name_within(op->to, op->name) && !op->inbox)
		return IPC_ST_CANNOT;
	if (a->dirs.n + TREE_LEVELS_MAX > ACCOUNT_MBOXES_MAX)
		return IPC_ST_LIMIT;
	if (!moves_collect(op))
		return IPC_ST_LIMIT;
	if (op->inbox)
		return fresh_start(op);
	return tree_commit(op, put_parents(op) && move_rows(op), NULL);
}

static int subscribe_start(struct tree_op *op)
{
	struct tree_names *subs = &op->account->subs;
	bool found, on = op->kind == TREE_SUBSCRIBE;
	size_t i = tree_names_lower(subs, op->name, &found);

	if (found == on)
		return IPC_ST_OK;
	if (!on)
		return tree_commit(op, del_row(op, REC_SUB, subs->v[i].id), NULL);
	if (subs->n >= ACCOUNT_MBOXES_MAX)
		return IPC_ST_LIMIT;
	op->id = store_id(op->account->st);
	if (op->id == 0)
		return IPC_ST_TRYLATER;
	return tree_commit(op, put_name(op, REC_SUB, op->id, op->name), NULL);
}

/*
 * A mailbox that is moved here from elsewhere keeps its uidvalidity, as long as nobody can have
 * seen a uid of it. Uidvalidities of mailboxes that are gone are not remembered: whoever places one
 * vouches for it.
 */
static int place_start(struct tree_op *op)
{
	struct account *a = op->account;
	struct mbox_rec rec = { .uidvalidity = op->attrs };
	struct rec_key key = key_kind(REC_HEAD);
	struct root_rec root = a->rec;
	uint8_t val[RECORD_ROOT_BYTES];
	bool found, good = true;
	size_t i = tree_mboxes_lower(a, op->name, &found);
	const struct mbox *m = found ? a->mboxes[i] : NULL;

	if (m == NULL)
		return IPC_ST_NOTFOUND;
	if (rec.uidvalidity == m->uidvalidity)
		return IPC_ST_OK;
	if (rec.uidvalidity == 0 || rec.uidvalidity == UINT32_MAX)
		return IPC_ST_BAD;
	for (size_t k = 0; k < a->n_mboxes; k++)
		if (a->mboxes[k]->uidvalidity == rec.uidvalidity)
			return IPC_ST_EXISTS;
	if (m->state != MBOX_READY)
		return IPC_ST_TRYLATER;
	if (m->pend.uidnext != 1 || m->pend.keywords > 0 || m->pend.staged > 0 ||
	    !TAILQ_EMPTY(&m->flight))
		return IPC_ST_CANNOT;
	rec.kind = m->pub.kind;
	rec.attrs = m->attrs;
	rec.name = m->name;
	op->id = m->id;
	op->uidvalidity = rec.uidvalidity;
	if (rec.uidvalidity >= root.next_uidvalidity) {
		root.next_uidvalidity = rec.uidvalidity + 1;
		root_pack(&root, val);
		good = engine_put(op->root, key_slice(&key), slice_of(val, sizeof(val))) == 0;
	}
	return tree_commit(op, good && put_mbox(op, m->id, &rec), NULL);
}

int tree_start(struct tree_op *op)
{
	struct account *a = op->account;

	if (a->state != ACCOUNT_READY || a->root == NULL)
		return a->forgotten ? IPC_ST_TRYLATER : IPC_ST_NOTFOUND;
	op->root = engine_batch_new(a->root);
	if (op->root == NULL)
		return IPC_ST_TRYLATER;
	switch (op->kind) {
	case TREE_CREATE:
		return create_start(op);
	case TREE_DELETE:
		return delete_start(op);
	case TREE_RENAME:
		return rename_start(op);
	case TREE_PLACE:
		return place_start(op);
	case TREE_SUBSCRIBE:
	case TREE_UNSUBSCRIBE:
		return subscribe_start(op);
	default:
		return tree_lost_start(op);
	}
}
