/*
 * open - a session of the administrator's on an account: its channel goes to the client, and no
 * mail ever passes here.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

/* The client waits with its next command until this one is answered, so one descriptor at most is
 * on its way. */
static void on_opened(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	uint32_t status = type == IPC_stat_reply ? m->stat_reply.status : IPC_ST_OK;

	if (type == IPC_sess_opened) {
		buf_putc(&c->data, '{');
		buf_puts(&c->data, "AccountID=#");
		buf_putu(&c->data, c->account);
		buf_putc(&c->data, ';');
		data_put_pair(&c->data, "Account", c->kept);
		buf_putc(&c->data, '}');
		c->passes = true;
		cmd_data(c);
	} else if (status == IPC_ST_DENIED) {
		cmd_error(c, "you may not open the mail of accounts");
	} else if (status == IPC_ST_NOTFOUND) {
		cmd_error(c, "there is no such account in the store");
	} else {
		cmd_error(c, "the store cannot do this now; try again");
	}
}

/* routerd: id, name@domain, state, quota in bytes. */
static void on_account(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct ipc_sess_open ask = { 0 };
	struct slice id, name, quota;

	if (cmd_dir_failed(c, m))
		return;
	id = wire_get_bytes(&r, 20);
	name = wire_get_bytes(&r, 400);
	wire_get_bytes(&r, UINT32_MAX);
	quota = wire_get_bytes(&r, 20);
	c->kept = arena_copy(&c->mem, name);
	if (r.bad || c->kept.p == NULL || slice_u64(id, UINT64_MAX, &c->account) != 0 ||
	    slice_u64(quota, UINT64_MAX, &ask.quota) != 0) {
		cmd_error(c, "the directory's answer cannot be used");
		return;
	}
	ask.seq = cmd_next_seq(c);
	ask.account = c->account;
	ask.name = c->kept;
	cmd_ask(c, FRONT_STORE, IPC_sess_open, &ask, on_opened);
}

void run_open_session(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	/* A descriptor goes nowhere but to a program of this machine. */
	if (c->a->port->facts->peer.family != 1)
		cmd_error(c, "only over the administration socket of this machine");
	else
		cmd_ask_dir(c, VERB_account_info, &name, 1, on_account);
}
