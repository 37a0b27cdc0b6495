/*
 * authd - who are you: runs login dialogues through workers and hands the session to the
 * connection.
 *
 * Holds:    3 control channel, 4 log, the secrets' database, channels to stored, routerd, the
 * worker pool, authd-external and the acceptors; one channel per connection that logs in, one per
 * worker. May: read and write files below the secrets' folder, threads of the engine, socket pairs.
 * May not:  open another path, make a socket, fork, exec; read a SASL message or a hash: workers
 * do. Trusts: master, stored.  Distrusts: connections, workers (beyond the account they work for),
 * routerd (which can name any account, but not prove anything). If taken: the intruder has every
 * secret and may open every account.
 */
#include "authd/authd.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/database/database.h"
#include "common/metrics/metrics.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct program {
	struct authd a;
	struct database db;
	struct ipc_chan *doors[IPC_ROLES];
};

static void add_admin(struct authd *a, uid_t uid, const char *name)
{
	snprintf(a->admin_names[a->n_admin_uids], sizeof(a->admin_names[0]), "%s", name);
	a->admin_uids[a->n_admin_uids++] = uid;
}

/* Numbers or names of the users who administer, resolved while there still is a host to ask. */
static void find_admins(struct authd *a, const char *list)
{
	struct slice rest = slice_str(list);

	add_admin(a, 0, "root");
	if (getuid() != 0) {
		struct passwd *self = getpwuid(getuid());

		add_admin(a, getuid(), self != NULL ? self->pw_name : "");
	}
	while (rest.n > 0 && a->n_admin_uids < sizeof(a->admin_uids) / sizeof(a->admin_uids[0])) {
		struct slice word = slice_take(&rest, ' ');
		uint64_t uid;
		char name[64];
		struct passwd *pw;

		if (word.n == 0 || word.n >= sizeof(name))
			continue;
		memcpy(name, word.p, word.n);
		name[word.n] = '\0';
		if (slice_u64(word, UINT32_MAX - 1, &uid) == 0)
			add_admin(a, (uid_t)uid, "");
		else if ((pw = getpwnam(name)) != NULL)
			add_admin(a, pw->pw_uid, name);
		else
			log_ev(LOG_WARNING, "auth.nouser", kv_s("user", name));
	}
}

/* A reload frees the configuration, and these options count from the next start: a copy for good.
 */
static const char *keep(const struct conf *conf, enum conf_key key)
{
	const char *copy = strdup(conf_get_str(conf, key));

	return copy != NULL ? copy : "";
}

static int warm_up(struct proc *p, void *arg)
{
	static char host[256];
	struct program *g = arg;
	const struct conf *conf = proc_conf(p);

	g->a.base = proc_base(p);
	authd_init(&g->a);
	g->a.host = keep(conf, CONF_host_name);
	if (*g->a.host == '\0' && gethostname(host, sizeof(host) - 1) == 0)
		g->a.host = host;
	g->a.scheme = keep(conf, CONF_password_hash);
	g->a.mechs = keep(conf, CONF_auth_mechanisms);
	g->a.hide_unknown = conf_get_bool(conf, CONF_hide_unknown_account);
	if (*conf_get_str(conf, CONF_pam_helper) != '\0')
		g->a.helpers |= 1u << IPC_SOURCE_SYS;
	if (*conf_get_str(conf, CONF_external_helper) != '\0')
		g->a.helpers |= 1u << IPC_SOURCE_EXT;
	find_admins(&g->a, conf_get_str(conf, CONF_admin_users));
	return database_open(&g->db, p, "secrets");
}

static int start(struct proc *p, void *arg)
{
	struct program *g = arg;
	int r = database_start(&g->db, p);

	if (r != 0)
		return r;
	r = secrets_open(&g->a.secrets, g->db.engine);
	g->a.secrets.refused = g->db.refused;
	if (r != 0)
		proc_fail(p, "the secrets cannot be read", r < 0 ? -r : 0);
	return r == 0 ? 0 : -1;
}

static void from_stored(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	if (type == IPC_session_opened)
		dialogue_on_session(&g->a, m->session_opened.seq, &fds[0], IPC_ST_OK);
	else if (type == IPC_session_failed)
		dialogue_on_session(&g->a, m->session_failed.seq, NULL, m->session_failed.status);
}

static void stored_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	ipc_chan_free(&g->a.stored);
	dialogue_on_peer_gone(&g->a);
}

/* The question was about a password, or about a login for somebody else. */
static void on_may(struct authd *a, const struct ipc_may_reply *m)
{
	admin_on_may(a, m);
	act_on_may(a, m);
	keep_on_may(a, m);
}

static void from_routerd(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	if (type == IPC_route_login_reply)
		dialogue_on_route(&g->a, &m->route_login_reply);
	else if (type == IPC_post_login_reply)
		dialogue_on_post(&g->a, &m->post_login_reply);
	else if (type == IPC_may_reply)
		on_may(&g->a, &m->may_reply);
	else if (type == IPC_account_new_reply)
		make_on_new(&g->a, &m->account_new_reply);
	else if (type == IPC_provision_ask)
		make_for_mail(&g->a, &m->provision_ask);
	else if (type == IPC_secret_drop)
		admin_on_secret_drop(&g->a, &m->secret_drop);
	else if (type == IPC_secret_take)
		admin_on_secret_take(&g->a, &m->secret_take);
}

static void routerd_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	ipc_chan_free(&g->a.routerd);
	make_on_peer_gone(&g->a);
	dialogue_on_peer_gone(&g->a);
	admin_on_routerd_gone(&g->a);
	keep_on_routerd_gone(&g->a);
}

static void from_door(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	for (int role = 0; role < IPC_ROLES; role++)
		if (type == IPC_conn_new && g->doors[role] == c)
			dialogue_open(&g->a, c, (enum ipc_role)role, &m->conn_new, &fds[0]);
}

static void door_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	/* Connections of a door that is gone go on: their channels are their own. */
	for (int i = 0; i < IPC_ROLES; i++)
		if (g->doors[i] == c)
			ipc_chan_free(&g->doors[i]);
}

static void from_source(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct program *g = arg;

	if (type != IPC_source_answer)
		return;
	dialogue_on_source(&g->a, &m->source_answer);
	make_on_source(&g->a, &m->source_answer);
}

static void source_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	ipc_chan_free(&g->a.source);
	make_on_peer_gone(&g->a);
	dialogue_on_peer_gone(&g->a);
}

static void no_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void pool_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&((struct program *)arg)->a.pool);
}

static const struct ipc_ops stored_ops = { .on_msg = from_stored, .on_gone = stored_gone };
static const struct ipc_ops routerd_ops = { .on_msg = from_routerd, .on_gone = routerd_gone };
static const struct ipc_ops source_ops = { .on_msg = from_source, .on_gone = source_gone };
static const struct ipc_ops door_ops = { .on_msg = from_door, .on_gone = door_gone };
static const struct ipc_ops pool_ops = { .on_msg = no_msg, .on_gone = pool_gone };

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	struct program *g = arg;
	enum ipc_role role = peer->role < IPC_ROLES ? peer->role : IPC_ROLE_NONE;

	switch (peer->kind) {
	case IPC_CH_AUTH_STORE:
		if (g->a.stored != NULL)
			stored_gone(g, NULL, IPC_GONE_EOF);
		g->a.stored = proc_peer_open(p, peer, &stored_ops, g);
		break;
	case IPC_CH_AUTH_ROUTE:
		if (g->a.routerd != NULL)
			routerd_gone(g, NULL, IPC_GONE_EOF);
		g->a.routerd = proc_peer_open(p, peer, &routerd_ops, g);
		if (g->db.refused && g->a.routerd != NULL)
			ipc_send(g->a.routerd, IPC_secrets_refused, &(struct ipc_secrets_refused){},
			    NULL);
		break;
	case IPC_CH_SOURCE:
		if (g->a.source != NULL)
			source_gone(g, NULL, IPC_GONE_EOF);
		g->a.source = proc_peer_open(p, peer, &source_ops, g);
		break;
	case IPC_CH_WORK_POOL:
		ipc_chan_free(&g->a.pool);
		g->a.pool = proc_peer_open(p, peer, &pool_ops, g);
		break;
	case IPC_CH_ATTACH_AUTH:
		ipc_chan_free(&g->doors[role]);
		g->doors[role] = proc_peer_open(p, peer, &door_ops, g);
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
	const struct program *g = arg;

	metric_set(METRIC_login_workers, "", "", g->a.workers);
	database_count(&g->db);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = { .role = IPC_ROLE_AUTHD,
		.row = PROC_AUTHD,
		.warm_up = warm_up,
		.start = start,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_count = on_count };
	static struct program program;

	return proc_main(argc, argv, &ops, &program);
}
