/*
 * stuff - a message as the body of a multi-line reply: dots doubled at line starts, the end marked
 * (RFC 1939 3), and TOP's cut after the header and some lines.
 *
 * A dot is doubled after any LF, even one without CR: a client that takes a bare LF for a line end
 * must not see the end of the reply inside a message.
 */
#pragma once

#include "common/base/buf.h"

struct stuff {
	bool any;    /* the message is not empty */
	bool inside; /* not at the start of a line */
	uint8_t last;
	bool crlf; /* the last two bytes were CR LF */
};

void stuff_put(struct stuff *st, struct slice in, struct buf *out);

/* The missing CR LF, if any, and the line with the dot. */
void stuff_end(struct stuff *st, struct buf *out);

struct top_cut {
	uint64_t lines; /* of the body, still to show */
	bool in_body;
	bool done;
	unsigned line_n; /* 0, 1, 2 = more than one byte of the header line seen */
	uint8_t first;
};

/* How many bytes at the start of `in` belong to the answer; sets `done` at its end. */
size_t top_cut_feed(struct top_cut *t, struct slice in);
