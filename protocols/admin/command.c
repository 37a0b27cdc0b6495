/* command - what commands are made of: replies, questions to the servers, words. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"
#include "common/front/text.h"

struct front_port *cmd_port(const struct cmd *c)
{
	return c->a->port;
}

/* ---- replies ---- */

void cmd_error(struct cmd *c, const char *text)
{
	buf_reset(&c->text);
	buf_printf(&c->text, "501 %s", text);
	c->has_data = false;
	c->status = buf_cstr(&c->text);
}

void cmd_error_made(struct cmd *c, struct slice text)
{
	buf_reset(&c->text);
	buf_puts(&c->text, "501 ");
	text_put_safe(&c->text, text, true);
	c->has_data = false;
	c->status = buf_cstr(&c->text);
}

void cmd_usage(struct cmd *c)
{
	buf_reset(&c->text);
	buf_printf(&c->text, "501 usage: %s%s%s", c->verb->name,
	    c->verb->form[0] != '\0' ? " " : "", c->verb->form);
	c->has_data = false;
	c->status = buf_cstr(&c->text);
}

void cmd_ok(struct cmd *c)
{
	c->status = "200 done";
}

void cmd_data(struct cmd *c)
{
	if (c->data.overflow) {
		cmd_error(c, "the answer is too long");
		return;
	}
	c->has_data = true;
	c->status = c->a->inline_data ? "201 " : "200 data follow";
}

void admin_set_inline(struct cmd *c)
{
	c->a->inline_data = true;
	cmd_ok(c);
}

void admin_quit(struct cmd *c)
{
	c->status = "200 closing";
	c->a->state = ADMIN_CLOSING;
}

/* ---- questions ---- */

uint32_t cmd_next_seq(struct cmd *c)
{
	return c->seq = ++c->a->seq;
}

void cmd_ask(
    struct cmd *c, enum front_peer peer, enum ipc_type type, const void *msg, cmd_reply_fn *then)
{
	c->on_reply = then;
	if (front_send(c->a->port, peer, type, msg) != 0)
		cmd_error(c, "a server is away; try again");
}

void cmd_put_arg(struct cmd *c, struct slice s)
{
	wire_put_bytes(&c->ask, s);
}

static void put_ip(struct cmd *c, const struct addr *ip)
{
	char text[ADDR_TEXT_MAX];

	cmd_put_arg(c, slice_str(addr_ip_text(ip, text)));
}

void cmd_put_value(struct cmd *c, const struct data *d)
{
	struct buf text = BUF_INIT(IPC_ASK_MAX);

	if (d == NULL) {
		cmd_put_arg(c, SLICE_NONE);
	} else if (d->kind == DATA_IP) {
		put_ip(c, &d->addr);
	} else if (d->kind == DATA_ARRAY) {
		for (const struct data *e = d->first; e != NULL; e = e->next)
			cmd_put_value(c, e);
	} else if (d->kind == DATA_DICT) {
		for (const struct data *e = d->first; e != NULL; e = e->next) {
			cmd_put_arg(c, e->key);
			buf_reset(&text);
			data_put(&text, e);
			cmd_put_arg(c, buf_slice(&text));
		}
	} else {
		cmd_put_arg(c, d->text);
	}
	buf_fini(&text);
}

void cmd_send_as(struct cmd *c, uint32_t seq, uint32_t verb, cmd_reply_fn *then)
{
	struct ipc_dir_ask m = { .seq = seq, .verb = verb, .args = buf_slice(&c->ask) };

	if (c->ask.overflow)
		cmd_error(c, "the command is too long");
	else
		cmd_ask(c, FRONT_DIR, IPC_dir_ask, &m, then);
	buf_reset(&c->ask);
}

void cmd_send(struct cmd *c, uint32_t verb, cmd_reply_fn *then)
{
	cmd_send_as(c, cmd_next_seq(c), verb, then);
}

void cmd_ask_dir(
    struct cmd *c, uint32_t verb, const struct slice *args, size_t n, cmd_reply_fn *then)
{
	for (size_t i = 0; i < n; i++)
		cmd_put_arg(c, args[i]);
	cmd_send(c, verb, then);
}

bool cmd_list_right(struct cmd *c, const struct data *list)
{
	for (const struct data *d = list->first; d != NULL; d = d->next) {
		if (d->kind == DATA_STRING || (d->kind == DATA_IP && d->addr.port == 0))
			continue;
		cmd_error(c, d->kind == DATA_IP ? "an address stands here without a port"
						: "the list holds something else than names");
		return false;
	}
	return true;
}

void run_dir(struct cmd *c)
{
	struct slice before = slice_str(c->verb->before != NULL ? c->verb->before : "");
	size_t last = FORM_VALUES_MAX;

	while (last > 0 && c->arg[last - 1] == NULL)
		last--;
	while (before.n > 0)
		cmd_put_arg(c, slice_take(&before, ' '));
	for (size_t i = 0; i < last; i++) {
		if (c->arg[i] != NULL && c->arg[i]->kind == DATA_ARRAY &&
		    !cmd_list_right(c, c->arg[i]))
			return;
		cmd_put_value(c, c->arg[i]);
	}
	cmd_send(c, c->verb->dir, c->verb->reply != NULL ? c->verb->reply : cmd_dir_done);
}

bool cmd_dir_failed(struct cmd *c, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (m->dir_reply.status == IPC_DIR_OK)
		return false;
	cmd_error_made(c, wire_get_bytes(&r, 1000));
	return true;
}

void cmd_dir_done(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (!cmd_dir_failed(c, m))
		cmd_ok(c);
}

void cmd_dir_array(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0) {
		buf_putc(&c->data, '(');
		c->first = true;
	}
	while (wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &c->first, wire_get_bytes(&r, UINT32_MAX));
	if (m->dir_reply.more)
		return;
	buf_putc(&c->data, ')');
	cmd_data(c);
}

void run_dir_name(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	cmd_ask_dir(c, c->verb->dir, &name, 1, c->verb->reply);
}

void cmd_dir_text(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	data_put_string(&c->data, wire_get_bytes(&r, UINT32_MAX));
	cmd_data(c);
}

static void on_account(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	slice_u64(wire_get_bytes(&r, 20), UINT64_MAX, &c->account);
	c->then(c);
}

void cmd_find_account(struct cmd *c, struct slice name, void (*then)(struct cmd *c))
{
	c->then = then;
	cmd_ask_dir(c, VERB_account_info, &name, 1, on_account);
}

void put_digits(struct buf *b, struct slice digits)
{
	uint64_t v = 0;

	slice_u64(digits, UINT64_MAX, &v);
	data_put_number(b, v);
}

/* ---- words ---- */

struct slice cmd_text(const struct cmd *c, size_t value)
{
	const struct data *d = c->arg[value];

	return d != NULL && d->kind == DATA_STRING ? d->text : SLICE_NONE;
}
