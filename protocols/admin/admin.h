/*
 * admin - the administration protocol: command lines in, numbered replies out.
 *
 * A pure core (common/front/port.h) of two doors. On the Unix socket (admin) the kernel has said
 * who is at the other end before the greeting; on the PWD port (pwd) an account logs in first. The
 * core has no rights of its own: it asks over channels that authd granted for this administrator or
 * account, and whoever is at their other end decides.
 *
 * Commands may be pipelined. Replies keep the order of the commands. Commands of one kind that may
 * overlap (CreateAccount, SetAccountPassword, SetAccountAliases) are worked on together; every other
 * command waits for those before it, so that a pipeline means the same as typing line by line.
 */
#pragma once

#include "common/front/port.h"
#include "common/front/sasl.h"

struct admin_conf {
	uint32_t idle_ms; /* without a command */
	bool pwd;         /* a login comes first; what follows is of the PWD port */
	/* pwd: */
	uint32_t login_ms; /* until the login is done */
	unsigned mechs;    /* enum sasl_mech */
};

extern const struct front_core admin_core;
