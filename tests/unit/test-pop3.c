/* protocols/pop3: the core, whole, byte by byte and in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/front/limits.h"
#include "protocols/pop3/limits.h"
#include "protocols/pop3/pop3.h"
#include "protocols/pop3/stuff.h"
#include "tests/wire/fake.h"

#include <stdio.h>
#include <stdlib.h>

#define GREETING "+OK mail.example.test POP3 ready <100000002.6553f100@mail.example.test>\r\n"
#define LOGIN    "USER u1\r\nPASS gatehouse\r\n"
#define LOGGED   "+OK send the password\r\n+OK logged in, messages: 4\r\n"
#define ONE      "Subject: one\r\n\r\nfirst\r\n"
#define TWO      "Subject: two\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n"
#define THREE    "Subject: three\r\n\r\nno line end"
#define FOUR     ""

static const struct pop3_conf all = { .mechs = SASL_PLAIN | SASL_LOGIN | SASL_APOP |
					       SASL_SCRAM_SHA_256 };

static const struct {
	const char *name, *in, *want;
} cases[] = {
	{ "QUIT before the login", "QUIT\r\n", "+OK good-bye\r\n" },
	{ "commands in any case", "quit\r\n", "+OK good-bye\r\n" },
	{ "an unknown command", "XTND\r\nQUIT\r\n", "-ERR unknown command\r\n+OK good-bye\r\n" },
	{ "STAT needs a login", "STAT\r\n", "-ERR log in first\r\n" },
	{ "PASS needs USER", "PASS x\r\n", "-ERR USER comes first\r\n" },
	{ "USER needs a name", "USER\r\n", "-ERR an argument is missing\r\n" },
	{ "a second USER replaces the first", "USER u9\r\n" LOGIN "QUIT\r\n",
	    "+OK send the password\r\n" LOGGED "+OK good-bye\r\n" },
	{ "the name goes with a failed login", "USER u1\r\nPASS no\r\nPASS gatehouse\r\n",
	    "+OK send the password\r\n-ERR [AUTH] wrong name or password\r\n"
	    "-ERR USER comes first\r\n" },
	{ "PLAIN in one step", "AUTH PLAIN AHUxAGdhdGVob3VzZQ==\r\n",
	    "+OK logged in, messages: 4\r\n" },
	{ "PLAIN in two steps", "AUTH PLAIN\r\nAHUxAGdhdGVob3VzZQ==\r\n",
	    "+ \r\n+OK logged in, messages: 4\r\n" },
	{ "an empty first response", "AUTH SCRAM-SHA-256 =\r\n*\r\n",
	    "+ c2VydmVyLWZpcnN0\r\n-ERR authentication was broken off\r\n" },
	{ "LOGIN", "AUTH LOGIN\r\ndTE=\r\nZ2F0ZWhvdXNl\r\n",
	    "+ VXNlciBOYW1l\r\n+ UGFzc3dvcmQ=\r\n+OK logged in, messages: 4\r\n" },
	{ "a mechanism's last words are acknowledged",
	    "AUTH SCRAM-SHA-256 Y2xpZW50LWZpcnN0\r\nY2xpZW50LWZpbmFs\r\n\r\nSTAT\r\n",
	    "+ c2VydmVyLWZpcnN0\r\n+ dj1zZXJ2ZXItZmluYWw=\r\n+OK logged in, messages: 4\r\n"
	    "+OK 4 86\r\n" },
	{ "a response that is not base64", "AUTH LOGIN\r\n!\r\nSTAT\r\n",
	    "+ VXNlciBOYW1l\r\n-ERR authentication was broken off\r\n-ERR log in first\r\n" },
	{ "an unknown mechanism", "AUTH KERBEROS_V4\r\n", "-ERR unknown mechanism\r\n" },
	{ "AUTH alone lists", "AUTH\r\n",
	    "+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\nSCRAM-SHA-256\r\n.\r\n" },
	{ "STLS where there is none", "STLS\r\n", "-ERR TLS is not available here\r\n" },
	{ "a bare LF ends it all", "CAPA\nQUIT\r\nSTAT\r\n",
	    "-ERR a line must end with CR LF\r\n" },
	{ "STAT", LOGIN "STAT\r\n", LOGGED "+OK 4 86\r\n" },
	{ "LIST", LOGIN "LIST\r\n",
	    LOGGED "+OK messages follow\r\n1 23\r\n2 34\r\n3 29\r\n4 0\r\n.\r\n" },
	{ "LIST of one", LOGIN "LIST 2\r\n", LOGGED "+OK 2 34\r\n" },
	{ "LIST of none", LOGIN "LIST 5\r\n", LOGGED "-ERR no such message\r\n" },
	{ "message 0", LOGIN "RETR 0\r\n", LOGGED "-ERR no such message\r\n" },
	{ "message -1", LOGIN "RETR -1\r\n", LOGGED "-ERR no such message\r\n" },
	{ "a number too large", LOGIN "RETR 18446744073709551617\r\n",
	    LOGGED "-ERR no such message\r\n" },
	{ "UIDL", LOGIN "UIDL\r\n",
	    LOGGED "+OK messages follow\r\n1 00000abc.0000000a\r\n2 00000abc.00000014\r\n"
		   "3 00000abc.0000001e\r\n4 00000abc.00000028\r\n.\r\n" },
	{ "UIDL of one", LOGIN "UIDL 3\r\n", LOGGED "+OK 3 00000abc.0000001e\r\n" },
	{ "RETR", LOGIN "RETR 1\r\n", LOGGED "+OK 23 octets\r\n" ONE ".\r\n" },
	{ "dots are doubled", LOGIN "RETR 2\r\n",
	    LOGGED "+OK 34 octets\r\nSubject: two\r\n\r\n..dot\r\n...\r\n..\r\nend\r\n.\r\n" },
	{ "a missing line end is added", LOGIN "RETR 3\r\n",
	    LOGGED "+OK 29 octets\r\n" THREE "\r\n.\r\n" },
	{ "an empty message", LOGIN "RETR 4\r\n", LOGGED "+OK 0 octets\r\n.\r\n" },
	{ "messages in order, backwards and again",
	    LOGIN "RETR 1\r\nRETR 2\r\nRETR 1\r\nRETR 1\r\nRETR 4\r\nRETR 3\r\n",
	    LOGGED "+OK 23 octets\r\n" ONE
		   ".\r\n+OK 34 octets\r\nSubject: two\r\n\r\n..dot\r\n...\r\n..\r\nend\r\n.\r\n"
		   "+OK 23 octets\r\n" ONE ".\r\n+OK 23 octets\r\n" ONE
		   ".\r\n+OK 0 octets\r\n.\r\n+OK 29 octets\r\n" THREE "\r\n.\r\n" },
	{ "TOP 0", LOGIN "TOP 1 0\r\n", LOGGED "+OK\r\nSubject: one\r\n\r\n.\r\n" },
	{ "TOP 1", LOGIN "TOP 2 1\r\n", LOGGED "+OK\r\nSubject: two\r\n\r\n..dot\r\n.\r\n" },
	{ "TOP of all", LOGIN "TOP 3 99\r\n", LOGGED "+OK\r\n" THREE "\r\n.\r\n" },
	{ "TOP needs a number of lines", LOGIN "TOP 1\r\n",
	    LOGGED "-ERR TOP takes a message and a number of lines\r\n" },
	{ "TOP between RETRs", LOGIN "RETR 1\r\nTOP 2 0\r\nRETR 2\r\n",
	    LOGGED "+OK 23 octets\r\n" ONE ".\r\n+OK\r\nSubject: two\r\n\r\n.\r\n"
		   "+OK 34 octets\r\nSubject: two\r\n\r\n..dot\r\n...\r\n..\r\nend\r\n.\r\n" },
	{ "a deleted message is gone for the session",
	    LOGIN "DELE 1\r\nRETR 1\r\nDELE 1\r\nLIST 1\r\nSTAT\r\nLIST\r\n",
	    LOGGED "+OK marked as deleted\r\n-ERR the message is marked as deleted\r\n"
		   "-ERR the message is marked as deleted\r\n"
		   "-ERR the message is marked as deleted\r\n+OK 3 63\r\n"
		   "+OK messages follow\r\n2 34\r\n3 29\r\n4 0\r\n.\r\n" },
	{ "RSET brings it back", LOGIN "DELE 1\r\nRSET\r\nSTAT\r\n",
	    LOGGED "+OK marked as deleted\r\n+OK no message is marked\r\n+OK 4 86\r\n" },
	{ "NOOP", LOGIN "NOOP\r\n", LOGGED "+OK nothing done\r\n" },
	{ "NOOP takes nothing", LOGIN "NOOP x\r\n",
	    LOGGED "-ERR this command takes no argument\r\n" },
	{ "USER after the login", LOGIN "USER u1\r\n", LOGGED "-ERR not after the login\r\n" },
	{ "QUIT after the login", LOGIN "QUIT\r\n", LOGGED "+OK good-bye\r\n" },
	{ "nothing is read after QUIT", LOGIN "QUIT\r\nSTAT\r\n", LOGGED "+OK good-bye\r\n" },
	{ "CAPA after the login", LOGIN "CAPA\r\n",
	    LOGGED "+OK capabilities follow\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\n"
		   "AUTH-RESP-CODE\r\nUSER\r\nSASL PLAIN LOGIN SCRAM-SHA-256\r\n.\r\n" },
};

static struct fake *fake_open(bool tls_offered, bool plain_login)
{
	struct fake *f = fake_new(&(struct fake_conf){ .core = &pop3_core,
	    .core_conf = &all,
	    .tls_offered = tls_offered,
	    .plain_login = plain_login });

	fake_mail(f, 1, SLICE(ONE));
	fake_mail(f, 1, SLICE(TWO));
	fake_mail(f, 1, SLICE(THREE));
	fake_mail(f, 1, SLICE(FOUR));
	return f;
}

/* Pieces of `step` bytes; 0: of random lengths. The delay of a failed login passes at once. */
static void feed_stepwise(struct fake *f, struct slice in, size_t step)
{
	while (in.n > 0) {
		size_t n = step > 0 ? step : 1 + (size_t)rand() % 9;

		fake_input(f, slice_part(in, 0, n));
		in = slice_from(in, n < in.n ? n : in.n);
		if (fake_deadline(f) < 5000 && fake_port(f)->busy)
			fake_timeout(f);
	}
	while (fake_port(f)->busy && fake_timeout(f))
		;
}

static void run_case(const char *name, const char *in, const char *want, size_t step)
{
	struct fake *f = fake_open(false, true);
	struct slice got;

	feed_stepwise(f, slice_str(in), step);
	got = fake_output(f);
	if (!slice_starts(got, SLICE(GREETING)) ||
	    !slice_eq(slice_from(got, sizeof(GREETING) - 1), slice_str(want)))
		fail_msg("%s (step %zu): got\n%.*s", name, step, SLICE_FMT(got));
	fake_free(&f);
}

static void commands_answer_however_they_arrive(void **state)
{
	srand(1939);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_case(cases[i].name, cases[i].in, cases[i].want, 1 << 20);
		run_case(cases[i].name, cases[i].in, cases[i].want, 1);
		for (int k = 0; k < 5; k++)
			run_case(cases[i].name, cases[i].in, cases[i].want, 0);
	}
}

static bool output_has(const struct fake *f, const char *text)
{
	struct slice o = fake_output(f);

	return memmem(o.p, o.n, text, strlen(text)) != NULL;
}

static void input(struct fake *f, const char *text)
{
	fake_output_reset(f);
	fake_input(f, slice_str(text));
}

static void clear_text_needs_tls(void **state)
{
	struct fake *f = fake_open(true, false);

	input(f, "CAPA\r\n");
	assert_true(output_has(f, "STLS\r\n"));
	assert_true(output_has(f, "SASL SCRAM-SHA-256\r\n"));
	assert_false(output_has(f, "USER"));
	input(f, "USER u1\r\n");
	assert_true(output_has(f, "-ERR clear-text passwords need TLS here\r\n"));
	input(f, "AUTH PLAIN AHUxAGdhdGVob3VzZQ==\r\n");
	assert_true(output_has(f, "-ERR clear-text passwords need TLS here\r\n"));
	input(f, "STLS\r\n");
	assert_true(output_has(f, "+OK begin TLS\r\n"));
	assert_false(output_has(f, "ready")); /* no second greeting */
	input(f, "CAPA\r\n");
	assert_false(output_has(f, "STLS"));
	assert_true(output_has(f, "USER\r\nSASL PLAIN LOGIN SCRAM-SHA-256\r\n"));
	input(f, "STLS\r\n");
	assert_true(output_has(f, "-ERR TLS is on already\r\n"));
	/* The stamp was in a greeting that anybody may have written. */
	input(f, "APOP u1 00112233445566778899aabbccddeeff\r\n");
	assert_true(output_has(f, "-ERR APOP is not available here\r\n"));
	input(f, LOGIN);
	assert_true(output_has(f, "+OK logged in"));
	fake_free(&f);
}

static void text_before_tls_does_not_reach_inside(void **state)
{
	struct fake *f = fake_open(true, true);

	input(f, "STLS\r\n" LOGIN);
	assert_true(fake_closed(f));
	assert_false(output_has(f, "logged in"));
	fake_free(&f);
	/* What was typed before is forgotten, too. */
	f = fake_open(true, true);
	input(f, "USER u1\r\n");
	input(f, "STLS\r\n");
	input(f, "PASS gatehouse\r\n");
	assert_true(output_has(f, "-ERR USER comes first"));
	fake_free(&f);
}

static void three_failures_end_the_connection(void **state)
{
	struct fake *f = fake_open(false, true);

	for (unsigned i = 1; i <= 3; i++) {
		assert_false(fake_closed(f));
		input(f, "USER u1\r\nPASS wrong\r\nUSER u1\r\n");
		assert_false(output_has(f, "-ERR"));
		assert_int_equal(fake_deadline(f), i * POP3_FAIL_MS);
		assert_true(fake_timeout(f));
		assert_true(output_has(f, "-ERR [AUTH]"));
	}
	assert_true(fake_closed(f));
	fake_free(&f);
}

static void a_failure_of_ours_is_not_the_passwords(void **state)
{
	static const char *const rows[][2] = {
		{ "off", "-ERR [SYS/PERM]" },
		{ "later", "-ERR [SYS/TEMP]" },
		{ "astray", "-ERR [AUTH] leads??astray\r\n" },
		{ "nobox", "-ERR [SYS/TEMP]" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f = fake_open(false, true);
		char line[64];

		snprintf(line, sizeof(line), "USER %s\r\nPASS x\r\n", rows[i][0]);
		input(f, line);
		if (fake_port(f)->busy)
			fake_timeout(f);
		if (!output_has(f, rows[i][1]))
			fail_msg("%s: %.*s", rows[i][0], SLICE_FMT(fake_output(f)));
		fake_free(&f);
	}
}

static void only_quit_deletes(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, LOGIN "DELE 1\r\nDELE 2\r\nDELE 4\r\n");
	fake_timeout(f);
	assert_true(fake_closed(f));
	assert_int_equal(fake_output(f).n, sizeof(LOGGED) - 1 + 3 * 23);
	assert_int_equal(fake_mail_count(f, 1), 4);
	fake_free(&f);
	f = fake_open(false, true);
	input(f, LOGIN "DELE 1\r\nDELE 2\r\nDELE 4\r\nQUIT\r\n");
	assert_int_equal(fake_mail_count(f, 1), 1);
	assert_true(output_has(f, "+OK good-bye\r\n"));
	fake_free(&f);
}

static void quit_answers_after_the_store(void **state)
{
	struct fake *f = fake_new(&(struct fake_conf){
	    .core = &pop3_core, .core_conf = &all, .plain_login = true, .hold = true });

	fake_mail(f, 1, SLICE(ONE));
	fake_input(f, SLICE(LOGIN));
	while (fake_answer(f))
		;
	input(f, "DELE 1\r\nQUIT\r\n");
	assert_false(output_has(f, "good-bye"));
	assert_true(fake_answer(f));
	assert_true(output_has(f, "+OK good-bye"));
	fake_free(&f);
}

static void a_failed_update_is_told(void **state)
{
	struct fake *f = fake_open(false, true);

	fake_store_fails(f, IPC_ST_FULL);
	input(f, LOGIN "DELE 1\r\nQUIT\r\n");
	assert_true(output_has(f, "-ERR [SYS/TEMP] some deleted messages were not removed\r\n"));
	assert_true(fake_closed(f));
	fake_free(&f);
}

static void numbers_stay_when_others_delete(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, LOGIN);
	fake_remove(f, 1, 0);
	input(f, "RETR 1\r\nRETR 2\r\nSTAT\r\nDELE 1\r\nQUIT\r\n");
	assert_true(output_has(f, "-ERR the message was removed by another session\r\n"
				  "+OK 34 octets\r\n"));
	assert_true(output_has(f, "+OK 4 86\r\n+OK marked as deleted\r\n+OK good-bye"));
	fake_free(&f);
}

static void a_lost_store_ends_the_session(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, LOGIN "DELE 1\r\n");
	fake_lose(f, FRONT_SESSION);
	assert_true(output_has(f, "-ERR [SYS/TEMP] the mailbox is not available now\r\n"));
	assert_true(fake_closed(f));
	assert_int_equal(fake_mail_count(f, 1), 4);
	fake_free(&f);
}

static void a_lost_authd_ends_logins_only(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, LOGIN);
	fake_lose(f, FRONT_AUTH);
	input(f, "STAT\r\n");
	assert_true(output_has(f, "+OK 4"));
	fake_free(&f);
	f = fake_open(false, true);
	fake_lose(f, FRONT_AUTH);
	input(f, "CAPA\r\n");
	assert_true(output_has(f, "+OK"));
	input(f, LOGIN);
	assert_true(output_has(f, "-ERR [SYS/TEMP] login is not possible now"));
	assert_true(fake_closed(f));
	fake_free(&f);
}

static void stopping_says_so(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, LOGIN);
	fake_event(f, FRONT_STOPPING);
	assert_true(output_has(f, "-ERR [SYS/TEMP] the server is stopping\r\n"));
	assert_true(fake_closed(f));
	fake_free(&f);
}

static void too_many_errors_end_the_connection(void **state)
{
	struct fake *f = fake_open(false, true);

	for (int i = 0; i < POP3_ERRORS_MAX; i++) {
		assert_false(fake_closed(f));
		input(f, "X\r\n");
	}
	assert_true(fake_closed(f));
	fake_free(&f);
}

/* 300 messages of 4 KB, every line a dot: what waits stays below the mark plus one window. */
static void a_slow_reader_holds_little(void **state)
{
	struct fake *f = fake_new(
	    &(struct fake_conf){ .core = &pop3_core, .core_conf = &all, .plain_login = true });
	struct buf big = BUF_INIT(1 << 20), want = BUF_INIT(64 << 20), in = BUF_INIT(1 << 20);
	struct stuff st = { 0 };

	for (int i = 0; i < 1400; i++)
		buf_puts(&big, ".\r\n");
	for (int i = 1; i <= 300; i++) {
		fake_mail(f, 1, buf_slice(&big));
		buf_printf(&in, "RETR %d\r\n", i);
		buf_puts(&want, "+OK 4200 octets\r\n");
		stuff_put(&st, buf_slice(&big), &want);
		stuff_end(&st, &want);
	}
	fake_input(f, SLICE(LOGIN));
	fake_output_reset(f);
	fake_stop_reading(f, true);
	fake_input(f, buf_slice(&in));
	assert_int_equal(fake_output(f).n, 0);
	assert_true(fake_output_peak(f) < FRONT_OUT_HIGH + 8192);
	fake_stop_reading(f, false);
	assert_true(slice_eq(fake_output(f), buf_slice(&want)));
	buf_fini(&big);
	buf_fini(&want);
	buf_fini(&in);
	fake_free(&f);
}

static void a_large_message_passes_a_small_window(void **state)
{
	struct fake *f = fake_new(
	    &(struct fake_conf){ .core = &pop3_core, .core_conf = &all, .plain_login = true });
	struct buf big = BUF_INIT(8 << 20);

	while (big.n < 5 << 20)
		buf_puts(&big, "0123456789012345678901234567890123456789012345678901234567\r\n");
	fake_mail(f, 1, SLICE(ONE));
	fake_mail(f, 1, buf_slice(&big));
	fake_mail(f, 1, SLICE(ONE));
	fake_input(f, SLICE(LOGIN "RETR 1\r\n"));
	fake_output_reset(f);
	fake_stop_reading(f, true);
	fake_input(f, SLICE("RETR 2\r\nRETR 3\r\nTOP 2 100000\r\nRETR 1\r\n"));
	assert_true(fake_output_peak(f) <= IPC_WINDOW_BYTES + FRONT_OUT_HIGH);
	fake_stop_reading(f, false);
	assert_true(fake_output(f).n > 2 * big.n);
	assert_true(output_has(f, ONE ".\r\n+OK\r\n0123"));
	buf_fini(&big);
	fake_free(&f);
}

/* Lines of one dot fill what is held when the whole window is used: the end then comes in the last
 * piece, in the line with the dot, or not at all. */
static void a_body_larger_than_its_row_is_asked_for_again(void **state)
{
	for (size_t n = IPC_WINDOW_BYTES - 20; n <= IPC_WINDOW_BYTES + 4; n += 2) {
		struct fake *f = fake_new(&(struct fake_conf){
		    .core = &pop3_core, .core_conf = &all, .plain_login = true });
		struct buf big = BUF_INIT(1 << 20), want = BUF_INIT(4 << 20);

		while (big.n < n)
			buf_puts(&big, ".\n");
		fake_mail(f, 1, SLICE(""));
		fake_mail(f, 1, buf_slice(&big));
		fake_mail_size(f, 1, 1, 5);
		for (int k = 0; k < 4; k++) {
			struct stuff st = { 0 };

			if (k == 0 || k == 2)
				buf_puts(&want, "+OK 0 octets\r\n.\r\n");
			buf_puts(&want, "+OK 5 octets\r\n");
			stuff_put(&st, buf_slice(&big), &want);
			stuff_end(&st, &want);
		}
		fake_input(f, SLICE(LOGIN));
		fake_output_reset(f);
		fake_input(f, SLICE("RETR 1\r\n")); /* the other is asked for ahead */
		fake_input(f, SLICE("RETR 2\r\nRETR 2\r\nRETR 1\r\nRETR 2\r\nRETR 2\r\n"));
		if (!slice_eq(fake_output(f), buf_slice(&want)))
			fail_msg("%zu bytes: %zu instead of %zu came", n, fake_output(f).n, want.n);
		buf_fini(&big);
		buf_fini(&want);
		fake_free(&f);
	}
}

static void sizes_without_a_sum_open_no_mailbox(void **state)
{
	static const struct {
		uint64_t one, two;
		const char *want;
	} rows[] = {
		{ UINT64_MAX - 63, 34,
		    "+OK logged in, messages: 4\r\n+OK 4 18446744073709551615\r\n" },
		{ UINT64_MAX - 62, 34, "-ERR [SYS/TEMP] the mailbox is not available now\r\n" },
		{ UINT64_MAX, UINT64_MAX, "-ERR [SYS/TEMP] the mailbox is not available now\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f = fake_open(false, true);

		fake_mail_size(f, 1, 0, rows[i].one);
		fake_mail_size(f, 1, 1, rows[i].two);
		input(f, LOGIN "STAT\r\nRETR 3\r\n");
		assert_true(output_has(f, rows[i].want));
		assert_int_equal(fake_closed(f), i > 0);
		assert_int_equal(output_has(f, "no line end\r\n.\r\n"), i == 0);
		fake_free(&f);
	}
}

static void dots_are_doubled_wherever_the_pieces_end(void **state)
{
	static const char *const rows[][2] = {
		{ "a.b\r\n.\r\n..c\r\nd.", "a.b\r\n..\r\n...c\r\nd.\r\n.\r\n" },
		{ "0123456789012345678901234567890123456789012345678901234567890\r\n.x\r\n",
		    "0123456789012345678901234567890123456789012345678901234567890\r\n..x\r\n."
		    "\r\n" },
		{ "x\n.y\r", "x\n..y\r\r\n.\r\n" },
		{ "", ".\r\n" },
		{ ".", "..\r\n.\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t step = 1; step < 80; step++) {
			struct buf out = BUF_INIT(1024);
			struct slice in = slice_str(rows[i][0]);
			struct stuff st = { 0 };

			for (size_t at = 0; at < in.n; at += step)
				stuff_put(&st, slice_part(in, at, step), &out);
			stuff_end(&st, &out);
			if (!slice_eq(buf_slice(&out), slice_str(rows[i][1])))
				fail_msg("row %zu in steps of %zu: %.*s", i, step,
				    SLICE_FMT(buf_slice(&out)));
			buf_fini(&out);
		}
	}
}

static void top_cuts_wherever_the_pieces_end(void **state)
{
	static const struct {
		const char *in, *want;
		unsigned lines;
	} rows[] = {
		{ "a: b\r\n\r\nx\r\ny\r\n", "a: b\r\n\r\n", 0 },
		{ "a: b\r\n\r\nx\r\ny\r\n", "a: b\r\n\r\nx\r\n", 1 },
		{ "a: b\r\n\r\nx\r\ny\r\n", "a: b\r\n\r\nx\r\ny\r\n", 9 },
		{ "\r\nx\r\ny\r\n", "\r\nx\r\n", 1 },
		{ "a: b\r\n", "a: b\r\n", 0 },
		{ "a: b\n\nx\n", "a: b\n\n", 0 },
		{ "", "", 3 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t step = 1; step < 20; step++) {
			struct top_cut t = { .lines = rows[i].lines };
			struct slice in = slice_str(rows[i].in);
			size_t at = 0;

			while (at < in.n && !t.done)
				at += top_cut_feed(&t, slice_part(in, at, step));
			if (at != strlen(rows[i].want))
				fail_msg("row %zu in steps of %zu: %zu bytes", i, step, at);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_answer_however_they_arrive),
		cmocka_unit_test(clear_text_needs_tls),
		cmocka_unit_test(text_before_tls_does_not_reach_inside),
		cmocka_unit_test(three_failures_end_the_connection),
		cmocka_unit_test(a_failure_of_ours_is_not_the_passwords),
		cmocka_unit_test(only_quit_deletes),
		cmocka_unit_test(quit_answers_after_the_store),
		cmocka_unit_test(a_failed_update_is_told),
		cmocka_unit_test(numbers_stay_when_others_delete),
		cmocka_unit_test(a_lost_store_ends_the_session),
		cmocka_unit_test(a_lost_authd_ends_logins_only),
		cmocka_unit_test(stopping_says_so),
		cmocka_unit_test(too_many_errors_end_the_connection),
		cmocka_unit_test(a_slow_reader_holds_little),
		cmocka_unit_test(a_large_message_passes_a_small_window),
		cmocka_unit_test(a_body_larger_than_its_row_is_asked_for_again),
		cmocka_unit_test(sizes_without_a_sum_open_no_mailbox),
		cmocka_unit_test(dots_are_doubled_wherever_the_pieces_end),
		cmocka_unit_test(top_cuts_wherever_the_pieces_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
