#include "common/mail/transfer.h"

enum transfer transfer_find(struct slice name)
{
	name = slice_trim(name);
	if (slice_ieq(name, SLICE("base64")))
		return TRANSFER_BASE64;
	if (slice_ieq(name, SLICE("quoted-printable")))
		return TRANSFER_QP;
	return TRANSFER_PLAIN;
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Place for the result, which is never longer than the source; as much of it as fits `out`. */
static uint8_t *result_room(struct slice in, struct buf *out, size_t *ret_max)
{
	*ret_max = out->max - out->n < in.n ? out->max - out->n : in.n;
	return buf_room(out, *ret_max);
}

static void decode_base64(struct slice in, struct buf *out)
{
	uint32_t group = 0;
	unsigned bits = 0;
	size_t max, n = 0;
	uint8_t *to = result_room(in, out, &max);

	for (size_t i = 0; to != NULL && i < in.n && n < max; i++) {
		int v = base64_value(in.p[i]);

		if (in.p[i] == '=') {
			/* Padding ends a group; another text may follow (it is seen in joined
			 * words).
			 */
			bits = 0;
			continue;
		}
		if (v < 0)
			continue;
		group = (group << 6 | (uint32_t)v) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			to[n++] = (uint8_t)(group >> bits);
		}
	}
	buf_wrote(out, n);
}

static int hex_value(uint8_t c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Octets of the escape at the start of `s`: 0 when it is none and '=' stands for itself. *ret_byte
 * is what it means, -1 for a soft line break.
 */
static size_t qp_escape(struct slice s, int *ret_byte)
{
	size_t i = 1;

	*ret_byte = -1;
	if (s.n >= 3 && hex_value(s.p[1]) >= 0 && hex_value(s.p[2]) >= 0) {
		*ret_byte = hex_value(s.p[1]) << 4 | hex_value(s.p[2]);
		return 3;
	}
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r'))
		i++;
	if (i < s.n && s.p[i] == '\n')
		return i + 1;
	return i == s.n ? i : 0;
}

static void decode_qp(struct slice in, bool word, struct buf *out)
{
	size_t i = 0, max, n = 0;
	uint8_t *to = result_room(in, out, &max);

	while (to != NULL && i < in.n && n < max) {
		int byte;
		size_t used = in.p[i] == '=' ? qp_escape(slice_from(in, i), &byte) : 0;

		if (used == 0) {
			byte = word && in.p[i] == '_' ? ' ' : in.p[i];
			used = 1;
		}
		if (byte >= 0)
			to[n++] = (uint8_t)byte;
		i += used;
	}
	buf_wrote(out, n);
}

void transfer_decode_q(struct slice in, struct buf *out)
{
	decode_qp(in, true, out);
}

void transfer_decode(enum transfer how, struct slice in, struct buf *out)
{
	if (how == TRANSFER_BASE64) {
		decode_base64(in, out);
	} else if (how == TRANSFER_QP) {
		decode_qp(in, false, out);
	} else {
		size_t room = out->max - out->n;

		buf_put(out, slice_part(in, 0, room));
	}
}
