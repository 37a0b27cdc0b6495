/*
 * charset - text of old charsets to UTF-8, by tables made at build time.
 *
 * iconv(3) is not used: glibc loads its converters from files, and no process that reads mail may
 * open one. Every input gives valid UTF-8; what has no meaning becomes U+FFFD.
 */
#pragma once

#include "common/base/buf.h"

struct charset;

/* By a MIME name or alias, any case; NULL when it is not known. */
const struct charset *charset_find(struct slice name);

/*
 * Appends `in` as UTF-8 until `out` is full. NULL as the charset: valid UTF-8 is kept, anything
 * else is replaced, which is also the best guess for text that names no charset.
 */
void charset_to_utf8(const struct charset *c, struct slice in, struct buf *out);
