/*
 * subject - the base subject of RFC 5256 2.1, by which messages are sorted and threaded.
 */
#pragma once

#include "common/base/buf.h"

/*
 * The part of `decoded` (UTF-8 in one line, word_decode's result) that is left after "Re:",
 * "[list]", "(fwd)" and "[fwd: ...]" are taken away; runs of blanks inside are left for
 * subject_squeeze. ret_reply tells whether something said that it is a reply or forward.
 */
struct slice subject_base(struct slice decoded, bool *ret_reply);

/* Appends `text` with runs of blanks made one and none at the ends (RFC 5256 2.1 step 1). */
void subject_squeeze(struct slice text, struct buf *out);
