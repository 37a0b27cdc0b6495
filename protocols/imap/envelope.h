/*
 * envelope - ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2) written from the facts of a message.
 *
 * Texts are as the message has them: encoded words stay encoded, nothing is guessed. Whatever the
 * facts say, the result is one well-formed parenthesized list.
 */
#pragma once

#include "common/mail/address.h"
#include "common/mail/facts.h"
#include "protocols/imap/write.h"

/* "(date subject from ...)". `it` is room for work: 5 KiB that a caller has once. */
void envelope_write(
    struct writer *w, const struct slice field[FACTS_FIELD_COUNT], struct address_iter *it);

/*
 * The structure of a message from its parts; `extended` for BODYSTRUCTURE. A multipart without
 * parts shows its body as one part of text/plain, since the grammar wants one; so does a message
 * inside that was not looked into. Without any parts the message is one part of text/plain.
 */
void structure_write(
    struct writer *w, const struct facts_view *v, bool extended, struct address_iter *it);
