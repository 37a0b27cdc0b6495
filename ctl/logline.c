#include "ctl/logline.h"

static bool take_word(struct slice *s, struct slice *ret)
{
	*ret = slice_take(s, ' ');
	return ret->n > 0;
}

static bool is_level(struct slice s)
{
	static const char *const words[] = { "emergency", "alert", "critical", "error", "warning",
		"notice", "info", "debug" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_eq(s, slice_str(words[i])))
			return true;
	return false;
}

/* "2026-11-22T00:53:16..." */
static bool is_time(struct slice s)
{
	return s.n >= 19 && s.p[4] == '-' && s.p[7] == '-' && s.p[10] == 'T' && s.p[13] == ':';
}

bool logline_parse(struct slice line, struct logline *ret)
{
	struct slice word, rest = line;

	*ret = (struct logline){ 0 };
	if (rest.n > 0 && rest.p[rest.n - 1] == '\n')
		rest.n--;
	if (!take_word(&rest, &word))
		return false;
	if (is_time(word)) {
		ret->time = word;
		if (!take_word(&rest, &word))
			return false;
	}
	ret->process = word;
	if (!take_word(&rest, &ret->level))
		return false;
	/* The journal puts the machine and "gatehouse[12]:" before what we wrote. */
	if (!is_level(ret->level) && ret->level.p[ret->level.n - 1] == ':' &&
	    (!take_word(&rest, &ret->process) || !take_word(&rest, &ret->level)))
		return false;
	if (!is_level(ret->level) || !take_word(&rest, &word))
		return false;
	if (slice_starts(word, SLICE("sid="))) {
		ret->sid = slice_from(word, 4);
		if (!take_word(&rest, &word))
			return false;
	}
	ret->event = word;
	ret->keys = rest;
	return slice_find(word, '.') > 0;
}

/* Bytes of the value at the start of `s`. */
static size_t value_length(struct slice s)
{
	ptrdiff_t blank;

	if (s.n == 0 || s.p[0] != '"') {
		blank = slice_find(s, ' ');
		return blank < 0 ? s.n : (size_t)blank;
	}
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return s.n;
}

bool logline_key(struct slice *keys, struct slice *ret_key, struct slice *ret_raw)
{
	size_t n;

	while (keys->n > 0 && keys->p[0] == ' ')
		*keys = slice_from(*keys, 1);
	if (slice_find(*keys, '=') <= 0)
		return false;
	*ret_key = slice_take(keys, '=');
	n = value_length(*keys);
	*ret_raw = slice_part(*keys, 0, n);
	*keys = slice_from(*keys, n);
	/* "..." behind a value that was cut. */
	if (keys->n > 0 && keys->p[0] != ' ')
		slice_take(keys, ' ');
	return true;
}

static unsigned hex(uint8_t c)
{
	c = ascii_lower(c);
	if (ascii_digit(c))
		return c - (unsigned)'0';
	return c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10 : 0;
}

void logline_value(struct slice raw, struct buf *out)
{
	if (raw.n == 0 || raw.p[0] != '"') {
		buf_put(out, raw);
		return;
	}
	for (size_t i = 1; i < raw.n; i++) {
		uint8_t c = raw.p[i];

		if (c == '"')
			return;
		if (c != '\\' || i + 1 >= raw.n) {
			buf_putc(out, c);
		} else if (raw.p[i + 1] == 'x' && i + 3 < raw.n) {
			buf_putc(out, (uint8_t)(hex(raw.p[i + 2]) << 4 | hex(raw.p[i + 3])));
			i += 3;
		} else {
			buf_putc(out, raw.p[++i]);
		}
	}
}

bool logline_is(const struct logline *l, const char *key, struct slice text)
{
	struct slice keys = l->keys, k, raw;
	struct buf b = BUF_INIT(4096);
	bool same = false;

	while (!same && logline_key(&keys, &k, &raw)) {
		if (!slice_eq(k, slice_str(key)))
			continue;
		buf_reset(&b);
		logline_value(raw, &b);
		same = slice_ieq(buf_slice(&b), text);
	}
	buf_fini(&b);
	return same;
}
