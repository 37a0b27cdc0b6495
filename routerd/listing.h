/* listing - what listings of all kinds show in the same way. */
#pragma once

#include "routerd/dirconn.h"

/* Kinds that are counted, in this order. */
enum { LISTED_KINDS = 5 };
extern const enum object_kind listed_kinds[LISTED_KINDS];

/* One item for each of these kinds. */
void items_counts(struct request *q, const size_t counts[OBJECT_KINDS]);

/* "active", "suspended"... */
const char *state_word(const struct object *account);
