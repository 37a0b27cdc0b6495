/* protocols/smtp: the core in SMTP and submission mode, and the look at a submitted header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "protocols/smtp/fixup.h"
#include "protocols/smtp/limits.h"
#include "protocols/smtp/smtp.h"
#include "tests/wire/fake.h"

#define EHLO  "EHLO client.example\r\n"
#define LOGIN "AUTH PLAIN AHUxAGdhdGVob3VzZQ==\r\n" /* u1, gatehouse */
#define WRONG "AUTH PLAIN AHUxAHg=\r\n"
#define OWN   "MAIL FROM:<u1@example.test>\r\n"
#define FROM  "MAIL FROM:<s@example.org>\r\n"
#define TO(u) "RCPT TO:<" u "@example.test>\r\n"

static const struct smtp_conf conf = {
	.size_max = 64 << 20, .rcpts_max = 5, .hops_max = 3, .mechs = SASL_PLAIN | SASL_LOGIN
};

static struct fake *fake_open(bool submission, bool hold)
{
	return fake_new(&(struct fake_conf){ .core = &smtp_core,
	    .core_conf = &conf,
	    .submission = submission,
	    .plain_login = true,
	    .hold = hold });
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

static const struct {
	const char *head;
	bool date, message_id, ended;
} heads[] = {
	{ "", false, false, false },
	{ "Subject: x\r\n", false, false, false },
	{ "\r\n", false, false, true },
	{ "\r\nDate: x\r\n", false, false, true },
	{ "Date: x\r\n\r\n", true, false, true },
	{ "Date: x\r\nMessage-ID: y\r\n", true, true, false },
	{ "dATE:\r\nmessage-id \t: y\r\n\r\n", true, true, true },
	{ "Subject: x\r\n Date: y\r\n\tMessage-ID: z\r\n\r\n", false, false, true },
	{ " Date: x\r\n", false, false, true },
	{ "X-Date: x\r\nDated: y\r\nDat: z\r\n\r\n", false, false, true },
	{ "just text\r\nDate: x\r\n", false, false, true },
	{ "a b: x\r\nDate: x\r\n", false, false, true },
	{ ": x\r\nDate: x\r\n", false, false, true },
	{ "Date\r\n", false, false, true },
	{ "Date", false, false, false },
};

static void a_header_is_looked_at_in_any_pieces(void **state)
{
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct slice head = slice_str(heads[i].head);

		for (size_t step = 1; step <= head.n + 1; step++) {
			struct fixup f = { 0 };
			bool ended = false;

			for (size_t n = step < head.n ? step : head.n; !ended; n += step) {
				ended = fixup_look(&f, slice_part(head, 0, n));
				if (n >= head.n)
					break;
			}
			if (ended != heads[i].ended || f.date != heads[i].date ||
			    f.message_id != heads[i].message_id)
				fail_msg("\"%s\" in steps of %zu", heads[i].head, step);
		}
	}
}

static void one_answer_when_all_are_durable(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, EHLO FROM TO("u1") TO("u2") "DATA\r\nx\r\n.\r\nNOOP\r\n");
	assert_true(fake_answer(f) && fake_answer(f)); /* both recipients */
	assert_true(output_has(f, "354 "));
	for (int left = 3; left > 0; left--) { /* credit, two results */
		assert_false(output_has(f, "delivered"));
		assert_true(fake_answer(f));
	}
	assert_true(output_has(f, "250 2.0.0 delivered\r\n250 2.0.0 nothing done\r\n"));
	assert_false(fake_answer(f));
	fake_free(&f);
}

static void a_sender_waits_for_routerd(void **state)
{
	struct fake *f = fake_open(true, true);

	input(f, EHLO LOGIN OWN TO("u2") "DATA\r\n");
	assert_false(output_has(f, "235"));
	assert_true(fake_answer(f));
	assert_true(output_has(f, "235 2.7.0 logged in\r\n"));
	assert_false(output_has(f, "2.1.0"));
	assert_true(fake_answer(f));
	assert_true(output_has(f, "250 2.1.0 sender taken\r\n"));
	assert_false(output_has(f, "2.1.5"));
	assert_true(fake_answer(f));
	assert_true(output_has(f, "250 2.1.5 recipient taken\r\n354 "));
	fake_free(&f);
	/* It does not answer: nothing is taken. */
	f = fake_open(true, true);
	input(f, EHLO LOGIN OWN);
	assert_true(fake_answer(f));
	assert_int_equal(fake_deadline(f), SMTP_ROUTE_MS);
	assert_true(fake_timeout(f));
	assert_true(output_has(f, "451 4.3.0 not known now, try again\r\n"));
	input(f, TO("u2"));
	assert_true(output_has(f, "503 5.5.1"));
	assert_true(fake_answer(f)); /* too late */
	input(f, TO("u2"));
	assert_true(output_has(f, "503 5.5.1"));
	fake_free(&f);
}

static void failed_logins_wait_longer_each_time(void **state)
{
	struct fake *f = fake_open(true, false);

	input(f, EHLO);
	for (unsigned i = 1; i <= SMTP_LOGINS_MAX; i++) {
		input(f, WRONG "NOOP\r\n");
		assert_false(output_has(f, "535"));
		assert_int_equal(fake_deadline(f), i * SMTP_FAIL_MS);
		assert_true(fake_timeout(f));
		assert_true(output_has(f, "535 5.7.8 wrong name or password\r\n"));
	}
	assert_true(output_has(f, "421 4.7.0"));
	assert_true(fake_closed(f));
	fake_free(&f);
}

static void silent_authd_is_temporary(void **state)
{
	struct fake *f = fake_open(true, true);

	input(f, EHLO LOGIN);
	assert_int_equal(fake_deadline(f), SMTP_AUTH_MS);
	assert_true(fake_timeout(f));
	assert_true(output_has(f, "454 4.7.0"));
	assert_true(fake_closed(f));
	fake_free(&f);
}

/* What comes then may be a password: it must not be taken for a command, nor for a response. */
static void a_response_that_comes_too_late(void **state)
{
	struct fake *f = fake_open(true, true);

	input(f, EHLO "AUTH PLAIN\r\n");
	assert_true(fake_answer(f));
	assert_true(output_has(f, "334 \r\n"));
	fake_auth_expires(f);
	assert_true(fake_answer(f));
	assert_true(output_has(f, "334 \r\n421 4.4.2 "));
	assert_true(fake_closed(f));
	fake_free(&f);
}

/* The fake asserts the window while a header is held back, and behind it. */
static void a_window_is_never_passed(void **state)
{
	struct fake *f = fake_open(true, true);
	struct buf text = BUF_INIT(4 << 20);
	struct slice got;

	while (text.n < SMTP_HEAD_MAX - 1000)
		buf_puts(&text, "X-Filler: 0123456789012345678901234567890123456789\r\n");
	buf_puts(&text, "\r\n");
	while (text.n < 2 << 20)
		buf_puts(&text, "01234567890123456789012345678901234567890123456789\r\n");
	input(f, EHLO LOGIN OWN TO("u2") TO("u3"));
	for (int i = 0; i < 4; i++)
		assert_true(fake_answer(f));
	for (int message = 0; message < 3; message++) {
		fake_input(f, SLICE("DATA\r\n"));
		fake_input(f, buf_slice(&text));
		fake_input(f, SLICE(".\r\n" OWN TO("u2")));
		while (fake_answer(f))
			;
	}
	assert_int_equal(fake_mail_count(f, 2), 3);
	got = fake_mail_get(f, 2, 2);
	assert_true(got.n > text.n);
	assert_true(slice_eq(slice_from(got, got.n - text.n), buf_slice(&text)));
	assert_non_null(memmem(got.p, got.n - text.n, "\r\nDate: ", 8));
	assert_non_null(memmem(got.p, got.n - text.n, "\r\nMessage-ID: <", 15));
	buf_fini(&text);
	fake_free(&f);
}

static void the_trace_tells_how_it_came(void **state)
{
	static const struct {
		const char *hello, *with;
		bool tls, login;
	} cases[] = {
		{ "HELO a\r\n", "from a ([192.0.2.7])\r\n\tby mail.example.test with SMTP id",
		    false, false },
		{ "HELO a\r\n", "from a ([192.0.2.7])\r\n\tby mail.example.test with SMTP id", true,
		    false },
		{ "EHLO a\r\n", "from a ([192.0.2.7])\r\n\tby mail.example.test with ESMTP id",
		    false, false },
		{ "EHLO a\r\n", "from a ([192.0.2.7])\r\n\tby mail.example.test with ESMTPS id",
		    true, false },
		{ "EHLO a\r\n" LOGIN, "by mail.example.test with ESMTPA id", false, true },
		{ "EHLO a\r\n" LOGIN, "by mail.example.test with ESMTPSA id", true, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *f = fake_new(&(struct fake_conf){ .core = &smtp_core,
		    .core_conf = &conf,
		    .tls = cases[i].tls,
		    .submission = cases[i].login,
		    .plain_login = true });
		struct slice got;
		struct buf want = BUF_INIT(500);

		input(f, cases[i].hello);
		input(f, OWN TO("u2") "DATA\r\nDate: x\r\nMessage-ID: y\r\n\r\n.\r\n");
		assert_int_equal(fake_mail_count(f, 2), 1);
		got = fake_mail_get(f, 2, 0);
		buf_printf(&want,
		    "Return-Path: <u1@example.test>\r\nReceived: %s 1-2.1\r\n"
		    "\tfor <u2@example.test>;\r\n\t",
		    cases[i].with);
		if (!slice_starts(got, buf_slice(&want)))
			fail_msg("%s: %.*s", cases[i].with, SLICE_FMT(got));
		buf_fini(&want);
		fake_free(&f);
	}
}

/* ---- reports of failure ---- */

#define FULL   "MAIL FROM:<u1@example.test> RET=FULL ENVID=e+2B1\r\n"
#define BOUNCE TO("bounce")

static bool report_has(const struct fake *f, const char *text)
{
	struct slice m = fake_mail_get(f, 1, 0);

	return memmem(m.p, m.n, text, strlen(text)) != NULL;
}

/* Bytes of message text, then its end. */
static void send_text(struct fake *f, const char *head, size_t bytes)
{
	struct buf text = BUF_INIT(1 << 20);

	buf_puts(&text, head);
	while (text.n < bytes)
		buf_puts(&text, "01234567890123456789012345678901234567890123456789\r\n");
	buf_puts(&text, ".\r\n");
	fake_input(f, buf_slice(&text));
	buf_fini(&text);
}

static void a_report_brings_back_what_was_asked_for(void **state)
{
	static const struct {
		const char *from, *head;
		size_t bytes;
		const char *has[3], *lacks;
	} cases[] = {
		{ FULL, "Subject: a\r\n\r\nb\r\n", 0,
		    { "\r\nContent-Type: message/rfc822\r\n\r\nReturn-Path: <u1@",
			"Subject: a\r\n\r\nb\r\n\r\n--=_", "\r\nOriginal-Envelope-Id: e+1\r\n" },
		    "rfc822-headers" },
		{ FULL, "Subject: \xc3\xa4\r\n\r\nb\r\n", 0,
		    { "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
			"Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
			"\r\n\r\nb\r\n\r\n--=_" },
		    "rfc822-headers" },
		{ OWN, "Subject: a\r\n\r\nBODY\r\n", 0,
		    { "\r\nContent-Type: text/rfc822-headers\r\n\r\nReturn-Path: <u1@",
			"Subject: a\r\n\r\n--=_", "Action: failed\r\nStatus: 5.1.1\r\n\r\n" },
		    "BODY" },
		{ OWN, "Subject: \xc3\xa4\r\n\r\nBODY\r\n", 0,
		    { "\r\nContent-Type: message/global-headers\r\n", "8bit", "Subject: \xc3" },
		    "BODY" },
		{ OWN, "--=_0.100000002.2\r\nSubject: a\r\n\r\n", 0,
		    { "text/rfc822-headers\r\n\r\nReturn-Path", "Action", "Final-Recipient" },
		    "Subject: a" },
		/* More than is kept for that. */
		{ FULL, "Subject: a\r\n\r\nBODY\r\n", SMTP_RETURN_MAX + 1000,
		    { "text/rfc822-headers", "Subject: a\r\n\r\n--=_", "Action" }, "BODY" },
		{ OWN, "Subject: a\r\nX: ", SMTP_RETURN_HEAD_MAX + 1000,
		    { "text/rfc822-headers", "Subject: a\r\n", "Action" }, "message/rfc822" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *f = fake_open(true, false);

		input(f, EHLO LOGIN);
		fake_input(f, slice_str(cases[i].from));
		fake_input(f, SLICE(BOUNCE "DATA\r\n"));
		send_text(f, cases[i].head, cases[i].bytes);
		assert_true(
		    output_has(f, "250 2.0.0 nobody has this name, the sender is told\r\n"));
		assert_int_equal(fake_mail_count(f, 1), 1);
		for (int k = 0; k < 3; k++)
			if (!report_has(f, cases[i].has[k]))
				fail_msg("case %zu has no %s: %.*s", i, cases[i].has[k],
				    SLICE_FMT(slice_part(fake_mail_get(f, 1, 0), 0, 3000)));
		if (report_has(f, cases[i].lacks))
			fail_msg("case %zu has %s", i, cases[i].lacks);
		fake_free(&f);
	}
}

/* RFC 3461 4.3: RET says nothing of a report without a failure. */
static void a_report_of_success_brings_the_header(void **state)
{
	static const char *const froms[] = { OWN, FULL };

	for (int submission = 0; submission < 2; submission++) {
		for (size_t i = 0; i < sizeof(froms) / sizeof(froms[0]); i++) {
			struct fake *f = fake_open(submission, false);

			input(f, submission ? EHLO LOGIN : EHLO);
			fake_input(f, slice_str(froms[i]));
			fake_input(f, SLICE("RCPT TO:<u2@example.test> NOTIFY=SUCCESS\r\nDATA\r\n"
					    "Subject: a\r\n\r\nBODY\r\n.\r\n"));
			assert_true(output_has(f, "250 2.0.0 delivered\r\n"));
			assert_int_equal(fake_mail_count(f, 1), 1);
			assert_true(report_has(f, "\r\nContent-Type: text/rfc822-headers\r\n\r\n"
						  "Return-Path: <u1@"));
			assert_true(report_has(f, "Subject: a\r\n"));
			assert_true(report_has(f, "\r\nAction: delivered\r\n"));
			assert_false(report_has(f, "BODY"));
			fake_free(&f);
		}
	}
}

/* The recipient was held back until the sender is known. */
static void routerd_dies_before_it_tells_of_the_sender(void **state)
{
	struct fake *f = fake_open(false, true);

	fake_input(f, SLICE(EHLO OWN "RCPT TO:<u2@example.test> NOTIFY=SUCCESS\r\n" TO("u3")));
	assert_false(output_has(f, "2.1.5"));
	fake_lose(f, FRONT_RCPT);
	assert_true(output_has(f, "451 4.3.0 not known now, try again\r\n"
				  "451 4.3.0 not known now, try again\r\n"));
	fake_free(&f);
}

/* Else it would fail when the others have the message, who would get it with every new try. */
static void a_report_has_room_for_what_it_brings_back(void **state)
{
	static const struct {
		const char *params;
		bool taken;
	} cases[] = { { "", true }, { " RET=HDRS", true }, { " RET=FULL", false },
		{ " RET=FULL SIZE=1000", true }, { " SIZE=1000 RET=FULL", true },
		{ " RET=FULL SIZE=100000", false }, { " SIZE=100000", true } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *f = fake_open(true, false);

		input(f, EHLO LOGIN);
		fake_input(f, SLICE("MAIL FROM:<u1+narrow@example.test>"));
		fake_input(f, slice_str(cases[i].params));
		fake_input(f, SLICE("\r\n" BOUNCE));
		if (output_has(f, "250 2.1.5 ") != cases[i].taken ||
		    output_has(f, "550 5.1.1 ") == cases[i].taken)
			fail_msg("%s", cases[i].params);
		fake_free(&f);
	}
}

/* There was room for the whole message when it was asked for; now there is for its header. */
static void a_report_without_room_brings_the_header(void **state)
{
	struct fake *f = fake_open(true, false);
	struct slice m;

	input(f, EHLO LOGIN);
	fake_input(
	    f, SLICE("MAIL FROM:<u1+shrunk@example.test> RET=FULL\r\n" BOUNCE TO("u2") "DATA\r\n"));
	send_text(f, "Subject: a\r\n\r\nBODY\r\n", 9000);
	assert_true(output_has(f, "250 2.0.0 delivered\r\n"));
	assert_int_equal(fake_mail_count(f, 2), 1);
	assert_int_equal(fake_mail_count(f, 0), 1);
	m = fake_mail_get(f, 0, 0);
	assert_non_null(memmem(m.p, m.n, "text/rfc822-headers", 19));
	assert_non_null(memmem(m.p, m.n, "Subject: a", 10));
	assert_null(memmem(m.p, m.n, "BODY", 4));
	fake_free(&f);
}

/* The fake asserts the window; nothing is answered before the report is durable. */
static void a_large_report_keeps_to_the_window(void **state)
{
	struct fake *f = fake_open(true, true);

	input(f, EHLO LOGIN);
	for (int message = 0; message < 3; message++) {
		fake_input(f, SLICE(FULL BOUNCE TO("u2") "DATA\r\n"));
		while (!output_has(f, "354 "))
			assert_true(fake_answer(f));
		fake_output_reset(f);
		send_text(f, "\r\n", SMTP_RETURN_MAX - 600); /* with the rest more than a window */
		while (!output_has(f, "250 2.0.0 delivered\r\n")) {
			assert_int_equal(fake_mail_count(f, 1), message < 1 ? 0 : message);
			assert_true(fake_answer(f));
			if (fake_mail_count(f, 1) > (unsigned)message)
				break;
		}
		while (fake_answer(f))
			;
		assert_true(output_has(f, "250 2.0.0 delivered\r\n"));
		fake_output_reset(f);
	}
	assert_int_equal(fake_mail_count(f, 1), 3);
	assert_int_equal(fake_mail_count(f, 2), 3);
	assert_true(fake_mail_get(f, 1, 2).n > IPC_WINDOW_BYTES);
	fake_free(&f);
}

static void the_store_dies_before_the_report(void **state)
{
	for (int held = 0; held < 3; held++) {
		struct fake *f = fake_open(false, true);

		input(f, EHLO OWN BOUNCE "DATA\r\nx\r\n.\r\n");
		while (!output_has(f, "354 "))
			assert_true(fake_answer(f));
		for (int i = 0; i < held; i++)
			fake_answer(f); /* credit, then the result */
		fake_lose(f, FRONT_POST);
		assert_true(output_has(f, held < 2 ? "451 4.3.0 " : "250 2.0.0 "));
		fake_free(&f);
	}
}

static void routerd_does_not_say_where_the_sender_is(void **state)
{
	struct fake *f = fake_open(false, true);

	input(f, EHLO OWN BOUNCE BOUNCE);
	assert_true(fake_answer(f)); /* the first is bounced, and the sender asked for */
	assert_true(fake_answer(f));
	assert_false(output_has(f, "451"));
	assert_int_equal(fake_deadline(f), SMTP_ROUTE_MS);
	assert_true(fake_timeout(f));
	assert_true(output_has(f, "451 4.3.0 not known now, try again\r\n"
				  "451 4.3.0 not known now, try again\r\n"));
	assert_true(fake_answer(f)); /* too late */
	input(f, BOUNCE);
	while (fake_answer(f))
		;
	assert_true(output_has(f, "451 4.3.0"));
	fake_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_brings_back_what_was_asked_for),
		cmocka_unit_test(a_report_of_success_brings_the_header),
		cmocka_unit_test(routerd_dies_before_it_tells_of_the_sender),
		cmocka_unit_test(a_report_has_room_for_what_it_brings_back),
		cmocka_unit_test(a_report_without_room_brings_the_header),
		cmocka_unit_test(a_large_report_keeps_to_the_window),
		cmocka_unit_test(the_store_dies_before_the_report),
		cmocka_unit_test(routerd_does_not_say_where_the_sender_is),
		cmocka_unit_test(a_header_is_looked_at_in_any_pieces),
		cmocka_unit_test(one_answer_when_all_are_durable),
		cmocka_unit_test(a_sender_waits_for_routerd),
		cmocka_unit_test(failed_logins_wait_longer_each_time),
		cmocka_unit_test(silent_authd_is_temporary),
		cmocka_unit_test(a_response_that_comes_too_late),
		cmocka_unit_test(a_window_is_never_passed),
		cmocka_unit_test(the_trace_tells_how_it_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
