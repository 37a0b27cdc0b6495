/*
 * append - a session adds messages to a mailbox: their bytes as they come, one commit in the end.
 *
 * What a session makes us hold is one window of unconsumed bytes and, of all messages of one
 * append, APPEND_BUFFERED_MAX bytes in the engine.
 */
#include "stored/append-private.h"

#include "common/base/checked.h"

#include <stdlib.h>

/* ---- its life ---- */

static void msg_free(struct append_msg *m)
{
	struct append_piece *piece;

	while ((piece = STAILQ_FIRST(&m->pieces)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->pieces, link);
		free(piece);
	}
	if (m->body != NULL)
		engine_body_free(&m->body); /* and its calls never come */
	XXH3_freeState(m->sum);
	free((void *)m->keywords.p);
	free((void *)m->facts.p);
	free((void *)m->header.p);
	free(m);
}

void append_free(struct append *a)
{
	struct account *account = a->mbox->account;
	struct append_msg *m;

	while ((m = TAILQ_FIRST(&a->msgs)) != NULL) {
		TAILQ_REMOVE(&a->msgs, m, link);
		msg_free(m);
	}
	a->st->in_flight -= a->waits;
	a->mbox->pins--;
	tree_reap(account);
	keywords_fini(&a->keywords);
	free(a);
	account_unref(account);
}

void append_drop(struct session *s)
{
	struct append *a = s->append;

	s->append = NULL;
	if (a != NULL && a->state != APPEND_STORING) {
		if (a->state == APPEND_COMMIT)
			op_end(&a->op);
		append_free(a);
	}
}

static void credit_send(struct append *a)
{
	struct session *s = a->op.session;
	struct ipc_append_credit c = { (uint32_t)a->credit_due };

	a->credit_due = 0;
	if (s != NULL && s->chan != NULL && c.bytes > 0)
		(void)ipc_send(s->chan, IPC_append_credit, &c, NULL);
}

/* Consumed bytes go back to the sender, in pieces worth a message. */
static void credit_back(struct append *a, size_t n)
{
	a->window_used -= n;
	a->credit_due += n;
	if (a->credit_due >= POST_CREDIT_STEP)
		credit_send(a);
}

void append_credit_all(struct append *a)
{
	credit_back(a, a->window_used);
	credit_send(a);
}

static void refuse(struct session *s, const char *why)
{
	store_bad_peer(s->st, "session", s->sid, why);
	session_end(s, IPC_BYE_PROTOCOL);
}

/* ---- begin ---- */

static uint64_t quota_room(const struct account *a)
{
	uint64_t used = account_usage(a);

	if (a->quota == 0)
		return UINT64_MAX;
	return used < a->quota ? a->quota - used : 0;
}

static void on_begin(struct session *s, struct account *account, const struct ipc_append_begin *q)
{
	struct ipc_append_ready r = { .seq = q->seq };
	int status = IPC_ST_OK;
	struct mbox *m = account_mbox(account, q->name, &status);
	struct append *a;

	if (s->append != NULL) {
		refuse(s, "two appends");
		return;
	}
	a = m != NULL && !s->st->stopping ? calloc(1, sizeof(*a)) : NULL;
	if (a != NULL) {
		a->st = s->st;
		a->mbox = m;
		a->op.session = s;
		TAILQ_INIT(&a->msgs);
		m->pins++;
		account_ref(account);
		s->append = a;
	}
	r.status = (uint32_t)(m == NULL ? status : a == NULL ? IPC_ST_TRYLATER : IPC_ST_OK);
	r.room = quota_room(account);
	(void)ipc_send(s->chan, IPC_append_ready, &r, NULL);
}

/* ---- one message ---- */

/* Takes `data` or says ENGINE_AGAIN; anything else makes the rest of the append vanish. */
static int piece_append(struct append_msg *m, struct slice data)
{
	struct append *a = m->append;
	size_t max = engine_limits(store_engine(a->st))->body_buffered;
	int rc;

	if (a->status != IPC_ST_OK)
		return ENGINE_OK;
	if (m->size + data.n > STORE_BODY_MAX) {
		a->status = IPC_ST_TOOBIG;
		return ENGINE_OK;
	}
	rc = engine_body_append(m->body, data);
	if (rc == ENGINE_AGAIN)
		return rc;
	if (rc != ENGINE_OK) {
		a->status = store_status(rc);
		return ENGINE_OK;
	}
	if (m->size < max)
		a->buffered += m->size + data.n < max ? data.n : max - m->size;
	if (a->buffered > APPEND_BUFFERED_MAX)
		a->status = IPC_ST_LIMIT;
	m->size += data.n;
	a->bytes += data.n;
	XXH3_64bits_update(m->sum, data.p, data.n);
	return ENGINE_OK;
}

static void commit_if_ready(struct append *a)
{
	if (a->state == APPEND_COMMIT && (a->n_unready == 0 || a->status != IPC_ST_OK)) {
		a->state = APPEND_STORING;
		append_store(a);
	}
}

static void msg_ready(struct append_msg *m)
{
	m->state = MSG_READY;
	m->append->n_unready--;
}

static void on_ended(void *arg, int rc)
{
	struct append_msg *m = arg;
	struct append *a = m->append;

	a->waits--;
	a->st->in_flight--;
	if (rc != ENGINE_OK && a->status == IPC_ST_OK)
		a->status = store_status(rc);
	msg_ready(m);
	commit_if_ready(a);
}

/* All bytes are with the engine. */
static void msg_end(struct append_msg *m)
{
	struct append *a = m->append;
	int rc = ENGINE_OK;

	if (a->status == IPC_ST_OK)
		rc = engine_body_end(m->body, on_ended, m);
	if (rc == ENGINE_AGAIN) {
		a->waits++;
		a->st->in_flight++;
		return;
	}
	if (rc != ENGINE_OK)
		a->status = store_status(rc);
	msg_ready(m);
}

static void on_room(void *arg, int rc)
{
	struct append_msg *m = arg;
	struct append *a = m->append;
	struct append_piece *piece;

	m->wait_room = false;
	if (rc != ENGINE_OK && a->status == IPC_ST_OK)
		a->status = store_status(rc);
	while ((piece = STAILQ_FIRST(&m->pieces)) != NULL) {
		if (piece_append(m, slice_of(piece->data, piece->n)) == ENGINE_AGAIN) {
			m->wait_room = true;
			return;
		}
		STAILQ_REMOVE_HEAD(&m->pieces, link);
		credit_back(a, piece->n);
		free(piece);
	}
	if (m->state == MSG_ENDING)
		msg_end(m);
	commit_if_ready(a);
}

static struct append_msg *last_open(struct append *a)
{
	struct append_msg *m = a != NULL ? TAILQ_LAST(&a->msgs, append_msgs) : NULL;

	return m != NULL && m->state == MSG_DATA && a->state == APPEND_OPEN ? m : NULL;
}

static void on_append_msg(struct session *s, const struct ipc_append_msg *q)
{
	struct append *a = s->append;
	struct append_msg *m;

	if (a == NULL || a->state != APPEND_OPEN || last_open(a) != NULL) {
		refuse(s, "message out of turn");
		return;
	}
	if (a->n_msgs > APPEND_MSGS_MAX) {
		/* All of them will be refused: one is enough to read past the others. */
		m = TAILQ_LAST(&a->msgs, append_msgs);
		m->state = MSG_DATA;
		a->n_unready++;
		return;
	}
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	m->append = a;
	m->flags = q->flags;
	m->place = a->place;
	m->ids.thread = a->thread;
	a->place = 0;
	a->thread = 0;
	m->date = q->date;
	STAILQ_INIT(&m->pieces);
	TAILQ_INSERT_TAIL(&a->msgs, m, link);
	a->n_unready++;
	if (++a->n_msgs > APPEND_MSGS_MAX) {
		a->status = IPC_ST_LIMIT;
		return;
	}
	if ((q->flags & ~(uint32_t)FLAGS_KNOWN) != 0)
		a->status = IPC_ST_BAD;
	if (a->status != IPC_ST_OK)
		return;
	m->sum = XXH3_createState();
	m->body = engine_body_begin(store_engine(a->st), q->size_hint, on_room, m);
	if (m->body != NULL && a->mbox->group != NULL)
		engine_body_near(m->body, a->mbox->group);
	if (m->sum == NULL || m->body == NULL || slice_dup(q->keywords, &m->keywords) != 0)
		a->status = IPC_ST_TRYLATER;
	else
		XXH3_64bits_reset(m->sum);
	if (m->body != NULL && a->mbox->account->policy.compress)
		engine_body_pack(m->body);
}

static void on_place(struct session *s, const struct ipc_append_place *q)
{
	struct append *a = s->append;

	if (!s->admin || a == NULL || a->state != APPEND_OPEN || last_open(a) != NULL ||
	    q->uid == 0) {
		refuse(s, "place out of turn");
		return;
	}
	a->place = q->uid;
	a->thread = q->thread;
}

static void piece_keep(struct append_msg *m, struct slice data)
{
	struct append_piece *piece = malloc(sizeof(*piece) + data.n);

	if (piece == NULL) {
		m->append->status = IPC_ST_TRYLATER;
		credit_back(m->append, data.n);
		return;
	}
	piece->n = data.n;
	memcpy(piece->data, data.p, data.n);
	STAILQ_INSERT_TAIL(&m->pieces, piece, link);
}

static void on_data(struct session *s, struct slice data)
{
	struct append *a = s->append;
	struct append_msg *m = last_open(a);

	if (m == NULL) {
		refuse(s, "data without a message");
		return;
	}
	if (data.n > IPC_WINDOW_BYTES - a->window_used - a->credit_due) {
		refuse(s, "window");
		return;
	}
	if (data.n == 0)
		return; /* nothing waits for room but what the window bounds */
	a->window_used += data.n;
	if (m->wait_room || piece_append(m, data) == ENGINE_AGAIN) {
		m->wait_room = true;
		piece_keep(m, data);
		return;
	}
	credit_back(a, data.n);
}

/* Facts are a help and no promise: those that do not fit are made anew by parsed. */
static void on_end(struct session *s, const struct ipc_append_end *q)
{
	struct append *a = s->append;
	struct append_msg *m = last_open(a);
	struct slice facts = q->facts;

	if (m == NULL) {
		refuse(s, "end without a message");
		return;
	}
	if (a->status == IPC_ST_OK && a->rows_bytes + facts.n <= APPEND_FACTS_MAX &&
	    facts.n <= engine_limits(store_engine(a->st))->value_bytes &&
	    slice_dup(facts, &m->facts) == 0)
		a->rows_bytes += facts.n;
	if (m->facts.n > 0 && a->rows_bytes + q->header.n <= APPEND_FACTS_MAX &&
	    slice_dup(q->header, &m->header) == 0)
		a->rows_bytes += q->header.n;
	thread_ids_take(q->thread, &m->ids);
	m->state = MSG_ENDING;
	if (!m->wait_room)
		msg_end(m);
}

/* ---- the end ---- */

static void on_commit(struct session *s, uint32_t seq)
{
	struct append *a = s->append;

	if (a == NULL || a->state != APPEND_OPEN || last_open(a) != NULL) {
		refuse(s, "commit out of turn");
		return;
	}
	if (!session_admit(s, 0))
		return;
	op_begin(&a->op, s, a->mbox->account, seq, 0);
	if (a->n_msgs == 0 && a->place == 0)
		a->status = IPC_ST_BAD;
	a->state = APPEND_COMMIT;
	commit_if_ready(a);
}

static void on_abort(struct session *s)
{
	struct append *a = s->append;

	if (a == NULL || a->state != APPEND_OPEN) {
		refuse(s, "abort without an append");
		return;
	}
	append_credit_all(a);
	append_drop(s);
}

bool append_on_msg(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_append_begin:
		on_begin(s, at->account, &m->append_begin);
		return true;
	case IPC_append_msg:
		on_append_msg(s, &m->append_msg);
		return true;
	case IPC_append_place:
		on_place(s, &m->append_place);
		return true;
	case IPC_append_data:
		on_data(s, m->append_data.data);
		return true;
	case IPC_append_end:
		on_end(s, &m->append_end);
		return true;
	case IPC_append_commit:
		on_commit(s, m->append_commit.seq);
		return true;
	case IPC_append_abort:
		on_abort(s);
		return true;
	default:
		return false;
	}
}
