/*
 * header - the fields of a header section (RFC 5322 2.2, obsolete forms of 4.5), by exact offsets.
 *
 * Anything is accepted: a line ends at LF, with or without CR before it; a line that is no field is
 * passed over together with its folded lines. Offsets always add up: fields are in order, never
 * overlap, never pass the block. The header ends at the first empty line and nowhere else, so that
 * every reader of a message (TOP, FETCH, a client) finds the same end.
 */
#pragma once

#include "common/base/buf.h"

struct header_field {
	struct slice name;  /* without the colon and blanks before it */
	struct slice value; /* after the colon, folds inside, without the last line end */
	size_t start, end;  /* in the block; end is after the last line end */
};

struct header_iter {
	struct slice block;
	size_t at; /* after the loop: where the header ended, past the empty line */
};

enum {
	HEADER_DONE = 1,
};

static inline struct header_iter header_iter(struct slice block)
{
	return (struct header_iter){ block, 0 };
}

/* The next field: 0, or HEADER_DONE at the empty line or the end of the block. */
int header_next(struct header_iter *it, struct header_field *ret_field);

/* Octets up to and with the empty line; all of `message` when it has none. */
size_t header_section_size(struct slice message);

/* The value of the first field called `name` (any case): true, or false when there is none. */
bool header_find(struct slice block, struct slice name, struct slice *ret_value);

/*
 * Appends a value with its folds undone (RFC 5322 2.2.3) and blanks at both ends removed; a bare CR
 * or LF becomes a blank, NUL vanishes. 0, or 1 when `out` is full (what fits is not kept).
 */
int header_unfold(struct slice value, struct buf *out);

/*
 * trace - counts Received fields (RFC 5321 6.3) of the first header section while the message
 * passes, whatever the length of the header: a loop makes headers longer than any buffer kept for
 * reading.
 */
struct trace {
	unsigned received;
	bool done; /* the empty line was seen */
	uint8_t at_line;
	uint8_t match;
};

void trace_feed(struct trace *t, struct slice bytes);
