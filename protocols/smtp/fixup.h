/*
 * fixup - which fields a submitted message lacks (RFC 6409 8): Date and Message-ID. Pure.
 *
 * Only looks; the bytes stay as they are. The header ends at an empty line, or before a line that
 * is no field and continues none.
 */
#pragma once

#include "common/base/slice.h"

struct fixup {
	size_t at;   /* start of the first line that was not looked at */
	size_t seen; /* bytes behind which no end of that line is known */
	bool date, message_id;
	bool ended;
};

/* `head` is the message from its first byte on, longer with each call. True: the header is over. */
bool fixup_look(struct fixup *f, struct slice head);
