/*
 * match - names against the patterns of LIST (RFC 3501 6.3.8): "*" is anything, "%" anything
 * without the separator. INBOX is matched in any case, also
 * where others are below it.
 *
 * The work for a name is its length times that of the pattern at most.
 */
#pragma once

#include "common/base/slice.h"

enum { MATCH_PATTERN_MAX = 1024 };

bool match_name(struct slice pattern, struct slice name);

/* The octets that every name matching begins with. */
struct slice match_prefix(struct slice pattern);
