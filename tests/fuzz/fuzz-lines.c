/*
 * The lines of helpers: any answer is taken whole or not at all, within its limits; any name and
 * password become one line of printable ASCII from which they come back.
 */
#include "authd/external/lines.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static uint8_t hex(uint8_t c)
{
	return (uint8_t)(ascii_digit(c) ? c - '0' : c - 'A' + 10);
}

static void comes_back(struct slice word, struct slice from)
{
	size_t n = 0;

	for (size_t i = 0; i < word.n; i++, n++) {
		uint8_t c = word.p[i];

		if (c == '%') {
			c = (uint8_t)(hex(word.p[i + 1]) << 4 | hex(word.p[i + 2]));
			i += 2;
		}
		assert(n < from.n && from.p[n] == c);
	}
	assert(n == from.n);
}

static void question(struct slice in)
{
	struct buf out = BUF_INIT(2 * ASK_MAX_BYTES);
	struct line_question q;
	struct slice password = in, name = slice_take(&password, 0), line;

	if (line_put_check(&out, 7, name, SLICE("pop3"), SLICE_NONE, password) == 0) {
		line = buf_slice(&out);
		assert(line.n <= ASK_MAX_BYTES && line.p[line.n - 1] == '\n');
		line.n--;
		for (size_t i = 0; i < line.n; i++)
			assert(line.p[i] >= 0x20 && line.p[i] < 0x7f);
		if (slice_find(in, 0) == (ptrdiff_t)name.n && slice_find(password, 0) < 0 &&
		    name.n <= NAME_BYTES && password.n <= PASSWORD_BYTES) {
			assert(line_read_question(line, &q) == 0 && q.number == 7);
			assert(slice_eq(slice_str(q.name), name));
			assert(slice_eq(slice_str(q.password), password));
		}
		assert(slice_eq(slice_take(&line, ' '), SLICE("7")));
		assert(slice_eq(slice_take(&line, ' '), SLICE("CHECK")));
		comes_back(slice_take(&line, ' '), name);
		assert(slice_eq(slice_take(&line, ' '), SLICE("pop3")));
		assert(slice_eq(slice_take(&line, ' '), SLICE("-")));
		comes_back(line, password);
	} else {
		assert(out.n == 0 && !out.overflow);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct line_question q;
	struct line_answer a;

	if (line_read(in, &a) == 0) {
		assert(a.status <= LINE_LATER && a.real_name_n <= REAL_NAME_BYTES);
		assert(a.quota_bytes <= INT64_MAX);
		assert(a.status == LINE_OK || !(a.keep || a.check || a.create));
		for (size_t i = 0; i < a.real_name_n; i++)
			assert(a.real_name[i] >= 0x20);
	}
	(void)line_read_question(in, &q);
	question(in);
	return 0;
}
