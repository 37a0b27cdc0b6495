/*
 * tree-op - creating, deleting, renaming, subscribing: one after the other per account, each in one
 * commit, answered when it is durable.
 *
 * Memory follows the commit. When nobody can tell whether it was stored, the account is forgotten
 * and the next user loads what is there.
 */
#include "stored/tree-private.h"

#include "common/base/log.h"

#include <stdlib.h>

static void op_free(struct tree_op *op)
{
	engine_batch_free(&op->root);
	if (op->group != NULL)
		engine_group_close(&op->group);
	mbox_free(&op->fresh);
	for (size_t i = 0; i < op->n_moves; i++)
		free((void *)op->moves[i].name.p);
	free(op->moves);
	free(op->waits);
	free(op);
}

static void op_finish(struct tree_op *op, int status)
{
	struct account *a = op->account;
	bool made =
	    status == IPC_ST_OK && op->kind == TREE_CREATE && !(op->attrs & IPC_ATTR_NOSELECT);
	uint64_t id = made ? op->id : 0;
	tree_done_fn *done = op->done;
	void *arg = op->arg;

	TAILQ_REMOVE(&a->ops, op, link);
	a->n_ops--;
	if (op->session != NULL)
		session_mbox_done(op->session, op->seq, status, id);
	op_free(op);
	if (done != NULL)
		done(arg, status, id);
	account_unref(a);
}

static void tree_next(struct account *a);

static void on_committed(void *arg, int rc)
{
	struct tree_op *op = arg;
	struct account *a = op->account;
	bool lost = rc == ENGINE_UNKNOWN || rc == ENGINE_STALE;

	a->st->in_flight--;
	account_ref(a);
	if (rc != ENGINE_OK)
		log_ev(LOG_WARNING, "stored.engine", kv_s("what", "names"), kv_u("account", a->id),
		    kv_s("why", engine_rc_name(rc)));
	if (op->doomed != NULL && rc != ENGINE_OK && op->doomed->state == MBOX_GOING)
		op->doomed->state = MBOX_READY;
	if (rc == ENGINE_OK && a->state == ACCOUNT_READY)
		lost = !tree_publish(op);
	op_finish(op, store_status(rc));
	if (lost)
		account_forget(a);
	tree_next(a);
	account_unref(a);
}

/* Nothing that it counted on has failed since. */
static bool still_good(const void *arg)
{
	const struct tree_op *op = arg;

	return op->doomed == NULL || op->doomed->gen == op->doomed_gen;
}

int tree_commit(struct tree_op *op, bool good, struct engine_batch *take_with)
{
	const struct commit_ask ask = { op->account, still_good, on_committed, op };
	struct engine_batch *b[2] = { op->root, take_with };
	struct store *st = op->account->st;

	if (!good) {
		engine_batch_free(&take_with);
		return IPC_ST_LIMIT;
	}
	if (op->doomed != NULL)
		op->doomed_gen = op->doomed->gen;
	if (commit_hand_in(st, &ask, b, take_with != NULL ? 2 : 1) != 0) {
		engine_batch_free(&take_with);
		return IPC_ST_TRYLATER;
	}
	op->root = NULL;
	st->in_flight++;
	return OP_UNDER_WAY;
}

void tree_resume(struct tree_op *op, int status)
{
	struct account *a = op->account;

	account_ref(a);
	op_finish(op, status);
	tree_next(a);
	account_unref(a);
}

static void tree_next(struct account *a)
{
	struct tree_op *op;

	account_ref(a);
	while ((op = TAILQ_FIRST(&a->ops)) != NULL && !op->running) {
		int r;

		op->running = true;
		r = tree_start(op);
		if (r != OP_UNDER_WAY)
			op_finish(op, r);
	}
	account_unref(a);
}

static struct tree_op *op_new(struct account *a, enum tree_kind kind)
{
	struct tree_op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return NULL;
	op->kind = kind;
	op->account = a;
	return op;
}

static bool names_set(struct tree_op *op, struct slice name, struct slice to)
{
	return tree_name_good(name, op->name_space, &op->name) &&
	       tree_name_good(to, op->to_space, &op->to);
}

static void queue(struct tree_op *op, bool good)
{
	struct account *a = op->account;

	account_ref(a);
	TAILQ_INSERT_TAIL(&a->ops, op, link);
	a->n_ops++;
	/* A name that cannot be is not there; but nobody may make it. */
	if (!good)
		op_finish(op, op->kind == TREE_DELETE ? IPC_ST_NOTFOUND : IPC_ST_CANNOT);
	else if (a->n_ops > TREE_OPS_MAX)
		op_finish(op, IPC_ST_TRYLATER);
	else
		tree_next(a);
}

/* ---- what we ask ourselves ---- */

static struct tree_op *own(struct account *a, enum tree_kind kind, tree_done_fn *done, void *arg)
{
	struct tree_op *op = op_new(a, kind);

	if (op == NULL) {
		done(arg, IPC_ST_TRYLATER, 0);
		return NULL;
	}
	op->done = done;
	op->arg = arg;
	return op;
}

void tree_make(struct account *a, struct slice name, uint32_t attrs, tree_done_fn *done, void *arg)
{
	struct tree_op *op = own(a, TREE_CREATE, done, arg);

	if (op == NULL)
		return;
	op->attrs = attrs;
	queue(op, names_set(op, name, name));
}

void tree_want(struct account *a, struct slice name, tree_done_fn *done, void *arg)
{
	struct tree_op *op = own(a, TREE_SUBSCRIBE, done, arg);

	if (op != NULL)
		queue(op, names_set(op, name, name));
}

void tree_erase(struct account *a, uint64_t id, tree_done_fn *done, void *arg)
{
	struct tree_op *op = own(a, TREE_ERASE, done, arg);

	if (op == NULL)
		return;
	op->id = id;
	queue(op, true);
}

void tree_hold(struct account *a, bool on, tree_done_fn *done, void *arg)
{
	struct tree_op *op = own(a, TREE_HOLD, done, arg);

	if (op == NULL)
		return;
	op->hold = on;
	queue(op, true);
}

void tree_allow(struct account *a, size_t n, tree_done_fn *done, void *arg)
{
	struct tree_op *op = own(a, TREE_ALLOW, done, arg);

	if (op == NULL)
		return;
	op->n_restored = n;
	queue(op, true);
}

/* ---- what a session asks ---- */

struct wish {
	struct account *account;
	uint32_t seq;
	enum tree_kind kind;
	uint32_t attrs;
	struct slice name, to;
};

static void ask(struct session *s, const struct wish *w)
{
	struct tree_op *op = op_new(w->account, w->kind);
	bool good;

	if (op == NULL) {
		session_mbox_done(s, w->seq, IPC_ST_TRYLATER, 0);
		return;
	}
	op->session = s;
	op->seq = w->seq;
	op->attrs = w->attrs;
	good = names_set(op, w->name, w->to);
	op->inbox = w->kind == TREE_RENAME && good && slice_eq(op->name, SLICE("INBOX"));
	queue(op, good);
}

void tree_create(struct session *s, struct account *a, const struct ipc_mbox_create *q)
{
	ask(s, &(struct wish){ a, q->seq, TREE_CREATE, q->attrs, q->name, q->name });
}

void tree_delete(struct session *s, struct account *a, const struct ipc_mbox_delete *q)
{
	ask(s, &(struct wish){ a, q->seq, TREE_DELETE, 0, q->name, q->name });
}

void tree_rename(struct session *s, struct account *a, const struct ipc_mbox_rename *q)
{
	ask(s, &(struct wish){ a, q->seq, TREE_RENAME, 0, q->from, q->to });
}

void tree_subscribe(struct session *s, const struct ipc_mbox_subscribe *q)
{
	ask(s, &(struct wish){ s->account, q->seq, q->on ? TREE_SUBSCRIBE : TREE_UNSUBSCRIBE, 0,
		   q->name, q->name });
}

void tree_place(struct session *s, const struct ipc_mbox_place *q)
{
	ask(s, &(struct wish){ s->account, q->seq, TREE_PLACE, q->uidvalidity, q->name, q->name });
}

void tree_forget(struct account *a, const struct session *s)
{
	struct tree_op *op;

	TAILQ_FOREACH(op, &a->ops, link)
	if (op->session == s)
		op->session = NULL;
}
