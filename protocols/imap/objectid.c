/*
 * objectid - object ids (RFC 8474 7): a letter for the kind and 16 hexadecimal digits.
 */
#include "protocols/imap/imap-private.h"

enum { OURS_BYTES = 17, ANY_MAX = 255 };

static bool is_ours(struct slice text, char kind, uint64_t *ret_id)
{
	uint64_t id = 0;

	if (text.n != OURS_BYTES || text.p[0] != (uint8_t)kind)
		return false;
	for (size_t i = 1; i < text.n; i++) {
		uint8_t c = text.p[i];

		/* In lower case only: an id is compared as it is. */
		if (!ascii_digit(c) && (c < 'a' || c > 'f'))
			return false;
		id = id << 4 | (ascii_digit(c) ? c - '0' : c - 'a' + 10);
	}
	*ret_id = id;
	return id != 0; /* no message has it, and 0 means that none is known */
}

bool parse_object_id(struct parse *p, char kind, uint64_t *ret_id)
{
	struct slice text = parse_astring(p);
	bool good = text.n > 0 && text.n <= ANY_MAX;

	for (size_t i = 0; good && i < text.n; i++)
		good = ascii_digit(text.p[i]) || ascii_alpha(text.p[i]) || text.p[i] == '_' ||
		       text.p[i] == '-';
	if (parse_ok(p) && !good)
		parse_fail(p, "this is no object id");
	return parse_ok(p) && is_ours(text, kind, ret_id);
}
