/*
 * loan-rows - loans of mailboxes in the store: where rows of a message are read, which rows say so,
 * and how they become the message's own before the lender loses them.
 *
 * Invariant: what is lost by a race, a failure or an older program costs reading the message again,
 * and never makes anything of another message appear.
 */
#pragma once

#include "stored/runs.h"
#include "stored/store-private.h"

struct txn;

/* The group of that mailbox, if it is there. */
struct engine_group *loan_lender(const struct account *a, uint64_t mbox);
/*
 * The group that has facts and header of the message, and how much its uids there are less (modulo
 * 2^32). *io_last becomes the last uid up to which that holds.
 */
struct engine_group *loan_group(
    const struct mbox *m, uint32_t uid, uint32_t *io_last, uint32_t *ret_shift);

/* Loans from `from` on, which are behind all of the mailbox's, into the batch. False: no room. */
bool loan_put_new(struct txn *t, const struct loans *l, size_t from)
    __attribute__((warn_unused_result));
/* The rows without these messages, into the batch; ranges are ascending and apart. */
bool loan_put_cut(struct txn *t, const struct uid_range *v, size_t n)
    __attribute__((warn_unused_result));
/* That is durable. */
void loan_cut(struct mbox *m, const struct uid_range *v, size_t n);

/* loan-settle.c */
enum loan_whose {
	LOANS_GIVEN, /* by these messages: they are about to lose their rows */
	LOANS_TAKEN, /* of these messages */
};
struct loan_ask {
	enum loan_whose whose;
	struct mbox *mbox;
	struct uid_range *take_v; /* in any order */
	size_t n;
	/* Done, or given up; may be called at once. */
	void (*fn)(void *arg);
	void *arg;
};
/* Whether a mailbox has something to settle. */
bool loan_any(const struct mbox *m, enum loan_whose whose);
void loan_settle(const struct loan_ask *ask);
