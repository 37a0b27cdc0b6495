/*
 * unpack - a message as a file holds it to the message as the store keeps it: line ends, the
 * quoting and the private fields of an mbox.
 *
 * Pure and pulled: the reader asks for as many bytes as it has room for. Output is at most twice
 * the input, whatever the input is.
 */
#pragma once

#include "common/base/slice.h"

enum unpack_quoting {
	UNPACK_AS_IS,
	UNPACK_ONE,  /* mboxo: ">From " at the start of a line was "From " */
	UNPACK_EACH, /* mboxrd: one '>' goes where any number of them stands before "From " */
};

enum { UNPACK_SKIPS = 12 };

struct unpack {
	struct slice in;
	bool exact; /* bytes as they are: nothing else below matters but skips */
	enum unpack_quoting quoting;
	/* Ranges of whole lines that are left out, ascending. */
	struct {
		size_t at, end;
	} skip[UNPACK_SKIPS];
	unsigned n_skip;
	/* where it is */
	size_t at;
	unsigned next_skip;
	bool within;  /* a line */
	bool owes_lf; /* a CR was added and its LF did not fit */
	uint8_t last;
};

/* A bare LF becomes CR LF; what has CR LF keeps it. Bare CRs stay. */
struct unpack unpack_lines(struct slice in);
struct unpack unpack_exact(struct slice in);
void unpack_rewind(struct unpack *u);

/* Up to `room` bytes (at least 1) into `out`; 0 at the end. */
size_t unpack_next(struct unpack *u, uint8_t *out, size_t room);

/* Whether a line that starts here is "From " with any number of '>' before it (at least `least`).
 */
bool unpack_is_from(struct slice line, size_t least, size_t most);
