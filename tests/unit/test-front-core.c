/* common/front: the line reader and the texts that all line protocols share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/front/limits.h"
#include "common/front/line.h"
#include "common/front/proxy.h"
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

/* ---- PROXY ---- */

#define SIG  "\r\n\r\n\0\r\nQUIT\n"
#define TCP4 "\x0c\xc0\0\2\1\xc0\0\2\2\x30\x39\0\x6e"
#define TCP6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"

static const struct {
	const char *name;
	struct slice in;
	enum proxy_answer answer;
	const char *peer, *local; /* NULL: the connection's own */
} headers[] = {
	{ "TCP over IPv4", LIT(SIG "\x21\x11\0" TCP4), PROXY_DONE, "192.0.2.1", "192.0.2.2" },
	{ "TCP over IPv6", LIT(SIG "\x21\x21\0\x24" TCP6 "\1" TCP6 "\2\0\1\0\2"), PROXY_DONE,
	    "2001:db8::1", "2001:db8::2" },
	{ "an address that was mapped",
	    LIT(SIG "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1" TCP6 "\2\0\1\0\2"),
	    PROXY_DONE, "192.0.2.1", "2001:db8::2" },
	{ "with more behind the addresses",
	    LIT(SIG "\x21\x11\0\x0f\xc0\0\2\1\xc0\0\2\2\x30\x39\0\x6e\4\0\0"), PROXY_DONE,
	    "192.0.2.1", "192.0.2.2" },
	{ "the proxy for itself", LIT(SIG "\x20\0\0\0"), PROXY_DONE, NULL, NULL },
	{ "for itself, with something to skip", LIT(SIG "\x20\x11\0\2ab"), PROXY_DONE, NULL, NULL },
	{ "of no family", LIT(SIG "\x21\0\0\0"), PROXY_DONE, NULL, NULL },
	{ "half of it", LIT(SIG "\x21\x11\0\x0c\xc0\0"), PROXY_MORE, NULL, NULL },
	{ "another signature", LIT("\r\n\r\n\0\r\nQUIT\r\x21\x11\0" TCP4), PROXY_BAD, NULL, NULL },
	{ "the text form", LIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), PROXY_BAD, NULL, NULL },
	{ "no header at all", LIT("U"), PROXY_BAD, NULL, NULL },
	{ "version 1", LIT(SIG "\x11\x11\0" TCP4), PROXY_BAD, NULL, NULL },
	{ "another command", LIT(SIG "\x22\x11\0" TCP4), PROXY_BAD, NULL, NULL },
	{ "UDP", LIT(SIG "\x21\x12\0" TCP4), PROXY_BAD, NULL, NULL },
	{ "a Unix socket", LIT(SIG "\x21\x31\0" TCP4), PROXY_BAD, NULL, NULL },
	{ "addresses cut short", LIT(SIG "\x21\x11\0\2ab"), PROXY_BAD, NULL, NULL },
	{ "too long", LIT(SIG "\x21\x11\1\0"), PROXY_BAD, NULL, NULL },
};

static void a_proxy_header_is_read_to_its_last_byte(void **state)
{
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct slice in = headers[i].in;
		enum proxy_answer a = PROXY_MORE;
		struct proxy_header h = { 0 };
		size_t at = 0, need = PROXY_PREFIX_BYTES;
		char peer[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX];

		while (a == PROXY_MORE && at < in.n)
			a = proxy_parse(slice_part(in, 0, ++at), 100, &h, &need);
		if (a != headers[i].answer || (a == PROXY_DONE && at != in.n))
			fail_msg("%s: %d after %zu bytes", headers[i].name, a, at);
		if (a != PROXY_DONE)
			continue;
		assert_int_equal(need, in.n);
		assert_int_equal(h.none, headers[i].peer == NULL);
		if (h.none)
			continue;
		assert_string_equal(addr_ip_text(&h.peer, peer), headers[i].peer);
		assert_string_equal(addr_ip_text(&h.local, local), headers[i].local);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_ends_with_cr_lf_and_nothing_else),
		cmocka_unit_test(a_long_line_is_forgotten_as_it_comes),
		cmocka_unit_test(base64_goes_both_ways_and_only_one),
		cmocka_unit_test(texts_of_others_cannot_make_a_line),
		cmocka_unit_test(a_proxy_header_is_read_to_its_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
