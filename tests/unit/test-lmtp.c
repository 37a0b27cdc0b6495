/* protocols/smtp: the core in LMTP mode, whole, byte by byte and in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/front/limits.h"
#include "protocols/smtp/dot.h"
#include "protocols/smtp/limits.h"
#include "protocols/smtp/smtp.h"
#include "tests/wire/fake.h"

#include <stdio.h>
#include <stdlib.h>

#define GREETING "220 mail.example.test LMTP ready\r\n"
#define LHLO     "LHLO client.example\r\n"
#define HELLO                                                                         \
	"250-mail.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" \
	"250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 2000\r\n"
#define FROM    "MAIL FROM:<s@example.org>\r\n"
#define FROM_OK "250 2.1.0 sender taken\r\n"
#define TO(u)   "RCPT TO:<" u "@example.test>\r\n"
#define TO_OK   "250 2.1.5 recipient taken\r\n"
#define GO      "354 send the message, then a line with a dot alone\r\n"
#define DONE    "250 2.0.0 delivered\r\n"
#define BARE    "550 5.6.0 a CR or LF of its own in the message\r\n"
#define QUIT    "QUIT\r\n"
#define BYE     "221 2.0.0 mail.example.test good-bye\r\n"

static const struct smtp_conf conf = { .size_max = 2000, .rcpts_max = 5, .hops_max = 3 };

/* `stored` is what user 1 then has, behind the two trace fields; NULL: no message. */
static const struct {
	const char *name, *in, *want, *stored;
} cases[] = {
	{ "a message", LHLO FROM TO("u1") "DATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO DONE BYE, "Subject: x\r\n\r\nhi\r\n" },
	{ "LHLO first", "MAIL FROM:<>\r\n", "503 5.5.1 LHLO comes first\r\n", NULL },
	{ "HELO is not LMTP", "EHLO a\r\n", "500 5.5.1 this is LMTP: say LHLO\r\n", NULL },
	{ "MAIL first", LHLO TO("u1"), HELLO "503 5.5.1 MAIL comes first\r\n", NULL },
	{ "two MAILs", LHLO FROM FROM, HELLO FROM_OK "503 5.5.1 a message is under way\r\n", NULL },
	{ "RSET forgets the sender", LHLO FROM "RSET\r\n" TO("u1"),
	    HELLO FROM_OK "250 2.0.0 forgotten\r\n503 5.5.1 MAIL comes first\r\n", NULL },
	{ "LHLO forgets it, too", LHLO FROM LHLO TO("u1"),
	    HELLO FROM_OK HELLO "503 5.5.1 MAIL comes first\r\n", NULL },
	{ "DATA without a recipient", LHLO FROM "DATA\r\n",
	    HELLO FROM_OK "503 5.5.1 no recipient was taken\r\n", NULL },
	{ "DATA after refused ones only", LHLO FROM TO("nobody") "DATA\r\n",
	    HELLO FROM_OK "550 5.1.1 no such user here\r\n503 5.5.1 no recipient was taken\r\n",
	    NULL },
	{ "every recipient has an answer of its own",
	    LHLO FROM TO("quota") TO("nobody") TO("u1") TO("full") TO("ioerr") "DATA\r\nx\r\n.\r\n",
	    HELLO FROM_OK TO_OK
	    "550 5.1.1 no such user here\r\n" TO_OK TO_OK TO_OK GO
	    "452 4.2.2 the mailbox is over its quota\r\n" DONE
	    "452 4.3.1 no space on the server\r\n451 4.3.0 not stored, try again\r\n",
	    "x\r\n" },
	{ "the same account twice is one copy and two answers",
	    LHLO FROM TO("u1") TO("u1") "DATA\r\nx\r\n.\r\n",
	    HELLO FROM_OK TO_OK TO_OK GO DONE DONE, "x\r\n" },
	{ "a discarded recipient", LHLO FROM TO("null") "DATA\r\nx\r\n.\r\n",
	    HELLO FROM_OK TO_OK GO DONE, NULL },
	{ "all answers of routing",
	    LHLO FROM TO("remote") TO("loop") TO("off") TO("later") TO("policy") TO("refused"),
	    HELLO FROM_OK "550 5.7.1 this address leads away from here, and we do not relay\r\n"
			  "550 5.4.6 this address leads in a circle\r\n"
			  "550 5.2.1 this account takes no mail\r\n"
			  "451 4.3.0 not known now, try again\r\n"
			  "452 4.2.2 the mailbox is over its quota\r\n"
			  "550 5.7.1 refused: not??wanted\r\n",
	    NULL },
	{ "too many recipients",
	    LHLO FROM TO("many-1") TO("many-2") TO("many-3") TO("many-4") TO("many-5") TO("many-6"),
	    HELLO FROM_OK TO_OK TO_OK TO_OK TO_OK TO_OK "452 4.5.3 too many recipients\r\n", NULL },
	{ "dots are taken off", LHLO FROM TO("u1") "DATA\r\n..\r\n.x\r\n...\r\na.b\r\n.\r\n",
	    HELLO FROM_OK TO_OK GO DONE, ".\r\nx\r\n..\r\na.b\r\n" },
	{ "an empty message", LHLO FROM TO("u1") "DATA\r\n.\r\n", HELLO FROM_OK TO_OK GO DONE, "" },
	{ "LF dot LF is no end",
	    LHLO FROM TO("u1") "DATA\r\nx\n.\nMAIL FROM:<evil@x>\r\n.\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO BARE BYE, NULL },
	{ "LF dot CR LF is no end", LHLO FROM TO("u1") "DATA\r\nx\n.\r\n" QUIT ".\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO BARE BYE, NULL },
	{ "CR LF dot LF is no end", LHLO FROM TO("u1") "DATA\r\nx\r\n.\n" QUIT ".\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO BARE BYE, NULL },
	{ "CR LF dot CR is no end", LHLO FROM TO("u1") "DATA\r\nx\r\n.\r" QUIT ".\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO BARE BYE, NULL },
	{ "CR dot CR is no end", LHLO FROM TO("u1") "DATA\r\nx\r.\r" QUIT ".\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO BARE BYE, NULL },
	{ "CR CR LF is refused", LHLO FROM TO("u1") "DATA\r\nx\r\r\n.\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO BARE BYE, NULL },
	{ "a NUL in a message is a byte", LHLO FROM TO("u1") "DATA\r\nx\\0\r\n.\r\n",
	    HELLO FROM_OK TO_OK GO DONE, "x\\0\r\n" },
	{ "a bare LF in a command ends it all", "LHLO a\nMAIL FROM:<>\r\n",
	    "421 4.5.2 mail.example.test a line must end with CR LF\r\n", NULL },
	{ "BDAT", LHLO FROM TO("u1") "BDAT 6\r\n.\r\nx\r\nBDAT 3 LAST\r\ny\r\n" QUIT,
	    HELLO FROM_OK TO_OK "250 2.0.0 chunk taken\r\n" DONE BYE, ".\r\nx\r\ny\r\n" },
	{ "BDAT 0 LAST", LHLO FROM TO("u1") "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n" QUIT,
	    HELLO FROM_OK TO_OK "250 2.0.0 chunk taken\r\n" DONE BYE, "x\r\n" },
	{ "BDAT cuts inside CR LF", LHLO FROM TO("u1") "BDAT 2\r\nx\rBDAT 1 LAST\r\n\n" QUIT,
	    HELLO FROM_OK TO_OK "250 2.0.0 chunk taken\r\n" DONE BYE, "x\r\n" },
	{ "BDAT without a last line end gets one", LHLO FROM TO("u1") "BDAT 1 LAST\r\nx" QUIT,
	    HELLO FROM_OK TO_OK DONE BYE, "x\r\n" },
	{ "BDAT with a bare LF", LHLO FROM TO("u1") "BDAT 4 LAST\r\nx\ny\n" QUIT,
	    HELLO FROM_OK TO_OK BARE BYE, NULL },
	{ "BDAT with a bare CR at the end", LHLO FROM TO("u1") "BDAT 2 LAST\r\nx\r" QUIT,
	    HELLO FROM_OK TO_OK BARE BYE, NULL },
	{ "a refused chunk ends the message",
	    LHLO FROM TO("u1") "BDAT 2\r\nx\nBDAT 1 LAST\r\nQ" QUIT,
	    HELLO FROM_OK TO_OK BARE "503 5.5.1 MAIL comes first\r\n" BYE, NULL },
	{ "BDAT out of order eats its octets", "BDAT 6\r\nQUIT\r\n" QUIT,
	    "503 5.5.1 MAIL comes first\r\n" BYE, NULL },
	{ "no DATA after BDAT", LHLO FROM TO("u1") "BDAT 3\r\nx\r\nDATA\r\n",
	    HELLO FROM_OK TO_OK "250 2.0.0 chunk taken\r\n503 5.5.1 the message has begun\r\n",
	    NULL },
	{ "BDAT needs a number", LHLO FROM TO("u1") "BDAT x\r\n" QUIT,
	    HELLO FROM_OK TO_OK "421 4.5.4 mail.example.test BDAT takes a size and maybe LAST\r\n",
	    NULL },
	{ "SIZE too large", LHLO "MAIL FROM:<a@b.c> SIZE=2001\r\n",
	    HELLO "552 5.3.4 the message is larger than we take\r\n", NULL },
	{ "SIZE beyond counting", LHLO "MAIL FROM:<a@b.c> SIZE=99999999999999999999\r\n",
	    HELLO "552 5.3.4 the message is larger than we take\r\n", NULL },
	{ "parameters", LHLO "MAIL FROM:<a@b.c> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n", HELLO FROM_OK,
	    NULL },
	{ "an unknown parameter", LHLO "MAIL FROM:<a@b.c> X=1\r\n",
	    HELLO "555 5.5.4 unknown parameter\r\n", NULL },
	{ "a parameter twice", LHLO "MAIL FROM:<a@b.c> SIZE=1 SIZE=2\r\n",
	    HELLO "501 5.5.4 a parameter twice\r\n", NULL },
	{ "UTF-8 needs SMTPUTF8", LHLO "MAIL FROM:<\xc3\xa9@b.c>\r\n",
	    HELLO "550 5.6.7 this address needs SMTPUTF8\r\n", NULL },
	{ "no address", LHLO "MAIL FROM:a b\r\n", HELLO "501 5.1.7 not an address\r\n", NULL },
	{ "the null sender", LHLO "MAIL FROM:<>\r\n" TO("u1") "DATA\r\nx\r\n.\r\n",
	    HELLO FROM_OK TO_OK GO DONE, "x\r\n" },
	{ "no null recipient", LHLO FROM "RCPT TO:<>\r\n",
	    HELLO FROM_OK "501 5.1.3 not an address\r\n", NULL },
	{ "postmaster without a domain", LHLO FROM "RCPT TO:<Postmaster>\r\n", HELLO FROM_OK TO_OK,
	    NULL },
	{ "hops within the limit",
	    LHLO FROM TO("u1") "DATA\r\nReceived: a\r\nReceived: b\r\nReceived: c\r\n\r\n.\r\n",
	    HELLO FROM_OK TO_OK GO DONE, "Received: a\r\nReceived: b\r\nReceived: c\r\n\r\n" },
	{ "hops over the limit",
	    LHLO FROM TO(
		"u1") "DATA\r\nReceived: a\r\nReceived: b\r\nReceived: c\r\nReceived: d\r\n"
		      "\r\n.\r\n" QUIT,
	    HELLO FROM_OK TO_OK GO "554 5.4.6 the message has been in too many places\r\n" BYE,
	    NULL },
	{ "VRFY, NOOP, HELP", "VRFY u1\r\nNOOP x y\r\nHELP\r\n",
	    "252 2.5.0 send some mail, that will tell\r\n250 2.0.0 nothing done\r\n"
	    "214 2.0.0 MAIL RCPT DATA BDAT RSET NOOP QUIT LHLO VRFY HELP STARTTLS\r\n",
	    NULL },
	{ "two messages",
	    LHLO FROM TO("u2") "DATA\r\n1\r\n.\r\n" FROM TO("u1") "DATA\r\n2\r\n.\r\n",
	    HELLO FROM_OK TO_OK GO DONE FROM_OK TO_OK GO DONE, "2\r\n" },
};

static struct fake *fake_open(bool hold)
{
	return fake_new(&(struct fake_conf){ .lmtp = true,
	    .core = &smtp_core,
	    .core_conf = &conf,
	    .tls_offered = false,
	    .hold = hold });
}

/* The message without the two fields that we put in front. */
static struct slice behind_trace(struct slice m)
{
	static const char *const last[] = {
		"\r\nReceived: from client.example ([192.0.2.7])\r\n\tby "
		"mail.example.test with LMTP id 1-2.",
		" +0000\r\n"
	};
	const uint8_t *p = m.p;

	assert_true(slice_starts(m, SLICE("Return-Path: <")));
	for (int i = 0; i < 2; i++) {
		p = memmem(p, (size_t)(m.p + m.n - p), last[i], strlen(last[i]));
		assert_non_null(p);
		p += strlen(last[i]);
	}
	return slice_of(p, (size_t)(m.p + m.n - p));
}

static void run_case(size_t i, size_t step)
{
	struct fake *f = fake_open(false);
	struct slice in = slice_str(cases[i].in), got;

	while (in.n > 0) {
		size_t n = step > 0 ? step : 1 + (size_t)rand() % 9;

		fake_input(f, slice_part(in, 0, n));
		in = slice_from(in, n < in.n ? n : in.n);
	}
	got = fake_output(f);
	if (!slice_starts(got, SLICE(GREETING)) ||
	    !slice_eq(slice_from(got, sizeof(GREETING) - 1), slice_str(cases[i].want)))
		fail_msg("%s (step %zu): got\n%.*s", cases[i].name, step, SLICE_FMT(got));
	if (fake_mail_count(f, 1) != (cases[i].stored != NULL))
		fail_msg("%s: %u stored", cases[i].name, fake_mail_count(f, 1));
	if (cases[i].stored != NULL) {
		got = behind_trace(fake_mail_get(f, 1, 0));
		if (!slice_eq(got, slice_str(cases[i].stored)))
			fail_msg(
			    "%s (step %zu): stored\n%.*s", cases[i].name, step, SLICE_FMT(got));
	}
	fake_free(&f);
}

static void commands_answer_however_they_arrive(void **state)
{
	srand(2033);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_case(i, 1 << 20);
		run_case(i, 1);
		for (int k = 0; k < 5; k++)
			run_case(i, 0);
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

static void nothing_is_answered_before_it_is_durable(void **state)
{
	struct fake *f = fake_open(true);

	input(f, LHLO FROM TO("u1") TO("u2") "DATA\r\nx\r\n.\r\n" QUIT);
	assert_false(output_has(f, "2.1.5"));
	assert_true(fake_answer(f) && fake_answer(f)); /* both recipients */
	assert_true(output_has(f, TO_OK TO_OK GO));
	assert_false(output_has(f, "2.0.0"));
	for (int left = 3; left > 1; left--) { /* credit, the first result */
		assert_true(fake_answer(f));
		assert_false(output_has(f, "delivered"));
	}
	while (fake_answer(f))
		;
	assert_true(output_has(f, DONE DONE BYE));
	fake_free(&f);
}

static void a_lost_store_is_a_temporary_failure(void **state)
{
	struct fake *f = fake_open(true);

	input(f, LHLO FROM TO("u1") TO("u2"));
	assert_true(fake_answer(f) && fake_answer(f));
	input(f, "DATA\r\nx\r\n.\r\n");
	fake_lose(f, FRONT_POST);
	assert_true(output_has(f, "451 4.3.0 not stored, try again\r\n"
				  "451 4.3.0 not stored, try again\r\n"));
	input(f, FROM);
	assert_true(output_has(f, "421 4.3.2"));
	assert_true(fake_closed(f));
	fake_free(&f);
	/* The same while the text comes. */
	f = fake_open(true);
	input(f, LHLO FROM TO("u1"));
	assert_true(fake_answer(f));
	input(f, "DATA\r\nx\r\n");
	fake_lose(f, FRONT_POST);
	input(f, "y\r\n.\r\nNOOP\r\n");
	assert_true(output_has(f, "451 4.3.0 not stored, try again\r\n250 2.0.0 nothing"));
	fake_free(&f);
}

static void a_lost_router_is_a_temporary_failure(void **state)
{
	struct fake *f = fake_open(true);

	input(f, LHLO FROM TO("u1") TO("u2"));
	assert_true(fake_answer(f));
	fake_lose(f, FRONT_RCPT);
	assert_true(output_has(f, TO_OK "451 4.3.0 not known now, try again\r\n"));
	input(f, "DATA\r\nx\r\n.\r\n");
	while (fake_answer(f))
		;
	assert_true(output_has(f, DONE)); /* what was taken is still delivered */
	input(f, FROM);
	assert_true(output_has(f, "421 4.3.2"));
	fake_free(&f);
}

static void a_large_message_is_refused_on_the_way(void **state)
{
	struct fake *f = fake_open(false);

	input(f, LHLO FROM TO("u1") "DATA\r\n");
	for (int i = 0; i < 100; i++)
		fake_input(f, SLICE("0123456789012345678901234567\r\n"));
	input(f, ".\r\nNOOP\r\n");
	assert_true(output_has(f, "552 5.3.4 the message is larger than we take\r\n250 2.0.0"));
	assert_int_equal(fake_mail_count(f, 1), 0);
	fake_free(&f);
}

static void a_window_is_never_passed(void **state)
{
	static const struct smtp_conf big = { .size_max = 64 << 20 };
	struct fake *f = fake_new(&(struct fake_conf){
	    .lmtp = true, .core = &smtp_core, .core_conf = &big, .hold = true });
	struct buf text = BUF_INIT(4 << 20);

	while (text.n < 2 << 20)
		buf_puts(&text, "01234567890123456789012345678901234567890123456789\r\n");
	fake_input(f, SLICE(LHLO FROM TO("u1")));
	assert_true(fake_answer(f));
	fake_input(f, SLICE("DATA\r\n"));
	fake_input(f, buf_slice(&text)); /* the fake asserts the window */
	fake_input(f, SLICE(".\r\n"));
	assert_true(fake_port(f)->busy);
	while (fake_answer(f))
		;
	assert_true(output_has(f, DONE));
	assert_true(slice_eq(behind_trace(fake_mail_get(f, 1, 0)), buf_slice(&text)));
	buf_fini(&text);
	fake_free(&f);
}

static void timeouts_and_stops_are_told(void **state)
{
	struct fake *f = fake_open(false);

	input(f, LHLO);
	fake_timeout(f);
	assert_true(output_has(f, "421 4.4.2"));
	assert_true(fake_closed(f));
	fake_free(&f);
	f = fake_open(false);
	input(f, LHLO FROM TO("u1") "DATA\r\nx\r\n");
	fake_event(f, FRONT_STOPPING); /* what has begun may end */
	assert_false(fake_closed(f));
	input(f, ".\r\n");
	assert_true(output_has(f, DONE "421 4.3.2 mail.example.test the server is stopping\r\n"));
	fake_free(&f);
	f = fake_open(true);
	input(f, LHLO FROM TO("u1") TO("u2"));
	assert_true(fake_timeout(f));
	assert_true(output_has(f, "451 4.3.0 not known now, try again\r\n451 4.3.0"));
	fake_free(&f);
}

static void starttls_carries_nothing_over(void **state)
{
	struct fake *f = fake_new(&(struct fake_conf){
	    .lmtp = true, .core = &smtp_core, .core_conf = &conf, .tls_offered = true });

	input(f, LHLO);
	assert_true(output_has(f, "250-STARTTLS\r\n"));
	input(f, FROM "RSET\r\nSTARTTLS\r\n");
	assert_true(output_has(f, "220 2.0.0 begin TLS\r\n"));
	input(f, FROM);
	assert_true(output_has(f, "503 5.5.1 LHLO comes first"));
	input(f, LHLO);
	assert_false(output_has(f, "STARTTLS"));
	input(f, FROM TO("u1") "DATA\r\nx\r\n.\r\n");
	assert_non_null(
	    memmem(fake_mail_get(f, 1, 0).p, fake_mail_get(f, 1, 0).n, "with LMTPS id", 13));
	fake_free(&f);
	f = fake_new(&(struct fake_conf){
	    .lmtp = true, .core = &smtp_core, .core_conf = &conf, .tls_offered = true });
	input(f, LHLO "STARTTLS\r\nLHLO evil\r\n");
	assert_true(fake_closed(f));
	assert_false(output_has(f, "evil"));
	fake_free(&f);
}

static void too_many_errors_end_the_connection(void **state)
{
	struct fake *f = fake_open(false);

	for (int i = 0; i < SMTP_ERRORS_MAX; i++) {
		assert_false(fake_closed(f));
		input(f, "XYZZY\r\n");
	}
	assert_true(output_has(f, "421 4.7.0 mail.example.test too many errors\r\n"));
	assert_true(fake_closed(f));
	fake_free(&f);
}

static void the_trace_is_ascii(void **state)
{
	struct fake *f = fake_open(false);
	struct slice m;

	input(f, "LHLO h\xff\x80x\r\n" FROM TO("u1") "DATA\r\nx\r\n.\r\n");
	assert_int_equal(fake_mail_count(f, 1), 1);
	m = fake_mail_get(f, 1, 0);
	assert_non_null(memmem(m.p, m.n, "from h??x ([", 12));
	fake_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_answer_however_they_arrive),
		cmocka_unit_test(nothing_is_answered_before_it_is_durable),
		cmocka_unit_test(a_lost_store_is_a_temporary_failure),
		cmocka_unit_test(a_lost_router_is_a_temporary_failure),
		cmocka_unit_test(a_large_message_is_refused_on_the_way),
		cmocka_unit_test(a_window_is_never_passed),
		cmocka_unit_test(timeouts_and_stops_are_told),
		cmocka_unit_test(starttls_carries_nothing_over),
		cmocka_unit_test(too_many_errors_end_the_connection),
		cmocka_unit_test(the_trace_is_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
