/*
 * early - which uids a large mailbox has, and which of its messages is the first unseen, before its
 * index is loaded: what a client that selects it is told.
 *
 * Pure. Every uid below UIDNEXT that the history does not name is there, if there are as many of
 * them as the header counts; else nothing is known early. The first unseen one is looked for from
 * the newest message down, as mail is read: it is found when as many were seen as the header says.
 */
#pragma once

#include "stored/record.h"
#include "stored/runs.h"

struct early {
	struct runs gone; /* of the history */
	struct uid_ranges holes;
	uint64_t n_holes;
	bool bad, settled; /* settled: the holes are known */
	/* a window of the newest messages */
	uint32_t from, to;
	uint8_t *there; /* of each uid: there, and whether it is unseen */
	uint32_t first_unseen;
};

/* Whether it is worth the look. */
bool early_wanted(const struct mbox_head *h);
void early_fini(struct early *e);

/* A row of the history; one that is damaged, and nothing is known. */
void early_gone(struct early *e, struct slice key, struct slice val);
/* That was all of it. */
void early_settle(struct early *e);

/* The next window of uids, [from, to), whose messages are to be told; false: no more. */
bool early_window(struct early *e, const struct mbox_head *h);
/* `changed`: since it arrived; told behind the others. */
void early_flags(struct early *e, uint32_t uid, uint32_t flags, bool changed);
/* The window was told; `h` as it was when it began. */
void early_window_end(struct early *e, const struct mbox_head *h);

/* The uids below `limit` are all but the holes, and so is the first unseen: it, or 0, into
 * *ret_unseen. False: not known. `h` as it is now. */
bool early_known(
    const struct early *e, const struct mbox_head *h, uint32_t limit, uint32_t *ret_unseen);
