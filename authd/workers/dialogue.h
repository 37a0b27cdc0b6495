/*
 * dialogue - one login dialogue in a worker: the mechanism's messages are read here and nowhere
 * else.
 *
 * Invariant: the worker knows one account's secret, for the time of this dialogue, and whatever it
 * answers can only concern the name it told authd before it got that secret.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/types.h"

struct gsasl_warm; /* what is made once, before processes are forked */

int gsasl_warm_new(struct gsasl_warm **ret); /* 0 or -errno */
void gsasl_warm_free(struct gsasl_warm **w);

struct dialogue_secret {
	struct buf stored;
	struct buf tagged; /* as in work_secret: what a password in clear may be beside it */
	bool known;        /* one of the two is there */
	bool hand_over;    /* others may know the password, when it is not this */
};

/* What there is to say at the end, besides the status. */
struct dialogue_last {
	struct buf words;    /* the mechanism's, with IPC_AUTH_OK */
	struct buf password; /* in clear, with IPC_AUTH_BAD and when it was asked for */
	struct buf tag;      /* of the password that it was; empty: the account's own */
};

/* How the dialogue reaches authd. Both block; false ends the dialogue. */
struct dialogue_port {
	void *ctx;
	/* Tells the name, gets the stored secret (empty: none, act as if); copied into it. */
	bool (*name)(
	    void *ctx, struct slice authcid, struct slice authzid, struct dialogue_secret *ret);
	/* Sends a challenge, gets the client's response. */
	bool (*challenge)(void *ctx, struct slice data, struct buf *ret);
};

/* Runs the dialogue to its end. Returns an enum ipc_auth_status; `last` is appended to. */
enum ipc_auth_status dialogue_run(const struct gsasl_warm *warm, const struct ipc_work_start *start,
    const struct dialogue_port *port, struct dialogue_last *last);
