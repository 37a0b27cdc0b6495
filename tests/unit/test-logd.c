/* master/logd: a line says who wrote it, whatever its text says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/log.h"
#include "master/logd/sink.h"

static void sessions_are_judged_by_the_channel(void **state)
{
	static const struct {
		const char *name;
		uint64_t attached, claimed, want;
	} rows[] = {
		{ "a trusted process may name any session", 0, 0x500000007, 0x500000007 },
		{ "a trusted process may name none", 0, 0, 0 },
		{ "an acceptor may name its own", 0x500000000, 0x500000007, 0x500000007 },
		{ "an acceptor may not name another's", 0x500000000, 0x600000007, 0 },
		{ "an acceptor may name none", 0x500000000, 0, 0 },
		{ "a connection always means itself", 0x500000007, 0x500000008, 0x500000007 },
		{ "a connection cannot hide", 0x500000007, 0, 0x500000007 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (sink_judge(rows[i].attached, rows[i].claimed) != rows[i].want)
			fail_msg("%s", rows[i].name);
}

static void a_line_is_stamped_and_printable(void **state)
{
	struct buf b = BUF_INIT(SINK_LINE_MAX + 200);

	sink_line(&b, 1700000000123, "pop3", 0x500000007, LOG_NOTICE,
	    SLICE("auth.refused user=\"a\"\n2026 master error \x1b[2Jx\xff"));
	assert_string_equal(buf_cstr(&b), "2023-11-14T22:13:20.123Z pop3 notice sid=5-7 "
					  "auth.refused user=\"a\"?2026 master error ?[2Jx?\n");
	buf_reset(&b);
	sink_line(&b, 0, "stored", 0, LOG_ERR, SLICE("x"));
	assert_string_equal(buf_cstr(&b), "1970-01-01T00:00:00.000Z stored error x\n");
	buf_reset(&b);
	sink_line(&b, -1, "stored", 0, LOG_ERR, SLICE("x"));
	assert_string_equal(buf_cstr(&b), "<3>stored error x\n");
	buf_fini(&b);
}

/* A connection has less: its process may be a stranger's. */
static void lines_have_a_limit(void **state)
{
	assert_int_equal(sink_lines_per_s(0), SINK_LINES_PER_S);
	assert_int_equal(sink_lines_per_s(0x500000000), SINK_LINES_PER_S);
	assert_int_equal(sink_lines_per_s(0x500000007), SINK_CONN_LINES_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_are_judged_by_the_channel),
		cmocka_unit_test(a_line_is_stamped_and_printable),
		cmocka_unit_test(lines_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
