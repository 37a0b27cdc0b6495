/*
 * channels - what an acceptor makes for each connection: a pair for every server that the
 * connection talks to, whose far end goes to that server with the facts of the connection.
 */
#pragma once

#include "common/front/acceptor.h"

struct end_kind {
	enum ipc_ch channel; /* on which the far end is handed over */
	enum ipc_role role;  /* to whom; IPC_ROLE_NONE: the acceptor itself */
	int peer;            /* enum front_peer, -1: none of the core's */
};

extern const struct end_kind channel_ends[IPC_ENDS];

/* Connections of this listener ask a silent client from time to time whether it is there. They have
 * it from the listener, which costs each of them nothing; a Unix socket has no use for it. */
void channels_keep_alive(int listener_fd);

/* What the listener says of its connections, as enum front_bundle_flags. */
uint32_t channels_flags(const struct acceptor *a, uint32_t listen_flags);

/* The facts of a connection, without channels. */
void channels_bundle(struct acceptor *a, struct front_bundle *b, const struct listener *l, int fd,
    const struct addr *peer);

/* Does a connection with these flags (enum front_bundle_flags) have this end? */
bool channels_needed(const struct acceptor *a, enum ipc_end e, uint32_t flags);

/*
 * Makes the connection's channels. One whose server is away has a closed far end: the core finds
 * out as it would if the server had died a moment later. False when descriptors are short.
 */
bool channels_make(struct acceptor *a, struct front_bundle *b, const struct listener *l);
