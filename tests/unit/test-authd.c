/* authd with its peers played by the test, and real workers: dialogues and their limits. */
#include "tests/unit/authd-rig.h"

#include <gsasl.h>

static void plain_login_opens_the_account(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(seen.fds, 1);
	assert_string_equal(seen.name, "ann@example.test");
	/* One grant, then nothing more on this channel. */
	ipc_chan_set_state(rig.door, IPC_IN_DIALOGUE);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_NONE);
}

static void who_sends_gets_no_session(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.post_account, 0);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_post);
	assert_string_equal(seen.name, "ann@example.test");
	assert_int_equal(seen.fds, 0);
	assert_int_equal(seen.opened, 0);
	assert_int_equal(seen.post_sid, 5);
	assert_int_equal(seen.post_account, 7);
	ipc_chan_set_state(rig.door, IPC_IN_DIALOGUE);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_NONE);
	/* Nothing is granted that routerd does not take. */
	seen.post_status = IPC_ROUTE_TRYLATER;
	rig_knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	/* A new password is told to routerd, too. */
	seen.logouts = 0;
	rig_put_secret(7, "plain", "secret");
	for (int i = 0; i < 1000 && seen.logouts == 0; i++)
		rig_turn();
	assert_int_equal(seen.logouts, 1);
}

static void login_goes_step_by_step(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("LOGIN", NULL, 0), IPC_auth_challenge);
	assert_int_equal(rig_step("ann", 3), IPC_auth_challenge);
	assert_int_equal(rig_step("secret", 6), IPC_auth_granted);
}

static void login_takes_a_name_with_the_command(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("LOGIN", "ann", 3), IPC_auth_challenge);
	assert_int_equal(rig_step("secret", 6), IPC_auth_granted);
}

static void three_refusals_are_the_end(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.left, 2);
	assert_int_equal(rig_start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_ROUTE);
	assert_string_equal(seen.text, "no such user here");
	assert_int_equal(rig_start("PLAIN", "\0ben\0x", 6), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.left, 0);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_NONE);
}

static void unknown_names_can_be_hidden(void **state)
{
	rig.a.hide_unknown = true;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "");
}

static void clear_text_needs_tls(void **state)
{
	rig_knock(0, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NEEDTLS);
	rig_knock(IPC_CONN_PLAIN_LOGIN, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void bad_mechanisms_and_messages(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("DIGEST-MD5", NULL, 0), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NOMECH);
	assert_int_equal(rig_start("PLAIN", "rubbish", 7), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_SYNTAX);
}

/* The second name is asked for when the first is proved, and then whether he may. */
static void acting_for_another_account(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "cid\0ann\0wrong", 13), IPC_auth_refused);
	assert_int_equal(seen.may_asked, 0);
	seen.may_status = IPC_DIR_DENIED;
	assert_int_equal(rig_start("PLAIN", "cid\0ann\0secret", 14), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(seen.may_asked, 1);
	assert_int_equal(seen.may.who, 7);
	assert_int_equal(seen.may.target, 9);
	assert_int_equal(seen.may.what, IPC_MAY_IMPERSONATE);
	assert_int_equal(rig_start("PLAIN", "nobody\0ann\0secret", 17), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "acting for another account is not allowed");
	assert_int_equal(seen.may_asked, 2); /* as long as for a name that exists */
	assert_int_equal(seen.may.target, 0);
	assert_int_equal(seen.opened, 0);

	rig_knock(IPC_CONN_TLS, 0, "pop3");
	seen.may_status = IPC_DIR_OK;
	assert_int_equal(rig_start("PLAIN", "cid\0ann\0secret", 14), IPC_auth_granted);
	assert_string_equal(seen.name, "cid@example.test");
	assert_int_equal(seen.opened, 1);

	/* Another name of his own needs nobody's leave. */
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	seen.may_asked = 0;
	assert_int_equal(rig_start("PLAIN", "ann\0ann\0secret", 14), IPC_auth_granted);
	assert_int_equal(seen.may_asked, 0);
}

static void apop_needs_the_password_itself(void **state)
{
	/* printf '<1@mail.example.test>secret' | md5sum */
	static const char good[] = "<1@mail.example.test>\0ann\0";
	struct buf m = BUF_INIT(200);

	rig_knock(0, 0, "pop3");
	buf_put(&m, slice_of(good, sizeof(good) - 1));
	buf_puts(&m, "3cbff6c4f7f3e1a34e8b1e4a0b9a0c55");
	assert_int_equal(rig_start("APOP", m.p, m.n), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	buf_reset(&m);
	buf_puts(&m, "<1@mail.example.test>");
	buf_putc(&m, 0);
	buf_puts(&m, "cid");
	buf_putc(&m, 0);
	buf_puts(&m, "3cbff6c4f7f3e1a34e8b1e4a0b9a0c55");
	assert_int_equal(rig_start("APOP", m.p, m.n), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NOMECH);
	assert_int_equal(rig_start("APOP", "x", 1), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_SYNTAX);
	rig_knock(0, 0, "pop3");
	buf_reset(&m);
	buf_put(&m, slice_of(good, sizeof(good) - 1));
	buf_puts(&m, "e51fede682e152e50ed3b22dadef3e10");
	assert_int_equal(rig_start("APOP", m.p, m.n), IPC_auth_granted);
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
	got = rig_start("SCRAM-SHA-256", out, n);
	gsasl_free(out);
	if (got == IPC_auth_challenge) {
		assert_int_equal(
		    gsasl_step(s, (char *)seen.data.p, seen.data.n, &out, &n), GSASL_NEEDS_MORE);
		got = rig_step(out, n);
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
	rig_knock(0, 0, "pop3");
	assert_int_equal(scram("cid", "pencil"), IPC_auth_granted);
	rig_knock(0, 0, "pop3");
	assert_int_equal(scram("ann", "secret"), IPC_auth_granted);
	rig_knock(0, 0, "pop3");
	assert_int_equal(scram("cid", "pencils"), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(scram("ben", "x"), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
}

static void peers_that_are_away_mean_later(void **state)
{
	struct ipc_chan *routerd = rig.a.routerd;

	rig_knock(IPC_CONN_TLS, 0, "pop3");
	rig.a.routerd = NULL;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
		assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	}
	rig.a.routerd = routerd;
	rig.workers_die = true;
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_TRYLATER);
	rig.workers_die = false;
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(rig.a.workers, 0);
}

static void cancel_leaves_the_dialogue_idle(void **state)
{
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("LOGIN", NULL, 0), IPC_auth_challenge);
	ipc_send(rig.door, IPC_auth_cancel, &(struct ipc_auth_cancel){}, NULL);
	assert_int_equal(rig_wait(), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_CANCELLED);
	assert_int_equal(seen.left, 3);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void clear_text_is_refused_where_the_account_wants_it(void **state)
{
	seen.login_flags = IPC_LOGIN_SECURE_ONLY;
	rig_knock(IPC_CONN_PLAIN_LOGIN, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NEEDTLS);
	assert_int_equal(seen.asked_flags, 0);
	/* That it would be right or wrong is not told. */
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_NEEDTLS);
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	assert_int_equal(seen.asked_flags, IPC_LOGIN_ENCRYPTED);
}

static void failures_are_counted_for_the_account(void **state)
{
	seen.fail_max = 2;
	seen.fail_s = 3600;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
	rig_knock(IPC_CONN_TLS, 0, "smtp");
	assert_int_equal(rig_start("PLAIN", "\0ann\0wrong", 10), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_LIMIT);
	/* Where names are hidden this looks like a wrong password, too. */
	seen.login_flags = IPC_LOGIN_HIDE;
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	/* Others are not concerned, and without a limit nobody is. */
	seen.login_flags = 0;
	rig_put_secret(8, "plain", "b");
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ben\0b", 6), IPC_auth_granted);
	seen.fail_max = 0;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_granted);
}

static void failures_take_a_bounded_room(void **state)
{
	for (uint64_t id = 1; id <= 20010; id++)
		failures_add(&rig.a, id, 3600);
	assert_false(failures_over(&rig.a, 1, 1)); /* the oldest had to go */
	assert_true(failures_over(&rig.a, 20010, 1));
	failures_add(&rig.a, 20010, 3600);
	assert_true(failures_over(&rig.a, 20010, 2));
	assert_false(failures_over(&rig.a, 20010, 3));
	failures_add(&rig.a, 99999, 0);
	assert_false(failures_over(&rig.a, 99999, 1));
}

static void a_password_that_is_switched_off_opens_nothing(void **state)
{
	seen.login_flags = IPC_LOGIN_NO_PASSWORD;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0ann\0secret", 11), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
}

static void names_are_hidden_by_a_setting_too(void **state)
{
	seen.login_flags = IPC_LOGIN_HIDE;
	rig_knock(IPC_CONN_TLS, 0, "pop3");
	assert_int_equal(rig_start("PLAIN", "\0nobody\0x", 9), IPC_auth_refused);
	assert_int_equal(seen.why, IPC_AUTH_BAD);
	assert_string_equal(seen.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(plain_login_opens_the_account),
		CASE(who_sends_gets_no_session),
		CASE(login_goes_step_by_step),
		CASE(login_takes_a_name_with_the_command),
		CASE(three_refusals_are_the_end),
		CASE(unknown_names_can_be_hidden),
		CASE(clear_text_needs_tls),
		CASE(bad_mechanisms_and_messages),
		CASE(acting_for_another_account),
		CASE(apop_needs_the_password_itself),
		CASE(scram_proves_both_sides),
		CASE(peers_that_are_away_mean_later),
		CASE(cancel_leaves_the_dialogue_idle),
		CASE(clear_text_is_refused_where_the_account_wants_it),
		CASE(failures_are_counted_for_the_account),
		CASE(failures_take_a_bounded_room),
		CASE(a_password_that_is_switched_off_opens_nothing),
		CASE(names_are_hidden_by_a_setting_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
