/*
 * keyword - a session asks for names: known ones get their bits at once, new ones when they are
 * durable.
 */
#include "stored/session-private.h"

#include <stdlib.h>

struct keyword_op {
	struct txn txn; /* first: see on_stored() */
	struct op op;
	struct mbox *mbox;
	struct keywords keywords;
	struct keyset_map set;
	struct slice names;
	uint8_t text[];
};

static void answer(struct ipc_chan *chan, uint32_t seq, int status, const struct keyset_map *map)
{
	uint8_t room[2 * KEYSET_NUMBERS_MAX];
	struct keyset set = keyset_map_pack(map, room);
	struct ipc_keyword_made m = { seq, (uint32_t)status, set.bits, set.more };

	if (chan != NULL)
		(void)ipc_send(chan, IPC_keyword_made, &m, NULL);
}

static void finish(struct keyword_op *k, int status)
{
	answer(op_chan(&k->op), k->op.seq, status, &k->set);
	keywords_fini(&k->keywords);
	op_end(&k->op);
	free(k);
}

static void on_stored(struct txn *t, int status)
{
	struct keyword_op *k = (struct keyword_op *)t;
	struct mbox *m = k->mbox;

	if (status == IPC_ST_OK)
		mbox_take_keywords(m, &k->keywords);
	else
		k->set = (struct keyset_map){ 0 };
	finish(k, status);
	change_release(m);
}

/* IPC_ST_OK: it is under way. */
static int store(struct keyword_op *k)
{
	struct txn *t = &k->txn;
	int r = txn_begin(k->mbox, t, on_stored);

	if (r != IPC_ST_OK)
		return r;
	if (!mbox_put_keywords(t, &k->keywords, k->mbox->keywords.n)) {
		txn_abort(t);
		return IPC_ST_TRYLATER;
	}
	return txn_commit(k->op.account->st, &t, 1);
}

/* Numbers that were not stored are nobody's. */
static void known_only(struct keyset_map *set, unsigned n)
{
	for (unsigned i = n; i < KEYSET_NUMBERS_MAX; i++)
		set->v[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* The mailbox is ours. */
static void on_held(void *arg, int status)
{
	struct keyword_op *k = arg;
	struct mbox *m = k->mbox;
	bool held = status == IPC_ST_OK;

	if (held && keywords_copy(&k->keywords, &m->keywords) != 0)
		status = IPC_ST_TRYLATER;
	if (status == IPC_ST_OK && !keywords_add_all(&k->keywords, k->names, &k->set))
		status = IPC_ST_LIMIT;
	if ((status == IPC_ST_OK || status == IPC_ST_LIMIT) && k->keywords.n > m->keywords.n) {
		int r = status == IPC_ST_OK ? store(k) : IPC_ST_LIMIT;

		if (r == IPC_ST_OK)
			return;
		status = r;
		known_only(&k->set, m->keywords.n);
	}
	finish(k, status);
	if (held)
		change_release(m);
}

static void on_make(struct session *s, const struct ipc_keyword_make *q)
{
	struct view *v = session_view(s, q->mbox);
	struct keyword_op *k;

	if (v == NULL || v->readonly || q->names.n == 0) {
		answer(s->chan, q->seq, v != NULL && v->readonly ? IPC_ST_DENIED : IPC_ST_BAD,
		    &(struct keyset_map){ 0 });
		session_bad(s, "keywords");
		return;
	}
	if (!session_admit(s, q->names.n))
		return;
	k = malloc(sizeof(*k) + q->names.n);
	if (k == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	*k = (struct keyword_op){ .mbox = v->mbox, .names = slice_of(k->text, q->names.n) };
	memcpy(k->text, q->names.p, q->names.n);
	op_begin(&k->op, s, v->mbox->account, q->seq, q->names.n);
	change_hold(v->mbox, v->mbox->pub.keywords > 0, on_held, k);
}

bool keyword_on_msg(struct session *s, enum ipc_type type, const union ipc_any *m)
{
	if (type != IPC_keyword_make)
		return false;
	on_make(s, &m->keyword_make);
	return true;
}
