/*
 * The signer's channels: an acceptor's brings channels of connections, a connection's brings
 * questions. The owner runs the event loop and adds what master passes.
 *
 * Invariant: a channel of a connection can do nothing but ask; whatever else comes on it closes it
 * and no other. One channel costs at most SIGNER_SIGNATURES signatures, so a taken child can delay
 * the others by that much and no more.
 */
#pragma once

#include "authd/signer/signer_keys.h"
#include "common/ipc/types.h"

#include <stddef.h>

struct event_base;
struct signer_serve;

/* Serves on BASE with KEYS, which it owns from then on. 0 or -ENOMEM. */
int signer_serve_new(struct event_base *base, struct signer_keys *take_keys,
    struct signer_serve **ret_serve) __attribute__((warn_unused_result));
void signer_serve_free(struct signer_serve **serve);

/*
 * Adds our end of a channel to an acceptor (IPC_CH_ATTACH_SIGN), which must say in its hello that
 * it is PEER (IPC_ROLE_NONE: anybody) and, if it is not 0, TOLD's instance; INSTANCE is what ours
 * tells. 0 or -ENOMEM; the descriptor is taken in both cases.
 */
int signer_serve_attach(struct signer_serve *serve, int take_fd, enum ipc_role peer, uint64_t told,
    uint64_t instance) __attribute__((warn_unused_result));

/*
 * Takes new keys in the place of those in force. Those stay usable for SIGNER_OLD_KEYS_MS, because
 * acceptors are told of new certificates a little later or earlier than we of new keys.
 */
void signer_serve_set_keys(struct signer_serve *serve, struct signer_keys *take_keys);

/* Open channels of both kinds: an old signer may end when there are none. */
size_t signer_serve_count(const struct signer_serve *serve);
