/*
 * domain-delete - DeleteDomain, and with FORCE all objects of the domain before it, one after the
 * other: first those that belong to others, so that nothing is in the way of what comes later.
 *
 * routerd says first whether the domain may go at all; what is deleted when it breaks off later
 * stays deleted, and the same command goes on with the rest.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

static const struct {
	uint32_t list, gone;
} kinds[] = {
	{ VERB_list_list, VERB_list_delete }, { VERB_group_list, VERB_group_delete },
	{ VERB_forwarder_list, VERB_forwarder_delete },
	{ VERB_account_list, VERB_account_delete }, /* with its aliases */
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void list_next(struct cmd *c);

/* The names of the kind under way are in c->data, from c->items on. */
static void delete_next(struct cmd *c);

static void on_gone(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (m->dir_reply.status != IPC_DIR_NOTFOUND && m->dir_reply.status != IPC_DIR_OK) {
		buf_reset(&c->data);
		cmd_dir_failed(c, m);
		return;
	}
	delete_next(c);
}

static void delete_next(struct cmd *c)
{
	struct wire_reader r = wire_reader(slice_from(buf_slice(&c->data), c->items));
	struct buf full = BUF_INIT(1000);
	struct slice name;

	if (wire_left(&r) == 0) {
		c->step++;
		list_next(c);
		return;
	}
	name = wire_get_bytes(&r, UINT32_MAX);
	c->items += 4 + name.n;
	buf_printf(&full, "%.*s@%.*s", SLICE_FMT(name), SLICE_FMT(c->kept));
	cmd_put_arg(c, buf_slice(&full));
	buf_fini(&full);
	cmd_send(c, kinds[c->step].gone, on_gone);
}

static void on_listed(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (m->dir_reply.status != IPC_DIR_OK) {
		buf_reset(&c->data);
		cmd_dir_failed(c, m);
		return;
	}
	while (wire_left(&r) > 0 && !r.bad)
		wire_put_bytes(&c->data, wire_get_bytes(&r, UINT32_MAX));
	if (!m->dir_reply.more)
		delete_next(c);
}

static void list_next(struct cmd *c)
{
	buf_reset(&c->data);
	c->items = 0;
	cmd_put_arg(c, c->kept);
	if (c->step < KINDS)
		cmd_send(c, kinds[c->step].list, on_listed);
	else
		cmd_send(c, VERB_domain_delete, cmd_dir_done);
}

static void on_allowed(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		return;
	c->step = 0;
	c->kept = cmd_text(c, 0);
	list_next(c);
}

void run_delete_domain(struct cmd *c)
{
	if (c->arg[1] == NULL) {
		run_dir(c);
		return;
	}
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, SLICE("force"));
	cmd_send(c, VERB_domain_delete, on_allowed);
}
