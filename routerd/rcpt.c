/*
 * rcpt - one connection that delivers mail asks where recipients lead, and, when it is for
 * submission, whether its login may send as an address: it knows the account by authd's word. What
 * leads to an account of ours is first registered with stored as a target of that connection; only
 * then is it answered, so that the connection never names a target which stored does not expect. A
 * group is so many targets, and good when stored expects all of them.
 */
#include "routerd/routerd.h"

#include "common/base/addr.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "routerd/group.h"
#include "routerd/limits.h"
#include "routerd/sender.h"
#include "routerd/services.h"
#include "routerd/tally.h"
#include "routerd/stranger.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An account, or one of its mailboxes. */
struct target {
	uint32_t handle;
	UT_hash_handle hh;
	size_t n;
	uint8_t key[]; /* the account's id, then the mailbox's name */
};

/* A recipient that waits for stored: one account, or those of a group. */
struct rcpt {
	uint32_t seq; /* of rcpt_ask */
	unsigned waits;
	enum ipc_route_status status; /* of the first target that is not to be had */
	const char *why;
	size_t n;
	uint32_t handles[];
};

/* One of its targets. */
struct rcpt_wait {
	struct rcpt_conn *conn;
	struct rcpt *rcpt;
	uint32_t seq;
	UT_hash_handle hh;
};

struct rcpt_conn {
	struct routerd *rd;
	struct ipc_chan *chan;
	uint64_t sid;
	bool login;       /* for submission: asks nothing before authd has named the account */
	bool sender;      /* the last sender asked for is the account's */
	uint64_t account; /* 0: none yet */
	uint32_t flags;   /* IPC_CONN_TLS, _PROXIED, when there is one */
	int64_t since_s;
	char service[33];
	uint8_t peer[ADDR_PACKED_MAX];
	size_t npeer;
	struct addr peer_ip; /* the same */
	bool blacklisted;    /* and BlacklistedIPs holds it */
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
			if (--w->rcpt->waits == 0)
				free(w->rcpt);
			free(w);
		}
	}
	HASH_DEL(rc->rd->rcpt_conns, rc);
	ipc_chan_free(&rc->chan);
	free(rc);
}

/* `why` is more than the status says, or NULL. */
static void answer(
    struct rcpt_conn *rc, uint32_t seq, enum ipc_route_status status, const char *why)
{
	struct ipc_rcpt_reply m = { .seq = seq,
		.status = status,
		.text = slice_str(why != NULL ? why : route_status_text(status)) };

	metric_add(METRIC_route_lookups, "recipient", route_status_word(status), 1);
	ipc_send(rc->chan, IPC_rcpt_reply, &m, NULL);
}

static void answer_good(struct rcpt_conn *rc, const struct rcpt *r)
{
	struct buf more = BUF_INIT(GROUP_ACCOUNTS_MAX * 4);
	struct ipc_rcpt_reply m = {
		.seq = r->seq, .status = IPC_ROUTE_OK, .handle = r->handles[0], .text = SLICE("")
	};

	for (size_t i = 1; i < r->n; i++)
		wire_put_u32(&more, r->handles[i]);
	m.more = buf_slice(&more);
	metric_add(METRIC_route_lookups, "recipient", route_status_word(m.status), 1);
	if (more.overflow)
		answer(rc, r->seq, IPC_ROUTE_TRYLATER, NULL);
	else
		ipc_send(rc->chan, IPC_rcpt_reply, &m, NULL);
	buf_fini(&more);
}

static struct target *target_of(struct rcpt_conn *rc, uint64_t account, struct slice mailbox)
{
	uint8_t key[sizeof(account) + ADDRESS_MAX_BYTES];
	size_t n = sizeof(account) + mailbox.n;
	struct target *t = NULL;

	memcpy(key, &account, sizeof(account));
	if (mailbox.n > 0)
		memcpy(key + sizeof(account), mailbox.p, mailbox.n);
	HASH_FIND(hh, rc->targets, key, n, t);
	if (t != NULL || HASH_COUNT(rc->targets) >= RCPT_TARGETS_MAX)
		return t;
	t = calloc(1, sizeof(*t) + n);
	if (t == NULL)
		return NULL;
	t->n = n;
	memcpy(t->key, key, n);
	t->handle = HASH_COUNT(rc->targets) + 1;
	HASH_ADD_KEYPTR(hh, rc->targets, t->key, t->n, t);
	return t;
}

static void rcpt_end(struct rcpt_conn *rc, struct rcpt *take_r)
{
	if (take_r->status == IPC_ROUTE_OK)
		answer_good(rc, take_r);
	else
		answer(rc, take_r->seq, take_r->status, take_r->why);
	free(take_r);
}

/* The mailbox that the address of an account names, if mail may go there. */
static struct slice direct_mailbox(const struct routerd *rd, const struct route *r)
{
	struct slice name = buf_slice(&r->mailbox);

	if (name.n == 0 || r->account == NULL || !route_direct(&rd->db.dir, r->account))
		return SLICE_NONE;
	return name;
}

/* One more target of the recipient: false when it cannot even be asked for. */
static bool ask_stored(struct rcpt_conn *rc, struct rcpt *r, const struct object *o,
    struct slice mailbox, uint64_t size)
{
	struct routerd *rd = rc->rd;
	struct target *t = target_of(rc, o->id, mailbox);
	struct rcpt_wait *w = t != NULL && rd->stored != NULL && rc->waiting < RCPT_WAITING_MAX
				  ? calloc(1, sizeof(*w))
				  : NULL;
	struct ipc_post_target m;

	if (w == NULL)
		return false;
	*w = (struct rcpt_wait){ .conn = rc, .rcpt = r, .seq = ++rd->next_seq };
	HASH_ADD(hh, rd->rcpt_waits, seq, sizeof(w->seq), w);
	tally_recipient(&rd->db.dir, o);
	rc->waiting++;
	r->waits++;
	r->handles[r->n++] = t->handle;
	m = (struct ipc_post_target){ .seq = w->seq,
		.sid = rc->sid,
		.handle = t->handle,
		.account = o->id,
		.quota = settings_quota(&rd->db.dir, o),
		.size = size,
		.mailbox = mailbox };
	ipc_send(rd->stored, IPC_post_target, &m, NULL);
	return true;
}

static void ask_for_all(struct rcpt_conn *rc, const struct ipc_rcpt_ask *q,
    const uint64_t *accounts, size_t n, struct slice mailbox)
{
	struct rcpt *r = calloc(1, sizeof(*r) + n * sizeof(r->handles[0]));
	size_t off = 0;

	if (r == NULL) {
		answer(rc, q->seq, IPC_ROUTE_TRYLATER, NULL);
		return;
	}
	r->seq = q->seq;
	r->waits = 1; /* for the end of the loop */
	for (size_t i = 0; i < n && r->status == IPC_ROUTE_OK; i++) {
		const struct object *o = directory_account(&rc->rd->db.dir, accounts[i]);

		/* Who has mail switched off is left out of a group, as who is suspended is. */
		if (o != NULL && (services_of(&rc->rd->db.dir, o) & SERVICE_MAIL) == 0)
			off++;
		else if (o == NULL || !ask_stored(rc, r, o, mailbox, q->size))
			r->status = IPC_ROUTE_TRYLATER;
	}
	if (off > 0 && off == n)
		r->status = IPC_ROUTE_OFF;
	if (--r->waits == 0)
		rcpt_end(rc, r);
}

static void ask_for_group(
    struct rcpt_conn *rc, const struct ipc_rcpt_ask *q, const struct object *group)
{
	struct group_accounts all;

	group_expand(&rc->rd->db.dir, group, &rc->rd->route, &all);
	if (all.status != IPC_ROUTE_OK)
		answer(rc, q->seq, all.status, all.why);
	else
		ask_for_all(rc, q, all.ids, all.n, SLICE_NONE);
}

/* A name that nobody has: is its account to be made? Not twice for one recipient. */
static void ask_for_unknown(struct rcpt_conn *rc, const struct ipc_rcpt_ask *q, bool again)
{
	bool bounced = rc->rd->route.bounced;
	enum ipc_route_status status =
	    again ? IPC_ROUTE_UNKNOWN : provision_rcpt(rc->rd, rc->sid, q);

	if (status == IPC_ROUTE_UNKNOWN && bounced)
		status = IPC_ROUTE_BOUNCED;
	if (status != IPC_ROUTE_OK)
		answer(rc, q->seq, status, NULL);
}

/* Who is to get a report. Nobody's account is made for that. */
static void find_reported(struct rcpt_conn *rc, const struct ipc_rcpt_ask *q)
{
	const struct object *o;
	enum ipc_route_status status = q->report == 1
					   ? sender_reported(rc->rd, q->address, &o)
					   : sender_told(rc->rd, q->address, rc->account, &o);

	if (status == IPC_ROUTE_OK)
		ask_for_all(rc, q, &o->id, 1, SLICE_NONE);
	else
		answer(rc, q->seq, status, NULL);
}

static void find_rcpt(struct rcpt_conn *rc, const struct ipc_rcpt_ask *q, bool again)
{
	char ip[ADDR_TEXT_MAX];
	struct route *r = &rc->rd->route;
	struct buf listed = BUF_INIT(2 * ADDRESS_MAX_BYTES);

	if (rc->blacklisted)
		stranger_put_listed(&listed, q->address);
	route_address(
	    &rc->rd->db.dir, rc->blacklisted ? buf_slice(&listed) : q->address, ROUTE_MAIL, r);
	buf_fini(&listed);
	if (stranger_trapped(r))
		log_ev(LOG_NOTICE, "route.trap", kv_sid("sid", rc->sid),
		    kv_s("service", rc->service), kv_s("peer", addr_ip_text(&rc->peer_ip, ip)));
	if (r->status == IPC_ROUTE_UNKNOWN)
		ask_for_unknown(rc, q, again);
	else if (r->status != IPC_ROUTE_OK)
		answer(rc, q->seq, r->status, r->why);
	else if (r->group != NULL)
		ask_for_group(rc, q, r->group);
	else
		ask_for_all(rc, q, &r->account->id, 1, direct_mailbox(rc->rd, r));
}

static void on_rcpt_ask(struct rcpt_conn *rc, const struct ipc_rcpt_ask *q)
{
	if (rc->login && !rc->sender) {
		ipc_chan_refuse(rc->chan, IPC_rcpt_ask, "before a sender");
		return;
	}
	rc->rd->stat.recipients++;
	if (rc->rd->refused)
		answer(rc, q->seq, IPC_ROUTE_TRYLATER, NULL);
	else if (q->report != 0)
		find_reported(rc, q);
	else
		find_rcpt(rc, q, false);
}

static void on_sender_ask(struct rcpt_conn *rc, const struct ipc_sender_ask *q)
{
	struct ipc_sender_reply m = { .seq = q->seq };

	if (rc->account == 0) {
		ipc_chan_refuse(rc->chan, IPC_sender_ask, "before a login");
		return;
	}
	m.status = sender_status(rc->rd, rc->account, q->address);
	rc->sender = m.status == IPC_ROUTE_OK;
	ipc_send(rc->chan, IPC_sender_reply, &m, NULL);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_rcpt_ask)
		on_rcpt_ask(arg, &m->rcpt_ask);
	else if (type == IPC_sender_ask)
		on_sender_ask(arg, &m->sender_ask);
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

void rcpt_again(
    struct routerd *rd, uint64_t sid, const struct ipc_rcpt_ask *q, enum ipc_route_status status)
{
	struct rcpt_conn *rc = conn_of(rd, sid);

	if (rc == NULL)
		return;
	if (status == IPC_ROUTE_OK || status == IPC_ROUTE_UNKNOWN)
		find_rcpt(rc, q, true); /* as it is now, and with what its domain does */
	else
		answer(rc, q->seq, status, NULL);
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
	*rc = (struct rcpt_conn){ .rd = rd,
		.sid = m->sid,
		.login = m->login != 0,
		.since_s = clock_wall_s(),
		.npeer = m->peer.n <= sizeof(rc->peer) ? m->peer.n : 0 };
	if (rc->npeer > 0)
		memcpy(rc->peer, m->peer.p, rc->npeer);
	snprintf(rc->service, sizeof(rc->service), "%.*s", SLICE_FMT(m->service));
	(void)addr_unpack(slice_of(rc->peer, rc->npeer), &rc->peer_ip);
	rc->blacklisted =
	    slice_eq(m->service, SLICE("smtp")) && stranger_blacklisted(&rd->db.dir, &rc->peer_ip);
	HASH_ADD(hh, rd->rcpt_conns, sid, sizeof(rc->sid), rc);
	rc->chan = ipc_chan_new(rd->base, take_fd, IPC_CH_RCPT, true, &rcpt_ops, rc);
	if (rc->chan == NULL)
		conn_free(rc);
}

/* One login for the life of a connection; which connection, the acceptor has told both of us. */
enum ipc_route_status rcpt_on_login(
    struct routerd *rd, uint64_t sid, uint64_t account, uint32_t flags)
{
	struct rcpt_conn *rc = conn_of(rd, sid);
	const struct object *o = directory_account(&rd->db.dir, account);

	if (rc == NULL || o == NULL)
		return IPC_ROUTE_TRYLATER;
	if (!rc->login || rc->account != 0)
		return IPC_ROUTE_REFUSED;
	rc->account = account;
	rc->flags = flags;
	return IPC_ROUTE_OK;
}

void rcpt_on_logout(struct routerd *rd, uint64_t account)
{
	struct rcpt_conn *rc, *next;

	HASH_ITER(hh, rd->rcpt_conns, rc, next)
	if (account != 0 && rc->account == account)
		conn_free(rc);
}

void rcpt_conns_each(struct routerd *rd, conn_fn *fn, void *arg)
{
	const struct rcpt_conn *rc;

	for (rc = rd->rcpt_conns; rc != NULL; rc = rc->hh.next)
		fn(arg, &(struct conn_row){ rc->sid, rc->account, rc->since_s, rc->service,
			    slice_of(rc->peer, rc->npeer), rc->flags });
}

bool rcpt_kick(struct routerd *rd, uint64_t sid)
{
	struct rcpt_conn *rc = conn_of(rd, sid);

	if (rc != NULL)
		conn_free(rc);
	return rc != NULL;
}

unsigned rcpt_conns_of(struct routerd *rd, uint64_t account)
{
	const struct rcpt_conn *rc;
	unsigned n = 0;

	for (rc = rd->rcpt_conns; rc != NULL; rc = rc->hh.next)
		n += rc->account == account;
	return n;
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

static void settle(struct routerd *rd, struct rcpt_wait *take_w, uint32_t status)
{
	struct rcpt_conn *rc = take_w->conn;
	struct rcpt *r = take_w->rcpt;

	HASH_DEL(rd->rcpt_waits, take_w);
	free(take_w);
	rc->waiting--;
	if (r->status == IPC_ROUTE_OK)
		r->status = from_store(status);
	if (--r->waits == 0)
		rcpt_end(rc, r);
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
