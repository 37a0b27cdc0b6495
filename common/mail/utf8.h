/*
 * utf8 - the one decoder of UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above 10FFFF.
 */
#pragma once

#include "common/base/buf.h"

#define UTF8_REPLACEMENT 0xfffdu

/*
 * Octets of the character at the start of `s` (1 to 4) and its number; 0 when there is none that is
 * valid (or `s` is empty).
 */
unsigned utf8_get(struct slice s, uint32_t *ret_char);

/* Appends one character; a number that is none becomes U+FFFD. */
void utf8_put(struct buf *out, uint32_t c);

bool utf8_valid(struct slice s);

/* The longest start of `s` that is at most `max` octets and does not end inside a character. */
struct slice utf8_cut(struct slice s, size_t max);
