/* domain - domains and their addresses. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

enum { CREATE_SHARED = 1, CREATE_PATH, CREATE_SETTINGS };

static const struct data *settings_ips(struct cmd *c, const struct data *settings)
{
	const struct data *ips = data_get(settings, "IPAddresses");

	for (const struct data *d = settings != NULL ? settings->first : NULL; d != NULL;
	     d = d->next)
		if (d != ips)
			cmd_error(c, "this setting is not known; there is IPAddresses");
	if (ips != NULL && ips->kind != DATA_ARRAY)
		cmd_error(c, "IPAddresses is an array");
	if (ips != NULL && c->status == NULL)
		cmd_list_right(c, ips);
	return ips;
}

static void ask_ips(struct cmd *c, struct slice domain, const struct data *ips, cmd_reply_fn *then)
{
	cmd_put_arg(c, domain);
	cmd_put_value(c, ips);
	cmd_send(c, VERB_domain_set_ips, then);
}

static void on_first_ips(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		cmd_undo(c, VERB_domain_delete, cmd_text(c, 0));
	else
		cmd_ok(c);
}

static void on_domain_made(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	const struct data *ips = data_get(c->arg[CREATE_SETTINGS], "IPAddresses");

	if (cmd_dir_failed(c, m))
		return;
	if (ips == NULL)
		cmd_ok(c);
	else
		ask_ips(c, cmd_text(c, 0), ips, on_first_ips);
	if (ips != NULL && c->status != NULL)
		cmd_undo(c, VERB_domain_delete, cmd_text(c, 0));
}

void run_create_domain(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	settings_ips(c, c->arg[CREATE_SETTINGS]);
	if (c->arg[CREATE_SHARED] != NULL || c->arg[CREATE_PATH] != NULL)
		cmd_error(c, "SHARED and PATH are not possible: there is one server and one store");
	if (c->status == NULL)
		cmd_ask_dir(c, VERB_domain_create, &name, 1, on_domain_made);
}

void cmd_domain_ips(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	bool first = true;

	if (cmd_dir_failed(c, m))
		return;
	buf_puts(&c->data, "{IPAddresses=(");
	while (wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &first, wire_get_bytes(&r, UINT32_MAX));
	buf_puts(&c->data, ");}");
	cmd_data(c);
}

void run_update_domain_settings(struct cmd *c)
{
	const struct data *ips = settings_ips(c, c->arg[1]);

	if (c->status != NULL)
		return;
	if (ips == NULL)
		cmd_ok(c);
	else
		ask_ips(c, cmd_text(c, 0), ips, cmd_dir_done);
}
