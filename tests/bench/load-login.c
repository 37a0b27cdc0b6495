/* Login load: `sessions` clients side by side; each login is a new connection, USER, PASS, QUIT. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "pop.h"

struct login_load {
	const struct load_opt *o;
	struct load_run run;
	struct net net;
	int begun, live;
};

struct login {
	struct login_load *all;
	struct pop pop;
};

static size_t on_data(struct conn *c);
static void on_end(struct conn *c, const char *why);
static const struct conn_ops ops = { on_data, on_end };

static void begin(struct login *s)
{
	struct login_load *all = s->all;

	if (all->begun == all->o->count) {
		if (--all->live == 0)
			net_stop(&all->net);
		return;
	}
	s->pop = (struct pop){ .account = all->o->first_account + all->begun % all->o->accounts,
		.began_s = now_s() };
	s->pop.conn = conn_open(&all->net, &ops, s, (unsigned)all->begun++);
}

static size_t on_data(struct conn *c)
{
	struct login *s = c->user;
	size_t at = 0, n;

	while (!c->dead && (n = conn_line(c, at)) > 0) {
		const uint8_t *line = c->in + at;

		at += n;
		if (s->pop.stage == POP_IN) {
			if (line[0] != '+')
				s->all->run.wrong++;
			s->pop.stage = POP_QUIT;
			load_unit_done(&s->all->run, s->pop.began_s);
			/* A server that waits for our close first must not slow the next. */
			if (c->ssl != NULL) {
				conn_drop(c);
				begin(s);
			}
			continue;
		}
		switch (pop_login_line(&s->pop, s->all->o, line, n)) {
		case POP_GOES_ON:
			break;
		case POP_LOGGED_IN:
			conn_printf(c, "QUIT\r\n");
			break;
		case POP_REFUSED:
			s->all->run.wrong++;
			s->pop.stage = POP_QUIT;
			conn_drop(c);
			begin(s);
			break;
		}
	}
	return at;
}

static void on_end(struct conn *c, const char *why)
{
	struct login *s = c->user;

	if (s->pop.stage != POP_QUIT) {
		s->all->run.wrong++;
		warnx("connection lost in stage %d: %s", (int)s->pop.stage, why ? why : "closed");
	}
	begin(s);
}

int load_login(const struct load_opt *o)
{
	struct login_load all = { .o = o };
	struct login *s = calloc((size_t)o->sessions, sizeof(*s));

	if (s == NULL)
		errx(2, "out of memory");
	net_init(&all.net, o->host, o->port, o->tls, 4096);
	all.net.spread = o->spread;
	load_run_init(&all.run, o);
	all.live = o->sessions;
	for (int i = 0; i < o->sessions; i++) {
		s[i].all = &all;
		begin(&s[i]);
	}
	net_run(&all.net);
	return load_report(&all.run, o->tls ? "login-tls" : "login", o);
}
