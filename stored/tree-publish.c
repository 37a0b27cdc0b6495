/*
 * tree-publish - the lists in memory after an operation's commit; who had a mailbox open that went.
 */
#include "stored/tree-private.h"

#include <stdlib.h>

static void list_add(struct mbox ***list, size_t *n, struct mbox *m)
{
	struct mbox **more = reallocarray(*list, *n + 1, sizeof(struct mbox *));

	if (more == NULL)
		abort();
	*list = more;
	more[(*n)++] = m;
}

static void bury(struct account *a, struct mbox *m)
{
	bool found;
	size_t i = tree_mboxes_lower(a, m->name, &found);

	tree_bury(a, m);
	a->n_mboxes--;
	memmove(&a->mboxes[i], &a->mboxes[i + 1], (a->n_mboxes - i) * sizeof(*a->mboxes));
}

/* `by`: whose request did it, or NULL. */
static void views_end(struct mbox *m, const struct session *by)
{
	struct view *v;

	while ((v = LIST_FIRST(&m->views)) != NULL) {
		struct session *s = v->session;
		struct ipc_mbox_gone g = { v->handle, s == by };

		if (s->chan != NULL)
			(void)ipc_send(s->chan, IPC_mbox_gone, &g, NULL);
		view_close(s, v->handle);
	}
}

static bool quiet(const struct mbox *m)
{
	return TAILQ_EMPTY(&m->flight) && TAILQ_EMPTY(&m->unknown) && TAILQ_EMPTY(&m->changes) &&
	       TAILQ_EMPTY(&m->opens) && LIST_EMPTY(&m->views) && m->load == NULL && m->pins == 0 &&
	       !m->change_running && !parse_has(m);
}

/* Its messages can be restored: it is used again, but nobody finds it by its name or id. */
static void join_lost(struct account *a, struct mbox *m)
{
	a->n_dead -= m->cols.n_dead;
	cols_fini(&m->cols);
	m->cols_state = COLS_NONE;
	m->state = MBOX_READY;
	list_add(&a->lost, &a->n_lost, m);
}

void tree_bury(struct account *a, struct mbox *m)
{
	list_add(&a->gone, &a->n_gone, m);
}

void tree_reap(struct account *a)
{
	size_t to = 0;

	for (size_t i = 0; i < a->n_gone; i++) {
		struct mbox *m = a->gone[i];
		bool lost = m->deleted_s != 0;

		if (quiet(m) && lost && a->state == ACCOUNT_READY)
			join_lost(a, m);
		else if (quiet(m) && !lost)
			mbox_free(&m);
		else
			a->gone[to++] = m;
	}
	a->n_gone = to;
}

static bool fresh_publish(struct tree_op *op)
{
	struct account *a = op->account;
	struct mbox *m = op->fresh;

	if (m == NULL)
		return true;
	mbox_take_group(m, op->group);
	op->group = NULL;
	a->rec.next_uidvalidity = op->uidvalidity + 1;
	if (tree_mboxes_add(a, m) != 0)
		return false;
	op->fresh = NULL;
	return true;
}

static void dir_drop(struct account *a, struct slice name)
{
	bool found;
	size_t i = tree_names_lower(&a->dirs, name, &found);

	if (found)
		tree_names_remove(&a->dirs, i);
}

/* Names are exchanged, then the lists put in order again. */
static bool moves_publish(struct tree_op *op)
{
	struct account *a = op->account;
	size_t to = 0;
	bool good = true;

	for (size_t i = 0; i < op->n_moves; i++) {
		struct tree_move *v = &op->moves[i];
		struct slice old;

		if (v->m == NULL)
			continue;
		old = v->m->name;
		v->m->name = v->name;
		v->name = old;
	}
	tree_mboxes_sort(a);
	for (size_t i = 0; i < a->dirs.n; i++) {
		struct slice name = a->dirs.v[i].name;

		if (!op->inbox && tree_name_within(name, op->name))
			free((void *)name.p);
		else
			a->dirs.v[to++] = a->dirs.v[i];
	}
	a->dirs.n = to;
	for (size_t i = 0; i < op->n_moves; i++)
		if (op->moves[i].m == NULL)
			good &= tree_names_add(&a->dirs, op->moves[i].id, op->moves[i].name) == 0;
	return good;
}

static bool delete_publish(struct tree_op *op)
{
	struct account *a = op->account;
	struct mbox *m = op->doomed;

	if (m == NULL) {
		dir_drop(a, op->name);
		return true;
	}
	op->doomed = NULL;
	if (op->lose) {
		m->deleted_s = op->when;
		m->pub = m->pend = op->head;
	}
	views_end(m, op->session);
	change_fail(m);
	bury(a, m);
	tree_reap(a);
	return op->id == 0 || tree_names_add(&a->dirs, op->id, op->name) == 0;
}

static bool subscribe_publish(struct tree_op *op)
{
	struct tree_names *subs = &op->account->subs;
	bool found;
	size_t i = tree_names_lower(subs, op->name, &found);

	if (op->kind == TREE_SUBSCRIBE)
		return tree_names_add(subs, op->id, op->name) == 0;
	tree_names_remove(subs, i);
	return true;
}

/* INBOX was renamed: who has it open would wait for new mail in the wrong place. */
static void inbox_publish(struct tree_op *op)
{
	struct account *a = op->account;
	struct mbox *old = a->inbox;

	a->inbox = account_mbox_id(a, op->id);
	views_end(old, op->session);
}

/* Who has it open knows it by the old uidvalidity. */
static bool place_publish(struct tree_op *op)
{
	struct account *a = op->account;
	struct mbox *m = account_mbox_id(a, op->id);

	if (m == NULL)
		return true;
	m->uidvalidity = m->pub.uidvalidity = m->pend.uidvalidity = op->uidvalidity;
	if (op->uidvalidity >= a->rec.next_uidvalidity)
		a->rec.next_uidvalidity = op->uidvalidity + 1;
	views_end(m, NULL);
	return true;
}

bool tree_publish(struct tree_op *op)
{
	struct account *a = op->account;
	bool good = true;

	if (op->kind == TREE_PLACE)
		return place_publish(op);

	if (op->kind == TREE_DELETE)
		return delete_publish(op);
	if (op->kind == TREE_SUBSCRIBE || op->kind == TREE_UNSUBSCRIBE)
		return subscribe_publish(op);
	if (op->kind != TREE_CREATE && op->kind != TREE_RENAME) {
		tree_lost_publish(op);
		return true;
	}
	for (size_t i = 0; i < op->n_parents; i++)
		good &= tree_names_add(&a->dirs, op->parents[i].id,
			    slice_part(op->to, 0, op->parents[i].n)) == 0;
	if (op->kind == TREE_RENAME)
		good &= moves_publish(op);
	else if (op->attrs & IPC_ATTR_NOSELECT)
		good &= tree_names_add(&a->dirs, op->id, op->to) == 0;
	else
		dir_drop(a, op->to);
	good &= fresh_publish(op);
	if (good && op->inbox)
		inbox_publish(op);
	return good;
}
