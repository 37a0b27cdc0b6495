/*
 * later - commands that clients of other servers know and that are not here yet: their form is
 * checked, and the right they will need, so that nobody learns more from them than from the others;
 * then they are refused with what they come with. And HELP, which tells of all commands.
 */
#include "protocols/admin/admin-private.h"

static void on_later(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		return;
	buf_reset(&c->text);
	buf_printf(&c->text, "501 %s is not here yet: %s", c->verb->name, c->verb->later);
	c->status = buf_cstr(&c->text);
}

/* `before` of a row: looks or changes, the rights that are enough (',' between), what it is about.
 */
void run_later(struct cmd *c)
{
	struct slice before = slice_str(c->verb->before);

	while (before.n > 0)
		cmd_put_arg(c, slice_take(&before, ' '));
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_send(c, VERB_later, on_later);
}

/* A rule's name stands behind DELETE, or a rule is there: one of the two. */
void run_later_rule(struct cmd *c)
{
	if ((c->arg[1] == NULL) == (c->arg[2] == NULL))
		cmd_usage(c);
	else
		run_later(c);
}

/* ---- HELP ---- */

static void put_help(struct cmd *c, const struct verb *v)
{
	if (!c->first)
		buf_putc(&c->data, ',');
	c->first = false;
	buf_putc(&c->data, '{');
	data_put_pair(&c->data, "Command", slice_str(v->name));
	data_put_pair(&c->data, "Form", slice_str(v->form));
	if (v->later != NULL)
		data_put_pair(&c->data, "Later", slice_str(v->later));
	buf_putc(&c->data, '}');
}

void run_help(struct cmd *c)
{
	const struct verb *one = verb_find(cmd_text(c, 0));

	if (c->arg[0] != NULL && one == NULL) {
		cmd_error(c, "unknown command");
		return;
	}
	c->first = true;
	buf_putc(&c->data, '(');
	for (size_t i = 0; i < admin_verb_count; i++)
		if (one == NULL || one == &admin_verbs[i])
			put_help(c, &admin_verbs[i]);
	buf_putc(&c->data, ')');
	cmd_data(c);
}
