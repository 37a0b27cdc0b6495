/*
 * undelete - messages that were deleted and can be restored: listed, counted, restored, purged, and
 * kept while an account is on hold.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

/* ---- the question: account [{Mailbox=...; MailboxID=...; UID=...; Since=...; Until=...;}] ---- */

/* #number, or digits. */
static bool number(const struct data *d, uint64_t *ret)
{
	struct slice s = d->text;

	if (d->kind != DATA_NUMBER && d->kind != DATA_STRING)
		return false;
	if (s.n > 0 && s.p[0] == '#')
		s = slice_from(s, 1);
	return slice_u64(s, INT64_MAX, ret) == 0;
}

static bool number_of(const struct data *dict, const char *key, uint64_t *ret)
{
	const struct data *d = data_get(dict, key);

	return d == NULL || number(d, ret);
}

static bool known(const struct data *dict)
{
	static const char *const keys[] = { "Mailbox", "MailboxID", "UID", "Since", "Until",
		"Limit" };

	for (const struct data *d = dict->first; d != NULL; d = d->next) {
		bool any = false;

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			any |= slice_ieq(d->key, slice_str(keys[i]));
		if (!any)
			return false;
	}
	return true;
}

/* What the dictionary picks; false when it is none of these. */
static bool pick(const struct data *dict, struct ipc_undelete_ask *m, uint8_t pair[8])
{
	const struct data *name = data_get(dict, "Mailbox");
	uint64_t since = 0, until = INT64_MAX, limit = 0, uid = 0;

	if (!known(dict) || !number_of(dict, "MailboxID", &m->mbox) ||
	    !number_of(dict, "Since", &since) || !number_of(dict, "Until", &until) ||
	    !number_of(dict, "Limit", &limit) || !number_of(dict, "UID", &uid))
		return false;
	if (uid >= UINT32_MAX || limit > UINT32_MAX)
		return false;
	if (name != NULL && name->kind != DATA_STRING)
		return false;
	if (name != NULL)
		m->name = name->text;
	if (uid != 0) {
		wire_store_u32(pair, (uint32_t)uid);
		wire_store_u32(pair + 4, (uint32_t)uid);
		m->uids = slice_of(pair, 8);
	}
	m->since = (int64_t)since;
	m->until = (int64_t)until;
	m->limit = (uint32_t)limit;
	return true;
}

static void ask(struct cmd *c, uint32_t what, cmd_reply_fn *then)
{
	struct ipc_undelete_ask m = {
		.seq = cmd_next_seq(c), .what = what, .account = c->account, .until = INT64_MAX
	};
	uint8_t pair[8];

	if (c->arg[1] != NULL && c->arg[1]->kind == DATA_DICT && !pick(c->arg[1], &m, pair))
		cmd_error(c, "picks are {Mailbox=; MailboxID=; UID=; Since=; Until=; Limit=;}");
	else
		cmd_ask(c, FRONT_STORE, IPC_undelete_ask, &m, then);
}

/* ---- the answer ---- */

/* False when it was no answer but an error. */
static bool done(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	static const char *const why[] = { [IPC_ST_NOTFOUND] = "the store has no such account",
		[IPC_ST_DENIED] = "you may not do this to that account",
		[IPC_ST_OVERQUOTA] = "there is no room in the account's quota for all of them",
		[IPC_ST_FULL] = "the disk is full",
		[IPC_ST_LIMIT] = "these are more than may be restored in one day without an "
				 "administrator" };
	uint32_t status = type == IPC_undelete_done ? m->undelete_done.status : IPC_ST_TRYLATER;

	if (status == IPC_ST_OK)
		return true;
	if (status == IPC_ST_DENIED && m->undelete_done.hold) {
		cmd_error(c, "the account is on hold: nothing of it is purged");
		return false;
	}
	if (status < sizeof(why) / sizeof(why[0]) && why[status] != NULL)
		cmd_error(c, why[status]);
	else
		cmd_error(c, "the store cannot do this now");
	return false;
}

static void put_figures(struct cmd *c, const struct ipc_undelete_done *d)
{
	buf_puts(&c->data, "{Messages=#");
	buf_putu(&c->data, d->count);
	buf_puts(&c->data, ";Bytes=#");
	buf_putu(&c->data, d->bytes);
	buf_printf(&c->data, ";Hold=%s;Period=#", d->hold ? "YES" : "NO");
	buf_putu(&c->data, d->period);
	buf_puts(&c->data, ";}");
	cmd_data(c);
}

static void on_figures(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (done(c, type, m))
		put_figures(c, &m->undelete_done);
}

static void put_flags(struct cmd *c, uint32_t flags)
{
	static const char *const names[] = { "Seen", "Answered", "Flagged", "Deleted", "Draft" };
	bool first = true;

	buf_puts(&c->data, "Flags=\"");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((flags >> i & 1) == 0)
			continue;
		buf_puts(&c->data, first ? "" : " ");
		buf_puts(&c->data, names[i]);
		first = false;
	}
	buf_puts(&c->data, "\";");
}

static void put_row(struct cmd *c, const struct ipc_undelete_rows *m, const uint8_t *p)
{
	if (!c->first)
		buf_putc(&c->data, ',');
	c->first = false;
	buf_putc(&c->data, '{');
	data_put_pair(&c->data, "Mailbox", m->name);
	buf_puts(&c->data, "MailboxID=#");
	buf_putu(&c->data, m->mbox);
	if (m->deleted != 0) {
		buf_puts(&c->data, ";MailboxDeleted=#");
		buf_putu(&c->data, (uint64_t)m->deleted);
	}
	buf_puts(&c->data, ";UID=#");
	buf_putu(&c->data, wire_load_u32(p));
	buf_puts(&c->data, ";Size=#");
	buf_putu(&c->data, wire_load_u64(p + 8));
	buf_puts(&c->data, ";Date=#");
	buf_printf(&c->data, "%lld", (long long)wire_load_u64(p + 16));
	buf_puts(&c->data, ";Expunged=#");
	buf_printf(&c->data, "%lld", (long long)wire_load_u64(p + 24));
	buf_puts(&c->data, ";EmailID=E");
	buf_putu(&c->data, wire_load_u64(p + 32));
	buf_putc(&c->data, ';');
	put_flags(c, wire_load_u32(p + 4));
	buf_putc(&c->data, '}');
}

static void on_rows(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	const struct ipc_undelete_rows *r = &m->undelete_rows;

	if (c->data.n == 0) {
		buf_putc(&c->data, '(');
		c->first = true;
	}
	for (size_t i = 0; type == IPC_undelete_rows && i + IPC_LOST_BYTES <= r->rows.n;
	     i += IPC_LOST_BYTES)
		put_row(c, r, r->rows.p + i);
	if (type == IPC_undelete_rows)
		return;
	if (done(c, type, m)) {
		buf_putc(&c->data, ')');
		cmd_data(c);
	}
}

/* ---- the verbs ---- */

static void ask_list(struct cmd *c)
{
	ask(c, IPC_LOST_LIST, on_rows);
}

void run_list_recoverable(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), ask_list);
}

static void ask_count(struct cmd *c)
{
	ask(c, IPC_LOST_COUNT, on_figures);
}

void run_count_recoverable(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), ask_count);
}

static void ask_restore(struct cmd *c)
{
	ask(c, IPC_LOST_RESTORE, on_figures);
}

void run_restore_messages(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), ask_restore);
}

static void ask_purge(struct cmd *c)
{
	ask(c, IPC_LOST_PURGE, on_figures);
}

/* Whole runs of deletions go, the oldest first: neither one message nor those after a moment. */
void run_purge_messages(struct cmd *c)
{
	const struct data *d = c->arg[1];

	if (d != NULL && (data_get(d, "UID") != NULL || data_get(d, "MailboxID") != NULL ||
			     data_get(d, "Since") != NULL))
		cmd_error(c, "what is purged is picked by Mailbox and Until alone");
	else
		cmd_find_account(c, cmd_text(c, 0), ask_purge);
}

static void ask_hold(struct cmd *c)
{
	bool on = slice_ieq(cmd_text(c, 1), SLICE("YES"));

	ask(c, on ? IPC_LOST_HOLD : IPC_LOST_RELEASE, on_figures);
}

void run_set_hold(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), ask_hold);
}
