/*
 * write - the only way for bytes of ours to reach an IMAP client.
 *
 * Every function writes one whole token and the blank before it where the grammar wants one, so
 * that a response cannot be cut, glued or closed at the wrong place: a string that cannot be quoted
 * becomes a literal, what cannot be an atom is not written as one, and no text ends a line but
 * write_end(). Errors are those of the buffer (`overflow`), looked at once by the driver.
 *
 *	write_untagged(w);                 "* "
 *	write_number(w, 12);               "12"
 *	write_atom(w, "FETCH");            " FETCH"
 *	write_open(w);                     " ("
 *	write_atom(w, "UID");              "UID"
 *	write_number(w, 7);                " 7"
 *	write_close(w);                    ")"
 *	write_end(w);                      CR LF
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/keyset.h"

struct set;

struct writer {
	struct buf *out; /* of write.c alone: a rule of the tree sees to it */
	bool utf8;       /* the client enabled UTF8=ACCEPT (RFC 6855 3) */
	enum {
		WRITE_NO_GAP,
		WRITE_GAP,   /* a blank comes before the next token */
		WRITE_RANGE, /* the same, or a comma before a further range of the set */
	} gap;
};

static inline struct writer writer(struct buf *out, bool utf8)
{
	return (struct writer){ out, utf8, WRITE_NO_GAP };
}

/* ---- lines -------------------------------------------------------------------------------------
 */

/* "* " */
void write_untagged(struct writer *w);

/* The tag as the client wrote it; the parser has checked it. */
void write_tag(struct writer *w, struct slice tag);

void write_end(struct writer *w);

/* "* 12 WORD", as a whole line (RFC 3501 7.3.1, 7.4.1). */
void write_count(struct writer *w, uint64_t n, const char *word);

/* "+ " and text of ours, as a whole line (RFC 3501 7.5). */
void write_continue(struct writer *w, const char *text);

/* "+ " and base64 of `bytes` (RFC 3501 6.2.2); with nothing to say the line is "+ ". */
void write_challenge(struct writer *w, struct slice base64);

/* "tag OK" or, without a tag, "* OK"; codes and a text follow. `word` is OK, NO, BAD, BYE, PREAUTH.
 */
void write_status(struct writer *w, struct slice tag, const char *word);

/* "[NAME", then arguments by the functions below, then "]". */
void write_code(struct writer *w, const char *name);
void write_code_end(struct writer *w);

/*
 * The human text of a status response. What may not stand there becomes '?': control characters,
 * and characters above 127 for who has not enabled UTF-8 (RFC 6855 3), one for each.
 */
void write_text(struct writer *w, struct slice text);

/* A status response in one go: `code` ("[ALREADYEXISTS]" without its brackets) may be NULL. */
void write_reply(
    struct writer *w, struct slice tag, const char *word, const char *code, const char *text);

/* ---- tokens ------------------------------------------------------------------------------------
 */

/* A word of the protocol, of ours; never anything that came from outside. */
void write_atom(struct writer *w, const char *word);

/* The same with its length known, for what is written often: several tokens made at another time.
 */
void write_made(struct writer *w, struct slice tokens);

void write_number(struct writer *w, uint64_t n);
void write_nil(struct writer *w);
void write_open(struct writer *w);
void write_close(struct writer *w);

/* An nstring: NIL for a NULL, quoted where it can be, else a literal. NUL bytes vanish. */
void write_string(struct writer *w, struct slice s);

/* An astring: an atom where it can be (and is not NIL). */
void write_astring(struct writer *w, struct slice s);

/*
 * The start of a literal of `n` octets, or of a literal8 (RFC 3516). Exactly so many follow, by
 * write_buf() or from what makes them into write_sink(), before the next token.
 */
void write_literal(struct writer *w, uint64_t n);
void write_literal8(struct writer *w, uint64_t n);
static inline struct buf *write_sink(struct writer *w)
{
	return w->out;
}

/* What was made elsewhere: octets of a literal, or whole lines of another writer. An overflow goes
 * along. */
void write_buf(struct writer *w, const struct buf *made);

/*
 * Takes back what was written from the place `back` on, and writes once more the `n` octets at the
 * place `from`, whole tokens with the blank before them.
 */
void write_repeat(struct writer *w, size_t back, size_t from, size_t n);
static inline size_t write_place(const struct writer *w)
{
	return w->out->n;
}

/* A keyword, as it is when it is an atom; anything else is left out. True when it was written. */
bool write_keyword(struct writer *w, struct slice name);

/*
 * A list of flags: the bits of common/ipc/types.h, then keywords by number. `names` has
 * `count` of them; bits above are left out.
 */
void write_flags(struct writer *w, uint32_t flags, struct keyset keywords,
    const struct slice *names, unsigned count);
/* "\*" (RFC 3501 7.1) into the list of flags just written, which was not empty. */
void write_flags_any(struct writer *w);

/*
 * A mailbox name, given in UTF-8: modified UTF-7 (RFC 3501 5.1.3), or UTF-8 for who enabled it.
 * Bytes that are no UTF-8 become U+FFFD.
 */
void write_mailbox(struct writer *w, struct slice name);

/* "17-Jul-1996 02:44:25 +0000", quoted. */
void write_date_time(struct writer *w, int64_t unix_s);

/* A set of numbers, range after range: "1:3", then ",7" for first == last. */
void write_range(struct writer *w, uint32_t first, uint32_t last);

/* The same from pairs of u32 first, u32 last. Nothing for none. */
void write_set(struct writer *w, struct slice pairs);
/* A set of its own, behind whatever was before. Nothing for an empty one. */
void write_ranges(struct writer *w, const struct set *set);

/* "(M0123456789abcdef)", the kind being M, E or T (RFC 8474). */
void write_object_id(struct writer *w, char kind, uint64_t id);
