/* session - who is logged in, and figures. */
#include "protocols/admin/admin-private.h"

#include "common/base/addr.h"
#include "common/base/wire.h"

static void put_session(struct cmd *c, struct wire_reader *r)
{
	uint64_t sid = wire_get_u64(r), account = wire_get_u64(r), since = wire_get_u64(r);
	struct slice name = wire_get_bytes(r, 1000), service = wire_get_bytes(r, 100),
		     peer = wire_get_bytes(r, 100);
	char text[ADDR_TEXT_MAX];
	struct addr a = { 0 };

	if (r->bad)
		return;
	addr_unpack(peer, &a);
	if (!c->first)
		buf_putc(&c->data, ',');
	c->first = false;
	buf_puts(&c->data, "{ID=#");
	buf_putu(&c->data, sid);
	buf_printf(&c->data, ";SID=\"%llx-%llx\"", (unsigned long long)(sid >> 32),
	    (unsigned long long)(sid & 0xffffffff));
	buf_puts(&c->data, ";AccountID=#");
	buf_putu(&c->data, account);
	buf_puts(&c->data, ";Since=#");
	buf_putu(&c->data, since);
	buf_putc(&c->data, ';');
	data_put_pair(&c->data, "Account", name);
	data_put_pair(&c->data, "Protocol", service);
	data_put_pair(&c->data, "Address", slice_str(addr_ip_text(&a, text)));
	buf_putc(&c->data, '}');
}

static void on_sessions(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r;

	if (type != IPC_sess_rows) {
		cmd_error(c, "the store cannot answer now");
		return;
	}
	if (c->data.n == 0) {
		buf_putc(&c->data, '(');
		c->first = true;
	}
	r = wire_reader(m->sess_rows.rows);
	while (wire_left(&r) > 0 && !r.bad)
		put_session(c, &r);
	if (m->sess_rows.more)
		return;
	buf_putc(&c->data, ')');
	cmd_data(c);
}

static void ask_sessions(struct cmd *c)
{
	struct ipc_sess_list m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_sess_list, &m, on_sessions);
}

void run_list_sessions(struct cmd *c)
{
	if (c->arg[0] != NULL)
		cmd_find_account(c, cmd_text(c, 0), ask_sessions);
	else
		ask_sessions(c);
}

static void on_killed(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (type == IPC_stat_reply && m->stat_reply.status == IPC_ST_NOTFOUND) {
		cmd_error(c, "there is no such session");
		return;
	}
	if (type != IPC_stat_reply || m->stat_reply.status != IPC_ST_OK) {
		cmd_error(c, "the store cannot do this now");
		return;
	}
	data_put_number(&c->data, m->stat_reply.count);
	cmd_data(c);
}

static bool hex_parse(struct slice s, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = ascii_lower(s.p[i]);

		if (!ascii_digit(c) && (c < 'a' || c > 'f'))
			return false;
		*ret = *ret << 4 | (uint64_t)(ascii_digit(c) ? c - '0' : c - 'a' + 10);
	}
	return s.n > 0 && s.n <= 8;
}

/* As a number, or in the log's form: two hexadecimal numbers with '-' between. */
static bool sid_parse(struct slice s, uint64_t *ret)
{
	struct slice low = s, high;
	uint64_t h, l;

	if (s.n > 0 && s.p[0] == '#')
		s = slice_from(s, 1);
	if (slice_find(s, '-') < 0)
		return slice_u64(s, UINT64_MAX, ret) == 0;
	high = slice_take(&low, '-');
	if (!hex_parse(high, &h) || !hex_parse(low, &l))
		return false;
	*ret = h << 32 | l;
	return true;
}

void run_kill_session(struct cmd *c)
{
	struct ipc_sess_kick m = { .seq = cmd_next_seq(c) };

	if (!sid_parse(cmd_text(c, 0), &m.sid) || m.sid == 0)
		cmd_error(c, "a session is named by the ID or SID that ListSessions shows");
	else
		cmd_ask(c, FRONT_STORE, IPC_sess_kick, &m, on_killed);
}

static void kill_account(struct cmd *c)
{
	struct ipc_sess_kick m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_sess_kick, &m, on_killed);
}

void run_kill_account_sessions(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), kill_account);
}

/* ---- figures: lines "name value" of the store, then of the directory ---- */

static void put_stat(struct cmd *c, struct slice line)
{
	struct slice name = slice_take(&line, ' ');

	if (name.n == 0)
		return;
	data_put_string(&c->data, name);
	buf_puts(&c->data, "=#");
	buf_put(&c->data, line);
	buf_putc(&c->data, ';');
}

static void on_dir_stat(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	while (wire_left(&r) > 0 && !r.bad)
		put_stat(c, wire_get_bytes(&r, UINT32_MAX));
	buf_putc(&c->data, '}');
	cmd_data(c);
}

static void on_stat(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct slice text;

	if (type != IPC_stat_reply || m->stat_reply.status != IPC_ST_OK) {
		cmd_error(c, "the store cannot answer now");
		return;
	}
	buf_putc(&c->data, '{');
	text = m->stat_reply.text;
	while (text.n > 0)
		put_stat(c, slice_take(&text, '\n'));
	if (c->account == 0) {
		cmd_ask_dir(c, VERB_stat, NULL, 0, on_dir_stat);
		return;
	}
	buf_putc(&c->data, '}');
	cmd_data(c);
}

static void ask_stat(struct cmd *c)
{
	struct ipc_stat_ask m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_stat_ask, &m, on_stat);
}

void run_list_stat(struct cmd *c)
{
	if (c->arg[0] != NULL)
		cmd_find_account(c, cmd_text(c, 0), ask_stat);
	else
		ask_stat(c);
}
