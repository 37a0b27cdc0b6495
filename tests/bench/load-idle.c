/*
 * Idle load: opens `count` POP3 connections, logs each in, says "ready", holds them until standard
 * input ends. `sessions` connections are in their login at once.
 */
#include <err.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "load.h"
#include "pop.h"

struct idle_load {
	const struct load_opt *o;
	struct load_run run;
	struct net net;
	struct pop *pop;
	int begun, lost;
};

static size_t on_data(struct conn *c);
static void on_end(struct conn *c, const char *why);
static const struct conn_ops ops = { on_data, on_end };
static struct idle_load all;

static void begin_next(void)
{
	struct pop *p;

	if (all.begun == all.o->count)
		return;
	p = &all.pop[all.begun];
	*p = (struct pop){ .account = all.o->first_account + all.begun % all.o->accounts,
		.began_s = now_s() };
	p->conn = conn_open(&all.net, &ops, p, (unsigned)all.begun++);
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
	char byte;

	if (read(STDIN_FILENO, &byte, 1) <= 0)
		net_stop(&all.net);
}

static void all_in(void)
{
	load_report(&all.run, "idle", all.o);
	puts("ready");
	fflush(stdout);
	alarm(0);
}

static size_t on_data(struct conn *c)
{
	struct pop *p = c->user;
	size_t at = 0, n;

	while (!c->dead && (n = conn_line(c, at)) > 0) {
		const uint8_t *line = c->in + at;

		at += n;
		if (p->stage == POP_IN)
			continue;
		switch (pop_login_line(p, all.o, line, n)) {
		case POP_GOES_ON:
			break;
		case POP_LOGGED_IN:
			load_unit_done(&all.run, p->began_s);
			begin_next();
			if (all.run.done == (uint64_t)all.o->count)
				all_in();
			break;
		case POP_REFUSED:
			errx(1, "a login was refused");
		}
	}
	return at;
}

static void on_end(struct conn *c, const char *why)
{
	struct pop *p = c->user;

	if (p->stage != POP_IN)
		errx(1, "connection lost in login: %s", why != NULL ? why : "closed");
	all.lost++;
}

int load_idle(const struct load_opt *o)
{
	struct event *input;

	all.o = o;
	all.pop = calloc((size_t)o->count, sizeof(*all.pop));
	if (all.pop == NULL)
		errx(2, "out of memory");
	net_init(&all.net, o->host, o->port, o->tls, 2048);
	all.net.spread = o->spread;
	load_run_init(&all.run, o);
	for (int i = 0; i < o->sessions; i++)
		begin_next();
	input = event_new(all.net.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, NULL);
	event_add(input, NULL);
	net_run(&all.net);
	printf("{\"lost\":%d}\n", all.lost);
	return all.lost == 0 ? 0 : 1;
}
