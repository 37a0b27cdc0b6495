/*
 * post-store - a received message for its recipients: one body, one batch for each, one answer for
 * each after its batch is durable.
 */
#include "stored/post-private.h"

#include "common/base/checked.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <assert.h>

void post_pin(struct mbox *m)
{
	if (m != NULL)
		m->pins++;
}

void post_unpin(struct mbox **m)
{
	struct account *a;

	if (*m == NULL)
		return;
	a = (*m)->account;
	(*m)->pins--;
	*m = NULL;
	tree_reap(a);
}

static struct post_rcpt *rcpt_of(struct txn *t)
{
	return (struct post_rcpt *)t;
}

static void rcpt_answer(struct post_rcpt *r, int status)
{
	struct post *p = r->post;
	struct ipc_post_result res = { p->tag, r->handle, (uint32_t)status,
		(uint32_t)(r - p->rcpts) };

	assert(!r->answered && p->left > 0);
	r->answered = true;
	r->status = status;
	p->left--;
	if (status == IPC_ST_OK) {
		p->st->counts.delivered++;
		p->st->counts.delivered_bytes += p->size;
	} else {
		p->st->counts.refused++;
		p->st->counts
		    .refused_by[status >= 0 && status <= IPC_ST_BAD ? status : IPC_ST_TRYLATER]++;
	}
	if (p->conn != NULL && !p->conn->dead)
		(void)ipc_send(p->conn->chan, IPC_post_result, &res, NULL);
	for (unsigned i = 0; i < p->n_rcpts; i++)
		if (!r->same && p->rcpts[i].same && !p->rcpts[i].answered &&
		    &p->rcpts[p->rcpts[i].same_as] == r)
			rcpt_answer(&p->rcpts[i], status);
}

static void post_answer_all(struct post *p, int status)
{
	for (unsigned i = 0; i < p->n_rcpts; i++)
		if (!p->rcpts[i].answered && !p->rcpts[i].same)
			rcpt_answer(&p->rcpts[i], status);
	post_free(p);
}

static void rcpt_stored(struct post_rcpt *r)
{
	struct post *p = r->post;
	struct mbox *m = r->txn.mbox;
	struct cols_row row = { .uid = r->uid,
		.flags = r->rec.flags,
		.size = r->rec.size,
		.modseq = r->rec.modseq,
		.id = r->rec.id,
		.sum = r->rec.sum,
		.thread = r->rec.thread,
		.date = r->rec.date,
		.saved = r->rec.saved };

	if (engine_body_loc_in(p->body, m->group, &row.loc) != ENGINE_OK) {
		log_ev(LOG_ERR, "stored.engine", kv_s("what", "body"), kv_s("why", "no place"));
		account_forget(m->account);
		return;
	}
	mbox_add(m, NULL, 0, &row, 1);
	if (p->facts.n == 0)
		parse_want(m, r->uid, &row.loc, r->rec.size);
}

/* Others may change the mailbox again. */
static void rcpt_let_go(struct post_rcpt *r)
{
	if (r->held)
		change_release(r->mbox);
	r->held = false;
}

static void on_rcpt(struct txn *t, int status)
{
	struct post_rcpt *r = rcpt_of(t);
	struct post *p = r->post;

	if (status == IPC_ST_OK)
		rcpt_stored(r);
	rcpt_answer(r, status);
	rcpt_let_go(r);
	threads_flush(r->account);
	if (p->left == 0)
		post_free(p);
}

static int rcpt_rows(struct post_rcpt *r)
{
	struct post *p = r->post;
	struct rec_key key = key_u32(REC_MSG, r->uid);
	struct rec_key facts = key_facts(r->uid, FACTS_FRONT_END);
	struct rec_key header = key_u32(REC_HEADER, r->uid);
	static uint8_t val[RECORD_MSG_MAX];
	int rc;

	rc = engine_put_body(
	    r->txn.batch, key_slice(&key), slice_of(val, msg_pack(&r->rec, val)), p->body);
	if (rc == ENGINE_OK && p->facts.n > 0)
		rc = engine_put(r->txn.batch, key_slice(&facts), p->facts);
	if (rc == ENGINE_OK && p->header.n > 0)
		rc = engine_put(r->txn.batch, key_slice(&header), p->header);
	return rc == ENGINE_OK ? IPC_ST_OK : IPC_ST_TRYLATER;
}

/* What is known against a recipient before its batch is begun. */
static int rcpt_check(const struct post_rcpt *r)
{
	const struct account *a = r->account;

	if (a->state == ACCOUNT_READY &&
	    !quota_lets(a, quota_of_mail(a, r->quota), r->post->size, 1))
		return IPC_ST_OVERQUOTA;
	return a->inbox->pend.uidnext < STORE_UID_MAX ? txn_check(a->inbox) : IPC_ST_TOOBIG;
}

/* The recipient's batch, not yet handed in. */
static int rcpt_begin(struct post_rcpt *r)
{
	struct post *p = r->post;
	struct account *a = r->account;
	struct mbox *m = r->held ? r->mbox : a->inbox;
	uint64_t id;
	int s = rcpt_check(r);

	if (s == IPC_ST_OK && m->pend.uidnext >= STORE_UID_MAX)
		s = IPC_ST_TOOBIG;
	if (s == IPC_ST_OK)
		s = txn_begin(m, &r->txn, on_rcpt);
	if (s != IPC_ST_OK)
		return s;
	id = store_id(p->st);
	r->uid = r->txn.head.uidnext++;
	r->txn.head.exists++;
	r->txn.head.unseen++;
	r->txn.head.bytes += p->size;
	r->txn.head.modseq = ++a->modseq;
	r->rec = (struct msg_rec){ .size = p->size,
		.modseq = r->txn.head.modseq,
		.id = id,
		.sum = XXH3_64bits_digest(p->sum),
		.thread = threads_id(&p->ids, r->thread, id),
		.date = clock_wall_s() };
	r->rec.saved = r->rec.date;
	s = id != 0 ? rcpt_rows(r) : IPC_ST_TRYLATER;
	if (s != IPC_ST_OK)
		txn_abort(&r->txn);
	return s;
}

/* Hands in what begun recipients there are; they are answered here if that fails. */
static void portion_commit(struct post *p, struct txn **txns, unsigned n)
{
	int s = n > 0 ? txn_commit(p->st, txns, n) : IPC_ST_OK;

	for (unsigned i = 0; s != IPC_ST_OK && i < n; i++)
		rcpt_answer(rcpt_of(txns[i]), s);
}

/* Nobody deletes the mailbox now; if somebody has, it is mail for the INBOX. */
static void on_held(void *arg, int status)
{
	struct post_rcpt *r = arg;
	struct post *p = r->post;
	struct txn *t = &r->txn;

	r->held = status == IPC_ST_OK;
	if (status == IPC_ST_NOTFOUND)
		status = IPC_ST_OK;
	if (status == IPC_ST_OK)
		status = rcpt_begin(r);
	if (status == IPC_ST_OK)
		status = txn_commit(p->st, &t, 1);
	if (status == IPC_ST_OK)
		return;
	rcpt_answer(r, status);
	rcpt_let_go(r);
	if (p->left == 0)
		post_free(p);
}

/* Another recipient with the same account, outside of the set, does not share the set's fate. */
static void part_from(struct post *p, unsigned primary, unsigned from, unsigned to)
{
	unsigned heir = primary;

	for (unsigned i = 0; i < p->n_rcpts; i++) {
		struct post_rcpt *r = &p->rcpts[i];

		if (!r->same || r->same_as != primary || (i >= from && i < to))
			continue;
		if (heir == primary) {
			heir = i;
			r->same = false;
		}
		r->same_as = heir;
	}
}

/*
 * Recipients from `from` to before `to` have one fate: who cannot have it fails with the reason,
 * all others with "try later", since their sender hears one answer for all.
 */
static void set_check(struct post *p, unsigned from, unsigned to)
{
	bool fails = false;

	for (unsigned i = from; i < to; i++)
		fails |= rcpt_check(&p->rcpts[i]) != IPC_ST_OK;
	for (unsigned i = from; fails && i < to; i++)
		if (!p->rcpts[i].same)
			part_from(p, i, from, to);
	for (unsigned i = from; fails && i < to; i++) {
		int s = rcpt_check(&p->rcpts[i]);

		if (!p->rcpts[i].answered)
			rcpt_answer(&p->rcpts[i], s != IPC_ST_OK ? s : IPC_ST_TRYLATER);
	}
}

static void sets_check(struct post *p)
{
	for (unsigned i = 0, next; i < p->n_rcpts; i = next) {
		next = i + 1;
		while (next < p->n_rcpts && (p->together || p->rcpts[next].joined))
			next++;
		if (next - i > 1)
			set_check(p, i, next);
	}
}

static void post_store(struct post *p)
{
	struct txn *txns[TXN_COMMIT_MAX];
	unsigned n = 0, max = engine_limits(store_engine(p->st))->commit_batches;

	if (max > TXN_COMMIT_MAX)
		max = TXN_COMMIT_MAX;
	if (p->status != IPC_ST_OK) {
		post_answer_all(p, p->status);
		return;
	}
	sets_check(p);
	p->state = POST_STORING;
	p->left++; /* stays until the end of the loop */
	for (unsigned i = 0; i < p->n_rcpts; i++) {
		struct post_rcpt *r = &p->rcpts[i];
		int s;

		if (r->same || r->answered)
			continue;
		if (r->mbox == NULL && r->account->inbox != NULL && r->account->inbox->staging) {
			r->mbox = r->account->inbox; /* waits for the copy's end */
			r->mbox->pins++;
		}
		if (r->mbox != NULL) {
			change_hold(r->mbox, false, on_held, r);
			continue;
		}
		s = rcpt_begin(r);
		if (s != IPC_ST_OK) {
			rcpt_answer(r, s);
			continue;
		}
		txns[n++] = &r->txn;
		if (n == max) {
			portion_commit(p, txns, n);
			n = 0;
		}
	}
	portion_commit(p, txns, n);
	if (--p->left == 0)
		post_free(p);
}

static void asked(struct post *p)
{
	if (--p->asking == 0)
		post_store(p);
}

static void on_thread(void *arg, uint64_t thread)
{
	struct post_rcpt *r = arg;

	r->thread = thread;
	asked(r->post);
}

/* Each account has threads of its own. */
static void post_threads(struct post *p)
{
	p->asking = 1; /* stays until the end of the loop */
	for (unsigned i = 0; p->status == IPC_ST_OK && i < p->n_rcpts; i++) {
		p->asking++;
		threads_find(p->rcpts[i].account, &p->ids, on_thread, &p->rcpts[i]);
	}
	asked(p);
}

static void on_ended(void *arg, int rc)
{
	struct post *p = arg;

	p->st->in_flight--;
	if (rc != ENGINE_OK)
		p->status = store_status(rc);
	post_threads(p);
}

bool post_compresses(const struct post *p)
{
	for (unsigned i = 0; i < p->n_rcpts; i++)
		if (p->rcpts[i].account->policy.compress)
			return true;
	return false;
}

void post_end(struct post *p)
{
	int rc = ENGINE_OK;

	/* Once more: what the accounts may can have come while the message did. */
	if (p->status == IPC_ST_OK && post_compresses(p))
		engine_body_pack(p->body);
	if (p->status == IPC_ST_OK)
		rc = engine_body_end(p->body, on_ended, p);
	if (rc == ENGINE_AGAIN) {
		p->st->in_flight++;
		return;
	}
	if (rc != ENGINE_OK)
		p->status = store_status(rc);
	post_threads(p);
}
