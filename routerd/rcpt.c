/*
 * rcpt - one connection that delivers mail asks where recipients lead. What leads to an account of
 * ours is first registered with stored as a target of that connection; only then is it answered, so
 * that the connection never names a target which stored does not expect.
 */
#include "routerd/routerd.h"

#include "routerd/limits.h"

#include <stdlib.h>
#include <unistd.h>

enum { TARGETS_MAX = 4096, WAITING_MAX = 4096 };

struct target {
	uint64_t account;
	uint32_t handle;
	UT_hash_handle hh;
};

/* A recipient that waits for stored. */
struct wait {
	uint32_t seq, rcpt_seq, handle;
	struct wait *next;
};

struct rcpt_conn {
	struct routerd *rd;
	struct ipc_chan *chan;
	uint64_t sid;
	struct target *targets;
	struct wait *waits;
	unsigned waiting;
	struct rcpt_conn *next, **prev;
};

static void conn_free(struct rcpt_conn *rc)
{
	struct target *t, *tmp;

	HASH_ITER(hh, rc->targets, t, tmp)
	{
		HASH_DEL(rc->targets, t);
		free(t);
	}
	while (rc->waits != NULL) {
		struct wait *w = rc->waits;

		rc->waits = w->next;
		free(w);
	}
	*rc->prev = rc->next;
	if (rc->next != NULL)
		rc->next->prev = rc->prev;
	ipc_chan_free(&rc->chan);
	free(rc);
}

static void answer(
    struct rcpt_conn *rc, uint32_t seq, enum ipc_route_status status, uint32_t handle)
{
	struct ipc_rcpt_reply m = { .seq = seq,
		.status = status,
		.handle = handle,
		.text = slice_str(route_status_text(status)) };

	ipc_send(rc->chan, IPC_rcpt_reply, &m, NULL);
}

static struct target *target_of(struct rcpt_conn *rc, uint64_t account)
{
	struct target *t = NULL;

	HASH_FIND(hh, rc->targets, &account, sizeof(account), t);
	if (t != NULL || HASH_COUNT(rc->targets) >= TARGETS_MAX)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->account = account;
	t->handle = HASH_COUNT(rc->targets) + 1;
	HASH_ADD(hh, rc->targets, account, sizeof(t->account), t);
	return t;
}

static void ask_stored(struct rcpt_conn *rc, uint32_t rcpt_seq, const struct object *o)
{
	struct routerd *rd = rc->rd;
	struct target *t = target_of(rc, o->id);
	struct wait *w = t != NULL && rd->stored != NULL && rc->waiting < WAITING_MAX
			     ? calloc(1, sizeof(*w))
			     : NULL;
	struct ipc_post_target m;

	if (w == NULL) {
		answer(rc, rcpt_seq, IPC_ROUTE_TRYLATER, 0);
		return;
	}
	*w = (struct wait){
		.seq = ++rd->next_seq, .rcpt_seq = rcpt_seq, .handle = t->handle, .next = rc->waits
	};
	rc->waits = w;
	rc->waiting++;
	m = (struct ipc_post_target){ .seq = w->seq,
		.sid = rc->sid,
		.handle = t->handle,
		.account = o->id,
		.quota = o->quota_bytes };
	ipc_send(rd->stored, IPC_post_target, &m, NULL);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct rcpt_conn *rc = arg;
	struct route *r = &rc->rd->route;

	if (type != IPC_rcpt_ask)
		return;
	rc->rd->stat.recipients++;
	route_address(&rc->rd->db.dir, m->rcpt_ask.address, ROUTE_MAIL, r);
	if (r->status == IPC_ROUTE_OK)
		ask_stored(rc, m->rcpt_ask.seq, r->account);
	else
		answer(rc, m->rcpt_ask.seq, r->status, 0);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	conn_free(arg);
}

static const struct ipc_ops rcpt_ops = { .on_msg = on_msg, .on_gone = on_gone };

static struct rcpt_conn *conn_of(struct routerd *rd, uint64_t sid)
{
	struct rcpt_conn *rc = rd->rcpt_conns;

	while (rc != NULL && rc->sid != sid)
		rc = rc->next;
	return rc;
}

void rcpt_on_attach(
    struct routerd *rd, struct ipc_chan *c, const struct ipc_rcpt_attach *m, int *fd)
{
	struct rcpt_conn *rc;
	int take_fd = *fd;

	/* A second channel for a connection would number other accounts with the same handles. */
	if (!ipc_chan_owns_sid(c, m->sid) || conn_of(rd, m->sid) != NULL) {
		ipc_chan_refuse(c, IPC_rcpt_attach, "not a new connection of this acceptor");
		return;
	}
	rc = calloc(1, sizeof(*rc));
	if (rc == NULL)
		return;
	*fd = -1;
	*rc = (struct rcpt_conn){
		.rd = rd, .sid = m->sid, .next = rd->rcpt_conns, .prev = &rd->rcpt_conns
	};
	if (rc->next != NULL)
		rc->next->prev = &rc->next;
	rd->rcpt_conns = rc;
	rc->chan = ipc_chan_new(rd->base, take_fd, IPC_CH_RCPT, true, &rcpt_ops, rc);
	if (rc->chan == NULL)
		conn_free(rc);
}

static enum ipc_route_status from_store(uint32_t status)
{
	switch (status) {
	case IPC_ST_OK:
		return IPC_ROUTE_OK;
	case IPC_ST_OVERQUOTA:
		return IPC_ROUTE_OVERQUOTA;
	default:
		return IPC_ROUTE_TRYLATER;
	}
}

/* Answers of stored come in the order of asking, so the connection's oldest wait is the last in its
 * list. */
static bool settle(struct rcpt_conn *rc, uint32_t seq, uint32_t status)
{
	for (struct wait **at = &rc->waits; *at != NULL; at = &(*at)->next) {
		struct wait *w = *at;

		if (w->seq != seq)
			continue;
		*at = w->next;
		rc->waiting--;
		answer(rc, w->rcpt_seq, from_store(status), w->handle);
		free(w);
		return true;
	}
	return false;
}

void rcpt_on_target_done(struct routerd *rd, const struct ipc_post_target_done *m)
{
	for (struct rcpt_conn *rc = rd->rcpt_conns; rc != NULL; rc = rc->next)
		if (settle(rc, m->seq, m->status))
			return;
}

/* Targets were known to the stored that is gone; post channels ended with it, so handles are of no
 * use. */
void rcpt_on_stored_gone(struct routerd *rd)
{
	struct rcpt_conn *rc, *next;

	for (rc = rd->rcpt_conns; rc != NULL; rc = next) {
		next = rc->next;
		while (rc->waits != NULL)
			settle(rc, rc->waits->seq, IPC_ST_TRYLATER);
	}
}
