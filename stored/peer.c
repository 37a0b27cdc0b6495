/*
 * peer - the channels to other daemons: authd, routerd, acceptors, parsed, stored-external.
 *
 * One that breaks the rules loses its channel; sessions and deliveries under way do not notice.
 */
#include "stored/store-private.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void peer_ref(struct peer *p)
{
	p->refs++;
}

void peer_unref(struct peer *p)
{
	assert(p->refs > 0);
	if (--p->refs == 0)
		free(p);
}

void peer_end(struct peer *p)
{
	struct store *st = p->st;

	if (p->chan == NULL)
		return;
	LIST_REMOVE(p, link);
	ipc_chan_free(&p->chan);
	if (p->kind == IPC_CH_ADMIN_STORE)
		st->n_admins--;
	if (p->kind == IPC_CH_ROUTE_STORE) {
		admin_may_gone(st);
		foreign_routerd_gone(st);
	}
	if (st->parser == p) {
		st->parser = NULL;
		parse_peer_gone(st);
	}
	peer_unref(p);
}

struct peer *peer_routerd(struct store *st)
{
	struct peer *p;

	LIST_FOREACH(p, &st->peers, link)
	if (p->kind == IPC_CH_ROUTE_STORE && p->chan != NULL)
		return p;
	return NULL;
}

static int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static void peer_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct peer *p = arg;
	struct store *st = p->st;

	if (peer_account_msg(p, type, m))
		return;
	switch (type) {
	case IPC_store_open:
		admin_open(st, &m->store_open, fd_take(&fds[0]));
		break;
	case IPC_post_target:
		post_target(st, &m->post_target, p);
		break;
	case IPC_post_attach:
		if (ipc_chan_owns_sid(c, m->post_attach.sid))
			post_attach(st, m->post_attach.sid, fd_take(&fds[0]));
		else
			ipc_chan_refuse(c, type, "another acceptor's connection");
		break;
	case IPC_policy_is:
		policy_is(st, &m->policy_is);
		break;
	case IPC_policy_stale:
		policy_stale(st, &m->policy_stale);
		break;
	case IPC_alerts_are:
		alerts_are(st, &m->alerts_are);
		break;
	case IPC_alerts_new:
		alerts_new(st, &m->alerts_new);
		break;
	case IPC_store_may_reply:
		admin_may_reply(st, &m->store_may_reply);
		break;
	case IPC_foreign_is:
		foreign_is(st, &m->foreign_is);
		break;
	case IPC_parse_facts:
		parse_facts(st, &m->parse_facts);
		break;
	default:
		admin_msg(p, type, m);
		break;
	}
}

static void peer_on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct peer *p = arg;

	if (why == IPC_GONE_BAD || why == IPC_GONE_SLOW)
		store_bad_peer(
		    p->st, ipc_ch_name(p->kind), p->sid, why == IPC_GONE_BAD ? "message" : "slow");
	else if (p->kind != IPC_CH_ADMIN_STORE)
		log_ev(LOG_NOTICE, "ipc.gone", kv_s("peer", ipc_ch_name(p->kind)));
	peer_end(p);
}

static void peer_on_drain(void *arg, struct ipc_chan *c)
{
	struct peer *p = arg;

	if (p == p->st->parser)
		parse_drained(p->st);
}

static const struct ipc_ops peer_ops = { peer_on_msg, peer_on_gone, peer_on_drain };

struct peer *peer_new(struct store *st, int take_fd, enum ipc_ch kind)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		fd_close(&take_fd);
		return NULL;
	}
	*p = (struct peer){ .st = st, .kind = kind, .refs = 1 };
	p->chan = ipc_chan_new(st->base, take_fd, kind, true, &peer_ops, p);
	if (p->chan == NULL) {
		free(p);
		return NULL;
	}
	LIST_INSERT_HEAD(&st->peers, p, link);
	return p;
}

int store_attach(
    struct store *st, int take_fd, enum ipc_ch kind, enum ipc_role role, uint64_t instance)
{
	struct peer *p;

	if (kind != IPC_CH_AUTH_STORE && kind != IPC_CH_ROUTE_STORE && kind != IPC_CH_ATTACH_POST &&
	    kind != IPC_CH_PARSE && kind != IPC_CH_EXTERNAL) {
		fd_close(&take_fd);
		return -EINVAL;
	}
	p = peer_new(st, take_fd, kind);
	if (p == NULL)
		return -ENOMEM;
	ipc_chan_expect_instance(p->chan, instance);
	if (role != IPC_ROLE_NONE)
		(void)ipc_chan_hello(p->chan, IPC_ROLE_STORED, st->instance, role, IPC_IN_RUN);
	if (kind == IPC_CH_ROUTE_STORE)
		alerts_routerd_came(st);
	if (kind == IPC_CH_PARSE) {
		if (st->parser != NULL)
			peer_end(st->parser);
		st->parser = p;
		parse_start(st);
	}
	return 0;
}
