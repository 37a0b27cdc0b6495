/* upkeep - the store's files: how much of them lives, compaction, scrub and what that found. */
#include "protocols/admin/admin-private.h"

/* "name value" as a pair; the value is a number or a word. */
static void put_line(struct cmd *c, struct slice line)
{
	struct slice name = slice_take(&line, ' ');
	uint64_t number;

	if (name.n == 0)
		return;
	data_put_string(&c->data, name);
	buf_putc(&c->data, '=');
	if (slice_u64(line, UINT64_MAX, &number) == 0)
		put_digits(&c->data, line);
	else
		data_put_string(&c->data, line);
	buf_putc(&c->data, ';');
}

/* True with the reply; what else came has been answered. */
static bool came(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	uint32_t status = type == IPC_stat_reply ? m->stat_reply.status : IPC_ST_TRYLATER;

	if (status == IPC_ST_DENIED)
		cmd_error(c, "the store's upkeep is not yours");
	else if (status != IPC_ST_OK && status != IPC_ST_EXISTS)
		cmd_error(c, "the store cannot answer now");
	return status == IPC_ST_OK || status == IPC_ST_EXISTS;
}

static void on_state(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct slice text;

	if (!came(c, type, m))
		return;
	buf_putc(&c->data, '{');
	if (c->verb->run != run_store_state)
		data_put_pair(&c->data, "begun",
		    m->stat_reply.status == IPC_ST_OK ? SLICE("YES") : SLICE("NO"));
	for (text = m->stat_reply.text; text.n > 0;)
		put_line(c, slice_take(&text, '\n'));
	buf_putc(&c->data, '}');
	cmd_data(c);
}

static void ask(struct cmd *c, uint32_t what, cmd_reply_fn *then)
{
	struct ipc_upkeep_ask m = {
		.seq = cmd_next_seq(c), .what = what, .from = (uint32_t)c->items
	};

	cmd_ask(c, FRONT_STORE, IPC_upkeep_ask, &m, then);
}

void run_store_state(struct cmd *c)
{
	ask(c, IPC_UPKEEP_STATE, on_state);
}

void run_compact_store(struct cmd *c)
{
	ask(c, IPC_UPKEEP_COMPACT, on_state);
}

void run_scrub_store(struct cmd *c)
{
	ask(c, IPC_UPKEEP_SCRUB, on_state);
}

/* "kind account mailbox-id uid segment offset mailbox" */
static void put_item(struct cmd *c, struct slice line)
{
	static const char *const keys[] = { "AccountID", "MailboxID", "UID", "Segment", "Offset" };

	if (c->items++ > 0)
		buf_putc(&c->data, ',');
	buf_putc(&c->data, '{');
	data_put_pair(&c->data, "What", slice_take(&line, ' '));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		data_put_string(&c->data, slice_str(keys[i]));
		buf_putc(&c->data, '=');
		put_digits(&c->data, slice_take(&line, ' '));
		buf_putc(&c->data, ';');
	}
	data_put_pair(&c->data, "Mailbox", line);
	buf_putc(&c->data, '}');
}

static void on_items(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct slice text;

	if (!came(c, type, m))
		return;
	if (c->items == 0)
		buf_putc(&c->data, '(');
	for (text = m->stat_reply.text; text.n > 0;)
		put_item(c, slice_take(&text, '\n'));
	if (m->stat_reply.text.n > 0 && c->items < m->stat_reply.count) {
		ask(c, IPC_UPKEEP_DAMAGED, on_items);
		return;
	}
	buf_putc(&c->data, ')');
	cmd_data(c);
}

void run_list_damaged(struct cmd *c)
{
	ask(c, IPC_UPKEEP_DAMAGED, on_items);
}
