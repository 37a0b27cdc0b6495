/* common/front: the line reader and the texts that all line protocols share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/front/limits.h"
#include "common/front/line.h"
#include "common/front/text.h"

#define LIT(s)                                      \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

static const struct {
	const char *name;
	struct slice in;
	enum line_answer answer;
	struct slice line;
	size_t used;
} lines[] = {
	{ "a line ends with CR LF", LIT("NOOP\r\nX"), LINE_OK, LIT("NOOP"), 6 },
	{ "an empty line is a line", LIT("\r\n"), LINE_OK, LIT(""), 2 },
	{ "half a line waits", LIT("NOOP"), LINE_MORE, LIT(""), 0 },
	{ "a CR alone waits for its LF", LIT("NOOP\r"), LINE_MORE, LIT(""), 0 },
	{ "a bare LF is refused", LIT("NOOP\nDELE 1\r\n"), LINE_BARE, LIT(""), 5 },
	{ "a bare CR is refused", LIT("NO\rOP\r\n"), LINE_BARE, LIT(""), 7 },
	{ "two CR are refused", LIT("NOOP\r\r\n"), LINE_BARE, LIT(""), 7 },
	{ "a NUL is refused", LIT("N\0OP\r\n"), LINE_NUL, LIT(""), 6 },
	{ "the longest line", LIT("0123456789abcd\r\n"), LINE_OK, LIT("0123456789abcd"), 16 },
	{ "a line too long", LIT("0123456789abcde\r\n"), LINE_LONG, LIT(""), 17 },
};

/* Feeds in pieces of `step` bytes and reports the first answer that is not LINE_MORE. */
static enum line_answer take_stepwise(
    struct slice in, size_t step, struct slice *line, size_t *used)
{
	struct line_reader r = { 0 };
	size_t at = 0, n;

	for (size_t end = step;; end += step) {
		enum line_answer a;

		end = end > in.n ? in.n : end;
		a = line_take(&r, slice_part(in, at, end - at), 16, line, &n);
		at += n;
		*used = at;
		if (a != LINE_MORE || end == in.n)
			return a;
	}
}

static void a_line_ends_with_cr_lf_and_nothing_else(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		for (size_t step = 1; step <= lines[i].in.n; step++) {
			struct slice line = SLICE_NONE;
			size_t used;
			enum line_answer a = take_stepwise(lines[i].in, step, &line, &used);

			if (a != lines[i].answer || !slice_eq(line, lines[i].line) ||
			    used != lines[i].used)
				fail_msg("%s (in steps of %zu)", lines[i].name, step);
		}
	}
}

static void a_long_line_is_forgotten_as_it_comes(void **state)
{
	struct line_reader r = { 0 };
	struct slice line;
	size_t used;

	for (int i = 0; i < 100; i++) {
		assert_int_equal(
		    line_take(&r, SLICE("0123456789abcdef"), 16, &line, &used), LINE_MORE);
		assert_int_equal(used, 16);
	}
	assert_int_equal(line_take(&r, SLICE("x\r"), 16, &line, &used), LINE_MORE);
	assert_int_equal(used, 1);
	assert_int_equal(line_take(&r, SLICE("\r\nNOOP\r\n"), 16, &line, &used), LINE_LONG);
	assert_int_equal(used, 2);
	assert_int_equal(line_take(&r, SLICE("NOOP\r\n"), 16, &line, &used), LINE_OK);
}

static void base64_goes_both_ways_and_only_one(void **state)
{
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "foobar", "Zm9vYmFy" } };
	static const char *const bad[] = { "Z", "Zg",
		"Zg=", "Zg==Zg==", "Zh==", "Zm9=", "====", "Z===", "Zm 9v", "=", "Zm9v\n" };
	struct buf out = BUF_INIT(64);

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		buf_reset(&out);
		assert_int_equal(text_base64_encode(slice_str(pairs[i][0]), &out), 0);
		assert_true(slice_eq(buf_slice(&out), slice_str(pairs[i][1])));
		buf_reset(&out);
		assert_int_equal(text_base64_decode(slice_str(pairs[i][1]), &out), 0);
		assert_true(slice_eq(buf_slice(&out), slice_str(pairs[i][0])));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&out);
		if (text_base64_decode(slice_str(bad[i]), &out) != 1)
			fail_msg("\"%s\" was taken for base64", bad[i]);
	}
	out = (buf_fini(&out), BUF_INIT(2));
	assert_int_equal(text_base64_decode(SLICE("Zm9v"), &out), 1);
	buf_fini(&out);
}

static void texts_of_others_cannot_make_a_line(void **state)
{
	struct buf out = BUF_INIT(1024);
	uint8_t many[FRONT_TEXT_MAX + 10];

	text_put_safe(&out, SLICE("a\r\n-ERR\x7f\xc3\xa9"), false);
	assert_true(slice_eq(buf_slice(&out), SLICE("a?\?-ERR???")));
	buf_reset(&out);
	text_put_safe(&out, SLICE("\xc3\xa9\t"), true);
	assert_true(slice_eq(buf_slice(&out), SLICE("\xc3\xa9?")));
	buf_reset(&out);
	memset(many, 'x', sizeof(many));
	text_put_safe(&out, slice_of(many, sizeof(many)), false);
	assert_int_equal(out.n, FRONT_TEXT_MAX);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_ends_with_cr_lf_and_nothing_else),
		cmocka_unit_test(a_long_line_is_forgotten_as_it_comes),
		cmocka_unit_test(base64_goes_both_ways_and_only_one),
		cmocka_unit_test(texts_of_others_cannot_make_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
