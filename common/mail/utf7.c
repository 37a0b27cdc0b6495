#include "common/mail/utf7.h"

#include "common/mail/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* UTF-16 units that wait for their bits to make letters. */
struct shift {
	struct buf *out;
	bool on;
	uint32_t bits;
	unsigned n;
};

static void shift_unit(struct shift *s, uint32_t unit)
{
	if (!s->on)
		buf_putc(s->out, '&');
	s->on = true;
	s->bits = s->bits << 16 | unit;
	s->n += 16;
	while (s->n >= 6) {
		s->n -= 6;
		buf_putc(s->out, (uint8_t)alphabet[s->bits >> s->n & 63]);
	}
}

static void shift_end(struct shift *s)
{
	if (!s->on)
		return;
	if (s->n > 0)
		buf_putc(s->out, (uint8_t)alphabet[s->bits << (6 - s->n) & 63]);
	buf_putc(s->out, '-');
	*s = (struct shift){ .out = s->out };
}

void utf7_encode(struct slice utf8, struct buf *out)
{
	struct shift s = { .out = out };

	while (utf8.n > 0) {
		uint32_t c = UTF8_REPLACEMENT;
		unsigned n = utf8_get(utf8, &c);

		utf8 = slice_from(utf8, n > 0 ? n : 1);
		if (c >= 0x20 && c < 0x7f) {
			shift_end(&s);
			buf_putc(out, (uint8_t)c);
			if (c == '&')
				buf_putc(out, '-');
		} else if (c >= 0x10000) {
			shift_unit(&s, 0xd800 + ((c - 0x10000) >> 10));
			shift_unit(&s, 0xdc00 + ((c - 0x10000) & 0x3ff));
		} else {
			shift_unit(&s, c);
		}
	}
	shift_end(&s);
}

static int letter_value(uint8_t c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

/* The letters between '&' and '-': UTF-16 without a unit of printable ASCII or half a pair. */
static int decode_shift(struct slice letters, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;

	for (size_t i = 0; i < letters.n; i++) {
		int v = letter_value(letters.p[i]);
		uint32_t unit;

		if (v < 0)
			return UTF7_BAD;
		bits = bits << 6 | (uint32_t)v;
		n += 6;
		if (n < 16)
			continue;
		n -= 16;
		unit = bits >> n & 0xffff;
		if ((unit >= 0x20 && unit < 0x7f) ||
		    (high != 0) != (unit >= 0xdc00 && unit < 0xe000))
			return UTF7_BAD;
		if (high != 0)
			utf8_put(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
		else if (unit < 0xd800 || unit >= 0xe000)
			utf8_put(out, unit);
		high = high == 0 && unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
	}
	/* What is left over is less than a letter, and of zeros. */
	return high != 0 || n >= 6 || (bits & ((1u << n) - 1)) != 0 ? UTF7_BAD : 0;
}

int utf7_decode(struct slice name, struct buf *out)
{
	size_t before = out->n;
	bool shifted = false; /* the run before ended here: another would be one with it */

	while (name.n > 0) {
		uint8_t c = name.p[0];
		ptrdiff_t minus = c == '&' ? slice_find(name, '-') : 0;

		if (c < 0x20 || c >= 0x7f || minus < 0)
			break;
		if (c != '&')
			buf_putc(out, c);
		else if (minus == 1)
			buf_putc(out, '&');
		else if (shifted || decode_shift(slice_part(name, 1, (size_t)minus - 1), out) != 0)
			break;
		shifted = c == '&' && minus > 1;
		name = slice_from(name, (size_t)minus + 1);
	}
	if (name.n == 0)
		return 0;
	buf_trunc(out, before);
	return UTF7_BAD;
}
