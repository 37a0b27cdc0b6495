/*
 * param - the value of Content-Type and Content-Disposition: a type and parameters (RFC 2045 5.1),
 * with RFC 2231's continuations joined and its charsets turned into UTF-8.
 *
 * Parameters travel as a packed list (flags u8, name u8 length, value u16 length). A list is read
 * with bounds checked throughout, so that it may come from a hostile place. What RFC 2231 joined is
 * also there as it was written, for who passes a message's structure on (RFC 3501 7.4.2).
 */
#pragma once

#include "common/base/buf.h"

enum {
	PARAM_EXTENDED =
	    1,             /* was name*=charset'lang'...: the value is UTF-8 from a named charset */
	PARAM_CUT = 2,     /* longer than MIME_PARAM_VALUE_MAX */
	PARAM_JOINED = 4,  /* RFC 2231: its pieces follow, each PARAM_WRITTEN */
	PARAM_WRITTEN = 8, /* name*0*=...: as written, percent signs and all */
};

struct mime_param {
	struct slice name, value; /* as written, without quoting */
	uint8_t flags;
};

enum {
	PARAM_DONE = 1,
	PARAM_BAD, /* the list is not one of ours */
};

/* Takes the next parameter off the front of a packed list: 0, PARAM_DONE or PARAM_BAD. */
int mime_param_next(struct slice *list, struct mime_param *ret_param);

/* The first parameter of that name (any case). */
bool mime_param_find(struct slice list, struct slice name, struct mime_param *ret_param);

/*
 * Reads the token at the start of a field's value, comments and folds passed over. ret_rest begins
 * after it. An empty token means that there is none.
 */
struct slice mime_token(struct slice value, struct slice *ret_rest);

/*
 * Reads type "/" subtype (RFC 2045 5.1). False when the syntax is not that; then nothing is set and
 * 5.2's default applies.
 */
bool mime_type(
    struct slice value, struct slice *ret_type, struct slice *ret_subtype, struct slice *ret_rest);

/*
 * Packs the parameters of `rest` (from the first ';' on) into `out`. What is no parameter is passed
 * over; true when something was left out for its length or number.
 */
bool mime_params_pack(struct slice rest, struct buf *out);
