/*
 * fold - text as it is compared: i;unicode-casemap (RFC 5051), and the search for strings in it.
 *
 * Folding goes character by character, so that the folded form of a text that comes in pieces is
 * that of the pieces, joined; a piece must not end inside a character.
 */
#pragma once

#include "common/base/buf.h"

/*
 * Appends the folded form of `utf8`: simple titlecase, then every decomposition (RFC 5051 2). What
 * is no UTF-8 becomes U+FFFD. Stops when `out` is full.
 */
void fold_text(struct slice utf8, struct buf *out);

/*
 * Strings that are looked for in one text that comes in pieces; all of them folded. Only the end of
 * what went by is kept.
 */
struct finder_word {
	struct slice folded; /* the caller's; may be empty: found at once */
	bool found;
};

struct finder {
	struct finder_word *words; /* the caller's */
	size_t n, left, longest;   /* left: not found yet */
	struct buf held;
};

enum { FINDER_PIECE = 64 * 1024 }; /* folded at once */

void finder_init(struct finder *f, struct finder_word *words, size_t n);
void finder_fini(struct finder *f);

/* Nothing was found yet, in another text; memory is kept. */
void finder_reset(struct finder *f);

/* More of the text, UTF-8. */
void finder_feed(struct finder *f, struct slice utf8);

/* The text ends here: what follows is another one. */
void finder_break(struct finder *f);
