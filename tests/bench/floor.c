/*
 * floor - the least that this machine takes for what a row needs in any case: messages there and
 * back, and a process that holds one idle connection.
 *
 *     floor trips          round trips of 64 octets a second: by TCP, and between two processes
 *     floor idle PORT      a server that forks for each connection and answers an idle client's
 * lines
 *
 * A round trip is measured with both ends on one core and with each on a core of its own: the
 * better of the two is told. `idle` says "ready" once it listens and ends with its standard input.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIPS = 100000, MESSAGE = 64, LINE_MAX_OCTETS = 1024 };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "sched_setaffinity");
}

static int listening(in_port_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0)
		err(1, "listen");
	return fd;
}

static void tcp_pair(int ret_fds[2])
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int l = listening(0), on = 1;

	ret_fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (getsockname(l, (struct sockaddr *)&a, &len) < 0 ||
	    connect(ret_fds[0], (struct sockaddr *)&a, len) < 0 ||
	    (ret_fds[1] = accept(l, NULL, NULL)) < 0)
		err(1, "connect");
	close(l);
	for (int i = 0; i < 2; i++)
		setsockopt(ret_fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Round trips a second between this process on core 0 and a child on `cpu`. Ends both descriptors.
 */
static double trips_between(const int fds[2], int cpu)
{
	char text[MESSAGE] = "";
	double began;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		close(fds[0]);
		run_on(cpu);
		while (read(fds[1], text, sizeof(text)) > 0)
			if (write(fds[1], text, sizeof(text)) < 0)
				break;
		_exit(0);
	}
	close(fds[1]);
	run_on(0);
	began = now_s();
	for (int i = 0; i < TRIPS; i++)
		if (write(fds[0], text, sizeof(text)) < 0 || read(fds[0], text, sizeof(text)) <= 0)
			err(1, "a round trip");
	began = now_s() - began;
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return TRIPS / began;
}

static void trips(void)
{
	for (int kind = 0; kind < 2; kind++) {
		double best = 0;

		for (int cpu = 0; cpu < 2 && cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
			double got;
			int fds[2];

			if (kind == 0)
				tcp_pair(fds);
			else if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
				err(1, "socketpair");
			got = trips_between(fds, cpu);
			best = got > best ? got : best;
		}
		printf("%.0f\n", best);
	}
}

static void say(int fd, const char *text, size_t n)
{
	if (write(fd, text, n) < 0)
		_exit(1);
}

/* One connection's whole life: each line's tag comes back with OK, to IDLE a plus. */
static void hold(int fd)
{
	char line[LINE_MAX_OCTETS];
	ssize_t n;

	say(fd, "* OK\r\n", 6);
	while ((n = read(fd, line, sizeof(line))) > 0) {
		if (memmem(line, (size_t)n, "IDLE", 4))
			say(fd, "+ \r\n", 4);
		else
			say(fd, (char[]){ line[0], ' ', 'O', 'K', '\r', '\n' }, 6);
	}
	_exit(0);
}

static void idle(in_port_t port)
{
	int l = listening(port);
	struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = l, .events = POLLIN } };

	signal(SIGCHLD, SIG_IGN);
	puts("ready");
	fflush(stdout);
	while (poll(p, 2, -1) > 0 && !p[0].revents) {
		int fd = accept(l, NULL, NULL);
		pid_t pid = fd < 0 ? -1 : fork();

		if (pid < 0)
			err(1, "accept");
		if (pid == 0) {
			close(0);
			close(l);
			hold(fd);
		}
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "trips"))
		trips();
	else if (argc == 3 && !strcmp(argv[1], "idle"))
		idle((in_port_t)atoi(argv[2]));
	else
		errx(2, "usage: floor trips | floor idle PORT");
	return 0;
}
