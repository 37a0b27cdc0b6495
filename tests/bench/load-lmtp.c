/* LMTP load: each session delivers to its own recipient until the common count is used up. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum stage { GREETING, LHLO, MAIL, RCPT, DATA, DOT, QUIT };

struct lmtp {
	struct lmtp_load *all;
	struct conn *conn;
	enum stage stage;
	int account;
	size_t next; /* message to send */
	double began_s;
};

struct lmtp_load {
	const struct load_opt *o;
	struct load_pack pack;
	struct load_run run;
	struct net net;
	int begun, live;
};

static void say(struct lmtp *s, enum stage stage)
{
	const struct load_opt *o = s->all->o;
	const struct load_msg *m;

	s->stage = stage;
	switch (stage) {
	case LHLO:
		conn_printf(s->conn, "LHLO bench.example\r\n");
		break;
	case MAIL:
		conn_printf(s->conn, "MAIL FROM:<bench@sender.example>\r\n");
		break;
	case RCPT:
		conn_printf(s->conn, "RCPT TO:<%s%d%s>\r\n", o->user_prefix, s->account,
		    o->user_suffix[0] != '\0' ? o->user_suffix : "@example.test");
		break;
	case DATA:
		conn_printf(s->conn, "DATA\r\n");
		break;
	case DOT:
		m = &s->all->pack.msg[s->next++ % s->all->pack.count];
		conn_put(s->conn, m->wire, m->wire_bytes);
		s->all->run.bytes += m->wire_bytes;
		break;
	case QUIT:
		conn_printf(s->conn, "QUIT\r\n");
		break;
	case GREETING:
		break;
	}
}

/* Next message, or QUIT when the count has been handed out. */
static void begin_next(struct lmtp *s)
{
	if (s->all->begun == s->all->o->count) {
		say(s, QUIT);
		return;
	}
	s->all->begun++;
	s->began_s = now_s();
	say(s, MAIL);
	if (s->all->o->lockstep)
		return;
	say(s, RCPT);
	say(s, DATA);
	s->stage = MAIL;
}

static void wrong(struct lmtp *s, const uint8_t *line, size_t n)
{
	if (s->all->run.wrong++ == 0)
		fprintf(
		    stderr, "stage %d answered %.*s", (int)s->stage, (int)n, (const char *)line);
	s->stage = QUIT;
	conn_printf(s->conn, "QUIT\r\n");
}

static void on_reply(struct lmtp *s, const uint8_t *line, size_t n)
{
	static const char first[] = { [GREETING] = '2',
		[LHLO] = '2',
		[MAIL] = '2',
		[RCPT] = '2',
		[DATA] = '3',
		[DOT] = '2',
		[QUIT] = '2' };
	bool lockstep = s->all->o->lockstep;

	if (n >= 4 && line[3] == '-')
		return;
	if (s->stage != QUIT && line[0] != (uint8_t)first[s->stage]) {
		wrong(s, line, n);
		return;
	}
	switch (s->stage) {
	case GREETING:
		say(s, LHLO);
		break;
	case LHLO:
		begin_next(s);
		break;
	case MAIL:
		if (lockstep)
			say(s, RCPT);
		s->stage = RCPT;
		break;
	case RCPT:
		if (lockstep)
			say(s, DATA);
		s->stage = DATA;
		break;
	case DATA:
		say(s, DOT);
		break;
	case DOT:
		load_unit_done(&s->all->run, s->began_s);
		begin_next(s);
		break;
	case QUIT:
		break;
	}
}

static size_t on_data(struct conn *c)
{
	size_t at = 0, n;

	while (!c->dead && (n = conn_line(c, at)) > 0) {
		on_reply(c->user, c->in + at, n);
		at += n;
	}
	return at;
}

static void on_end(struct conn *c, const char *why)
{
	struct lmtp *s = c->user;

	if (s->stage != QUIT) {
		s->all->run.wrong++;
		warnx("session lost in stage %d: %s", (int)s->stage, why != NULL ? why : "closed");
	}
	if (--s->all->live == 0)
		net_stop(&s->all->net);
}

int load_lmtp(const struct load_opt *o)
{
	static const struct conn_ops ops = { on_data, on_end };
	struct lmtp_load all = { .o = o };
	struct lmtp *s = calloc((size_t)o->sessions, sizeof(*s));

	if (s == NULL || o->messages == NULL)
		errx(2, "lmtp needs --messages");
	load_pack_open(&all.pack, o->messages);
	net_init(&all.net, o->host, o->port, o->tls, 8192);
	all.net.spread = o->spread;
	load_run_init(&all.run, o);
	all.live = o->sessions;
	for (int i = 0; i < o->sessions; i++) {
		s[i] = (struct lmtp){ .all = &all,
			.account = o->first_account + i % o->accounts,
			.next = (size_t)i * 7919u };
		s[i].conn = conn_open(&all.net, &ops, &s[i], (unsigned)i);
	}
	net_run(&all.net);
	return load_report(&all.run, "lmtp", o);
}
