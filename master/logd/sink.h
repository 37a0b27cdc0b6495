/*
 * sink - log channels in, one stream of lines out.
 *
 * Invariant: process name and session id of a line come from the channel, never from its text. A
 * channel attached with session id 0 (by master only) may name any session in its lines; one with
 * an instance alone (lower half 0) the sessions of that instance; any other always means its own.
 */
#pragma once

#include "common/proc/proc.h"

enum {
	SINK_NAME_MAX = 32,
	SINK_TURN_LINES = 64,
	SINK_LINES_PER_S = 2000,
	SINK_CONN_LINES_PER_S = 100, /* of one connection's process */
	SINK_LINE_MAX = 2400,
};

struct sink {
	struct proc *p;
	int out_fd;
	bool journal;           /* lines with systemd's level marks, without a time of ours */
	struct source *sources; /* a ring of all channels */
	/* The life that a role's attach channel speaks for, told by master; 0 for none. */
	uint64_t instance[IPC_ROLES];
};

void sink_init(struct sink *s, struct proc *p);

/* A channel on which `peer` (master or an acceptor) attaches log channels. */
void sink_attacher_open(struct sink *s, struct proc_peer *peer);

/* Writes what is waiting in all channels, once. */
void sink_drain(struct sink *s);

/*
 * Pure: the line of one packet, its session id judged already. With wall_ms -1 it starts with the
 * level mark that systemd's journal reads ("<5>") in place of the time.
 */
void sink_line(
    struct buf *out, int64_t wall_ms, const char *name, uint64_t sid, int level, struct slice text);

/*
 * Lines that a channel attached so may write in a second. Who has taken the process of a connection
 * could fill the disk with what a server is allowed.
 */
unsigned sink_lines_per_s(uint64_t attached);

/* The session id to print, by the rule above; 0 for none. */
uint64_t sink_judge(uint64_t attached, uint64_t claimed);
