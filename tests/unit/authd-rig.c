#include "tests/unit/authd-rig.h"

#include "authd/workers/serve.h"
#include "common/base/io.h"
#include "common/base/log.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct rig rig;
struct seen seen;

static void pool_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* As the pool does: other ends that live on in a worker would hide who is gone. */
		close_range(3, (unsigned)fds[0] - 1, 0);
		close_range((unsigned)fds[0] + 1, ~0U, 0);
		if (!rig.workers_die)
			worker_serve(rig.warm, fds[0]);
		_exit(0);
	}
}

/* Where the name of somebody who logs in leads. */
static void answer_login(struct ipc_chan *c, const struct ipc_route_login *m)
{
	static const struct {
		const char *name, *full;
	} known[] = {
		{ "ann", "ann@example.test" },
		{ "ben", "ben@example.test" },
		{ "cid", "cid@example.test" },
	};
	struct ipc_route_login_reply r = { .seq = m->seq,
		.status = IPC_ROUTE_UNKNOWN,
		.text = SLICE("no such user here"),
		.flags = seen.login_flags };

	seen.asked_flags = m->flags;
	for (int i = 0; i < 3; i++) {
		if (!slice_eq(m->name, slice_str(known[i].name)))
			continue;
		r.status = IPC_ROUTE_OK;
		r.account = (uint64_t)(7 + i);
		r.fail_max = seen.fail_max;
		r.fail_s = seen.fail_s;
		r.name = slice_str(known[i].full);
	}
	ipc_send(c, IPC_route_login_reply, &r, NULL);
}

/* The same for a name of which an account may be made. */
static void answer_new_login(struct ipc_chan *c, const struct ipc_route_login *m)
{
	struct ipc_route_login_reply r = { .seq = m->seq,
		.status = IPC_ROUTE_UNKNOWN,
		.text = SLICE("no such user here"),
		.name = m->name,
		.flags = IPC_LOGIN_MAKE };

	if (slice_eq(m->name, slice_str(seen.made))) {
		r.status = IPC_ROUTE_OK;
		r.account = seen.leads_to != 0 ? seen.leads_to : 30;
		r.flags = seen.login_flags;
		r.fail_max = seen.fail_max;
		r.fail_s = seen.fail_s;
	}
	ipc_send(c, IPC_route_login_reply, &r, NULL);
}

static void routerd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_post_login) {
		struct ipc_post_login_reply post = { m->post_login.seq, seen.post_status };

		seen.post_sid = m->post_login.sid;
		seen.post_account = m->post_login.account;
		ipc_send(c, IPC_post_login_reply, &post, NULL);
	}
	seen.logouts += type == IPC_post_logout;
	if (type == IPC_may_ask && m->may_ask.who == 0) {
		bool gone = m->may_ask.target == seen.account_gone;

		assert_int_equal(m->may_ask.what, IPC_MAY_HAVE_SECRET);
		ipc_send(c, IPC_may_reply,
		    &(struct ipc_may_reply){ m->may_ask.seq, gone ? IPC_DIR_DENIED : IPC_DIR_OK },
		    NULL);
	} else if (type == IPC_may_ask) {
		struct ipc_may_reply may = { m->may_ask.seq, seen.may_status };

		seen.may = m->may_ask;
		seen.may_asked++;
		if (seen.may_status <= IPC_DIR_TRYLATER)
			ipc_send(c, IPC_may_reply, &may, NULL);
	}
	if (type == IPC_account_new) {
		struct ipc_account_new_reply made = { m->account_new.seq, seen.new_status, 30,
			!seen.new_there };

		seen.news++;
		seen.new = m->account_new;
		if (seen.new_status == IPC_ROUTE_OK)
			snprintf(
			    seen.made, sizeof(seen.made), "%.*s", SLICE_FMT(m->account_new.name));
		ipc_send(c, IPC_account_new_reply, &made, NULL);
	}
	if (type == IPC_provision_reply && seen.provisioned < 8)
		seen.provision_status[seen.provisioned++] = m->provision_reply.status;
	if (type == IPC_route_login && slice_starts(m->route_login.name, SLICE("new")))
		answer_new_login(c, &m->route_login);
	else if (type == IPC_route_login)
		answer_login(c, &m->route_login);
}

static void source_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	const struct ipc_source_ask *q = &m->source_ask;
	struct ipc_source_answer r = { .seq = q->seq, .keep = seen.keep };

	assert_in_range(q->source, IPC_SOURCE_SYS, IPC_SOURCE_EXT);
	seen.sources[q->source]++;
	seen.creates += q->create;
	seen.source_seq = q->seq;
	snprintf(seen.source_name[q->source], 400, "%.*s", SLICE_FMT(q->name));
	snprintf(seen.source_password, 1025, "%.*s", SLICE_FMT(q->password));
	snprintf(seen.source_service, 33, "%.*s", SLICE_FMT(q->service));
	snprintf(seen.source_peer, 65, "%.*s", SLICE_FMT(q->peer));
	r.status = seen.source_status[q->source];
	if (r.status != IPC_TYPES)
		ipc_send(c, IPC_source_answer, &r, NULL);
}

static void source_reply(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	dialogue_on_source(&rig.a, &m->source_answer);
	make_on_source(&rig.a, &m->source_answer);
}

static void stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_session_opened r = { 0 };
	int one[1];

	if (type == IPC_identity_changed) {
		seen.changed++;
		seen.except_sid = m->identity_changed.except_sid;
	}
	if (type != IPC_session_open)
		return;
	seen.opened++;
	r.seq = m->session_open.seq;
	one[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ipc_send(c, IPC_session_opened, &r, one);
}

static void stored_reply(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_session_opened)
		dialogue_on_session(&rig.a, m->session_opened.seq, &fds[0], IPC_ST_OK);
}

static void route_reply(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_route_login_reply)
		dialogue_on_route(&rig.a, &m->route_login_reply);
	else if (type == IPC_post_login_reply)
		dialogue_on_post(&rig.a, &m->post_login_reply);
	else if (type == IPC_account_new_reply)
		make_on_new(&rig.a, &m->account_new_reply);
	else if (type == IPC_provision_ask)
		make_for_mail(&rig.a, &m->provision_ask);
	else if (type == IPC_may_reply) {
		admin_on_may(&rig.a, &m->may_reply);
		act_on_may(&rig.a, &m->may_reply);
		keep_on_may(&rig.a, &m->may_reply);
	}
}

static void door_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	seen.type = type;
	seen.fds = 0;
	for (int i = 0; i < IPC_FDS_MAX; i++)
		seen.fds += fds[i] >= 0;
	buf_reset(&seen.data);
	if (type == IPC_auth_refused) {
		seen.why = m->auth_refused.why;
		seen.left = m->auth_refused.left;
		snprintf(seen.text, sizeof(seen.text), "%.*s", (int)m->auth_refused.text.n,
		    m->auth_refused.text.n > 0 ? (const char *)m->auth_refused.text.p : "");
	} else if (type == IPC_auth_granted) {
		snprintf(seen.name, sizeof(seen.name), "%.*s", SLICE_FMT(m->auth_granted.name));
		buf_put(&seen.data, m->auth_granted.data);
	} else if (type == IPC_auth_post) {
		snprintf(seen.name, sizeof(seen.name), "%.*s", SLICE_FMT(m->auth_post.name));
		buf_put(&seen.data, m->auth_post.data);
	} else if (type == IPC_auth_admin) {
		snprintf(seen.name, sizeof(seen.name), "%.*s", SLICE_FMT(m->auth_admin.name));
		seen.account = m->auth_admin.account;
		seen.secrets = fds[1];
		fds[1] = -1;
	} else if (type == IPC_auth_challenge) {
		buf_put(&seen.data, m->auth_challenge.data);
	} else if (type == IPC_secret_done) {
		seen.status = m->secret_done.status;
		seen.dones++;
		seen.failed += seen.status != IPC_AUTH_OK;
		buf_put(&seen.data, m->secret_done.tags);
	}
}

static void gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	if (c == rig.door) {
		seen.type = IPC_NONE;
		ipc_chan_free(&rig.door);
	}
}

static void no_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

const struct ipc_ops rig_door_ops = { door_msg, gone, NULL };
static const struct ipc_ops pool_ops = { pool_msg, gone, NULL },
			    routerd_ops = { routerd_msg, gone, NULL },
			    stored_ops = { stored_msg, gone, NULL },
			    none_ops = { no_msg, gone, NULL },
			    from_stored_ops = { stored_reply, gone, NULL },
			    from_route_ops = { route_reply, gone, NULL },
			    source_ops = { source_msg, gone, NULL },
			    from_source_ops = { source_reply, gone, NULL };

static void pair(enum ipc_ch kind, bool mine_upper, const struct ipc_ops *mine,
    const struct ipc_ops *theirs, struct ipc_chan **ret_mine, struct ipc_chan **ret_theirs)
{
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	*ret_mine = ipc_chan_new(rig.a.base, sv[0], kind, mine_upper, mine, NULL);
	*ret_theirs = ipc_chan_new(rig.a.base, sv[1], kind, !mine_upper, theirs, NULL);
}

static void round_once(void)
{
	event_base_loop(rig.a.base, EVLOOP_NONBLOCK);
	engine_dispatch(rig.engine, 0);
}

void rig_turn(void)
{
	round_once();
	poll(NULL, 0, 1);
}

void rig_wait_asked(enum ipc_source source, unsigned n)
{
	for (int i = 0; i < 5000 && seen.sources[source] < n; i++)
		rig_turn();
	assert_int_equal(seen.sources[source], n);
}

static void on_secret(void *arg, int rc, struct slice stored, struct slice tagged)
{
	*(int *)arg = rc != 0 ? rc : stored.n > 0 || tagged.n > 0;
}

int rig_has_secret(uint64_t account)
{
	int has = INT_MIN;

	secrets_get(&rig.a.secrets, account, on_secret, &has);
	for (int i = 0; i < 5000 && has == INT_MIN; i++)
		rig_turn();
	return has;
}

enum ipc_type rig_wait(void)
{
	seen.type = IPC_TYPES;
	for (int i = 0; i < 5000 && seen.type == IPC_TYPES; i++) {
		round_once();
		if (seen.type == IPC_TYPES)
			poll(NULL, 0, 1);
	}
	return seen.type;
}

static enum ipc_role role_of(const char *service)
{
	return strcmp(service, "admin") == 0  ? IPC_ROLE_ADMIN
	       : strcmp(service, "smtp") == 0 ? IPC_ROLE_SMTP
	       : strcmp(service, "pwd") == 0  ? IPC_ROLE_PWD
					      : IPC_ROLE_POP3;
}

void rig_knock(uint32_t flags, uint32_t uid, const char *service)
{
	struct ipc_conn_new m = {
		.sid = 5, .service = slice_str(service), .flags = flags, .uid = uid
	};
	int sv[2];

	ipc_chan_free(&rig.door);
	assert_int_equal(ipc_pair(sv), 0);
	dialogue_open(&rig.a, rig.a.pool, role_of(service), &m, &sv[0]);
	rig.door = ipc_chan_new(rig.a.base, sv[1], IPC_CH_DIALOGUE, false, &rig_door_ops, NULL);
	ipc_chan_set_state(rig.door, IPC_IN_DIALOGUE);
}

void rig_put_secret(uint64_t account, const char *scheme, const char *password)
{
	struct ipc_secret_set m = {
		.account = account, .scheme = slice_str(scheme), .password = slice_str(password)
	};

	assert_int_equal(ipc_send(rig.admin, IPC_secret_set, &m, NULL), 0);
	assert_int_equal(rig_wait(), IPC_secret_done);
}

int rig_setup(void **state)
{
	int fd;

	signal(SIGCHLD, SIG_IGN);
	memset(&rig, 0, sizeof(rig));
	memset(&seen, 0, sizeof(seen));
	seen.data = BUF_INIT(8192);
	rig.a.base = event_base_new();
	authd_init(&rig.a);
	rig.a.host = "mail.example.test";
	rig.a.scheme = "plain";
	rig.a.mechs = "PLAIN LOGIN APOP SCRAM-SHA-256";
	assert_int_equal(gsasl_warm_new(&rig.warm), 0);
	assert_int_equal(engine_open("mem", -1, NULL, &rig.engine), 0);
	assert_int_equal(secrets_open(&rig.a.secrets, rig.engine), 0);
	pair(IPC_CH_WORK_POOL, true, &none_ops, &pool_ops, &rig.a.pool, &rig.pool_end);
	pair(IPC_CH_AUTH_ROUTE, true, &from_route_ops, &routerd_ops, &rig.a.routerd,
	    &rig.routerd_end);
	pair(IPC_CH_AUTH_STORE, false, &from_stored_ops, &stored_ops, &rig.a.stored,
	    &rig.stored_end);
	pair(IPC_CH_SOURCE, true, &from_source_ops, &source_ops, &rig.a.source, &rig.source_end);
	rig.a.helpers = 1u << IPC_SOURCE_SYS | 1u << IPC_SOURCE_EXT;
	fd = admin_open(&rig.a, 1, SLICE("root"), 0);
	assert_true(fd >= 0);
	rig.admin = ipc_chan_new(rig.a.base, fd, IPC_CH_ADMIN_AUTH, false, &rig_door_ops, NULL);
	rig_put_secret(7, "plain", "secret");
	rig_put_secret(9, "scram-sha-256", "pencil");
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_INFO);
	return 0;
}

/* Workers are processes: what they were asked for, and who they hide that has gone, takes its time.
 */
static bool is_at_work(void)
{
	unsigned open = rig.a.workers;

	for (int i = 0; i < IPC_ROLES; i++)
		open += rig.a.open[i];
	return open > 0 || !LIST_EMPTY(&rig.a.admins) || !LIST_EMPTY(&rig.a.changes) ||
	       !LIST_EMPTY(&rig.a.keeps);
}

int rig_teardown(void **state)
{
	int fd = log_fd();

	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
	ipc_chan_free(&rig.door);
	ipc_chan_free(&rig.admin);
	for (int i = 0; i < 5000 && is_at_work(); i++)
		rig_turn();
	for (int i = 0; i < 100; i++)
		round_once();
	ipc_chan_free(&rig.a.pool);
	ipc_chan_free(&rig.a.routerd);
	ipc_chan_free(&rig.a.stored);
	ipc_chan_free(&rig.a.source);
	ipc_chan_free(&rig.source_end);
	ipc_chan_free(&rig.pool_end);
	ipc_chan_free(&rig.routerd_end);
	ipc_chan_free(&rig.stored_end);
	failures_fini(&rig.a);
	admin_on_routerd_gone(&rig.a);
	keep_on_routerd_gone(&rig.a);
	make_fini(&rig.a);
	secrets_close(&rig.a.secrets);
	engine_close(&rig.engine);
	gsasl_warm_free(&rig.warm);
	event_base_free(rig.a.base);
	buf_fini(&seen.data);
	return 0;
}

enum ipc_type rig_start(const char *mech, const void *initial, size_t n)
{
	struct ipc_auth_start m = { .mech = slice_str(mech),
		.has_initial = initial != NULL,
		.initial = slice_of(initial, n) };

	assert_int_equal(ipc_send(rig.door, IPC_auth_start, &m, NULL), 0);
	return rig_wait();
}

enum ipc_type rig_step(const void *p, size_t n)
{
	struct ipc_auth_step m = { .data = slice_of(p, n) };

	assert_int_equal(ipc_send(rig.door, IPC_auth_step, &m, NULL), 0);
	return rig_wait();
}
