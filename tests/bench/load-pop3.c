/* POP3 load: one session fetches messages 1..count, `depth` commands in flight, sizes checked. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "pop.h"

enum body { FIRST_LINE, BODY };
enum phase { LOGIN, LIST_HEAD, LIST_BODY, RETR, DONE };

struct pop3_load {
	const struct load_opt *o;
	struct load_run run;
	struct net net;
	struct pop pop;
	enum phase phase;
	enum body body;
	uint64_t *size;
	double *asked_s;
	uint64_t octets;
	int listed, asked, answered;
	double login_s, list_s;
};

static void ask_more(struct pop3_load *l)
{
	double now = now_s();

	while (l->asked < l->o->count && l->asked - l->answered < l->o->depth) {
		l->asked_s[l->asked] = now;
		conn_printf(l->pop.conn, "RETR %d\r\n", ++l->asked);
	}
}

static void fail(struct pop3_load *l, const char *why)
{
	warnx("%s", why);
	l->run.wrong++;
	l->phase = DONE;
	net_stop(&l->net);
}

static void on_list_line(struct pop3_load *l, const uint8_t *line, size_t n)
{
	unsigned long long number, size;

	if (line[0] == '.') {
		l->list_s = now_s() - l->list_s;
		if (l->listed < l->o->count) {
			fail(l, "the mailbox has fewer messages than asked for");
			return;
		}
		l->phase = RETR;
		l->run.start_s = now_s();
		ask_more(l);
		return;
	}
	if (sscanf((const char *)line, "%llu %llu", &number, &size) != 2)
		fail(l, "LIST line not understood");
	else if (l->listed < l->o->count)
		l->size[l->listed++] = size;
}

static void on_retr_line(struct pop3_load *l, const uint8_t *line, size_t n)
{
	if (l->body == FIRST_LINE) {
		l->body = BODY;
		l->octets = 0;
		if (line[0] != '+')
			fail(l, "RETR refused");
		return;
	}
	if (line[0] != '.') {
		l->octets += n;
		return;
	}
	if (n != 3) {
		l->octets += n - 1;
		return;
	}
	if (l->octets != l->size[l->answered])
		l->run.wrong++;
	l->run.bytes += l->octets;
	load_unit_done(&l->run, l->asked_s[l->answered]);
	l->body = FIRST_LINE;
	if (++l->answered == l->o->count) {
		conn_printf(l->pop.conn, "QUIT\r\n");
		l->phase = DONE;
	}
}

static void on_line(struct pop3_load *l, const uint8_t *line, size_t n)
{
	switch (l->phase) {
	case LOGIN:
		switch (pop_login_line(&l->pop, l->o, line, n)) {
		case POP_GOES_ON:
			break;
		case POP_LOGGED_IN:
			l->list_s = now_s();
			l->login_s = l->list_s - l->run.start_s;
			conn_printf(l->pop.conn, "LIST\r\n");
			l->phase = LIST_HEAD;
			break;
		case POP_REFUSED:
			fail(l, "login refused");
			break;
		}
		break;
	case LIST_HEAD:
		l->phase = LIST_BODY;
		break;
	case LIST_BODY:
		on_list_line(l, line, n);
		break;
	case RETR:
		on_retr_line(l, line, n);
		break;
	case DONE:
		break;
	}
}

static size_t on_data(struct conn *c)
{
	struct pop3_load *l = c->user;
	size_t at = 0, n;

	while ((n = conn_line(c, at)) > 0) {
		on_line(l, c->in + at, n);
		at += n;
	}
	if (l->phase == RETR)
		ask_more(l);
	return at;
}

static void on_end(struct conn *c, const char *why)
{
	struct pop3_load *l = c->user;

	if (l->phase != DONE)
		fail(l, why != NULL ? why : "connection closed early");
	net_stop(&l->net);
}

int load_pop3(const struct load_opt *o)
{
	static const struct conn_ops ops = { on_data, on_end };
	struct pop3_load l = { .o = o, .pop = { .account = o->first_account } };
	char extra[128];

	l.size = calloc((size_t)o->count, sizeof(*l.size));
	l.asked_s = calloc((size_t)o->count, sizeof(*l.asked_s));
	if (l.size == NULL || l.asked_s == NULL)
		errx(2, "out of memory");
	net_init(&l.net, o->host, o->port, o->tls, 256 * 1024);
	load_run_init(&l.run, o);
	l.pop.conn = conn_open(&l.net, &ops, &l, 0);
	net_run(&l.net);
	snprintf(extra, sizeof(extra), ",\"login_ms\":%.2f,\"list_ms\":%.2f", l.login_s * 1e3,
	    l.list_s * 1e3);
	l.run.extra = extra;
	return load_report(&l.run, "pop3", o);
}
