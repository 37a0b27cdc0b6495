/*
 * lost - messages that are expunged and mailboxes that are deleted, until they are purged: found,
 * counted, brought back.
 *
 * Invariant: a message is in a mailbox or among its lost, never in both and never in neither. Its
 * rows stay where they were; a run (runs.h) says that they are expunged. Restoring makes new rows
 * and deletes the old ones in one commit.
 */
#pragma once

#include "stored/runs.h"
#include "stored/store-private.h"

/* What can be restored of one mailbox. */
struct lost_box {
	struct runs runs;
	struct cols cols;    /* keywords are words of `sets` */
	struct keysets sets; /* of numbers of the mailbox's names */
	uint32_t *owner;     /* the run of each */
};

void lost_box_fini(struct lost_box *b);

typedef void lost_loaded_fn(void *arg, int status);

/* lost-load.c: reads it; the mailbox is pinned meanwhile. May call at once. */
void lost_load(struct mbox *m, struct lost_box *out, lost_loaded_fn *fn, void *arg);

/* Which of them. */
struct lost_pick {
	int64_t since, until; /* expunged then, s; until: not included */
	struct slice uids;    /* pairs; none: all */
	size_t max;
};

/* Indexes of those that are picked, ascending, into a heap block. 0 or -ENOMEM. */
int lost_choose(const struct lost_box *b, const struct lost_pick *p, uint32_t **ret, size_t *ret_n);

/* copy.c: brings them back from `from` to `to`, which may be the same. `n`, `bytes`: what was
 * brought back, also when it ended early. */
typedef void copy_restored_fn(void *arg, int status, size_t n, uint64_t bytes);
void copy_restore(struct mbox *from, struct mbox *to, const struct lost_pick *pick,
    copy_restored_fn *fn, void *arg);

/* Mailboxes that something is lost of, and deleted ones; pinned until lost_mboxes_fini(). */
struct lost_mboxes {
	struct account *account;
	struct mbox **v;
	size_t n, at;
};
/* Of that name (none: all) and that id (0: all). 0 or -ENOMEM. */
int lost_mboxes_find(struct account *a, struct slice name, uint64_t id, struct lost_mboxes *ret);
/* NULL behind the last; those that went meanwhile are passed over. */
struct mbox *lost_mboxes_next(struct lost_mboxes *l);
void lost_mboxes_fini(struct lost_mboxes *l);

/* lost-purge.c: what was expunged before that second goes, in all mailboxes or in those of that
 * name. `n` messages went. Nothing goes while the account is on hold: IPC_ST_DENIED. */
typedef void lost_purged_fn(void *arg, int status, size_t n, uint64_t bytes);
void lost_purge(
    struct account *a, struct slice name, int64_t before_s, lost_purged_fn *fn, void *arg);

/* lost-sweep.c: what is too old goes, account after account; from the store's tick. */
void lost_sweep_tick(struct store *st);
void lost_sweep_fini(struct store *st);

/* lost-job.c: questions of sessions and administrators. */
struct lost_ask {
	struct session *session; /* or */
	struct peer *peer;
	struct account *account;
	uint32_t seq, what, limit;
	bool own; /* a user asks, who may restore so many a day */
	struct slice name;
	uint64_t mbox;
	int64_t since, until;
	struct slice uids;
};
/* False without memory. */
bool lost_job(const struct lost_ask *q);
/* lost-ask.c: False: the message is not about that. */
bool lost_on_session_msg(struct session *s, enum ipc_type type, const union ipc_any *m);
bool lost_on_admin_msg(struct peer *p, enum ipc_type type, const union ipc_any *m);
/* routerd's answer whether an administrator may, if that was asked with this number. */
void lost_may_reply(struct store *st, uint32_t seq, int status);
void lost_may_gone(struct store *st);

/* Sums of the account: messages and bytes. */
uint64_t lost_count(const struct account *a, uint64_t *ret_bytes);
