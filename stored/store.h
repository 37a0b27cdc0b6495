/*
 * store - stored's core on one event loop: accounts, mailboxes, deliveries and sessions over the
 * engine, spoken to by channels of common/ipc only.
 *
 * Invariant: nothing that a process is told (a result, a UID, flags, UIDNEXT, a modseq) was not
 * durable before. The core opens no file and no socket of its own but the pairs of its sessions.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "common/database/upkeep.h"
#include "common/ipc/types.h"

struct engine;
struct store;

struct store_conf {
	struct event_base *base;
	struct engine *engine; /* opened by the caller, closed by the caller after store_free() */
	uint64_t instance;     /* our number in the handshake */
	uint64_t undelete_s;   /* what is expunged can be restored for so long; 0: it is gone */
	bool refused; /* the real one is damaged: nothing is served, everybody is told "later" */
	struct upkeep_conf upkeep; /* .name NULL: nothing happens by itself */
	/* The engine says that only a restart helps. Called once. May be NULL. */
	void (*on_broken)(void *arg);
	void *arg;
};

/* Reserves ids, so it waits for one commit of the engine. 0, -EIO (logged), -ENOMEM. */
int store_new(const struct store_conf *conf, struct store **ret_st)
    __attribute__((warn_unused_result));

/* Ends sessions and channels. Work in flight that nobody was told of may or may not be kept. */
void store_free(struct store **st);

/*
 * A channel to another daemon: IPC_CH_AUTH_STORE, ROUTE_STORE, ATTACH_POST, PARSE, EXTERNAL; ours
 * is the upper end. Takes the descriptor. With a role
 * other than IPC_ROLE_NONE the handshake comes first, and the peer must tell this role and (if it
 * is not 0) this instance. 0, -EINVAL (a kind that is not ours), -ENOMEM.
 */
int store_attach(
    struct store *st, int take_fd, enum ipc_ch kind, enum ipc_role role, uint64_t instance);

/* Puts the store's figures where metrics_pack() finds them. */
void store_count(const struct store *st);

/* Tells every session why and closes it; new ones are refused. */
void store_stop(struct store *st);

/* Nothing that was handed to us waits for the engine. */
bool store_idle(const struct store *st);
