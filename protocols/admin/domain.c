/* domain - a new domain, with its settings. */
#include "protocols/admin/admin-private.h"

enum { CREATE_SHARED = 1, CREATE_PATH, CREATE_SETTINGS };

static void on_last(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		cmd_undo(c, VERB_domain_delete, cmd_text(c, 0));
	else
		cmd_ok(c);
}

static void set_ips(struct cmd *c)
{
	const struct data *ips = data_get(c->arg[CREATE_SETTINGS], "IPAddresses");

	if (ips == NULL) {
		cmd_ok(c);
		return;
	}
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_value(c, ips);
	cmd_send(c, VERB_domain_set_ips, on_last);
}

static void on_settings(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		cmd_undo(c, VERB_domain_delete, cmd_text(c, 0));
	else
		set_ips(c);
}

static void on_made(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	static const char *const no_settings[] = { "IPAddresses", NULL };
	size_t before;

	if (cmd_dir_failed(c, m))
		return;
	cmd_put_arg(c, SLICE("domain"));
	cmd_put_arg(c, cmd_text(c, 0));
	before = c->ask.n;
	cmd_put_settings(c, c->arg[CREATE_SETTINGS], no_settings);
	if (c->ask.n > before) {
		cmd_send(c, VERB_settings_update, on_settings);
		return;
	}
	buf_reset(&c->ask);
	set_ips(c);
}

void run_create_domain(struct cmd *c)
{
	const struct data *ips = data_get(c->arg[CREATE_SETTINGS], "IPAddresses");
	struct slice name = cmd_text(c, 0);

	if (c->arg[CREATE_SHARED] != NULL || c->arg[CREATE_PATH] != NULL)
		cmd_error(c, "SHARED and PATH are not possible: there is one server and one store");
	else if (ips != NULL && ips->kind != DATA_ARRAY)
		cmd_error(c, "IPAddresses is an array");
	else if (ips == NULL || cmd_list_right(c, ips))
		cmd_ask_dir(c, VERB_domain_create, &name, 1, on_made);
}
