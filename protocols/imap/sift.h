/*
 * sift - what stands between the octets of a message and those of an answer: nothing, a choice of
 * header fields, or a content transfer encoding undone; and after it the window of <offset.count>.
 *
 * Octets go through in pieces of any size and the result does not depend on the cuts. It holds less
 * than one line, so a message of any size passes. For a given input the number of octets that come
 * out is always the same: who has to announce it sifts twice.
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/limits.h"

/* Names of header fields to choose by. */
struct sift_names {
	const struct slice *name; /* in lower case */
	unsigned n;
	uint64_t lengths; /* bit n: there is a name of n octets; bit 63: or longer */
	uint32_t firsts;  /* sift_first() of each */
};

/* A bit for the octet that a name begins with: of a letter in any case its own. */
static inline uint32_t sift_first(uint8_t c)
{
	return ascii_alpha(c) ? 1u << (ascii_lower(c) - 'a') : 1u << 31;
}

enum sift_how {
	SIFT_ALL,
	SIFT_FIELDS,     /* those named, and the empty line (RFC 3501 6.4.5) */
	SIFT_FIELDS_NOT, /* the others, and the empty line */
	SIFT_BASE64,
	SIFT_QP,
};

struct sift {
	enum sift_how how;
	const struct sift_names *names;
	uint64_t skip, take; /* of what comes out: the window */
	uint64_t out_n;      /* octets that came out, within the window */
	bool nul;            /* one of them was NUL */
	bool done;           /* nothing more will come out */

	/* fields: where in a line we are */
	uint8_t at;
	bool keep;
	uint8_t held[HEADER_NAME_MAX + 2];
	size_t held_n;
	/* encodings: bits of a group, or what may be an escape */
	uint32_t group;
	unsigned bits;
};

/* `window_n` 0: all from `window_at` on. `names` for fields; they live as long as the sift. */
void sift_init(struct sift *s, enum sift_how how, const struct sift_names *names,
    uint64_t window_at, uint64_t window_n);

/* Appends what comes out to `out`; NULL: only counts. Overflow is seen in `out`. */
void sift_feed(struct sift *s, struct slice in, struct buf *out);

/* The input is over. */
void sift_end(struct sift *s, struct buf *out);

/* How a part of this encoding (p NULL: none) is decoded. False: nobody knows (UNKNOWN-CTE). */
bool sift_encoding(struct slice encoding, enum sift_how *ret_how);
