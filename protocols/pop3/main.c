/*
 * pop3 - lets one user fetch the mail of the INBOX by POP3.
 *
 * Acceptor
 * Holds:    the listening sockets, channels to authd, signer and the log sink, certificates (no
 *           keys).
 * May:      accept, make socket pairs, fork, count connections.
 * May not:  open a path, make a network socket, exec; it never reads a byte of a client.
 *
 * Child of one connection
 * Holds:    the client's socket, a channel to authd for three attempts, one to the signer for one
 *           handshake, one to the log; after login one session descriptor to stored.
 * May:      read, write, poll, receive descriptors, map anonymous memory.
 * May not:  open a path, make a socket, fork, exec, name an account it did not log in to.
 * Trusts:   authd, stored, signer, master.  Distrusts: every byte of the client, every message.
 * If taken: the intruder has the mail of the one user who logged in here; nothing else. With
 *           connections_per_process above 1: of those who logged in through this process.
 */
#include "common/front/front.h"
#include "protocols/pop3/pop3.h"

static void configure(const struct conf *c, void *ret_core_conf)
{
	struct pop3_conf *p = ret_core_conf;

	_Static_assert(sizeof(*p) <= FRONT_CORE_CONF_MAX, "core configuration");
	*p = (struct pop3_conf){ .mechs = front_mechs(c),
		.login_ms = (uint32_t)conf_get_u64(c, CONF_login_timeout),
		.idle_ms = (uint32_t)conf_get_u64(c, CONF_pop3_idle_timeout) };
}

int main(int argc, char **argv)
{
	static const struct front_door door = {
		.role = IPC_ROLE_POP3,
		.row = PROC_POP3,
		.child_row = PROC_POP3_CHILD,
		.service = "pop3",
		.core = &pop3_core,
		.peers = 1 << FRONT_AUTH,
		.busy = "-ERR [SYS/TEMP] too many connections, try again later\r\n",
		.denied = "-ERR [SYS/PERM] not from your address\r\n",
		.configure = configure,
	};

	return front_main(argc, argv, &door);
}
