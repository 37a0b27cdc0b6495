/*
 * tree-lost - what the root group knows of things that can be restored: deleted mailboxes, whether
 * purging is held, how much the user has restored today.
 */
#include "stored/tree-private.h"

#include "common/base/clock.h"

#include <stdlib.h>

/* Deleted mailboxes, also those that somebody still points at. */
static size_t lost_count(const struct account *a)
{
	size_t n = a->n_lost;

	for (size_t i = 0; i < a->n_gone; i++)
		n += a->gone[i]->deleted_s != 0;
	return n;
}

/* All its messages are one run, which is newer than all others. */
static bool run_put(struct tree_op *op, struct engine_batch *rows, struct mbox_head *h)
{
	struct run_rec run = { .modseq = ++op->account->modseq,
		.first = 1,
		.last = h->uidnext - 1,
		.n = h->exists,
		.bytes = h->bytes,
		.when = op->when };
	struct rec_key key = key_run(run.modseq, run.first);
	uint8_t val[RECORD_RUN_BYTES];

	run_pack(&run, val);
	h->modseq = run.modseq;
	h->lost += h->exists;
	h->lost_bytes += h->bytes;
	h->exists = h->unseen = 0;
	h->bytes = 0;
	return engine_put(rows, key_slice(&key), slice_of(val, sizeof(val))) == 0;
}

int tree_lose(struct tree_op *op, struct mbox *m, struct engine_batch *rows)
{
	struct rec_key key = key_u64(REC_LOST, m->id), head = key_kind(REC_HEAD);
	struct lost_rec rec = { .mbox = { .kind = m->pend.kind,
				    .uidvalidity = m->uidvalidity,
				    .attrs = m->attrs,
				    .name = m->name } };
	uint8_t val[RECORD_LOST_BYTES + MBOX_NAME_MAX], head_val[RECORD_HEAD_BYTES];
	bool good = true;

	if (lost_count(op->account) >= LOST_MBOXES_MAX)
		return IPC_ST_LIMIT;
	op->when = rec.when = clock_wall_s();
	op->head = m->pend;
	op->head.recent_from = m->recent_from;
	if (op->head.exists > 0)
		good = run_put(op, rows, &op->head);
	head_pack(&op->head, head_val);
	good = good &&
	       engine_put(rows, key_slice(&head), slice_of(head_val, sizeof(head_val))) == 0 &&
	       engine_put(op->root, key_slice(&key), slice_of(val, lost_pack(&rec, val))) == 0;
	return good ? IPC_ST_OK : IPC_ST_LIMIT;
}

/* ---- operations ---- */

static int erase_start(struct tree_op *op)
{
	struct account *a = op->account;
	struct rec_key key = key_u64(REC_LOST, op->id);
	struct engine_batch *rows;
	struct mbox *m = NULL;
	bool good;
	int r;

	for (size_t i = 0; i < a->n_lost; i++)
		if (a->lost[i]->id == op->id)
			m = a->lost[i];
	if (m == NULL || m->pend.lost > 0 || !TAILQ_EMPTY(&m->changes))
		return IPC_ST_OK;
	if (m->state != MBOX_READY)
		return IPC_ST_TRYLATER;
	rows = engine_batch_new(m->group);
	good = rows != NULL && engine_del_group(rows) == 0 &&
	       engine_del(op->root, key_slice(&key)) == 0;
	m->state = MBOX_GOING;
	op->doomed = m;
	r = tree_commit(op, good, rows);
	if (r != OP_UNDER_WAY)
		m->state = MBOX_READY;
	return r;
}

bool account_held(const struct account *a)
{
	const struct tree_op *op;

	TAILQ_FOREACH(op, &a->ops, link)
	{
		if (op->kind == TREE_HOLD && op->hold)
			return true;
	}
	return a->rec.hold;
}

static int hold_commit(struct tree_op *op)
{
	struct rec_key key = key_kind(REC_HEAD);
	struct root_rec rec = op->account->rec;
	uint8_t val[RECORD_ROOT_BYTES];

	if (op->hold_failed || op->account->state != ACCOUNT_READY)
		return IPC_ST_TRYLATER;
	rec.hold = op->hold;
	root_pack(&rec, val);
	return tree_commit(
	    op, engine_put(op->root, key_slice(&key), slice_of(val, sizeof(val))) == 0, NULL);
}

/* One mailbox in which something was under way when the hold was asked for. */
struct hold_wait {
	struct tree_op *op;
	struct mbox *m; /* pinned */
};

static void on_quiet(void *arg, int status)
{
	struct hold_wait *w = arg;
	struct tree_op *op = w->op;
	struct account *a = op->account;
	int r;

	w->m->pins--;
	if (status == IPC_ST_OK)
		change_release(w->m);
	else if (status != IPC_ST_NOTFOUND) /* it was deleted meanwhile */
		op->hold_failed = true;
	tree_reap(a);
	if (--op->n_waits > 0)
		return;
	r = hold_commit(op);
	if (r != OP_UNDER_WAY)
		tree_resume(op, r);
}

/* Nothing is purged from now on (account_held()), but a purge that was handed in before may become
 * durable behind the hold where the engine keeps no order over groups: it is waited for. */
static int hold_start(struct tree_op *op)
{
	struct account *a = op->account;
	size_t n = 0, max = 0;
	struct mbox *m;

	if (a->rec.hold == op->hold)
		return IPC_ST_OK;
	if (!op->hold)
		return hold_commit(op);
	while (account_nth(a, max) != NULL)
		max++;
	op->waits = calloc(max + 1, sizeof(*op->waits));
	if (op->waits == NULL)
		return IPC_ST_TRYLATER;
	for (size_t i = 0; (m = account_nth(a, i)) != NULL; i++)
		if (!TAILQ_EMPTY(&m->changes)) {
			op->waits[n++] = (struct hold_wait){ op, m };
			m->pins++;
		}
	if (n == 0)
		return hold_commit(op);
	op->n_waits = n;
	for (size_t i = 0; i < n; i++)
		change_hold(op->waits[i].m, false, on_quiet, &op->waits[i]);
	return OP_UNDER_WAY;
}

static uint32_t today(void)
{
	return (uint32_t)(clock_wall_s() / 86400);
}

uint32_t tree_allowed(const struct account *a)
{
	uint32_t used = a->allow.day == today() ? a->allow.n : 0;

	return used < a->policy.restores_per_day ? a->policy.restores_per_day - used : 0;
}

static int allow_start(struct tree_op *op)
{
	struct account *a = op->account;
	struct rec_key key = key_kind(REC_ALLOW);
	uint8_t val[RECORD_ALLOW_BYTES];

	if (op->n_restored > tree_allowed(a))
		return IPC_ST_LIMIT;
	op->allow = (struct allow_rec){ today(), (uint32_t)op->n_restored };
	if (a->allow.day == op->allow.day)
		op->allow.n += a->allow.n;
	allow_pack(&op->allow, val);
	return tree_commit(
	    op, engine_put(op->root, key_slice(&key), slice_of(val, sizeof(val))) == 0, NULL);
}

int tree_lost_start(struct tree_op *op)
{
	if (op->kind == TREE_ERASE)
		return erase_start(op);
	return op->kind == TREE_HOLD ? hold_start(op) : allow_start(op);
}

void tree_lost_publish(struct tree_op *op)
{
	struct account *a = op->account;
	size_t to = 0;

	if (op->kind == TREE_HOLD)
		a->rec.hold = op->hold;
	if (op->kind == TREE_ALLOW)
		a->allow = op->allow;
	if (op->kind != TREE_ERASE)
		return;
	for (size_t i = 0; i < a->n_lost; i++)
		if (a->lost[i] != op->doomed)
			a->lost[to++] = a->lost[i];
	a->n_lost = to;
	op->doomed->deleted_s = 0;
	tree_bury(a, op->doomed);
	op->doomed = NULL;
	tree_reap(a);
}
