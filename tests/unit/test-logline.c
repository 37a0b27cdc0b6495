/* Lines of the log taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/logline.h"

#include <string.h>

static const struct {
	const char *line;
	bool good;
	const char *time, *process, *sid, *event;
} lines[] = {
	{ "2026-11-22T00:53:16.619Z pop3 info sid=6b-1 conn.end why=done sent=8 ms=1\n", true,
	    "2026-11-22T00:53:16.619Z", "pop3", "6b-1", "conn.end" },
	{ "2026-11-22T00:53:16.619Z authd notice auth.admin sid=6b-1 who=root", true,
	    "2026-11-22T00:53:16.619Z", "authd", "", "auth.admin" },
	{ "authd info auth.granted", true, "", "authd", "", "auth.granted" },
	{ "2026-11-22T00:53:16.619123+0000 host gatehouse[12]: authd info auth.granted user=a",
	    true, "2026-11-22T00:53:16.619123+0000", "authd", "", "auth.granted" },
	{ "", false },
	{ "cannot listen on 127.0.0.1 port 1: Address already in use", false },
	{ "a b c", false },
	{ "2026-11-22T00:53:16.619Z pop3 info", false },
	{ "2026-11-22T00:53:16.619Z pop3 loud conn.end", false },
	{ "2026-11-22T00:53:16.619Z", false },
	{ "-- Boot 1 --", false },
};

static void lines_are_taken_apart(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct logline l;
		bool good = logline_parse(slice_str(lines[i].line), &l);

		if (good != lines[i].good)
			fail_msg("%s", lines[i].line);
		if (!good)
			continue;
		assert_true(slice_eq(l.time, slice_str(lines[i].time)));
		assert_true(slice_eq(l.process, slice_str(lines[i].process)));
		assert_true(slice_eq(l.sid, slice_str(lines[i].sid)));
		assert_true(slice_eq(l.event, slice_str(lines[i].event)));
	}
}

static void keys_inside_of_values_are_none(void **state)
{
	struct logline l;
	struct slice keys, k, raw;
	struct buf b = BUF_INIT(1000);
	size_t n = 0;

	assert_true(logline_parse(
	    slice_str("authd notice auth.refused user=\"x sid=9-9 \\\" why=ok\\\\\\xc3\\xa4\" "
		      "peer=::1 cut=\"abc\"... why=credentials"),
	    &l));
	assert_true(logline_is(&l, "why", SLICE("credentials")));
	assert_false(logline_is(&l, "why", SLICE("ok\\")));
	assert_false(logline_is(&l, "sid", SLICE("9-9")));
	assert_true(logline_is(&l, "user", SLICE("x sid=9-9 \" why=ok\\\xc3\xa4")));
	assert_true(logline_is(&l, "cut", SLICE("abc")));
	for (keys = l.keys; logline_key(&keys, &k, &raw); n++)
		;
	assert_int_equal(n, 4);
	logline_value(SLICE("\"a\\"), &b);
	assert_true(slice_eq(buf_slice(&b), SLICE("a\\")));
	buf_reset(&b);
	logline_value(SLICE("\"a\\x4"), &b);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_taken_apart),
		cmocka_unit_test(keys_inside_of_values_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
