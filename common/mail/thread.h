/*
 * thread - message ids (RFC 5322 3.6.4) in the form in which they are compared (RFC 5256 2.3, 3).
 */
#pragma once

#include "common/base/buf.h"

/*
 * Appends packed texts: the message's own id (may be empty), then its references, oldest first: of
 * References, or else the first of In-Reply-To. Of too many the first and the newest stay. True
 * when some were left out.
 */
bool thread_pack(
    struct slice message_id, struct slice references, struct slice in_reply_to, struct buf *out);

/*
 * The next id in `*value`: what is between '<' and '>', quotes and blanks of the local part removed
 * into `out` (appended). False when there is none.
 */
bool thread_next_id(struct slice *value, struct buf *out);
