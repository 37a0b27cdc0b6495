/* account - accounts, their settings, passwords, aliases and lists. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

/* Items are names: a dictionary in which each has this value. */
static void put_names(struct cmd *c, const union ipc_any *m, const char *value)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0)
		buf_putc(&c->data, '{');
	while (wire_left(&r) > 0 && !r.bad) {
		data_put_string(&c->data, wire_get_bytes(&r, UINT32_MAX));
		buf_printf(&c->data, "=%s;", value);
	}
	if (m->dir_reply.more)
		return;
	buf_putc(&c->data, '}');
	cmd_data(c);
}

void cmd_account_list(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	put_names(c, m, "MultiMailbox");
}

/* Mailing lists are names until there are lists: nobody subscribes. */
void cmd_lists(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	put_names(c, m, "#0");
}

/* ---- secrets ---- */

static void on_secret(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	switch (m->secret_done.status) {
	case IPC_AUTH_OK:
		cmd_ok(c);
		break;
	case IPC_AUTH_NOMECH:
		cmd_error(c, "the password cannot be stored this way");
		break;
	case IPC_AUTH_SYNTAX:
		cmd_error(c, "the given hash starts with {CRYPT}, {SCRAM-SHA-256} or {PLAIN}");
		break;
	case IPC_AUTH_BAD:
		cmd_error(c, "the password is wrong");
		break;
	case IPC_AUTH_LIMIT:
		cmd_error(c, "the account has as many tagged passwords as it may have");
		break;
	case IPC_AUTH_DISABLED:
		cmd_error(c, "you may not do this with the password of this account");
		break;
	default:
		cmd_error(c, "the password cannot be worked on now; try again");
	}
}

static void ask_tagged(struct cmd *c, struct slice scheme, struct slice tag, struct slice password)
{
	struct ipc_secret_set m = { .seq = cmd_next_seq(c),
		.account = c->account,
		.scheme = scheme,
		.tag = tag,
		.password = password };

	if (password.n > 1024 || scheme.n > 32)
		cmd_error(c, "the password is too long");
	else if (tag.n > 32)
		cmd_error(c, "a tag has letters, digits, '-', '_' and '.', at most 32");
	else
		cmd_ask(c, FRONT_SECRETS, IPC_secret_set, &m, on_secret);
}

static void ask_secret(struct cmd *c, struct slice scheme, struct slice password)
{
	ask_tagged(c, scheme, SLICE_NONE, password);
}

/* ---- CreateAccount ---- */

enum { CREATE_TYPE = 1, CREATE_LEGACY, CREATE_PATH, CREATE_SETTINGS };

/* What is not a setting in the settings of a new account. */
static const char *const secret_keys[] = { "Password", "PasswordHash", "PasswordMethod", NULL };

/* With its settings and its secret it is one change: routerd makes it, and has authd take the
 * secret that is brought under the same number. */
static void on_created(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct ipc_secret_forget forget = { .seq = c->seq };

	/* One before it may be what is under way with this name. */
	c->again = m->dir_reply.status == IPC_DIR_TRYLATER;
	if (!cmd_dir_failed(c, m))
		cmd_ok(c);
	else if (c->items > 0)
		front_send(c->a->port, FRONT_SECRETS, IPC_secret_forget, &forget);
}

/* Empty: none. */
static struct slice first_secret(const struct cmd *c, struct slice *ret_scheme)
{
	const struct data *settings = c->arg[CREATE_SETTINGS];
	const struct data *password = data_get(settings, "Password"),
			  *hash = data_get(settings, "PasswordHash");
	const struct data *method = data_get(settings, "PasswordMethod");

	*ret_scheme = SLICE("given");
	if (hash != NULL)
		return hash->text;
	*ret_scheme = method != NULL ? method->text : SLICE_NONE;
	return password != NULL ? password->text : SLICE_NONE;
}

static void create(struct cmd *c)
{
	struct ipc_secret_new m = { .seq = cmd_next_seq(c) };

	m.password = first_secret(c, &m.scheme);
	if (m.password.n > 1024 || m.scheme.n > 32) {
		cmd_error(c, "the password is too long");
		return;
	}
	cmd_put_arg(c, cmd_text(c, 0));
	cmd_put_arg(c, m.password.n > 0 ? SLICE("secret") : SLICE_NONE);
	cmd_put_settings(c, c->arg[CREATE_SETTINGS], secret_keys);
	c->items = m.password.n > 0;
	if (c->items > 0 && !c->ask.overflow &&
	    front_send(c->a->port, FRONT_SECRETS, IPC_secret_new, &m) != 0)
		cmd_error(c, "a server is away; try again");
	else
		cmd_send_as(c, m.seq, VERB_account_create, on_created);
}

static bool secret_right(struct cmd *c)
{
	for (const char *const *k = secret_keys; *k != NULL; k++) {
		const struct data *d = data_get(c->arg[CREATE_SETTINGS], *k);

		if (d == NULL || d->kind == DATA_STRING)
			continue;
		cmd_error(c, "a password, its hash and its method are strings");
		return false;
	}
	return true;
}

void run_create_account(struct cmd *c)
{
	if (!secret_right(c))
		return;
	if (c->arg[CREATE_TYPE] != NULL &&
	    !slice_ieq(cmd_text(c, CREATE_TYPE), SLICE("MultiMailbox"))) {
		cmd_error(c, "the type of an account is MultiMailbox");
		return;
	}
	if (c->arg[CREATE_LEGACY] != NULL || c->arg[CREATE_PATH] != NULL) {
		cmd_error(c,
		    "LEGACY and PATH are not possible: where mail lies is not the account's "
		    "choice");
		return;
	}
	create(c);
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
	else if (c->arg[1] == NULL || cmd_list_right(c, c->arg[1]))
		cmd_ask_dir(c, VERB_account_info, &name, 1, on_info);
}

/* ---- changing ---- */

/* name [PASSWORD] password [METHOD method] [TAG tag] [CHECK] [ALL] */
enum { SET_PASSWORD = 2, SET_METHOD, SET_TAG, SET_CHECK, SET_ALL };

static bool tag_right(struct slice tag)
{
	for (size_t i = 0; i < tag.n; i++) {
		uint8_t ch = ascii_lower(tag.p[i]);

		if ((ch < 'a' || ch > 'z') && !ascii_digit(ch) && ch != '-' && ch != '_' &&
		    ch != '.')
			return false;
	}
	return true;
}

static void set_password(struct cmd *c)
{
	struct slice tag = c->arg[SET_ALL] != NULL ? SLICE("*") : cmd_text(c, SET_TAG);

	ask_tagged(c, cmd_text(c, SET_METHOD), tag, cmd_text(c, SET_PASSWORD));
}

static bool has_part(struct slice s, struct slice part)
{
	for (size_t i = 0; i + part.n <= s.n; i++)
		if (slice_ieq(slice_part(s, i, part.n), part))
			return true;
	return false;
}

/* What is wrong with it as a password of people's, or NULL. Length is what counts; rules about
 * kinds of characters make passwords worse. */
static const char *weak(struct slice password, struct slice name)
{
	struct slice local = slice_take(&name, '@');
	size_t same = 0;

	if (password.n < CHECKED_PASSWORD_MIN)
		return "the password has less than 8 characters";
	while (same < password.n && password.p[same] == password.p[0])
		same++;
	if (same == password.n)
		return "the password is one character again and again";
	if (local.n >= 3 && has_part(password, local))
		return "the account's name is in the password";
	return NULL;
}

/* Items are id and name. */
static void on_named(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	const char *why;

	if (cmd_dir_failed(c, m))
		return;
	slice_u64(wire_get_bytes(&r, 20), UINT64_MAX, &c->account);
	why = weak(cmd_text(c, SET_PASSWORD), wire_get_bytes(&r, 400));
	if (why != NULL)
		cmd_error(c, why);
	else
		set_password(c);
}

void run_set_password(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	if (c->arg[SET_TAG] != NULL && (c->arg[SET_METHOD] != NULL || c->arg[SET_ALL] != NULL))
		cmd_usage(c);
	else if (!tag_right(cmd_text(c, SET_TAG)))
		cmd_error(c, "a tag has letters, digits, '-', '_' and '.', at most 32");
	else if (c->arg[SET_CHECK] != NULL)
		cmd_ask_dir(c, VERB_account_info, &name, 1, on_named);
	else
		cmd_find_account(c, name, set_password);
}

static void on_tags(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->secret_done.tags);
	bool first = true;

	if (m->secret_done.status != IPC_AUTH_OK) {
		on_secret(c, type, m);
		return;
	}
	buf_putc(&c->data, '(');
	while (wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &first, wire_get_bytes(&r, UINT32_MAX));
	buf_putc(&c->data, ')');
	cmd_data(c);
}

static void list_passwords(struct cmd *c)
{
	struct ipc_secret_tags m = { .seq = cmd_next_seq(c), .account = c->account };

	cmd_ask(c, FRONT_SECRETS, IPC_secret_tags, &m, on_tags);
}

void run_list_passwords(struct cmd *c)
{
	cmd_find_account(c, cmd_text(c, 0), list_passwords);
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
