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
	bool accepting, stopping, crashed, tls_tried;
};

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
