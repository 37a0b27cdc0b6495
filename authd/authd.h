/*
 * authd - the program's parts: dialogues of connections, workers, administrators.
 *
 * Invariant: a session descriptor goes to the connection whose dialogue a worker has answered yes,
 * for the account that routerd named for the name that worker gave, and to nobody else. A
 * connection of the smtp acceptor never gets one: routerd is told its account, which is all that
 * sending needs.
 */
#pragma once

#include "authd/limits.h"
#include "authd/secrets.h"
#include "common/ipc/chan.h"

#include <sys/queue.h>
#include <uthash.h>

struct dialogue;
struct work;
struct admin;
struct failure;
struct making;
struct bucket;
struct op;
struct keep;

struct authd {
	struct event_base *base;
	struct secrets secrets;
	struct ipc_chan *routerd, *stored, *pool, *source; /* NULL while away */
	unsigned helpers;          /* 1 << enum ipc_source: those that are configured */
	const char *host, *scheme; /* host name; how new passwords are stored */
	const char *mechs;         /* words of auth_mechanisms */
	uid_t admin_uids[16];
	char admin_names[16][33]; /* of these users */
	size_t n_admin_uids;
	bool hide_unknown;
	struct dialogue *by_seq; /* dialogues that wait for routerd or stored */
	uint32_t next_seq;
	unsigned workers;
	unsigned worker_ms, client_safe_ms; /* as limits.h has them; tests wait less */
	unsigned open[IPC_ROLES];           /* dialogue channels, by acceptor */
	TAILQ_HEAD(, dialogue) wait_client; /* a challenge is out, the oldest first */
	struct failure *failures;           /* by account */
	struct making *makings;             /* accounts that a helper is asked to know, by name */
	struct bucket *buckets;             /* how many of them, by domain */
	LIST_HEAD(, admin) admins;          /* administrators' channels */
	LIST_HEAD(, op) asking;             /* their requests that wait for routerd's word */
	TAILQ_HEAD(, op) tagging;           /* those that set a tagged password, in order */
	TAILQ_HEAD(, op) want_worker;       /* new accounts' passwords that wait for a worker */
	unsigned hashing;                   /* workers that have one */
	bool closing;                       /* none gets one: a channel's are gone through */
	LIST_HEAD(, op) changes;            /* all requests of administrators */
	LIST_HEAD(, keep) keeps;            /* passwords to be kept about which routerd is asked */
	uint32_t change_counts[CHANGE_COUNTS]; /* keep_changes() */
};

/* ---- dialogue.c ---- */
void authd_init(struct authd *a); /* a zeroed one */
/*
 * A new connection, by the word of the acceptor `role` behind `c`: it may name its own connections
 * only, any other ends `c`. Who administers is believed to the admin acceptor alone. Takes *fd by
 * setting it to -1.
 */
void dialogue_open(
    struct authd *a, struct ipc_chan *c, enum ipc_role role, const struct ipc_conn_new *m, int *fd);
void dialogue_on_route(struct authd *a, const struct ipc_route_login_reply *m);
/* routerd knows the login of a connection that posts, or does not take it. */
void dialogue_on_post(struct authd *a, const struct ipc_post_login_reply *m);
void dialogue_on_session(struct authd *a, uint32_t seq, int *take_fd, uint32_t status);
/* sources.c */
void dialogue_on_source(struct authd *a, const struct ipc_source_answer *m);
/* routerd, stored or authd-external went away: those who wait are told "try later". */
void dialogue_on_peer_gone(struct authd *a);
/* For log and figures: "credentials", "route" ... */
const char *auth_status_word(enum ipc_auth_status status);

/* ---- failures.c: failed logins of accounts ---- */
/* Has it failed `most` times in its period (0: no limit)? Then nobody is to be let in. */
bool failures_over(struct authd *a, uint64_t account, unsigned most);
void failures_add(struct authd *a, uint64_t account, unsigned period_s);
void failures_fini(struct authd *a);

/* ---- keep.c ---- */
/* How often passwords of the account were changed, and perhaps some of another: whoever finds it as
 * it was knows that nobody has set one since. */
uint32_t keep_changes(const struct authd *a, uint64_t account);
/* One is being set by the owner or an administrator. */
void keep_on_change(struct authd *a, uint64_t account);
/*
 * What a helper has confirmed becomes the account's own password, in its own time, unless
 * keep_changes() is another than `changes`, taken before the helper was asked; no session ends.
 */
void keep_password(
    struct authd *a, uint64_t account, uint32_t changes, struct slice name, struct slice password);
/* The same of an account that was made for it, perhaps by somebody else who has given it one. */
void keep_first_password(
    struct authd *a, uint64_t account, struct slice name, struct slice password);
void keep_on_may(struct authd *a, const struct ipc_may_reply *m);
void keep_on_routerd_gone(struct authd *a);

/* ---- make.c: accounts that the external helper knows ---- */
/* Mail to an unknown name. */
void make_for_mail(struct authd *a, const struct ipc_provision_ask *m);
void make_on_source(struct authd *a, const struct ipc_source_answer *m);
void make_on_new(struct authd *a, const struct ipc_account_new_reply *m);
/* authd-external or routerd went away. */
void make_on_peer_gone(struct authd *a);
void make_fini(struct authd *a);

/* ---- pool.c: one worker process for one piece of work ---- */
struct work_ops {
	void (*on_msg)(void *arg, enum ipc_type type, const union ipc_any *m);
	void (*on_lost)(void *arg); /* the worker ended, or hangs, without an answer */
};

/* NULL when the pool is away or all workers are busy. */
struct work *work_new(struct authd *a, const struct work_ops *ops, void *arg);
int work_send(struct work *w, enum ipc_type type, const void *msg);
/* Accepts NULL, sets NULL; the worker's process ends by itself. */
void work_free(struct work **w);

/* ---- admin.c ---- */
/*
 * A new administrator's channel; the other end is returned, -1 without memory. `who` is for the
 * log. `account` 0: Master by the kernel's word, and routerd is asked only whether an account that
 * gets a password is there. Another: about every request.
 */
int admin_open(struct authd *a, uint64_t sid, struct slice who, uint64_t account);
void admin_on_may(struct authd *a, const struct ipc_may_reply *m);
/* act.c: the same, of a login for somebody else. */
void act_on_may(struct authd *a, const struct ipc_may_reply *m);
/* routerd went away: who waits for its word is told "try later". */
void admin_on_routerd_gone(struct authd *a);
void admin_on_secret_drop(struct authd *a, const struct ipc_secret_drop *m);
/* admin-new.c: routerd makes an account and asks for the secret that was brought for it. */
void admin_on_secret_take(struct authd *a, const struct ipc_secret_take *m);
/* A worker is free: those of them that wait for one. */
void newcomer_next(struct authd *a);
void authd_commit_failed(int rc) __attribute__((noreturn));
