/* object - renaming, groups, forwarders, mailing lists, and all objects of a domain page by page.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

void run_rename(struct cmd *c)
{
	if (c->arg[2] != NULL)
		cmd_error(c, "PATH is not possible: where mail lies does not go by names");
	else
		run_dir(c);
}

bool cmd_pair(struct cmd *c, struct slice item, struct slice *ret_key)
{
	if (c->kept.p == NULL) {
		c->kept = arena_copy(&c->mem, item);
		return false;
	}
	*ret_key = c->kept;
	c->kept = SLICE_NONE;
	return true;
}

/* ---- groups ---- */

/* Keys with their values; an array's key stands before each element. */
static bool put_settings(struct cmd *c, const struct data *dict)
{
	for (const struct data *d = dict != NULL ? dict->first : NULL; d != NULL; d = d->next) {
		const struct data *e = d->kind == DATA_ARRAY ? d->first : d;

		for (; e != NULL; e = d->kind == DATA_ARRAY ? e->next : NULL) {
			if (e->kind != DATA_STRING) {
				cmd_error(c, "a group's values are strings and arrays of them");
				return false;
			}
			cmd_put_arg(c, d->key);
			cmd_put_arg(c, e->text);
		}
	}
	return true;
}

void run_group(struct cmd *c)
{
	cmd_put_arg(c, cmd_text(c, 0));
	if (put_settings(c, c->arg[1]))
		cmd_send(c, c->verb->dir, cmd_dir_done);
}

/* Members come one by one and are shown as an array, even one or none. */
void cmd_group(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice key;

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0) {
		buf_putc(&c->data, '{');
		c->first = true;
	}
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice value = wire_get_bytes(&r, UINT32_MAX);

		if (!cmd_pair(c, value, &key))
			continue;
		if (slice_ieq(key, SLICE("Members"))) {
			data_put_item(&c->text, &c->first, value);
			continue;
		}
		data_put_string(&c->data, key);
		buf_putc(&c->data, '=');
		data_put_string(&c->data, value);
		buf_putc(&c->data, ';');
	}
	if (m->dir_reply.more)
		return;
	buf_puts(&c->data, "Members=(");
	buf_put(&c->data, buf_slice(&c->text));
	buf_puts(&c->data, ");}");
	cmd_data(c);
}

/* ---- what is told in pairs ---- */

void cmd_dir_pairs(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice key;

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0)
		buf_putc(&c->data, '{');
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice value = wire_get_bytes(&r, UINT32_MAX);

		if (!cmd_pair(c, value, &key))
			continue;
		data_put_string(&c->data, key);
		buf_putc(&c->data, '=');
		data_put_string(&c->data, value);
		buf_putc(&c->data, ';');
	}
	if (m->dir_reply.more)
		return;
	buf_putc(&c->data, '}');
	cmd_data(c);
}

/* ---- a domain as a whole ---- */

void cmd_domain_info(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	static const char *const keys[] = { "ID", "Name", "State", "Accounts", "Aliases",
		"Forwarders", "Groups", "Lists" };
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	buf_putc(&c->data, '{');
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct slice item = wire_get_bytes(&r, UINT32_MAX);

		if (i == 1 || i == 2) {
			data_put_pair(&c->data, keys[i], item);
			continue;
		}
		buf_printf(&c->data, "%s=", keys[i]);
		put_digits(&c->data, item);
		buf_putc(&c->data, ';');
	}
	buf_putc(&c->data, '}');
	cmd_data(c);
}

enum { PAGE_FILTER = 1, PAGE_LIMIT, PAGE_KINDS, PAGE_COOKIE = PAGE_KINDS + 3 };

void run_objects(struct cmd *c)
{
	static const char *const kinds[] = { "accounts", "aliases", "forwarders" };
	bool all = true;

	for (int i = 0; i < 3; i++)
		all &= c->arg[PAGE_KINDS + i] == NULL;
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, cmd_text(c, PAGE_FILTER));
	cmd_put_arg(c, cmd_text(c, PAGE_LIMIT));
	cmd_put_arg(c, cmd_text(c, PAGE_COOKIE));
	for (int i = 0; i < 3; i++)
		if (all || c->arg[PAGE_KINDS + i] != NULL)
			cmd_put_arg(c, slice_str(kinds[i]));
	cmd_send(c, VERB_objects, cmd_objects);
}

/* "kind name extra": an account is a string, an alias an array, a forwarder an array in an array.
 */
static void put_object(struct cmd *c, struct slice row)
{
	struct slice kind = slice_take(&row, ' '), name = slice_take(&row, ' ');
	bool alias = slice_eq(kind, SLICE("alias")), first = true;

	data_put_string(&c->data, name);
	buf_putc(&c->data, '=');
	if (slice_eq(kind, SLICE("account"))) {
		buf_puts(&c->data, "MultiMailbox;");
		return;
	}
	buf_puts(&c->data, alias ? "(" : "((");
	data_put_item(&c->data, &first, row);
	buf_puts(&c->data, alias ? ");" : "));");
}

/* The next cookie, five numbers, then the objects. */
void cmd_objects(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	for (; wire_left(&r) > 0 && !r.bad; c->items++) {
		struct slice item = wire_get_bytes(&r, UINT32_MAX);

		if (c->items == 0) {
			c->kept = arena_copy(&c->mem, item);
		} else if (c->items == 1) {
			buf_putc(&c->data, '(');
			put_digits(&c->data, item);
			buf_puts(&c->data, ",{");
		} else if (c->items <= 3) {
			buf_putc(&c->text, ',');
			put_digits(&c->text, item);
		} else if (c->items > 5) {
			put_object(c, item);
		}
	}
	if (m->dir_reply.more)
		return;
	if (c->items < 6) {
		cmd_error(c, "the objects cannot be shown");
		return;
	}
	buf_putc(&c->data, '}');
	buf_put(&c->data, buf_slice(&c->text));
	buf_putc(&c->data, ',');
	data_put_string(&c->data, c->kept);
	buf_putc(&c->data, ')');
	cmd_data(c);
}
