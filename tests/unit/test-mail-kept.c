/*
 * What the maker of facts keeps of a message's header section, and its reader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mail/facts.h"
#include "common/mail/limits.h"

#define MULTI "Content-Type: multipart/mixed; boundary=x\r\n\r\n"

/* The header section in pieces of `step` octets, as the maker keeps it. */
static int kept(struct slice in, size_t step, struct buf *ret_header)
{
	struct facts_maker *m = facts_maker_new();
	struct buf blob = BUF_INIT(FACTS_MAX);
	struct slice header = SLICE_NONE;
	int r;

	for (size_t at = 0; at < in.n; at += step)
		facts_maker_feed(m, slice_part(in, at, step));
	assert_int_equal(facts_maker_finish(m, &blob), 0);
	r = facts_header(facts_maker_header(m), in.n, &header);
	buf_reset(ret_header);
	buf_put(ret_header, header);
	facts_maker_free(&m);
	buf_fini(&blob);
	return r;
}

static void headers_are_kept_whole_or_not(void **state)
{
	static const char *const cases[][2] = {
		{ "A: b\r\n c\r\n\r\nbody\r\n\r\nmore", "A: b\r\n c\r\n\r\n" },
		{ "A: b\n\nbody", "A: b\n\n" },
		{ "\r\nno header", "\r\n" },
		{ "A: no end", "A: no end" },
		{ "A: no end\r\n", "A: no end\r\n" },
		{ "", "" },
		{ MULTI "--x\r\nB: c\r\n\r\nhi\r\n--x--\r\n", MULTI },
	};
	struct buf in = BUF_INIT(1 << 16), header = BUF_INIT(FACTS_HEADER_MAX);
	struct slice none;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 40; step++) {
			assert_int_equal(kept(slice_str(cases[i][0]), step, &header), 0);
			assert_true(slice_eq(buf_slice(&header), slice_str(cases[i][1])));
		}
	for (int over = 0; over < 2; over++) {
		buf_reset(&in);
		while (in.n < FACTS_HEADER_MAX - 4 + (size_t)over)
			buf_putc(&in, in.n < 2 ? "A:"[in.n] : 'x');
		buf_puts(&in, "\r\n\r\nbody");
		for (size_t step = 1000; step < 40000; step += 7777) {
			assert_int_equal(
			    kept(buf_slice(&in), step, &header), over ? FACTS_LONG : 0);
			assert_int_equal(header.n, over ? 0 : FACTS_HEADER_MAX);
		}
	}
	assert_int_equal(facts_header(SLICE(""), 10, &none), FACTS_BAD);
	assert_int_equal(facts_header(SLICE("\1abc"), 2, &none), FACTS_BAD);
	assert_int_equal(facts_header(SLICE("\2abc"), 3, &none), FACTS_OTHER);
	assert_int_equal(facts_header(SLICE("\1"), 3, &none), FACTS_LONG);
	assert_int_equal(facts_header(SLICE("\1"), 0, &none), 0);
	buf_fini(&in);
	buf_fini(&header);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_kept_whole_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
