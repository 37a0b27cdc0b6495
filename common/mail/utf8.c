#include "common/mail/utf8.h"

unsigned utf8_get(struct slice s, uint32_t *ret_char)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	unsigned n;

	if (s.n == 0)
		return 0;
	c = s.p[0];
	if (c < 0x80) {
		*ret_char = c;
		return 1;
	}
	n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || s.n < n)
		return 0;
	c &= 0x7fu >> n;
	for (unsigned i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return n;
}

void utf8_put(struct buf *out, uint32_t c)
{
	uint8_t raw[4];
	size_t n;

	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = UTF8_REPLACEMENT;
	if (c < 0x80) {
		raw[0] = (uint8_t)c;
		n = 1;
	} else if (c < 0x800) {
		raw[0] = (uint8_t)(0xc0 | c >> 6);
		n = 2;
	} else if (c < 0x10000) {
		raw[0] = (uint8_t)(0xe0 | c >> 12);
		n = 3;
	} else {
		raw[0] = (uint8_t)(0xf0 | c >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		raw[i] = (uint8_t)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
	buf_put(out, slice_of(raw, n));
}

bool utf8_valid(struct slice s)
{
	uint32_t c;

	while (s.n > 0) {
		unsigned n = utf8_get(s, &c);

		if (n == 0)
			return false;
		s = slice_from(s, n);
	}
	return true;
}

struct slice utf8_cut(struct slice s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s;
	for (unsigned i = 0; i < 3 && n > 0 && (s.p[n] & 0xc0) == 0x80; i++)
		n--;
	return slice_part(s, 0, (s.p[n] & 0xc0) == 0x80 ? max : n);
}
