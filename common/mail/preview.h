/*
 * preview - the first words of a message for a list of messages (RFC 8970).
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/transfer.h"

/*
 * Appends at most FACTS_PREVIEW_CHARS characters of UTF-8 in one line. `raw` is the start of a text
 * part's body as it is in the message, `charset` its parameter (may be empty), `html` tells that
 * tags are to be taken away.
 */
void preview_make(
    struct slice raw, enum transfer how, struct slice charset, bool html, struct buf *out);
