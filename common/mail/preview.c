#include "common/mail/charset.h"
#include "common/mail/limits.h"
#include "common/mail/preview.h"
#include "common/mail/utf8.h"

/* Writes characters in one line, runs of blanks as one, until the limit. */
struct line {
	struct buf *out;
	unsigned chars;
	bool gap;
};

static bool line_full(const struct line *l)
{
	return l->chars >= FACTS_PREVIEW_CHARS || l->out->overflow;
}

static void line_put(struct line *l, uint32_t c)
{
	/* Blanks, controls, no-break space, zero-width fillers and soft hyphens that newsletters
	 * start with. */
	if (c <= 32 || (c >= 127 && c <= 160) || c == 0xad || c == 0x34f || c == 0xfeff ||
	    (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) || c == 0x3000) {
		l->gap = l->chars > 0;
		return;
	}
	if (l->gap && l->chars + 1 >= FACTS_PREVIEW_CHARS) {
		l->chars = FACTS_PREVIEW_CHARS;
		return;
	}
	if (l->gap) {
		utf8_put(l->out, ' ');
		l->chars++;
		l->gap = false;
	}
	utf8_put(l->out, c);
	l->chars++;
}

static const struct {
	const char *name;
	uint32_t c;
} entities[] = {
	{ "amp", '&' },
	{ "lt", '<' },
	{ "gt", '>' },
	{ "quot", '"' },
	{ "apos", '\'' },
	{ "nbsp", ' ' },
	{ "auml", 0xe4 },
	{ "ouml", 0xf6 },
	{ "uuml", 0xfc },
	{ "Auml", 0xc4 },
	{ "Ouml", 0xd6 },
	{ "Uuml", 0xdc },
	{ "szlig", 0xdf },
	{ "eacute", 0xe9 },
	{ "egrave", 0xe8 },
	{ "agrave", 0xe0 },
	{ "ccedil", 0xe7 },
	{ "copy", 0xa9 },
	{ "euro", 0x20ac },
	{ "ndash", 0x2013 },
	{ "mdash", 0x2014 },
	{ "hellip", 0x2026 },
	{ "rsquo", 0x2019 },
	{ "lsquo", 0x2018 },
	{ "ldquo", 0x201c },
	{ "rdquo", 0x201d },
};

static bool number(struct slice s, uint32_t *ret)
{
	bool hex = s.n > 1 && ascii_lower(s.p[1]) == 'x';
	uint32_t v = 0;

	s = slice_from(s, hex ? 2 : 1);
	if (s.n == 0 || s.n > 7)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = ascii_lower(s.p[i]);

		if (ascii_digit(c))
			v = v * (hex ? 16 : 10) + (uint32_t)(c - '0');
		else if (hex && c >= 'a' && c <= 'f')
			v = v * 16 + (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

/* "&name;" at the start: its octets, or 0 when '&' stands for itself. */
static size_t entity(struct slice s, uint32_t *ret)
{
	struct slice name = slice_part(s, 1, 10);
	ptrdiff_t end = slice_find(name, ';');

	if (end <= 0)
		return 0;
	name.n = (size_t)end;
	if (name.p[0] == '#')
		return number(name, ret) ? (size_t)end + 2 : 0;
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		if (slice_eq(name, slice_str(entities[i].name))) {
			*ret = entities[i].c;
			return (size_t)end + 2;
		}
	}
	return 0;
}

/* The place of `what` in `s` (ASCII, any case), or the end. */
static size_t find_text(struct slice s, struct slice what)
{
	for (size_t i = 0; i + what.n <= s.n; i++)
		if (s.p[i] == what.p[0] && slice_istarts(slice_from(s, i), what))
			return i;
	return s.n;
}

/* A tag, comment, or element whose content is not text: octets to pass over. */
static size_t tag(struct slice s)
{
	static const struct {
		const char *start, *end;
	} hidden[] = {
		{ "<!--", "-->" },
		{ "<style", "</style" },
		{ "<script", "</script" },
		{ "<head", "</head" },
		{ "<title", "</title" },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		struct slice start = slice_str(hidden[i].start);
		uint8_t after = s.n > start.n ? s.p[start.n] : '>';

		if (!slice_istarts(s, start) || (i > 0 && ascii_alpha(after)))
			continue;
		n = find_text(s, slice_str(hidden[i].end));
		break;
	}
	while (n < s.n && s.p[n] != '>')
		n++;
	return n < s.n ? n + 1 : n;
}

static void html_text(struct slice s, struct line *l)
{
	while (s.n > 0 && !line_full(l)) {
		uint32_t c = UTF8_REPLACEMENT;
		size_t n = 0;

		if (s.p[0] == '<') {
			s = slice_from(s, tag(s));
			line_put(l, ' ');
			continue;
		}
		if (s.p[0] == '&')
			n = entity(s, &c);
		if (n == 0)
			n = utf8_get(s, &c);
		line_put(l, c);
		s = slice_from(s, n > 0 ? n : 1);
	}
}

static void plain_text(struct slice s, struct line *l)
{
	while (s.n > 0 && !line_full(l)) {
		uint32_t c = UTF8_REPLACEMENT;
		unsigned n = utf8_get(s, &c);

		line_put(l, c);
		s = slice_from(s, n > 0 ? n : 1);
	}
}

void preview_make(
    struct slice raw, enum transfer how, struct slice charset, bool html, struct buf *out)
{
	struct buf bytes = BUF_INIT(FACTS_PREVIEW_HTML), text = BUF_INIT(4 * FACTS_PREVIEW_HTML);
	struct line l = { .out = out };

	transfer_decode(how, raw, &bytes);
	charset_to_utf8(charset_find(charset), buf_slice(&bytes), &text);
	if (html)
		html_text(buf_slice(&text), &l);
	else
		plain_text(buf_slice(&text), &l);
	buf_fini(&bytes);
	buf_fini(&text);
}
