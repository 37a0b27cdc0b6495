#include "common/mail/charset.h"
#include "common/mail/limits.h"
#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/mail/word.h"

struct word {
	const struct charset *charset;
	bool base64;
	struct slice text;
	size_t size; /* octets in the source */
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Length of the run that ends at `stop`, or at a blank or at the end: -1 then. */
static ptrdiff_t until(struct slice s, uint8_t stop)
{
	for (size_t i = 0; i < s.n && i < WORD_MAX; i++) {
		if (s.p[i] == stop)
			return (ptrdiff_t)i;
		if (is_blank(s.p[i]))
			return -1;
	}
	return -1;
}

/* =?charset?encoding?text?= with no blank inside (RFC 2047 2). Blanks in Q text are seen and
 * refused. */
static bool word_get(struct slice s, struct word *ret)
{
	struct slice left = slice_from(s, 2), name;
	ptrdiff_t n;

	if (!slice_starts(s, SLICE("=?")))
		return false;
	n = until(left, '?');
	if (n <= 0)
		return false;
	name = slice_part(left, 0, (size_t)n);
	left = slice_from(left, (size_t)n + 1);
	name = slice_take(&name, '*');
	if (left.n < 2 || left.p[1] != '?')
		return false;
	ret->base64 = ascii_lower(left.p[0]) == 'b';
	if (!ret->base64 && ascii_lower(left.p[0]) != 'q')
		return false;
	left = slice_from(left, 2);
	n = until(left, '?');
	if (n < 0 || left.n < (size_t)n + 2 || left.p[n + 1] != '=')
		return false;
	ret->charset = charset_find(name);
	ret->text = slice_part(left, 0, (size_t)n);
	ret->size = (size_t)(left.p + n + 2 - s.p);
	return ret->charset != NULL;
}

static size_t blanks(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_blank(s.p[n]))
		n++;
	return n;
}

static void put_text(struct slice s, struct buf *out)
{
	while (s.n > 0 && !out->overflow) {
		uint32_t c = UTF8_REPLACEMENT;
		unsigned n = utf8_get(s, &c);

		utf8_put(out, c < 32 || c == 127 ? ' ' : c);
		s = slice_from(s, n > 0 ? n : 1);
	}
}

/*
 * All words from the start of `text` that belong together: same charset, only blanks between them.
 * Gives the octets passed; the blanks after the last word are not among them.
 */
static size_t words_decode(struct slice text, const struct word *first, struct buf *out)
{
	struct buf raw = BUF_INIT(WORD_RUN_MAX), utf8 = BUF_INIT(4 * WORD_RUN_MAX);
	const struct charset *charset = first->charset;
	struct word w = *first;
	size_t at = 0;

	for (;;) {
		size_t gap;

		if (w.base64)
			transfer_decode(TRANSFER_BASE64, w.text, &raw);
		else
			transfer_decode_q(w.text, &raw);
		at += w.size;
		gap = blanks(slice_from(text, at));
		if (gap == 0 || raw.n > WORD_RUN_MAX / 2 ||
		    !word_get(slice_from(text, at + gap), &w) || w.charset != charset)
			break;
		at += gap;
	}
	charset_to_utf8(charset, buf_slice(&raw), &utf8);
	put_text(buf_slice(&utf8), out);
	buf_fini(&raw);
	buf_fini(&utf8);
	return at;
}

void word_decode(struct slice text, struct buf *out)
{
	bool after_word = false;

	while (text.n > 0 && !out->overflow) {
		size_t gap = blanks(text), n = 0;
		struct slice rest = slice_from(text, gap);
		struct word w;

		if (word_get(rest, &w)) {
			if (!after_word)
				put_text(slice_part(text, 0, gap), out);
			n = words_decode(rest, &w, out);
			text = slice_from(rest, n);
			after_word = true;
			continue;
		}
		/* The next place where a word may begin. */
		n = rest.n > 0;
		while (n < rest.n && !is_blank(rest.p[n]) &&
		       !(rest.p[n] == '=' && n + 1 < rest.n && rest.p[n + 1] == '?'))
			n++;
		put_text(slice_part(text, 0, gap + n), out);
		text = slice_from(rest, n);
		after_word = false;
	}
}
