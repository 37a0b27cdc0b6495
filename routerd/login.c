#include "routerd/routerd.h"

#include "common/metrics/metrics.h"
#include "routerd/limits.h"

static void on_route_login(struct routerd *rd, struct ipc_chan *c, const struct ipc_route_login *m)
{
	struct route *r = &rd->route;
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES);
	struct addr local = { 0 };
	struct ipc_route_login_reply reply = { .seq = m->seq };

	addr_unpack(m->local, &local);
	route_login(&rd->db.dir, m->name, m->domain, &local, r);
	rd->stat.logins++;
	metric_add(METRIC_route_lookups, "login", route_status_word(r->status), 1);
	reply.status = r->status;
	reply.text = slice_str(route_why(r));
	if (r->status == IPC_ROUTE_OK) {
		put_object_name(&name, r->account);
		reply.account = r->account->id;
		reply.quota = r->account->quota_bytes;
		reply.name = buf_slice(&name);
	}
	ipc_send(c, IPC_route_login_reply, &reply, NULL);
	buf_fini(&name);
}

static void on_post_login(struct routerd *rd, struct ipc_chan *c, const struct ipc_post_login *m)
{
	struct ipc_post_login_reply reply = { .seq = m->seq };

	reply.status = rcpt_on_login(rd, m->sid, m->account);
	ipc_send(c, IPC_post_login_reply, &reply, NULL);
}

static void on_may(struct routerd *rd, struct ipc_chan *c, const struct ipc_may_ask *m)
{
	struct ipc_may_reply reply = { .seq = m->seq };

	reply.status = may_secret(rd, m->who, m->target, (enum ipc_may)m->what);
	ipc_send(c, IPC_may_reply, &reply, NULL);
}

void login_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct routerd *rd = arg;

	switch (type) {
	case IPC_route_login:
		on_route_login(rd, c, &m->route_login);
		break;
	case IPC_post_login:
		on_post_login(rd, c, &m->post_login);
		break;
	case IPC_post_logout:
		rcpt_on_logout(rd, m->post_logout.account);
		dir_on_logout(rd, m->post_logout.account, m->post_logout.except_sid);
		break;
	case IPC_may_ask:
		on_may(rd, c, &m->may_ask);
		break;
	case IPC_secret_dropped:
		account_on_secret_dropped(rd, &m->secret_dropped);
		break;
	case IPC_dir_open:
		dir_on_open(rd, &m->dir_open, fds[0]);
		fds[0] = -1;
		break;
	default:
		break;
	}
}
