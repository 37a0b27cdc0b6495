/*
 * route-trip - how long authd waits for the answer to a login's name: routerd's core in a process
 * of its own, asked over a channel as authd does, while others ask as well. 1,000 domains with 100
 * accounts and 200 aliases each, and a Router table of 10,000 records.
 *
 *     route-trip [TIMES [SECONDS]]
 *
 * TIMES: that many times as many domains. For each rate of logins on a second channel (and as many
 * as it takes, with 64 under way) one name in a millisecond is timed from before it is sent until
 * its answer is read.
 */
#include "routerd/routerd.h"
#include "tests/bench/route-world.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROBES_MAX = 100000, UNDER_WAY = 64, KINDS = 4 };

static void gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	exit(0); /* the asking process has ended */
}

/* ---- routerd ---- */

static void serve(int fds[2], unsigned domains, int ready_fd)
{
	static const struct ipc_ops ops = { .on_msg = login_on_msg, .on_gone = gone };
	struct routerd rd = { .base = event_base_new() };
	struct engine *e = NULL;

	world_must(
	    engine_open("mem", -1, NULL, &e) == 0 && db_open(&rd.db, e, SLICE("main.example")) == 0,
	    "a directory");
	route_init(&rd.route);
	world_fill(&rd.db.dir, domains);
	world_table(&rd.db.dir, WORLD_RECORDS, 100);
	for (int i = 0; i < 2; i++)
		world_must(
		    ipc_chan_new(rd.base, fds[i], IPC_CH_AUTH_ROUTE, false, &ops, &rd) != NULL,
		    "a channel");
	world_must(write(ready_fd, "", 1) == 1, "ready");
	event_base_dispatch(rd.base);
	exit(0);
}

/* ---- whoever asks ---- */

struct asker {
	struct event_base *base;
	struct ipc_chan *chan;
	unsigned domains, n, under_way;
	uint64_t asked, answered;
};

static void answered(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct asker *a = arg;

	world_must(type == IPC_route_login_reply && m->route_login_reply.status == IPC_ROUTE_OK,
	    "another answer came");
	a->under_way--;
	a->answered++;
}

static const struct ipc_ops asker_ops = { .on_msg = answered, .on_gone = gone };

static void asker_open(struct asker *a, int take_fd, unsigned domains)
{
	*a = (struct asker){ .base = event_base_new(), .domains = domains };
	a->chan = ipc_chan_new(a->base, take_fd, IPC_CH_AUTH_ROUTE, true, &asker_ops, a);
	world_must(a->chan != NULL, "a channel");
}

/* Names in full, by the local address, aliases, with a detail; in turn. */
static void ask(struct asker *a)
{
	unsigned i = a->n++, r = i * 2654435761u >> 4, dom = r % a->domains;
	uint8_t local[7] = { 4, 10, (uint8_t)(dom >> 16), (uint8_t)(dom >> 8), (uint8_t)dom, 0,
		110 };
	struct ipc_route_login m = {
		.seq = i, .local = slice_of(local, 7), .service = SLICE("imap")
	};
	char name[80];

	if (i % KINDS == 1)
		snprintf(name, sizeof(name), "account%u", r / 7 % WORLD_ACCOUNTS);
	else
		snprintf(name, sizeof(name), "%s%u%s@d%u.example",
		    i % KINDS == 2 ? "alias" : "account", r / 7 % WORLD_ACCOUNTS,
		    i % KINDS == 2   ? ".1"
		    : i % KINDS == 3 ? "+x"
				     : "",
		    dom);
	m.name = slice_str(name);
	a->under_way++;
	a->asked++;
	world_must(ipc_send(a->chan, IPC_route_login, &m, NULL) == 0, "the name was not sent");
}

/* As many a second, in steps of a millisecond; 0: as many as it takes. Never returns. */
static void load(int fd, unsigned domains, unsigned rate)
{
	uint64_t began = world_now_ns();
	struct asker a;

	asker_open(&a, fd, domains);
	for (;;) {
		uint64_t due = (world_now_ns() - began) * rate / 1000000000u;

		while (rate == 0 ? a.under_way < UNDER_WAY : a.asked < due && a.under_way < 4096)
			ask(&a);
		event_base_loop(a.base, rate == 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
		if (rate != 0)
			poll(NULL, 0, 1);
	}
}

static void probe(struct asker *a, unsigned seconds, const char *what)
{
	static uint32_t ns[PROBES_MAX];
	uint64_t until = world_now_ns() + seconds * 1000000000ull;
	size_t n = 0;

	while (n < PROBES_MAX && world_now_ns() < until) {
		uint64_t began = world_now_ns();

		ask(a);
		while (a->under_way > 0)
			event_base_loop(a->base, EVLOOP_ONCE);
		ns[n++] = (uint32_t)(world_now_ns() - began);
		poll(NULL, 0, 1);
	}
	world_sort(ns, n);
	printf("%-28s %7zu timed   p50 %7.1f us   p99 %7.1f us   p99.9 %8.1f us   most %8.1f us\n",
	    what, n, world_us(ns, n, 500), world_us(ns, n, 990), world_us(ns, n, 999),
	    world_us(ns, n, 1000));
}

static pid_t child(void)
{
	pid_t pid = fork();

	world_must(pid >= 0, "fork");
	return pid;
}

static void one_rate(unsigned domains, unsigned seconds, int rate)
{
	int mine[2], other[2], ready[2];
	struct asker a;
	pid_t router, loader = 0;
	uint64_t began, cpu;
	char what[40], c;

	world_must(ipc_pair(mine) == 0 && ipc_pair(other) == 0 && pipe(ready) == 0, "channels");
	router = child();
	if (router == 0) {
		close(mine[0]);
		close(other[0]);
		serve((int[]){ mine[1], other[1] }, domains, ready[1]);
	}
	close(mine[1]);
	close(other[1]);
	world_must(read(ready[0], &c, 1) == 1, "routerd");
	if (rate >= 0) {
		loader = child();
		if (loader == 0) {
			close(mine[0]);
			load(other[0], domains, (unsigned)rate);
		}
	}
	asker_open(&a, mine[0], domains);
	if (rate < 0)
		snprintf(what, sizeof(what), "nobody else asks");
	else if (rate == 0)
		snprintf(what, sizeof(what), "as many others as it takes");
	else
		snprintf(what, sizeof(what), "%d others a second", rate);
	began = world_now_ns();
	cpu = world_cpu_ns(router);
	probe(&a, seconds, what);
	printf("%-28s routerd used %.1f %% of a core\n", "",
	    (double)(world_cpu_ns(router) - cpu) * 100 / (double)(world_now_ns() - began));
	if (loader > 0)
		kill(loader, SIGKILL);
	kill(router, SIGKILL);
	while (wait(NULL) > 0)
		;
	close(other[0]);
	close(ready[0]);
	close(ready[1]);
	ipc_chan_free(&a.chan);
	event_base_free(a.base);
}

int main(int argc, char **argv)
{
	static const int rates[] = { -1, 1000, 10000, 30000, 0 };
	unsigned times = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 5;

	world_must(times >= 1 && times <= 100 && seconds >= 1 && seconds <= 60, "usage");
	printf("%u accounts, %u aliases in %u domains, %d records\n", 1000 * times * WORLD_ACCOUNTS,
	    1000 * times * WORLD_ACCOUNTS * WORLD_ALIASES, 1000 * times, WORLD_RECORDS);
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		one_rate(1000 * times, seconds, rates[i]);
	return 0;
}
