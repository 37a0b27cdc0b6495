#include "common/front/text.h"

#include "common/front/limits.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int text_base64_encode(struct slice in, struct buf *out)
{
	uint8_t *o = buf_room(out, (in.n + 2) / 3 * 4);

	if (o == NULL)
		return 1;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)in.p[i] << 16 | (left > 1 ? (uint32_t)in.p[i + 1] << 8 : 0) |
			     (left > 2 ? in.p[i + 2] : 0);

		*o++ = (uint8_t)digits[v >> 18];
		*o++ = (uint8_t)digits[v >> 12 & 63];
		*o++ = (uint8_t)(left > 1 ? digits[v >> 6 & 63] : '=');
		*o++ = (uint8_t)(left > 2 ? digits[v & 63] : '=');
	}
	buf_wrote(out, (in.n + 2) / 3 * 4);
	return 0;
}

static int digit_value(uint8_t c)
{
	const char *at = c != '\0' ? memchr(digits, c, 64) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Four characters to one to three bytes; 0 when they are no base64. `last` allows padding. */
static unsigned quad_decode(const uint8_t *p, bool last, uint8_t *o)
{
	unsigned pad = !last ? 0 : p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		int d = i >= 4 - pad ? 0 : digit_value(p[i]);

		if (d < 0)
			return 0;
		v = v << 6 | (uint32_t)d;
	}
	if ((pad == 2 && (v & 0xffff) != 0) || (pad == 1 && (v & 0xff) != 0))
		return 0;
	o[0] = (uint8_t)(v >> 16);
	o[1] = (uint8_t)(v >> 8);
	o[2] = (uint8_t)v;
	return 3 - pad;
}

int text_base64_decode(struct slice in, struct buf *out)
{
	if (in.n % 4 != 0)
		return 1;
	for (size_t i = 0; i < in.n; i += 4) {
		uint8_t three[3];
		unsigned n = quad_decode(in.p + i, i + 4 == in.n, three);

		if (n == 0 || buf_put(out, slice_of(three, n)) != 0)
			return 1;
	}
	return 0;
}

void text_put_safe(struct buf *out, struct slice s, bool utf8)
{
	s = slice_part(s, 0, FRONT_TEXT_MAX);
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		buf_putc(out, c < ' ' || c == 0x7f || (c > 0x7f && !utf8) ? '?' : c);
	}
}
