/*
 * utf7 - mailbox names in the modified UTF-7 of IMAP (RFC 3501 5.1.3) from and to UTF-8.
 *
 * Both directions are exact: what decodes is the one right spelling of its name, so that two names
 * on the wire are never one mailbox.
 */
#pragma once

#include "common/base/buf.h"

enum {
	UTF7_BAD = 1, /* not modified UTF-7, or another spelling of what can be written plainly */
};

/* Appends `utf8`; what is no UTF-8 becomes U+FFFD. Overflow is seen in `out`. */
void utf7_encode(struct slice utf8, struct buf *out);

/* Appends the name in UTF-8: 0, or UTF7_BAD with `out` as it was. Overflow is seen in `out`. */
int utf7_decode(struct slice name, struct buf *out);
