#include "common/data/xml.h"

static const struct xml_piece {
	const char *open, *close;
} xml_pieces[] = { { "<!--", "-->" }, { "<![CDATA[", "]]>" }, { "<?", "?>" } };

/* Past the first `end` in `s`; 0 when there is none. */
static size_t past(struct slice s, const char *end)
{
	const uint8_t *at = s.n > 0 ? memmem(s.p, s.n, end, strlen(end)) : NULL;

	return at != NULL ? (size_t)(at - s.p) + strlen(end) : 0;
}

/* The length of the tag at the start of `s`, which may hold '>' in quoted values; 0: no end. */
static size_t tag_length(struct slice s)
{
	uint8_t quote = 0;

	for (size_t i = 1; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (quote != 0)
			quote = c == quote ? 0 : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == '>')
			return i + 1;
		else if (c == '<')
			return 0;
	}
	return 0;
}

/* One tag, comment and so on at the start of `s`; changes the depth. 0: malformed. */
static size_t xml_step(struct slice s, unsigned *depth)
{
	size_t n;

	for (size_t i = 0; i < sizeof(xml_pieces) / sizeof(xml_pieces[0]); i++)
		if (slice_starts(s, slice_str(xml_pieces[i].open)))
			return past(s, xml_pieces[i].close);
	n = tag_length(s);
	if (n < 3 || s.p[1] == '!')
		return 0;
	if (s.p[1] == '/' && *depth == 0)
		return 0;
	if (s.p[1] == '/')
		--*depth;
	else if (s.p[n - 2] != '/')
		++*depth;
	return n;
}

size_t xml_length(struct slice s)
{
	unsigned depth = 0;
	struct slice in = s;
	bool element = false;

	while (in.n > 0) {
		size_t n = xml_step(in, &depth);
		ptrdiff_t next;

		if (n == 0)
			return 0;
		element |= in.p[1] != '!' && in.p[1] != '?';
		in = slice_from(in, n);
		if (depth == 0 && element)
			return s.n - in.n;
		next = slice_find(in, '<');
		in = slice_from(in, next < 0 ? in.n : (size_t)next);
	}
	return 0;
}
