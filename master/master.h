/*
 * master - what the files of the supervisor share: the suite's state, and who may talk to whom.
 *
 * Invariant: every other process of the suite is a child of this one, in one struct child, and
 * every descriptor that leaves here was asked for by a row of programs[] or peer_pairs[].
 */
#pragma once

#include "common/conf/conf.h"
#include "common/ipc/chan.h"
#include "common/sandbox/table.h"

#include <sys/types.h>

struct event;
struct event_base;
struct master;

/* --- programs.c: the tables --- */

/* Doors are stopped first, so that nobody new comes in; the sink last, so that it hears everybody.
 */
enum stop_stage { STOP_DOORS, STOP_HELPERS, STOP_STORE, STOP_LOG, STOP_STAGES };

struct program {
	enum ipc_role role;
	enum sandbox_proc row;
	enum stop_stage stage;
	const char *dir;  /* its data directory, below data_dir; NULL for none */
	bool vouches_sid; /* its log lines may name any session; others only their own */
};

enum { PROGRAMS = 15 };
extern const struct program programs[PROGRAMS]; /* in the order of starting */

struct peer_pair {
	enum ipc_role lower, upper;
	enum ipc_ch kind;
};

enum { PEER_PAIRS = 24 };
extern const struct peer_pair peer_pairs[PEER_PAIRS];

static inline const char *program_name(const struct program *prog)
{
	return ipc_role_name(prog->role);
}

static inline bool program_is_door(const struct program *prog)
{
	return prog->stage == STOP_DOORS;
}

/* --- child.c: one process --- */

enum child_state {
	CHILD_OFF,      /* not wanted, or not started yet */
	CHILD_STARTING, /* running, not ready */
	CHILD_READY,
	CHILD_STOPPING, /* was told to stop, or was killed */
	CHILD_WAITING,  /* dead; starts again when its delay is over */
};

struct child {
	struct master *m;
	const struct program *prog;
	enum child_state state;
	pid_t pid;
	int pidfd,
	    log_far_fd; /* the sink's end of its log channel: a restarted sink needs it again */
	uint64_t instance;
	struct ipc_chan *control;
	struct event *ev_exit, *timer; /* timer: restart delay, or the deadline of a stop */
	unsigned delay_ms, quick_deaths;
	unsigned crashes;                /* in a row: deaths by a bad access to memory */
	int64_t ready_at_ms, ping_at_ms; /* 0: none */
	int64_t moved_at_ms; /* started, got on with its start, or was told to stop: the last */
	bool restart_wanted; /* a stop that is part of a restart */
	bool told_silent;    /* that it does not answer is in the log */
	bool started;        /* before: the next start is a restart */
	bool counted;        /* has told its figures to the collection under way */
	char why[256];       /* its own last words */
};

/* It has ended: takes note of a bad access to memory. */
void child_count_crash(struct child *c, int status);

/*
 * Starts the process and sends it all that it is to have. 0; or -errno, or 1 when it has ended
 * meanwhile: what there is of it was killed, and `c->pid` says whether its end is still to come.
 */
int child_start(struct child *c);
void child_stop(struct child *c, unsigned deadline_ms);
void child_kill(struct child *c);
void child_fini(struct child *c);

/* After SIGCHLD: looks for the end of a process that could not be watched. */
void child_reap(struct child *c);

/* --- send.c --- */

/* All that a new process is to have, and its go: 0 or -errno, then it must not live. */
int child_send_all(struct child *c);

/* Its part of the configuration, keys included; `reload` for a process that is running: 0, or
 * -errno when it does not have all of it. */
int child_send_conf(struct child *c, bool reload);

/* To logd: the log file, opened again. */
void child_send_log_file(struct child *c);

/* --- peers.c --- */

/* Channels between `c` and everyone who runs, in both directions of the table: 0, or -errno when
 * one is missing. */
int peers_connect(struct child *c);

/* --- listen.c --- */

struct listener {
	enum ipc_role role;
	char name[65];
	struct addr addr;
	char path[108];
	mode_t mode;
	char owner[65], group[65];
	uint32_t flags;
	char *clients, *proxies;
	int fd;
	bool passed; /* systemd made it, and removes its path */
};

struct listeners {
	struct listener *l;
	size_t n;
};

/* Where sockets come from, besides those that we have. */
struct sockets {
	const char *bind_path; /* who listens there makes TCP sockets; NULL: we do */
	struct passed *passed; /* made by systemd */
	size_t n_passed;
};

/*
 * The sockets that `conf` wants. A socket of `old` for the same place is taken over, then one that
 * systemd passed; others are made. At the start, when there is no `old`, a place that somebody else
 * has is tried again for some seconds. 0, or -errno after a sentence in `why`, with `old` as it
 * was.
 */
int listeners_open(const struct conf *conf, const struct sockets *from, struct listeners *old,
    struct listeners *ret, struct buf *why);

/* Closes, and removes the Unix sockets that are not in `kept`. */
void listeners_fini(struct listeners *ls, const struct listeners *kept);
bool listeners_same(const struct listeners *a, const struct listeners *b, enum ipc_role role);
bool listeners_any(const struct listeners *ls, enum ipc_role role);

/* --- passed.c: sockets of systemd's --- */

struct passed {
	int fd;
	struct addr addr;
	char path[108], name[256];
};

/* What systemd passed to this process, once: 0, or -errno after a sentence in `why`. */
int passed_open(struct sockets *s, struct buf *why);
void passed_fini(struct sockets *s);

/* The passed socket for a listener, or NULL. */
const struct passed *passed_find(const struct sockets *s, const struct listener *l);

/* -ENOENT after a sentence for each passed socket that no listener takes. */
int passed_check(const struct sockets *s, const struct listeners *ls, struct buf *why);

/* --- files.c: directories, keys, the pid file --- */

/* Directory `name` below the data directory, made with the owner `user` where it is missing. A new
 * descriptor, or -errno after a sentence in `why`. */
int files_data_dir(const struct master *m, const char *name, const char *user, struct buf *why);

/* An empty directory owned by root, for processes to have as their root; -1 as ordinary user. */
int files_empty_dir(struct buf *why);

/* The suite's lock: 0, or -errno after a sentence. */
int files_pid_open(struct master *m, struct buf *why);
void files_pid_close(struct master *m);

struct key_files {
	struct key_file {
		char *name;
		int chain_fd, key_fd;
	} * k;
	size_t n;
};

int key_files_open(const struct conf *conf, struct key_files *ret, struct buf *why);
void key_files_fini(struct key_files *k);

/* --- keycheck.c --- */

/* key_files_open(), and then: does each key belong to its chain, and can both be used? 0, or -errno
 * after a sentence for each that is wrong. A process of its own looks; we wait for a bounded time.
 */
int key_files_take(
    const struct master *m, const struct conf *conf, struct key_files *ret, struct buf *errors);

/* --- apart.c --- */

/* In a new process: puts `fds` at the places from 3 on, in their order (-1: none there), without
 * close-on-exec, and closes all others but the standard ones. Changes `fds`; no return on failure.
 */
void apart_keep(int *fds, size_t n);

/* What process `pid` writes to `fd` until it closes that, and its end, for a bounded time: 0 or
 * -errno. The process is gone afterwards in any case. */
int apart_answer(pid_t pid, int fd, struct buf *out, int *ret_status);

/* --- readconf.c --- */

/* Parses the file in a process of its own without rights. 0; or 1 or -errno with text in `errors`.
 */
int readconf(const char *path, int empty_fd, struct conf *ret, struct buf *errors);

/* --- outside.c --- */

/* As root: the users of all processes. 0, or -ENOENT after a sentence for each that is missing. */
int outside_check_users(struct buf *errors);

/* What it needs of the machine (key files, owners of sockets): 0, or -ENOENT after a sentence in
 * `errors` for each that is missing. */
int outside_check(const struct conf *c, struct buf *errors);

/* --- groups.c: connections whose acceptor died --- */

enum { GROUPS_MAX = 64 };

void groups_init(struct master *m);
void groups_add(struct master *m, pid_t group); /* the dead acceptor's pid, just reaped */
void groups_reap(struct master *m);
void groups_kill(struct master *m);

/* --- helper.c: connections to helpers that know passwords --- */

/* Is one configured? */
bool helper_any(const struct conf *conf);
/* authd-external asks for the one of that option. It asks again when it gets none. */
void helper_connect(struct child *c, struct slice option);

/* --- scrape.c: figures of all processes, for the metrics door --- */

/* `door` asks. Ignored while a collection is under way. */
void scrape_begin(struct child *door);
void scrape_on_count(struct child *c, const struct ipc_ctl_count *m);
void scrape_fini(struct master *m);

/* --- watch.c: pings, and the watchdog of systemd --- */

/* From now on, while the loop turns: 0 or -ENOMEM. */
int watch_start(struct master *m);

/* A process that is not ready yet says that it is at work. */
void watch_on_progress(struct child *c);

/* --- notify.c: what systemd is told; nothing without it --- */
void notify_state(const char *state);
void notify_reloading(void);
int64_t notify_watchdog_ms(void);

/* --- master.c --- */

struct master {
	struct event_base *base;
	const char *conf_path, *libexec;
	struct sockets sockets;
	bool as_root, keep_stderr, ready, stopping, failed;
	int ready_fd, empty_fd, signal_fd, pid_fd, log_sink_fd; /* our own log channel's near end */
	uint64_t last_instance;
	enum stop_stage stage;
	struct conf conf;
	struct listeners listeners;
	struct key_files keys;
	struct child children[PROGRAMS];
	struct {
		bool open, waits; /* under way; asked for, and not begun yet */
		int64_t ended_ms; /* the last one */
		uint32_t seq;
		struct event *timer;
	} scrape;
	int64_t started_s;
	struct ipc_chan *sink; /* attach channel to logd */
	struct event *ev_signal, *ev_tick;
	pid_t groups[GROUPS_MAX];
	size_t n_groups;
};

/* Everything up to the loop, and the loop: an exit status. */
int master_run(struct master *m);

struct child *master_child(struct master *m, enum ipc_role role);
uint64_t master_next_instance(struct master *m);

/* What a child's life means for the suite. */
void master_on_ready(struct child *c, struct slice missing);
void master_on_exit(struct child *c, int status);

/* Connects the sink: every process's log channel, and ours. After each start of logd. 0, or -errno
 * when one is missing. */
int master_attach_logs(struct child *logd);
int master_attach_log(struct child *c);
