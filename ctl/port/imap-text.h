/*
 * imap-text - what an IMAP server says (RFC 3501 7, RFC 9051 7), as far as moving mail needs it.
 *
 * Pure. The server is a stranger: every number is bounded, what is not understood is skipped, and
 * slices point into the response that they came from.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/types.h"

enum { IMAP_BAD = 1, IMAP_MORE = 2 };

/* Finds the end of a response while it comes in: lines, and literals between them. */
struct imap_scan {
	size_t at, scanned;
};

/* 0 with the octets of the first response of `in`, IMAP_MORE, or IMAP_BAD: longer than `max`. */
int imap_scan(struct imap_scan *s, struct slice in, size_t max, size_t *ret_n);

enum imap_kind {
	IMAP_TAGGED_OK,
	IMAP_TAGGED_NO, /* NO and BAD */
	IMAP_CONTINUE,
	IMAP_UNTAGGED,
};

struct imap_response {
	enum imap_kind kind;
	struct slice tag;
	uint32_t number;   /* "* 12 EXISTS" */
	struct slice name; /* "EXISTS", "FETCH", "LIST", "OK" ... */
	struct slice rest; /* behind it, without the last line end */
};

/* A whole response: 0 or IMAP_BAD. */
int imap_response_parse(struct slice in, struct imap_response *ret);

/* "[UIDVALIDITY 12] text" of an OK: true with the number of that code. */
bool imap_code_number(struct slice rest, struct slice code, uint32_t *ret);

struct imap_fetch {
	uint32_t uid, flags;
	bool has_flags, has_size, has_date, has_body;
	uint64_t size;
	int64_t date_s;
	struct slice body;
};

/* The list of a FETCH; keywords are appended to `keywords`, blanks between. 0 or IMAP_BAD. */
int imap_fetch_parse(struct slice rest, struct imap_fetch *ret, struct buf *keywords);

/*
 * A LIST or LSUB: the name as the server writes it (to be given back to it) into `raw`, in UTF-8
 * with '/' between levels into `name`. 0, or IMAP_BAD: it is none that can be here.
 */
int imap_list_parse(struct slice rest, struct buf *raw, struct buf *name, bool *ret_noselect);

/* "name" as a command takes it; false: it holds what no quoted string can. */
bool imap_quote(struct slice s, struct buf *out);
