/*
 * post - deliveries: a connection appends to the accounts that routerd registered for it, and reads
 * nothing.
 *
 * One body is stored once for all recipients; each recipient's answer comes after its batch is
 * durable. What a connection makes us hold is one window of unconsumed bytes, the engine's buffer
 * of each of POST_ACTIVE_MAX messages, and their facts.
 */
#include "stored/post-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/wire.h"

#include <stdlib.h>

/* ---- the connection ---- */

static void conn_refuse(struct post_conn *pc, const char *why)
{
	store_bad_peer(pc->st, "post", pc->sid, why);
	post_conn_end(pc);
}

void post_conn_end(struct post_conn *pc)
{
	if (pc->dead)
		return;
	pc->dead = true;
	ipc_chan_free(&pc->chan);
	if (!pc->attached)
		pc->st->n_unattached--;
	LIST_REMOVE(pc, link);
	idmap_del(&pc->st->conns, pc->sid);
	LIST_INSERT_HEAD(&pc->st->dead_conns, pc, link);
	store_sweep_soon(pc->st);
}

void post_conn_free(struct post_conn *pc)
{
	struct post *p, *next;

	LIST_REMOVE(pc, link);
	for (p = TAILQ_FIRST(&pc->posts); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		p->conn = NULL;
		if (p->state == POST_DATA)
			post_free(p);
	}
	for (size_t i = 0; i < pc->targets.cap; i++) {
		struct post_target *t = pc->targets.slots[i].p;

		if (t == NULL)
			continue;
		post_unpin(&t->mbox);
		account_unref(t->account);
		free(t);
	}
	idmap_fini(&pc->targets);
	free(pc);
}

/* Either side may speak of a connection first. NULL: no memory, or too many that never came. */
static struct post_conn *conn_get(struct store *st, uint64_t sid)
{
	struct post_conn *pc = idmap_get(&st->conns, sid);

	if (pc != NULL)
		return pc;
	if (st->n_unattached >= POST_UNATTACHED_MAX || st->conns.n >= POST_CONNS_MAX)
		return NULL;
	pc = calloc(1, sizeof(*pc));
	if (pc == NULL)
		return NULL;
	pc->st = st;
	pc->sid = sid;
	pc->since_ms = clock_mono_ms();
	TAILQ_INIT(&pc->posts);
	if (idmap_add(&st->conns, sid, pc) != 0) {
		free(pc);
		return NULL;
	}
	st->n_unattached++;
	LIST_INSERT_HEAD(&st->conn_list, pc, link);
	return pc;
}

void post_expire(struct store *st, int64_t now_ms)
{
	struct post_conn *pc, *next;

	if (st->n_unattached == 0)
		return;
	for (pc = LIST_FIRST(&st->conn_list); pc != NULL; pc = next) {
		next = LIST_NEXT(pc, link);
		if (!pc->attached && now_ms - pc->since_ms > POST_UNATTACHED_S * 1000)
			post_conn_end(pc);
	}
}

/* ---- targets ---- */

struct target_ask {
	struct peer *peer;
	uint32_t seq, handle;
	uint64_t sid, quota, size;
	struct slice mailbox; /* behind the struct */
};

/* One that is not there means the INBOX: who may not look into the account does not learn its
 * mailboxes' names either. */
static struct mbox *mailbox_of(struct account *a, struct slice name)
{
	int status;
	struct mbox *m = name.n > 0 ? account_mbox(a, name, &status) : NULL;

	return m != a->inbox ? m : NULL;
}

static int target_put(struct post_conn *pc, const struct target_ask *q, struct account *a)
{
	struct post_target *t = idmap_get(&pc->targets, q->handle);

	if (t == NULL) {
		if (pc->targets.n >= POST_TARGETS_MAX)
			return IPC_ST_TOOBIG;
		t = calloc(1, sizeof(*t));
		if (t == NULL || idmap_add(&pc->targets, q->handle, t) != 0) {
			free(t);
			return IPC_ST_TRYLATER;
		}
		t->handle = q->handle;
	}
	/* Who holds the handle would post to somebody else without knowing. */
	if (t->account != NULL && t->account->id != a->id)
		return IPC_ST_DENIED;
	account_ref(a);
	post_unpin(&t->mbox);
	if (t->account != NULL)
		account_unref(t->account);
	t->account = a;
	t->mbox = mailbox_of(a, q->mailbox);
	post_pin(t->mbox);
	t->quota = a->quota = q->quota;
	return IPC_ST_OK;
}

static void on_target(void *arg, int status, struct account *a)
{
	struct target_ask *q = arg;
	struct ipc_post_target_done d = { q->seq, (uint32_t)status };
	struct store *st = q->peer->st;
	struct post_conn *pc;

	if (status == IPC_ST_OK)
		policy_want(a);
	/* Of a size that is not known at least one octet. */
	if (status == IPC_ST_OK &&
	    !quota_lets(a, quota_of_mail(a, q->quota), q->size > 0 ? q->size : 1, 1))
		d.status = IPC_ST_OVERQUOTA;
	if (d.status == IPC_ST_OK) {
		pc = conn_get(st, q->sid);
		d.status = pc != NULL ? (uint32_t)target_put(pc, q, a) : IPC_ST_TRYLATER;
	}
	if (q->peer->chan != NULL)
		(void)ipc_send(q->peer->chan, IPC_post_target_done, &d, NULL);
	peer_unref(q->peer);
	free(q);
}

void post_target(struct store *st, const struct ipc_post_target *q, struct peer *from)
{
	struct target_ask *ask = malloc(sizeof(*ask) + q->mailbox.n);

	if (ask == NULL) {
		struct ipc_post_target_done d = { q->seq, IPC_ST_TRYLATER };

		(void)ipc_send(from->chan, IPC_post_target_done, &d, NULL);
		return;
	}
	*ask =
	    (struct target_ask){ from, q->seq, q->handle, q->sid, q->quota, q->size, SLICE_NONE };
	if (q->mailbox.n > 0) {
		memcpy(ask + 1, q->mailbox.p, q->mailbox.n);
		ask->mailbox = slice_of(ask + 1, q->mailbox.n);
	}
	peer_ref(from);
	account_get(st, q->account, 0, on_target, ask);
}

/* ---- one message: its life ---- */

void post_free(struct post *p)
{
	struct post_piece *piece;

	if (p->conn != NULL) {
		p->conn->n_posts--;
		TAILQ_REMOVE(&p->conn->posts, p, link);
	}
	while ((piece = STAILQ_FIRST(&p->pieces)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->pieces, link);
		free(piece);
	}
	for (unsigned i = 0; i < p->n_rcpts; i++) {
		post_unpin(&p->rcpts[i].mbox);
		account_unref(p->rcpts[i].account);
	}
	if (p->body != NULL)
		engine_body_free(&p->body);
	XXH3_freeState(p->sum);
	free((void *)p->facts.p);
	free((void *)p->header.p);
	free(p);
}

static struct post *post_find(struct post_conn *pc, uint32_t tag)
{
	struct post *p;

	TAILQ_FOREACH(p, &pc->posts, link)
	if (p->tag == tag)
		return p;
	return NULL;
}

/* Consumed bytes go back to the sender, in pieces worth a message. */
static void credit_back(struct post_conn *pc, size_t n)
{
	struct ipc_post_credit c;

	if (pc == NULL || pc->dead)
		return;
	pc->window_used -= n;
	pc->credit_due += n;
	if (pc->credit_due < POST_CREDIT_STEP)
		return;
	c.bytes = (uint32_t)pc->credit_due;
	pc->credit_due = 0;
	(void)ipc_send(pc->chan, IPC_post_credit, &c, NULL);
}

/* ---- receiving ---- */

/* Takes `data` or says ENGINE_AGAIN; anything else makes the rest of the message vanish. */
static int piece_append(struct post *p, struct slice data)
{
	int rc;

	if (p->status != IPC_ST_OK)
		return ENGINE_OK;
	if (p->size + data.n > STORE_BODY_MAX) {
		p->status = IPC_ST_TOOBIG;
		return ENGINE_OK;
	}
	rc = engine_body_append(p->body, data);
	if (rc == ENGINE_AGAIN)
		return rc;
	if (rc != ENGINE_OK) {
		p->status = store_status(rc);
		return ENGINE_OK;
	}
	p->size += data.n;
	XXH3_64bits_update(p->sum, data.p, data.n);
	return ENGINE_OK;
}

static void on_room(void *arg, int rc)
{
	struct post *p = arg;
	struct post_piece *piece;

	p->wait_room = false;
	if (rc != ENGINE_OK)
		p->status = store_status(rc);
	while ((piece = STAILQ_FIRST(&p->pieces)) != NULL) {
		if (piece_append(p, slice_of(piece->data, piece->n)) == ENGINE_AGAIN) {
			p->wait_room = true;
			return;
		}
		STAILQ_REMOVE_HEAD(&p->pieces, link);
		credit_back(p->conn, piece->n);
		free(piece);
	}
	if (p->state == POST_ENDING)
		post_end(p);
}

static void piece_keep(struct post *p, struct slice data)
{
	struct post_piece *piece = malloc(sizeof(*piece) + data.n);

	if (piece == NULL) {
		p->status = IPC_ST_TRYLATER;
		credit_back(p->conn, data.n);
		return;
	}
	piece->n = data.n;
	memcpy(piece->data, data.p, data.n);
	STAILQ_INSERT_TAIL(&p->pieces, piece, link);
}

static void on_data(struct post_conn *pc, const struct ipc_post_data *q)
{
	struct post *p = post_find(pc, q->tag);

	if (p == NULL || p->state != POST_DATA) {
		conn_refuse(pc, "data without a message");
		return;
	}
	if (q->data.n > IPC_WINDOW_BYTES - pc->window_used - pc->credit_due) {
		conn_refuse(pc, "window");
		return;
	}
	if (q->data.n == 0)
		return; /* nothing waits for room but what the window bounds */
	pc->window_used += q->data.n;
	if (p->wait_room || piece_append(p, q->data) == ENGINE_AGAIN) {
		p->wait_room = true;
		piece_keep(p, q->data);
		return;
	}
	credit_back(pc, q->data.n);
}

static void on_commit(struct post_conn *pc, const struct ipc_post_commit *q)
{
	size_t value_max = engine_limits(store_engine(pc->st))->value_bytes;
	struct post *p = post_find(pc, q->tag);

	if (p == NULL || p->state != POST_DATA) {
		conn_refuse(pc, "commit without a message");
		return;
	}
	if (q->facts.n <= value_max)
		(void)slice_dup(q->facts, &p->facts);
	if (q->header.n <= value_max)
		(void)slice_dup(q->header, &p->header);
	thread_ids_take(q->thread, &p->ids);
	p->state = POST_ENDING;
	if (!p->wait_room)
		post_end(p);
}

static void on_abort(struct post_conn *pc, const struct ipc_post_abort *q)
{
	struct post *p = post_find(pc, q->tag);
	struct post_piece *piece;

	if (p == NULL || p->state != POST_DATA) {
		conn_refuse(pc, "abort without a message");
		return;
	}
	STAILQ_FOREACH(piece, &p->pieces, link)
	credit_back(pc, piece->n);
	post_free(p);
}

/* The recipients of a new message; a status other than IPC_ST_OK names the first bad handle. */
static int rcpts_find(
    struct post_conn *pc, struct post *p, struct slice handles, uint32_t *ret_handle)
{
	for (size_t i = 0; i < handles.n; i += 4) {
		uint32_t named = wire_load_u32(handles.p + i), h = named & ~IPC_HANDLE_JOINED;
		struct post_target *t = idmap_get(&pc->targets, h);
		struct post_rcpt *r = &p->rcpts[p->n_rcpts];

		*ret_handle = h;
		if (t == NULL)
			return IPC_ST_DENIED;
		*r = (struct post_rcpt){ .post = p,
			.account = t->account,
			.mbox = t->mbox,
			.handle = h,
			.quota = t->quota };
		r->joined = (named & IPC_HANDLE_JOINED) != 0;
		for (unsigned k = 0; k < p->n_rcpts && !r->same; k++) {
			r->same = p->rcpts[k].account == t->account &&
				  p->rcpts[k].mbox == t->mbox && !p->rcpts[k].same;
			r->same_as = k;
		}
		account_ref(t->account);
		post_pin(r->mbox);
		p->n_rcpts++;
		p->left++;
	}
	return IPC_ST_OK;
}

static void on_begin(struct post_conn *pc, const struct ipc_post_begin *q)
{
	size_t n = q->handles.n / 4;
	struct post *p;
	uint32_t handle = 0;

	if (n == 0 || q->handles.n % 4 != 0 || pc->n_posts >= POST_ACTIVE_MAX ||
	    post_find(pc, q->tag) != NULL) {
		conn_refuse(pc, "begin");
		return;
	}
	p = calloc(1, sizeof(*p) + n * sizeof(p->rcpts[0]));
	if (p == NULL) {
		post_conn_end(pc);
		return;
	}
	p->conn = pc;
	p->st = pc->st;
	p->tag = q->tag;
	p->together = q->together != 0;
	STAILQ_INIT(&p->pieces);
	TAILQ_INSERT_TAIL(&pc->posts, p, link);
	pc->n_posts++;
	if (rcpts_find(pc, p, q->handles, &handle) != IPC_ST_OK) {
		struct ipc_post_result res = { q->tag, handle, IPC_ST_DENIED, p->n_rcpts };

		(void)ipc_send(pc->chan, IPC_post_result, &res, NULL);
		conn_refuse(pc, "handle");
		return;
	}
	p->sum = XXH3_createState();
	p->body = engine_body_begin(store_engine(pc->st), q->size_hint, on_room, p);
	if (p->body != NULL && p->rcpts[0].account->root != NULL)
		engine_body_near(p->body, p->rcpts[0].account->root);
	if (p->sum == NULL || p->body == NULL || pc->st->stopping)
		p->status = IPC_ST_TRYLATER;
	if (p->sum != NULL)
		XXH3_64bits_reset(p->sum);
	if (p->body != NULL && post_compresses(p))
		engine_body_pack(p->body);
}

static void post_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct post_conn *pc = arg;

	switch (type) {
	case IPC_post_begin:
		on_begin(pc, &m->post_begin);
		break;
	case IPC_post_data:
		on_data(pc, &m->post_data);
		break;
	case IPC_post_commit:
		on_commit(pc, &m->post_commit);
		break;
	case IPC_post_abort:
		on_abort(pc, &m->post_abort);
		break;
	default:
		conn_refuse(pc, "message");
		break;
	}
}

static void post_on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct post_conn *pc = arg;

	if (why == IPC_GONE_BAD || why == IPC_GONE_SLOW)
		store_bad_peer(pc->st, "post", pc->sid, why == IPC_GONE_BAD ? "message" : "slow");
	post_conn_end(pc);
}

static const struct ipc_ops post_ops = { post_on_msg, post_on_gone, NULL };

void post_attach(struct store *st, uint64_t sid, int take_fd)
{
	struct post_conn *pc = conn_get(st, sid);
	int fd = take_fd;

	if (pc != NULL && pc->attached) {
		store_bad_peer(st, "attach", sid, "twice");
		pc = NULL;
	}
	if (pc == NULL) {
		fd_close(&fd);
		return;
	}
	st->n_unattached--;
	pc->attached = true;
	pc->chan = ipc_chan_new(st->base, fd, IPC_CH_POST, true, &post_ops, pc);
	if (pc->chan == NULL)
		post_conn_end(pc);
}
