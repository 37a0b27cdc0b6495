/* account - accounts, their settings, passwords and aliases. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

void cmd_account_list(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0)
		buf_putc(&c->data, '{');
	while (wire_left(&r) > 0 && !r.bad) {
		data_put_string(&c->data, wire_get_bytes(&r, UINT32_MAX));
		buf_puts(&c->data, "=MultiMailbox;");
	}
	if (m->dir_reply.more)
		return;
	buf_putc(&c->data, '}');
	cmd_data(c);
}

/* A size: bytes, or with K, M or G behind the number; "unlimited" is 0. False when it is none. */
static bool size_parse(const struct data *d, struct cmd *c, struct slice *ret)
{
	static const char units[] = "KMG";
	struct buf b = BUF_INIT(24);
	struct slice s = d->text;
	uint64_t v = 0, factor = 1;

	if (d->kind == DATA_STRING && slice_ieq(s, SLICE("unlimited")))
		s = SLICE("0");
	if (s.n > 1 && strchr(units, ascii_upper(s.p[s.n - 1])) != NULL) {
		factor = (uint64_t)1024
			 << (10 * (strchr(units, ascii_upper(s.p[s.n - 1])) - units));
		s.n--;
	}
	if ((d->kind != DATA_STRING && d->kind != DATA_NUMBER) ||
	    slice_u64(s, INT64_MAX / factor, &v) != 0)
		return false;
	buf_putu(&b, v * factor);
	*ret = arena_copy(&c->mem, buf_slice(&b));
	buf_fini(&b);
	return ret->p != NULL;
}

/* ---- CreateAccount ---- */

/* An account whose password was refused is not made. */
static void secret_error(struct cmd *c, const char *text)
{
	cmd_error(c, text);
	if (c->verb->run == run_create_account)
		cmd_undo(c, VERB_account_delete, cmd_text(c, 0));
}

static void on_secret(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	switch (m->secret_done.status) {
	case IPC_AUTH_OK:
		cmd_ok(c);
		break;
	case IPC_AUTH_NOMECH:
		secret_error(c, "the password cannot be stored this way");
		break;
	case IPC_AUTH_SYNTAX:
		secret_error(c, "the given hash starts with {CRYPT}, {SCRAM-SHA-256} or {PLAIN}");
		break;
	case IPC_AUTH_BAD:
		secret_error(c, "the password is wrong");
		break;
	case IPC_AUTH_DISABLED:
		secret_error(c, "you may not do this with the password of this account");
		break;
	default:
		secret_error(c, "the password cannot be worked on now; try again");
	}
}

static void ask_secret(struct cmd *c, struct slice scheme, struct slice password)
{
	struct ipc_secret_set m = { .seq = cmd_next_seq(c),
		.account = c->account,
		.scheme = scheme,
		.password = password };

	if (password.n > 1024 || scheme.n > 32)
		secret_error(c, "the password is too long");
	else
		cmd_ask(c, FRONT_SECRETS, IPC_secret_set, &m, on_secret);
}

enum { CREATE_TYPE = 1, CREATE_LEGACY, CREATE_PATH, CREATE_SETTINGS };

static void on_created(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	const struct data *settings = c->arg[CREATE_SETTINGS];
	const struct data *password = data_get(settings, "Password"),
			  *hash = data_get(settings, "PasswordHash");
	const struct data *method = data_get(settings, "PasswordMethod");
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	slice_u64(wire_get_bytes(&r, 20), UINT64_MAX, &c->account);
	if (hash != NULL)
		ask_secret(c, SLICE("given"), hash->text);
	else if (password != NULL)
		ask_secret(c, method != NULL ? method->text : SLICE_NONE, password->text);
	else
		cmd_ok(c);
}

static bool settings_known(struct cmd *c, const struct data *settings, const char *const *keys)
{
	for (const struct data *d = settings != NULL ? settings->first : NULL; d != NULL;
	     d = d->next) {
		const char *const *k = keys;

		while (*k != NULL && !slice_ieq(d->key, slice_str(*k)))
			k++;
		if (*k == NULL)
			cmd_error(c, "a setting is not known");
		else if (d->kind != DATA_STRING && d->kind != DATA_NUMBER)
			cmd_error(c, "the value of a setting is not a string");
		else
			continue;
		return false;
	}
	return true;
}

void run_create_account(struct cmd *c)
{
	static const char *const keys[] = { "Password", "PasswordHash", "PasswordMethod",
		"MaxAccountSize", NULL };
	const struct data *settings = c->arg[CREATE_SETTINGS],
			  *size = data_get(settings, "MaxAccountSize");
	struct slice args[2] = { cmd_text(c, 0), SLICE("0") };

	if (!settings_known(c, settings, keys))
		return;
	if (c->arg[CREATE_TYPE] != NULL &&
	    !slice_ieq(cmd_text(c, CREATE_TYPE), SLICE("MultiMailbox"))) {
		cmd_error(c, "the type of an account is MultiMailbox");
		return;
	}
	if (c->arg[CREATE_LEGACY] != NULL || c->arg[CREATE_PATH] != NULL) {
		cmd_error(c, "LEGACY and PATH are not possible: where mail lies is not the "
			     "account's choice");
		return;
	}
	if (size != NULL && !size_parse(size, c, &args[1])) {
		cmd_error(c,
		    "MaxAccountSize is a number of bytes, with K, M or G behind it, or unlimited");
		return;
	}
	cmd_ask_dir(c, VERB_account_create, args, 2, on_created);
}

/* ---- looking ---- */

/* One thing that is known of an account: all, those of a list of keys, or the value of one key. */
static void put_info(struct cmd *c, const char *key, struct slice text, bool number)
{
	const struct data *keys = c->arg[1], *one = c->arg[2];
	bool wanted = keys == NULL;

	for (const struct data *k = keys != NULL ? keys->first : NULL; k != NULL; k = k->next)
		wanted |= k->kind == DATA_STRING && slice_ieq(k->text, slice_str(key));
	if (one != NULL && !slice_ieq(one->text, slice_str(key)))
		return;
	if (one == NULL && !wanted)
		return;
	if (one == NULL)
		buf_printf(&c->data, "%s=", key);
	if (number)
		put_digits(&c->data, text);
	else
		data_put_string(&c->data, text);
	if (one == NULL)
		buf_putc(&c->data, ';');
}

/* Items are id, name, state, quota. */
static void on_info(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice id, name, state, quota;

	if (cmd_dir_failed(c, m))
		return;
	id = wire_get_bytes(&r, 400);
	name = wire_get_bytes(&r, 400);
	state = wire_get_bytes(&r, 400);
	quota = wire_get_bytes(&r, 400);
	if (c->arg[2] == NULL)
		buf_putc(&c->data, '{');
	put_info(c, "AccountName", name, false);
	put_info(c, "State", state, false);
	put_info(c, "ID", id, true);
	put_info(
	    c, "MaxAccountSize", slice_eq(quota, SLICE("0")) ? SLICE("unlimited") : quota, false);
	if (c->arg[2] == NULL)
		buf_putc(&c->data, '}');
	if (c->data.n > 0)
		cmd_data(c);
	else
		cmd_error(c, "nothing is known under this key");
}

void run_get_account_info(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	if (c->arg[1] != NULL && c->arg[2] != NULL)
		cmd_usage(c);
	else
		cmd_ask_dir(c, VERB_account_info, &name, 1, on_info);
}

static void on_settings(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice state, quota;

	if (cmd_dir_failed(c, m))
		return;
	wire_get_bytes(&r, 400);
	wire_get_bytes(&r, 400);
	state = wire_get_bytes(&r, 400);
	quota = wire_get_bytes(&r, 400);
	buf_putc(&c->data, '{');
	data_put_pair(&c->data, "Suspended",
	    slice_eq(state, SLICE("suspended")) ? SLICE("YES") : SLICE("NO"));
	data_put_pair(
	    &c->data, "MaxAccountSize", slice_eq(quota, SLICE("0")) ? SLICE("unlimited") : quota);
	buf_putc(&c->data, '}');
	cmd_data(c);
}

void run_get_account_settings(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	cmd_ask_dir(c, VERB_account_info, &name, 1, on_settings);
}

/* ---- changing ---- */

static void update_suspended(struct cmd *c)
{
	const struct data *d = data_get(c->arg[1], "Suspended");
	struct slice name = cmd_text(c, 0);

	if (d == NULL)
		cmd_ok(c);
	else if (slice_ieq(d->text, SLICE("YES")))
		cmd_ask_dir(c, VERB_account_suspend, &name, 1, cmd_dir_done);
	else
		cmd_ask_dir(c, VERB_account_resume, &name, 1, cmd_dir_done);
}

static bool suspended_valid(const struct cmd *c)
{
	const struct data *d = data_get(c->arg[1], "Suspended");

	return d == NULL || slice_ieq(d->text, SLICE("YES")) || slice_ieq(d->text, SLICE("NO"));
}

static void on_size_set(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (!cmd_dir_failed(c, m))
		update_suspended(c);
}

void run_update_account_settings(struct cmd *c)
{
	static const char *const keys[] = { "MaxAccountSize", "Suspended", NULL };
	const struct data *size = data_get(c->arg[1], "MaxAccountSize");
	struct slice args[2] = { cmd_text(c, 0) };

	if (!settings_known(c, c->arg[1], keys))
		return;
	if (!suspended_valid(c)) {
		cmd_error(c, "Suspended is YES or NO");
		return;
	}
	if (size == NULL) {
		update_suspended(c);
		return;
	}
	if (!size_parse(size, c, &args[1]))
		cmd_error(c,
		    "MaxAccountSize is a number of bytes, with K, M or G behind it, or unlimited");
	else
		cmd_ask_dir(c, VERB_account_set_quota, args, 2, on_size_set);
}

/* name [PASSWORD] password [METHOD method] */
static void set_password(struct cmd *c)
{
	ask_secret(c, cmd_text(c, 3), cmd_text(c, 2));
}

void run_set_password(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), set_password);
}

/* The password of who is logged in; the old one opened this connection. */
void run_newpass(struct cmd *c)
{
	c->account = c->a->account;
	if (c->account == 0)
		cmd_error(c,
		    "this login has no password of ours; SetAccountPassword changes an account's");
	else
		ask_secret(c, SLICE_NONE, cmd_text(c, 0));
}

static void verify_password(struct cmd *c)
{
	struct ipc_secret_check m = {
		.seq = cmd_next_seq(c), .account = c->account, .password = cmd_text(c, 1)
	};

	if (m.password.n > 1024)
		cmd_error(c, "the password is too long");
	else
		cmd_ask(c, FRONT_SECRETS, IPC_secret_check, &m, on_secret);
}

void run_verify_password(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), verify_password);
}
