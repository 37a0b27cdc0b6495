/*
 * rcpt - one connection that delivers mail asks where recipients lead. What leads to an account of
 * ours is first registered with stored as a target of that connection; only then is it answered, so
 * that the connection never names a target which stored does not expect.
 */
#include "routerd/routerd.h"

#include "common/metrics/metrics.h"
#include "routerd/limits.h"

#include <stdlib.h>
#include <unistd.h>

struct target {
	uint64_t account;
	uint32_t handle;
	UT_hash_handle hh;
};

/* A recipient that waits for stored. */
struct rcpt_wait {
	struct rcpt_conn *conn;
	uint32_t seq, rcpt_seq, handle;
	UT_hash_handle hh;
};

struct rcpt_conn {
	struct routerd *rd;
	struct ipc_chan *chan;
	uint64_t sid;
	struct target *targets;
	unsigned waiting;
	UT_hash_handle hh;
};

static void conn_free(struct rcpt_conn *rc)
{
	struct target *t, *tmp;
	struct rcpt_wait *w, *next;

	HASH_ITER(hh, rc->targets, t, tmp)
	{
		HASH_DEL(rc->targets, t);
		free(t);
	}
	if (rc->waiting > 0) {
		HASH_ITER(hh, rc->rd->rcpt_waits, w, next)
		{
			if (w->conn != rc)
				continue;
			HASH_DEL(rc->rd->rcpt_waits, w);
			free(w);
		}
	}
	HASH_DEL(rc->rd->rcpt_conns, rc);
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

	metric_add(METRIC_route_lookups, "recipient", route_status_word(status), 1);
	ipc_send(rc->chan, IPC_rcpt_reply, &m, NULL);
}

static struct target *target_of(struct rcpt_conn *rc, uint64_t account)
{
	struct target *t = NULL;

	HASH_FIND(hh, rc->targets, &account, sizeof(account), t);
	if (t != NULL || HASH_COUNT(rc->targets) >= RCPT_TARGETS_MAX)
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
	struct rcpt_wait *w = t != NULL && rd->stored != NULL && rc->waiting < RCPT_WAITING_MAX
				  ? calloc(1, sizeof(*w))
				  : NULL;
	struct ipc_post_target m;

	if (w == NULL) {
		answer(rc, rcpt_seq, IPC_ROUTE_TRYLATER, 0);
		return;
	}
	*w = (struct rcpt_wait){
		.conn = rc, .seq = ++rd->next_seq, .rcpt_seq = rcpt_seq, .handle = t->handle
	};
	HASH_ADD(hh, rd->rcpt_waits, seq, sizeof(w->seq), w);
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
	struct rcpt_conn *rc = NULL;

	HASH_FIND(hh, rd->rcpt_conns, &sid, sizeof(sid), rc);
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
	if (HASH_COUNT(rd->rcpt_conns) >= RCPT_CONNS_MAX)
		return;
	rc = calloc(1, sizeof(*rc));
	if (rc == NULL)
		return;
	*fd = -1;
	*rc = (struct rcpt_conn){ .rd = rd, .sid = m->sid };
	HASH_ADD(hh, rd->rcpt_conns, sid, sizeof(rc->sid), rc);
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

static void settle(struct routerd *rd, struct rcpt_wait *w, uint32_t status)
{
	HASH_DEL(rd->rcpt_waits, w);
	w->conn->waiting--;
	answer(w->conn, w->rcpt_seq, from_store(status), w->handle);
	free(w);
}

void rcpt_on_target_done(struct routerd *rd, const struct ipc_post_target_done *m)
{
	struct rcpt_wait *w = NULL;
	uint32_t seq = m->seq;

	HASH_FIND(hh, rd->rcpt_waits, &seq, sizeof(seq), w);
	if (w != NULL)
		settle(rd, w, m->status);
}

/* Targets were known to the stored that is gone; post channels ended with it, so handles are of no
 * use. */
void rcpt_on_stored_gone(struct routerd *rd)
{
	struct rcpt_wait *w, *next;

	HASH_ITER(hh, rd->rcpt_waits, w, next)
	settle(rd, w, IPC_ST_TRYLATER);
}
