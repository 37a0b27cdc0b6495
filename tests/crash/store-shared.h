/*
 * store-shared - whether the facts and the kept header of a message in a stopped store, its own or
 * another's that it shares by a loan, are those of its own bytes.
 *
 * Invariant: the store is only read.
 */
#pragma once

#include "stored/loans.h"
#include "stored/salvage/walk.h"

struct shared {
	struct loans loans; /* of the mailbox begun last */
	uint64_t own, lent, none;
};

void shared_begin(struct shared *s, struct raw *raw, const struct sv_mbox *b);
void shared_fini(struct shared *s);

/* Counts where they come from. NULL, or what is wrong. */
const char *shared_look(
    struct shared *s, struct raw *raw, const struct sv_msg *m, struct slice bytes);
