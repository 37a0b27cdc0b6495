/*
 * text - small pieces that every line protocol needs: base64 as SASL wants it, and texts of other
 * processes made harmless for a reply line.
 */
#pragma once

#include "common/base/buf.h"

/* Appends the base64 form (RFC 4648 4, padded). 0, or 1 when `out` is full. */
int text_base64_encode(struct slice in, struct buf *out);

/*
 * Appends what `in` stands for: 0, or 1 when it is not canonical base64 (padding missing, other
 * characters, bits left over) or `out` is full. Empty is right and gives nothing.
 */
int text_base64_decode(struct slice in, struct buf *out);

/*
 * Appends `s` for one reply line: what is not printable ASCII becomes '?', at most FRONT_TEXT_MAX
 * bytes. With `utf8`, bytes above 127 stay.
 */
void text_put_safe(struct buf *out, struct slice s, bool utf8);
