/*
 * front - a door: what main() of every front-end program is made of.
 *
 * The acceptor holds the listening sockets, counts connections, makes each connection's channels,
 * tells the servers its facts, and forks (or hands the connection to a process that serves
 * several). It never reads a byte of a client, but
 * reads the header of a listed proxy (proxied.c). Whoever serves the connection drives the door's
 * pure core (port.h) and holds nothing but what the acceptor gave it for this connection.
 */
#pragma once

#include "common/conf/conf.h"
#include "common/front/port.h"
#include "common/sandbox/table.h"

enum { FRONT_CORE_CONF_MAX = 256 };

struct front_door {
	enum ipc_role role;
	enum sandbox_proc row, child_row;
	const char *service; /* as authd knows it: "pop3" */
	const struct front_core *core;
	unsigned peers;            /* bits of 1 << FRONT_AUTH, FRONT_RCPT, FRONT_POST */
	unsigned submission_peers; /* more of them, on listeners for submission */
	const char *busy;          /* whole reply to a client over the limits */
	const char *denied;        /* to one that may not connect to this listener */
	bool quiet;                /* no line at the end of each connection */
	/* Fills the core's configuration (at most FRONT_CORE_CONF_MAX bytes) from the slice. */
	void (*configure)(const struct conf *c, void *ret_core_conf);
};

/* What auth_mechanisms allows: enum sasl_mech. */
unsigned front_mechs(const struct conf *c);

/* Runs the door until its end: the exit status of main(). */
int front_main(int argc, char **argv, const struct front_door *door);
