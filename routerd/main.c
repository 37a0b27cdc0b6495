/*
 * routerd - knows where every name leads: domains, accounts, aliases, records; one answer for all
 * doors.
 *
 * Holds:    3 control channel, 4 log, the directory's database, channels to authd, stored and the
 * smtp acceptor, one channel per connection that delivers mail, one per administrator. May: read
 * and write files below the directory's folder, threads of the engine, socket pairs. May not:  open
 * another path, make a socket, fork, exec; see a secret or a message. Trusts:   master, stored,
 * authd.  Distrusts: names, addresses, smtp connections, administrators beyond their rights. If
 * taken: the intruder decides where names lead, and so which account a right password opens and
 *           where new mail goes; not what is stored, nor any password.
 */
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/database/database.h"
#include "common/metrics/metrics.h"
#include "routerd/routerd.h"

struct program {
	struct routerd rd;
	struct database db;
	struct ipc_chan *smtp;
};

static int warm_up(struct proc *p, void *arg)
{
	struct program *g = arg;

	g->rd.base = proc_base(p);
	route_init(&g->rd.route);
	return database_open(&g->db, p, "directory");
}

/* The accounts are in the domain that was the main one when the directory was made. */
static void tell_main_domain(const struct directory *d, const char *configured)
{
	if (!slice_ieq(d->main->name, slice_str(configured)))
		log_ev(LOG_WARNING, "route.main", kv_str("kept", d->main->name),
		    kv_s("configured", configured));
}

static int start(struct proc *p, void *arg)
{
	struct program *g = arg;
	int r = database_start(&g->db, p);

	if (r != 0)
		return r;
	g->rd.refused = g->db.refused;
	r = db_open(
	    &g->rd.db, g->db.engine, slice_str(conf_get_str(proc_conf(p), CONF_main_domain)));
	if (r != 0)
		proc_fail(p, "the directory cannot be read", r < 0 ? -r : 0);
	else if (!g->rd.refused)
		tell_main_domain(&g->rd.db.dir, conf_get_str(proc_conf(p), CONF_main_domain));
	return r == 0 ? 0 : -1;
}

static void from_stored(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	if (g->rd.refused && type != IPC_store_may_ask && type != IPC_foreign_ask)
		return; /* what stored waits for comes with the next routerd */
	if (type == IPC_account_done)
		account_on_done(&g->rd, &m->account_done);
	else if (type == IPC_post_target_done)
		rcpt_on_target_done(&g->rd, &m->post_target_done);
	else if (type == IPC_policy_ask)
		policy_on_ask(&g->rd, c, m->policy_ask.account);
	else if (type == IPC_alerts_ask)
		alerts_on_ask(&g->rd, c, m->alerts_ask.account);
	else if (type == IPC_alerts_told)
		alerts_on_told(&g->rd, &m->alerts_told);
	else if (type == IPC_store_may_ask)
		login_on_store_may(&g->rd, c, &m->store_may_ask);
	else if (type == IPC_foreign_ask)
		foreign_on_ask(&g->rd, c, &m->foreign_ask);
}

static void stored_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	ipc_chan_free(&g->rd.stored);
	account_on_peer_gone(&g->rd);
	rcpt_on_stored_gone(&g->rd);
}

static void from_authd(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	login_on_msg(&g->rd, c, type, m, fds);
}

static void authd_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	ipc_chan_free(&g->rd.authd);
	g->rd.secrets_refused = false;
	account_on_peer_gone(&g->rd);
	provision_on_authd_gone(&g->rd);
}

static void from_smtp(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	if (type == IPC_rcpt_attach)
		rcpt_on_attach(&g->rd, c, &m->rcpt_attach, &fds[0]);
}

static void smtp_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&((struct program *)arg)->smtp);
}

static const struct ipc_ops stored_ops = { .on_msg = from_stored, .on_gone = stored_gone };
static const struct ipc_ops authd_ops = { .on_msg = from_authd, .on_gone = authd_gone };
static const struct ipc_ops smtp_ops = { .on_msg = from_smtp, .on_gone = smtp_gone };

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	struct program *g = arg;

	switch (peer->kind) {
	case IPC_CH_ROUTE_STORE:
		if (g->rd.stored != NULL)
			stored_gone(g, NULL, IPC_GONE_EOF);
		g->rd.stored = proc_peer_open(p, peer, &stored_ops, g);
		account_resume_all(&g->rd);
		break;
	case IPC_CH_AUTH_ROUTE:
		if (g->rd.authd != NULL)
			authd_gone(g, NULL, IPC_GONE_EOF);
		g->rd.authd = proc_peer_open(p, peer, &authd_ops, g);
		account_resume_all(&g->rd);
		break;
	case IPC_CH_ATTACH_RCPT:
		ipc_chan_free(&g->smtp);
		g->smtp = proc_peer_open(p, peer, &smtp_ops, g);
		break;
	default:
		break;
	}
}

static void on_reload(struct proc *p, void *arg, const struct conf *old)
{
	database_on_reload(&((struct program *)arg)->db, p);
}

static void on_count(struct proc *p, void *arg)
{
	const struct routerd *rd = &((const struct program *)arg)->rd;

	metric_set(METRIC_domains, "", "", HASH_COUNT(rd->db.dir.domains));
	metric_set(METRIC_accounts, "", "", (int64_t)rd->db.dir.counts[OBJECT_ACCOUNT]);
	metric_set(METRIC_directory_changes, "", "", (int64_t)rd->stat.changes);
	database_count(&((const struct program *)arg)->db);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = { .role = IPC_ROLE_ROUTERD,
		.row = PROC_ROUTERD,
		.warm_up = warm_up,
		.start = start,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_count = on_count };
	static struct program program;

	return proc_main(argc, argv, &ops, &program);
}
