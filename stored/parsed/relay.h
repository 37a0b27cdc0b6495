/*
 * relay - between stored and the readers: which account's mail goes to which process.
 *
 * The relay passes bytes and looks at none. Every message that stored begins gets exactly one
 * answer, whatever becomes of the reader; a reader never sees the mail of two accounts.
 */
#pragma once

#include "common/ipc/chan.h"

struct event_base;
struct relay;

/* Starts a reader on the other end of a channel: 0, or -errno. Takes the descriptor in both cases.
 */
typedef int relay_spawn_fn(void *arg, int take_fd);

/* The channel to stored is gone; what was under way is forgotten already. */
typedef void relay_lost_fn(void *arg);

/* `arg` is for both functions; `lost` may be NULL. NULL without memory. */
struct relay *relay_new(
    struct event_base *base, relay_spawn_fn *spawn, relay_lost_fn *lost, void *arg);
void relay_free(struct relay **r);

/* What the channel to stored needs; its argument is the relay. */
extern const struct ipc_ops relay_stored_ops;

/* The channel to stored; what was under way on the one before is forgotten. Takes `take_stored`. */
void relay_set_stored(struct relay *r, struct ipc_chan *take_stored);

/* Readers alive, for tests. */
unsigned relay_readers(const struct relay *r);
