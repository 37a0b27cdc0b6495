/* authd with its peers played by the test, and real workers: dialogues, limits, administrators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/authd.h"
#include "authd/workers/serve.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <event2/event.h>
#include <fcntl.h>
#include <gsasl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct authd a;
static struct engine *engine;
static struct gsasl_warm *warm;
static struct ipc_chan *pool_end, *routerd_end, *stored_end, *source_end, *door, *admin;
static bool workers_die;
static struct {
	enum ipc_type type;
	unsigned dones, failed; /* answers to administrators */
	uint32_t why, left, status, fds, changed, opened, logouts, post_status, may_asked,
	    may_status;
	struct ipc_may_ask may;
	uint32_t login_flags, fail_max, fail_s, asked_flags; /* of route_login and its reply */
	uint64_t except_sid, account;
	int secrets; /* of an administrator's channels: the one to authd */
	uint64_t post_sid, post_account;
	char text[300], name[400];
	struct buf data;
	/* of an account that is made: its name, what routerd answers, and what it was asked */
	char made[400];
	uint32_t new_status, news, provisioned, provision_status[8], creates;
	struct ipc_account_new new;
	/* of source_ask, and what is answered: by source, IPC_TYPES for nothing */
	uint32_t sources[3], source_status[3], source_seq, keep;
	char source_name[3][400], source_password[1025], source_service[33], source_peer[65];
} seen;

static void pool_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* As the pool does: other ends that live on in a worker would hide who is gone. */
		close_range(3, (unsigned)fds[0] - 1, 0);
		close_range((unsigned)fds[0] + 1, ~0U, 0);
		if (!workers_die)
			worker_serve(warm, fds[0]);
		_exit(0);
	}
}

/* ann is account 7, ben 8 (no secret), cid 9; everybody else unknown. */
static void routerd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	static const char *const names[] = { "ann", "ben", "cid" };
	struct ipc_route_login_reply r = { .status = IPC_ROUTE_UNKNOWN,
		.text = SLICE("no such user here") };

	if (type == IPC_post_login) {
		struct ipc_post_login_reply post = { m->post_login.seq, seen.post_status };

		seen.post_sid = m->post_login.sid;
		seen.post_account = m->post_login.account;
		ipc_send(c, IPC_post_login_reply, &post, NULL);
	}
	seen.logouts += type == IPC_post_logout;
	if (type == IPC_may_ask) {
		struct ipc_may_reply may = { m->may_ask.seq, seen.may_status };

		seen.may = m->may_ask;
		seen.may_asked++;
		if (seen.may_status <= IPC_DIR_TRYLATER)
			ipc_send(c, IPC_may_reply, &may, NULL);
	}
	if (type == IPC_account_new) {
		struct ipc_account_new_reply made = { m->account_new.seq, seen.new_status, 30 };

		seen.news++;
		seen.new = m->account_new;
		if (seen.new_status == IPC_ROUTE_OK)
			snprintf(
			    seen.made, sizeof(seen.made), "%.*s", SLICE_FMT(m->account_new.name));
		ipc_send(c, IPC_account_new_reply, &made, NULL);
	}
	if (type == IPC_provision_reply && seen.provisioned < 8)
		seen.provision_status[seen.provisioned++] = m->provision_reply.status;
	if (type != IPC_route_login)
		return;
	if (slice_starts(m->route_login.name, SLICE("new"))) {
		bool there = slice_eq(m->route_login.name, slice_str(seen.made));

		r.name = m->route_login.name;
		r.flags = IPC_LOGIN_MAKE;
		if (there) {
			r.status = IPC_ROUTE_OK;
			r.account = 30;
			r.flags = seen.login_flags;
			r.fail_max = seen.fail_max;
			r.fail_s = seen.fail_s;
		}
		r.seq = m->route_login.seq;
		ipc_send(c, IPC_route_login_reply, &r, NULL);
		return;
	}
	r.seq = m->route_login.seq;
	r.flags = seen.login_flags;
	seen.asked_flags = m->route_login.flags;
	for (int i = 0; i < 3; i++) {
		if (!slice_eq(m->route_login.name, slice_str(names[i])))
			continue;
		r.status = IPC_ROUTE_OK;
		r.account = (uint64_t)(7 + i);
		r.fail_max = seen.fail_max;
		r.fail_s = seen.fail_s;
		r.name = slice_str(i == 0   ? "ann@example.test"
				   : i == 1 ? "ben@example.test"
					    : "cid@example.test");
	}
	ipc_send(c, IPC_route_login_reply, &r, NULL);
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
	dialogue_on_source(&a, &m->source_answer);
	make_on_source(&a, &m->source_answer);
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
		dialogue_on_session(&a, m->session_opened.seq, &fds[0], IPC_ST_OK);
}

static void route_reply(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_route_login_reply)
		dialogue_on_route(&a, &m->route_login_reply);
	else if (type == IPC_post_login_reply)
		dialogue_on_post(&a, &m->post_login_reply);
	else if (type == IPC_account_new_reply)
		make_on_new(&a, &m->account_new_reply);
	else if (type == IPC_provision_ask)
		make_for_mail(&a, &m->provision_ask);
	else if (type == IPC_may_reply) {
		admin_on_may(&a, &m->may_reply);
		act_on_may(&a, &m->may_reply);
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
	if (c == door) {
		seen.type = IPC_NONE;
		ipc_chan_free(&door);
	}
}

static void no_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static const struct ipc_ops pool_ops = { pool_msg, gone, NULL },
			    routerd_ops = { routerd_msg, gone, NULL },
			    stored_ops = { stored_msg, gone, NULL },
			    door_ops = { door_msg, gone, NULL }, none_ops = { no_msg, gone, NULL },
			    from_stored_ops = { stored_reply, gone, NULL },
			    from_route_ops = { route_reply, gone, NULL },
			    source_ops = { source_msg, gone, NULL },
			    from_source_ops = { source_reply, gone, NULL };

static void pair(enum ipc_ch kind, bool mine_upper, const struct ipc_ops *mine,
    const struct ipc_ops *theirs, struct ipc_chan **ret_mine, struct ipc_chan **ret_theirs)
{
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	*ret_mine = ipc_chan_new(a.base, sv[0], kind, mine_upper, mine, NULL);
	*ret_theirs = ipc_chan_new(a.base, sv[1], kind, !mine_upper, theirs, NULL);
}

/* Until something has arrived at the door, at most five seconds. */
static enum ipc_type wait_door(void)
{
	seen.type = IPC_TYPES;
	for (int i = 0; i < 5000 && seen.type == IPC_TYPES; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
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

static void knock(uint32_t flags, uint32_t uid, const char *service)
{
	struct ipc_conn_new m = {
		.sid = 5, .service = slice_str(service), .flags = flags, .uid = uid
	};
	int sv[2];

	ipc_chan_free(&door);
	assert_int_equal(ipc_pair(sv), 0);
	dialogue_open(&a, a.pool, role_of(service), &m, &sv[0]);
	door = ipc_chan_new(a.base, sv[1], IPC_CH_DIALOGUE, false, &door_ops, NULL);
	ipc_chan_set_state(door, IPC_IN_DIALOGUE);
}

static void put_secret(uint64_t account, const char *scheme, const char *password)
{
	struct ipc_secret_set m = {
		.account = account, .scheme = slice_str(scheme), .password = slice_str(password)
	};

	assert_int_equal(ipc_send(admin, IPC_secret_set, &m, NULL), 0);
	assert_int_equal(wait_door(), IPC_secret_done);
}

static int setup(void **state)
{
	int fd;

	signal(SIGCHLD, SIG_IGN);
	memset(&a, 0, sizeof(a));
	memset(&seen, 0, sizeof(seen));
	seen.data = BUF_INIT(8192);
	workers_die = false;
	a.base = event_base_new();
	authd_init(&a);
	a.host = "mail.example.test";
	a.scheme = "plain";
	a.mechs = "PLAIN LOGIN APOP SCRAM-SHA-256";
	assert_int_equal(gsasl_warm_new(&warm), 0);
	assert_int_equal(engine_open("mem", -1, NULL, &engine), 0);
	assert_int_equal(secrets_open(&a.secrets, engine), 0);
	pair(IPC_CH_WORK_POOL, true, &none_ops, &pool_ops, &a.pool, &pool_end);
	pair(IPC_CH_AUTH_ROUTE, true, &from_route_ops, &routerd_ops, &a.routerd, &routerd_end);
	pair(IPC_CH_AUTH_STORE, false, &from_stored_ops, &stored_ops, &a.stored, &stored_end);
	pair(IPC_CH_SOURCE, true, &from_source_ops, &source_ops, &a.source, &source_end);
	a.helpers = 1u << IPC_SOURCE_SYS | 1u << IPC_SOURCE_EXT;
	fd = admin_open(&a, 1, SLICE("root"), 0);
	assert_true(fd >= 0);
	admin = ipc_chan_new(a.base, fd, IPC_CH_ADMIN_AUTH, false, &door_ops, NULL);
	put_secret(7, "plain", "secret");
	put_secret(9, "scram-sha-256", "pencil");
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_INFO);
	return 0;
}

static int teardown(void **state)
{
	int fd = log_fd();

	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
	ipc_chan_free(&door);
	ipc_chan_free(&admin);
	for (int i = 0; i < 100; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
	}
	ipc_chan_free(&a.pool);
	ipc_chan_free(&a.routerd);
	ipc_chan_free(&a.stored);
	ipc_chan_free(&a.source);
	ipc_chan_free(&source_end);
	ipc_chan_free(&pool_end);
	ipc_chan_free(&routerd_end);
	ipc_chan_free(&stored_end);
	failures_fini(&a);
	make_fini(&a);
	secrets_close(&a.secrets);
	engine_close(&engine);
	gsasl_warm_free(&warm);
	event_base_free(a.base);
	buf_fini(&seen.data);
	return 0;
}

static enum ipc_type start(const char *mech, const void *initial, size_t n)
{
	struct ipc_auth_start m = { .mech = slice_str(mech),
		.has_initial = initial != NULL,
		.initial = slice_of(initial, n) };

	assert_int_equal(ipc_send(door, IPC_auth_start, &m, NULL), 0);
	return wait_door();
}

static enum ipc_type step(const void *p, size_t n)
{
	struct ipc_auth_step m = { .data = slice_of(p, n) };

	assert_int_equal(ipc_send(door, IPC_auth_step, &m, NULL), 0);
	return wait_door();
}

static void plain_login_opens_the_account(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(seen.fds, 1);
	assert_string_equal(seen.name, "ann@example.test");
	/* One grant, then nothing more on this channel. */
	ipc_chan_set_state(door, IPC_IN_DIALOGUE);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_NONE);
}

static void who_sends_gets_no_session(void **state)
{
	knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.post_account, 0);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_post);
	assert_string_equal(seen.name, "ann@example.test");
	assert_int_equal(seen.fds, 0);
	assert_int_equal(seen.opened, 0);
	assert_int_equal(seen.post_sid, 5);
	assert_int_equal(seen.post_account, 7);
	ipc_chan_set_state(door, IPC_IN_DIALOGUE);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_NONE);
	/* Nothing is granted that routerd does not take. */
	seen.post_status = IPC_ROUTE_TRYLATER;
	knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	/* A new password is told to routerd, too. */
	seen.logouts = 0;
	put_secret(7, "plain", "secret");
	for (int i = 0; i < 1000 && seen.logouts == 0; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
	assert_int_equal(seen.logouts, 1);
}

static void login_goes_step_by_step(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("LOGIN", NULL, 0), IPC_auth_challenge);
	assert_int_equal(step("ann", 3), IPC_auth_challenge);
	assert_int_equal(step("secret", 6), IPC_auth_granted);
}

static void login_takes_a_name_with_the_command(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("LOGIN", "ann", 3), IPC_auth_challenge);
	assert_int_equal(step("secret", 6), IPC_auth_granted);
}

/* ---- sources ---- */

static const uint32_t both = IPC_LOGIN_SYS | IPC_LOGIN_EXT;

static void the_own_password_asks_nobody(void **state)
{
	seen.login_flags = both;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(seen.sources[IPC_SOURCE_SYS] + seen.sources[IPC_SOURCE_EXT], 0);
}

static void others_are_asked_in_turn(void **state)
{
	seen.login_flags = both;
	seen.source_status[IPC_SOURCE_SYS] = IPC_SOURCE_NO;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0else where", 15), IPC_auth_granted);
	assert_string_equal(seen.name, "ann@example.test");
	assert_string_equal(seen.source_name[IPC_SOURCE_SYS], "ann");
	assert_string_equal(seen.source_name[IPC_SOURCE_EXT], "ann@example.test");
	assert_string_equal(seen.source_password, "else where");
	assert_string_equal(seen.source_service, "pop3");
	/* The first that says yes is the last that is asked; LOGIN is as good; without a secret,
	 * too. */
	seen.source_status[IPC_SOURCE_SYS] = IPC_SOURCE_YES;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("LOGIN", "ben", 3), IPC_auth_challenge);
	assert_int_equal(step("x", 1), IPC_auth_granted);
	assert_string_equal(seen.name, "ben@example.test");
	assert_int_equal(seen.sources[IPC_SOURCE_SYS], 2);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
	/* So it is where the own password opens nothing. */
	seen.login_flags = IPC_LOGIN_EXT | IPC_LOGIN_NO_PASSWORD;
	knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_post);
	assert_int_equal(seen.post_account, 7);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 2);
}

/* Only an account's settings make somebody be asked, only what is configured, only about a
 * password, and never about one that is empty. */
static void nobody_else_is_asked(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	seen.login_flags = both;
	assert_int_equal(start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	a.hide_unknown = true;
	assert_int_equal(start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("LOGIN", "ben", 3), IPC_auth_challenge);
	assert_int_equal(step("", 0), IPC_auth_refused);
	assert_int_equal(start("SCRAM-SHA-256", "n,,n=ann,r=abc", 14), IPC_auth_challenge);
	assert_int_equal(step("c=biws,r=abc,p=AAAA", 19), IPC_auth_refused);
	a.helpers = 0;
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.sources[IPC_SOURCE_SYS] + seen.sources[IPC_SOURCE_EXT], 0);
}

static void one_attempt_is_one_failure(void **state)
{
	seen.login_flags = both;
	seen.fail_max = 2;
	seen.fail_s = 60;
	seen.source_status[IPC_SOURCE_SYS] = IPC_SOURCE_UNKNOWN;
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	knock(IPC_CONN_TLS, 0, "pop3");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
		assert_int_equal(seen.why, IPC_AUTH_BAD);
		assert_string_equal(seen.text, "");
	}
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 2);
}

static void later_when_nobody_says_yes(void **state)
{
	seen.login_flags = both;
	seen.fail_max = 1;
	seen.fail_s = 60;
	seen.source_status[IPC_SOURCE_SYS] = IPC_SOURCE_LATER;
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ben\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(seen.left, 3);
	/* No failure of ben, who has no secret that could be guessed meanwhile. */
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	assert_int_equal(start("PLAIN", "\0ben\0right", 10), IPC_auth_granted);
	/* ann has one. */
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_LATER;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
}

static void turn_until_asked(enum ipc_source source, unsigned n)
{
	for (int i = 0; i < 5000 && seen.sources[source] < n; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
		poll(NULL, 0, 1);
	}
	assert_int_equal(seen.sources[source], n);
}

/* Who hangs up or cancels before the answer has used up a guess all the same. */
static void leaving_early_counts(void **state)
{
	struct ipc_auth_start m = {
		.mech = SLICE("PLAIN"), .has_initial = 1, .initial = SLICE("\0ben\0wrong")
	};

	seen.login_flags = IPC_LOGIN_EXT;
	seen.fail_max = 2;
	seen.fail_s = 60;
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(door, IPC_auth_start, &m, NULL), 0);
	turn_until_asked(IPC_SOURCE_EXT, 1);
	ipc_chan_free(&door);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(door, IPC_auth_start, &m, NULL), 0);
	turn_until_asked(IPC_SOURCE_EXT, 2);
	assert_int_equal(ipc_send(door, IPC_auth_cancel, &(struct ipc_auth_cancel){}, NULL), 0);
	assert_int_equal(wait_door(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_CANCELLED);
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	assert_int_equal(start("PLAIN", "\0ben\0right", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
}

static void its_process_dies_during_a_login(void **state)
{
	struct ipc_auth_start m = {
		.mech = SLICE("PLAIN"), .has_initial = 1, .initial = SLICE("\0ben\0x")
	};

	seen.login_flags = IPC_LOGIN_EXT;
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(door, IPC_auth_start, &m, NULL), 0);
	turn_until_asked(IPC_SOURCE_EXT, 1);
	ipc_chan_free(&a.source);
	dialogue_on_peer_gone(&a);
	assert_int_equal(wait_door(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	/* While it is away it is the same, and who has a secret of his own gets in. */
	assert_int_equal(start("PLAIN", "\0ben\0x", 6), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void a_confirmed_password_can_be_kept(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	seen.changed = 0;
	seen.keep = 1;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ben\0moved", 10), IPC_auth_granted);
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	for (int i = 0; i < 5000 && a.workers > 0; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
		poll(NULL, 0, 1);
	}
	for (int i = 0; i < 20; i++)
		engine_dispatch(engine, 0);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ben\0moved", 10), IPC_auth_granted);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
	assert_int_equal(seen.changed, 0);
}

/* ---- accounts that are made ---- */

static void the_first_login_makes_the_account(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_granted);
	assert_string_equal(seen.name, "new@x");
	assert_int_equal(seen.creates, 1);
	assert_int_equal(seen.news, 1);
	assert_string_equal(seen.source_service, "login");
	assert_string_equal(seen.source_password, "first");
	/* It is not asked about again by the login that made it. */
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
}

static void who_is_unknown_there_is_unknown_here(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_UNKNOWN;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	assert_string_equal(seen.text, "no such user here");
	a.hide_unknown = true;
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "");
	a.hide_unknown = false;
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	/* Without a helper nobody is asked. */
	knock(IPC_CONN_TLS, 0, "pop3");
	a.helpers = 0;
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	a.helpers = 1u << IPC_SOURCE_EXT;
	assert_int_equal(seen.creates, 3);
	/* A name that was tried too often is nobody's for a while; the helper hears no more of it.
	 */
	for (int i = 0; i < 20; i++) {
		knock(IPC_CONN_TLS, 0, "pop3");
		assert_int_equal(start("PLAIN", "\0new@x\0guess", 12), IPC_auth_refused);
	}
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	assert_int_equal(seen.creates, 10);
	assert_int_equal(seen.news, 0);
}

static void what_cannot_be_made_now(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_LATER;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	seen.new_status = IPC_ROUTE_TRYLATER;
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	seen.new_status = IPC_ROUTE_UNKNOWN;
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	ipc_chan_free(&a.source);
	assert_int_equal(start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
}

static void say_source(enum ipc_source_status status)
{
	struct ipc_source_answer r = { .seq = seen.source_seq, .status = status };

	ipc_send(source_end, IPC_source_answer, &r, NULL);
}

static void mail(uint32_t seq)
{
	struct ipc_provision_ask m = { .seq = seq, .name = SLICE("new@x") };

	make_for_mail(&a, &m);
}

static void turn(void)
{
	for (int i = 0; i < 20; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
	}
	poll(NULL, 0, 1);
}

static void begin(const char *initial, size_t n)
{
	struct ipc_auth_start m = {
		.mech = SLICE("PLAIN"), .has_initial = 1, .initial = slice_of(initial, n)
	};

	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(door, IPC_auth_start, &m, NULL), 0);
}

/* The worker has begun and ended: the login waits for somebody else. */
static void turn_until_waiting(void)
{
	for (int i = 0; i < 5000 && a.workers == 0; i++)
		turn();
	for (int i = 0; i < 5000 && a.workers > 0; i++)
		turn();
	assert_int_equal(a.workers, 0);
}

/* One question for all; then each login by its own password. */
static void those_behind_wait_for_the_first(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	mail(1);
	mail(2);
	turn_until_asked(IPC_SOURCE_EXT, 1);
	assert_string_equal(seen.source_service, "mail");
	assert_string_equal(seen.source_password, "");
	begin("\0new@x\0wrong", 12);
	turn_until_waiting();
	say_source(IPC_SOURCE_YES);
	/* The login is now asked about by itself. */
	turn_until_asked(IPC_SOURCE_EXT, 2);
	assert_int_equal(seen.creates, 1);
	assert_int_equal(seen.news, 1);
	say_source(IPC_SOURCE_NO);
	assert_int_equal(wait_door(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.provisioned, 2);
	assert_int_equal(seen.provision_status[0], IPC_ROUTE_OK);
	assert_int_equal(seen.provision_status[1], IPC_ROUTE_OK);
}

/* A password that is wrong ends nobody's wait but of those who typed the same. */
static void a_wrong_first_one_is_not_the_last(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	begin("\0new@x\0wrong", 12);
	turn_until_asked(IPC_SOURCE_EXT, 1);
	mail(1);
	say_source(IPC_SOURCE_NO);
	assert_int_equal(wait_door(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	turn_until_asked(IPC_SOURCE_EXT, 2);
	assert_string_equal(seen.source_service, "mail");
	say_source(IPC_SOURCE_UNKNOWN);
	for (int i = 0; i < 5000 && seen.provisioned == 0; i++)
		turn();
	assert_int_equal(seen.provision_status[0], IPC_ROUTE_UNKNOWN);
	assert_null(a.makings);
}

/* Who hangs up is forgotten, the account is made all the same; peers that go end the wait. */
static void those_who_wait_may_go(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	begin("\0new@x\0first", 12);
	turn_until_asked(IPC_SOURCE_EXT, 1);
	ipc_chan_free(&door);
	turn();
	say_source(IPC_SOURCE_YES);
	for (int i = 0; i < 5000 && a.makings != NULL; i++)
		turn();
	assert_int_equal(seen.news, 1);
	assert_null(a.makings);
	seen.made[0] = '\0';
	mail(1);
	begin("\0new@x\0first", 12);
	turn_until_asked(IPC_SOURCE_EXT, 2);
	turn_until_waiting();
	ipc_chan_free(&a.source);
	make_on_peer_gone(&a);
	assert_int_equal(wait_door(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	for (int i = 0; i < 5000 && seen.provisioned == 0; i++)
		turn();
	assert_int_equal(seen.provision_status[0], IPC_ROUTE_TRYLATER);
	assert_null(a.makings);
}

/* Answers to nothing open nothing and make nothing. */
static void a_taken_source_is_not_believed(void **state)
{
	struct ipc_source_answer r = { .status = IPC_SOURCE_YES, .keep = 1 };
	struct ipc_account_new_reply made = { .status = IPC_ROUTE_OK, .account = 7 };

	knock(IPC_CONN_TLS, 0, "pop3");
	for (uint32_t seq = 0; seq < 200; seq++) {
		r.seq = made.seq = seq;
		dialogue_on_source(&a, &r);
		make_on_source(&a, &r);
		make_on_new(&a, &made);
	}
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.opened, 0);
	assert_int_equal(seen.news, 0);
}

static void three_refusals_are_the_end(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.left, 2);
	assert_int_equal(start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	assert_string_equal(seen.text, "no such user here");
	assert_int_equal(start("PLAIN", "\0ben\0x", 6), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.left, 0);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_NONE);
}

static void unknown_names_can_be_hidden(void **state)
{
	a.hide_unknown = true;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "");
}

static void clear_text_needs_tls(void **state)
{
	knock(0, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NEEDTLS);
	knock(IPC_CONN_PLAIN_LOGIN, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void bad_mechanisms_and_messages(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("DIGEST-MD5", NULL, 0), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NOMECH);
	assert_int_equal(start("PLAIN", "rubbish", 7), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_SYNTAX);
}

/* The second name is asked for when the first is proved, and then whether he may. */
static void acting_for_another_account(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "cid\0ann\0wrong", 13), IPC_auth_refused);
	assert_int_equal(seen.may_asked, 0);
	seen.may_status = IPC_DIR_DENIED;
	assert_int_equal(start("PLAIN", "cid\0ann\0secret", 14), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.may_asked, 1);
	assert_int_equal(seen.may.who, 7);
	assert_int_equal(seen.may.target, 9);
	assert_int_equal(seen.may.what, IPC_MAY_IMPERSONATE);
	assert_int_equal(start("PLAIN", "nobody\0ann\0secret", 17), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "acting for another account is not allowed");
	assert_int_equal(seen.may_asked, 2); /* as long as for a name that exists */
	assert_int_equal(seen.may.target, 0);
	assert_int_equal(seen.opened, 0);

	knock(IPC_CONN_TLS, 0, "pop3");
	seen.may_status = IPC_DIR_OK;
	assert_int_equal(start("PLAIN", "cid\0ann\0secret", 14), IPC_auth_granted);
	assert_string_equal(seen.name, "cid@example.test");
	assert_int_equal(seen.opened, 1);

	/* Another name of his own needs nobody's leave. */
	knock(IPC_CONN_TLS, 0, "pop3");
	seen.may_asked = 0;
	assert_int_equal(start("PLAIN", "ann\0ann\0secret", 14), IPC_auth_granted);
	assert_int_equal(seen.may_asked, 0);
}

static void apop_needs_the_password_itself(void **state)
{
	/* printf '<1@mail.example.test>secret' | md5sum */
	static const char good[] = "<1@mail.example.test>\0ann\0";
	struct buf m = BUF_INIT(200);

	knock(0, 0, "pop3");
	buf_put(&m, slice_of(good, sizeof(good) - 1));
	buf_puts(&m, "3cbff6c4f7f3e1a34e8b1e4a0b9a0c55");
	assert_int_equal(start("APOP", m.p, m.n), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	buf_reset(&m);
	buf_puts(&m, "<1@mail.example.test>");
	buf_putc(&m, 0);
	buf_puts(&m, "cid");
	buf_putc(&m, 0);
	buf_puts(&m, "3cbff6c4f7f3e1a34e8b1e4a0b9a0c55");
	assert_int_equal(start("APOP", m.p, m.n), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NOMECH);
	assert_int_equal(start("APOP", "x", 1), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_SYNTAX);
	knock(0, 0, "pop3");
	buf_reset(&m);
	buf_put(&m, slice_of(good, sizeof(good) - 1));
	buf_puts(&m, "e51fede682e152e50ed3b22dadef3e10");
	assert_int_equal(start("APOP", m.p, m.n), IPC_auth_granted);
	buf_fini(&m);
}

static int client_property(Gsasl *ctx, Gsasl_session *s, Gsasl_property prop)
{
	return GSASL_NO_CALLBACK;
}

/* A whole SCRAM exchange with GNU SASL's client; the last message received is checked by it, too.
 */
static enum ipc_type scram(const char *name, const char *password)
{
	Gsasl *ctx;
	Gsasl_session *s;
	enum ipc_type got;
	char *out;
	size_t n;

	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	gsasl_callback_set(ctx, client_property);
	assert_int_equal(gsasl_client_start(ctx, "SCRAM-SHA-256", &s), GSASL_OK);
	gsasl_property_set(s, GSASL_AUTHID, name);
	gsasl_property_set(s, GSASL_PASSWORD, password);
	assert_int_equal(gsasl_step(s, NULL, 0, &out, &n), GSASL_NEEDS_MORE);
	got = start("SCRAM-SHA-256", out, n);
	gsasl_free(out);
	if (got == IPC_auth_challenge) {
		assert_int_equal(
		    gsasl_step(s, (char *)seen.data.p, seen.data.n, &out, &n), GSASL_NEEDS_MORE);
		got = step(out, n);
		gsasl_free(out);
	}
	if (got == IPC_auth_granted)
		assert_int_equal(
		    gsasl_step(s, (char *)seen.data.p, seen.data.n, &out, &n), GSASL_OK);
	gsasl_finish(s);
	gsasl_done(ctx);
	return got;
}

static void scram_proves_both_sides(void **state)
{
	knock(0, 0, "pop3");
	assert_int_equal(scram("cid", "pencil"), IPC_auth_granted);
	knock(0, 0, "pop3");
	assert_int_equal(scram("ann", "secret"), IPC_auth_granted);
	knock(0, 0, "pop3");
	assert_int_equal(scram("cid", "pencils"), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(scram("ben", "x"), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
}

static void peers_that_are_away_mean_later(void **state)
{
	struct ipc_chan *routerd = a.routerd;

	knock(IPC_CONN_TLS, 0, "pop3");
	a.routerd = NULL;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
		assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	}
	a.routerd = routerd;
	workers_die = true;
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	workers_die = false;
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(a.workers, 0);
}

static void cancel_leaves_the_dialogue_idle(void **state)
{
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("LOGIN", NULL, 0), IPC_auth_challenge);
	ipc_send(door, IPC_auth_cancel, &(struct ipc_auth_cancel){}, NULL);
	assert_int_equal(wait_door(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_CANCELLED);
	assert_int_equal(seen.left, 3);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void administrators_are_known_by_the_kernel(void **state)
{
	a.admin_uids[0] = 1234;
	a.n_admin_uids = 1;
	knock(0, 1235, "admin");
	ipc_send(door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(wait_door(), IPC_auth_refused);
	knock(0, 1234, "pop3");
	ipc_send(door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(wait_door(), IPC_auth_refused);
	knock(0, 1234, "admin");
	ipc_send(door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(wait_door(), IPC_auth_admin);
	assert_int_equal(seen.fds, 3);
	fd_close(&seen.secrets);
	knock(0, 1234, "pwd");
	ipc_send(door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(wait_door(), IPC_auth_refused);
}

static enum ipc_auth_status ask_secret(
    struct ipc_chan *c, uint64_t account, const char *scheme, const char *password)
{
	struct ipc_secret_set m = {
		.account = account, .scheme = slice_str(scheme), .password = slice_str(password)
	};

	assert_int_equal(ipc_send(c, IPC_secret_set, &m, NULL), 0);
	assert_int_equal(wait_door(), IPC_secret_done);
	return (enum ipc_auth_status)seen.status;
}

static enum ipc_auth_status ask_tagged(
    struct ipc_chan *c, uint64_t account, const char *tag, const char *password)
{
	struct ipc_secret_set m = {
		.account = account, .tag = slice_str(tag), .password = slice_str(password)
	};

	assert_int_equal(ipc_send(c, IPC_secret_set, &m, NULL), 0);
	assert_int_equal(wait_door(), IPC_secret_done);
	return (enum ipc_auth_status)seen.status;
}

static void assert_tags(struct ipc_chan *c, uint64_t account, const char *want)
{
	struct ipc_secret_tags m = { .account = account };
	char text[512];
	struct wire_reader r;
	size_t n = 0;

	assert_int_equal(ipc_send(c, IPC_secret_tags, &m, NULL), 0);
	assert_int_equal(wait_door(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_OK);
	r = wire_reader(buf_slice(&seen.data));
	text[0] = '\0';
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice tag = wire_get_bytes(&r, 100);

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s ", SLICE_FMT(tag));
	}
	assert_string_equal(text, want);
}

static void assert_login(const char *service, const char *plain, bool opens)
{
	size_t n = strlen(plain + 1) + 1 + strlen(plain + strlen(plain + 1) + 2) + 1;

	knock(IPC_CONN_TLS, UINT32_MAX, service);
	if (start("PLAIN", plain, n) != IPC_auth_refused)
		assert_true(opens);
	else
		assert_true(!opens && seen.why == IPC_AUTH_BAD);
}

static void tagged_passwords_open_the_account_beside_its_own(void **state)
{
	unsigned changed = seen.changed;

	assert_int_equal(ask_tagged(admin, 7, "phone", "for the phone"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(admin, 7, "Home.pc", "at home"), IPC_AUTH_OK);
	assert_int_equal(seen.changed, changed); /* a new one ends no session */
	assert_tags(admin, 7, "Home.pc phone ");
	assert_tags(admin, 8, "");
	assert_login("pop3", "\0ann\0secret", true);
	assert_login("pop3", "\0ann\0for the phone", true);
	assert_login("smtp", "\0ann\0at home", true);
	assert_login("pop3", "\0ann\0for the phon", false);
	assert_login("pop3", "\0cid\0for the phone", false);
	/* None administers with one. */
	assert_login("pwd", "\0ann\0for the phone", false);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "ann\0ann\0for the phone", 21), IPC_auth_granted);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "cid\0ann\0for the phone", 21), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.may.target, 0); /* asked all the same, for nobody: it takes as long */
	assert_int_equal(ask_tagged(admin, 7, "phone", "another"), IPC_AUTH_OK);
	assert_int_equal(seen.changed, changed + 1);
	assert_login("pop3", "\0ann\0for the phone", false);
	assert_login("pop3", "\0ann\0another", true);
	assert_int_equal(ask_tagged(admin, 7, "phone", ""), IPC_AUTH_OK);
	assert_int_equal(seen.changed, changed + 2);
	assert_login("pop3", "\0ann\0another", false);
	assert_tags(admin, 7, "Home.pc ");
	/* Without an own password they open it still; "no password" means none. */
	assert_int_equal(ask_tagged(admin, 8, "phone", "ben's phone"), IPC_AUTH_OK);
	assert_login("pop3", "\0ben\0ben's phone", true);
	assert_int_equal(ask_secret(admin, 7, "", ""), IPC_AUTH_OK);
	assert_login("pop3", "\0ann\0at home", false);
	assert_tags(admin, 7, "");
	assert_tags(admin, 8, "phone ");
}

static void an_account_has_so_many_tagged_passwords(void **state)
{
	char tag[40];

	for (int i = 0; i < 8; i++) {
		snprintf(tag, sizeof(tag), "t%d", i);
		assert_int_equal(ask_tagged(admin, 7, tag, "x"), IPC_AUTH_OK);
	}
	assert_int_equal(ask_tagged(admin, 7, "t8", "x"), IPC_AUTH_LIMIT);
	assert_int_equal(ask_tagged(admin, 7, "t7", "y"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(admin, 7, "t8", ""), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(admin, 9, "t8", "x"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(admin, 7, "not a tag", "x"), IPC_AUTH_NOMECH);
	assert_tags(admin, 7, "t0 t1 t2 t3 t4 t5 t6 t7 ");
	/* One after the other, however they come: not one too many. */
	seen.dones = seen.failed = 0;
	for (int i = 0; i < 10; i++) {
		struct ipc_secret_set m = { .account = 8, .password = SLICE("x") };

		snprintf(tag, sizeof(tag), "u%d", i);
		m.tag = slice_str(tag);
		ipc_send(admin, IPC_secret_set, &m, NULL);
	}
	for (int i = 0; i < 60000 && seen.dones < 10; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
		poll(NULL, 0, 1);
	}
	assert_int_equal(seen.dones, 10);
	assert_int_equal(seen.failed, 2);
	assert_tags(admin, 8, "u0 u1 u2 u3 u4 u5 u6 u7 ");
}

static struct ipc_chan *login_by_pwd(void)
{
	knock(IPC_CONN_TLS, UINT32_MAX, "pwd");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_admin);
	assert_int_equal(seen.fds, 3);
	assert_int_equal(seen.account, 7);
	assert_string_equal(seen.name, "ann@example.test");
	return ipc_chan_new(a.base, seen.secrets, IPC_CH_ADMIN_AUTH, false, &door_ops, NULL);
}

/* No session, and of secrets those that routerd lets it touch, asked every time. */
static void who_logs_in_by_pwd_has_the_rights_of_the_account(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_check check = { .account = 7, .password = SLICE("secret") };

	assert_int_equal(seen.opened, 0);
	assert_int_equal(ask_secret(mine, 7, "", "new one"), IPC_AUTH_OK);
	assert_int_equal(seen.may_asked, 1);
	assert_true(seen.may.who == 7 && seen.may.target == 7);
	assert_int_equal(seen.may.what, IPC_MAY_SET_PASSWORD);
	assert_int_equal(seen.except_sid, 5);
	ipc_send(mine, IPC_secret_check, &check, NULL);
	assert_int_equal(wait_door(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_BAD);
	assert_int_equal(seen.may.what, IPC_MAY_CHECK_PASSWORD);
	assert_int_equal(ask_secret(mine, 7, "plain", "x"), IPC_AUTH_NOMECH);
	assert_int_equal(ask_secret(mine, 7, "given", "{PLAIN}x"), IPC_AUTH_NOMECH);
	assert_int_equal(ask_secret(mine, 7, "", ""), IPC_AUTH_NOMECH);
	assert_int_equal(seen.may_asked, 2);
	assert_int_equal(ask_tagged(mine, 7, "phone", "x"), IPC_AUTH_OK);
	assert_int_equal(seen.may.what, IPC_MAY_SET_PASSWORD);
	assert_tags(mine, 7, "phone ");
	assert_int_equal(seen.may.what, IPC_MAY_CHECK_PASSWORD);
	assert_int_equal(ask_tagged(mine, 7, "phone", ""), IPC_AUTH_OK);
	assert_int_equal(seen.may_asked, 5);
	seen.may_status = IPC_DIR_DENIED;
	assert_int_equal(ask_secret(mine, 7, "", "x"), IPC_AUTH_DISABLED);
	assert_int_equal(ask_secret(mine, 9, "", "x"), IPC_AUTH_DISABLED);
	assert_true(seen.may.who == 7 && seen.may.target == 9);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0new one", 12), IPC_auth_granted);
	ipc_chan_free(&mine);
}

static void a_channel_of_pwd_ends_when_others_change_the_password(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_set theirs = {
		.account = 7, .scheme = SLICE("plain"), .password = SLICE("theirs")
	};

	put_secret(8, "plain", "x");
	assert_int_equal(ask_secret(mine, 7, "", "mine"), IPC_AUTH_OK);
	ipc_chan_free(&door);
	door = mine;
	seen.except_sid = 1;
	ipc_send(admin, IPC_secret_set, &theirs, NULL);
	for (int i = 0; i < 5000 && (door != NULL || seen.except_sid != 0); i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
	}
	assert_null(door);
	assert_int_equal(seen.except_sid, 0);
}

/* He asks for a tagged password, and routerd says nothing yet. */
static void ask_for_one_more(struct ipc_chan *mine)
{
	struct ipc_secret_set m = { .account = 7, .tag = SLICE("mine"), .password = SLICE("x") };

	seen.may_asked = 0;
	seen.may_status = UINT32_MAX; /* it is silent */
	ipc_send(mine, IPC_secret_set, &m, NULL);
	for (int i = 0; i < 60000 && seen.may_asked == 0; i++)
		event_base_loop(a.base, EVLOOP_NONBLOCK);
	assert_int_equal(seen.may_asked, 1);
}

/* Now it does, and he is too late. */
static void assert_none_more(void)
{
	struct ipc_may_reply may = { .seq = seen.may.seq, .status = IPC_DIR_OK };

	admin_on_may(&a, &may);
	assert_false(TAILQ_EMPTY(&a.tagging));
	for (int i = 0; i < 60000 && !TAILQ_EMPTY(&a.tagging); i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
		poll(NULL, 0, 1);
	}
	assert_true(TAILQ_EMPTY(&a.tagging));
	assert_tags(admin, 7, "");
}

/* What was asked before takes effect after the others' change, or would. */
static void who_is_shut_out_leaves_no_password_behind(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_set none = { .account = 7 };

	ipc_chan_free(&door);
	door = mine;
	ask_for_one_more(mine);
	ipc_send(admin, IPC_secret_set, &none, NULL);
	for (int i = 0; i < 60000 && door != NULL; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
		poll(NULL, 0, 1);
	}
	assert_null(door);
	assert_none_more();
}

/* The same, and he has closed the channel himself: nothing is left of it to be ended. */
static void who_left_leaves_no_password_behind(void **state)
{
	struct ipc_chan *mine = login_by_pwd();

	ask_for_one_more(mine);
	ipc_chan_free(&mine);
	for (int i = 0; i < 1000; i++)
		event_base_loop(a.base, EVLOOP_NONBLOCK);
	assert_int_equal(ask_secret(admin, 7, "", ""), IPC_AUTH_OK);
	assert_none_more();
}

static void a_routerd_that_goes_leaves_nobody_waiting(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_set m = { .account = 7, .password = SLICE("x") };

	seen.may_status = UINT32_MAX; /* it is silent */
	ipc_send(mine, IPC_secret_set, &m, NULL);
	for (int i = 0; i < 500 && seen.may_asked == 0; i++)
		event_base_loop(a.base, EVLOOP_NONBLOCK);
	assert_int_equal(seen.may_asked, 1);
	ipc_chan_free(&a.routerd);
	admin_on_routerd_gone(&a);
	assert_int_equal(wait_door(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_TRYLATER);
	assert_int_equal(ask_secret(mine, 7, "", "x"), IPC_AUTH_TRYLATER);
	ipc_chan_free(&mine);
}

static void clear_text_is_refused_where_the_account_wants_it(void **state)
{
	seen.login_flags = IPC_LOGIN_SECURE_ONLY;
	knock(IPC_CONN_PLAIN_LOGIN, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NEEDTLS);
	assert_int_equal(seen.asked_flags, 0);
	/* That it would be right or wrong is not told. */
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NEEDTLS);
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(seen.asked_flags, IPC_LOGIN_ENCRYPTED);
}

static void failures_are_counted_for_the_account(void **state)
{
	seen.fail_max = 2;
	seen.fail_s = 3600;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
	/* Where names are hidden this looks like a wrong password, too. */
	seen.login_flags = IPC_LOGIN_HIDE;
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	/* Others are not concerned, and without a limit nobody is. */
	seen.login_flags = 0;
	put_secret(8, "plain", "b");
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ben\0b", 6), IPC_auth_granted);
	seen.fail_max = 0;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void failures_take_a_bounded_room(void **state)
{
	for (uint64_t id = 1; id <= 20010; id++)
		failures_add(&a, id, 3600);
	assert_false(failures_over(&a, 1, 1)); /* the oldest had to go */
	assert_true(failures_over(&a, 20010, 1));
	failures_add(&a, 20010, 3600);
	assert_true(failures_over(&a, 20010, 2));
	assert_false(failures_over(&a, 20010, 3));
	failures_add(&a, 99999, 0);
	assert_false(failures_over(&a, 99999, 1));
}

static void a_password_that_is_switched_off_opens_nothing(void **state)
{
	seen.login_flags = IPC_LOGIN_NO_PASSWORD;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
}

static void names_are_hidden_by_a_setting_too(void **state)
{
	seen.login_flags = IPC_LOGIN_HIDE;
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "");
}

static void passwords_are_set_and_checked(void **state)
{
	struct ipc_secret_check check = { .account = 8, .password = SLICE("new") };

	put_secret(8, "yescrypt", "new");
	assert_int_equal(seen.status, IPC_AUTH_OK);
	assert_true(seen.changed > 0);
	ipc_send(admin, IPC_secret_check, &check, NULL);
	assert_int_equal(wait_door(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_OK);
	check.password = SLICE("old");
	ipc_send(admin, IPC_secret_check, &check, NULL);
	assert_int_equal(wait_door(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_BAD);
	put_secret(8, "rot13", "new");
	assert_int_equal(seen.status, IPC_AUTH_NOMECH);
	put_secret(8, "given", "not a stored form");
	assert_int_equal(seen.status, IPC_AUTH_SYNTAX);
	put_secret(8, "given", "{PLAIN}given");
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ben\0given", 10), IPC_auth_granted);
	put_secret(8, "plain", "");
	knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(start("PLAIN", "\0ben\0given", 10), IPC_auth_refused);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(plain_login_opens_the_account),
		CASE(who_sends_gets_no_session),
		CASE(login_goes_step_by_step),
		CASE(login_takes_a_name_with_the_command),
		CASE(the_own_password_asks_nobody),
		CASE(others_are_asked_in_turn),
		CASE(nobody_else_is_asked),
		CASE(one_attempt_is_one_failure),
		CASE(later_when_nobody_says_yes),
		CASE(leaving_early_counts),
		CASE(its_process_dies_during_a_login),
		CASE(a_confirmed_password_can_be_kept),
		CASE(the_first_login_makes_the_account),
		CASE(who_is_unknown_there_is_unknown_here),
		CASE(what_cannot_be_made_now),
		CASE(those_behind_wait_for_the_first),
		CASE(a_wrong_first_one_is_not_the_last),
		CASE(those_who_wait_may_go),
		CASE(a_taken_source_is_not_believed),
		CASE(three_refusals_are_the_end),
		CASE(unknown_names_can_be_hidden),
		CASE(clear_text_needs_tls),
		CASE(bad_mechanisms_and_messages),
		CASE(acting_for_another_account),
		CASE(apop_needs_the_password_itself),
		CASE(scram_proves_both_sides),
		CASE(peers_that_are_away_mean_later),
		CASE(cancel_leaves_the_dialogue_idle),
		CASE(administrators_are_known_by_the_kernel),
		CASE(clear_text_is_refused_where_the_account_wants_it),
		CASE(failures_are_counted_for_the_account),
		CASE(failures_take_a_bounded_room),
		CASE(a_password_that_is_switched_off_opens_nothing),
		CASE(names_are_hidden_by_a_setting_too),
		CASE(passwords_are_set_and_checked),
		CASE(tagged_passwords_open_the_account_beside_its_own),
		CASE(an_account_has_so_many_tagged_passwords),
		CASE(who_logs_in_by_pwd_has_the_rights_of_the_account),
		CASE(a_channel_of_pwd_ends_when_others_change_the_password),
		CASE(who_is_shut_out_leaves_no_password_behind),
		CASE(who_left_leaves_no_password_behind),
		CASE(a_routerd_that_goes_leaves_nobody_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
