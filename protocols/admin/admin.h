/*
 * admin - the administration protocol: command lines in, numbered replies out.
 *
 * A pure core (common/front/port.h). Who is at the other end was settled by the kernel (peer
 * credentials) before the greeting; the core has no rights of its own: it asks over channels that
 * authd granted for this administrator, and whoever is at their other end decides.
 *
 * Commands may be pipelined. Replies keep the order of the commands. Commands of one kind that may
 * overlap (CreateAccount, SetAccountPassword) are worked on together; every other command waits for
 * those before it, so that a pipeline means the same as typing line by line.
 */
#pragma once

#include "common/front/port.h"

struct admin_conf {
	uint32_t idle_ms; /* without a command */
};

extern const struct front_core admin_core;
