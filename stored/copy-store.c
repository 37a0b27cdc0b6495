/*
 * copy-store - one portion of a copy or a move: its rows, its commit, what the indexes become.
 */
#include "stored/copy-private.h"

#include "common/base/checked.h"
#include "common/base/clock.h"
#include "common/base/wire.h"
#include "stored/loan-rows.h"

#include <stdlib.h>

/* ---- durable ---- */

static void run_add(struct buf *b, uint32_t here, uint32_t there)
{
	uint8_t *last = b->n > 0 ? b->p + b->n - COPY_RUN_BYTES : NULL;
	uint32_t n = last != NULL ? wire_load_u32(last + 8) : 0;

	if (n > 0 && wire_load_u32(last) + n == here && wire_load_u32(last + 4) + n == there) {
		wire_store_u32(last + 8, n + 1);
		return;
	}
	wire_put_u32(b, here);
	wire_put_u32(b, there);
	wire_put_u32(b, 1);
}

/* Portions of a copy that is not over are no messages yet. */
static bool more_to_come(const struct copy *c)
{
	return c->staged && c->next_uid != 0;
}

static void publish(struct copy *c)
{
	uint32_t first;

	if (more_to_come(c)) {
		if (c->keywords.n > c->to->keywords.n)
			mbox_take_keywords(c->to, &c->keywords);
		return;
	}
	if (c->staged) {
		c->rows = c->all;
		c->n = c->n_all;
	}
	first = c->txn.head.uidnext - (uint32_t)c->n;
	for (size_t i = 0; i < c->n; i++) {
		run_add(&c->runs, c->rows[i].uid, first + (uint32_t)i);
		c->rows[i].uid = first + (uint32_t)i;
	}
	if (c->keywords.n > c->to->keywords.n)
		mbox_take_keywords(c->to, &c->keywords);
	if (loans_append(&c->to->loans, c->loans.v, c->loans.n) != 0)
		account_forget(c->to->account);
	loans_fini(&c->loans);
	mbox_add(c->to, c->op.session, c->op.seq, c->rows, c->n);
	if (c->back != NULL)
		copy_back_publish(c);
}

static void answered(struct copy *c, int status)
{
	if (status != IPC_ST_OK)
		c->status = status;
	if (--c->left == 0)
		copy_portion_done(c, c->status);
}

static void on_stored(struct txn *t, int status)
{
	struct copy *c = copy_of(t);

	if (status == IPC_ST_OK)
		publish(c);
	if (c->steps) {
		copy_crossed(c, status);
		return;
	}
	/* In the same mailbox one batch did both. */
	if (status == IPC_ST_OK && c->move && c->from == c->to) {
		c->gone.session = c->op.session;
		c->gone.modseq = t->head.modseq;
		change_publish(&c->gone);
	}
	answered(c, status);
}

static void on_gone(struct txn *t, int status)
{
	struct copy *c = (struct copy *)((char *)t - offsetof(struct copy, gone));

	if (status == IPC_ST_OK && c->move) {
		c->gone.session = c->op.session;
		c->gone.modseq = t->head.modseq;
		change_publish(&c->gone);
	}
	if (c->steps)
		copy_cross_gone(c, status);
	else
		answered(c, status);
}

/* ---- keywords ---- */

static struct keysets *sets_here(struct copy *c)
{
	return c->back != NULL ? &c->back->box.sets : &c->from->sets;
}

/* Names of the keywords that the messages have, there. */
static bool keywords_map(struct copy *c)
{
	struct keyset_map used = { 0 };
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];
	uint64_t last = 0;
	struct keyset set;
	int number;

	c->map_last = 0;
	for (size_t i = 0; i < c->n; i++) {
		uint64_t word = c->rows[i].keywords;

		if (word != 0 && word != last)
			keyset_map_add(&used, keysets_get(sets_here(c), word));
		last = word;
	}
	set = keyset_map_pack(&used, room);
	if (!keyset_is_empty(set) && c->map == NULL)
		c->map = calloc(KEYWORDS_MAX, sizeof(*c->map));
	if (!keyset_is_empty(set) && c->map == NULL)
		return false;
	while ((number = keyset_take(&set)) >= 0)
		c->map[number] =
		    (uint16_t)((unsigned)number < c->from->keywords.n
				   ? keywords_add(&c->keywords,
					 keywords_at(&c->from->keywords, (unsigned)number))
				   : KEYWORDS_MAX);
	return true;
}

/* The word there of the word here. */
static bool keywords_there(struct copy *c, uint64_t here, uint64_t *ret_there)
{
	static struct keyset_map there;
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];
	struct keyset set;
	int number;

	*ret_there = here == 0 ? 0 : c->map_there;
	if (here == 0 || here == c->map_last)
		return true;
	there = (struct keyset_map){ 0 };
	set = keysets_get(sets_here(c), here);
	while ((number = keyset_take(&set)) >= 0)
		if (c->map[number] < KEYWORDS_MAX)
			keyset_map_set(&there, c->map[number]);
	if (keysets_word(&c->to->sets, keyset_map_pack(&there, room), ret_there) != 0)
		return false;
	c->map_last = here;
	c->map_there = *ret_there;
	return true;
}

/* ---- rows ---- */

static bool facts_rows(struct copy *c, struct engine_batch *b, uint32_t first)
{
	struct wire_reader r = wire_reader(buf_slice(&c->facts));

	while (wire_left(&r) > 0) {
		uint32_t i = wire_get_u32(&r), source = wire_get_u32(&r);
		struct slice facts = wire_get_bytes(&r, COPY_FACTS_MAX);
		struct rec_key key = source != 0 ? key_facts(first + i, (enum facts_source)source)
						 : key_u32(REC_HEADER, first + i);

		if (engine_put(b, key_slice(&key), facts) != 0)
			return false;
	}
	return true;
}

/* Who has what the message has; false: it has rows of its own, or nothing. */
static bool lender(const struct copy *c, uint32_t uid, uint64_t *ret_mbox, uint32_t *ret_there)
{
	const struct loan *one = copy_crosses(c) ? NULL : loans_at(&c->from->loans, uid);

	if (one != NULL && one->first <= uid) {
		*ret_mbox = one->mbox;
		*ret_there = one->there + (uid - one->first);
		return true;
	}
	*ret_mbox = c->from->id;
	*ret_there = uid;
	return c->lends;
}

static bool loan_rows(struct copy *c, struct txn *t, uint32_t first)
{
	size_t from = c->loans.n;

	c->loans.row_msgs = LOANS_ROW_MSGS; /* each batch has rows of its own */
	for (size_t i = 0; i < c->n; i++) {
		uint64_t mbox;
		uint32_t there;

		if (lender(c, c->rows[i].uid, &mbox, &there) &&
		    loans_add(&c->loans, first + (uint32_t)i, mbox, there) != 0)
			return false;
	}
	return loan_put_new(t, &c->loans, from);
}

/* The messages of all portions are there now; or their rows wait. */
static void staged_count(struct copy *c, struct mbox_head *h)
{
	h->staged = more_to_come(c) ? h->uidnext : 0;
	if (more_to_come(c))
		return;
	h->modseq = c->modseq;
	h->uidnext += (uint32_t)c->n_all;
	h->exists += (uint32_t)c->n_all;
	for (size_t i = 0; i < c->n_all; i++) {
		h->unseen += (c->all[i].flags & IPC_FLAG_SEEN) == 0;
		h->bytes += c->all[i].size;
	}
}

static bool new_rows(struct copy *c, struct txn *t)
{
	struct mbox_head *h = &t->head;
	uint32_t first = h->uidnext + (c->staged ? (uint32_t)(c->rows - c->all) : 0), uid = first;
	static uint8_t val[RECORD_MSG_MAX];
	int64_t now = clock_wall_s();

	for (size_t i = 0; i < c->n; i++) {
		struct cols_row *row = &c->rows[i];
		struct rec_key key = key_u32(REC_MSG, uid++);
		struct msg_rec rec;

		if (!keywords_there(c, row->keywords, &row->keywords))
			return false;
		row->modseq = c->modseq;
		row->saved = now;
		if (copy_crosses(c))
			row->thread = 0; /* threads are an account's own; it is found anew */
		rec = (struct msg_rec){ .flags = row->flags,
			.keywords = keysets_get(&c->to->sets, row->keywords),
			.size = row->size,
			.modseq = row->modseq,
			.id = row->id,
			.sum = row->sum,
			.thread = row->thread,
			.date = row->date,
			.saved = now };
		if (engine_put_ref(t->batch, key_slice(&key), slice_of(val, msg_pack(&rec, val)),
			&row->loc) != 0)
			return false;
		if (c->staged)
			continue;
		h->uidnext++;
		h->exists++;
		h->unseen += (row->flags & IPC_FLAG_SEEN) == 0;
		h->bytes += row->size;
	}
	if (c->staged)
		staged_count(c, h);
	if (c->keywords.n > c->to->keywords.n &&
	    !mbox_put_keywords(t, &c->keywords, c->to->keywords.n))
		return false;
	c->handed = (size_t)(c->rows - c->all) + c->n;
	return loan_rows(c, t, first) && facts_rows(c, t->batch, first);
}

/* What the mailbox here loses by a move. */
static bool gone_take(struct copy *c)
{
	struct change *g = &c->gone;

	if (g->uids == NULL)
		g->uids = calloc(COPY_PORTION, sizeof(*g->uids));
	if (g->keep == NULL)
		g->keep = calloc(COPY_PORTION, sizeof(*g->keep));
	if (g->uids == NULL || g->keep == NULL)
		return false;
	g->n = c->n;
	for (size_t i = 0; i < c->n; i++)
		g->uids[i] = c->rows[i].uid;
	return true;
}

/* The same, into the batch of that txn. */
static bool gone_rows(struct copy *c)
{
	return gone_take(c) && change_rows(&c->gone);
}

static void gone_init(struct copy *c)
{
	struct change *g = &c->gone;

	g->kind = CHANGE_EXPUNGE;
	g->mbox = c->from;
	g->moved = !copy_crosses(c); /* what leaves the account can be restored in it */
	g->seq = c->op.seq;
	g->see = c->see;
}

int copy_allowed(struct copy *c)
{
	struct account *a = c->op.account;
	const struct cols_row *all = c->staged ? c->all : c->rows;
	size_t n = c->staged ? c->n_all : c->n;
	uint64_t bytes = 0;
	bool grows = !c->move || copy_crosses(c);

	/* Of a copy in portions before the first one, and again before it becomes true. */
	if (more_to_come(c) && c->rows > c->all)
		n = 0;
	for (size_t i = 0; grows && i < n; i++)
		if (add_overflows_u64(bytes, all[i].size, &bytes))
			return IPC_ST_OVERQUOTA;
	if (grows && !quota_lets(a, a->quota, bytes, n))
		return IPC_ST_OVERQUOTA;
	if (c->to->pend.uidnext >= STORE_UID_MAX - n)
		return IPC_ST_TOOBIG;
	keywords_fini(&c->keywords);
	return keywords_copy(&c->keywords, &c->to->keywords) == 0 ? IPC_ST_OK : IPC_ST_TRYLATER;
}

/* The same, or what is brought back. */
static bool taken_rows(struct copy *c)
{
	return c->back != NULL ? copy_back_rows(c, &c->gone.txn) : gone_rows(c);
}

/* Both mailboxes of a move; IPC_ST_OK: under way. */
static int commit_both(struct copy *c)
{
	struct txn *t[2] = { &c->txn, &c->gone.txn };
	int r = txn_begin(c->from, t[1], on_gone);

	/* What waits for its turn in one account's queue is not overtaken by the other's. */
	if (r == IPC_ST_OK && copy_crosses(c) &&
	    !(commit_is_idle(c->from->account) && commit_is_idle(c->to->account))) {
		txn_abort(t[1]);
		r = IPC_ST_TRYLATER;
	}
	if (r != IPC_ST_OK) {
		txn_abort(t[0]);
		return r;
	}
	if (c->move)
		t[1]->head.modseq =
		    copy_crosses(c) ? ++c->from->account->modseq : t[0]->head.modseq;
	if (!taken_rows(c) || !new_rows(c, t[0])) {
		txn_abort(t[0]);
		txn_abort(t[1]);
		return IPC_ST_LIMIT;
	}
	c->left = 2;
	return txn_commit(c->op.account->st, t, 2);
}

/* The same batch adds and takes away. */
static int commit_one(struct copy *c)
{
	struct txn *t = &c->txn;
	bool good = true;

	if (c->move || c->back != NULL) {
		c->gone.txn = *t;
		good = taken_rows(c);
		t->head = c->gone.txn.head;
	}
	if (!good || !new_rows(c, t)) {
		txn_abort(t);
		return IPC_ST_LIMIT;
	}
	c->left = 1;
	return txn_commit(c->op.account->st, &t, 1);
}

/* The first of two commits: what is taken away afterwards is what is here now. */
static int commit_there(struct copy *c)
{
	struct txn *t = &c->txn;

	if (!gone_take(c) || !new_rows(c, t) || !copy_cross_rows(c)) {
		txn_abort(t);
		return IPC_ST_LIMIT;
	}
	return txn_commit(c->op.account->st, &t, 1);
}

int copy_take_away(struct copy *c)
{
	struct txn *t = &c->gone.txn;
	int r = txn_begin(c->from, t, on_gone);

	if (r != IPC_ST_OK)
		return r;
	t->head.modseq = ++c->from->account->modseq;
	if (!change_rows(&c->gone)) {
		txn_abort(t);
		return IPC_ST_LIMIT;
	}
	return txn_commit(c->op.account->st, &t, 1);
}

int copy_store_portion(struct copy *c)
{
	int r = copy_allowed(c);

	if (r == IPC_ST_OK)
		r = txn_begin(c->to, &c->txn, on_stored);
	if (r != IPC_ST_OK)
		return r;
	if (c->modseq == 0 || !c->staged)
		c->modseq = ++c->op.account->modseq;
	if (!c->staged)
		c->txn.head.modseq = c->modseq;
	c->to->staging = c->staged;
	c->first_uid = c->txn.head.uidnext;
	if (!keywords_map(c)) {
		txn_abort(&c->txn);
		return IPC_ST_TRYLATER;
	}
	gone_init(c);
	if (c->steps)
		return commit_there(c);
	return (c->move || c->back != NULL) && c->from != c->to ? commit_both(c) : commit_one(c);
}

void copy_store(struct copy *c)
{
	int r;

	c->status = IPC_ST_OK;
	if (c->steps) {
		copy_cross(c);
		return;
	}
	r = copy_store_portion(c);
	if (r != IPC_ST_OK)
		copy_portion_done(c, r);
}
