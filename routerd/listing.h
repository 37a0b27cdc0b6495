/* listing - what listings of all kinds show in the same way. */
#pragma once

#include "routerd/dirconn.h"

/* Kinds that are counted, in this order. */
enum { LISTED_KINDS = 5 };
extern const enum object_kind listed_kinds[LISTED_KINDS];

/* One item each: how many objects of each kind the domain has. */
void items_counts(struct request *q, const struct domain *dom);

/* "active", "suspended"... */
const char *state_word(const struct object *account);
