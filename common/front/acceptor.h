/* acceptor - what the files of the acceptor share; nobody else includes it. */
#pragma once

#include "common/front/conn.h"
#include "common/front/counts.h"
#include "common/ipc/chan.h"
#include "common/proc/proc.h"

enum { FRONT_LISTENERS_MAX = 256 };

/* Why a client is turned away. */
#define FRONT_NOT_LISTED "not listed"
#define FRONT_ALL_IN_USE "all connections in use"
#define FRONT_NO_PROXY   "no PROXY header of a listed proxy"
#define FRONT_TOO_MANY   "too many from this address"

struct acceptor;
struct worker;
struct sandbox_child;

struct attach {
	struct acceptor *a;
	struct ipc_chan *chan;
	enum ipc_end what;
};

struct listener {
	struct acceptor *a;
	const struct proc_listener *l;
	struct event *ev;
};

struct acceptor {
	const struct front_door *door;
	struct proc *proc;
	struct front_env env; /* as the children inherit it */
	struct sandbox_child *sandbox;
	struct counts *counts;
	struct attach attach[IPC_ENDS]; /* by enum ipc_end */
	struct listener listeners[FRONT_LISTENERS_MAX];
	size_t n_listeners;
	struct worker *workers;
	unsigned n_workers, per_process, max, max_per_address;
	long cpus;        /* asked before the sandbox: it is read from a file */
	int stop_pipe[2]; /* a byte in it: stop; its end without one: the acceptor is gone */
	int sig_fd;
	struct event *ev_signal, *ev_pause, *ev_kill;
	unsigned proxied; /* connections whose PROXY header is not there yet */
	bool accepting, stopping, crashed, tls_tried;
};

/* acceptor.c */
/* A connection whose addresses are known; takes `fd`. claimed_local: by a proxy's word, else NULL.
 */
void acceptor_serve(
    const struct listener *l, int fd, const struct addr *peer, const struct addr *claimed_local);
/* Says no, if there is a way to, and closes. */
void acceptor_turn_away(struct acceptor *a, int fd, uint32_t listen_flags, const struct addr *peer,
    const char *reply, const char *why);

/* proxied.c */
/* A connection on a listener with proxies: its header first. Takes `fd`. */
void proxied_begin(const struct listener *l, int fd, const struct addr *peer);

/* acceptor.c */
void acceptor_over(struct acceptor *a, uint64_t key);

/* spawn.c: processes for connections */
bool spawn_one(struct acceptor *a, struct front_bundle *take_bundle);    /* isolated */
bool spawn_shared(struct acceptor *a, struct front_bundle *take_bundle); /* dense */
/* A child has ended. True when it was one of ours. */
bool spawn_reap(struct acceptor *a, pid_t pid);
void spawn_kill_all(struct acceptor *a);
/* Connections or processes that are still there. */
bool spawn_any(const struct acceptor *a);
