/* An intruder inside a door's child, an acceptor, a worker or routerd, against authd's core. */
#include "tests/hostile/inside-authd-rig.h"

/* ---- inside a door's child ---- */

static void any_message_before_the_login(void **state)
{
	for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
		inside_knock(&inside.doors[0]);
		end_send_any(&inside.doors[0], t);
		inside_spin(8);
		if (t == IPC_auth_start || t == IPC_auth_peer)
			assert_int_equal(inside.doors[0].of[IPC_auth_refused], 1);
		else
			assert_true(inside.doors[0].gone);
		assert_int_equal(inside.doors[0].fds, 0);
	}
	inside_others_log_in();
}

static void any_message_in_the_middle(void **state)
{
	inside.worker_honest = false;
	for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
		inside_knock(&inside.doors[0]);
		inside_start(&inside.doors[0]);
		inside_spin(8);
		end_send_any(&inside.doors[0], t);
		inside_spin(8);
		if (t == IPC_auth_step || t == IPC_auth_cancel)
			assert_int_equal(inside.doors[0].of[IPC_auth_refused], 1);
		else
			assert_true(inside.doors[0].gone);
		assert_int_equal(inside.a.workers, 0);
		inside.n_workers = 0;
	}
	inside_others_log_in();
}

static void attempts_end_whatever_they_end_by(void **state)
{
	unsigned most = 0;
	size_t before;

	inside.worker_honest = false;
	inside_knock(&inside.doors[0]);
	inside_spin(4);
	before = heap_used();
	for (int i = 0; i < 1000 && !inside.doors[0].gone; i++) {
		inside_start(&inside.doors[0]);
		end_send_any(&inside.doors[0], IPC_auth_cancel);
		inside_spin(4);
		most = inside.n_workers > most ? inside.n_workers : most;
	}
	assert_true(inside.doors[0].gone);
	assert_int_equal(most, STARTS_MAX);
	assert_int_equal(inside.doors[0].left, 0);
	assert_true(heap_used() < before + (1 << 20));
	inside_others_log_in();
}

/* The answer of the database to a cancelled attempt comes into the next one. */
static void a_cancelled_attempt_lends_no_secret(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") }, cid = { .authcid = SLICE("cid") };

	inside.worker_honest = false;
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_spin(8);
	end_send(&inside.workers[0], IPC_work_name, &ann);
	inside_spin(12);
	end_send_any(&inside.doors[0], IPC_auth_cancel);
	inside_start(&inside.doors[0]);
	inside_spin(8);
	assert_int_equal(inside.n_workers, 2);
	end_send(&inside.workers[1], IPC_work_name, &cid);
	inside_spin_ms(150);
	assert_int_equal(inside.secrets_lent, 0);
	assert_int_equal(inside.doors[0].status, IPC_AUTH_TRYLATER);
	assert_int_equal(inside.stored.of[IPC_session_open], 0);
}

static void a_grant_that_is_cancelled_is_none(void **state)
{
	inside_knock(&inside.doors[0]);
	for (int turns = 1; turns < 30; turns++) {
		inside_knock(&inside.doors[0]);
		inside_start(&inside.doors[0]);
		inside_spin(turns);
		end_send_any(&inside.doors[0], IPC_auth_cancel);
		inside_start(&inside.doors[0]);
		inside_spin(60);
		assert_in_range(inside.doors[0].of[IPC_auth_granted], 0, 1);
		assert_int_equal(inside.doors[0].fds, inside.doors[0].of[IPC_auth_granted]);
	}
	assert_int_equal(inside.opened[CID], 0);
}

/* ---- inside an acceptor ---- */

static void acceptors_speak_for_their_own(void **state)
{
	struct ipc_conn_new m = { .sid = 4ull << 32 | 1, .service = SLICE("pop3") };
	struct ipc_chan *mine;
	struct end far = { .fd = -1 };

	mine = inside_peer(IPC_CH_ATTACH_AUTH, true, &far, &end_ops);
	ipc_chan_hello(mine, IPC_ROLE_AUTHD, 1, IPC_ROLE_POP3, IPC_IN_RUN);
	ipc_chan_hello(far.chan, IPC_ROLE_POP3, 4, IPC_ROLE_AUTHD, IPC_IN_RUN);
	inside_spin(4);
	inside_knock_as(&inside.doors[0], mine, IPC_ROLE_POP3, m);
	inside_spin(4);
	assert_false(inside.doors[0].gone);
	m.sid = 3ull << 32 | 1;
	inside_knock_as(&inside.doors[0], mine, IPC_ROLE_POP3, m);
	assert_int_equal(ipc_chan_state(mine), IPC_IN_CLOSED);
	ipc_chan_free(&mine);
	inside_spin(4);
	assert_true(inside.doors[0].gone);
	end_close(&far);
	inside_others_log_in();
}

/* Only the admin acceptor is believed who sits behind a Unix socket. */
static void another_door_makes_no_administrators(void **state)
{
	struct ipc_conn_new m = { .sid = 6, .service = SLICE("admin"), .uid = 0 };

	inside.a.admin_uids[inside.a.n_admin_uids++] = 0;
	inside_knock_as(&inside.doors[0], inside.a.pool, IPC_ROLE_POP3, m);
	end_send_any(&inside.doors[0], IPC_auth_peer);
	inside_answers(&inside.doors[0], IPC_auth_refused);
	assert_int_equal(inside.doors[0].fds, 0);
	inside_knock_as(&inside.doors[0], inside.a.pool, IPC_ROLE_ADMIN, m);
	end_send_any(&inside.doors[0], IPC_auth_peer);
	inside_answers(&inside.doors[0], IPC_auth_admin);
}

/* ---- inside a worker ---- */

static void yes_without_a_name_opens_nothing(void **state)
{
	struct ipc_work_done done = { .status = IPC_AUTH_OK };

	inside.worker_honest = false;
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_spin(8);
	end_send(&inside.workers[0], IPC_work_done, &done);
	inside_answers(&inside.doors[0], IPC_auth_refused);
	assert_int_equal(inside.stored.of[IPC_session_open], 0);
}

static void a_second_name_opens_nothing(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") }, cid = { .authcid = SLICE("cid") };
	struct ipc_work_done done = { .status = IPC_AUTH_OK };

	inside.worker_honest = false;
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_spin(8);
	end_send(&inside.workers[0], IPC_work_name, &ann);
	inside_spin(12);
	assert_int_equal(inside.secrets_lent, 1);
	end_send(&inside.workers[0], IPC_work_name, &cid);
	inside_spin(12);
	end_send(&inside.workers[0], IPC_work_done, &done);
	inside_spin(12);
	assert_int_equal(inside.doors[0].of[IPC_auth_refused], 1);
	assert_int_equal(inside.secrets_lent, 1);
	assert_int_equal(inside.opened[CID], 0);
	assert_int_equal(inside.stored.of[IPC_session_open], 0);
	inside_others_log_in();
}

/* With others who know passwords behind authd: what a worker says of a password. */
static void a_password_reaches_others_only_when_asked_for(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") };
	struct ipc_work_done no = { .status = IPC_AUTH_BAD, .password = SLICE("a guess") },
			     yes = { .status = IPC_AUTH_OK, .password = SLICE("a guess") };

	for (int asked = 0; asked < 2; asked++) {
		inside_source_open();
		inside.login_flags = asked ? IPC_LOGIN_EXT : 0;
		inside.worker_honest = false;
		inside_knock(&inside.doors[0]);
		inside_start(&inside.doors[0]);
		inside_spin(8);
		end_send(&inside.workers[inside.n_workers - 1], IPC_work_name, &ann);
		inside_spin(12);
		end_send(&inside.workers[inside.n_workers - 1], IPC_work_done, &no);
		/* What it goes on to say is not heard. */
		end_send(&inside.workers[inside.n_workers - 1], IPC_work_done, &yes);
		end_send(&inside.workers[inside.n_workers - 1], IPC_work_done, &no);
		inside_spin(12);
		assert_int_equal(inside.source.of[IPC_source_ask], asked);
		assert_int_equal(inside.doors[0].of[IPC_auth_refused], !asked);
		assert_int_equal(inside.stored.of[IPC_session_open], 0);
		end_close(&inside.doors[0]);
		inside_spin(12);
		inside_source_close();
	}
}

/* An account that is not there yet cannot be opened by a worker's yes. */
static void a_yes_makes_no_account(void **state)
{
	struct ipc_work_name new = { .authcid = SLICE("new") };
	struct ipc_work_done yes = { .status = IPC_AUTH_OK, .password = SLICE("a guess") };

	inside_source_open();
	inside.worker_honest = false;
	inside.route_unknown = true;
	inside.login_flags = IPC_LOGIN_MAKE;
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_spin(8);
	end_send(&inside.workers[0], IPC_work_name, &new);
	inside_spin(12);
	end_send(&inside.workers[0], IPC_work_done, &yes);
	inside_answers(&inside.doors[0], IPC_auth_refused);
	assert_int_equal(inside.source.of[IPC_source_ask], 0);
	assert_int_equal(inside.routerd.of[IPC_account_new], 0);
	inside.route_unknown = false;
	inside.login_flags = 0;
	inside_source_close();
	inside_others_log_in();
}

/* A taken authd-external: answers to nothing, more than one answer, answers after the end. */
static void a_source_answers_what_it_likes(void **state)
{
	struct ipc_work_name ann = { .authcid = SLICE("ann") };
	struct ipc_work_done no = { .status = IPC_AUTH_BAD, .password = SLICE("a guess") };
	struct ipc_source_answer yes = { .status = IPC_SOURCE_YES, .real_name = SLICE("x") };

	inside_source_open();
	for (yes.seq = 0; yes.seq < 500; yes.seq++) {
		end_send(&inside.source, IPC_source_answer, &yes);
		inside_spin(1);
	}
	assert_int_equal(inside.stored.of[IPC_session_open], 0);
	assert_int_equal(inside.routerd.of[IPC_account_new], 0);
	inside.login_flags = IPC_LOGIN_EXT;
	inside.worker_honest = false;
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_spin(8);
	end_send(&inside.workers[0], IPC_work_name, &ann);
	inside_spin(12);
	end_send(&inside.workers[0], IPC_work_done, &no);
	inside_spin(12);
	assert_int_equal(inside.source.of[IPC_source_ask], 1);
	/* The client goes; a yes to its question opens nothing, for nobody. */
	end_close(&inside.doors[0]);
	inside_spin(12);
	for (yes.seq = 0; yes.seq < 500; yes.seq++)
		end_send(&inside.source, IPC_source_answer, &yes);
	inside_spin(20);
	assert_int_equal(inside.stored.of[IPC_session_open], 0);
	inside.login_flags = 0;
	inside_source_close();
	inside_others_log_in();
}

static void any_message_of_a_worker(void **state)
{
	for (int moment = 0; moment < 3; moment++) {
		for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
			inside.worker_honest = false;
			inside.route_silent = moment == 1;
			inside.n_workers = 0;
			inside_knock(&inside.doors[0]);
			inside_start(&inside.doors[0]);
			inside_spin(8);
			if (moment > 0)
				end_send(&inside.workers[0], IPC_work_name,
				    &(struct ipc_work_name){ .authcid = SLICE("ann") });
			inside_spin(12);
			end_send_any(&inside.workers[0], t);
			inside_spin(12);
			if (t == IPC_work_challenge && moment != 1)
				assert_int_equal(inside.doors[0].type, IPC_auth_challenge);
			else if (t == IPC_work_done && moment == 2)
				assert_int_equal(inside.doors[0].type, IPC_auth_granted);
			else if (t == IPC_work_name && moment == 0)
				assert_int_equal(inside.doors[0].seen, 0);
			else
				assert_int_equal(inside.doors[0].type, IPC_auth_refused);
			end_close(&inside.workers[0]);
			inside_spin(4);
		}
	}
	inside.route_silent = false;
	inside_others_log_in();
}

static void workers_that_hang_are_given_up(void **state)
{
	static struct end door[WORKERS_MAX];

	inside.worker_honest = false;
	inside.a.worker_ms = 300;
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		door[i].fd = -1;
		inside_knock(&door[i]);
		inside_start(&door[i]);
		inside_spin(4);
	}
	assert_int_equal(inside.a.workers, WORKERS_MAX);
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_answers(&inside.doors[0], IPC_auth_refused);
	assert_int_equal(inside.doors[0].status, IPC_AUTH_TRYLATER);
	inside_spin_ms(400);
	assert_int_equal(inside.a.workers, 0);
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		assert_int_equal(door[i].status, IPC_AUTH_TRYLATER);
		end_close(&door[i]);
	}
	inside_others_log_in();
}

/* As many strangers as there are workers, each with a challenge that it does not answer. */
static void silent_clients_lock_nobody_out(void **state)
{
	static struct end door[WORKERS_MAX];

	inside.worker_honest = false;
	inside.a.client_safe_ms = 50;
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		door[i].fd = -1;
		inside_knock(&door[i]);
		inside_start(&door[i]);
		inside_spin(4);
		end_send_any(&inside.workers[i], IPC_work_challenge);
		inside_spin(4);
	}
	assert_int_equal(inside.a.workers, WORKERS_MAX);
	inside_spin_ms(60);
	inside_others_log_in();
	assert_int_equal(door[0].type, IPC_auth_refused);
	assert_int_equal(door[1].type, IPC_auth_challenge);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		end_close(&door[i]);
}

/* ---- inside routerd, and stored's last word ---- */

static void answers_to_nothing_do_nothing(void **state)
{
	for (uint32_t seq = 0; seq < 2000; seq++) {
		inside_route_answer(seq, ANN);
		end_send(
		    &inside.stored, IPC_session_failed, &(struct ipc_session_failed){ seq, 1 });
		inside_spin(1);
	}
	end_send_any(&inside.stored, IPC_session_opened);
	inside_spin(20);
	assert_int_equal(inside.secrets_lent, 0);
	inside_others_log_in();
	/* OK without an account: whoever the worker believes in, there is no session. */
	inside.route_silent = true;
	inside_knock(&inside.doors[0]);
	inside_start(&inside.doors[0]);
	inside_spin(12);
	for (uint32_t seq = 0; seq < 10; seq++)
		inside_route_answer(seq, 0);
	inside_answers(&inside.doors[0], IPC_auth_refused);
	assert_int_equal(inside.opened[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(any_message_before_the_login),
		CASE(any_message_in_the_middle),
		CASE(attempts_end_whatever_they_end_by),
		cmocka_unit_test_setup_teardown(
		    a_cancelled_attempt_lends_no_secret, inside_setup_slow, inside_teardown),
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
