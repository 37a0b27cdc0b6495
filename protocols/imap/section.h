/*
 * section - which octets of a message a section of FETCH means (RFC 3501 6.4.5, RFC 3516 4).
 *
 * A section is a path of part numbers and what is wanted of that part. Found ranges lie inside the
 * message, whatever the facts say. Paths go by the structure that BODYSTRUCTURE shows.
 */
#pragma once

#include "common/mail/facts.h"
#include "protocols/imap/limits.h"

enum section_what {
	SECTION_ALL, /* the body of the part; without a path the whole message */
	SECTION_HEADER,
	SECTION_TEXT,
	SECTION_MIME,
	SECTION_FIELDS,
	SECTION_FIELDS_NOT,
};

struct section {
	uint32_t path[IMAP_PATH_MAX];
	unsigned depth; /* numbers in the path */
	enum section_what what;
};

/* The structure of the message must be known. */
static inline bool section_wants_parts(const struct section *s)
{
	return s->depth > 0;
}

/* It is of the header of the message itself. */
static inline bool section_is_header(const struct section *s)
{
	return s->depth == 0 && (s->what == SECTION_HEADER || s->what == SECTION_FIELDS ||
				    s->what == SECTION_FIELDS_NOT);
}

enum {
	SECTION_NONE = 1, /* there is no such part, or it has no such thing */
};

struct section_range {
	uint64_t start, end;
	/* Of a part by its number alone: its content transfer encoding, p NULL for none. */
	struct slice encoding;
};

/* 0, or SECTION_NONE. `v` has parts when the section wants them. */
int section_find(
    const struct section *s, const struct facts_view *v, struct section_range *ret_range);

/*
 * Reads "1.2.HEADER.FIELDS" (also empty): the path and the word behind it. `binary`: only numbers
 * may come (RFC 3516). False when it is no section.
 */
bool section_parse(struct slice text, bool binary, struct section *ret_section);

/* Appends the section as it stands in a response, without brackets and the names of fields. */
void section_put(const struct section *s, struct buf *out);
