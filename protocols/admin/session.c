/* session - who is logged in. */
#include "protocols/admin/admin-private.h"

#include "common/base/addr.h"
#include "common/base/wire.h"

#include <stdio.h>

struct row {
	uint64_t sid, account, since;
	struct slice name, service, peer; /* the last as text */
	struct slice client;              /* as its program calls itself */
	const char *transport;            /* NULL: not known, of a connection of nobody's */
	bool proxied;
	char peer_text[ADDR_TEXT_MAX], sid_text[40];
};

static bool next_row(struct wire_reader *r, struct row *ret)
{
	struct slice peer;
	struct addr a = { 0 };
	uint32_t flags;

	if (wire_left(r) == 0)
		return false;
	ret->sid = wire_get_u64(r);
	ret->account = wire_get_u64(r);
	ret->since = wire_get_u64(r);
	ret->name = wire_get_bytes(r, 1000);
	ret->service = wire_get_bytes(r, 100);
	peer = wire_get_bytes(r, 100);
	flags = wire_get_u32(r);
	ret->client = wire_get_bytes(r, 100);
	ret->proxied = (flags & IPC_CONN_PROXIED) != 0;
	ret->transport = (flags & IPC_CONN_TLS) != 0 ? "tls" : "plain";
	if (ret->account == 0 || slice_eq(ret->service, SLICE("ctl")))
		ret->transport = NULL;
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
	if (row->proxied)
		data_put_pair(&c->data, "Proxied", SLICE("YES"));
	if (row->transport != NULL)
		data_put_pair(&c->data, "Transport", slice_str(row->transport));
	if (row->client.n > 0)
		data_put_pair(&c->data, "Client", row->client);
	buf_putc(&c->data, '}');
}

/*
 * Rows come from stored, which has the sessions, then from routerd, which has the connections that
 * send mail and those by PWD. What a command does with a row, and at the end, goes by its verb.
 */
static void on_row(struct cmd *c, const struct row *row);
static void rows_end(struct cmd *c);

/* Each item is a row. Whoever may not see them sees none. */
static void on_conns(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader items = wire_reader(m->dir_reply.data);
	struct row row;

	if (m->dir_reply.status == IPC_DIR_TRYLATER) {
		cmd_dir_failed(c, m);
		return;
	}
	while (m->dir_reply.status == IPC_DIR_OK && wire_left(&items) > 0 && !items.bad) {
		struct wire_reader r = wire_reader(wire_get_bytes(&items, UINT32_MAX));

		if (next_row(&r, &row))
			on_row(c, &row);
	}
	if (!m->dir_reply.more)
		rows_end(c);
}

static void on_rows(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r;
	struct row row;
	char account[24];

	if (type != IPC_sess_rows) {
		cmd_error(c, "the store cannot answer now");
		return;
	}
	r = wire_reader(m->sess_rows.rows);
	while (next_row(&r, &row))
		on_row(c, &row);
	if (m->sess_rows.more)
		return;
	snprintf(account, sizeof(account), "%llu", (unsigned long long)c->account);
	cmd_put_arg(c, slice_str(account));
	cmd_send(c, VERB_conn_list, on_conns);
}

static void ask_rows(struct cmd *c)
{
	struct ipc_sess_list m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_sess_list, &m, on_rows);
}

static void ask_of_account(struct cmd *c)
{
	if (c->verb->run == run_list_sessions) {
		buf_putc(&c->data, '(');
		c->first = true;
	}
	ask_rows(c);
}

void run_list_sessions(struct cmd *c)
{
	if (c->arg[0] != NULL)
		cmd_find_account(c, cmd_text(c, 0), ask_of_account);
	else
		ask_of_account(c);
}

void run_find_session(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), ask_of_account);
}

/* ---- one session ---- */

/* FOR: the address for which a proxy says that it connects. */
static bool is_wanted(const struct cmd *c, const struct row *row)
{
	struct slice found[] = { row->name, row->peer, row->proxied ? row->peer : SLICE_NONE,
		row->service, row->transport != NULL ? slice_str(row->transport) : SLICE_NONE,
		row->client };

	for (size_t i = 1; i < sizeof(found) / sizeof(found[0]); i++)
		if (c->arg[i] != NULL && !slice_ieq(cmd_text(c, i), found[i]))
			return false;
	return true;
}

/* GetSession, and KillSession with a DOMAIN: the session of this number, if it is of that domain.
 */
static bool is_named(const struct cmd *c, const struct row *row)
{
	ptrdiff_t at = slice_rfind(row->name, '@');

	if (row->sid != c->sid)
		return false;
	return c->arg[1] == NULL ||
	       (at >= 0 && slice_ieq(cmd_text(c, 1), slice_from(row->name, (size_t)at + 1)));
}

static void on_row(struct cmd *c, const struct row *row)
{
	if (c->verb->run == run_list_sessions) {
		put_session(c, row);
	} else if (c->data.n == 0 && c->verb->run == run_find_session) {
		if (is_wanted(c, row))
			data_put_string(&c->data, slice_str(row->sid_text));
	} else if (c->data.n == 0 && is_named(c, row)) {
		c->first = true;
		put_session(c, row);
	}
}

static void kick(struct cmd *c);

static void rows_end(struct cmd *c)
{
	bool kill = c->verb->run == run_kill_session;

	if (c->verb->run == run_list_sessions)
		buf_putc(&c->data, ')');
	if (c->data.n > 0 && kill) {
		buf_reset(&c->data);
		c->account = 0; /* by its number alone */
		kick(c);
	} else if (c->data.n > 0) {
		cmd_data(c);
	} else if ((kill || c->verb->run == run_get_session) && c->account != c->a->account) {
		/* Who may not see those of all sees its own ones. */
		c->account = c->a->account;
		ask_rows(c);
	} else {
		cmd_error(c, "there is no such session");
	}
}

/* `items`: connections that routerd ended. */
static void on_killed(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	uint32_t status = type == IPC_stat_reply ? m->stat_reply.status : IPC_ST_TRYLATER;

	if (status == IPC_ST_OK || (status == IPC_ST_NOTFOUND && c->items > 0))
		data_put_number(&c->data, c->items + m->stat_reply.count);
	else if (status == IPC_ST_NOTFOUND || (status == IPC_ST_DENIED && c->sid != 0))
		cmd_error(c, "there is no such session");
	else if (status == IPC_ST_DENIED)
		cmd_error(c, "this needs a right that you do not have");
	else
		cmd_error(c, "the store cannot do this now");
	if (c->status == NULL)
		cmd_data(c);
}

static void ask_kick(struct cmd *c)
{
	struct ipc_sess_kick m = { .seq = cmd_next_seq(c), .sid = c->sid, .account = c->account };

	cmd_ask(c, FRONT_STORE, IPC_sess_kick, &m, on_killed);
}

/* One that routerd knows is none of stored's; an account may have both kinds. */
static void on_conn_kick(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	uint64_t n = 0;

	if (m->dir_reply.status == IPC_DIR_OK)
		slice_u64(wire_get_bytes(&r, 20), UINT32_MAX, &n);
	c->items = n;
	if (c->sid == 0 || n == 0) {
		ask_kick(c);
		return;
	}
	data_put_number(&c->data, n);
	cmd_data(c);
}

static void kick(struct cmd *c)
{
	char sid[24], account[24];

	snprintf(sid, sizeof(sid), "%llu", (unsigned long long)c->sid);
	snprintf(account, sizeof(account), "%llu", (unsigned long long)c->account);
	cmd_put_arg(c, slice_str(sid));
	cmd_put_arg(c, slice_str(account));
	cmd_send(c, VERB_conn_kick, on_conn_kick);
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

void run_get_session(struct cmd *c)
{
	if (take_sid(c))
		ask_rows(c);
}

void run_kill_session(struct cmd *c)
{
	if (!take_sid(c))
		return;
	if (c->arg[1] != NULL)
		ask_rows(c);
	else
		kick(c);
}

void run_kill_account_sessions(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), kick);
}
