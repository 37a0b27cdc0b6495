/*
 * guest - the accounts of others that a session uses: kept in memory for it, and told of it when
 * they go.
 *
 * Invariant: whatever of a session points into another account (a view, an append, a request) does
 * so while the session is that account's guest.
 */
#include "stored/append-private.h"
#include "stored/change-private.h"
#include "stored/tree-private.h"
#include "stored/tree.h"

#include <stdlib.h>

static bool opens_or_changes(const struct mbox *m, const struct session *s)
{
	const struct change *c;

	TAILQ_FOREACH(c, &m->changes, link)
	if (c->session == s)
		return true;
	TAILQ_FOREACH(c, &m->opens, link)
	if (c->session == s)
		return true;
	return false;
}

/* One of its questions is about the account; those about others are no reason to end it. */
static bool waits_for(const struct session *s, const struct account *a)
{
	const struct request *q;
	const struct tree_op *t;
	const struct op *op;

	TAILQ_FOREACH(q, &s->requests, link)
	if (q->account == a)
		return true;
	LIST_FOREACH(op, &s->ops, link)
	if (op->account == a)
		return true;
	TAILQ_FOREACH(t, &a->ops, link)
	if (t->session == s)
		return true;
	for (size_t i = 0; i < a->n_mboxes; i++)
		if (opens_or_changes(a->mboxes[i], s))
			return true;
	for (size_t i = 0; i < a->n_gone; i++)
		if (opens_or_changes(a->gone[i], s))
			return true;
	return false;
}

/* Something of the session may point into the account. */
static bool busy(const struct guest *g)
{
	const struct session *s = g->session;

	if (s->append != NULL && s->append->mbox->account == g->account)
		return true;
	for (unsigned i = 0; i < SESSION_HANDLES_MAX; i++)
		if (s->views[i] != NULL && s->views[i]->mbox->account == g->account)
			return true;
	return s->outstanding > 0 && waits_for(s, g->account);
}

static void forget(struct guest *g)
{
	struct account *a = g->account;

	for (size_t i = 0; i < a->n_mboxes; i++)
		change_forget(a->mboxes[i], g->session);
	for (size_t i = 0; i < a->n_gone; i++)
		change_forget(a->gone[i], g->session);
	tree_forget(a, g->session);
}

static void guest_free(struct guest *g)
{
	struct account *a = g->account;

	g->session->n_guests--;
	LIST_REMOVE(g, link);
	LIST_REMOVE(g, account_link);
	free(g);
	tree_reap(a);
	account_unref(a);
}

static void drop_one(struct session *s)
{
	struct guest *g;

	LIST_FOREACH(g, &s->guests, link)
	if (!busy(g)) {
		guest_free(g);
		return;
	}
}

struct guest *guest_take(struct session *s, struct account *a)
{
	struct guest *g;

	LIST_FOREACH(g, &s->guests, link)
	if (g->account == a)
		return g;
	if (s->n_guests == SESSION_GUESTS_MAX)
		drop_one(s);
	g = s->n_guests < SESSION_GUESTS_MAX ? calloc(1, sizeof(*g)) : NULL;
	if (g == NULL)
		return NULL;
	g->session = s;
	g->account = a;
	account_ref(a);
	s->n_guests++;
	LIST_INSERT_HEAD(&s->guests, g, link);
	LIST_INSERT_HEAD(&a->guests, g, account_link);
	return g;
}

void guests_forget(struct session *s)
{
	struct guest *g;

	LIST_FOREACH(g, &s->guests, link)
	forget(g);
}

void guests_free(struct session *s)
{
	while (!LIST_EMPTY(&s->guests))
		guest_free(LIST_FIRST(&s->guests));
}

unsigned guests_end(struct account *a, enum ipc_bye why)
{
	struct guest *g, *next;
	unsigned n = 0;

	account_ref(a);
	for (g = LIST_FIRST(&a->guests); g != NULL; g = next) {
		next = LIST_NEXT(g, account_link);
		if (g->session->dead)
			continue; /* its sweep comes */
		if (busy(g)) {
			session_end(g->session, why);
			n++;
		} else {
			guest_free(g);
		}
	}
	account_unref(a);
	return n;
}
