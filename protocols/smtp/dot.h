/*
 * dot - the text after DATA (RFC 5321 4.5.2): dots taken off, the end found, line ends checked.
 *
 * The end is CR LF dot CR LF and nothing else. After a CR or LF of its own `bare` is set and stays;
 * the rest is still read to the true end, since what follows it is commands.
 */
#pragma once

#include "common/base/slice.h"

struct dot {
	bool inside; /* not at the start of a line */
	bool bare;
};

/*
 * Takes the next run of message text from the start of `in`: true at the end of the message.
 * ret_run may be empty; ret_used bytes are done with, 0 when more are needed to go on.
 */
bool dot_next(struct dot *d, struct slice in, struct slice *ret_run, size_t *ret_used);

/* The same check for text that comes without dots (BDAT), in any pieces. */
struct strict {
	bool cr;    /* the last byte was a CR */
	bool ended; /* the last two were CR LF */
	bool bare;
};

void strict_feed(struct strict *t, struct slice in);
