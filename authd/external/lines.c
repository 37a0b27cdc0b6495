#include "authd/external/lines.h"

#include <string.h>

/* ---- ours ---- */

static bool goes_as_it_is(uint8_t c)
{
	return ascii_alpha(c) || ascii_digit(c) || (c != 0 && strchr("@._-+:/,~", c) != NULL);
}

static void put_word(struct buf *out, struct slice word)
{
	static const char hex[] = "0123456789ABCDEF";

	buf_putc(out, ' ');
	for (size_t i = 0; i < word.n; i++) {
		uint8_t c = word.p[i];

		if (goes_as_it_is(c)) {
			buf_putc(out, c);
		} else {
			buf_putc(out, '%');
			buf_putc(out, (uint8_t)hex[c >> 4]);
			buf_putc(out, (uint8_t)hex[c & 15]);
		}
	}
}

/* A word without bytes could not be told from none: `n_must` of them hold some. */
static int put_line(
    struct buf *out, uint64_t number, const char *verb, const struct slice *words, size_t n_must)
{
	size_t before = out->n;
	bool bad = out->overflow;

	buf_putu(out, number);
	buf_putc(out, ' ');
	buf_puts(out, verb);
	for (size_t i = 0; i < n_must; i++) {
		bad |= words[i].n == 0;
		put_word(out, words[i]);
	}
	buf_putc(out, '\n');
	bad |= out->overflow || out->n - before > ASK_MAX_BYTES;
	if (!bad)
		return 0;
	buf_trunc(out, before);
	out->overflow = false;
	return 1;
}

int line_put_hello(struct buf *out, uint64_t number)
{
	const struct slice version = SLICE("1");

	return put_line(out, number, "HELLO", &version, 1);
}

int line_put_check(struct buf *out, uint64_t number, struct slice name, struct slice service,
    struct slice peer, struct slice password)
{
	const struct slice words[] = { name, service, peer.n > 0 ? peer : SLICE("-"), password };

	return put_line(out, number, "CHECK", words, 4);
}

int line_put_create(
    struct buf *out, uint64_t number, struct slice name, struct slice why, struct slice password)
{
	const struct slice words[] = { name, why, password };

	return put_line(out, number, "CREATE", words, password.n > 0 ? 3 : 2);
}

/* ---- theirs ---- */

static int hex_value(uint8_t c)
{
	c = ascii_lower(c);
	return ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* At most `max` bytes, none of them below `least`: 0 or 1. */
static int unescape(struct slice in, int least, uint8_t *out, size_t max, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		int c = in.p[i];

		if (c == '%') {
			int hi = in.n - i > 2 ? hex_value(in.p[i + 1]) : -1;
			int lo = in.n - i > 2 ? hex_value(in.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return 1;
			c = hi << 4 | lo;
			i += 2;
		}
		if (c < least || n == max)
			return 1;
		out[n++] = (uint8_t)c;
	}
	*ret_n = n;
	return 0;
}

/* A word behind OK. One with a '=' that we do not know is of a later version, and skipped. */
static int read_fact(struct slice word, struct line_answer *a)
{
	struct slice value = word, key = slice_take(&value, '=');

	if (key.n == word.n) {
		a->check |= slice_eq(word, SLICE("CHECK"));
		a->create |= slice_eq(word, SLICE("CREATE"));
		return a->number == 1 ? 0 : 1; /* features come with the answer to HELLO only */
	}
	if (slice_eq(key, SLICE("keep"))) {
		a->keep = slice_eq(value, SLICE("yes"));
		return a->keep || slice_eq(value, SLICE("no")) ? 0 : 1;
	}
	if (slice_eq(key, SLICE("quota")))
		return slice_u64(value, INT64_MAX, &a->quota_bytes);
	if (slice_eq(key, SLICE("name")))
		return unescape(value, ' ', a->real_name, sizeof(a->real_name), &a->real_name_n);
	return key.n > 0 ? 0 : 1;
}

static const char *const status_words[] = {
	[LINE_OK] = "OK", [LINE_NO] = "NO", [LINE_UNKNOWN] = "UNKNOWN", [LINE_LATER] = "LATER"
};

static int read_status(struct slice word, enum line_status *ret)
{
	for (size_t i = 0; i < sizeof(status_words) / sizeof(status_words[0]); i++) {
		if (!slice_eq(word, slice_str(status_words[i])))
			continue;
		*ret = (enum line_status)i;
		return 0;
	}
	return 1;
}

int line_read(struct slice line, struct line_answer *ret)
{
	struct line_answer a = { 0 };
	struct slice number = slice_take(&line, ' '), status = slice_take(&line, ' ');

	if (slice_u64(number, UINT64_MAX, &a.number) != 0 || read_status(status, &a.status) != 0)
		return 1;
	while (line.n > 0) {
		struct slice word = slice_take(&line, ' ');

		if (a.status != LINE_OK || word.n == 0 || read_fact(word, &a) != 0)
			return 1;
	}
	*ret = a;
	return 0;
}

/* ---- the helper's side ---- */

static int read_word(struct slice *line, char *out, size_t size)
{
	struct slice word = slice_take(line, ' ');
	size_t n;

	if (word.n == 0 || unescape(word, 1, (uint8_t *)out, size - 1, &n) != 0)
		return 1;
	out[n] = '\0';
	return 0;
}

int line_read_question(struct slice line, struct line_question *ret)
{
	static const char *const verbs[] = {
		[LINE_HELLO] = "HELLO", [LINE_CHECK] = "CHECK", [LINE_CREATE] = "CREATE"
	};
	struct slice number = slice_take(&line, ' '), verb = slice_take(&line, ' ');
	size_t v = 0;

	*ret = (struct line_question){ 0 };
	while (v < 3 && !slice_eq(verb, slice_str(verbs[v])))
		v++;
	if (v == 3 || slice_u64(number, UINT64_MAX, &ret->number) != 0)
		return 1;
	ret->verb = (enum line_verb)v;
	if (ret->verb == LINE_HELLO)
		return line.n == 0;
	if (read_word(&line, ret->name, sizeof(ret->name)) != 0 ||
	    read_word(&line, ret->service, sizeof(ret->service)) != 0)
		return 1;
	if (ret->verb == LINE_CHECK && read_word(&line, ret->peer, sizeof(ret->peer)) != 0)
		return 1;
	if (line.n == 0)
		return ret->verb == LINE_CHECK;
	return read_word(&line, ret->password, sizeof(ret->password)) != 0 || line.n > 0;
}

int line_put_answer(struct buf *out, uint64_t number, enum line_status status, const char *facts)
{
	buf_putu(out, number);
	buf_putc(out, ' ');
	buf_puts(out, status_words[status]);
	buf_puts(out, facts);
	return buf_putc(out, '\n');
}
