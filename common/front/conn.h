/*
 * conn - one connection: a client's socket, plain or in TLS, and a core between it and its
 * channels.
 *
 * Runs on an event loop beside any number of others (one in isolated mode). Output is written once
 * per turn of the loop, whatever the number of answers that came in it.
 */
#pragma once

#include "common/front/front.h"

struct event_base;
struct tls_ctx;

/* What the acceptor made for a connection. Descriptors are -1 where there is none. */
struct front_bundle {
	uint64_t sid;
	uint32_t flags;    /* enum front_bundle_flags */
	unsigned listener; /* the acceptor's number of it */
	struct addr peer, local;
	int client, sign, log;
	int ends[FRONT_PEERS];
};

enum front_bundle_flags {
	FRONT_BUNDLE_TLS = 1 << 0,         /* from the first byte */
	FRONT_BUNDLE_TLS_OFFERED = 1 << 1, /* when the client asks */
	FRONT_BUNDLE_PLAIN_LOGIN = 1 << 2,
	FRONT_BUNDLE_LMTP = 1 << 3, /* what the listener is for, as IPC_LISTEN_... says */
	FRONT_BUNDLE_SUBMISSION = 1 << 4,
	FRONT_BUNDLE_PROXIED = 1 << 5, /* peer and local are a proxy's claim */
};

/* What all connections of a process share. */
struct front_env {
	struct event_base *base;
	const struct front_door *door;
	struct tls_ctx *tls; /* NULL: none */
	struct slice host;
	int log_level;
	_Alignas(16) uint8_t core_conf[FRONT_CORE_CONF_MAX];
	/* The connection is over and its memory gone. */
	void (*on_end)(struct front_env *env, uint64_t sid);
	struct front_conn *conns; /* list, for front_env_stop */
};

struct front_conn;

/* Serves the connection; takes the descriptors in any case. False when it could not begin. */
bool front_conn_start(struct front_env *env, struct front_bundle *take_bundle);

/* Every core is told that the server stops. */
void front_env_stop(struct front_env *env);

/*
 * The acceptor is gone. Connections go on, and end as soon as a server they need goes as well: then
 * it was the whole suite that stopped.
 */
void front_env_orphan(struct front_env *env);

void front_bundle_close(struct front_bundle *b);
