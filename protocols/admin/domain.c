/* domain - a new domain, with its settings and addresses: one change. */
#include "protocols/admin/admin-private.h"

#include <stdio.h>

enum { CREATE_SHARED = 1, CREATE_PATH, CREATE_SETTINGS };

static void create(struct cmd *c, const struct data *ips)
{
	static const char *const no_settings[] = { "IPAddresses", NULL };
	char count[16];
	size_t n = 0;

	for (const struct data *d = ips != NULL ? ips->first : NULL; d != NULL; d = d->next)
		n++;
	snprintf(count, sizeof(count), "%zu", n);
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, slice_str(count));
	if (n > 0)
		cmd_put_value(c, ips);
	cmd_put_settings(c, c->arg[CREATE_SETTINGS], no_settings);
	cmd_send(c, VERB_domain_create, cmd_dir_done);
}

void run_create_domain(struct cmd *c)
{
	const struct data *ips = data_get(c->arg[CREATE_SETTINGS], "IPAddresses");

	if (c->arg[CREATE_SHARED] != NULL || c->arg[CREATE_PATH] != NULL)
		cmd_error(c, "SHARED and PATH are not possible: there is one server and one store");
	else if (ips != NULL && ips->kind != DATA_ARRAY)
		cmd_error(c, "IPAddresses is an array");
	else if (ips == NULL || cmd_list_right(c, ips))
		create(c, ips);
}
