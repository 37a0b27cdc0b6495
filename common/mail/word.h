/*
 * word - encoded words of header text (RFC 2047, language tags of RFC 2231 5) to UTF-8.
 */
#pragma once

#include "common/base/buf.h"

/*
 * Appends unfolded header text as UTF-8. Blanks between two encoded words vanish; bytes of
 * neighbours in the same charset are joined before conversion, because senders split characters. A
 * word of an unknown charset or with bad syntax stays as it is written; 8-bit text outside words is
 * taken for UTF-8 and replaced where it is none. Line ends and other control bytes become blanks:
 * the result is one line. Stops when `out` is full.
 */
void word_decode(struct slice text, struct buf *out);
