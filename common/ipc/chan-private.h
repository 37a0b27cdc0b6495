/*
 * chan-private - a channel as its three files see it: chan.c (its life and state), chan-in.c (what
 * comes), chan-out.c (what goes), above packet.c (one packet of a socket).
 *
 * Once `gone` is set nothing more comes or goes, and on_gone is called from the loop. While `busy`
 * counts a callback the memory stays.
 */
#pragma once

#include "common/ipc/chan.h"

#include <event2/util.h>
#include <sys/types.h>

struct ipc_packet {
	struct ipc_packet *next;
	size_t n;
	unsigned nfds;
	bool secret;
	int fds[IPC_FDS_MAX];
	uint8_t data[];
};

struct ipc_chan {
	int fd;
	enum ipc_ch kind;
	bool upper, gone, dead, paused;
	bool greets;   /* a handshake was asked for */
	bool mute;     /* the peer is closed; what it wrote before is still read */
	unsigned busy; /* callbacks under way: freed at the end of the outermost */
	enum ipc_state state, next;
	enum ipc_role peer_role;
	uint64_t peer_instance,
	    told_instance; /* by the peer's hello; by whoever gave us the channel */
	const struct ipc_ops *ops;
	void *arg;
	struct event *ev_in, *ev_out, *ev_gone;
	struct ipc_packet *head, **tail;
	size_t queued, queue_max;
	enum ipc_gone why;
	uint8_t *rx; /* only while a message is being handled by ipc_recv_wait */
};

/* Marks the channel useless; on_gone follows from the loop, never from inside a call of the
 * owner's. */
void ipc_chan_gone(struct ipc_chan *c, enum ipc_gone why);
/* The same for a peer that sent what it may not; `msg` and `why` are logged. */
void ipc_chan_bad(struct ipc_chan *c, const char *msg, const char *why);
/* The end of a callback that `busy` counts: the channel may be gone afterwards. */
void ipc_chan_leave(struct ipc_chan *c);

/* Messages with a password or a stored secret in them: no buffer here keeps one. */
bool ipc_holds_secret(enum ipc_type type);

/* Events of the loop. */
void ipc_chan_readable(evutil_socket_t fd, short what, void *arg);
void ipc_chan_writable(evutil_socket_t fd, short what, void *arg);

void ipc_queue_drop(struct ipc_chan *c);

/*
 * One packet from the socket into `p` (IPC_PACKET_MAX) with its descriptors (IPC_FDS_MAX): its
 * length, 0 at the end, -EBADMSG when packet or descriptors are too many, -EAGAIN, -errno.
 */
ssize_t ipc_packet_recv(int fd, uint8_t *p, int *fds, unsigned *ret_nfds);
/* `head` and `tail`, which may be empty, as one packet: 0, -EAGAIN or -errno. The descriptors stay
 * the caller's. */
int ipc_packet_send(int fd, struct slice head, struct slice tail, const int *fds, unsigned nfds);
void ipc_fds_close(int *fds, unsigned n);
