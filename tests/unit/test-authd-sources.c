/* Passwords that others know, by authd's messages: who is asked, and what an answer does. */
#include "tests/unit/authd-rig.h"

static const uint32_t both = IPC_LOGIN_SYS | IPC_LOGIN_EXT;

static void the_own_password_asks_nobody(void **state)
{
	seen.login_flags = both;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(seen.sources[IPC_SOURCE_SYS] + seen.sources[IPC_SOURCE_EXT], 0);
}

static void others_are_asked_in_turn(void **state)
{
	seen.login_flags = both;
	seen.source_status[IPC_SOURCE_SYS] = IPC_SOURCE_NO;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0else where", 15), IPC_auth_granted);
	assert_string_equal(seen.name, "ann@example.test");
	assert_string_equal(seen.source_name[IPC_SOURCE_SYS], "ann");
	assert_string_equal(seen.source_name[IPC_SOURCE_EXT], "ann@example.test");
	assert_string_equal(seen.source_password, "else where");
	assert_string_equal(seen.source_service, "pop3");
	/* The first that says yes is the last that is asked; LOGIN is as good; without a secret,
	 * too. */
	seen.source_status[IPC_SOURCE_SYS] = IPC_SOURCE_YES;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("LOGIN", "ben", 3), IPC_auth_challenge);
	assert_int_equal(rig_step("x", 1), IPC_auth_granted);
	assert_string_equal(seen.name, "ben@example.test");
	assert_int_equal(seen.sources[IPC_SOURCE_SYS], 2);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
	/* So it is where the own password opens nothing. */
	seen.login_flags = IPC_LOGIN_EXT | IPC_LOGIN_NO_PASSWORD;
	rig_knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_post);
	assert_int_equal(seen.post_account, 7);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 2);
}

/* Only an account's settings make somebody be asked, only what is configured, only about a
 * password, and never about one that is empty. */
static void nobody_else_is_asked(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	seen.login_flags = both;
	assert_int_equal(rig_start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	rig.a.hide_unknown = true;
	assert_int_equal(rig_start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("LOGIN", "ben", 3), IPC_auth_challenge);
	assert_int_equal(rig_step("", 0), IPC_auth_refused);
	assert_int_equal(rig_start("SCRAM-SHA-256", "n,,n=ann,r=abc", 14), IPC_auth_challenge);
	assert_int_equal(rig_step("c=biws,r=abc,p=AAAA", 19), IPC_auth_refused);
	rig.a.helpers = 0;
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
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
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
		assert_int_equal(seen.why, IPC_AUTH_BAD);
		assert_string_equal(seen.text, "");
	}
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
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
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(seen.left, 3);
	/* No failure of ben, who has no secret that could be guessed meanwhile. */
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	assert_int_equal(rig_start("PLAIN", "\0ben\0right", 10), IPC_auth_granted);
	/* ann has one. */
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_LATER;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
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
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(rig.door, IPC_auth_start, &m, NULL), 0);
	rig_wait_asked(IPC_SOURCE_EXT, 1);
	ipc_chan_free(&rig.door);
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(rig.door, IPC_auth_start, &m, NULL), 0);
	rig_wait_asked(IPC_SOURCE_EXT, 2);
	assert_int_equal(ipc_send(rig.door, IPC_auth_cancel, &(struct ipc_auth_cancel){}, NULL), 0);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_CANCELLED);
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	assert_int_equal(rig_start("PLAIN", "\0ben\0right", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
}

static void its_process_dies_during_a_login(void **state)
{
	struct ipc_auth_start m = {
		.mech = SLICE("PLAIN"), .has_initial = 1, .initial = SLICE("\0ben\0x")
	};

	seen.login_flags = IPC_LOGIN_EXT;
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(rig.door, IPC_auth_start, &m, NULL), 0);
	rig_wait_asked(IPC_SOURCE_EXT, 1);
	ipc_chan_free(&rig.a.source);
	dialogue_on_peer_gone(&rig.a);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	/* While it is away it is the same, and who has a secret of his own gets in. */
	assert_int_equal(rig_start("PLAIN", "\0ben\0x", 6), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void a_confirmed_password_can_be_kept(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	seen.changed = 0;
	seen.keep = 1;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0moved", 10), IPC_auth_granted);
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	for (int i = 0; i < 5000 && rig.a.workers > 0; i++)
		rig_turn();
	for (int i = 0; i < 20; i++)
		engine_dispatch(rig.engine, 0);
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0moved", 10), IPC_auth_granted);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
	assert_int_equal(seen.changed, 0);
}

static void until_nothing_is_kept(void)
{
	for (int i = 0; i < 5000 && (rig.a.workers > 0 || !LIST_EMPTY(&rig.a.keeps)); i++)
		rig_turn();
	assert_int_equal(rig.a.workers, 0);
	assert_true(LIST_EMPTY(&rig.a.keeps));
	for (int i = 0; i < 20; i++)
		engine_dispatch(rig.engine, 0);
}

/* It went while the password was hashed. */
static void what_went_meanwhile_keeps_nothing(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	seen.keep = 1;
	seen.account_gone = 8;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0moved", 10), IPC_auth_granted);
	until_nothing_is_kept();
	seen.account_gone = 0;
	assert_int_equal(rig_has_secret(8), 0);
}

static void assert_own_is(const char *own, size_t n_own, const char *old, size_t n_old)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", old, n_old), IPC_auth_refused);
	assert_int_equal(rig_start("PLAIN", own, n_own), IPC_auth_granted);
}

/* While the helper takes its time an administrator sets a password; then it says yes, and keep. */
static void set_while_asked(struct slice initial, uint64_t account, const char *password)
{
	struct ipc_auth_start m = { .mech = SLICE("PLAIN"), .has_initial = 1, .initial = initial };
	struct ipc_source_answer yes = { .status = IPC_SOURCE_YES, .keep = 1 };

	seen.login_flags = IPC_LOGIN_EXT;
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(rig.door, IPC_auth_start, &m, NULL), 0);
	rig_wait_asked(IPC_SOURCE_EXT, 1);
	rig_put_secret(account, "plain", password);
	yes.seq = seen.source_seq;
	assert_int_equal(ipc_send(rig.source_end, IPC_source_answer, &yes, NULL), 0);
	assert_int_equal(rig_wait(), IPC_auth_granted);
	until_nothing_is_kept();
}

static void what_was_set_meanwhile_stays(void **state)
{
	set_while_asked(SLICE("\0ben\0moved"), 8, "reset");
	assert_own_is("\0ben\0reset", 10, "\0ben\0moved", 10);
	/* A login that begins afterwards is believed again: so it is how a helper is left. */
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	seen.keep = 1;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0third", 10), IPC_auth_granted);
	until_nothing_is_kept();
	assert_own_is("\0ben\0third", 10, "\0ben\0reset", 10);
}

/* The same while it was hashed. */
static void what_was_set_during_the_hash_stays(void **state)
{
	keep_password(&rig.a, 8, keep_changes(&rig.a, 8), SLICE("ben"), SLICE("moved"));
	rig_put_secret(8, "plain", "reset");
	until_nothing_is_kept();
	seen.login_flags = IPC_LOGIN_EXT;
	assert_own_is("\0ben\0reset", 10, "\0ben\0moved", 10);
}

/* The helper was asked about a name, of which an administrator has made the account himself. */
static void what_was_there_first_stays(void **state)
{
	set_while_asked(SLICE("\0newone\0moved"), 30, "first");
	assert_own_is("\0newone\0first", 13, "\0newone\0moved", 13);
}

/* Answers to nothing open nothing and make nothing. */
static void a_taken_source_is_not_believed(void **state)
{
	struct ipc_source_answer r = { .status = IPC_SOURCE_YES, .keep = 1 };
	struct ipc_account_new_reply made = { .status = IPC_ROUTE_OK, .account = 7 };

	rig_knock(IPC_CONN_TLS, 0, "pop3");
	for (uint32_t seq = 0; seq < 200; seq++) {
		r.seq = made.seq = seq;
		dialogue_on_source(&rig.a, &r);
		make_on_source(&rig.a, &r);
		make_on_new(&rig.a, &made);
	}
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.opened, 0);
	assert_int_equal(seen.news, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_own_password_asks_nobody),
		CASE(others_are_asked_in_turn),
		CASE(nobody_else_is_asked),
		CASE(one_attempt_is_one_failure),
		CASE(later_when_nobody_says_yes),
		CASE(leaving_early_counts),
		CASE(its_process_dies_during_a_login),
		CASE(a_confirmed_password_can_be_kept),
		CASE(what_went_meanwhile_keeps_nothing),
		CASE(what_was_set_meanwhile_stays),
		CASE(what_was_set_during_the_hash_stays),
		CASE(what_was_there_first_stays),
		CASE(a_taken_source_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
