/*
 * copy - COPY and MOVE of a session: one after the other in an account, while both mailboxes are
 * held.
 */
#include "stored/copy-private.h"
#include "stored/loan-rows.h"

#include <stdlib.h>

static void copy_next(struct account *a);

void copy_answer(struct copy *c)
{
	struct session *s = c->op.session;
	const struct mbox *to = c->to;
	struct ipc_copy_done d = { .seq = c->op.seq, .status = (uint32_t)c->status };
	struct slice left = buf_slice(&c->runs);
	bool told = s == NULL || c->told;

	c->told = true;
	if (told)
		return;
	d.uidvalidity = to->uidvalidity;
	do {
		d.uids = slice_part(left, 0, ANSWER_BYTES_MAX / COPY_RUN_BYTES * COPY_RUN_BYTES);
		left = slice_from(left, d.uids.n);
		d.more = left.n > 0;
		session_answer(s, IPC_copy_done, &d);
	} while (left.n > 0);
}

static void copy_free(struct copy *c)
{
	c->from->pins--;
	c->to->pins--;
	buf_fini(&c->runs);
	buf_fini(&c->facts);
	loans_fini(&c->loans);
	keywords_fini(&c->keywords);
	free(c->map);
	free(c->all);
	free(c->gone.uids);
	free(c->gone.keep);
	if (c->back != NULL) {
		lost_box_fini(&c->back->box);
		free(c->back->picks);
		free(c->back->touched);
		free(c->back);
	}
	free(c);
}

void copy_finish(struct copy *c, int status)
{
	struct account *here = c->from->account, *there = c->to->account;
	struct mbox *from = c->held_from ? c->from : NULL, *to = c->held_to ? c->to : NULL;

	c->status = status;
	if (c->staged)
		c->to->staging = false;
	if (c->watches)
		copy_watch(c, false);
	account_ref(there);
	copy_answer(c);
	if (c->back != NULL)
		copy_back_end(c);
	for (unsigned i = 0; i < c->n_turns; i++)
		TAILQ_REMOVE(&c->turns[i].account->copies, &c->turns[i], link);
	op_end(&c->op);
	copy_free(c);
	if (to != NULL)
		change_release(to);
	if (from != NULL)
		change_release(from);
	tree_reap(there);
	copy_next(there);
	if (here != there) {
		tree_reap(here);
		copy_next(here);
	}
	account_unref(there);
	account_unref(here); /* see copy_queue() */
}

static void on_settled(void *arg)
{
	copy_facts(arg);
}

/*
 * Whoever shares facts and headers of messages that go gets his own first. What these messages
 * share with others goes along, but not into another account.
 */
static void settle(struct copy *c)
{
	struct loan_ask ask = { .whose = copy_crosses(c) ? LOANS_TAKEN : LOANS_GIVEN,
		.mbox = c->from,
		.fn = on_settled,
		.arg = c };
	bool goes = c->move || c->back != NULL || copy_crosses(c);

	if (goes && loan_any(c->from, ask.whose))
		ask.take_v = calloc(c->n, sizeof(*ask.take_v));
	if (ask.take_v == NULL) {
		copy_facts(c);
		return;
	}
	for (; ask.n < c->n; ask.n++)
		ask.take_v[ask.n] = (struct uid_range){ c->rows[ask.n].uid, c->rows[ask.n].uid };
	loan_settle(&ask);
}

void copy_portion_done(struct copy *c, int status)
{
	if (status == IPC_ST_OK && c->next_uid != 0)
		status = c->back != NULL ? copy_back_collect(c) : copy_collect(c);
	else if (status == IPC_ST_OK)
		c->n = 0;
	if (status == IPC_ST_OK && c->n > 0)
		settle(c);
	else if (c->steps)
		copy_cross_end(c, status);
	else
		copy_finish(c, status);
}

static void on_ready(struct copy *c)
{
	c->next_uid = 1;
	c->watches = true;
	copy_watch(c, true);
	copy_portion_done(c, IPC_ST_OK);
}

static void on_held_to(void *arg, int status)
{
	struct copy *c = arg;

	c->held_to = status == IPC_ST_OK;
	if (status == IPC_ST_OK)
		on_ready(c);
	else
		copy_finish(c, status);
}

static void hold_to(struct copy *c, int status)
{
	if (status != IPC_ST_OK)
		copy_finish(c, status);
	else if (c->from == c->to)
		on_ready(c);
	else
		change_hold(
		    c->to, c->from->keywords.n > 0 && c->to->pub.keywords > 0, on_held_to, c);
}

static void on_held_from(void *arg, int status)
{
	struct copy *c = arg;

	c->held_from = status == IPC_ST_OK;
	if (status == IPC_ST_OK && c->back != NULL)
		copy_back_load(c, hold_to);
	else
		hold_to(c, status);
}

/*
 * One that crosses waits for its turn in both accounts, in the order of their ids, so that no two
 * wait for each other; then no other copy holds a mailbox of either.
 */
static void copy_next(struct account *a)
{
	struct copy_turn *t = TAILQ_FIRST(&a->copies), *other;
	struct copy *c;

	if (t == NULL || t->has)
		return;
	t->has = true;
	c = t->copy;
	other = &c->turns[1];
	if (t != other && c->n_turns == 2) {
		TAILQ_INSERT_TAIL(&other->account->copies, other, link);
		copy_next(other->account);
		return;
	}
	change_hold(c->from, true, on_held_from, c);
}

static void copy_queue(struct copy *c)
{
	struct account *a = c->from->account, *b = c->to->account;

	account_ref(a);
	c->n_turns = a == b ? 1 : 2;
	c->turns[0] = (struct copy_turn){ .copy = c, .account = a->id <= b->id ? a : b };
	c->turns[1] = (struct copy_turn){ .copy = c, .account = a->id <= b->id ? b : a };
	TAILQ_INSERT_TAIL(&c->turns[0].account->copies, &c->turns[0], link);
	copy_next(c->turns[0].account);
}

/* ---- the question ---- */

static void refuse(struct session *s, uint32_t seq, int status)
{
	struct ipc_copy_done d = { .seq = seq, .status = (uint32_t)status };

	session_answer(s, IPC_copy_done, &d);
}

static struct copy *copy_new(struct session *s, struct view *v, struct mbox *to, struct slice uids)
{
	struct copy *c = calloc(1, sizeof(*c) + uids.n);

	if (c == NULL)
		return NULL;
	c->from = v->mbox;
	c->to = to;
	c->from->pins++;
	c->to->pins++;
	c->see = v->see;
	c->runs.max = SIZE_MAX;
	c->facts.max = COPY_FACTS_MAX;
	c->n_uids = uids.n;
	memcpy(c->uids, uids.p, uids.n);
	return c;
}

static void on_copy(struct session *s, struct account *a, const struct ipc_msg_copy *q)
{
	struct view *v = session_view(s, q->mbox);
	int status = IPC_ST_OK;
	struct mbox *to = account_mbox(a, q->to, &status);
	struct copy *c;

	if (v == NULL || q->uids.n == 0 || !pairs_good(q->uids) || (q->move && v->readonly)) {
		refuse(s, q->seq, v != NULL && v->readonly ? IPC_ST_DENIED : IPC_ST_BAD);
		session_bad(s, "copy");
		return;
	}
	if (status != IPC_ST_OK) {
		refuse(s, q->seq, status);
		return;
	}
	if (!session_admit(s, q->uids.n))
		return;
	c = copy_new(s, v, to, q->uids);
	if (c == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	c->move = q->move != 0;
	c->steps = c->move && copy_needs_steps(c->from, c->to);
	op_begin(&c->op, s, a, q->seq, q->uids.n);
	copy_queue(c);
}

void copy_restore(struct mbox *from, struct mbox *to, const struct lost_pick *pick,
    copy_restored_fn *fn, void *arg)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct copy_back *b = calloc(1, sizeof(*b));

	if (c == NULL || b == NULL) {
		free(c);
		free(b);
		fn(arg, IPC_ST_TRYLATER, 0, 0);
		return;
	}
	b->pick = *pick;
	b->fn = fn;
	b->arg = arg;
	c->back = b;
	c->from = from;
	c->to = to;
	from->pins++;
	to->pins++;
	c->runs.max = SIZE_MAX;
	c->facts.max = COPY_FACTS_MAX;
	op_begin_own(&c->op, to->account);
	copy_queue(c);
}

bool copy_on_msg(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m)
{
	if (type != IPC_msg_copy)
		return false;
	on_copy(s, at->account, &m->msg_copy);
	return true;
}
