/*
 * pattern - wildcards of the Router's records, and the templates that use what they matched. Pure.
 *
 * A pattern is text with `*` (any bytes, also none) and digit wildcards: `(3d)` exactly three
 * digits, `(7-20d)` 7 to 20, `(7+d)` 7 or more. `\*` and `\(` stand for themselves. Each wildcard
 * takes as little as it can, the first one before the others; the work is bounded by the length of
 * the text times the number of wildcards, whatever the pattern.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"

enum { PATTERN_WILDS_MAX = 8 };

struct wild {
	uint16_t least, most; /* digits; of '*': 0 and no bound */
	bool digits;
	struct slice after; /* the text up to the next wildcard or the end */
};

struct pattern {
	struct slice head; /* the text before the first wildcard, or all of it */
	struct wild *wilds;
	size_t n;
	size_t least_bytes; /* no shorter text matches */
};

/*
 * Compiles lower-case text; what it keeps lies in `mem`. NULL when fine, else a fixed text that
 * says what is wrong.
 */
const char *pattern_compile(struct slice text, struct arena *mem, struct pattern *ret);

/*
 * Does it match the whole text (lower case, at most ADDRESS_MAX_BYTES)? Then what each wildcard
 * took is in ret_parts, which has room for `n` of the pattern.
 */
bool pattern_match(const struct pattern *p, struct slice text, struct slice *ret_parts);

/* How many `*` the template has; `\*` is none. */
size_t template_stars(struct slice text);

/* Appends the template with parts[k] in place of its k-th `*`; those without a part vanish. */
void template_put(struct buf *out, struct slice text, const struct slice *parts, size_t n);
