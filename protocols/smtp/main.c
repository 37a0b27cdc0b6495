/*
 * smtp - takes mail for local accounts: by SMTP from anybody, by submission from who has logged in,
 * by LMTP from a mail server in front.
 *
 * Acceptor
 * Holds:    the listening sockets, channels to authd, routerd, stored, signer and the log sink,
 *           certificates (no keys).
 * May:      accept, make socket pairs, fork, count connections.
 * May not:  open a path, make a network socket, exec; it never reads a byte of a client.
 *
 * Child of one connection
 * Holds:    the client's socket, a channel to routerd for recipients, one to stored for posting,
 *           one to the signer for one handshake, one to the log; for submission one to authd for
 *           three attempts, which end in no session: routerd is told who posts here.
 * May:      read, write, poll, receive descriptors, map anonymous memory.
 * May not:  open a path, make a socket, fork, exec, read any mail.
 * Trusts:   authd, routerd, stored, signer, master.  Distrusts: every byte of the client.
 * If taken: the intruder can add messages to the accounts that this connection named as recipients,
 *           and sees the messages that pass through it; it reads nothing that is stored. In
 *           submission it can name none before a login, and no sender that is not the login's.
 */
#include "common/front/front.h"
#include "protocols/smtp/smtp.h"

static void configure(const struct conf *c, void *ret_core_conf)
{
	struct smtp_conf *s = ret_core_conf;

	_Static_assert(sizeof(*s) <= FRONT_CORE_CONF_MAX, "core configuration");
	*s = (struct smtp_conf){ .size_max = conf_get_u64(c, CONF_message_size_max),
		.rcpts_max = (uint32_t)conf_get_u64(c, CONF_recipients_max),
		.hops_max = (uint32_t)conf_get_u64(c, CONF_received_hops_max),
		.idle_ms = (uint32_t)conf_get_u64(c, CONF_smtp_idle_timeout),
		.mechs = front_mechs(c) };
}

int main(int argc, char **argv)
{
	static const struct front_door door = {
		.role = IPC_ROLE_SMTP,
		.row = PROC_SMTP,
		.child_row = PROC_SMTP_CHILD,
		.service = "smtp",
		.core = &smtp_core,
		.peers = 1 << FRONT_RCPT | 1 << FRONT_POST,
		.submission_peers = 1 << FRONT_AUTH,
		.busy = "421 4.3.2 too many connections, try again later\r\n",
		.denied = "554 5.7.1 not from your address\r\n",
		.configure = configure,
	};

	return front_main(argc, argv, &door);
}
