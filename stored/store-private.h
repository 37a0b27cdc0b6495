/*
 * store-private - what the parts of stored's core share: the whole, its peers, and who calls whom.
 * Accounts and mailboxes have headers of their own.
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
#include "common/base/idmap.h"
#include "stored/mbox-private.h"
#include "stored/store.h"

struct session;

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

/* Of the engine: what lies in it. */
struct shard {
	uint64_t accounts;  /* about */
	int64_t refused_ms; /* when an account could not be made there, last; 0: never */
};

struct store_counts {
	uint64_t delivered, refused, expunged, sessions, kicked, bodies, body_bytes, bad_peers;
	uint64_t delivered_bytes, refused_by[IPC_ST_BAD + 1]; /* by status */
};

struct copy;
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
	struct engine *engine;
	struct event *ev_engine;
	struct shard shards[STORE_SHARDS_MAX];
	unsigned n_shards;
	struct rec_key count_from; /* shards.c */
	bool counting, counted;
	uint64_t instance;
	void (*on_broken)(void *arg);
	void *arg;
	bool broken_told, stopping;
	bool refused; /* see store.h */
	struct engine_group *meta;
	uint64_t id_next, id_end, id_ahead; /* block in use; start of the one reserved next, or 0 */
	uint64_t id_skipped;                /* blocks behind id_end whose reservation failed */
	bool id_asked, meta_opening;
	struct event *ev_tick, *ev_sweep, *ev_pump, *ev_threads;
	TAILQ_HEAD(, session) pump_later;
	LIST_HEAD(, mbox_load) paused; /* see mbox-load.c */
	struct idmap accounts, conns;  /* by id, by sid */
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
	int64_t shard_rest_ms;        /* SHARD_REST_MS; tests lower it */
	struct account_policy policy; /* of accounts that have none of their own */
	struct lost_sweep *sweep;
	uint64_t lost_bytes; /* that can be restored, as of the last round over all accounts */
	struct maintain *maintain;
	struct store_counts counts;
	LIST_HEAD(, copy) crosses; /* moves under way that end accounts' loads, see cross.h */
	/* COPY_MSGS_MAX, COPY_WHOLE, COPY_PORTION, COPY_LENDS; tests lower them */
	size_t copy_msgs_max, copy_whole, copy_portion, copy_lends;
	uint32_t threads_rows; /* THREADS_ROWS; tests lower it */
	TAILQ_HEAD(, account) threads_dirty;
	unsigned n_threads_dirty;
};

static inline struct engine *store_engine(const struct store *st)
{
	return st->engine;
}

/* shards.c */
void shards_tick(struct store *st);
/* Where the account is to be made; it counts there from now on. */
unsigned shard_for_new(struct store *st);
/* It could not be: others come first for a while. */
void shard_refused(struct store *st, unsigned shard);
unsigned shards_away(const struct store *st);
/* Lines for an operator; of a store that has one shard none. */
void shards_text(const struct store *st, struct buf *b);

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

/* session.c */
struct session_args {
	uint64_t sid, quota;
	struct slice name, service, peer;
	bool admin; /* an administrator's: it may place uids; begins with hello */
	uint32_t flags;
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

/* peer.c */
struct peer *peer_routerd(struct store *st); /* NULL: away */
struct peer *peer_new(struct store *st, int take_fd, enum ipc_ch kind);
void peer_end(struct peer *p); /* closes; freed when no answer is under way */
void peer_ref(struct peer *p);
void peer_unref(struct peer *p);
/* What authd and routerd say of accounts; false: it is another message. */
bool peer_account_msg(struct peer *p, enum ipc_type type, const union ipc_any *m);

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
