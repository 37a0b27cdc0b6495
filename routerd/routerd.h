/*
 * routerd - the program's parts: its state, who asks it, and the flows that span processes.
 *
 * Invariant: a change is answered only after it is durable here and in every process it concerns;
 * what a crash interrupts is finished at the next start from the state kept with the object.
 */
#pragma once

#include "common/ipc/chan.h"
#include "routerd/bounce.h"
#include "routerd/db.h"
#include "routerd/limits.h"
#include "routerd/route.h"

struct dir_conn;
struct settings_ops;
struct table_job;
struct rcpt_conn;
struct op;

struct routerd {
	struct event_base *base;
	struct db db;
	bool
	    refused; /* the directory is damaged, `db` is an empty one: everybody is told "later" */
	bool secrets_refused;            /* authd says the same of its own */
	struct ipc_chan *authd, *stored; /* NULL while away */
	struct dir_conn *dir_conns;
	struct rcpt_conn *rcpt_conns; /* by sid */
	struct rcpt_wait *rcpt_waits; /* recipients that wait for stored, by seq */
	struct provision *provisions; /* mail that waits for an account, by seq */
	struct op *ops;               /* waiting for stored or authd, by seq */
	unsigned resume_ms;           /* ACCOUNT_RESUME_MS where it is 0; tests lower it */
	bool resume_waits;            /* accounts half made or half gone are looked at then */
	uint32_t next_seq;
	bool names_in_flight; /* a change of domains' other names or addresses is on its way */
	unsigned prefs_in_flight;   /* changes of preferences that are no account's own */
	unsigned changes_in_flight; /* of all that a route depends on; and a table that is */
	const struct table *table_next;
	struct table_job *table_job; /* one that is compiled */
	uint64_t
	    guard_way;    /* guard.c: how postmaster was led before the change that is looked at */
	bool guard_moves; /* a change that leads it another way may be among those in flight */
	struct route route; /* scratch, one address at a time */
	struct bounces bounces;
	struct {
		uint64_t logins, recipients, changes;
	} stat;
	struct figure {
		char name[FIGURE_NAME_MAX + 1];
		uint64_t value;
	} figures[FIGURES_MAX]; /* the operator's own, in memory alone */
	size_t n_figures;
};

/* ---- login.c: authd asks where a login name leads ---- */
void login_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds);
/* stored asks what an administrator may. */
/* foreign.c: stored asks where ~name leads that a session has named, and whether it may in. */
void foreign_on_ask(struct routerd *rd, struct ipc_chan *c, const struct ipc_foreign_ask *m);
/* policy.c: stored asks what an account may. */
void policy_on_ask(struct routerd *rd, struct ipc_chan *c, uint64_t account);
/* Settings of this holder changed: stored asks again. */
struct settings_holder;
void policy_tell_stale(struct routerd *rd, const struct settings_holder *h);
void login_on_store_may(struct routerd *rd, struct ipc_chan *c, const struct ipc_store_may_ask *m);

/* alerts-show.c: stored asks for what an account was not shown, and says what it was shown. */
void alerts_on_ask(struct routerd *rd, struct ipc_chan *c, uint64_t account);
void alerts_on_told(struct routerd *rd, const struct ipc_alerts_told *m);
/* There are new ones of this holder (enum alert_scope, the id of domain or account). */
void alerts_tell_new(struct routerd *rd, unsigned scope, uint64_t id);

/* ---- rcpt.c: recipients of a connection that delivers mail ---- */
/* By the word of the acceptor behind `c`, which may name its own connections only, each once: any
 * other ends `c`. Takes *fd by setting it to -1. */
void rcpt_on_attach(
    struct routerd *rd, struct ipc_chan *c, const struct ipc_rcpt_attach *m, int *fd);
/* authd: this connection's login; IPC_ROUTE_OK, or why it cannot be. */
enum ipc_route_status rcpt_on_login(
    struct routerd *rd, uint64_t sid, uint64_t account, uint32_t flags);
/* Whoever logged in as `account` has to do it again: its connections may ask no more. */
void rcpt_on_logout(struct routerd *rd, uint64_t account);
void rcpt_on_target_done(struct routerd *rd, const struct ipc_post_target_done *m);
/* stored is away: everything that waits for it is answered "try later". */
void rcpt_on_stored_gone(struct routerd *rd);

/* A recipient that waited for its account: it is looked at once more, or answered with `status`. */
void rcpt_again(
    struct routerd *rd, uint64_t sid, const struct ipc_rcpt_ask *q, enum ipc_route_status status);

/* ---- provision.c: accounts that the external helper knows and we do not ---- */

/*
 * May an account of this name be made, which the last route did not find? Then its name is put into
 * `ret`; OK. TRYLATER: it is being made. Else UNKNOWN.
 */
enum ipc_route_status provision_name(struct routerd *rd, enum route_mode mode, struct buf *ret);
/* Mail for such a name: asks authd, and rcpt_again() follows; or says why not. OK: it follows. */
enum ipc_route_status provision_rcpt(
    struct routerd *rd, uint64_t sid, const struct ipc_rcpt_ask *q);
void provision_on_reply(struct routerd *rd, const struct ipc_provision_reply *m);
void provision_on_new(struct routerd *rd, const struct ipc_account_new *m);
/* What became of it. */
void provision_made(struct routerd *rd, uint32_t seq, enum ipc_dir_status status, const char *text);
void provision_on_authd_gone(struct routerd *rd);

/* ---- verbs.c, changes.c: administrators ---- */
void dir_on_open(struct routerd *rd, const struct ipc_dir_open *m, int take_fd);
/* Whoever logged in as `account` has to do it again, but the connection `except_sid`. */
void dir_on_logout(struct routerd *rd, uint64_t account, uint64_t except_sid);

/* table-verbs.c: a table that is compiled is given up, with nobody told; for the end of tests. */
void table_job_end(struct routerd *rd);

/* ---- conns.c: connections that routerd knows, for administrators ---- */

struct conn_row {
	uint64_t sid, account; /* 0: nobody logged in */
	int64_t since_s;
	const char *service;
	struct slice peer; /* packed */
	uint32_t flags;    /* IPC_CONN_TLS, _PROXIED; of nobody's connection not known */
};
typedef void conn_fn(void *arg, const struct conn_row *row);

void rcpt_conns_each(struct routerd *rd, conn_fn *fn, void *arg);
/* Ends the connection; false: there is none. */
bool rcpt_kick(struct routerd *rd, uint64_t sid);
/* How many of those that send for the account are there. */
unsigned rcpt_conns_of(struct routerd *rd, uint64_t account);
/* The same for connections by PWD; `but` is the id of the one that asks, which stays. */
void dir_conns_each(struct routerd *rd, conn_fn *fn, void *arg);
bool dir_kick(struct routerd *rd, uint64_t sid, uint64_t but);

/* An answer to an administrator, who may have gone: then nothing happens. Or to authd, which wants
 * an account. */
enum { DIR_CONN_AUTHD = 1 }; /* administrators' numbers are higher */
struct dir_answer {
	uint64_t conn;
	uint32_t seq;
};

void dir_reply_status(
    struct routerd *rd, struct dir_answer a, enum ipc_dir_status status, const char *text);
void dir_reply_item(struct routerd *rd, struct dir_answer a, struct slice item);

/* ---- account-make.c, accounts.c: accounts come and go in three databases ---- */

struct new_account {
	struct domain *domain;
	struct slice name;      /* valid and free */
	uint64_t quota_bytes;   /* 0: what its domain gives */
	struct slice real_name; /* empty: what its template says */
	uint64_t secret_sid; /* who brings its secret to authd, under the answer's seq; 0: none */
	const struct settings_ops *settings; /* in place of its template's; NULL: none */
};

/* Makes the account and answers with its id when stored has it and authd its secret, too: whole, or
 * not at all. */
void account_create(struct routerd *rd, const struct new_account *n, struct dir_answer a);
void account_delete(struct routerd *rd, struct object *o, struct dir_answer a);
void account_on_done(struct routerd *rd, const struct ipc_account_done *m);
void account_on_secret_taken(struct routerd *rd, const struct ipc_secret_taken *m);
void account_on_secret_dropped(struct routerd *rd, const struct ipc_secret_dropped *m);
/* A peer is back: whatever was left half done goes on. */
void account_resume_all(struct routerd *rd);
/* The peer is away: those who wait are told "try later"; the intent stays. */
void account_on_peer_gone(struct routerd *rd);
/* Tells stored that sessions of the account must end. */
void account_tell_changed(struct routerd *rd, const struct object *o);

/* The same for all accounts of a domain. */
void account_tell_domain_changed(struct routerd *rd, const struct domain *dom);

/* A commit failed in a way that leaves memory and disk apart: ends the process, which starts anew.
 */
void routerd_commit_failed(struct routerd *rd, int rc) __attribute__((noreturn));
