/*
 * metrics - shows the figures of the suite as OpenMetrics text, on a Unix socket or on loopback.
 *
 * Acceptor
 * Holds:    the listening sockets, its control channel, a channel to the log sink.
 * May:      accept, make socket pairs, fork; ask master to collect figures, one collection at a
 * time. May not:  open a path, make a network socket, exec; it never reads a byte of a client.
 *
 * Child of one connection
 * Holds:    the client's socket, a channel to its acceptor that knows one question, one to the log.
 * May:      read, write, poll, map anonymous memory.
 * May not:  open a path, make a socket, fork, exec, reach any other process.
 * Trusts:   master, its acceptor.  Distrusts: the client, and what the figures of a process say.
 * If taken: the intruder reads figures, as any client does.
 */
#include "common/front/front.h"
#include "protocols/metrics/metrics.h"

static void configure(const struct conf *c, void *ret_core_conf)
{
}

int main(int argc, char **argv)
{
	static const struct front_door door = {
		.role = IPC_ROLE_METRICS,
		.row = PROC_METRICS,
		.child_row = PROC_METRICS_CHILD,
		.service = "metrics",
		.core = &metrics_core,
		.peers = 1 << FRONT_COUNTS,
		.busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: "
			"close\r\n\r\n",
		.denied =
		    "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		.quiet = true, /* one comes every few seconds, day and night */
		.configure = configure,
	};

	return front_main(argc, argv, &door);
}
