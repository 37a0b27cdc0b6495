/*
 * proc-private - what the two halves of the process library share.
 */
#pragma once

#include "common/proc/proc.h"

#include "common/conf/limits.h"

enum {
	PROC_CONTROL_FD = 3,
	PROC_LOG_FD = 4,
	PROC_DIRS_MAX = 8,
	PROC_LISTENERS_MAX = 256,
	PROC_KEYS_MAX = 512,
	PROC_CHILD_KEEP_MAX = 64,
	PROC_PEERS_MAX = 64,            /* that arrive before ready */
	PROC_PROGRESS_MS = 200,         /* at most one word in that time */
	PROC_ORPHAN_DEADLINE_MS = 5000, /* without master, on_stop has this long */
};

struct proc_dir {
	char name[65];
	int fd;
};

struct proc_keyring {
	struct proc_key *key;
	size_t n;
};

struct proc {
	const struct proc_ops *ops;
	void *arg;
	struct event_base *base;
	struct event *orphan_timer;
	struct ipc_chan *control;
	uint64_t instance;
	int64_t progress_ms; /* when master was last told that we get on */
	uint32_t sid_count, crashes;
	bool in_child, running, stopping, have_conf;
	int status;
	struct conf conf, next_conf;
	bool have_next_conf;
	struct proc_dir dirs[PROC_DIRS_MAX];
	size_t n_dirs;
	struct proc_listener *listeners;
	size_t n_listeners;
	struct proc_keyring keys, next_keys;
	struct proc_peer peers[PROC_PEERS_MAX]; /* held back until the sandbox is on */
	size_t n_peers;
};

/* Connects the control channel: 0 or -errno. */
int proc_control_open(struct proc *p);

void proc_keyring_fini(struct proc_keyring *k);
void proc_listeners_fini(struct proc *p);
