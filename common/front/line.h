/*
 * line - the one line reader of all line protocols: CR LF ends a line and nothing else does.
 *
 * A CR or LF of its own is not a line end that some readers see and others do not: it is an error
 * after which nothing on the connection is trusted. Scanning is linear however the bytes arrive.
 */
#pragma once

#include "common/base/slice.h"

enum line_answer {
	LINE_OK,
	LINE_MORE, /* no end yet */
	LINE_LONG, /* ended, but was longer than allowed; its text is gone */
	LINE_NUL,  /* holds a NUL */
	LINE_BARE, /* a CR or LF of its own: close the connection */
};

struct line_reader {
	size_t seen;   /* bytes at the start of the input that hold no LF */
	bool skipping; /* inside a line that is too long */
};

/*
 * Looks for a line at the start of `in`, which starts where the last call's ret_used ended. `max`
 * counts the CR LF. ret_used bytes are done with (with LINE_MORE, too); ret_line points into `in`
 * and is set with LINE_OK only.
 */
enum line_answer line_take(
    struct line_reader *r, struct slice in, size_t max, struct slice *ret_line, size_t *ret_used);
