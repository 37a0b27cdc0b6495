/* session - who is logged in. */
#include "protocols/admin/admin-private.h"

#include "common/base/addr.h"
#include "common/base/wire.h"

#include <stdio.h>

struct row {
	uint64_t sid, account, since;
	struct slice name, service, peer; /* the last as text */
	char peer_text[ADDR_TEXT_MAX], sid_text[40];
};

static bool next_row(struct wire_reader *r, struct row *ret)
{
	struct slice peer;
	struct addr a = { 0 };

	if (wire_left(r) == 0)
		return false;
	ret->sid = wire_get_u64(r);
	ret->account = wire_get_u64(r);
	ret->since = wire_get_u64(r);
	ret->name = wire_get_bytes(r, 1000);
	ret->service = wire_get_bytes(r, 100);
	peer = wire_get_bytes(r, 100);
	addr_unpack(peer, &a);
	ret->peer = slice_str(addr_ip_text(&a, ret->peer_text));
	snprintf(ret->sid_text, sizeof(ret->sid_text), "%llx-%llx",
	    (unsigned long long)(ret->sid >> 32), (unsigned long long)(ret->sid & 0xffffffff));
	return !r->bad;
}

static void put_session(struct cmd *c, const struct row *row)
{
	if (!c->first)
		buf_putc(&c->data, ',');
	c->first = false;
	buf_puts(&c->data, "{ID=#");
	buf_putu(&c->data, row->sid);
	buf_printf(&c->data, ";SID=\"%s\"", row->sid_text);
	buf_puts(&c->data, ";AccountID=#");
	buf_putu(&c->data, row->account);
	buf_puts(&c->data, ";Since=#");
	buf_putu(&c->data, row->since);
	buf_putc(&c->data, ';');
	data_put_pair(&c->data, "Account", row->name);
	data_put_pair(&c->data, "Protocol", row->service);
	data_put_pair(&c->data, "Address", row->peer);
	buf_putc(&c->data, '}');
}

/* True with a reader of the rows; what else came has been answered. */
static bool rows_came(
    struct cmd *c, enum ipc_type type, const union ipc_any *m, struct wire_reader *ret)
{
	if (type != IPC_sess_rows) {
		cmd_error(c, "the store cannot answer now");
		return false;
	}
	*ret = wire_reader(m->sess_rows.rows);
	return true;
}

static void on_sessions(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r;
	struct row row;

	if (!rows_came(c, type, m, &r))
		return;
	if (c->data.n == 0) {
		buf_putc(&c->data, '(');
		c->first = true;
	}
	while (next_row(&r, &row))
		put_session(c, &row);
	if (m->sess_rows.more)
		return;
	buf_putc(&c->data, ')');
	cmd_data(c);
}

static void ask_rows(struct cmd *c, cmd_reply_fn *then)
{
	struct ipc_sess_list m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_sess_list, &m, then);
}

static void ask_sessions(struct cmd *c)
{
	ask_rows(c, on_sessions);
}

void run_list_sessions(struct cmd *c)
{
	if (c->arg[0] != NULL)
		cmd_find_account(c, cmd_text(c, 0), ask_sessions);
	else
		ask_sessions(c);
}

/* ---- one session ---- */

static bool is_wanted(const struct cmd *c, const struct row *row)
{
	return (c->arg[1] == NULL || slice_ieq(cmd_text(c, 1), row->peer)) &&
	       (c->arg[3] == NULL || slice_ieq(cmd_text(c, 3), row->service));
}

static void one_came(struct cmd *c, const union ipc_any *m)
{
	if (m->sess_rows.more)
		return;
	if (c->data.n > 0)
		cmd_data(c);
	else
		cmd_error(c, "there is no such session");
}

static void on_find(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r;
	struct row row;

	if (!rows_came(c, type, m, &r))
		return;
	while (c->data.n == 0 && next_row(&r, &row))
		if (is_wanted(c, &row))
			data_put_string(&c->data, slice_str(row.sid_text));
	one_came(c, m);
}

static void ask_find(struct cmd *c)
{
	ask_rows(c, on_find);
}

void run_find_session(struct cmd *c)
{
	if (c->arg[2] != NULL || c->arg[4] != NULL || c->arg[5] != NULL)
		cmd_error(c,
		    "sessions are known by ADDRESS and PROTOCOL, not by FOR, TRANSPORT and CLIENT");
	else
		cmd_find_account(c, cmd_text(c, 0), ask_find);
}

static void on_get(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r;
	struct row row;

	if (!rows_came(c, type, m, &r))
		return;
	c->first = true;
	while (c->data.n == 0 && next_row(&r, &row))
		if (row.sid == c->sid)
			put_session(c, &row);
	if (c->data.n == 0 && !m->sess_rows.more && c->account != c->a->account) {
		c->account = c->a->account;
		ask_rows(c, on_get);
		return;
	}
	one_came(c, m);
}

static void on_killed(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (type == IPC_stat_reply && m->stat_reply.status == IPC_ST_NOTFOUND) {
		cmd_error(c, "there is no such session");
		return;
	}
	if (type == IPC_stat_reply && m->stat_reply.status == IPC_ST_DENIED) {
		cmd_error(c, c->sid != 0 ? "there is no such session"
					 : "this needs a right that you do not have");
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

/* The session that is named; false: answered. */
static bool take_sid(struct cmd *c)
{
	if (sid_parse(cmd_text(c, 0), &c->sid) && c->sid != 0)
		return true;
	cmd_error(c, "a session is named by the ID or SID that ListSessions shows");
	return false;
}

/* Who may not see those of all sees its own ones. */
void run_get_session(struct cmd *c)
{
	if (take_sid(c))
		ask_rows(c, on_get);
}

void run_kill_session(struct cmd *c)
{
	struct ipc_sess_kick m = { .seq = cmd_next_seq(c) };

	if (!take_sid(c))
		return;
	m.sid = c->sid;
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
