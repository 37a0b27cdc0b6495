/*
 * mbox-text - messages in a file of the mbox kind, in every variant there is, and their way back
 * into one.
 *
 * A message begins at a "From " line with a date, at the start of the file or behind an empty line.
 * Content-Length is believed only when what it leads to is such a line or the end of the file. What
 * programs keep for themselves in fields (Status, X-Status, X-Keywords, X-UID, X-IMAPbase,
 * Content-Length) is taken out of the message: the first of each that makes sense as such.
 *
 * Pure, and linear in the file.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/types.h"
#include "ctl/port/unpack.h"

enum mbox_variant {
	MBOX_AUTO, /* lengths where they are right; mboxcl2 when a body has a "From " line */
	MBOX_O,    /* "From " is ">From ": what was ">From " before cannot be told */
	MBOX_RD,   /* any number of '>' gets one more */
	MBOX_CL,   /* as mboxrd, and lengths */
	MBOX_CL2,  /* lengths, nothing quoted */
	MBOX_VARIANTS
};

/* "mboxrd" ...; MBOX_VARIANTS when it is none. */
enum mbox_variant mbox_variant_of(struct slice name);

enum { MBOX_BAD = 1, MBOX_END = 1 };

struct mbox_message {
	struct slice text; /* header and body as they stand in the file */
	struct unpack unpack;
	size_t offset; /* of its "From " line */
	int64_t date_s;
	bool has_date, has_zone; /* of the "From " line */
	uint32_t flags, uid;
	struct slice keywords; /* a blank between them; folds inside */
	bool lied;             /* its Content-Length led nowhere */
	bool internal;         /* no message: what a program keeps for itself in the first one */
};

struct mbox_reader {
	struct slice text;
	size_t at;
	bool lengths, first;
	enum unpack_quoting quoting;
	uint32_t uidvalidity, uidlast; /* X-IMAPbase, X-IMAP of the first message */
};

/* 0, or MBOX_BAD: this is no mbox. An empty file is one without messages. */
int mbox_begin(struct slice text, enum mbox_variant v, struct mbox_reader *ret);
/* 0 or MBOX_END. */
int mbox_next(struct mbox_reader *r, struct mbox_message *ret);

/* ---- writing ---- */

struct mbox_put {
	int64_t date_s;
	uint32_t flags, uid;
	uint32_t uidvalidity, uidlast; /* in the first message of a file; else 0 */
	struct slice keywords;
};

/*
 * The "From " line and the private fields. *ret_length is the place of MBOX_LENGTH_DIGITS blanks
 * for the octets of the body (what mbox_pack makes behind the header), or 0: this variant tells
 * none.
 */
void mbox_put_begin(
    struct buf *out, enum mbox_variant v, const struct mbox_put *m, size_t *ret_length);
enum { MBOX_LENGTH_DIGITS = 20 };

struct mbox_pack {
	enum mbox_variant variant;
	bool cr;        /* a CR that may belong to a line end */
	bool fresh;     /* at the start of a line, or behind its '>' */
	bool any;       /* it has a '>' */
	unsigned match; /* letters of "From " that wait */
	uint8_t last;
	/* where the body begins, in what was made */
	uint64_t made, body;
};

struct mbox_pack mbox_pack(enum mbox_variant v);
/* Bytes of the message, with LF for CR LF and "From " lines quoted as the variant does. */
void mbox_pack_feed(struct mbox_pack *p, struct slice in, struct buf *out);
/* What waits: then `out` has the message to its end. */
void mbox_pack_end(struct mbox_pack *p, struct buf *out);
/* Octets of the body, after mbox_pack_end(). */
uint64_t mbox_pack_body(const struct mbox_pack *p);
/* What stands between this message and the next. */
void mbox_put_end(const struct mbox_pack *p, struct buf *out);
