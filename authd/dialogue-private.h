/*
 * dialogue-private - a dialogue, for the two files that know its inside: dialogue.c runs the
 * mechanism, grant.c hands over what was proved.
 */
#pragma once

#include "authd/authd.h"
#include "authd/limits.h"
#include "common/base/secret.h"

enum dialogue_state {
	DLG_IDLE,    /* no mechanism under way */
	DLG_WORKER,  /* the worker has the word */
	DLG_CLIENT,  /* a challenge is out */
	DLG_ROUTE,   /* routerd is asked */
	DLG_SECRET,  /* the database is asked */
	DLG_ACT,     /* routerd is asked whether he may be somebody else */
	DLG_SOURCE,  /* others are asked, whose password it may be */
	DLG_MAKE,    /* its account is being made, perhaps */
	DLG_SESSION, /* stored is asked */
	DLG_POST,    /* routerd is told */
	DLG_DONE,    /* granted or used up: nothing is legal any more */
};

struct dialogue {
	struct authd *a;
	struct ipc_chan *chan;
	struct work *work;
	struct event *timer;
	enum dialogue_state state;
	unsigned attempts, starts, holds; /* holds: database answers under way */
	bool dead, named;                 /* the worker has said whose secret it wants */
	bool tls, hide; /* the link is encrypted now; unknown names look like wrong passwords */
	unsigned fail_max, fail_s; /* as in route_login_reply */
	unsigned sources;          /* 1 << enum ipc_source: those that may be asked yet */
	bool own, own_known;       /* it may have a secret of its own; it has */
	bool later;                /* one of the sources could not say */
	enum ipc_source asks;      /* of them, the one that is asked now */
	struct secret password;    /* while sources are asked, or the account is made */
	bool make;                 /* a name that nobody has, and the helper may know */
	bool kept;                 /* which becomes its own */
	struct waiter *waiter;     /* while it is made */
	uint64_t guess;            /* whose failure a wrong password is: the account's number ... */
	bool waits;                /* in the list of those with a challenge out */
	int64_t waits_since_ms;
	int64_t heard_ns, asked_ns; /* timing.c: the client, 0 when that is told; routerd */
	TAILQ_ENTRY(dialogue) wait_link;
	enum ipc_role role; /* of the acceptor */
	uint32_t seq;       /* of the question to routerd or stored */
	bool in_table;
	uint64_t sid, quota, rights;
	uint64_t account;    /* that a worker may open by its yes; 0: none */
	uint64_t asked;      /* that routerd named and whose settings allow the login; 0: none */
	uint64_t confirmed;  /* the one that was made by this password; 0: none */
	uint32_t changes;    /* keep_changes() of it then */
	uint32_t flags, uid; /* flags: IPC_CONN_... of the beginning */
	char service[33], mech[33], domain[256];
	bool tagged;                            /* it was a tagged password */
	char source[4 + SECRETS_TAG_BYTES + 1]; /* whose password it was, for the log */
	char text[256];                         /* the Router's words about an unknown name */
	struct buf peer, local, name, last;
	struct buf acting; /* whom he wants to be; empty: himself */
	uint64_t acting_account, acting_quota;
	UT_hash_handle hh;
};

/* dialogue.c */

/* A question to routerd or stored: its number; the answer finds the dialogue by it until it is
 * over. */
uint32_t dialogue_ask_seq(struct dialogue *d);
void dialogue_ask_over(struct dialogue *d);
/* It is not one of those with a challenge out. */
void dialogue_wait_over(struct dialogue *d);
/* 0: none. */
void dialogue_set_deadline(struct dialogue *d, unsigned ms);
/* refuse.c: ends the attempt; what was our own failure does not count against the client. */
void dialogue_refuse(struct dialogue *d, enum ipc_auth_status status, struct slice text);

/* timing.c: the client has said what its name is to come of; routerd was asked; it has answered. */
void timing_heard(struct dialogue *d);
void timing_asked(struct dialogue *d);
void timing_routed(struct dialogue *d);

/* sources.c */

/* Who may be asked about the account's password, by routerd's flags. */
unsigned sources_of(const struct dialogue *d, uint32_t login_flags);
/* The own secret is not this password: asks the others in turn, and ends the attempt. */
void sources_begin(struct dialogue *d, struct slice password);
/* The attempt is over, or nobody waits for it any more: forgets the password, and counts the
 * failure. */
void sources_over(struct dialogue *d, enum ipc_auth_status status);

/* Its account is there now, by `m` of routerd: on with the password that was kept. */
void sources_made(struct dialogue *d);

/* make.c */

/* May the account of this name, which is unknown, be made? Then the worker goes on as with a name
 * that has no secret, and hands the password over. */
bool make_may(struct dialogue *d, const struct ipc_route_login_reply *m);
/* Asks the helper, or waits for those who have asked about the same name. */
void make_begin(struct dialogue *d, struct slice password);
/* It is unknown still, by `m`: then so. */
void make_on_route(struct dialogue *d, const struct ipc_route_login_reply *m);
/* As a name that nobody has is always refused. */
void make_refuse(struct dialogue *d);
/* It waits no longer. */
void make_leave(struct dialogue *d);

/* dialogue.c: which account is that name's? */
void dialogue_ask_route(struct dialogue *d);

/* conditions.c */

bool conditions_clear_text(const struct dialogue *d);

/* What speaks against this mechanism on this link, and then, with the account known, against this
 * login: IPC_AUTH_OK when nothing. A clear-text password that may not have come is not even tried:
 * whether it is right is not told to whoever listens. */
enum ipc_auth_status conditions_of_start(const struct dialogue *d);
enum ipc_auth_status conditions_of_account(
    struct dialogue *d, const struct ipc_route_login_reply *m);

/* act.c */

/* He is who he says, and `acting` is another name: grants it, or refuses. */
void act_begin(struct dialogue *d);
void act_on_route(struct dialogue *d, const struct ipc_route_login_reply *m);

/* grant.c */

/*
 * The worker said yes: a session of the account, for a connection that sends mail routerd's
 * knowledge, for one of the pwd door an administrator's channels with the rights of the account.
 */
void dialogue_grant(struct dialogue *d);
/* It is `account` that knocks: what it wants is granted, or routerd asked for more. */
void dialogue_proved(struct dialogue *d);
/* Are those there whom dialogue_grant() needs? */
bool dialogue_can_grant(const struct dialogue *d);
void dialogue_admin(struct dialogue *d);
