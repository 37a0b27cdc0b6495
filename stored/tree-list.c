/*
 * tree-list - LIST and STATUS of a session, answered in turn like everything with bulk.
 */
#include "stored/session-private.h"
#include "stored/tree.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { LIST_BYTES = 61440, LIST_ROW_HEAD = 20 };

void session_mbox_done(struct session *s, uint32_t seq, int status, uint64_t id)
{
	struct ipc_mbox_done d = { seq, (uint32_t)status, id };

	if (s->dead)
		return;
	s->outstanding--;
	(void)ipc_send(s->chan, IPC_mbox_done, &d, NULL);
}

/* ---- listing: three lists merged, by name ---- */

struct list_at {
	const struct account *a; /* or NULL */
	const struct tree_names *subs;
	struct slice owner; /* with which subscriptions to its names begin */
	size_t mbox, dir, sub;
};

static struct slice sub_at(const struct list_at *l)
{
	struct slice name = l->sub < l->subs->n ? l->subs->v[l->sub].name : SLICE_NONE;

	return slice_starts(name, l->owner) ? slice_from(name, l->owner.n) : SLICE_NONE;
}

static struct slice name_at(const struct list_at *l, unsigned which)
{
	if (which == 0 && l->a != NULL && l->mbox < l->a->n_mboxes)
		return l->a->mboxes[l->mbox]->name;
	if (which == 1 && l->a != NULL && l->dir < l->a->dirs.n)
		return l->a->dirs.v[l->dir].name;
	return which == 2 ? sub_at(l) : SLICE_NONE;
}

/* The first names that are not below that of the request. */
static struct list_at list_from(const struct session *s, const struct request *q)
{
	static uint8_t full[2 * MBOX_NAME_MAX];
	struct slice name = slice_of(q->name, q->n_name);
	struct list_at l = {
		.a = q->account, .subs = &s->account->subs, .owner = slice_of(q->owner, q->n_owner)
	};
	bool found;

	if (l.a != NULL) {
		l.mbox = tree_mboxes_lower(l.a, name, &found);
		l.dir = tree_names_lower(&l.a->dirs, name, &found);
	}
	if (q->n_owner > 0)
		memcpy(full, q->owner, q->n_owner);
	memcpy(full + q->n_owner, q->name, q->n_name);
	l.sub = tree_names_lower(l.subs, slice_of(full, q->n_owner + q->n_name), &found);
	return l;
}

/* The lowest name, and a row for it at `p`; the lists move on behind it. False at the end. */
static bool list_take(struct list_at *l, struct slice *ret_name, uint8_t head[LIST_ROW_HEAD])
{
	struct slice low = SLICE_NONE;
	uint32_t attrs = IPC_ATTR_NONEXISTENT, uidvalidity = 0;
	uint64_t id = 0;

	for (unsigned k = 0; k < 3; k++) {
		struct slice s = name_at(l, k);

		if (s.n > 0 && (low.n == 0 || tree_compare(s, low) < 0))
			low = s;
	}
	if (low.n == 0)
		return false;
	if (slice_eq(name_at(l, 1), low)) {
		attrs = IPC_ATTR_NOSELECT;
		l->dir++;
	}
	if (slice_eq(name_at(l, 0), low)) {
		const struct mbox *m = l->a->mboxes[l->mbox++];

		attrs = m->attrs & IPC_ATTR_SPECIAL;
		uidvalidity = m->uidvalidity;
		id = m->id;
	}
	if (slice_eq(name_at(l, 2), low)) {
		attrs |= IPC_ATTR_SUBSCRIBED;
		l->sub++;
	}
	wire_store_u64(head, id);
	wire_store_u32(head + 8, attrs);
	wire_store_u32(head + 12, uidvalidity);
	wire_store_u32(head + 16, (uint32_t)(l->owner.n + low.n));
	*ret_name = low;
	return true;
}

/* One reply: true when it was the last. q->name moves behind what was sent. */
static bool list_reply(struct session *s, struct request *q)
{
	static uint8_t out[LIST_BYTES];
	struct slice prefix = slice_of(q->prefix, q->n_prefix), name;
	struct list_at l = list_from(s, q);
	struct ipc_mbox_list_rows r = { .seq = q->seq, .status = IPC_ST_OK };
	uint8_t head[LIST_ROW_HEAD];
	size_t n = 0;

	while (list_take(&l, &name, head)) {
		if (q->uid != 0 && slice_eq(name, slice_of(q->name, q->n_name)))
			continue; /* was the last one of the reply before */
		if (!slice_starts(name, prefix))
			continue;
		if (q->n_owner + name.n > MBOX_NAME_MAX)
			continue; /* no message could name it */
		if (n + LIST_ROW_HEAD + q->n_owner + name.n > LIST_BYTES) {
			r.more = 1;
			break;
		}
		memcpy(out + n, head, LIST_ROW_HEAD);
		n += LIST_ROW_HEAD;
		if (q->n_owner > 0)
			memcpy(out + n, q->owner, q->n_owner);
		n += q->n_owner;
		memcpy(out + n, name.p, name.n);
		n += name.n;
		memcpy(q->name, name.p, name.n);
		q->n_name = name.n;
		q->uid = 1;
	}
	r.rows = slice_of(out, n);
	(void)ipc_send(s->chan, IPC_mbox_list_rows, &r, NULL);
	return r.more == 0;
}

bool tree_run_list(struct session *s, struct request *q)
{
	while (!s->dead && ipc_chan_queued(s->chan) <= SESSION_QUEUE_HIGH)
		if (list_reply(s, q))
			return true;
	return false;
}

/* ---- status ---- */

static void status_counts(const struct mbox *m, struct ipc_mbox_status_is *r)
{
	r->recent = (uint32_t)(m->cols.n - cols_lower(&m->cols, m->recent_from));
	for (size_t i = 0; i < m->cols.n; i++) {
		if ((m->cols.flags[i] & IPC_FLAG_DELETED) == 0)
			continue;
		r->deleted++;
		r->deleted_bytes += m->cols.size[i];
	}
}

bool tree_run_status(struct session *s, struct request *q)
{
	struct mbox *m = account_mbox_id(q->account, q->id);
	struct ipc_mbox_status_is r = { .seq = q->seq, .status = IPC_ST_NOTFOUND };
	bool look = q->limit != 0;

	if (m != NULL && look && m->cols_state != COLS_READY && !m->load_failed)
		mbox_load(m);
	if (m != NULL && look && m->cols_state == COLS_LOADING)
		return false;
	if (m != NULL && look && m->cols_state != COLS_READY) {
		r.status = IPC_ST_TRYLATER;
	} else if (m != NULL) {
		r = (struct ipc_mbox_status_is){ .seq = q->seq,
			.status = IPC_ST_OK,
			.id = m->id,
			.uidvalidity = m->uidvalidity,
			.uidnext = m->pub.uidnext,
			.messages = m->pub.exists,
			.unseen = m->pub.unseen,
			.bytes = m->pub.bytes,
			.modseq = mbox_tell_modseq(m) };
		if (look)
			status_counts(m, &r);
	}
	if (s->chan != NULL)
		(void)ipc_send(s->chan, IPC_mbox_status_is, &r, NULL);
	return true;
}

/* ---- what comes from a session ---- */

void request_free(struct request **qp)
{
	struct request *q = *qp;

	*qp = NULL;
	free(q->name);
	free(q->prefix);
	free(q->owner);
	gone_free(&q->gone);
	free(q);
}

static void on_list(struct session *s, const struct place *at, const struct ipc_mbox_list *m)
{
	struct request *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	q->type = IPC_mbox_list;
	q->seq = m->seq;
	q->name = malloc(MBOX_NAME_MAX);
	q->prefix = malloc(m->prefix.n + 1);
	q->owner = malloc(at->owner.n + 1);
	if (q->name == NULL || q->prefix == NULL || q->owner == NULL) {
		request_free(&q);
		session_end(s, IPC_BYE_STORE);
		return;
	}
	if (m->prefix.n > 0)
		memcpy(q->prefix, m->prefix.p, m->prefix.n);
	q->n_prefix = m->prefix.n;
	if (at->owner.n > 0)
		memcpy(q->owner, at->owner.p, at->owner.n);
	q->n_owner = at->owner.n;
	q->account = at->account;
	TAILQ_INSERT_TAIL(&s->requests, q, link);
}

static void on_status(struct session *s, struct account *a, const struct ipc_mbox_status *m)
{
	struct request *q = calloc(1, sizeof(*q));
	struct mbox *box;
	int status;

	if (q == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	box = account_mbox(a, m->name, &status);
	q->account = a;
	q->type = IPC_mbox_status;
	q->seq = m->seq;
	q->id = box != NULL ? box->id : 0;
	q->limit = m->want;
	TAILQ_INSERT_TAIL(&s->requests, q, link);
}

bool tree_on_msg(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_mbox_list:
		if (session_admit(s, 0))
			on_list(s, at, &m->mbox_list);
		return true;
	case IPC_mbox_status:
		if (session_admit(s, 0))
			on_status(s, at->account, &m->mbox_status);
		return true;
	case IPC_mbox_create:
		if (session_admit(s, 0))
			tree_create(s, at->account, &m->mbox_create);
		return true;
	case IPC_mbox_delete:
		if (session_admit(s, 0))
			tree_delete(s, at->account, &m->mbox_delete);
		return true;
	case IPC_mbox_rename:
		if (session_admit(s, 0))
			tree_rename(s, at->account, &m->mbox_rename);
		return true;
	case IPC_mbox_subscribe:
		if (session_admit(s, 0))
			tree_subscribe(s, &m->mbox_subscribe);
		return true;
	case IPC_mbox_place:
		if (s->admin && session_admit(s, 0)) {
			tree_place(s, &m->mbox_place);
		} else if (!s->admin) {
			store_bad_peer(s->st, "session", s->sid, "place");
			session_end(s, IPC_BYE_PROTOCOL);
		}
		return true;
	default:
		return false;
	}
}
