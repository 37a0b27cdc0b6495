/*
 * settings - what is set for the server, its domains and accounts: asked for and changed as
 * dictionaries, whose values routerd checks and keeps in one form. `before` of a row is the scope,
 * and of a question its view.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

#define BLACKLISTED SLICE("BlacklistedIPs")

/* A value as routerd wrote it, in our own data format. */
static void put_value(struct cmd *c, struct slice value)
{
	const char *why;
	struct slice rest = value;
	struct data *d = data_parse(&c->mem, &rest, &why);

	if (d != NULL && rest.n == 0)
		data_put(&c->data, d);
	else
		data_put_string(&c->data, value);
}

static void put_setting(struct cmd *c, struct slice key, struct slice value)
{
	data_put_string(&c->data, key);
	buf_putc(&c->data, '=');
	put_value(c, value);
	buf_putc(&c->data, ';');
}

static bool is_domain(const struct cmd *c)
{
	return c->verb->before != NULL &&
	       slice_starts(slice_str(c->verb->before), SLICE("domain "));
}

/* The addresses of a domain are no setting of the table, but belong to what is told of it. */
static void on_ips(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	if (wire_left(&r) > 0 && c->items++ == 0) {
		buf_puts(&c->data, "IPAddresses=(");
		c->first = true;
	}
	while (wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &c->first, wire_get_bytes(&r, UINT32_MAX));
	if (m->dir_reply.more)
		return;
	buf_puts(&c->data, c->items > 0 ? ");}" : "}");
	cmd_data(c);
}

void cmd_settings(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice key, name = cmd_text(c, 0);

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0)
		buf_putc(&c->data, '{');
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice value = wire_get_bytes(&r, UINT32_MAX);

		if (cmd_pair(c, value, &key))
			put_setting(c, key, value);
	}
	if (m->dir_reply.more)
		return;
	if (is_domain(c)) {
		cmd_ask_dir(c, VERB_domain_ips, &name, 1, on_ips);
		return;
	}
	buf_putc(&c->data, '}');
	cmd_data(c);
}

static void ask_settings(struct cmd *c, cmd_reply_fn *then)
{
	struct slice view = slice_str(c->verb->before), scope = slice_take(&view, ' ');

	cmd_put_arg(c, scope);
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, view);
	cmd_send(c, VERB_settings_get, then);
}

void run_get_settings(struct cmd *c)
{
	ask_settings(c, cmd_settings);
}

static void on_one_setting(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice key, wanted = cmd_text(c, 1);

	if (c->verb->run == run_get_mailbox_aliases)
		wanted = SLICE("MailboxAliases");
	if (c->verb->run == run_blacklisted)
		wanted = BLACKLISTED;
	if (c->verb->run == run_get_prefs)
		wanted = SLICE("Prefs");

	if (cmd_dir_failed(c, m))
		return;
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice value = wire_get_bytes(&r, UINT32_MAX);

		if (cmd_pair(c, value, &key) && slice_ieq(key, wanted) && c->data.n == 0)
			put_value(c, value);
	}
	if (m->dir_reply.more)
		return;
	if (c->data.n == 0 && c->verb->run == run_get_prefs)
		buf_puts(&c->data, "{}");
	if (c->data.n > 0)
		cmd_data(c);
	else
		cmd_error(c, "there is no setting with this name");
}

void run_one_setting(struct cmd *c)
{
	ask_settings(c, on_one_setting);
}

void run_get_mailbox_aliases(struct cmd *c)
{
	ask_settings(c, on_one_setting);
}

/* ---- one setting that has commands of its own ---- */

void run_blacklisted(struct cmd *c)
{
	ask_settings(c, on_one_setting);
}

/* Texts are an address, from-to, or address/bits: routerd looks what it is. */
void run_set_blacklisted(struct cmd *c)
{
	struct buf text = BUF_INIT(IPC_ASK_MAX);
	char ip[ADDR_TEXT_MAX];
	bool first = true;

	if (!cmd_list_right(c, c->arg[0]))
		return;
	buf_putc(&text, '(');
	for (const struct data *d = c->arg[0]->first; d != NULL; d = d->next)
		data_put_item(&text, &first,
		    d->kind == DATA_IP ? slice_str(addr_ip_text(&d->addr, ip)) : d->text);
	buf_putc(&text, ')');
	c->ask.overflow |= text.overflow;
	cmd_put_arg(c, SLICE("server"));
	cmd_put_arg(c, SLICE_NONE);
	cmd_put_arg(c, BLACKLISTED);
	cmd_put_arg(c, first ? SLICE("default") : buf_slice(&text));
	buf_fini(&text);
	cmd_send(c, VERB_settings_update, cmd_dir_done);
}

/* ---- preferences ---- */

void run_get_prefs(struct cmd *c)
{
	ask_settings(c, on_one_setting);
}

/* [name] {prefs} */
void run_put_prefs(struct cmd *c)
{
	struct buf text = BUF_INIT(IPC_ASK_MAX);

	data_put(&text, c->arg[1]);
	c->ask.overflow |= text.overflow;
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, slice_str(c->verb->before));
	cmd_put_arg(c, buf_slice(&text));
	buf_fini(&text);
	cmd_send(c, c->verb->dir, cmd_dir_done);
}

/* account {aliases}: an account may set its own. */
void run_set_mailbox_aliases(struct cmd *c)
{
	struct buf text = BUF_INIT(IPC_ASK_MAX);

	data_put(&text, c->arg[1]);
	c->ask.overflow |= text.overflow;
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, buf_slice(&text));
	buf_fini(&text);
	cmd_send(c, VERB_mailbox_aliases_set, cmd_dir_done);
}

static void on_router_settings(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m) || m->dir_reply.more)
		return;
	if (c->arg[0] != NULL && c->arg[0]->first != NULL) {
		cmd_error(c, "the Router has no settings beside its table");
	} else if (c->arg[0] != NULL) {
		cmd_ok(c);
	} else {
		buf_puts(&c->data, "{}");
		cmd_data(c);
	}
}

/* There are none: whoever may look at those of the server hears that. */
void run_router_settings(struct cmd *c)
{
	ask_settings(c, on_router_settings);
}

/* ---- changing ---- */

void cmd_put_settings(struct cmd *c, const struct data *dict, const char *const *but)
{
	struct buf text = BUF_INIT(IPC_ASK_MAX);

	for (const struct data *d = dict != NULL ? dict->first : NULL; d != NULL; d = d->next) {
		const char *const *k = but;

		while (k != NULL && *k != NULL && !slice_ieq(d->key, slice_str(*k)))
			k++;
		if (k != NULL && *k != NULL)
			continue;
		buf_reset(&text);
		data_put(&text, d);
		c->ask.overflow |= text.overflow;
		cmd_put_arg(c, d->key);
		cmd_put_arg(c, buf_slice(&text));
	}
	buf_fini(&text);
}

/* Addresses are one change and settings another: together they could be half done. */
static void change_ips(struct cmd *c, struct slice domain, const struct data *dict)
{
	const struct data *ips = data_get(dict, "IPAddresses");

	if (dict->first != ips || ips->next != NULL)
		cmd_error(c, "IPAddresses stands alone, in a command of its own");
	else if (ips->kind != DATA_ARRAY)
		cmd_error(c, "IPAddresses is an array");
	else if (cmd_list_right(c, ips)) {
		cmd_put_arg(c, domain);
		cmd_put_value(c, ips);
		cmd_send(c, VERB_domain_set_ips, cmd_dir_done);
	}
}

/* The last value of the form is the dictionary; before it there may be a name. */
void run_put_settings(struct cmd *c)
{
	bool named = c->arg[0] == NULL || c->arg[0]->kind != DATA_DICT;
	struct slice name = named ? cmd_text(c, 0) : SLICE_NONE;
	const struct data *dict = c->arg[named ? 1 : 0];

	if (strcmp(c->verb->before, "domain") == 0 && data_get(dict, "IPAddresses") != NULL) {
		change_ips(c, name, dict);
		return;
	}
	cmd_put_arg(c, slice_str(c->verb->before));
	cmd_put_arg(c, name);
	cmd_put_settings(c, dict, NULL);
	cmd_send(c, c->verb->dir, cmd_dir_done);
}

/* ---- the table, for people and for programs ---- */

/* Items are setting, level, type, default, right, sentence, again and again. */
void cmd_settings_table(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	static const char *const keys[] = { "Setting", "Level", "Type", "Default", "Right",
		"Help" };
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0)
		buf_putc(&c->data, '(');
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice item = wire_get_bytes(&r, UINT32_MAX);
		size_t at = c->items++ % 6;

		if (at == 0)
			buf_puts(&c->data, c->items > 1 ? ",{" : "{");
		data_put_pair(&c->data, keys[at], item);
		if (at == 5)
			buf_putc(&c->data, '}');
	}
	if (m->dir_reply.more)
		return;
	if (c->items % 6 != 0) {
		cmd_error(c, "the table cannot be shown");
		return;
	}
	buf_putc(&c->data, ')');
	cmd_data(c);
}
