/*
 * transfer - content transfer encodings undone (RFC 2045 6.7, 6.8), forgiving: bytes that belong to
 * no encoding are passed over, an unfinished group gives what it has.
 */
#pragma once

#include "common/base/buf.h"

enum transfer {
	TRANSFER_PLAIN, /* 7bit, 8bit, binary, and whatever is not known */
	TRANSFER_BASE64,
	TRANSFER_QP,
};

/* By the value of Content-Transfer-Encoding. */
enum transfer transfer_find(struct slice name);

/* Appends the decoded bytes until `out` is full; a source cut anywhere is fine. */
void transfer_decode(enum transfer how, struct slice in, struct buf *out);

/* RFC 2047 4.2: quoted-printable of one word, where '_' is a blank. */
void transfer_decode_q(struct slice in, struct buf *out);
