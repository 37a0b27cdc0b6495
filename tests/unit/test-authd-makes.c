/* Accounts that a first login or mail makes: one question for all who wait, and for whom they do.
 */
#include "tests/unit/authd-rig.h"

static void the_first_login_makes_the_account(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_granted);
	assert_string_equal(seen.name, "new@x");
	assert_int_equal(seen.creates, 1);
	assert_int_equal(seen.news, 1);
	assert_string_equal(seen.source_service, "login");
	assert_string_equal(seen.source_password, "first");
	/* It is not asked about again by the login that made it. */
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
}

/* Made it is, and then its settings decide: the helper opens only what names it. */
static void an_account_that_does_not_name_the_helper(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.news, 1);
	/* With keep the password becomes the own one. */
	seen.made[0] = '\0';
	seen.keep = 1;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_granted);
	/* Unless the account has none of its own. */
	seen.made[0] = '\0';
	seen.login_flags = IPC_LOGIN_NO_PASSWORD;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.news, 3);
}

/* The helper's word, keep or not, is no key to an account that it did not make. */
static void an_account_that_somebody_else_made_meanwhile(void **state)
{
	seen.new_there = true;
	seen.keep = 1;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_true(LIST_EMPTY(&rig.a.keeps));
	assert_int_equal(rig_has_secret(30), 0);
	seen.made[0] = '\0';
	seen.login_flags = IPC_LOGIN_EXT;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_granted);
}

/* Renamed, an alias, a record of the Router: between the two questions about a name it may become
 * another account's, to which the word about the first is no key. */
static void a_name_that_leads_elsewhere_by_then(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	seen.leads_to = 7;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	assert_int_equal(seen.news, 1);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 1);
	/* Whose own it becomes is the one that was made. */
	seen.made[0] = '\0';
	seen.login_flags = 0;
	seen.keep = 1;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	/* The next time the name is asked about as the other's. */
	seen.login_flags = IPC_LOGIN_EXT;
	seen.keep = 0;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_granted);
	assert_int_equal(seen.news, 2);
	assert_int_equal(seen.sources[IPC_SOURCE_EXT], 3);
}

static void who_is_unknown_there_is_unknown_here(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_UNKNOWN;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	assert_string_equal(seen.text, "no such user here");
	rig.a.hide_unknown = true;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "");
	rig.a.hide_unknown = false;
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_NO;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	/* Without a helper nobody is asked. */
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	rig.a.helpers = 0;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	rig.a.helpers = 1u << IPC_SOURCE_EXT;
	assert_int_equal(seen.creates, 3);
	/* A name that was tried too often is nobody's for a while; the helper hears no more of it.
	 */
	for (int i = 0; i < 20; i++) {
		rig_knock(IPC_CONN_TLS, 0, "pop3");
		assert_int_equal(rig_start("PLAIN", "\0new@x\0guess", 12), IPC_auth_refused);
	}
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	assert_int_equal(seen.creates, 10);
	assert_int_equal(seen.news, 0);
}

static void what_cannot_be_made_now(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_LATER;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	seen.source_status[IPC_SOURCE_EXT] = IPC_SOURCE_YES;
	seen.new_status = IPC_ROUTE_TRYLATER;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	seen.new_status = IPC_ROUTE_UNKNOWN;
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	ipc_chan_free(&rig.a.source);
	assert_int_equal(rig_start("PLAIN", "\0new@x\0first", 12), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
}

static void say_source(enum ipc_source_status status)
{
	struct ipc_source_answer r = { .seq = seen.source_seq, .status = status };

	ipc_send(rig.source_end, IPC_source_answer, &r, NULL);
}

static void mail(uint32_t seq)
{
	struct ipc_provision_ask m = { .seq = seq, .name = SLICE("new@x") };

	make_for_mail(&rig.a, &m);
}

static void begin(const char *initial, size_t n)
{
	struct ipc_auth_start m = {
		.mech = SLICE("PLAIN"), .has_initial = 1, .initial = slice_of(initial, n)
	};

	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(ipc_send(rig.door, IPC_auth_start, &m, NULL), 0);
}

/* The worker has begun and ended: the login waits for somebody else. */
static void turn_until_waiting(void)
{
	for (int i = 0; i < 5000 && rig.a.workers == 0; i++)
		rig_turn();
	for (int i = 0; i < 5000 && rig.a.workers > 0; i++)
		rig_turn();
	assert_int_equal(rig.a.workers, 0);
}

/* One question for all; then each login by its own password. */
static void those_behind_wait_for_the_first(void **state)
{
	seen.login_flags = IPC_LOGIN_EXT;
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	mail(1);
	mail(2);
	rig_wait_asked(IPC_SOURCE_EXT, 1);
	assert_string_equal(seen.source_service, "mail");
	assert_string_equal(seen.source_password, "");
	begin("\0new@x\0wrong", 12);
	turn_until_waiting();
	say_source(IPC_SOURCE_YES);
	/* The login is now asked about by itself. */
	rig_wait_asked(IPC_SOURCE_EXT, 2);
	assert_int_equal(seen.creates, 1);
	assert_int_equal(seen.news, 1);
	say_source(IPC_SOURCE_NO);
	assert_int_equal(rig_wait(), IPC_auth_refused);
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
	rig_wait_asked(IPC_SOURCE_EXT, 1);
	mail(1);
	say_source(IPC_SOURCE_NO);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	rig_wait_asked(IPC_SOURCE_EXT, 2);
	assert_string_equal(seen.source_service, "mail");
	say_source(IPC_SOURCE_UNKNOWN);
	for (int i = 0; i < 5000 && seen.provisioned == 0; i++)
		rig_turn();
	assert_int_equal(seen.provision_status[0], IPC_ROUTE_UNKNOWN);
	assert_null(rig.a.makings);
}

/* Who hangs up is forgotten, the account is made all the same; peers that go end the wait. */
static void those_who_wait_may_go(void **state)
{
	seen.source_status[IPC_SOURCE_EXT] = IPC_TYPES;
	begin("\0new@x\0first", 12);
	rig_wait_asked(IPC_SOURCE_EXT, 1);
	ipc_chan_free(&rig.door);
	for (int i = 0; i < 20; i++)
		rig_turn();
	say_source(IPC_SOURCE_YES);
	for (int i = 0; i < 5000 && rig.a.makings != NULL; i++)
		rig_turn();
	assert_int_equal(seen.news, 1);
	assert_null(rig.a.makings);
	seen.made[0] = '\0';
	mail(1);
	begin("\0new@x\0first", 12);
	rig_wait_asked(IPC_SOURCE_EXT, 2);
	turn_until_waiting();
	ipc_chan_free(&rig.a.source);
	make_on_peer_gone(&rig.a);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	for (int i = 0; i < 5000 && seen.provisioned == 0; i++)
		rig_turn();
	assert_int_equal(seen.provision_status[0], IPC_ROUTE_TRYLATER);
	assert_null(rig.a.makings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_first_login_makes_the_account),
		CASE(an_account_that_does_not_name_the_helper),
		CASE(an_account_that_somebody_else_made_meanwhile),
		CASE(a_name_that_leads_elsewhere_by_then),
		CASE(who_is_unknown_there_is_unknown_here),
		CASE(what_cannot_be_made_now),
		CASE(those_behind_wait_for_the_first),
		CASE(a_wrong_first_one_is_not_the_last),
		CASE(those_who_wait_may_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
