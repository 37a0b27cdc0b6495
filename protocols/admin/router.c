/* router - the Router's table, and where names lead. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

void cmd_router_table(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	while (wire_left(&r) > 0 && !r.bad) {
		if (c->items++ > 0)
			buf_putc(&c->text, '\n');
		buf_put(&c->text, wire_get_bytes(&r, UINT32_MAX));
	}
	if (m->dir_reply.more)
		return;
	data_put_string(&c->data, buf_slice(&c->text));
	cmd_data(c);
}

/* Of a table, what goes with one question. */
enum { TABLE_PART_BYTES = 48 << 10 };

static void send_part(struct cmd *c);

static void on_part(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		return;
	if (c->kept.n > 0)
		send_part(c);
	else
		cmd_ok(c);
}

static void send_part(struct cmd *c)
{
	struct slice part = slice_part(c->kept, 0, TABLE_PART_BYTES);
	bool first = c->items++ == 0, last = part.n == c->kept.n;

	c->kept = slice_from(c->kept, part.n);
	if (!first || !last)
		cmd_put_arg(c, last ? SLICE("last") : first ? SLICE("first") : SLICE("more"));
	cmd_put_arg(c, part);
	cmd_send(c, VERB_router_set_table, on_part);
}

void run_set_router_table(struct cmd *c)
{
	c->kept = cmd_text(c, 0);
	send_part(c);
}

/* Items are module, queue, address, result, steps... Route answers the first three. */
static void on_route(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	bool all = !slice_ieq(slice_str(c->verb->name), SLICE("Route")), first = true;
	struct slice item[4];

	if (cmd_dir_failed(c, m))
		return;
	for (int i = 0; i < 4; i++)
		item[i] = wire_get_bytes(&r, UINT32_MAX);
	if (!all && item[0].n == 0) {
		cmd_error_made(c, item[3]);
		return;
	}
	buf_putc(&c->data, '(');
	for (int i = 0; i < (all ? 4 : 3); i++)
		data_put_item(&c->data, &first, item[i]);
	while (all && wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &first, wire_get_bytes(&r, UINT32_MAX));
	buf_putc(&c->data, ')');
	cmd_data(c);
}

void run_route(struct cmd *c)
{
	struct slice args[4] = { cmd_text(c, 0),
		c->arg[1] != NULL ? cmd_text(c, 1) : SLICE("access"), cmd_text(c, 3),
		cmd_text(c, 2) };

	cmd_ask_dir(c, VERB_route, args, 4, on_route);
}

void run_route_login(struct cmd *c)
{
	struct slice args[3] = { cmd_text(c, 0), cmd_text(c, 1), cmd_text(c, 2) };

	cmd_ask_dir(c, VERB_login, args, 3, on_route);
}
