#include "protocols/admin/admin-private.h"

#include <stdlib.h>

static void put_reply(struct admin *a, struct cmd *c)
{
	struct buf *out = &a->port->out;

	if (c->has_data && c->data.n + 100 > out->max - out->n)
		cmd_error(c, "the answer is too long");

	if (c->passes && c->has_data) {
		a->port->want_pass = true;
		a->port->pass_at = out->n;
	}
	buf_puts(out, c->status != NULL ? c->status : "501 out of memory");
	if (c->has_data) {
		if (!a->inline_data)
			buf_puts(out, "\r\n");
		buf_put(out, buf_slice(&c->data));
	}
	buf_puts(out, "\r\n");
}

static void cmd_free(struct cmd *c)
{
	arena_fini(&c->mem);
	buf_fini(&c->ask);
	buf_fini(&c->data);
	buf_fini(&c->text);
	free(c);
}

/* Replies in the order of the commands, as far as they are there. */
static void flush(struct admin *a)
{
	while (a->head != NULL) {
		struct cmd *c = a->head;

		overlap_first(c);
		if (c->status == NULL)
			break;
		put_reply(a, c);
		a->head = c->next;
		if (a->head == NULL)
			a->tail = &a->head;
		a->under_way--;
		cmd_free(c);
	}
	if (a->state != ADMIN_LOGIN)
		a->port->busy = a->under_way > 0;
}

/* May this line be worked on beside those under way? */
static bool may_start(const struct admin *a, struct slice line)
{
	return a->head == NULL || overlap_may(a, verb_find(line_verb(line)));
}

/* A line may be longer than what the driver holds: its start is kept here until its end is there.
 */
static size_t keep_start(struct admin *a, struct slice in)
{
	if (in.n < ADMIN_CHUNK)
		return 0;
	buf_put(&a->start, in);
	a->scanned = 0;
	return in.n;
}

/* `rest` is its end with a CR if there is one, `line` without. */
static struct slice whole_line(struct admin *a, struct slice rest, struct slice line)
{
	if (a->start.n == 0)
		return line;
	buf_put(&a->start, rest);
	line = buf_slice(&a->start);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* LF or CR LF ends a line here: the other end is a program of this machine or a person's terminal,
 * and the PWD port was always like that. */
static size_t feed(void *core, struct slice in)
{
	struct admin *a = core;
	size_t used = 0;

	if (a->state == ADMIN_LOGIN)
		used = login_feed(a, in);
	in = slice_from(in, used);
	flush(a);
	while (a->state == ADMIN_OPEN && in.n > 0) {
		struct slice line;
		size_t n;

		if (!line_take_any(a, in, &line, &n)) {
			used += keep_start(a, in);
			break;
		}
		if (!may_start(a, a->start.n > 0 ? buf_slice(&a->start) : line) ||
		    front_pending(a->port) > (1 << 20))
			return used;
		used += n;
		line = whole_line(a, slice_part(in, 0, n - 1), line);
		in = slice_from(in, n);
		a->scanned = 0;
		if (a->start.overflow)
			break;
		if (line.n > 0)
			line_run(a, line);
		buf_reset(&a->start);
		front_deadline(a->port, a->conf->idle_ms);
		flush(a);
	}
	if (a->state == ADMIN_OPEN && a->start.overflow) {
		buf_puts(&a->port->out, "501 the line is too long\r\n");
		a->state = ADMIN_CLOSING;
	}
	if (a->state == ADMIN_CLOSING && a->head == NULL)
		a->port->want_close = true;
	return used;
}

/* ---- answers ---- */

static uint32_t seq_of(enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_dir_reply:
		return m->dir_reply.seq;
	case IPC_secret_done:
		return m->secret_done.seq;
	case IPC_sess_rows:
		return m->sess_rows.seq;
	case IPC_stat_reply:
		return m->stat_reply.seq;
	case IPC_sess_opened:
		return m->sess_opened.seq;
	case IPC_undelete_rows:
		return m->undelete_rows.seq;
	case IPC_undelete_done:
		return m->undelete_done.seq;
	default:
		return 0;
	}
}

static void refuse_all(struct admin *a, const char *line)
{
	buf_puts(&a->port->out, line);
	a->state = ADMIN_CLOSING;
}

static void on_auth(struct admin *a, enum ipc_type type, const union ipc_any *m)
{
	if (a->state != ADMIN_ASKING)
		return;
	if (type == IPC_auth_admin) {
		a->state = ADMIN_OPEN;
		buf_puts(&a->port->out, "200 ");
		buf_put(&a->port->out, a->port->facts->host);
		buf_puts(&a->port->out, " Gatehouse " GH_VERSION " is ready\r\n");
	} else if (type == IPC_auth_refused && m->auth_refused.why == IPC_AUTH_TRYLATER) {
		refuse_all(a, "501 a server is away; try again\r\n");
	} else {
		refuse_all(a, "501 this user is not an administrator; see admin_users\r\n");
	}
}

static void on_msg(void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct admin *a = core;
	uint32_t seq = seq_of(type, m);

	if (from == FRONT_AUTH) {
		if (a->conf->pwd)
			login_on_msg(a, type, m);
		else
			on_auth(a, type, m);
		return;
	}
	for (struct cmd *c = a->head; c != NULL; c = c->next) {
		if (c->seq != seq || c->status != NULL || c->on_reply == NULL)
			continue;
		c->on_reply(c, type, m);
		return;
	}
}

static void on_gone(void *core, enum front_peer peer)
{
	struct admin *a = core;

	if (peer == FRONT_AUTH && a->state == ADMIN_ASKING)
		refuse_all(a, "501 a server is away; try again\r\n");
	if (peer == FRONT_AUTH && a->state == ADMIN_LOGIN)
		login_on_gone(a);
	if (peer == FRONT_AUTH)
		return;
	/* The rights of this connection went with the channel; what was asked may or may not be
	 * done. */
	for (struct cmd *c = a->head; c != NULL; c = c->next) {
		if (c->status == NULL)
			cmd_error(c, "a server went away; it is not known whether this was done");
		c->waits = c->beside = false;
	}
	a->state = ADMIN_CLOSING;
}

static void on_event(void *core, enum front_event event)
{
	struct admin *a = core;

	if (a->state == ADMIN_LOGIN) {
		login_on_event(a, event);
		return;
	}
	if (a->head != NULL && event == FRONT_TIMEOUT) {
		front_deadline(a->port, a->conf->idle_ms);
		return;
	}
	refuse_all(a, event == FRONT_TIMEOUT ? "501 closing: no command for too long\r\n"
					     : "501 closing: the server stops\r\n");
}

static void *start(struct front_port *p, const void *conf)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	*a = (struct admin){ .port = p, .conf = conf };
	a->tail = &a->head;
	buf_init(&a->start, a->conf->pwd ? PWD_COMMAND_MAX : ADMIN_LINE_MAX);
	/* Listings are long, and who asks for them is trusted with more memory than a stranger. */
	p->out.max = ADMIN_OUT_MAX;
	if (a->conf->pwd) {
		login_start(a);
		return a;
	}
	front_deadline(p, a->conf->idle_ms);
	if (front_send(p, FRONT_AUTH, IPC_auth_peer, &(struct ipc_auth_peer){}) != 0)
		on_gone(a, FRONT_AUTH);
	return a;
}

static void admin_free(void *core)
{
	struct admin *a = core;

	while (a->head != NULL) {
		struct cmd *c = a->head;

		a->head = c->next;
		cmd_free(c);
	}
	login_fini(a);
	buf_fini(&a->start);
	free(a);
}

const struct front_core admin_core = { .start = start,
	.free = admin_free,
	.feed = feed,
	.on_msg = on_msg,
	.on_gone = on_gone,
	.on_event = on_event };
