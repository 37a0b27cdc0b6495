/*
 * admin-private - an administrator's channel and the requests on it, for the files that know their
 * inside: admin.c has the channels and asks whether a request may be, admin-op.c carries it out,
 * admin-new.c keeps what accounts are to have that are being made.
 */
#pragma once

#include "authd/authd.h"
#include "authd/limits.h"
#include "common/base/secret.h"

struct admin {
	LIST_ENTRY(admin) link; /* while it is not gone */
	struct authd *a;
	struct ipc_chan *chan;
	uint64_t sid;
	uint64_t account; /* 0: Master; else routerd is asked what it may */
	char who[IPC_WHO_MAX + 1];
	unsigned ops;               /* under way; they keep the struct */
	TAILQ_HEAD(, op) newcomers; /* of those: for accounts that are being made */
	bool gone;
	bool shut; /* by a change of the account's password: nothing more is changed from here */
};

/* One request under way. */
struct op {
	struct admin *admin;
	struct authd *a;
	uint32_t seq;
	uint64_t account;
	struct work *work;
	bool setting; /* or checking, or listing */
	bool listing;
	bool named;   /* the worker has asked for the secret */
	bool getting; /* the database has been asked: it answers before the request ends */
	bool adds;    /* what was there opens the account still: no session ends */

	/* of a tagged password: set one after the other, since the account has so many at most */
	char tag[SECRETS_TAG_BYTES + 1];
	bool alone; /* of the own one: no tagged one is left beside it */
	TAILQ_ENTRY(op) tagging_link;
	bool tagging;

	/* of an account that is being made: what it is to have is brought by its administrator, and
	 * taken when routerd asks for it; the two come in any order */
	TAILQ_ENTRY(op) newcomer_link;
	bool newcomer, brought, taken, over;
	bool waits_worker;
	uint32_t take_seq;
	enum ipc_auth_status outcome; /* when it is over before it is taken */
	struct secret form;           /* ready to be put */

	LIST_ENTRY(op) change_link; /* all that set something */
	bool dropped;               /* the account is no more */

	/* while routerd is asked whether this may be */
	LIST_ENTRY(op) asking_link;
	bool asking;
	struct event *deadline;
	uint32_t may_seq;
	char scheme[33];
	struct secret password;
};

/* admin-op.c */

/* NULL when too many are under way. */
struct op *op_new(struct admin *ad, uint32_t seq, uint64_t account);
/* Frees it without a word. */
void op_free(struct op *op);
/* Answers, tells the log, and frees it; or keeps the outcome of what is not taken yet. */
void op_end(struct op *op, enum ipc_auth_status status);
void op_answer(struct admin *ad, uint32_t seq, enum ipc_auth_status status);
/* It waits for routerd's word no longer. */
void op_asking_over(struct op *op);
/* It may be: sets the account's password to what is stored of this one by `scheme`. */
void op_set(struct op *op, struct slice scheme, struct slice password);
/* The form is ready: it becomes durable, or is kept until it is taken. */
void op_put(struct op *op, struct slice stored);
void op_check(struct op *op, struct slice password);
/* Which tags the account's passwords have. */
void op_list(struct op *op);
/* An unknown outcome ends the process. */
void authd_check_commit(int rc);

/* admin-new.c */

void newcomer_bring(struct admin *ad, const struct ipc_secret_new *m);
void newcomer_forget(struct admin *ad, const struct ipc_secret_forget *m);
/* The channel is no more: what is taken goes on, the rest is forgotten. */
void newcomers_close(struct admin *ad);
/* Tells routerd. */
void newcomer_answer(const struct op *op, enum ipc_auth_status status);

/* admin.c */

/* Frees it when it is gone and no request holds it. */
void admin_release(struct admin *ad);
/* Who is in by the account's old password goes; who has just changed the own one stays. */
void admin_end_all(struct authd *a, uint64_t account, uint64_t except_sid);
