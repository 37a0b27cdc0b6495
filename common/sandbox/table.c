#include "common/sandbox/table.h"

#include <linux/capability.h>
#include <stddef.h>
#include <string.h>

#define CAP(name) (1ull << (CAP_##name))

/*
 * The longest delay is short: whoever can make a process die again and again must not thereby keep
 * everybody out, and one new address layout a second is no help to a guesser.
 */
#define RESTART_QUICK                                              \
	{                                                          \
		.first_ms = 50, .max_ms = 1000, .good_after_s = 30 \
	}
#define RESTART_DOOR                                                \
	{                                                           \
		.first_ms = 100, .max_ms = 1000, .good_after_s = 30 \
	}

/* An event loop around channels: what every daemon without files is made of. */
#define SYS_DAEMON (SYS_BASE | SYS_LOOP | SYS_FD_IN | SYS_FD_OUT)
/* What a forked child needs: its event loop's parts are made after the fork, before its filter. */
#define SYS_CHILD (SYS_BASE | SYS_FD_IN | SYS_FD_OUT)
/* Opens databases of its own, with the threads of common/engine. */
#define SYS_ENGINE   (SYS_THREADS | SYS_FILES_AT | SYS_DB)
#define SYS_ACCEPTOR (SYS_DAEMON | SYS_PAIR | SYS_ACCEPT | SYS_FORK)

const struct sandbox_row sandbox_rows[PROC_COUNT] = {
	/* SYS_ADMIN, SETPCAP and SYS_CHROOT are spent by the programs it starts, before their go. */
	[PROC_MASTER] = {
		.name = "master", .user = "root", .parent = PROC_MASTER, .root = HOST_DIR,
		.caps = CAP(CHOWN) | CAP(DAC_READ_SEARCH) | CAP(KILL) | CAP(SETGID) | CAP(SETUID) |
			CAP(SETPCAP) | CAP(NET_BIND_SERVICE) | CAP(SYS_CHROOT) | CAP(SYS_ADMIN),
		.sys = SYS_HOST, .ns = 0, .fs = FS_HOST,
		/* What may be locked is inherited; the signer locks its keys before it is sandboxed. */
		.limits = { .nofile = 65536, .memlock_mb = 64, .may_multiply = true },
		.peers = 0,
	},
	/* Reads the configuration text from a descriptor, answers on another, once. */
	[PROC_CONF] = {
		.name = "conf", .user = "gatehouse-conf", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_BASE, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 64, .data_mb = 256 },
		.peers = 0,
	},
	[PROC_LOGD] = {
		.name = "logd", .user = "gatehouse-logd", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512 },
		.peers = 0,
		.restart = RESTART_QUICK,
	},
	[PROC_SIGNER] = {
		.name = "signer", .user = "gatehouse-signer", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 1024 },
		.peers = PEER(POP3) | PEER(IMAP) | PEER(SMTP) | PEER(ADMIN) | PEER(PWD) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_STORED] = {
		.name = "stored", .user = "gatehouse-stored", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON | SYS_PAIR | SYS_ENGINE,
		.ns = NS_NET | NS_IPC, .fs = FS_HELD_DIRS,
		.limits = { .nofile = 65536, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(ROUTERD) | PEER(EXTERNAL) | PEER(PARSED) | PEER(SMTP) |
			PEER(ADMIN) | PEER(PWD) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_EXTERNAL] = {
		.name = "stored-external", .user = "gatehouse-stored-external", .parent = PROC_MASTER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON | SYS_FILES_AT, .ns = NS_NET | NS_IPC,
		.fs = FS_HELD_DIRS,
		.limits = { .nofile = 4096, .data_mb = 512 },
		.peers = PEER(STORED) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_PARSED] = {
		.name = "parsed", .user = "gatehouse-parsed", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON | SYS_PAIR | SYS_FORK, .ns = NS_NET | NS_IPC,
		.fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 256, .may_multiply = true },
		.peers = PEER(STORED) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_PARSED_CHILD] = {
		.name = "parsed-child", .user = "gatehouse-parsed", .parent = PROC_PARSED,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 64, .data_mb = 256 },
		.peers = PEER(STORED) | PEER(LOGD),
	},
	[PROC_AUTHD] = {
		.name = "authd", .user = "gatehouse-authd", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON | SYS_PAIR | SYS_ENGINE,
		.ns = NS_NET | NS_IPC, .fs = FS_HELD_DIRS,
		.limits = { .nofile = 65536, .may_multiply = true },
		.peers = PEER(POP3) | PEER(IMAP) | PEER(SMTP) | PEER(ADMIN) | PEER(PWD) | PEER(ROUTERD) |
			PEER(STORED) | PEER(WORKER) | PEER(SOURCE) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_WORKER] = {
		.name = "authd-worker", .user = "gatehouse-authd-worker", .parent = PROC_MASTER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON | SYS_PAIR | SYS_FORK, .ns = NS_NET | NS_IPC,
		.fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 512, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_WORKER_CHILD] = {
		.name = "authd-worker-child", .user = "gatehouse-authd-worker", .parent = PROC_WORKER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 64, .data_mb = 512 },
		.peers = PEER(AUTHD) | PEER(LOGD),
	},
	/* Its helpers are started by others, and master makes the connections to them. */
	[PROC_SOURCE] = {
		.name = "authd-external", .user = "gatehouse-authd-external", .parent = PROC_MASTER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 64, .data_mb = 64 },
		.peers = PEER(AUTHD) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_ROUTERD] = {
		.name = "routerd", .user = "gatehouse-routerd", .parent = PROC_MASTER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_DAEMON | SYS_PAIR | SYS_ENGINE,
		.ns = NS_NET | NS_IPC, .fs = FS_HELD_DIRS,
		.limits = { .nofile = 65536, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(STORED) | PEER(SMTP) | PEER(ADMIN) | PEER(PWD) | PEER(LOGD),
		.restart = RESTART_QUICK,
	},
	[PROC_POP3] = {
		.name = "pop3", .user = "gatehouse-pop3", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_ACCEPTOR, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(LOGD),
		.restart = RESTART_DOOR,
	},
	[PROC_POP3_CHILD] = {
		.name = "pop3-child", .user = "gatehouse-pop3", .parent = PROC_POP3,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512 },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(STORED) | PEER(LOGD),
	},
	[PROC_IMAP] = {
		.name = "imap", .user = "gatehouse-imap", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_ACCEPTOR, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(LOGD),
		.restart = RESTART_DOOR,
	},
	[PROC_IMAP_CHILD] = {
		.name = "imap-child", .user = "gatehouse-imap", .parent = PROC_IMAP,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512 },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(STORED) | PEER(LOGD),
	},
	[PROC_SMTP] = {
		.name = "smtp", .user = "gatehouse-smtp", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_ACCEPTOR, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(ROUTERD) | PEER(STORED) | PEER(LOGD),
		.restart = RESTART_DOOR,
	},
	[PROC_SMTP_CHILD] = {
		.name = "smtp-child", .user = "gatehouse-smtp", .parent = PROC_SMTP,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 65536, .data_mb = 512 },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(ROUTERD) | PEER(STORED) | PEER(LOGD),
	},
	[PROC_ADMIN] = {
		.name = "admin", .user = "gatehouse-admin", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_ACCEPTOR, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 512, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(ROUTERD) | PEER(STORED) | PEER(LOGD),
		.restart = RESTART_DOOR,
	},
	[PROC_ADMIN_CHILD] = {
		.name = "admin-child", .user = "gatehouse-admin", .parent = PROC_ADMIN,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 512 },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(ROUTERD) | PEER(STORED) | PEER(LOGD),
	},
	[PROC_PWD] = {
		.name = "pwd", .user = "gatehouse-pwd", .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_ACCEPTOR, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 512, .may_multiply = true },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(LOGD),
		.restart = RESTART_DOOR,
	},
	[PROC_PWD_CHILD] = {
		.name = "pwd-child", .user = "gatehouse-pwd", .parent = PROC_PWD,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 512 },
		.peers = PEER(AUTHD) | PEER(SIGNER) | PEER(ROUTERD) | PEER(STORED) | PEER(LOGD),
	},
	/* Its connections hold nothing but figures. */
	[PROC_METRICS] = {
		.name = "metrics", .user = "gatehouse-metrics", .parent = PROC_MASTER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_ACCEPTOR, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 256, .may_multiply = true },
		.peers = PEER(LOGD),
		.restart = RESTART_DOOR,
	},
	[PROC_METRICS_CHILD] = {
		.name = "metrics-child", .user = "gatehouse-metrics", .parent = PROC_METRICS,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_CHILD, .ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 4096, .data_mb = 256 },
		.peers = PEER(LOGD),
	},
	/* gatehousectl forks it to read what strangers wrote: files it is passed, or one connection. */
	[PROC_READER] = {
		.name = "ctl-reader", .user = "gatehouse-reader", .parent = PROC_MASTER,
		.root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_BASE | SYS_FD_IN | SYS_FD_OUT | SYS_VIEW,
		.ns = NS_NET | NS_IPC, .fs = FS_NONE,
		.limits = { .nofile = 64, .data_mb = 2048 },
		.peers = 0,
	},
	/* gatehousectl itself, while it writes an export: as the owner of the directory. */
	[PROC_EXPORT] = {
		.name = "ctl-export", .user = NULL, .parent = PROC_MASTER, .root = EMPTY_DIR,
		.caps = CAPS_NONE, .sys = SYS_BASE | SYS_FD_IN | SYS_FD_OUT | SYS_FILES_AT | SYS_STAMP,
		.ns = NS_NET | NS_IPC, .fs = FS_HELD_DIRS,
		.limits = { .nofile = 64, .data_mb = 2048 },
		.peers = PEER(STORED),
	},
};

const struct sandbox_row *sandbox_row_find(const char *name)
{
	for (unsigned i = 0; i < PROC_COUNT; i++) {
		const struct sandbox_row *row = &sandbox_rows[i];

		if (row->name != NULL && row->parent == PROC_MASTER && strcmp(row->name, name) == 0)
			return row;
	}
	return NULL;
}
