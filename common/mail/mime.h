/*
 * mime - the structure of a message by exact byte offsets (RFC 2045, 2046), while it passes.
 *
 * The message is fed in pieces of any size and not kept: what is held is the fields
 * of one header that somebody reads (HEADER_KEEP_MAX), the start of one line, and a row per part.
 * The result depends on the bytes alone, never on how they were cut. Offsets nest: a part lies
 * inside its parent's body, siblings are in order, header_start <= body_start <= end. What is past
 * a limit becomes opaque (a part without its children) and is said so by a flag; nothing is an
 * error.
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/limits.h"

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART, /* children are body parts */
	MIME_MESSAGE,   /* message/rfc822 or message/global: one child, the message inside */
};

enum {
	MIME_TYPE_DEFAULT = 1, /* no Content-Type, or none that can be read (RFC 2045 5.2) */
	MIME_OPAQUE = 2,       /* children were not looked at: a limit, or no boundary */
	MIME_CUT = 4,          /* a text was longer than its limit */
	MIME_OPEN_END = 8,     /* a multipart whose closing delimiter never came */
};

/* Into the parser's text buffer; `there` tells an empty text from a missing one. */
struct mime_text {
	uint32_t at, n;
	bool there;
};

enum mime_field {
	MIME_TYPE,
	MIME_SUBTYPE,
	MIME_PARAMS, /* packed, param.h */
	MIME_ENCODING,
	MIME_ID,
	MIME_DESCRIPTION,
	MIME_DISPOSITION,
	MIME_DISPOSITION_PARAMS, /* packed */
	MIME_LANGUAGE,           /* unfolded, as written */
	MIME_LOCATION,
	MIME_MD5,
	MIME_FIELD_COUNT,
};

struct mime_part {
	uint64_t header_start, body_start, end; /* the body is [body_start, end) */
	uint64_t header_lines, body_lines;      /* LF counted */
	uint16_t parent;                        /* MIME_NO_PARENT for the message itself */
	uint8_t depth;                          /* 0 for the message itself */
	uint8_t kind;
	uint8_t flags;
	struct mime_text text[MIME_FIELD_COUNT];
};

#define MIME_NO_PARENT 0xffff

struct mime;

/* Told while the message passes; either may be NULL. `ctx` is the caller's. */
struct mime_sink {
	void *ctx;
	/* The header section of `part` is complete: its first HEADER_KEEP_MAX octets, and its row.
	 */
	void (*on_header)(void *ctx, const struct mime *m, unsigned part, struct slice header);
	/* Body octets of a leaf, in order, exactly those of [body_start, end). */
	void (*on_body)(void *ctx, const struct mime *m, unsigned part, struct slice bytes);
};

/* NULL without memory. */
struct mime *mime_new(const struct mime_sink *sink);
void mime_free(struct mime **m);

void mime_feed(struct mime *m, struct slice bytes);

/* No more bytes. Then, and not before, the rows are complete. */
void mime_finish(struct mime *m);

/* Rows in the order of the message (a parent before its children); row 0 is the message. */
unsigned mime_count(const struct mime *m);
const struct mime_part *mime_part(const struct mime *m, unsigned i);

/* A text of a part; p is NULL when the message does not have it. */
struct slice mime_part_text(const struct mime *m, unsigned i, enum mime_field field);

/* Octets fed so far. */
uint64_t mime_size(const struct mime *m);

/* Reads a whole message at once; what `mime_new`, feed and finish do. */
struct mime *mime_parse(struct slice message);
