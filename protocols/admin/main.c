/*
 * admin - lets the operators of this machine administer the suite over a Unix socket.
 *
 * Acceptor
 * Holds:    the listening sockets, channels to authd and the log sink.
 * May:      accept, make socket pairs, fork, count connections.
 * May not:  open a path, make a network socket, exec; it never reads a byte of a client.
 *
 * Child of one connection
 * Holds:    the client's socket, a channel to authd for one question, one to the log; then the
 * three channels that authd granted for this administrator: to routerd, authd and stored. May:
 * read, write, poll, receive descriptors, map anonymous memory. May not:  open a path, make a
 * socket, fork, exec, do what the administrator may not do. Trusts:   authd, routerd, stored,
 * master.  Distrusts: every byte of the client. If taken: the intruder has the rights of the
 * administrator who was connected here; nothing else.
 */
#include "common/front/front.h"
#include "protocols/admin/admin.h"

static void configure(const struct conf *c, void *ret_core_conf)
{
	struct admin_conf *p = ret_core_conf;

	_Static_assert(sizeof(*p) <= FRONT_CORE_CONF_MAX, "core configuration");
	*p = (struct admin_conf){ .idle_ms = (uint32_t)conf_get_u64(c, CONF_admin_idle_timeout) };
}

int main(int argc, char **argv)
{
	static const struct front_door door = {
		.role = IPC_ROLE_ADMIN,
		.row = PROC_ADMIN,
		.child_row = PROC_ADMIN_CHILD,
		.service = "admin",
		.core = &admin_core,
		.peers = 1 << FRONT_AUTH,
		.busy = "501 too many connections, try again later\r\n",
		.denied = "501 not from your address\r\n",
		.configure = configure,
	};

	return front_main(argc, argv, &door);
}
