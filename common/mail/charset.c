#include "common/mail/charset.h"
#include "common/mail/charset-private.h"
#include "common/mail/utf8.h"

const struct charset *charset_find(struct slice name)
{
	uint8_t low[32];
	unsigned from = 0, to = charset_name_count;

	name = slice_trim(name);
	if (name.n == 0 || name.n > sizeof(low))
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		low[i] = ascii_lower(name.p[i]);
	while (from < to) {
		unsigned mid = from + (to - from) / 2;
		int r = slice_cmp(slice_of(low, name.n), slice_str(charset_names[mid].name));

		if (r == 0)
			return &charset_names[mid].charset;
		if (r < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

/* One character off the front of `s`: octets used, at least 1. */
static size_t get_utf8(struct slice s, uint32_t *ret)
{
	unsigned n = utf8_get(s, ret);

	if (n > 0)
		return n;
	*ret = UTF8_REPLACEMENT;
	return 1;
}

static uint32_t pair(const uint16_t *table, uint8_t lead, uint8_t trail)
{
	if (lead < 0x81 || lead == 0xff || trail < 0x40 || trail == 0xff)
		return 0;
	return table[(lead - 0x81u) * CHARSET_TRAILS + (trail - 0x40u)];
}

/* An unknown pair takes its second byte along only when that is not ASCII, so that markup survives.
 */
static size_t get_pair(const struct charset *c, struct slice s, uint32_t *ret)
{
	uint8_t lead = s.p[0];

	if (lead < 0x80) {
		*ret = lead;
		return 1;
	}
	if (c->kind == CHARSET_SHIFT_JIS && lead >= 0xa1 && lead <= 0xdf) {
		*ret = 0xff61u + (lead - 0xa1u);
		return 1;
	}
	if (c->kind == CHARSET_EUC_JP && lead == 0x8e && s.n > 1 && s.p[1] >= 0xa1 &&
	    s.p[1] <= 0xdf) {
		*ret = 0xff61u + (s.p[1] - 0xa1u);
		return 2;
	}
	*ret = s.n > 1 ? pair(c->table, lead, s.p[1]) : 0;
	if (*ret != 0)
		return 2;
	*ret = UTF8_REPLACEMENT;
	return s.n > 1 && s.p[1] >= 0x80 ? 2 : 1;
}

static size_t get_utf16(struct slice s, bool little, uint32_t *ret)
{
	uint32_t a, b;

	*ret = UTF8_REPLACEMENT;
	if (s.n < 2)
		return s.n;
	a = little ? s.p[0] | (uint32_t)s.p[1] << 8 : s.p[1] | (uint32_t)s.p[0] << 8;
	if (a < 0xd800 || a > 0xdfff) {
		*ret = a;
		return 2;
	}
	if (a > 0xdbff || s.n < 4)
		return 2;
	b = little ? s.p[2] | (uint32_t)s.p[3] << 8 : s.p[3] | (uint32_t)s.p[2] << 8;
	if (b < 0xdc00 || b > 0xdfff)
		return 2;
	*ret = 0x10000 + ((a - 0xd800) << 10 | (b - 0xdc00));
	return 4;
}

static void utf16_to_utf8(struct slice in, bool little, struct buf *out)
{
	while (in.n > 0 && !out->overflow) {
		uint32_t ch;

		in = slice_from(in, get_utf16(in, little, &ch));
		if (ch != 0xfeff)
			utf8_put(out, ch);
	}
}

/* RFC 1468: ESC ( B and ESC ( J are one-byte, ESC $ @ and ESC $ B pairs, ESC ( I kana. */
static void iso_2022_jp_to_utf8(const uint16_t *table, struct slice in, struct buf *out)
{
	enum { ASCII, PAIRS, KANA } mode = ASCII;

	while (in.n > 0 && !out->overflow) {
		uint8_t b = in.p[0];
		uint32_t ch = b;
		size_t n = 1;

		if (b == 0x1b && in.n >= 3 && (in.p[1] == '(' || in.p[1] == '$')) {
			mode = in.p[1] == '$' ? PAIRS : in.p[2] == 'I' ? KANA : ASCII;
			in = slice_from(in, 3);
			continue;
		}
		if (b >= 0x80) {
			ch = UTF8_REPLACEMENT;
		} else if (b > 0x20 && mode == PAIRS) {
			ch = in.n > 1 ? pair(table, b | 0x80, in.p[1] | 0x80) : 0;
			n = in.n > 1 && in.p[1] > 0x20 ? 2 : 1;
			ch = ch == 0 || n == 1 ? UTF8_REPLACEMENT : ch;
		} else if (b > 0x20 && b < 0x60 && mode == KANA) {
			ch = 0xff61u + (b - 0x21u);
		} else if (b == '\n') {
			mode = ASCII;
		}
		utf8_put(out, ch);
		in = slice_from(in, n);
	}
}

/* ASCII at the start of `in`, which all of these charsets share: octets appended. */
static size_t ascii_run(struct slice in, struct buf *out)
{
	size_t n = 0, room = out->max - out->n;

	while (n < in.n && in.p[n] < 0x80)
		n++;
	if (n > room)
		n = room;
	buf_put(out, slice_part(in, 0, n));
	return n;
}

static void bytes_to_utf8(const struct charset *c, struct slice in, struct buf *out)
{
	while (in.n > 0 && !out->overflow) {
		uint32_t ch;
		size_t n;

		in = slice_from(in, ascii_run(in, out));
		if (in.n == 0)
			break;
		ch = in.p[0];
		n = 1;
		if (c == NULL || c->kind == CHARSET_UTF8) {
			n = get_utf8(in, &ch);
		} else if (c->kind != CHARSET_ONE_BYTE) {
			n = get_pair(c, in, &ch);
		} else if (ch >= 0x80) {
			ch = c->table[ch - 0x80];
			ch = ch != 0 ? ch : UTF8_REPLACEMENT;
		}
		utf8_put(out, ch);
		in = slice_from(in, n);
	}
}

void charset_to_utf8(const struct charset *c, struct slice in, struct buf *out)
{
	enum charset_kind kind = c != NULL ? c->kind : CHARSET_UTF8;

	if (kind == CHARSET_UTF16LE || kind == CHARSET_UTF16BE || kind == CHARSET_UTF16) {
		bool marked = in.n >= 2 && in.p[0] == 0xff && in.p[1] == 0xfe;

		utf16_to_utf8(
		    in, kind == CHARSET_UTF16LE || (kind == CHARSET_UTF16 && marked), out);
	} else if (kind == CHARSET_ISO_2022_JP) {
		iso_2022_jp_to_utf8(c->table, in, out);
	} else {
		bytes_to_utf8(c, in, out);
	}
}
