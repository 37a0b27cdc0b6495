/* Helpers that know passwords: the lines, and a helper that is slow, mute, mad or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/external/helper.h"
#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- lines ---- */

static void questions_are_one_line_of_ascii(void **state)
{
	struct buf out = BUF_INIT(2 * ASK_MAX_BYTES);
	uint8_t all[255], bad[PASSWORD_BYTES];

	assert_int_equal(line_put_hello(&out, 1), 0);
	assert_int_equal(line_put_check(&out, 7, SLICE("jane@example.test"), SLICE("pop3"),
			     SLICE("192.0.2.7"), SLICE("pass word")),
	    0);
	assert_int_equal(
	    line_put_check(&out, 8, SLICE("j"), SLICE("imap"), SLICE_NONE, SLICE("%\n\xc3\xa4")),
	    0);
	assert_int_equal(line_put_create(&out, 9, SLICE("j@e"), SLICE("mail"), SLICE_NONE), 0);
	assert_int_equal(line_put_create(&out, 10, SLICE("j@e"), SLICE("login"), SLICE("x")), 0);
	assert_string_equal(buf_cstr(&out), "1 HELLO 1\n"
					    "7 CHECK jane@example.test pop3 192.0.2.7 pass%20word\n"
					    "8 CHECK j imap - %25%0A%C3%A4\n"
					    "9 CREATE j@e mail\n"
					    "10 CREATE j@e login x\n");
	buf_reset(&out);
	for (int i = 0; i < 255; i++)
		all[i] = (uint8_t)(i + 1);
	assert_int_equal(
	    line_put_check(&out, 1, SLICE("n"), SLICE("s"), SLICE_NONE, slice_of(all, 255)), 0);
	for (size_t i = 0; i + 1 < out.n; i++)
		assert_true(out.p[i] >= 0x20 && out.p[i] < 0x7f);
	buf_reset(&out);
	/* The longest password fits, with the longest name. */
	memset(bad, 0xff, sizeof(bad));
	assert_int_equal(line_put_check(&out, UINT64_MAX, slice_of(bad, NAME_BYTES), SLICE("pop3"),
			     SLICE("::1"), slice_of(bad, sizeof(bad))),
	    0);
	/* What has an empty word, or is too long, leaves nothing behind. */
	buf_reset(&out);
	assert_int_equal(
	    line_put_check(&out, 1, SLICE("n"), SLICE("s"), SLICE_NONE, SLICE_NONE), 1);
	assert_int_equal(out.n, 0);
	buf_fini(&out);
}

static void answers(void **state)
{
	static const struct {
		const char *line;
		int want;
		struct line_answer a;
	} cases[] = {
		{ "1 OK CHECK CREATE", 0, { .number = 1, .check = true, .create = true } },
		{ "1 OK CHECK", 0, { .number = 1, .check = true } },
		{ "1 OK CHECK LATERON", 0, { .number = 1, .check = true } },
		{ "7 OK", 0, { .number = 7 } },
		{ "7 NO", 0, { .number = 7, .status = LINE_NO } },
		{ "7 UNKNOWN", 0, { .number = 7, .status = LINE_UNKNOWN } },
		{ "18446744073709551615 LATER", 0, { .number = UINT64_MAX, .status = LINE_LATER } },
		{ "7 OK quota=1000000 keep=yes", 0,
		    { .number = 7, .quota_bytes = 1000000, .keep = true } },
		{ "7 OK keep=no", 0, { .number = 7 } },
		{ "7 OK name=J%C3%A4ne%20Doe", 0,
		    { .number = 7, .real_name = "J\xc3\xa4ne Doe", .real_name_n = 9 } },
		{ "7 OK new-thing=1", 0, { .number = 7 } },
		{ "7 OK CHECK", 1, { 0 } },
		{ "7 NO keep=yes", 1, { 0 } },
		{ "7 ok", 1, { 0 } },
		{ "7  OK", 1, { 0 } },
		{ "7 OK  keep=yes", 1, { 0 } },
		{ "7 OK keep=maybe", 1, { 0 } },
		{ "7 OK quota=-1", 1, { 0 } },
		{ "7 OK quota=9223372036854775808", 1, { 0 } },
		{ "7 OK name=%0A", 1, { 0 } },
		{ "7 OK name=%4", 1, { 0 } },
		{ "7 OK name=%zz", 1, { 0 } },
		{ "7 OK =1", 1, { 0 } },
		{ "7 OK\r", 1, { 0 } },
		{ "-7 OK", 1, { 0 } },
		{ "18446744073709551616 OK", 1, { 0 } },
		{ "OK", 1, { 0 } },
		{ "7", 1, { 0 } },
		{ "", 1, { 0 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct line_answer *w = &cases[i].a;
		struct line_answer got = { 0 };

		if (line_read(slice_str(cases[i].line), &got) != cases[i].want)
			fail_msg("%s", cases[i].line);
		if (got.number != w->number || got.status != w->status || got.check != w->check ||
		    got.create != w->create || got.keep != w->keep ||
		    got.quota_bytes != w->quota_bytes || got.real_name_n != w->real_name_n ||
		    memcmp(got.real_name, w->real_name, w->real_name_n) != 0)
			fail_msg("%s: other facts", cases[i].line);
	}
}

/* ---- a helper ---- */

static struct event_base *base;
static struct helper *helper;
static int far = -1; /* the helper's end */
static struct {
	unsigned wants, answers;
	uint32_t seqs[200];
	enum line_status status[200];
	struct line_answer last;
} seen;

static void on_answer(void *arg, uint32_t seq, const struct line_answer *a)
{
	assert_true(seen.answers < 200);
	seen.seqs[seen.answers] = seq;
	seen.status[seen.answers++] = a->status;
	seen.last = *a;
}

static void on_want(void *arg)
{
	seen.wants++;
}

static const struct helper_ops ops = { .on_answer = on_answer, .on_want = on_want };

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_INFO);
	base = event_base_new();
	helper = helper_new(base, "external_helper", &ops, NULL);
	return helper == NULL;
}

static int teardown(void **state)
{
	int fd = log_fd();

	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
	helper_free(&helper);
	fd_close(&far);
	event_base_free(base);
	return 0;
}

#define UNTIL(condition)                                                     \
	for (int i_ = 0; i_ < 60000 && !(condition); i_++, poll(NULL, 0, 1)) \
		event_base_loop(base, EVLOOP_NONBLOCK);                      \
	assert_true(condition)

static void connect_it(void)
{
	unsigned before = seen.wants;
	int sv[2];

	fd_close(&far);
	UNTIL(seen.wants > before);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	far = sv[1];
	helper_take(helper, sv[0]);
}

/* Everything that was written to the helper so far. */
static const char *heard(void)
{
	static char text[65536];
	size_t n = 0;
	ssize_t got;

	while ((got = read(far, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

static void say(const char *text)
{
	assert_int_equal(io_write_all(far, slice_str(text)), 0);
}

static void ask(uint32_t seq, const char *name)
{
	struct helper_ask q = { .seq = seq,
		.name = slice_str(name),
		.service = SLICE("pop3"),
		.password = SLICE("x") };

	helper_ask(helper, &q);
}

static void answers_may_come_in_any_order(void **state)
{
	connect_it();
	assert_string_equal(heard(), "1 HELLO 1\n");
	say("1 OK CHECK\n");
	ask(70, "a");
	ask(71, "b");
	assert_string_equal(heard(), "2 CHECK a pop3 - x\n3 CHECK b pop3 - x\n");
	say("3 OK keep=");
	event_base_loop(base, EVLOOP_NONBLOCK);
	say("yes\n2 NO\n");
	UNTIL(seen.answers == 2);
	assert_int_equal(seen.seqs[0], 71);
	assert_int_equal(seen.status[0], LINE_OK);
	assert_int_equal(seen.seqs[1], 70);
	assert_int_equal(seen.status[1], LINE_NO);
}

static void without_a_helper_it_is_later(void **state)
{
	ask(1, "a");
	assert_int_equal(seen.answers, 1);
	assert_int_equal(seen.status[0], LINE_LATER);
}

static void its_death_answers_everything(void **state)
{
	connect_it();
	say("1 OK CHECK\n");
	ask(1, "a");
	ask(2, "b");
	fd_close(&far);
	UNTIL(seen.answers == 2);
	assert_int_equal(seen.status[0], LINE_LATER);
	assert_int_equal(seen.status[1], LINE_LATER);
	/* And a new one is asked for, from the first number on. */
	connect_it();
	assert_string_equal(heard(), "1 HELLO 1\n");
	say("1 OK CHECK\n");
	ask(3, "a");
	assert_string_equal(heard(), "2 CHECK a pop3 - x\n");
	say("2 OK\n");
	UNTIL(seen.answers == 3);
	assert_int_equal(seen.status[2], LINE_OK);
}

static void nonsense_is_its_end(void **state)
{
	static char endless[LINE_MAX_BYTES + 2];
	const char *const nonsense[] = { "2 MAYBE\n", "9 OK\n", "0 OK\n", "hello\n", "\n",
		endless };

	memset(endless, 'x', LINE_MAX_BYTES + 1);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		unsigned before = seen.answers;
		char one;

		connect_it();
		say("1 OK CHECK\n");
		ask(1, "a");
		say(nonsense[i]);
		UNTIL(seen.answers == before + 1);
		assert_int_equal(seen.status[before], LINE_LATER);
		heard();
		assert_int_equal(read(far, &one, 1), 0);
	}
}

static void who_does_not_greet_is_no_helper(void **state)
{
	const char *const greetings[] = { "1 NO\n", "1 OK\n", "1 OK CREATE\n", "2 OK\n" };

	for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		unsigned before = seen.answers;

		connect_it();
		ask(1, "a");
		say(greetings[i]);
		UNTIL(seen.answers == before + 1);
		assert_int_equal(seen.status[before], LINE_LATER);
	}
}

static void a_mute_one_is_given_up(void **state)
{
	helper_set_wait(helper, 50);
	connect_it();
	say("1 OK CHECK\n");
	assert_string_equal(heard(), "1 HELLO 1\n");
	event_base_loop(base, EVLOOP_NONBLOCK);
	ask(1, "a");
	UNTIL(seen.answers == 1);
	assert_int_equal(seen.status[0], LINE_LATER);
	connect_it();
	assert_string_equal(heard(), "1 HELLO 1\n");
}

static void a_slow_answer_hurts_nobody_else(void **state)
{
	helper_set_wait(helper, 300);
	connect_it();
	say("1 OK CHECK\n");
	ask(1, "slow");
	ask(2, "quick");
	say("3 OK\n");
	UNTIL(seen.answers == 1);
	assert_int_equal(seen.seqs[0], 2);
	UNTIL(seen.answers == 2);
	assert_int_equal(seen.status[1], LINE_LATER);
	/* Its answer comes when nobody waits: not a word about it. */
	say("2 OK\n");
	ask(3, "quick");
	say("4 NO\n");
	UNTIL(seen.answers == 3);
	assert_int_equal(seen.status[2], LINE_NO);
}

static void one_name_leaves_room_for_others(void **state)
{
	char name[20];

	connect_it();
	say("1 OK CHECK\n");
	for (uint32_t i = 0; i < 20; i++)
		ask(i, "first");
	assert_int_equal(seen.answers, 20 - QUESTIONS_PER_NAME_MAX);
	/* HELLO, whose answer was not read yet, has a place of its own. */
	for (uint32_t i = 0; i < QUESTIONS_MAX - QUESTIONS_PER_NAME_MAX; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		ask(100 + i, name);
	}
	assert_int_equal(seen.answers, 20 - QUESTIONS_PER_NAME_MAX + 1);
	assert_int_equal(
	    seen.seqs[seen.answers - 1], 100 + QUESTIONS_MAX - QUESTIONS_PER_NAME_MAX - 1);
	assert_int_equal(seen.status[seen.answers - 1], LINE_LATER);
}

static void creation_only_where_it_is_offered(void **state)
{
	struct helper_ask q = {
		.seq = 5, .create = true, .name = SLICE("n@e"), .service = SLICE("mail")
	};

	connect_it();
	say("1 OK CHECK\n");
	for (int i = 0; i < 1000 && seen.last.status != LINE_UNKNOWN; i++, poll(NULL, 0, 1)) {
		seen.answers = 0;
		event_base_loop(base, EVLOOP_NONBLOCK);
		helper_ask(helper, &q);
	}
	assert_int_equal(seen.last.status, LINE_UNKNOWN);
	assert_string_equal(heard(), "1 HELLO 1\n");
}

static void who_asked_may_be_gone(void **state)
{
	connect_it();
	say("1 OK CHECK\n");
	ask(1, "a");
	helper_forget(helper);
	say("2 OK\n");
	ask(2, "b");
	say("3 OK\n");
	UNTIL(seen.answers == 1);
	assert_int_equal(seen.seqs[0], 2);
}

/* It reads nothing: what it is sent stays bounded, and everybody is answered. */
static void a_deaf_one_costs_little(void **state)
{
	static char big[PASSWORD_BYTES + 1];
	struct helper_ask q = { .service = SLICE("pop3"),
		.password = { (uint8_t *)big, PASSWORD_BYTES } };
	char name[20];

	memset(big, 1, PASSWORD_BYTES);
	connect_it();
	for (uint32_t i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		q.seq = i;
		q.name = slice_str(name);
		helper_ask(helper, &q);
	}
	assert_in_range(seen.answers, 150 - QUESTIONS_MAX, 149);
	fd_close(&far);
	UNTIL(seen.answers == 150);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(questions_are_one_line_of_ascii),
		cmocka_unit_test(answers), CASE(answers_may_come_in_any_order),
		CASE(without_a_helper_it_is_later), CASE(its_death_answers_everything),
		CASE(nonsense_is_its_end), CASE(who_does_not_greet_is_no_helper),
		CASE(a_mute_one_is_given_up), CASE(a_slow_answer_hurts_nobody_else),
		CASE(one_name_leaves_room_for_others), CASE(creation_only_where_it_is_offered),
		CASE(who_asked_may_be_gone), CASE(a_deaf_one_costs_little) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
