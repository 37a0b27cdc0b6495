/*
 * limits - what the mail parsers accept at most. Past a limit a parser goes on with less (a cut
 * field, an opaque part) and says so by a flag; it never fails on length, and never allocates past
 * these numbers whatever a message holds.
 */
#pragma once

/* RFC 5321 4.5.3.1: octets of the local part, the domain, and the path with its brackets. */
#define SMTP_LOCAL_MAX  64
#define SMTP_DOMAIN_MAX 255
#define SMTP_PATH_MAX   256
/* A source route is dropped, but somebody has to send it first. */
#define SMTP_ROUTE_MAX 1024

/* Of one header section the fields that somebody reads are kept: so much, and of one field so much.
 */
#define HEADER_KEEP_MAX (64 * 1024)
#define FIELD_KEEP_MAX  (16 * 1024)
/* Octets of the longest such name ("Content-Transfer-Encoding") and a few blanks. */
#define HEADER_WANTED_MAX 40
/* Octets of any name. */
#define HEADER_NAME_MAX 256

/* Unquoted text of one address (name, route, local part, domain each). */
#define ADDRESS_TEXT_MAX 1024
/* Addresses looked at in one field. */
#define ADDRESS_COUNT_MAX 4096

/* One part of an encoded word (RFC 2047 2 says 75 for all of it); neighbours decoded together. */
#define WORD_MAX     1024
#define WORD_RUN_MAX 4096

/* Octets of a date without its comments and doubled blanks. */
#define MAIL_DATE_MAX 128

/* RFC 2046 5.1.1 says 70; longer ones are seen. */
#define MIME_BOUNDARY_MAX 250
#define MIME_DEPTH_MAX    32
#define MIME_PARTS_MAX    1000
/* One parameter list after decoding, one parameter's value, parameters of one field. */
#define MIME_PARAMS_MAX      4096
#define MIME_PARAM_VALUE_MAX 1024
#define MIME_PARAM_COUNT_MAX 32
/* Content-ID, -Description, -Language, -Location, -MD5 each; media type and encoding tokens. */
#define MIME_FIELD_MAX 512
#define MIME_TOKEN_MAX 80
/* Texts of all parts together. */
#define MIME_TEXT_MAX (256 * 1024)

/* A message id without its brackets. */
#define THREAD_ID_MAX 512

/* Facts: the whole blob, and its pieces (octets; the preview in characters, RFC 8970 4). */
#define FACTS_MAX (32 * 1024)
/* A header section that is kept beside the message; a longer one is read from the body. */
#define FACTS_HEADER_MAX    (16 * 1024)
#define FACTS_FIELD_MAX     2048
#define FACTS_ENVELOPE_MAX  (8 * 1024)
#define FACTS_KEY_MAX       512
#define FACTS_REFS_MAX      4096
#define FACTS_REF_COUNT_MAX 64
#define FACTS_PREVIEW_CHARS 200
/* Facts that a reader makes for itself: one field, the fields together, the blob. */
#define FACTS_WIDE_FIELD_MAX    FIELD_KEEP_MAX
#define FACTS_WIDE_ENVELOPE_MAX (128 * 1024)
#define FACTS_WIDE_MAX          (1024 * 1024)
/* Octets of a text part that are looked at for it; markup needs more. */
#define FACTS_PREVIEW_PLAIN 1536
#define FACTS_PREVIEW_HTML  4096
