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
	buf_printf(&c->text, "501 usage: %s", c->verb->usage);
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

void cmd_ask_dir(
    struct cmd *c, uint32_t verb, const struct slice *args, size_t n, cmd_reply_fn *then)
{
	struct buf packed = BUF_INIT(61440);
	struct ipc_dir_ask m = { .seq = cmd_next_seq(c), .verb = verb };

	for (size_t i = 0; i < n; i++)
		wire_put_bytes(&packed, args[i]);
	m.args = buf_slice(&packed);
	if (packed.overflow)
		cmd_error(c, "the command is too long");
	else
		cmd_ask(c, FRONT_DIR, IPC_dir_ask, &m, then);
	buf_fini(&packed);
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

static void on_undone(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (m->dir_reply.status == IPC_DIR_OK)
		cmd_error_made(c, c->kept);
	else
		cmd_error(c, "this was done in part, and that part could not be taken back");
}

void cmd_undo(struct cmd *c, uint32_t verb, struct slice name)
{
	c->kept = arena_copy(&c->mem, slice_from(buf_slice(&c->text), 4));
	if (c->kept.p == NULL)
		return;
	c->status = NULL;
	cmd_ask_dir(c, verb, &name, 1, on_undone);
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

static void on_account(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	void (*then)(struct cmd * c) = NULL;

	if (cmd_dir_failed(c, m))
		return;
	slice_u64(wire_get_bytes(&r, 20), UINT64_MAX, &c->account);
	memcpy(&then, c->kept2.p, sizeof(then));
	then(c);
}

void cmd_find_account(struct cmd *c, struct slice name, void (*then)(struct cmd *c))
{
	c->kept2 = arena_copy(&c->mem, slice_of(&then, sizeof(then)));
	if (c->kept2.p == NULL)
		cmd_error(c, "out of memory");
	else
		cmd_ask_dir(c, VERB_account_info, &name, 1, on_account);
}

/* ---- words ---- */

bool cmd_word_is(const struct cmd *c, size_t at, const char *keyword)
{
	return at < c->words && c->word[at]->kind == DATA_STRING &&
	       slice_ieq(c->word[at]->text, slice_str(keyword));
}

struct slice cmd_text(const struct cmd *c, size_t at)
{
	return at < c->words && c->word[at]->kind == DATA_STRING ? c->word[at]->text : SLICE_NONE;
}
