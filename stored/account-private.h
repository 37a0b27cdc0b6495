/*
 * account-private - an account in memory: its names and mailboxes, what it may, who uses it.
 *
 * Ownership: it owns its mailboxes and stays while refs > 0 (sessions, post targets, jobs, changes
 * under way).
 */
#pragma once

#include <sys/queue.h>

#include "common/engine/engine.h"
#include "common/ipc/chan.h"
#include "stored/commit.h"
#include "stored/limits.h"
#include "stored/record.h"
#include "stored/threads.h"

struct account;
struct account_load;
struct mbox;
struct session;
struct store;

/* ---- accounts ---- */

enum account_state {
	ACCOUNT_LOADING,
	ACCOUNT_READY,
	ACCOUNT_DROPPING, /* in the table until its rows are gone */
	ACCOUNT_GONE,     /* out of the table; the last reference frees it */
};

/* `a` is NULL unless status is IPC_ST_OK; the callee takes its own reference to keep it. */
typedef void account_fn(void *arg, int status, struct account *a);

/* What an account may; from its settings. */
struct account_policy {
	int64_t undelete_s;        /* what is expunged can be restored for so long */
	uint32_t restores_per_day; /* messages that the user may restore without an administrator */
	uint64_t messages_max;     /* 0: no limit */
	uint32_t notice, alert, suspend; /* per cent of the quota; 0 of the first two: never */
	bool compress;                   /* new bodies */
};

struct account_waiter {
	STAILQ_ENTRY(account_waiter) link;
	account_fn *fn;
	void *arg;
	bool create;
};

/* Names without messages, in the order of tree.h. */
struct tree_names {
	struct tree_name *v;
	size_t n;
};

/* What an account has of what its quota counts. */
struct quota_use {
	uint64_t octets, messages;
};

struct tree_op;
struct copy_turn;
struct guest;

struct account {
	struct store *st;
	uint64_t id;
	unsigned shard; /* of the engine, where all its groups are */
	enum account_state state;
	bool create;    /* somebody who waits wants it made */
	bool idle;      /* in the list of those that nobody uses */
	bool forgotten; /* gone from memory only, not from the store */
	bool settling;  /* READY for what cross.h does, not yet for others */
	void *crossing; /* owned while it is loaded: a note of a move, see cross-settle.c */
	size_t idle_rows;
	unsigned refs, n_sessions;
	struct engine_group *root;
	struct commit_queue commits;
	struct root_rec rec;
	struct mbox **mboxes; /* by name, see tree.h */
	size_t n_mboxes;
	struct mbox *inbox;
	struct tree_names dirs, subs;
	struct threads threads;
	TAILQ_HEAD(, tree_op) ops; /* the first is under way */
	unsigned n_ops;
	TAILQ_HEAD(, copy_turn) copies; /* the first is under way */
	struct mbox **gone;             /* deleted, somebody still points at them */
	size_t n_gone;
	struct mbox **lost; /* deleted, and can be restored; in no order */
	size_t n_lost;
	struct allow_rec allow; /* what the user restored today */
	struct account_policy policy;
	bool policy_known;                      /* from routerd, not our default */
	int64_t policy_asked_ms;                /* when, last; 0: never */
	uint32_t quota_level;                   /* per cent: the highest that was passed; 0: none */
	uint32_t quota_kind;                    /* enum ipc_quota_kind: of what */
	struct quota_use begun;                 /* when it was loaded */
	bool quota_seen, quota_untold, warning; /* warning: a message about it is on its way */
	uint64_t modseq;                        /* highest handed out */
	uint64_t quota;                         /* bytes, as told last; 0: none */
	size_t n_dead;                          /* in the columns of all its mailboxes */
	STAILQ_HEAD(, account_waiter) waiters;
	LIST_HEAD(, session) sessions;
	LIST_HEAD(, guest) guests; /* sessions of other accounts that use this one */
	struct session *alerts_to; /* alerts.c */
	struct ipc_alerts_told alerts_out;
	bool alerts_again;
	TAILQ_ENTRY(account) idle_link;
	struct account_load *load;
};

/* ---- what is done with them ---- */

/* account.c */
enum { ACCOUNT_CREATE = 1 };
/* May call `fn` at once. */
void account_get(struct store *st, uint64_t id, unsigned flags, account_fn *fn, void *arg);
void account_ref(struct account *a);
void account_unref(struct account *a);
/* Bytes of all its mailboxes, with what is in flight; not what is expunged. */
uint64_t account_usage(const struct account *a);
/* tree-lost.c: nothing of it may be purged; from the moment on at which that is asked for, because
 * what is handed in later becomes durable later. */
bool account_held(const struct account *a);
/* What is expunged can be restored. */
static inline bool account_keeps(const struct account *a)
{
	return a->policy.undelete_s > 0 || account_held(a);
}
/* Every mailbox that has a group: those that are there, then the deleted ones that can be restored.
 * NULL behind the last. */
struct mbox *account_nth(const struct account *a, size_t i);
/* IPC_ST_OK after nothing of it is left. Ends its sessions. */
void account_drop(struct store *st, uint64_t id, account_fn *fn, void *arg);
/* account-load.c: finds out whether it exists, reads its mailboxes' headers, makes it when
 * a->create; then account_loaded(). */
void account_load(struct account *a);
void account_loaded(struct account *a, int status);
/* What cross.h says is done, or cannot be done now. */
void account_settled(struct account *a, int status);
/* The next user loads it anew: its memory may differ from what is stored. Ends its sessions. */
void account_forget(struct account *a);
void account_evict(struct store *st, bool all);
/* Out of memory, if nobody uses it. */
void account_let_go(struct store *st, uint64_t id);
/* The name's mailbox: NULL and *ret_status, when there is none or it is only a directory. */
struct mbox *account_mbox(struct account *a, struct slice name, int *ret_status);
struct mbox *account_mbox_id(struct account *a, uint64_t id);
/* tree-op.c: nobody waits for it any more; what was asked is done all the same. */
void tree_forget(struct account *a, const struct session *s);
/* Frees deleted mailboxes that nobody points at any more. */
void tree_reap(struct account *a);

/* policy.c: asks routerd what the account may, unless that is known since a short time. */
void policy_want(struct account *a);
void policy_is(struct store *st, const struct ipc_policy_is *m);
/* What it knows is of before a change: those in use are asked about at once. */
void policy_stale(struct store *st, const struct ipc_policy_stale *m);

/* alerts.c: asks routerd for what the account's user was not shown, when there is a session to show
 * it in. */
void alerts_want(struct account *a);
void alerts_are(struct store *st, const struct ipc_alerts_are *m);
void alerts_new(struct store *st, const struct ipc_alerts_new *m);
void alerts_routerd_came(struct store *st);

/* quota.c: so many bytes and messages more are within `quota` bytes and the account's number of
 * messages. */
bool quota_lets(const struct account *a, uint64_t quota, uint64_t bytes, uint64_t n);
/* What incoming mail may fill of it. */
uint64_t quota_of_mail(const struct account *a, uint64_t quota);
/* The account was loaded: levels that were passed by now were told then. */
void quota_begin(struct account *a);
/* Something became durable: a level passed is told once. */
void quota_look(struct account *a);
/* quota-mail.c: a message in the INBOX, unless there was one today. */
void quota_warn(struct account *a, const struct quota_use *used);
/* A view with events was opened: it is told what nobody was there for. */
void quota_tell_late(struct session *s);
