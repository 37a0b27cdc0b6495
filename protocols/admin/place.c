/*
 * place - where an account or a domain is kept: the folder of the data directory and the number
 * under which its database has it, since nothing on the disk goes by names.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

#include <stdio.h>

static void put_location(struct cmd *c, const char *folder, uint64_t number)
{
	char text[48];

	snprintf(text, sizeof(text), "%s:%llu", folder, (unsigned long long)number);
	data_put_string(&c->data, slice_str(text));
	cmd_data(c);
}

static void account_location(struct cmd *c)
{
	put_location(c, "store", c->account);
}

void run_account_location(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), account_location);
}

/* The first item is its number. */
void cmd_domain_location(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	uint64_t number = 0;

	if (cmd_dir_failed(c, m))
		return;
	slice_u64(wire_get_bytes(&r, 20), UINT64_MAX, &number);
	put_location(c, "directory", number);
}
