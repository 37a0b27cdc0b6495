/* An intruder inside a door's child, an acceptor, a worker or routerd, against authd's core. */
#include "tests/hostile/inside.h"

#include "authd/authd.h"
#include "authd/limits.h"

#include <poll.h>

enum { ANN = 7, CID = 9, WORKERS = WORKERS_MAX + 8 };

static struct authd a;
static struct engine *engine;
static struct end pool, routerd, stored, doors[3], workers[WORKERS];
static unsigned n_workers;
static bool route_silent, route_unknown, worker_honest;
static uint32_t login_flags; /* of routerd's answers */
static struct end source = { .fd = -1 };
static unsigned opened[16]; /* sessions asked for, by account */
static unsigned secrets_lent, wrong_secret;

static void spin(int turns)
{
	for (int i = 0; i < turns; i++) {
		event_base_loop(a.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
	}
}

static void spin_ms(int ms)
{
	for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until; poll(NULL, 0, 1))
		spin(2);
}

/* ---- the others, played by us ---- */

/* An honest worker: ann with any password. */
static void worker_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct end *w = arg;
	struct ipc_work_name name = { .authcid = SLICE("ann") };
	struct ipc_work_done done = { .status = IPC_AUTH_OK };

	end_msg(arg, c, type, m, fds);
	if (type == IPC_work_secret && m->work_secret.known) {
		secrets_lent++;
		wrong_secret += !slice_eq(m->work_secret.stored, SLICE("{PLAIN}ann's"));
	}
	if (worker_honest && type == IPC_work_start)
		end_send(w, IPC_work_name, &name);
	else if (worker_honest && type == IPC_work_secret)
		end_send(w, IPC_work_done, &done);
}

static const struct ipc_ops worker_ops = { worker_msg, end_gone, NULL };

static void pool_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct end *w = &workers[n_workers];

	if (type != IPC_work_new || n_workers == WORKERS)
		return;
	n_workers++;
	*w = (struct end){ .fd = -1 };
	w->chan = ipc_chan_new(a.base, fds[0], IPC_CH_WORK, false, &worker_ops, w);
	fds[0] = -1;
}

static void route_answer(uint32_t seq, uint64_t account)
{
	struct ipc_route_login_reply r = { .seq = seq,
		.account = account,
		.name = SLICE("somebody@example.test"),
		.flags = login_flags };

	if (route_unknown)
		r.status = IPC_ROUTE_UNKNOWN;

	end_send(&routerd, IPC_route_login_reply, &r);
}

static void routerd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	end_msg(arg, c, type, m, fds);
	if (type == IPC_route_login && !route_silent)
		route_answer(
		    m->route_login.seq, slice_eq(m->route_login.name, SLICE("ann")) ? ANN : CID);
}

static void stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_session_opened r;
	int one[1];

	end_msg(arg, c, type, m, fds);
	if (type != IPC_session_open)
		return;
	opened[m->session_open.account % 16]++;
	r = (struct ipc_session_opened){ m->session_open.seq };
	one[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)ipc_send(c, IPC_session_opened, &r, one);
}

/* What authd's program does with its peers' messages. */
static void to_authd(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_route_login_reply)
		dialogue_on_route(&a, &m->route_login_reply);
	else if (type == IPC_secret_drop)
		admin_on_secret_drop(&a, &m->secret_drop);
	else if (type == IPC_secret_take)
		admin_on_secret_take(&a, &m->secret_take);
	else if (type == IPC_source_answer) {
		dialogue_on_source(&a, &m->source_answer);
		make_on_source(&a, &m->source_answer);
	} else if (type == IPC_session_opened)
		dialogue_on_session(&a, m->session_opened.seq, &fds[0], IPC_ST_OK);
	else if (type == IPC_session_failed)
		dialogue_on_session(&a, m->session_failed.seq, NULL, m->session_failed.status);
}

static void peer_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct ipc_chan **at = c == a.routerd ? &a.routerd : c == a.stored ? &a.stored : &a.pool;

	ipc_chan_free(at);
	dialogue_on_peer_gone(&a);
}

static const struct ipc_ops pool_ops = { pool_msg, end_gone, NULL },
			    routerd_ops = { routerd_msg, end_gone, NULL },
			    stored_ops = { stored_msg, end_gone, NULL },
			    peer_ops = { to_authd, peer_gone, NULL };

static struct ipc_chan *peer(
    enum ipc_ch kind, bool upper, struct end *far, const struct ipc_ops *far_ops)
{
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	end_close(far);
	*far = (struct end){ .fd = -1 };
	far->chan = ipc_chan_new(a.base, sv[1], kind, !upper, far_ops, far);
	return ipc_chan_new(a.base, sv[0], kind, upper, &peer_ops, NULL);
}

static void on_put(void *arg, int rc)
{
	++*(int *)arg;
}

static int setup_with(const char *spec)
{
	int puts = 0;

	memset(&a, 0, sizeof(a));
	memset(opened, 0, sizeof(opened));
	n_workers = secrets_lent = wrong_secret = 0;
	login_flags = 0;
	route_unknown = false;
	route_silent = false;
	worker_honest = true;
	a.base = event_base_new();
	a.host = "mail.example.test";
	a.scheme = "plain";
	a.mechs = "PLAIN LOGIN";
	authd_init(&a);
	quiet();
	assert_int_equal(engine_open(spec, -1, NULL, &engine), 0);
	assert_int_equal(secrets_open(&a.secrets, engine), 0);
	assert_int_equal(secrets_put(&a.secrets, ANN, SLICE_NONE, SLICE("{PLAIN}ann's"), on_put, &puts), 0);
	assert_int_equal(secrets_put(&a.secrets, CID, SLICE_NONE, SLICE("{PLAIN}cid's"), on_put, &puts), 0);
	while (puts < 2)
		spin(1);
	pool.fd = routerd.fd = stored.fd = -1;
	for (size_t i = 0; i < 3; i++)
		doors[i] = (struct end){ .fd = -1 };
	a.pool = peer(IPC_CH_WORK_POOL, true, &pool, &pool_ops);
	a.routerd = peer(IPC_CH_AUTH_ROUTE, true, &routerd, &routerd_ops);
	a.stored = peer(IPC_CH_AUTH_STORE, false, &stored, &stored_ops);
	return 0;
}

static int setup(void **state)
{
	return setup_with("mem");
}

static int setup_slow(void **state)
{
	return setup_with("mem:delay_ms=40,again=1");
}

static int teardown(void **state)
{
	int fd = log_fd();

	for (size_t i = 0; i < 3; i++)
		end_close(&doors[i]);
	for (size_t i = 0; i < n_workers; i++)
		end_close(&workers[i]);
	spin_ms(60);
	assert_int_equal(a.workers, 0);
	ipc_chan_free(&a.pool);
	ipc_chan_free(&a.routerd);
	ipc_chan_free(&a.stored);
	end_close(&pool);
	end_close(&routerd);
	end_close(&stored);
	make_fini(&a);
	secrets_close(&a.secrets);
	engine_close(&engine);
	event_base_free(a.base);
	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
	return 0;
}

/* A child of a door, as its acceptor tells authd of it. */
static void knock_as(
    struct end *door, struct ipc_chan *acceptor, enum ipc_role role, struct ipc_conn_new m)
{
	int sv[2];

	end_close(door);
	assert_int_equal(ipc_pair(sv), 0);
	dialogue_open(&a, acceptor, role, &m, &sv[0]);
	fd_close(&sv[0]);
	end_open(a.base, door, sv[1], IPC_CH_DIALOGUE, false);
}

static void knock(struct end *door)
{
	knock_as(door, a.pool, IPC_ROLE_POP3,
	    (struct ipc_conn_new){
		.sid = 5, .service = SLICE("pop3"), .flags = IPC_CONN_TLS, .uid = UINT32_MAX });
}

static void start(struct end *door)
{
	struct ipc_auth_start m = { .mech = SLICE("PLAIN"), .tls = 1 };

	end_send(door, IPC_auth_start, &m);
}

static void answers(struct end *door, enum ipc_type want)
{
	unsigned before = door->of[want];

	for (int i = 0; i < 2000 && door->of[want] == before && !door->gone; i++) {
		spin(2);
		poll(NULL, 0, i > 20);
	}
	assert_int_equal(door->of[want], before + 1);
}

/* Everybody else can still log in. */
static void others_log_in(void)
{
	struct end *door = &doors[2];

	worker_honest = true;
	knock(door);
	start(door);
	answers(door, IPC_auth_granted);
	assert_int_equal(door->fds, 1);
	end_close(door);
}

/* ---- inside a door's child ---- */

static void any_message_before_the_login(void **state)
{
	for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
		knock(&doors[0]);
		end_send_any(&doors[0], t);
		spin(8);
		if (t == IPC_auth_start || t == IPC_auth_peer)
			assert_int_equal(doors[0].of[IPC_auth_refused], 1);
		else
			assert_true(doors[0].gone);
		assert_int_equal(doors[0].fds, 0);
	}
	others_log_in();
}

static void any_message_in_the_middle(void **state)
{
	worker_honest = false;
	for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
		knock(&doors[0]);
		start(&doors[0]);
		spin(8);
		end_send_any(&doors[0], t);
		spin(8);
		if (t == IPC_auth_step || t == IPC_auth_cancel)
			assert_int_equal(doors[0].of[IPC_auth_refused], 1);
		else
			assert_true(doors[0].gone);
		assert_int_equal(a.workers, 0);
		n_workers = 0;
	}
	others_log_in();
}

static void attempts_end_whatever_they_end_by(void **state)
{
	unsigned most = 0;
	size_t before;

	worker_honest = false;
	knock(&doors[0]);
	spin(4);
	before = heap_used();
	for (int i = 0; i < 1000 && !doors[0].gone; i++) {
		start(&doors[0]);
		end_send_any(&doors[0], IPC_auth_cancel);
		spin(4);
		most = n_workers > most ? n_workers : most;
	}
	assert_true(doors[0].gone);
	assert_int_equal(most, STARTS_MAX);
	assert_int_equal(doors[0].left, 0);
	assert_true(heap_used() < before + (1 << 20));
	others_log_in();
}

/* The answer of the database to a cancelled attempt comes into the next one. */
static void a_cancelled_attempt_lends_no_secret(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") }, cid = { .authcid = SLICE("cid") };

	worker_honest = false;
	knock(&doors[0]);
	start(&doors[0]);
	spin(8);
	end_send(&workers[0], IPC_work_name, &ann);
	spin(12);
	end_send_any(&doors[0], IPC_auth_cancel);
	start(&doors[0]);
	spin(8);
	assert_int_equal(n_workers, 2);
	end_send(&workers[1], IPC_work_name, &cid);
	spin_ms(150);
	assert_int_equal(secrets_lent, 0);
	assert_int_equal(doors[0].status, IPC_AUTH_TRYLATER);
	assert_int_equal(stored.of[IPC_session_open], 0);
}

static void a_grant_that_is_cancelled_is_none(void **state)
{
	knock(&doors[0]);
	for (int turns = 1; turns < 30; turns++) {
		knock(&doors[0]);
		start(&doors[0]);
		spin(turns);
		end_send_any(&doors[0], IPC_auth_cancel);
		start(&doors[0]);
		spin(60);
		assert_in_range(doors[0].of[IPC_auth_granted], 0, 1);
		assert_int_equal(doors[0].fds, doors[0].of[IPC_auth_granted]);
	}
	assert_int_equal(opened[CID], 0);
}

/* ---- inside an acceptor ---- */

static void acceptors_speak_for_their_own(void **state)
{
	struct ipc_conn_new m = { .sid = 4ull << 32 | 1, .service = SLICE("pop3") };
	struct ipc_chan *mine;
	struct end far = { .fd = -1 };

	mine = peer(IPC_CH_ATTACH_AUTH, true, &far, &end_ops);
	ipc_chan_hello(mine, IPC_ROLE_AUTHD, 1, IPC_ROLE_POP3, IPC_IN_RUN);
	ipc_chan_hello(far.chan, IPC_ROLE_POP3, 4, IPC_ROLE_AUTHD, IPC_IN_RUN);
	spin(4);
	knock_as(&doors[0], mine, IPC_ROLE_POP3, m);
	spin(4);
	assert_false(doors[0].gone);
	m.sid = 3ull << 32 | 1;
	knock_as(&doors[0], mine, IPC_ROLE_POP3, m);
	assert_int_equal(ipc_chan_state(mine), IPC_IN_CLOSED);
	ipc_chan_free(&mine);
	spin(4);
	assert_true(doors[0].gone);
	end_close(&far);
	others_log_in();
}

/* Only the admin acceptor is believed who sits behind a Unix socket. */
static void another_door_makes_no_administrators(void **state)
{
	struct ipc_conn_new m = { .sid = 6, .service = SLICE("admin"), .uid = 0 };

	a.admin_uids[a.n_admin_uids++] = 0;
	knock_as(&doors[0], a.pool, IPC_ROLE_POP3, m);
	end_send_any(&doors[0], IPC_auth_peer);
	answers(&doors[0], IPC_auth_refused);
	assert_int_equal(doors[0].fds, 0);
	knock_as(&doors[0], a.pool, IPC_ROLE_ADMIN, m);
	end_send_any(&doors[0], IPC_auth_peer);
	answers(&doors[0], IPC_auth_admin);
}

/* ---- others who know passwords ---- */

static void source_open(void)
{
	a.source = peer(IPC_CH_SOURCE, true, &source, &end_ops);
	a.helpers = 1u << IPC_SOURCE_EXT;
}

static void source_close(void)
{
	ipc_chan_free(&a.source);
	end_close(&source);
	make_on_peer_gone(&a);
	a.helpers = 0;
}

/* ---- inside a worker ---- */

static void yes_without_a_name_opens_nothing(void **state)
{
	struct ipc_work_done done = { .status = IPC_AUTH_OK };

	worker_honest = false;
	knock(&doors[0]);
	start(&doors[0]);
	spin(8);
	end_send(&workers[0], IPC_work_done, &done);
	answers(&doors[0], IPC_auth_refused);
	assert_int_equal(stored.of[IPC_session_open], 0);
}

static void a_second_name_opens_nothing(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") }, cid = { .authcid = SLICE("cid") };
	struct ipc_work_done done = { .status = IPC_AUTH_OK };

	worker_honest = false;
	knock(&doors[0]);
	start(&doors[0]);
	spin(8);
	end_send(&workers[0], IPC_work_name, &ann);
	spin(12);
	assert_int_equal(secrets_lent, 1);
	end_send(&workers[0], IPC_work_name, &cid);
	spin(12);
	end_send(&workers[0], IPC_work_done, &done);
	spin(12);
	assert_int_equal(doors[0].of[IPC_auth_refused], 1);
	assert_int_equal(secrets_lent, 1);
	assert_int_equal(opened[CID], 0);
	assert_int_equal(stored.of[IPC_session_open], 0);
	others_log_in();
}

/* With others who know passwords behind authd: what a worker says of a password. */
static void a_password_reaches_others_only_when_asked_for(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") };
	struct ipc_work_done no = { .status = IPC_AUTH_BAD, .password = SLICE("a guess") },
			     yes = { .status = IPC_AUTH_OK, .password = SLICE("a guess") };

	for (int asked = 0; asked < 2; asked++) {
		source_open();
		login_flags = asked ? IPC_LOGIN_EXT : 0;
		worker_honest = false;
		knock(&doors[0]);
		start(&doors[0]);
		spin(8);
		end_send(&workers[n_workers - 1], IPC_work_name, &ann);
		spin(12);
		end_send(&workers[n_workers - 1], IPC_work_done, &no);
		/* What it goes on to say is not heard. */
		end_send(&workers[n_workers - 1], IPC_work_done, &yes);
		end_send(&workers[n_workers - 1], IPC_work_done, &no);
		spin(12);
		assert_int_equal(source.of[IPC_source_ask], asked);
		assert_int_equal(doors[0].of[IPC_auth_refused], !asked);
		assert_int_equal(stored.of[IPC_session_open], 0);
		end_close(&doors[0]);
		spin(12);
		source_close();
	}
}

/* An account that is not there yet cannot be opened by a worker's yes. */
static void a_yes_makes_no_account(void **state)
{
	struct ipc_work_name new = { .authcid = SLICE("new") };
	struct ipc_work_done yes = { .status = IPC_AUTH_OK, .password = SLICE("a guess") };

	source_open();
	worker_honest = false;
	route_unknown = true;
	login_flags = IPC_LOGIN_MAKE;
	knock(&doors[0]);
	start(&doors[0]);
	spin(8);
	end_send(&workers[0], IPC_work_name, &new);
	spin(12);
	end_send(&workers[0], IPC_work_done, &yes);
	answers(&doors[0], IPC_auth_refused);
	assert_int_equal(source.of[IPC_source_ask], 0);
	assert_int_equal(routerd.of[IPC_account_new], 0);
	route_unknown = false;
	login_flags = 0;
	source_close();
	others_log_in();
}

/* A taken authd-external: answers to nothing, more than one answer, answers after the end. */
static void a_source_answers_what_it_likes(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") };
	struct ipc_work_done no = { .status = IPC_AUTH_BAD, .password = SLICE("a guess") };
	struct ipc_source_answer yes = { .status = IPC_SOURCE_YES, .real_name = SLICE("x") };

	source_open();
	for (yes.seq = 0; yes.seq < 500; yes.seq++) {
		end_send(&source, IPC_source_answer, &yes);
		spin(1);
	}
	assert_int_equal(stored.of[IPC_session_open], 0);
	assert_int_equal(routerd.of[IPC_account_new], 0);
	login_flags = IPC_LOGIN_EXT;
	worker_honest = false;
	knock(&doors[0]);
	start(&doors[0]);
	spin(8);
	end_send(&workers[0], IPC_work_name, &ann);
	spin(12);
	end_send(&workers[0], IPC_work_done, &no);
	spin(12);
	assert_int_equal(source.of[IPC_source_ask], 1);
	/* The client goes; a yes to its question opens nothing, for nobody. */
	end_close(&doors[0]);
	spin(12);
	for (yes.seq = 0; yes.seq < 500; yes.seq++)
		end_send(&source, IPC_source_answer, &yes);
	spin(20);
	assert_int_equal(stored.of[IPC_session_open], 0);
	login_flags = 0;
	source_close();
	others_log_in();
}

static void any_message_of_a_worker(void **state)
{
	for (int moment = 0; moment < 3; moment++) {
		for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
			worker_honest = false;
			route_silent = moment == 1;
			n_workers = 0;
			knock(&doors[0]);
			start(&doors[0]);
			spin(8);
			if (moment > 0)
				end_send(&workers[0], IPC_work_name,
				    &(struct ipc_work_name){ .authcid = SLICE("ann") });
			spin(12);
			end_send_any(&workers[0], t);
			spin(12);
			if (t == IPC_work_challenge && moment != 1)
				assert_int_equal(doors[0].type, IPC_auth_challenge);
			else if (t == IPC_work_done && moment == 2)
				assert_int_equal(doors[0].type, IPC_auth_granted);
			else if (t == IPC_work_name && moment == 0)
				assert_int_equal(doors[0].seen, 0);
			else
				assert_int_equal(doors[0].type, IPC_auth_refused);
			end_close(&workers[0]);
			spin(4);
		}
	}
	route_silent = false;
	others_log_in();
}

static void workers_that_hang_are_given_up(void **state)
{
	static struct end door[WORKERS_MAX];

	worker_honest = false;
	a.worker_ms = 300;
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		door[i].fd = -1;
		knock(&door[i]);
		start(&door[i]);
		spin(4);
	}
	assert_int_equal(a.workers, WORKERS_MAX);
	knock(&doors[0]);
	start(&doors[0]);
	answers(&doors[0], IPC_auth_refused);
	assert_int_equal(doors[0].status, IPC_AUTH_TRYLATER);
	spin_ms(400);
	assert_int_equal(a.workers, 0);
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		assert_int_equal(door[i].status, IPC_AUTH_TRYLATER);
		end_close(&door[i]);
	}
	others_log_in();
}

/* As many strangers as there are workers, each with a challenge that it does not answer. */
static void silent_clients_lock_nobody_out(void **state)
{
	static struct end door[WORKERS_MAX];

	worker_honest = false;
	a.client_safe_ms = 50;
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		door[i].fd = -1;
		knock(&door[i]);
		start(&door[i]);
		spin(4);
		end_send_any(&workers[i], IPC_work_challenge);
		spin(4);
	}
	assert_int_equal(a.workers, WORKERS_MAX);
	spin_ms(60);
	others_log_in();
	assert_int_equal(door[0].type, IPC_auth_refused);
	assert_int_equal(door[1].type, IPC_auth_challenge);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		end_close(&door[i]);
}

/* ---- inside routerd, and stored's last word ---- */

static void answers_to_nothing_do_nothing(void **state)
{
	for (uint32_t seq = 0; seq < 2000; seq++) {
		route_answer(seq, ANN);
		end_send(&stored, IPC_session_failed, &(struct ipc_session_failed){ seq, 1 });
		spin(1);
	}
	end_send_any(&stored, IPC_session_opened);
	spin(20);
	assert_int_equal(secrets_lent, 0);
	others_log_in();
	/* OK without an account: whoever the worker believes in, there is no session. */
	route_silent = true;
	knock(&doors[0]);
	start(&doors[0]);
	spin(12);
	for (uint32_t seq = 0; seq < 10; seq++)
		route_answer(seq, 0);
	answers(&doors[0], IPC_auth_refused);
	assert_int_equal(opened[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(any_message_before_the_login),
		CASE(any_message_in_the_middle),
		CASE(attempts_end_whatever_they_end_by),
		cmocka_unit_test_setup_teardown(
		    a_cancelled_attempt_lends_no_secret, setup_slow, teardown),
		CASE(a_grant_that_is_cancelled_is_none),
		CASE(acceptors_speak_for_their_own),
		CASE(another_door_makes_no_administrators),
		CASE(yes_without_a_name_opens_nothing),
		CASE(a_second_name_opens_nothing),
		CASE(a_password_reaches_others_only_when_asked_for),
		CASE(a_yes_makes_no_account),
		CASE(a_source_answers_what_it_likes),
		CASE(any_message_of_a_worker),
		CASE(workers_that_hang_are_given_up),
		CASE(silent_clients_lock_nobody_out),
		CASE(answers_to_nothing_do_nothing),
	};

	return cmocka_run_group_tests_name("inside-authd", tests, NULL, NULL);
}
