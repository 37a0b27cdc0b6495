/*
 * chan - one end of a channel between two processes, on a libevent loop or blocking.
 *
 * A channel is a SOCK_SEQPACKET socket; one packet is one message of schema.def with exactly the
 * descriptors that the schema says. What the peer may not send here, or not now, or not in this
 * direction, ends the channel: on_gone is called with IPC_GONE_BAD, and the owner decides what that
 * means (a worse-trusted peer goes; a better-trusted one ends us). Messages are never lost or
 * reordered; what the socket does not take at once waits in a queue bounded by `queue_max` bytes.
 */
#pragma once

#include "common/ipc/codec.h"

struct event_base;
struct ipc_chan;

enum ipc_gone {
	IPC_GONE_EOF,   /* the other end is closed */
	IPC_GONE_BAD,   /* it sent what it may not; already logged as ipc.bad */
	IPC_GONE_ERROR, /* a system call failed; already logged */
	IPC_GONE_SLOW,  /* it does not read and queue_max is reached */
};

struct ipc_ops {
	/*
	 * One message, in order. `m` and its slices live until this returns. `fds` holds the
	 * schema's number of descriptors; the handler takes one by setting it to -1, the others are
	 * closed after it. The handler may free the channel.
	 */
	void (*on_msg)(
	    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds);
	/* The channel is of no more use; the owner frees it, here or later. Called once. */
	void (*on_gone)(void *arg, struct ipc_chan *c, enum ipc_gone why);
	/* Optional: the queue is empty again after having held something. */
	void (*on_drain)(void *arg, struct ipc_chan *c);
};

/* A pair of connected sockets, both non-blocking and close-on-exec: 0 or -errno. */
int ipc_pair(int ret_fds[2]);

/*
 * Takes `take_fd`. `upper` says which end this is. The channel starts in state IPC_IN_RUN (no
 * handshake: an end made by ipc_pair and handed over on a channel that has one), or with
 * ipc_chan_hello(). NULL without memory, and the descriptor is closed.
 */
struct ipc_chan *ipc_chan_new(struct event_base *base, int take_fd, enum ipc_ch kind, bool upper,
    const struct ipc_ops *ops, void *arg);

/* Accepts NULL, sets NULL. Safe inside the channel's own callbacks. Queued messages are dropped. */
void ipc_chan_free(struct ipc_chan **c);

/*
 * Sends our hello and expects the peer's before anything else: same schema, and role `peer`
 * (IPC_ROLE_NONE accepts any). Afterwards the state is `next`.
 */
int ipc_chan_hello(struct ipc_chan *c, enum ipc_role self, uint64_t instance, enum ipc_role peer,
    enum ipc_state next);

/* Instance number that the peer's hello told, 0 before. */
uint64_t ipc_chan_peer_instance(const struct ipc_chan *c);

/* The peer's hello must tell this instance, or the channel ends; 0 (at first): any. */
void ipc_chan_expect_instance(struct ipc_chan *c, uint64_t instance);

/*
 * Whether a connection's id is one that this peer may give: its upper half is the peer's instance.
 * Otherwise an acceptor could speak for connections of another one. A channel without handshake
 * (its peer is of the same making) may use any.
 */
bool ipc_chan_owns_sid(const struct ipc_chan *c, uint64_t sid);

/* Ends the channel as if the schema forbade the message: logged, then on_gone with IPC_GONE_BAD. */
void ipc_chan_refuse(struct ipc_chan *c, enum ipc_type type, const char *why);

void ipc_chan_set_state(struct ipc_chan *c, enum ipc_state state);
enum ipc_state ipc_chan_state(const struct ipc_chan *c);

/* Bound of the queue of unsent packets, bytes; IPC_QUEUE_DEFAULT at first. */
enum { IPC_QUEUE_DEFAULT = 4 << 20 };
void ipc_chan_set_queue_max(struct ipc_chan *c, size_t bytes);
size_t ipc_chan_queued(const struct ipc_chan *c);

/* Reading stops while paused: backpressure towards the peer. */
void ipc_chan_pause(struct ipc_chan *c, bool paused);

/*
 * Sends one message; `take_fds` (the schema's number of them, NULL when that is 0) are closed in
 * every case: sent, queued or failed. 0; 1 when the channel is gone or its queue full (on_gone is
 * called later from the loop); -EMSGSIZE for a message the schema forbids.
 */
int ipc_send(struct ipc_chan *c, enum ipc_type type, const void *msg, int *take_fds);

/* For a process that waits: takes the next message without the loop. `timeout_ms` -1 = for ever.
 * 0 with *ret_type, *ret_m (valid until the next call) and ret_fds (IPC_FDS_MAX, owned by the
 * caller, -1 where none); 1 = end of file or time is over; -EBADMSG. Use either this or the loop.
 */
int ipc_recv_wait(struct ipc_chan *c, int timeout_ms, enum ipc_type *ret_type, union ipc_any *ret_m,
    int *ret_fds);

/*
 * In a child that was forked inside a message handler: the parent's message stays readable, and the
 * child may run channels of its own. proc_child_init() calls it.
 */
void ipc_child_init(void);

int ipc_chan_fd(const struct ipc_chan *c);
const char *ipc_ch_name(enum ipc_ch kind);
const char *ipc_role_name(enum ipc_role role);
