/*
 * walk - every message of a model, one after the other, each read to its end and judged.
 *
 * Invariant: a message is told as whole only when every byte of its body fits a sum of the store.
 */
#pragma once

#include "stored/salvage/model.h"

struct sv_msg {
	struct sv_mbox *mbox;
	uint32_t uid, flags;
	struct keyset keywords;
	uint64_t modseq;
	struct msg_rec rec;
	struct engine_loc loc;
	bool doubt;    /* of its rows */
	bool expunged; /* it can be restored */
};

/* Each returns 0, or a negative number that ends the walk. Any may be NULL. */
struct sink {
	void *arg;
	bool expunged;                 /* what can be restored is wanted, too */
	struct slice account, mailbox; /* only these; empty: all */
	uint32_t uid;                  /* only this one of each mailbox; 0: all */
	int (*mbox_begin)(void *arg, struct sv_mbox *b);
	int (*begin)(void *arg, const struct sv_msg *m);
	int (*bytes)(void *arg, struct slice s);
	int (*end)(void *arg, const struct sv_msg *m, bool whole);
	int (*mbox_end)(void *arg, struct sv_mbox *b);
};

/* Is it this account: by its whole name, or by the part before the @? */
bool walk_is_account(const struct sv_account *a, struct slice name);

/* 0, or what the sink returned. What is wrong goes to the report. */
int walk_messages(struct model *m, const struct sink *s, struct report *rep);
