/*
 * mbox-private - a mailbox in memory: its index, views of it, batches and changes under way.
 *
 * Invariant: `pub` is what is durable, `pend` what it will be when all in flight is; sessions see
 * the first, what is built next goes on from the second.
 */
#pragma once

#include "stored/account-private.h"
#include "stored/cols.h"
#include "stored/keysets.h"
#include "stored/keywords.h"
#include "stored/loans.h"

/* ---- mailboxes ---- */

typedef void engine_moved_uid_fn(
    void *arg, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to);

enum mbox_state {
	MBOX_READY,
	MBOX_REOPEN, /* a commit's outcome is unknown: the group is being opened again */
	MBOX_BROKEN, /* it could not be opened again; the account is loaded anew by the next user */
	MBOX_GOING,  /* being deleted, or deleted */
};

enum cols_state { COLS_NONE, COLS_LOADING, COLS_READY };

struct txn;
struct change;
struct mbox_load;

struct view {
	LIST_ENTRY(view) link; /* of its mailbox */
	struct session *session;
	struct mbox *mbox;
	uint32_t handle;
	bool readonly, events;
	struct cols_view see;
	uint64_t told_modseq;  /* events up to this one were sent */
	uint64_t reader_knows; /* expunges that it said it knows of */
	/* Events that the session did not read in time are made anew from the columns, in passes.
	 */
	bool lagging, catching;
	uint32_t catch_uid, catch_limit;
	uint64_t catch_modseq;
	unsigned n_keywords;  /* that its reader was told of */
	struct feed_own *own; /* of changes made while it lags, the latest */
	size_t n_own;
};

struct feed_own {
	uint64_t modseq;
	uint32_t seq;
};

struct mbox {
	struct account *account;
	uint64_t id;
	uint32_t uidvalidity, next_view;
	uint32_t
	    recent_from; /* no view was told of messages from here on; stored with the next batch */
	enum mbox_state state;
	struct slice name; /* owned */
	uint32_t attrs;    /* special uses */
	unsigned pins;     /* who points at it from outside of the lists below */
	struct engine_group *group;
	struct mbox_head pub, pend; /* durable; with everything in flight */
	unsigned gen;               /* counts failures: batches of an older one are lost */
	TAILQ_HEAD(, txn) flight, unknown;
	enum cols_state cols_state;
	struct cols cols;
	struct keywords keywords; /* durable; loaded with the columns */
	struct keysets sets;      /* words of the columns, and of changes */
	struct loans loans;       /* durable; loaded with the header */
	struct mbox_load *load;
	LIST_HEAD(, view) views;
	TAILQ_HEAD(, change) changes, opens; /* the first change may be running */
	bool change_running, change_looping, doomed_rows, load_failed;
	bool staging; /* a copy puts rows behind the last message, see copy-private.h */
	/* NULL, or a copy that knows places of messages here: those that it is still to store, and
	 * rows that are in no column yet. */
	engine_moved_uid_fn *on_moved;
	void *moved_arg;
	bool doomed;       /* there may be rows for what views still see */
	int64_t deleted_s; /* it was deleted then, and is in account->lost or on its way there */
};

/* One batch for one mailbox, from txn_begin() to the call of `done`. Embedded in its owner's
 * struct. */
struct txn {
	TAILQ_ENTRY(txn) link;
	struct mbox *mbox;
	unsigned gen;
	uint64_t batch_id;
	struct engine_batch *batch;
	struct mbox_head head; /* published when the batch is durable */
	/* IPC_ST_OK: durable, mbox->pub is this head. After it the struct is the owner's again. */
	void (*done)(struct txn *t, int status);
};

/* ---- what is done with them ---- */

/* txn.c */
/* IPC_ST_OK when txn_begin() would not refuse. */
int txn_check(const struct mbox *m);
/* Ready for rows of this mailbox and changes of t->head: IPC_ST_OK, or why not. */
int txn_begin(struct mbox *m, struct txn *t, void (*done)(struct txn *t, int status));
/* Instead of txn_commit(): nothing happened. */
void txn_abort(struct txn *t);
/* Hands in n batches of n mailboxes; `done` of each is called later, never from here. Another
 * status than IPC_ST_OK: all are aborted and `done` is not called. */
enum { TXN_COMMIT_MAX = 64 };
int txn_commit(struct store *st, struct txn **txns, unsigned n) __attribute__((warn_unused_result));

/* mbox.c */
struct mbox *mbox_new(struct account *a, uint64_t id, const struct mbox_rec *rec);
/* Follows its bodies to where compaction takes them. */
void mbox_take_group(struct mbox *m, struct engine_group *take_group);
void mbox_free(struct mbox **m);
/* mbox-load.c: loads the columns; views' sessions and changes are poked when they are there. */
void mbox_load(struct mbox *m);
/* None of them waits for a better moment any more. */
void mbox_load_hurry(struct store *st);
/* A message's row joins columns. ENGINE_OK, or ENGINE_IO without memory. */
int mbox_load_row(struct cols *c, struct keysets *sets, uint32_t uid, const struct msg_rec *rec,
    const struct engine_loc *loc) __attribute__((warn_unused_result));
/* The names of its keywords are all here. */
bool mbox_load_names(struct mbox *m);
/* What is known already of a mailbox being loaded, see early.h: which uids are not there, and the
 * first unseen one. NULL: nothing. */
const struct uid_ranges *mbox_load_early(
    const struct mbox_load *l, const struct mbox_head *h, uint32_t limit, uint32_t *ret_unseen);
/* Rows that became durable while the columns are being loaded. 0 or -ENOMEM. */
int mbox_load_late(struct mbox_load *l, const struct cols_row *rows, size_t n)
    __attribute__((warn_unused_result));
/* One of them has moved. */
void mbox_load_moved(
    struct mbox_load *l, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to);
/* Durable messages, ascending, join the columns (if they are loaded) and the feed. `by` (or NULL)
 * asked for it with `seq`. */
void mbox_add(
    struct mbox *m, const struct session *by, uint32_t seq, const struct cols_row *rows, size_t n);
/* The highest modseq for a client: never 0 (RFC 7162 7), and no later change has it. */
uint64_t mbox_tell_modseq(struct mbox *m);
/* Behind the last message, as its header says. */
static inline uint32_t mbox_end(const struct mbox_head *h)
{
	return h->staged != 0 ? h->staged : h->uidnext;
}
/* Rows of messages: false when they do not fit. */
bool mbox_del_rows(struct engine_batch *b, uint32_t first, uint32_t last);
bool mbox_del_staged(struct engine_batch *b, struct mbox_head *h);
/* A batch with new names is durable: takes them, and tells. */
void mbox_take_keywords(struct mbox *m, struct keywords *take);
/* Rows of the names behind the first `known`, and their count in the header. */
bool mbox_put_keywords(struct txn *t, const struct keywords *k, unsigned known);
/* Between two changes: forgets sets that no message has any more. */
void mbox_sweep_sets(struct mbox *m);
/* After a view went or moved on: rows that nobody sees any more. */
void mbox_sweep(struct mbox *m);

/* change.c: changes of a mailbox, one after the other; each answers its session when durable */
void change_flags(struct view *v, const struct ipc_flags_store *q);
void change_expunge(struct view *v, const struct ipc_msg_expunge *q);
/* A view may begin between two changes, not within one. Answered by session_mbox_opened(). */
void change_open(struct mbox *m, struct session *s, uint32_t seq, uint32_t flags);
/* Facts and header of a message, if it still exists, and its thread, if none is known yet. */
struct late_facts {
	enum facts_source source;
	struct slice facts, header;
	struct thread_ids ids;
	uint64_t thread; /* as threads_find() said */
};
void change_facts(struct mbox *m, uint32_t uid, const struct late_facts *late);
/*
 * Nothing else changes the mailbox (but deliveries) from the call of `fn` with IPC_ST_OK until
 * change_release(). `look`: its columns must be loaded. Another status: it is not held. May call at
 * once.
 */
typedef void change_held_fn(void *arg, int status);
void change_hold(struct mbox *m, bool look, change_held_fn *fn, void *arg);
void change_release(struct mbox *m);
/* n = 0: all such rows. */
void change_undoom(struct mbox *m, const uint32_t *uids, size_t n);
void change_next(struct mbox *m);
/* The session is gone: nobody is answered. */
void change_forget(struct mbox *m, const struct session *s);
/* The mailbox is given up: everything that waits fails. */
void change_fail(struct mbox *m);

/* feed.c */
struct feed_row {
	uint32_t what, uid, flags;
	uint32_t seq; /* of the request that did it, for the session that asked for it */
	uint64_t keywords, modseq; /* keywords: a word of the mailbox's sets */
};
/* Marks views whose readers are slow, before rows vanish that they were not told of. */
void feed_lag(struct mbox *m);
/* `by` (or NULL) did it; all rows are of one request, and seq is set in the first of them. */
void feed_tell(struct mbox *m, const struct session *by, struct feed_row *rows, size_t n);
void feed_catch_up(struct view *v);
/* Names that the views were not told of. */
void feed_keywords(struct mbox *m);

/* view.c: expunges up to this modseq are known to the view's reader. */
void view_knows(struct view *v, uint64_t modseq);
/* The message is gone, and this view must still have its row. */
bool view_needs_dead(const struct view *v, const struct cols_dead *d);

/* Sessions that keep too many expunged messages alive end. */
void view_bound_dead(struct account *a);
