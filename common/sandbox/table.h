/*
 * table - who every process is and what it may do: one row per kind of process.
 *
 * This is the whole privilege audit of the suite. Invariant: nothing outside these rows widens a
 * sandbox; sandbox.h only carries out what a row says, and tests/hostile compares the result of
 * each row, system call by system call, with a reviewed list.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Children are what an acceptor or helper forks for one connection, account or dialogue. */
enum sandbox_proc {
	PROC_MASTER,
	PROC_CONF,
	PROC_LOGD,
	PROC_SIGNER,
	PROC_STORED,
	PROC_EXTERNAL,
	PROC_PARSED,
	PROC_PARSED_CHILD,
	PROC_AUTHD,
	PROC_WORKER,
	PROC_WORKER_CHILD,
	PROC_SOURCE,
	PROC_ROUTERD,
	PROC_POP3,
	PROC_POP3_CHILD,
	PROC_IMAP,
	PROC_IMAP_CHILD,
	PROC_SMTP,
	PROC_SMTP_CHILD,
	PROC_ADMIN,
	PROC_ADMIN_CHILD,
	PROC_METRICS,
	PROC_METRICS_CHILD,
	PROC_PWD,
	PROC_PWD_CHILD,
	PROC_READER,
	PROC_EXPORT,
	PROC_COUNT,
};

/* The root directory of the process. */
enum sandbox_root {
	EMPTY_DIR, /* an empty directory owned by root; nothing can be named */
	HOST_DIR,  /* the host's own root: master only */
};

/*
 * Groups of system calls; what is in each stands in sys.def. A row names the groups it needs, the
 * rest is refused (errno) or deadly (what only an intruder asks for).
 */
enum sandbox_sys {
	SYS_BASE = 1u << 0,    /* held descriptors, memory, time, own threads' locks, exit */
	SYS_FD_IN = 1u << 1,   /* receive messages, with descriptors in them */
	SYS_FD_OUT = 1u << 2,  /* send messages, with descriptors in them */
	SYS_LOOP = 1u << 3,    /* make the parts of an event loop: epoll, timers, signalfd, pipes */
	SYS_PAIR = 1u << 4,    /* make a pair of connected Unix sockets */
	SYS_ACCEPT = 1u << 5,  /* accept on a held listener */
	SYS_FORK = 1u << 6,    /* fork, wait for and end own children; give them a tighter filter */
	SYS_THREADS = 1u << 7, /* start threads in the same process */
	SYS_FILES_AT = 1u << 8, /* open, write, rename and remove beneath held directories */
	SYS_DB = 1u << 9,       /* map the files of an engine's database */
	SYS_VIEW = 1u << 11,    /* map files that were passed, to read them */
	SYS_STAMP = 1u << 12,   /* give held files their time, and bring all of them to the disk */
	SYS_HOST = 1u << 10,    /* master: all but what no part of the suite ever asks for */
};

/* Namespaces of its own. Held sockets keep working: they stay in the network they came from. */
enum sandbox_ns {
	NS_NET = 1u << 0,
	NS_IPC = 1u << 1,
};

/* What Landlock leaves. There is always a ruleset, except for master, whose would be inherited. */
enum sandbox_fs {
	FS_NONE,      /* no path, no TCP, no abstract socket, no signal to the outside */
	FS_HELD_DIRS, /* as FS_NONE, but regular files and directories beneath the held ones */
	FS_HOST,      /* no ruleset: master */
};

/* Capabilities kept; a set of CAP_TO_BIT()s of <linux/capability.h>. */
#define CAPS_NONE 0ull

struct sandbox_limits {
	uint32_t nofile;     /* descriptors */
	uint32_t data_mb;    /* private memory; 0: not limited */
	uint32_t memlock_mb; /* memory kept from being paged out; 0: none */
	bool may_multiply;   /* false: RLIMIT_NPROC is 0, no fork and no thread */
};

struct sandbox_restart {
	uint32_t first_ms, max_ms; /* delay, doubled from first to max */
	uint32_t good_after_s;     /* running this long sets the delay back to first_ms */
};

struct sandbox_row {
	const char *name;         /* program and process title; NULL: no such row */
	/* A user and group of its own, shared with no other program. NULL: what the caller says. */
	const char *user;
	enum sandbox_proc parent; /* who forks it (children), or PROC_MASTER who starts it */
	enum sandbox_root root;
	uint64_t caps;
	uint32_t sys; /* enum sandbox_sys */
	uint32_t ns;  /* enum sandbox_ns */
	enum sandbox_fs fs;
	struct sandbox_limits limits;
	uint32_t peers;                 /* PEER(): those it holds a channel to, besides master */
	struct sandbox_restart restart; /* all 0 for children: their parent decides */
};

#define PEER(who) (1u << PROC_##who)

extern const struct sandbox_row sandbox_rows[PROC_COUNT];

/* The row of a program started by master, by its name ("pop3"); NULL when there is none. */
const struct sandbox_row *sandbox_row_find(const char *name);
