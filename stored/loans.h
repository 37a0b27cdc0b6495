/*
 * loans - facts and kept headers that messages of a mailbox do not have as rows of their own, but
 * share with the messages of another one (or of the same) that they were copied from.
 *
 * Pure. A loan is a hint and never the truth: uids and ids of mailboxes do not come back, so what
 * the lender has under that uid is of the same message; if it has nothing, the message is read like
 * one that never had facts. Invariant: ascending and apart; loans of one row are neighbours.
 */
#pragma once

#include "stored/record.h"

#include <stddef.h>

enum {
	LOANS_ROW_MSGS = 2048, /* in one row of the store: so whatever is cut out of it, it fits */
	LOANS_RUN_BYTES = 12,
	LOANS_ROW_BYTES = 12, /* and the runs */
	LOANS_ROW_MAX = LOANS_ROW_BYTES + LOANS_ROW_MSGS * LOANS_RUN_BYTES,
};

/* Messages first, first + 1, ... share with those from `there` on. */
struct loan {
	uint32_t first, n, there;
	uint32_t row; /* the first uid of the row that it lies in: its key */
	uint64_t mbox;
};

struct loans {
	struct loan *v; /* owned */
	size_t n, cap;
	uint32_t row_msgs; /* in the last row, while it is being filled by loans_add() */
};

void loans_fini(struct loans *l);
/* Behind all others: joins the last one where it continues it. The row is found here. 0, -ENOMEM.
 */
int loans_add(struct loans *l, uint32_t uid, uint64_t mbox, uint32_t there)
    __attribute__((warn_unused_result));
/* A copy of some, behind all others. 0 or -ENOMEM. */
int loans_append(struct loans *l, const struct loan *v, size_t n)
    __attribute__((warn_unused_result));
/* The one that has the uid, or the next one; NULL behind the last. */
const struct loan *loans_at(const struct loans *l, uint32_t uid);
/* These messages are in none any more. 0 or -ENOMEM: nothing is changed. */
int loans_cut(struct loans *l, uint32_t first, uint32_t last) __attribute__((warn_unused_result));

/* The row's bytes; 0: it has no loan any more. */
size_t loans_pack(const struct loans *l, uint32_t row, uint8_t out[LOANS_ROW_MAX]);
/* Those of a row, which lie behind all others. 0, 1 when it is damaged or of a newer version:
 * nothing is added; -ENOMEM. */
int loans_unpack(struct loans *l, uint32_t row, struct slice val)
    __attribute__((warn_unused_result));
