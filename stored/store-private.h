/*
 * store-private - what the parts of stored's core share.
 *
 * Ownership: an account owns its mailboxes and stays while refs > 0 (sessions, post targets, jobs,
 * changes under way). What is used inside its own callback is never freed there: sessions and post
 * connections are marked dead and swept by a later turn of the loop.
 */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "common/engine/engine.h"
#include "common/ipc/chan.h"
#include "stored/cols.h"
#include "stored/commit.h"
#include "common/base/idmap.h"
#include "stored/keysets.h"
#include "stored/keywords.h"
#include "stored/limits.h"
#include "stored/record.h"
#include "stored/store.h"
#include "stored/threads.h"

struct account;
struct mbox;
struct session;

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
	enum account_state state;
	bool create;    /* somebody who waits wants it made */
	bool idle;      /* in the list of those that nobody uses */
	bool forgotten; /* gone from memory only, not from the store */
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

/* ---- mailboxes ---- */

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
	struct mbox_load *load;
	LIST_HEAD(, view) views;
	TAILQ_HEAD(, change) changes, opens; /* the first change may be running */
	bool change_running, change_looping, doomed_rows, load_failed;
	bool staging;      /* a copy puts rows behind the last message, see copy-private.h */
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

/* ---- post ---- */

struct post_target {
	uint32_t handle;
	uint64_t quota;
	struct account *account;
	struct mbox *mbox; /* pinned; NULL: the INBOX */
};

/* What routerd and the acceptor said about one connection. */
struct post_conn {
	LIST_ENTRY(post_conn) link; /* of the store */
	struct store *st;
	uint64_t sid;
	struct ipc_chan *chan; /* NULL: not attached yet, or dead */
	bool dead, attached;
	int64_t since_ms;
	struct idmap targets; /* by handle */
	TAILQ_HEAD(, post) posts;
	unsigned n_posts;
	size_t window_used, credit_due;
};

/* ---- peers and the whole ---- */

/* Another daemon or an administrator. */
struct peer {
	LIST_ENTRY(peer) link;
	struct store *st;
	enum ipc_ch kind;
	struct ipc_chan *chan; /* NULL: gone, kept for answers under way */
	unsigned refs;
	uint64_t rights,
	    account; /* administrators; account: who logged in, 0: a user of this machine */
	char who[IPC_WHO_MAX + 1];
	uint64_t sid;
};

struct shard {
	struct engine *engine;
	struct event *ev;
};

struct store_counts {
	uint64_t delivered, refused, expunged, sessions, kicked, bodies, body_bytes, bad_peers;
	uint64_t delivered_bytes, refused_by[IPC_ST_BAD + 1]; /* by status */
};

struct maintain;
struct parse_job;
struct parse_bad;
struct intent_round;
struct lost_sweep;
struct undelete;
struct admin_may;
struct foreign;

struct store {
	struct event_base *base;
	struct shard shards[STORE_SHARDS_MAX];
	unsigned n_shards;
	uint64_t instance;
	void (*on_broken)(void *arg);
	void *arg;
	bool broken_told, stopping;
	bool refused; /* see store.h */
	struct engine_group *meta;
	uint64_t id_next, id_end, id_ahead; /* block in use; start of the one reserved next, or 0 */
	uint64_t id_skipped;                /* blocks behind id_end whose reservation failed */
	bool id_asked, meta_opening;
	struct event *ev_tick, *ev_sweep, *ev_pump;
	TAILQ_HEAD(, session) pump_later;
	struct idmap accounts, conns; /* by id, by sid */
	TAILQ_HEAD(, account) idle;
	size_t n_idle, idle_rows;
	unsigned in_flight, n_unattached, n_admins, n_sessions;
	LIST_HEAD(, peer) peers;
	LIST_HEAD(, admin_may) mays;     /* administrators' requests of which routerd is asked */
	LIST_HEAD(, undelete) lost_mays; /* and those about what is lost */
	uint32_t may_seq;
	LIST_HEAD(, foreign) foreigns; /* requests that name ~name, while routerd is asked */
	LIST_HEAD(, session) sessions, dead_sessions;
	LIST_HEAD(, post_conn) conn_list, dead_conns;
	struct peer *parser;
	TAILQ_HEAD(, parse_job) jobs;
	unsigned n_jobs;
	uint32_t parse_seq;
	struct parse_bad *parse_bad; /* messages that have no facts; see parse.c */
	struct intent_round *intents;
	int64_t intent_retry_ms;      /* INTENT_RETRY_MS; tests lower it */
	struct account_policy policy; /* of accounts that have none of their own */
	struct lost_sweep *sweep;
	uint64_t lost_bytes; /* that can be restored, as of the last round over all accounts */
	struct maintain *maintain;
	struct store_counts counts;
	size_t copy_msgs_max;  /* COPY_MSGS_MAX; tests lower it */
	uint32_t threads_rows; /* THREADS_ROWS; tests lower it */
};

static inline struct engine *store_engine(const struct store *st)
{
	return st->shards[0].engine;
}

/* An IPC_ST_ status for an answer of the engine. */
int store_status(int engine_rc);

/* The engine's (enum engine_health), or that there is none to speak of. */
enum { STORE_REFUSED = ENGINE_BROKEN + 1 };
static inline unsigned store_health(const struct store *st)
{
	return st->refused ? STORE_REFUSED : engine_health(store_engine(st));
}

/* A copy that is owned: 0, or 1 without memory. */
int slice_dup(struct slice from, struct slice *ret);

/* 0 when none is left until a block is durable. */
uint64_t store_id(struct store *st);

/* Marks the loop's next turn for freeing dead sessions and connections. */
void store_sweep_soon(struct store *st);
/* Sessions of pump_later go on when everybody else has had a turn of the loop. */
void store_pump_soon(struct store *st);

/* A peer broke the rules: counted and logged, at most as a notice. */
void store_bad_peer(struct store *st, const char *what, uint64_t sid, const char *why);

/* meta.c: the store's own group is opened again after an unknown outcome; NULL until then */
void meta_reopen(struct store *st);
int meta_init(struct store *st);
/* One wait for the engine; only while nobody is served yet or any more. */
void store_engine_turn(struct store *st, int wait_ms);

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

/* session.c */
struct session_args {
	uint64_t sid, quota;
	struct slice name, service, peer;
	bool admin; /* an administrator's: it may place uids; begins with hello */
};
/* IPC_ST_OK and the other end of the pair. */
int session_new(struct account *a, const struct session_args *args, int *ret_fd);
void session_end(struct session *s, enum ipc_bye why);
void session_free(struct session *s);
/* Ends those of an account (all accounts: NULL) but `except_sid`, and those of others that use it;
 * how many. */
unsigned session_end_all(
    struct store *st, struct account *a, uint64_t except_sid, enum ipc_bye why);
/* Those of one service ("pop3"). */
unsigned session_end_service(struct account *a, struct slice service, enum ipc_bye why);
unsigned session_kick(struct store *st, uint64_t sid);
/* Whose session it is; 0: there is none. */
uint64_t session_account(const struct store *st, uint64_t sid);
void session_pump_all(struct account *a);
void session_list(struct store *st, struct peer *to, const struct ipc_sess_list *q);

/* post.c */
void post_attach(struct store *st, uint64_t sid, int take_fd);
void post_target(struct store *st, const struct ipc_post_target *q, struct peer *from);
void post_conn_free(struct post_conn *pc);
void post_expire(struct store *st, int64_t now_ms);
void post_conn_end(struct post_conn *pc);

/* place.c: the message's place in its row, or in the one for views that still see it. NULL: there
 * is no such row. False: it cannot be asked for now, and `fn` is not called. */
typedef void place_fn(void *arg, const struct engine_loc *loc);
bool place_find(struct mbox *m, uint32_t uid, bool doomed, place_fn *fn, void *arg);

/* parse.c */
void parse_want(struct mbox *m, uint32_t uid, const struct engine_loc *loc, uint64_t size);
void parse_start(struct store *st);
void parse_peer_gone(struct store *st);
void parse_facts(struct store *st, const struct ipc_parse_facts *q);
void parse_drained(struct store *st);
void parse_fini(struct store *st);
bool parse_has(const struct mbox *m);

/* foreign.c: routerd's answer; it is away. */
void foreign_is(struct store *st, const struct ipc_foreign_is *m);
void foreign_routerd_gone(struct store *st);
/* guest.c: nobody else may use it any more: sessions of others that do end; how many. */
unsigned guests_end(struct account *a, enum ipc_bye why);

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

/* peer.c */
struct peer *peer_routerd(struct store *st); /* NULL: away */
struct peer *peer_new(struct store *st, int take_fd, enum ipc_ch kind);
void peer_end(struct peer *p); /* closes; freed when no answer is under way */
void peer_ref(struct peer *p);
void peer_unref(struct peer *p);

/* admin.c */
/* account-first.c: answers account_make. */
void account_first(struct peer *p, const struct ipc_account_make *m);

void admin_open(struct store *st, const struct ipc_store_open *q, int take_fd);
/* Ends the channels of who logged in as this account, but for that of `except_sid`: how many. */
unsigned admin_end_all(struct store *st, uint64_t account, uint64_t except_sid);
void admin_msg(struct peer *p, enum ipc_type type, const union ipc_any *m);
/* Carries out what is allowed; answers what is not. */
void admin_do(struct peer *p, enum ipc_type type, const union ipc_any *m);
void admin_refuse(struct peer *p, enum ipc_type type, const union ipc_any *m, int status);

/* admin-may.c */
void admin_ask(struct peer *from, enum ipc_type type, const union ipc_any *m);
void admin_may_reply(struct store *st, const struct ipc_store_may_reply *r);
/* routerd is away: what waits for it is put off. */
void admin_may_gone(struct store *st);

/* request.c and reader.c: a session's requests */
struct ipc_chan *session_chan(const struct session *s); /* NULL when it is dead */
void session_mbox_opened(
    struct session *s, uint32_t seq, int status, struct mbox *m, uint32_t flags);
/* Answer to a flags_store or msg_expunge, which held `held` bytes of the session's allowance; its
 * list of uids may be of any length. */
void session_changed(struct session *s, size_t held, const struct ipc_store_done *done);
void session_pump(struct session *s);
/* Those that wait for their next turn. */
void session_pump_later(struct store *st);
