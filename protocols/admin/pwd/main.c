/*
 * pwd - lets people change their password and use the administration protocol over the network.
 *
 * A program of its own beside admin, with the same core: the acceptor of admin is believed when it
 * says who sits behind a Unix socket, and this one, which strangers reach, is not.
 *
 * Acceptor
 * Holds:    the listening sockets, channels to authd, signer and the log sink, certificates (no
 *           keys).
 * May:      accept, make socket pairs, fork, count connections.
 * May not:  open a path, make a network socket, exec; it never reads a byte of a client.
 *
 * Child of one connection
 * Holds:    the client's socket, a channel to authd for three attempts, one to the signer for one
 *           handshake, one to the log; after login the three channels that authd granted for this
 *           account: to routerd, authd and stored.
 * May:      read, write, poll, receive descriptors, map anonymous memory.
 * May not:  open a path, make a socket, fork, exec, do what the account may not do.
 * Trusts:   authd, routerd, stored, signer, master.  Distrusts: every byte of the client.
 * If taken: the intruder has the rights of the account that logged in here; nothing else. With
 *           connections_per_process above 1: of those who logged in through this process.
 */
#include "common/front/front.h"
#include "protocols/admin/admin.h"

static void configure(const struct conf *c, void *ret_core_conf)
{
	struct admin_conf *p = ret_core_conf;

	_Static_assert(sizeof(*p) <= FRONT_CORE_CONF_MAX, "core configuration");
	*p = (struct admin_conf){ .idle_ms = (uint32_t)conf_get_u64(c, CONF_admin_idle_timeout),
		.pwd = true,
		.login_ms = (uint32_t)conf_get_u64(c, CONF_login_timeout),
		.mechs = front_mechs(c) };
}

int main(int argc, char **argv)
{
	static const struct front_door door = {
		.role = IPC_ROLE_PWD,
		.row = PROC_PWD,
		.child_row = PROC_PWD_CHILD,
		.service = "pwd",
		.core = &admin_core,
		.peers = 1 << FRONT_AUTH,
		.busy = "501 too many connections, try again later\r\n",
		.denied = "501 not from your address\r\n",
		.configure = configure,
	};

	return front_main(argc, argv, &door);
}
