#include "routerd/routerd.h"

#include "common/metrics/metrics.h"
#include "routerd/limits.h"
#include "routerd/rights.h"
#include "routerd/services.h"
#include "routerd/tally.h"

static bool hides_unknown(const struct directory *d)
{
	return setting_number(settings_effective_server(d, SETTING_HideAccountUnknown)) != 0;
}

/* What the account's settings want of the login; authd sees to it. */
static void put_conditions(
    const struct directory *d, const struct object *o, struct ipc_route_login_reply *reply)
{
	struct slice flow = settings_effective(d, o, SETTING_FailedLoginFlow);

	if (setting_number(settings_effective(d, o, SETTING_RequireAPOP)) != 0)
		reply->flags |= IPC_LOGIN_SECURE_ONLY;
	if (setting_number(settings_effective(d, o, SETTING_UseAppPassword)) == 0)
		reply->flags |= IPC_LOGIN_NO_PASSWORD;
	if (o->domain == d->main &&
	    setting_number(settings_effective(d, o, SETTING_UseSysPassword)) != 0)
		reply->flags |= IPC_LOGIN_SYS;
	if (setting_number(settings_effective(d, o, SETTING_UseExtPassword)) != 0)
		reply->flags |= IPC_LOGIN_EXT;
	reply->fail_max = (uint32_t)setting_number(flow);
	reply->fail_s = (uint32_t)setting_period_s(flow);
}

/* A name that nobody has: the external helper may know it. */
static void put_unknown(struct routerd *rd, struct buf *name, struct ipc_route_login_reply *reply)
{
	enum ipc_route_status status = provision_name(rd, ROUTE_ACCESS, name);

	if (status == IPC_ROUTE_OK) {
		reply->flags |= IPC_LOGIN_MAKE;
		reply->name = buf_slice(name);
	} else if (status == IPC_ROUTE_TRYLATER) {
		reply->status = status;
		reply->text = slice_str(route_status_text(status));
	}
}

static void on_route_login(struct routerd *rd, struct ipc_chan *c, const struct ipc_route_login *m)
{
	struct route *r = &rd->route;
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES);
	struct addr local = { 0 };
	struct ipc_route_login_reply reply = { .seq = m->seq };

	if (rd->refused) {
		reply.status = IPC_ROUTE_TRYLATER;
		reply.text = slice_str(route_status_text(reply.status));
		ipc_send(c, IPC_route_login_reply, &reply, NULL);
		return;
	}
	addr_unpack(m->local, &local);
	route_login(&rd->db.dir, m->name, m->domain, &local, r);
	rd->stat.logins++;
	metric_add(METRIC_route_lookups, "login", route_status_word(r->status), 1);
	reply.status = r->status;
	reply.text = slice_str(route_why(r));
	reply.flags = hides_unknown(&rd->db.dir) ? IPC_LOGIN_HIDE : 0;
	if (r->status == IPC_ROUTE_UNKNOWN)
		put_unknown(rd, &name, &reply);
	if (r->status == IPC_ROUTE_OK && !services_allow(&rd->db.dir, r->account, m->service,
					     (m->flags & IPC_LOGIN_ENCRYPTED) != 0)) {
		reply.status = IPC_ROUTE_DISABLED;
		reply.text = slice_str(route_status_text(IPC_ROUTE_OFF));
	} else if (r->status == IPC_ROUTE_OK) {
		tally_login(&rd->db.dir, r->account);
		put_conditions(&rd->db.dir, r->account, &reply);
		put_object_name(&name, r->account);
		reply.account = r->account->id;
		reply.quota = settings_quota(&rd->db.dir, r->account);
		reply.name = buf_slice(&name);
	}
	ipc_send(c, IPC_route_login_reply, &reply, NULL);
	buf_fini(&name);
}

static void on_post_login(struct routerd *rd, struct ipc_chan *c, const struct ipc_post_login *m)
{
	struct ipc_post_login_reply reply = { .seq = m->seq };

	reply.status = rcpt_on_login(rd, m->sid, m->account, m->flags);
	ipc_send(c, IPC_post_login_reply, &reply, NULL);
}

static void on_may(struct routerd *rd, struct ipc_chan *c, const struct ipc_may_ask *m)
{
	struct ipc_may_reply reply = { .seq = m->seq };

	if (rd->refused)
		reply.status = IPC_DIR_TRYLATER;
	else if (!rights_may(&rd->db.dir, m->who, m->what, m->target))
		reply.status = IPC_DIR_DENIED;
	ipc_send(c, IPC_may_reply, &reply, NULL);
}

void login_on_store_may(struct routerd *rd, struct ipc_chan *c, const struct ipc_store_may_ask *m)
{
	struct ipc_store_may_reply reply = { .seq = m->seq };

	if (rd->refused)
		reply.status = IPC_DIR_TRYLATER;
	else if (!rights_may(&rd->db.dir, m->who, m->what, m->target))
		reply.status = IPC_DIR_DENIED;
	ipc_send(c, IPC_store_may_reply, &reply, NULL);
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
	case IPC_secret_taken:
		account_on_secret_taken(rd, &m->secret_taken);
		break;
	case IPC_secrets_refused:
		rd->secrets_refused = true;
		break;
	case IPC_account_new:
		provision_on_new(rd, &m->account_new);
		break;
	case IPC_provision_reply:
		provision_on_reply(rd, &m->provision_reply);
		break;
	case IPC_dir_open:
		dir_on_open(rd, &m->dir_open, fds[0]);
		fds[0] = -1;
		break;
	default:
		break;
	}
}
