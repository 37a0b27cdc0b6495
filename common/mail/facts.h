/*
 * facts - what a reader wants to know of a message without parsing it: made where the message
 * arrives, kept beside it, read by every door.
 *
 * A blob is at most FACTS_MAX octets, whatever the message. It says its version and who made it.
 * Whoever reads one treats it as hostile: facts_view() checks every length and offset once, and
 * nothing that it gives points outside the blob or, as an offset, outside the message. A lie can
 * still say a wrong subject; it can only spoil its own message. Format: docs/mail.md.
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/date.h"
#include "common/mail/mime.h"

#define FACTS_VERSION 1
/* Goes up when the same message would give other facts; a reader that wants better ones parses
 * again. */
#define FACTS_MAKER 2

enum {
	FACTS_NO_STRUCTURE = 1, /* the parts did not fit: parse the message */
	FACTS_CUT_ENVELOPE = 2, /* a field of the envelope is missing or cut: read the header */
	FACTS_ATTACHMENT = 4,   /* has something a person would call an attachment */
	FACTS_REPLY = 8,        /* the subject said Re:, Fwd: or (fwd) (RFC 5256 2.1) */
	FACTS_UTF8_HEADER = 16, /* a byte above 127 in a header section (RFC 6532) */
	FACTS_CUT_REFS = 32,    /* not all references are listed */
};

enum facts_field {
	FACTS_DATE,
	FACTS_SUBJECT,
	FACTS_FROM,
	FACTS_SENDER,
	FACTS_REPLY_TO,
	FACTS_TO,
	FACTS_CC,
	FACTS_BCC,
	FACTS_IN_REPLY_TO,
	FACTS_MESSAGE_ID,
	FACTS_FIELD_COUNT,
};

/* The header fields' names, in the order above. */
extern const char *const facts_field_name[FACTS_FIELD_COUNT];

enum facts_key {
	FACTS_BASE_SUBJECT, /* RFC 5256 2.1, UTF-8, case kept */
	FACTS_FROM_MAILBOX, /* RFC 5256 3: local part of the first address, decoded */
	FACTS_FROM_DISPLAY, /* RFC 5957: display name, or local@domain */
	FACTS_TO_MAILBOX,
	FACTS_TO_DISPLAY,
	FACTS_CC_MAILBOX,
	FACTS_KEY_COUNT,
};

/* ---- making ------------------------------------------------------------------------------------
 */

struct facts_maker;

/* NULL without memory. */
struct facts_maker *facts_maker_new(void);

/* For who needs what did not fit and reads the message again: a blob of up to FACTS_WIDE_MAX. */
struct facts_maker *facts_maker_new_wide(void);
void facts_maker_free(struct facts_maker **m);

/* The message exactly as it will be stored (dots unstuffed, trace fields in front), in any pieces.
 */
void facts_maker_feed(struct facts_maker *m, struct slice bytes);

/*
 * Received fields of the header so far (RFC 5321 6.3: compare with the loop limit), and whether the
 * header is over, so that the number is final.
 */
unsigned facts_maker_received(const struct facts_maker *m, bool *ret_final);

/*
 * The message is complete: appends the blob to `out`, whose maximum leaves FACTS_MAX (of a wide
 * one: FACTS_WIDE_MAX) of room. 0, or -ENOMEM. Only once.
 */
int facts_maker_finish(struct facts_maker *m, struct buf *out);

/*
 * After that: the message's header section, empty line included, to be kept beside the facts; at
 * most FACTS_HEADER_MAX octets and a first one. The maker's own.
 */
struct slice facts_maker_header(const struct facts_maker *m);

/* ---- reading -----------------------------------------------------------------------------------
 */

struct facts_view {
	unsigned maker;
	uint32_t flags;
	uint64_t size;       /* octets of the message */
	uint64_t body_start; /* after the header section's empty line */
	uint32_t received;
	bool has_date;
	struct mail_date date; /* RFC 5256 2.2: when it was sent */
	/* Unfolded, as written; p is NULL when the message does not have the field. */
	struct slice field[FACTS_FIELD_COUNT];
	struct slice key[FACTS_KEY_COUNT]; /* UTF-8, may be empty */
	struct slice message_id;           /* without brackets, normalised; may be empty */
	struct slice refs;                 /* for facts_ref_next, oldest first */
	struct slice preview; /* UTF-8, one line, at most FACTS_PREVIEW_CHARS characters */
	struct slice parts;   /* for facts_part_next; empty with FACTS_NO_STRUCTURE */
	unsigned part_count;
};

enum {
	FACTS_BAD = 1, /* not a blob of ours, or it lies about offsets */
	FACTS_OTHER,   /* of a version that this code does not know: parse the message */
	FACTS_LAST,    /* no more parts, no more references */
	FACTS_LONG,    /* the header section was too long to be kept: read the message */
};

/* What facts_maker_header() said of a message of `size` octets. 0, FACTS_BAD, _OTHER, _LONG. */
int facts_header(struct slice kept, uint64_t size, struct slice *ret_header);

/* Checks all of `blob` against a message of `size` octets. 0, FACTS_BAD or FACTS_OTHER. */
int facts_view(struct slice blob, uint64_t size, struct facts_view *ret_view);

/* The same without a look at the parts: part_count is 0, whatever the flags say. */
int facts_view_flat(struct slice blob, uint64_t size, struct facts_view *ret_view);

/* The next message id of `*refs`: 0 or FACTS_LAST. */
int facts_ref_next(struct slice *refs, struct slice *ret_id);

struct facts_part {
	uint8_t depth; /* 0 for the message itself; parents come before their children */
	uint8_t kind;  /* enum mime_kind */
	uint8_t flags; /* MIME_... */
	uint64_t header_start, body_start, end;
	uint64_t header_lines, body_lines;
	struct slice text[MIME_FIELD_COUNT]; /* p is NULL where there is none */
	struct slice
	    field[FACTS_FIELD_COUNT]; /* of the child of a MIME_MESSAGE: that message's header */
};

/* The next part of `*parts`: 0 or FACTS_LAST. */
int facts_part_next(struct slice *parts, struct facts_part *ret_part);
