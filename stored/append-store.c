/*
 * append-store - the messages of an append in one batch of their mailbox, answered when it is
 * durable.
 */
#include "stored/append-private.h"

#include "common/base/checked.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdlib.h>

static struct append *append_of(struct txn *t)
{
	return (struct append *)t;
}

static void finish(struct append *a, int status)
{
	struct ipc_append_done d = { .seq = a->op.seq, .status = (uint32_t)status };

	if (status == IPC_ST_OK)
		d.uidvalidity = a->mbox->uidvalidity;
	if (status == IPC_ST_OK && a->n_msgs > 0) {
		d.first_uid = TAILQ_FIRST(&a->msgs)->uid;
		d.last_uid = TAILQ_LAST(&a->msgs, append_msgs)->uid;
	}
	if (a->op.session != NULL) {
		append_credit_all(a);
		a->op.session->append = NULL;
		session_answer(a->op.session, IPC_append_done, &d);
	}
	op_end(&a->op);
	append_free(a);
}

/* ---- durable ---- */

static void publish(struct append *a)
{
	struct mbox *m = a->mbox;
	struct cols_row *rows = calloc(a->n_msgs + 1, sizeof(*rows));
	struct append_msg *msg;
	size_t n = 0;

	if (rows == NULL) {
		account_forget(m->account);
		return;
	}
	TAILQ_FOREACH(msg, &a->msgs, link)
	{
		struct cols_row *row = &rows[n];

		*row = (struct cols_row){ .uid = msg->uid,
			.flags = msg->rec.flags,
			.keywords = msg->words,
			.size = msg->rec.size,
			.modseq = msg->rec.modseq,
			.id = msg->rec.id,
			.sum = msg->rec.sum,
			.thread = msg->rec.thread,
			.date = msg->rec.date,
			.saved = msg->rec.saved };
		if (engine_body_loc_in(msg->body, m->group, &row->loc) != ENGINE_OK) {
			log_ev(LOG_ERR, "stored.engine", kv_s("what", "body"),
			    kv_s("why", "no place"));
			account_forget(m->account);
			free(rows);
			return;
		}
		n++;
	}
	if (a->keywords.n > m->keywords.n)
		mbox_take_keywords(m, &a->keywords);
	if (n > 0)
		mbox_add(m, a->op.session, a->op.seq, rows, n);
	n = 0;
	TAILQ_FOREACH(msg, &a->msgs, link)
	{
		if (msg->facts.n == 0)
			parse_want(m, rows[n].uid, &rows[n].loc, rows[n].size);
		n++;
	}
	free(rows);
}

static void on_stored(struct txn *t, int status)
{
	struct append *a = append_of(t);
	struct mbox *m = a->mbox;

	if (status == IPC_ST_OK)
		publish(a);
	threads_flush(m->account);
	finish(a, status);
	change_release(m);
}

/* ---- rows ---- */

static bool msg_rows(struct append *a, struct append_msg *msg, uint32_t uid)
{
	struct engine_batch *b = a->txn.batch;
	struct rec_key key = key_u32(REC_MSG, uid), facts = key_facts(uid, FACTS_FRONT_END);
	struct rec_key header = key_u32(REC_HEADER, uid);
	static uint8_t val[RECORD_MSG_MAX];
	struct msg_rec rec = msg->rec;

	rec.keywords = keysets_get(&a->mbox->sets, msg->words);
	if (engine_put_body(b, key_slice(&key), slice_of(val, msg_pack(&rec, val)), msg->body) != 0)
		return false;
	if (msg->facts.n > 0 && engine_put(b, key_slice(&facts), msg->facts) != 0)
		return false;
	return msg->header.n == 0 || engine_put(b, key_slice(&header), msg->header) == 0;
}

static bool keywords_take(struct append *a, struct append_msg *msg)
{
	static struct keyset_map set;
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];

	msg->words = 0;
	if (msg->keywords.n == 0)
		return true;
	/* Of names beyond the mailbox's room nothing is kept: mail matters more. */
	(void)keywords_add_all(&a->keywords, msg->keywords, &set);
	return keysets_word(&a->mbox->sets, keyset_map_pack(&set, room), &msg->words) == 0;
}

/* What the mailbox becomes. False without ids or room in the batch. */
static bool rows(struct append *a)
{
	struct mbox_head *h = &a->txn.head;
	int64_t now = clock_wall_s();
	struct append_msg *msg;

	h->modseq = ++a->mbox->account->modseq;
	TAILQ_FOREACH(msg, &a->msgs, link)
	{
		if (!keywords_take(a, msg))
			return false;
		msg->uid = msg->place != 0 ? msg->place : h->uidnext;
		h->uidnext = msg->uid + 1;
		msg->rec = (struct msg_rec){ .flags = msg->flags,
			.size = msg->size,
			.modseq = h->modseq,
			.id = store_id(a->st),
			.sum = XXH3_64bits_digest(msg->sum),
			.date = msg->date != INT64_MIN ? msg->date : now,
			.saved = now };
		msg->rec.thread = threads_id(&msg->ids, msg->thread, msg->rec.id);
		if (msg->rec.id == 0 || !msg_rows(a, msg, msg->uid))
			return false;
		h->exists++;
		h->unseen += (msg->flags & IPC_FLAG_SEEN) == 0;
		h->bytes += msg->size;
	}
	if (a->place > h->uidnext)
		h->uidnext = a->place;
	return a->keywords.n <= a->mbox->keywords.n ||
	       mbox_put_keywords(&a->txn, &a->keywords, a->mbox->keywords.n);
}

/* Whether the messages can have the uids that they must: these only grow. */
static int places_check(const struct append *a)
{
	uint32_t next = a->mbox->pend.uidnext;
	const struct append_msg *msg;

	TAILQ_FOREACH(msg, &a->msgs, link)
	{
		if (msg->place != 0 && msg->place < next)
			return IPC_ST_EXISTS;
		if (msg->place != 0)
			next = msg->place;
		if (next >= STORE_UID_MAX)
			return IPC_ST_TOOBIG;
		next++;
	}
	return a->place < STORE_UID_MAX ? IPC_ST_OK : IPC_ST_TOOBIG;
}

/* IPC_ST_OK: it is under way. */
static int begin(struct append *a)
{
	struct account *account = a->mbox->account;
	struct txn *t = &a->txn;
	int r;

	if (!quota_lets(account, account->quota, a->bytes, a->n_msgs))
		return IPC_ST_OVERQUOTA;
	r = places_check(a);
	if (r != IPC_ST_OK)
		return r;
	if (a->named && keywords_copy(&a->keywords, &a->mbox->keywords) != 0)
		return IPC_ST_TRYLATER;
	r = txn_begin(a->mbox, t, on_stored);
	if (r != IPC_ST_OK)
		return r;
	if (!rows(a)) {
		txn_abort(t);
		return IPC_ST_TRYLATER;
	}
	return txn_commit(a->st, &t, 1);
}

static void on_held(void *arg, int status)
{
	struct append *a = arg;
	struct mbox *m = a->mbox;
	bool held = status == IPC_ST_OK;

	if (held)
		status = begin(a);
	if (status == IPC_ST_OK)
		return;
	finish(a, status);
	if (held)
		change_release(m);
}

static void asked(struct append *a)
{
	if (--a->asking == 0)
		change_hold(a->mbox, a->named && a->mbox->pub.keywords > 0, on_held, a);
}

static void on_thread(void *arg, uint64_t thread)
{
	struct append_msg *msg = arg;

	msg->thread = thread;
	asked(msg->append);
}

void append_store(struct append *a)
{
	struct append_msg *msg;

	if (a->status != IPC_ST_OK) {
		finish(a, a->status);
		return;
	}
	a->asking = 1; /* stays until the end of the loop */
	TAILQ_FOREACH(msg, &a->msgs, link)
	{
		a->named |= msg->keywords.n > 0;
		a->asking++;
		threads_find(a->mbox->account, &msg->ids, on_thread, msg);
	}
	asked(a);
}
