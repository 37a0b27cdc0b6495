/* Administrators of secrets, root and by PWD: what they may, tagged passwords, and their end. */
#include "tests/unit/authd-rig.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <event2/event.h>

static void administrators_are_known_by_the_kernel(void **state)
{
	rig.a.admin_uids[0] = 1234;
	rig.a.n_admin_uids = 1;
	rig_knock(0, 1235, "admin");
	ipc_send(rig.door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	rig_knock(0, 1234, "pop3");
	ipc_send(rig.door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	rig_knock(0, 1234, "admin");
	ipc_send(rig.door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(rig_wait(), IPC_auth_admin);
	assert_int_equal(seen.fds, 3);
	fd_close(&seen.secrets);
	rig_knock(0, 1234, "pwd");
	ipc_send(rig.door, IPC_auth_peer, &(struct ipc_auth_peer){}, NULL);
	assert_int_equal(rig_wait(), IPC_auth_refused);
}

static enum ipc_auth_status ask_secret(
    struct ipc_chan *c, uint64_t account, const char *scheme, const char *password)
{
	struct ipc_secret_set m = {
		.account = account, .scheme = slice_str(scheme), .password = slice_str(password)
	};

	assert_int_equal(ipc_send(c, IPC_secret_set, &m, NULL), 0);
	assert_int_equal(rig_wait(), IPC_secret_done);
	return (enum ipc_auth_status)seen.status;
}

static enum ipc_auth_status ask_tagged(
    struct ipc_chan *c, uint64_t account, const char *tag, const char *password)
{
	struct ipc_secret_set m = {
		.account = account, .tag = slice_str(tag), .password = slice_str(password)
	};

	assert_int_equal(ipc_send(c, IPC_secret_set, &m, NULL), 0);
	assert_int_equal(rig_wait(), IPC_secret_done);
	return (enum ipc_auth_status)seen.status;
}

static void assert_tags(struct ipc_chan *c, uint64_t account, const char *want)
{
	struct ipc_secret_tags m = { .account = account };
	char text[512];
	struct wire_reader r;
	size_t n = 0;

	assert_int_equal(ipc_send(c, IPC_secret_tags, &m, NULL), 0);
	assert_int_equal(rig_wait(), IPC_secret_done);
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

	rig_knock(IPC_CONN_TLS, UINT32_MAX, service);
	if (rig_start("PLAIN", plain, n) != IPC_auth_refused)
		assert_true(opens);
	else
		assert_true(!opens && seen.why == IPC_AUTH_BAD);
}

static void tagged_passwords_open_the_account_beside_its_own(void **state)
{
	unsigned changed = seen.changed;

	assert_int_equal(ask_tagged(rig.admin, 7, "phone", "for the phone"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(rig.admin, 7, "Home.pc", "at home"), IPC_AUTH_OK);
	assert_int_equal(seen.changed, changed); /* a new one ends no session */
	assert_tags(rig.admin, 7, "Home.pc phone ");
	assert_tags(rig.admin, 8, "");
	assert_login("pop3", "\0ann\0secret", true);
	assert_login("pop3", "\0ann\0for the phone", true);
	assert_login("smtp", "\0ann\0at home", true);
	assert_login("pop3", "\0ann\0for the phon", false);
	assert_login("pop3", "\0cid\0for the phone", false);
	/* None administers with one. */
	assert_login("pwd", "\0ann\0for the phone", false);
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "ann\0ann\0for the phone", 21), IPC_auth_granted);
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "cid\0ann\0for the phone", 21), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.may.target, 0); /* asked all the same, for nobody: it takes as long */
	assert_int_equal(ask_tagged(rig.admin, 7, "phone", "another"), IPC_AUTH_OK);
	assert_int_equal(seen.changed, changed + 1);
	assert_login("pop3", "\0ann\0for the phone", false);
	assert_login("pop3", "\0ann\0another", true);
	assert_int_equal(ask_tagged(rig.admin, 7, "phone", ""), IPC_AUTH_OK);
	assert_int_equal(seen.changed, changed + 2);
	assert_login("pop3", "\0ann\0another", false);
	assert_tags(rig.admin, 7, "Home.pc ");
	/* Without an own password they open it still; "no password" means none. */
	assert_int_equal(ask_tagged(rig.admin, 8, "phone", "ben's phone"), IPC_AUTH_OK);
	assert_login("pop3", "\0ben\0ben's phone", true);
	assert_int_equal(ask_secret(rig.admin, 7, "", ""), IPC_AUTH_OK);
	assert_login("pop3", "\0ann\0at home", false);
	assert_tags(rig.admin, 7, "");
	assert_tags(rig.admin, 8, "phone ");
}

static void an_account_has_so_many_tagged_passwords(void **state)
{
	char tag[40];

	for (int i = 0; i < 8; i++) {
		snprintf(tag, sizeof(tag), "t%d", i);
		assert_int_equal(ask_tagged(rig.admin, 7, tag, "x"), IPC_AUTH_OK);
	}
	assert_int_equal(ask_tagged(rig.admin, 7, "t8", "x"), IPC_AUTH_LIMIT);
	assert_int_equal(ask_tagged(rig.admin, 7, "t7", "y"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(rig.admin, 7, "t8", ""), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(rig.admin, 9, "t8", "x"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(rig.admin, 7, "not a tag", "x"), IPC_AUTH_NOMECH);
	assert_tags(rig.admin, 7, "t0 t1 t2 t3 t4 t5 t6 t7 ");
	/* One after the other, however they come: not one too many. */
	seen.dones = seen.failed = 0;
	for (int i = 0; i < 10; i++) {
		struct ipc_secret_set m = { .account = 8, .password = SLICE("x") };

		snprintf(tag, sizeof(tag), "u%d", i);
		m.tag = slice_str(tag);
		ipc_send(rig.admin, IPC_secret_set, &m, NULL);
	}
	for (int i = 0; i < 60000 && seen.dones < 10; i++)
		rig_turn();
	assert_int_equal(seen.dones, 10);
	assert_int_equal(seen.failed, 2);
	assert_tags(rig.admin, 8, "u0 u1 u2 u3 u4 u5 u6 u7 ");
}

static struct ipc_chan *login_by_pwd(void)
{
	rig_knock(IPC_CONN_TLS, UINT32_MAX, "pwd");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_admin);
	assert_int_equal(seen.fds, 3);
	assert_int_equal(seen.account, 7);
	assert_string_equal(seen.name, "ann@example.test");
	return ipc_chan_new(
	    rig.a.base, seen.secrets, IPC_CH_ADMIN_AUTH, false, &rig_door_ops, NULL);
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
	assert_int_equal(rig_wait(), IPC_secret_done);
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
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0new one", 12), IPC_auth_granted);
	ipc_chan_free(&mine);
}

static void a_channel_of_pwd_ends_when_others_change_the_password(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_set theirs = {
		.account = 7, .scheme = SLICE("plain"), .password = SLICE("theirs")
	};

	rig_put_secret(8, "plain", "x");
	assert_int_equal(ask_secret(mine, 7, "", "mine"), IPC_AUTH_OK);
	ipc_chan_free(&rig.door);
	rig.door = mine;
	seen.except_sid = 1;
	ipc_send(rig.admin, IPC_secret_set, &theirs, NULL);
	for (int i = 0; i < 5000 && (rig.door != NULL || seen.except_sid != 0); i++) {
		event_base_loop(rig.a.base, EVLOOP_NONBLOCK);
		engine_dispatch(rig.engine, 0);
	}
	assert_null(rig.door);
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
		event_base_loop(rig.a.base, EVLOOP_NONBLOCK);
	assert_int_equal(seen.may_asked, 1);
}

/* Now it does, and he is too late. */
static void assert_none_more(void)
{
	struct ipc_may_reply may = { .seq = seen.may.seq, .status = IPC_DIR_OK };

	admin_on_may(&rig.a, &may);
	assert_false(TAILQ_EMPTY(&rig.a.tagging));
	for (int i = 0; i < 60000 && !TAILQ_EMPTY(&rig.a.tagging); i++)
		rig_turn();
	assert_true(TAILQ_EMPTY(&rig.a.tagging));
	assert_tags(rig.admin, 7, "");
}

/* What was asked before takes effect after the others' change, or would. */
static void who_is_shut_out_leaves_no_password_behind(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_set none = { .account = 7 };

	ipc_chan_free(&rig.door);
	rig.door = mine;
	ask_for_one_more(mine);
	ipc_send(rig.admin, IPC_secret_set, &none, NULL);
	for (int i = 0; i < 60000 && rig.door != NULL; i++)
		rig_turn();
	assert_null(rig.door);
	assert_none_more();
}

/* The same, and he has closed the channel himself: nothing is left of it to be ended. */
static void who_left_leaves_no_password_behind(void **state)
{
	struct ipc_chan *mine = login_by_pwd();

	ask_for_one_more(mine);
	ipc_chan_free(&mine);
	for (int i = 0; i < 1000; i++)
		event_base_loop(rig.a.base, EVLOOP_NONBLOCK);
	assert_int_equal(ask_secret(rig.admin, 7, "", ""), IPC_AUTH_OK);
	assert_none_more();
}

/* The administrator had asked for its number before it went: no secret of nobody stays. */
static void an_account_that_went_gets_no_password(void **state)
{
	rig_put_secret(8, "plain", "x");
	rig_put_secret(9, "plain", "x");
	seen.account_gone = 8;
	admin_on_secret_drop(&rig.a, &(struct ipc_secret_drop){ .seq = 1, .account = 8 });
	assert_int_equal(ask_secret(rig.admin, 8, "plain", "x"), IPC_AUTH_DISABLED);
	assert_int_equal(ask_secret(rig.admin, 9, "plain", "y"), IPC_AUTH_OK);
	assert_int_equal(ask_tagged(rig.admin, 8, "phone", "x"), IPC_AUTH_DISABLED);
	seen.account_gone = 0;
	assert_int_equal(rig_has_secret(8), 0);
	assert_int_equal(rig_has_secret(9), 1);
}

static void a_routerd_that_goes_leaves_nobody_waiting(void **state)
{
	struct ipc_chan *mine = login_by_pwd();
	struct ipc_secret_set m = { .account = 7, .password = SLICE("x") };

	seen.may_status = UINT32_MAX; /* it is silent */
	ipc_send(mine, IPC_secret_set, &m, NULL);
	for (int i = 0; i < 500 && seen.may_asked == 0; i++)
		event_base_loop(rig.a.base, EVLOOP_NONBLOCK);
	assert_int_equal(seen.may_asked, 1);
	ipc_chan_free(&rig.a.routerd);
	admin_on_routerd_gone(&rig.a);
	assert_int_equal(rig_wait(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_TRYLATER);
	assert_int_equal(ask_secret(mine, 7, "", "x"), IPC_AUTH_TRYLATER);
	ipc_chan_free(&mine);
}

static void passwords_are_set_and_checked(void **state)
{
	struct ipc_secret_check check = { .account = 8, .password = SLICE("new") };

	rig_put_secret(8, "yescrypt", "new");
	assert_int_equal(seen.status, IPC_AUTH_OK);
	assert_true(seen.changed > 0);
	ipc_send(rig.admin, IPC_secret_check, &check, NULL);
	assert_int_equal(rig_wait(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_OK);
	check.password = SLICE("old");
	ipc_send(rig.admin, IPC_secret_check, &check, NULL);
	assert_int_equal(rig_wait(), IPC_secret_done);
	assert_int_equal(seen.status, IPC_AUTH_BAD);
	rig_put_secret(8, "rot13", "new");
	assert_int_equal(seen.status, IPC_AUTH_NOMECH);
	rig_put_secret(8, "given", "not a stored form");
	assert_int_equal(seen.status, IPC_AUTH_SYNTAX);
	rig_put_secret(8, "given", "{PLAIN}given");
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0given", 10), IPC_auth_granted);
	rig_put_secret(8, "plain", "");
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0given", 10), IPC_auth_refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(administrators_are_known_by_the_kernel),
		CASE(tagged_passwords_open_the_account_beside_its_own),
		CASE(an_account_has_so_many_tagged_passwords),
		CASE(who_logs_in_by_pwd_has_the_rights_of_the_account),
		CASE(a_channel_of_pwd_ends_when_others_change_the_password),
		CASE(who_is_shut_out_leaves_no_password_behind),
		CASE(who_left_leaves_no_password_behind),
		CASE(an_account_that_went_gets_no_password),
		CASE(a_routerd_that_goes_leaves_nobody_waiting),
		CASE(passwords_are_set_and_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
