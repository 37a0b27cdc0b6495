#include "protocols/imap/section.h"

static const struct {
	const char *name;
	enum section_what what;
} words[] = {
	{ "HEADER", SECTION_HEADER },
	{ "TEXT", SECTION_TEXT },
	{ "MIME", SECTION_MIME },
	{ "HEADER.FIELDS", SECTION_FIELDS },
	{ "HEADER.FIELDS.NOT", SECTION_FIELDS_NOT },
};

/* ---- reading ---- */

bool section_parse(struct slice text, bool binary, struct section *ret_section)
{
	struct section s = { .what = SECTION_ALL };
	bool more = text.n > 0;

	while (more && text.n > 0 && ascii_digit(text.p[0])) {
		bool last = slice_find(text, '.') < 0;
		uint64_t n;

		if (s.depth == IMAP_PATH_MAX || text.p[0] == '0' ||
		    slice_u64(slice_take(&text, '.'), UINT32_MAX, &n) != 0)
			return false;
		s.path[s.depth++] = (uint32_t)n;
		more = !last;
	}
	if (more) {
		size_t i = 0;

		while (i < sizeof(words) / sizeof(words[0]) &&
		       !slice_ieq(text, slice_str(words[i].name)))
			i++;
		if (binary || i == sizeof(words) / sizeof(words[0]))
			return false;
		s.what = words[i].what;
		if (s.what == SECTION_MIME && s.depth == 0)
			return false; /* RFC 3501 9: section-text behind a part only */
	}
	*ret_section = s;
	return true;
}

void section_put(const struct section *s, struct buf *out)
{
	for (unsigned i = 0; i < s->depth; i++) {
		if (i > 0)
			buf_putc(out, '.');
		buf_putu(out, s->path[i]);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].what != s->what)
			continue;
		if (s->depth > 0)
			buf_putc(out, '.');
		buf_puts(out, words[i].name);
	}
}

/* ---- finding ---- */

/* A part on the way down. */
struct node {
	struct facts_part part;
	struct slice rest; /* the parts behind it */
	/* Stands for a multipart's body where no part of it was seen (see structure_write). */
	bool plain;
};

/* Child `i` (from 1) of a part. */
static bool child(const struct node *n, uint32_t i, struct node *ret_child)
{
	struct node c = { .rest = n->rest };
	unsigned depth = n->part.depth;

	while (facts_part_next(&c.rest, &c.part) == 0 && c.part.depth > depth) {
		if (c.part.depth == depth + 1 && --i == 0) {
			*ret_child = c;
			return true;
		}
	}
	return false;
}

/* Part `i` inside a message or multipart `n`. */
static bool part_of(const struct node *n, uint32_t i, bool message, struct node *ret)
{
	struct node first;

	if (n->part.kind == MIME_MULTIPART && !n->plain) {
		if (child(n, i, ret))
			return true;
		if (i != 1 || child(n, 1, &first))
			return false;
		*ret = *n;
		ret->plain = true;
		return true;
	}
	if (!message || i != 1 || n->plain)
		return false;
	*ret = *n; /* the body of a message that is no multipart is its part 1 */
	return true;
}

/* One number further down. */
static bool step(struct node *n, uint32_t i)
{
	struct node inside, next;

	if (n->plain)
		return false;
	if (n->part.kind == MIME_MESSAGE) {
		if (child(n, 1, &inside)) {
			if (!part_of(&inside, i, true, &next))
				return false;
		} else if (i == 1) {
			next = *n; /* not looked into: its body is text */
			next.plain = true;
		} else {
			return false;
		}
	} else if (!part_of(n, i, false, &next)) {
		return false;
	}
	*n = next;
	return true;
}

static bool walk(const struct section *s, const struct facts_view *v, struct node *n)
{
	struct node root = { .rest = v->parts };

	if (facts_part_next(&root.rest, &root.part) != 0) {
		/* No structure at all: the message is one part of text. */
		root.part = (struct facts_part){ .body_start = v->body_start, .end = v->size };
	}
	if (!part_of(&root, s->path[0], true, n))
		return false;
	for (unsigned i = 1; i < s->depth; i++)
		if (!step(n, s->path[i]))
			return false;
	return true;
}

/* What the section wants of a message whose header and body are there. */
static int of_message(
    enum section_what what, uint64_t header, uint64_t body, uint64_t end, struct section_range *ret)
{
	ret->start = what == SECTION_TEXT ? body : header;
	ret->end = what == SECTION_TEXT ? end : body;
	return 0;
}

int section_find(
    const struct section *s, const struct facts_view *v, struct section_range *ret_range)
{
	struct node n, inside;

	*ret_range = (struct section_range){ 0 };
	if (s->depth == 0 && s->what == SECTION_ALL) {
		ret_range->end = v->size;
		return 0;
	}
	if (s->depth == 0)
		return of_message(s->what, 0, v->body_start, v->size, ret_range);
	if (!walk(s, v, &n))
		return SECTION_NONE;
	switch (s->what) {
	case SECTION_ALL:
		ret_range->start = n.part.body_start;
		ret_range->end = n.part.end;
		if (!n.plain && n.part.kind != MIME_MULTIPART)
			ret_range->encoding = n.part.text[MIME_ENCODING];
		return 0;
	case SECTION_MIME:
		ret_range->start = n.plain ? n.part.body_start : n.part.header_start;
		ret_range->end = n.part.body_start;
		return 0;
	case SECTION_HEADER:
	case SECTION_TEXT:
	case SECTION_FIELDS:
	case SECTION_FIELDS_NOT:
		break;
	}
	/* Only a message inside has these. */
	if (n.plain || n.part.kind != MIME_MESSAGE || !child(&n, 1, &inside))
		return SECTION_NONE;
	return of_message(
	    s->what, inside.part.header_start, inside.part.body_start, inside.part.end, ret_range);
}
