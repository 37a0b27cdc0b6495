/*
 * proc - how every daemon of the suite starts, lives and ends; main() is one call.
 *
 *     int main(int argc, char **argv)
 *     {
 *             return proc_main(argc, argv, &ops, &state);
 *     }
 *
 * Master starts a program with 0, 1, 2 on /dev/null, 3 its control channel and 4 its log channel,
 * and hands over everything else by messages: configuration slice, directories, listeners, keys,
 * peers. At ctl_go the program warms up, enters its sandbox, and says that it is ready. The
 * invariant: no peer's message is read before the sandbox is on.
 */
#pragma once

#include "common/conf/conf.h"
#include "common/ipc/chan.h"
#include "common/sandbox/table.h"

struct event_base;
struct proc;

/* One end of a channel to another process, before or after a restart of it. */
struct proc_peer {
	enum ipc_role role; /* who is at the other end */
	enum ipc_ch kind;
	bool upper; /* this end is the upper one */
	int fd;
	uint64_t instance; /* of that process, by master's word; 0: not told */
};

struct proc_listener {
	char name[65];
	struct addr local;
	uint32_t flags; /* enum ipc_listen_flags */
	char clients[2049],
	    proxies[2049]; /* networks, for conf_nets_hold(); "" for everybody, nobody */
	int fd;
};

struct proc_key {
	char name[256];
	enum ipc_key_what what;
	int fd; /* the PEM file, open for reading */
};

/* Every callback but `role` and `row` may be NULL. `arg` is proc_main's. */
struct proc_ops {
	enum ipc_role role;
	enum sandbox_proc row;
	/* Outside of the sandbox: crypto, files that only start-up needs, sandbox_child_prepare().
	 * Configuration, directories, listeners and keys are there; peers are not. 0, or -errno
	 * after proc_fail(). */
	int (*warm_up)(struct proc *p, void *arg);
	/* In the sandbox, before ready and before any peer: open the database. As above. */
	int (*start)(struct proc *p, void *arg);
	/* A peer: at start-up for each one, and again when one was restarted. Usually
	 * proc_peer_open(); without a callback the descriptor is closed. */
	void (*on_peer)(struct proc *p, void *arg, struct proc_peer *peer);
	/* proc_conf() and proc_keys() are the new ones; `old` is what was in force. */
	void (*on_reload)(struct proc *p, void *arg, const struct conf *old);
	/* Finish, then proc_exit(); master kills after the deadline. Without it: proc_exit at once.
	 */
	void (*on_stop)(struct proc *p, void *arg, unsigned deadline_ms);
	/* Master wants figures: set those gauges and totals that are kept elsewhere
	 * (common/metrics). */
	void (*on_count)(struct proc *p, void *arg);
	/* The metrics door, after proc_scrape(): the packed figures of one process after the other,
	 * then SLICE_NONE. */
	void (*on_scraped)(struct proc *p, void *arg, struct slice packed);
	/* A file that master passes: "log". The callback takes *fd by setting it to -1. */
	void (*on_file)(struct proc *p, void *arg, const char *name, int *fd);
};

/* Runs until the end of the process: its exit status. */
int proc_main(int argc, char **argv, const struct proc_ops *ops, void *arg);

struct event_base *proc_base(struct proc *p);
const struct conf *proc_conf(const struct proc *p);

/* Number of this process's life, unique in the suite; the upper half of its connections' ids. */
uint64_t proc_instance(const struct proc *p);

/* How often in a row the lives before this one ended by a bad access to memory. */
unsigned proc_crashes(const struct proc *p);

/* The next session id of this process's connections. */
uint64_t proc_next_sid(struct proc *p);

/* A directory that master opened ("store", "directory", "secrets"); owned by proc. -1: not there.
 * Those taken in warm_up or before are also the ones that the sandbox leaves reachable. */
int proc_dir(const struct proc *p, const char *name);

/* All of them; the array and its descriptors are the caller's to use and proc's to close. */
struct proc_listener *proc_listeners(struct proc *p, size_t *ret_n);
struct proc_key *proc_keys(struct proc *p, size_t *ret_n);

/* The channel of a peer with the schema handshake begun: ready to send. Takes peer->fd. NULL
 * without memory. */
struct ipc_chan *proc_peer_open(
    struct proc *p, struct proc_peer *peer, const struct ipc_ops *ops, void *arg);

/* Says to master (and so to the log and to whoever started it) why this process cannot go on. */
void proc_fail(struct proc *p, const char *why, int err);

/* In warm_up and start, as often as you like while something long goes on: master must not take it
 * for hanging (start_timeout). Never around a wait for one thing. */
void proc_progress(struct proc *p);

/* The metrics door alone: asks master to collect everybody's figures, see on_scraped. One at a
 * time. */
void proc_scrape(struct proc *p);

/* Asks master for the file of that name: on_file, or nothing. What may be asked for, master knows.
 */
void proc_ask_file(struct proc *p, const char *name);

/* Leaves the loop; proc_main returns `status`. */
void proc_exit(struct proc *p, int status);

/*
 * In a child, right after fork and before its sandbox: closes every descriptor except 0, 1, 2 and
 * the `n` of `keep`, and makes a loop of the child's own, which proc_base() then is: run it by
 * event_base_dispatch(). The parent's loop and channels are dead memory here: they must be neither
 * used nor freed, since taking an event off the parent's epoll would take it from the parent.
 * 0 or -errno.
 */
int proc_child_init(struct proc *p, const int *keep, size_t n);
