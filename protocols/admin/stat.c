/* stat - figures: lines "name value" of the store, then of the directory. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

/* How the figures are shown: all, one by its name, or the name that follows another. */
static void put_stat(struct cmd *c, struct slice line)
{
	struct slice name = slice_take(&line, ' '), wanted = c->kept;

	if (name.n == 0)
		return;
	if (c->verb->run == run_next_stat) {
		if (c->data.n == 0 && c->first)
			data_put_string(&c->data, name);
		c->first |= slice_ieq(name, wanted);
		return;
	}
	if (wanted.n > 0) {
		if (!slice_ieq(name, wanted))
			return;
		put_digits(&c->data, line);
		return;
	}
	data_put_string(&c->data, name);
	buf_putc(&c->data, '=');
	put_digits(&c->data, line);
	buf_putc(&c->data, ';');
}

static void begin(struct cmd *c)
{
	if (c->kept.n == 0 && c->verb->run != run_next_stat)
		buf_putc(&c->data, '{');
}

static void end(struct cmd *c)
{
	if (c->verb->run == run_next_stat && c->data.n == 0 && c->first)
		data_put_string(&c->data, SLICE_NONE); /* it was the last */
	if (c->kept.n == 0 && c->verb->run != run_next_stat)
		buf_putc(&c->data, '}');
	if (c->data.n > 0)
		cmd_data(c);
	else
		cmd_error(c, "there is no figure with this name");
}

static void on_dir_stat(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	while (wire_left(&r) > 0 && !r.bad)
		put_stat(c, wire_get_bytes(&r, UINT32_MAX));
	end(c);
}

static void on_stat(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct slice text, name = cmd_text(c, 0);

	if (type == IPC_stat_reply && m->stat_reply.status == IPC_ST_DENIED) {
		cmd_error(c, "these figures are not yours to see");
		return;
	}
	if (type != IPC_stat_reply || m->stat_reply.status != IPC_ST_OK) {
		cmd_error(c, "the store cannot answer now");
		return;
	}
	begin(c);
	text = m->stat_reply.text;
	while (text.n > 0)
		put_stat(c, slice_take(&text, '\n'));
	if (c->account == 0)
		cmd_ask_dir(c, VERB_stat, NULL, 0, on_dir_stat);
	else
		cmd_ask_dir(c, VERB_account_tally, &name, 1, on_dir_stat);
}

static void ask_stat(struct cmd *c)
{
	struct ipc_stat_ask m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_stat_ask, &m, on_stat);
}

void run_list_stat(struct cmd *c)
{
	if (c->arg[0] != NULL)
		cmd_find_account(c, cmd_text(c, 0), ask_stat);
	else
		ask_stat(c);
}

void run_stat_element(struct cmd *c)
{
	c->kept = cmd_text(c, 0);
	if (c->kept.n == 0)
		cmd_error(c, "there is no figure with this name");
	else
		ask_stat(c);
}

/* An empty name comes before the first. */
void run_next_stat(struct cmd *c)
{
	c->kept = cmd_text(c, 0);
	c->first = c->kept.n == 0;
	ask_stat(c);
}

void run_account_stat(struct cmd *c)
{
	c->kept = cmd_text(c, 1);
	cmd_find_account(c, cmd_text(c, 0), ask_stat);
}

/* ---- of a domain: its objects, then what was counted ---- */

static void on_domain_tally(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	static const char *const keys[] = { "Recipients", "LoginsTried", "CountedSince" };
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	buf_trunc(&c->data, c->data.n - 1); /* the bracket */
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct slice row = wire_get_bytes(&r, 100);

		slice_take(&row, ' ');
		buf_printf(&c->data, "%s=", keys[i]);
		put_digits(&c->data, row);
		buf_putc(&c->data, ';');
	}
	buf_putc(&c->data, '}');
	cmd_data(c);
}

static void on_domain_info(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct slice name = cmd_text(c, 0);

	cmd_domain_info(c, type, m);
	if (!c->has_data)
		return;
	c->has_data = false;
	c->status = NULL;
	cmd_ask_dir(c, VERB_domain_tally, &name, 1, on_domain_tally);
}

void run_domain_stat(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	cmd_ask_dir(c, VERB_domain_info, &name, 1, on_domain_info);
}
