#include "ctl/ctl.h"

const struct command ctl_commands[] = {
	{ "domain", "list", 0, 0, ctl_domain_list, "", "names of all domains" },
	{ "domain", "create", 1, 1, ctl_domain_create, "NAME", "make a domain" },
	{ "domain", "delete", 1, 1, ctl_domain_delete, "NAME", "delete an empty domain" },
	{ "domain", "aliases", 1, 100, ctl_domain_aliases, "NAME [= [ALIAS...]]",
	    "other names of a domain; with '=' they are set" },
	{ "domain", "addresses", 1, 200, ctl_domain_addresses, "NAME [= [ADDRESS...]]",
	    "local addresses that lead to a domain; with '=' they are set" },
	{ "account", "list", 0, 1, ctl_account_list, "[DOMAIN]", "names of a domain's accounts" },
	{ "account", "create", 1, 2, ctl_account_create, "NAME [QUOTA]",
	    "make an account; QUOTA in bytes, or with K, M, G" },
	{ "account", "delete", 1, 1, ctl_account_delete, "NAME", "delete an account and its mail" },
	{ "account", "info", 1, 1, ctl_account_info, "NAME", "what is known about an account" },
	{ "account", "quota", 2, 2, ctl_account_quota, "NAME BYTES|unlimited",
	    "how much it may store" },
	{ "account", "suspend", 1, 1, ctl_account_suspend, "NAME", "no logins until resumed" },
	{ "account", "resume", 1, 1, ctl_account_resume, "NAME", "logins again" },
	{ "account", "import", 1, 1, ctl_account_import, "FILE|-",
	    "make many: lines NAME or NAME:{CRYPT}hash, NAME:{PLAIN}password" },
	{ "alias", "list", 1, 1, ctl_alias_list, "ACCOUNT", "other names of an account" },
	{ "alias", "set", 1, 200, ctl_alias_set, "ACCOUNT [ALIAS...]", "in place of those it has" },
	{ "password", "set", 1, 2, ctl_password_set, "ACCOUNT [METHOD]",
	    "from standard input; METHOD yescrypt, sha512crypt, bcrypt, scram-sha-256, plain, "
	    "given" },
	{ "password", "check", 1, 1, ctl_password_check, "ACCOUNT", "from standard input" },
	{ "session", "list", 0, 1, ctl_session_list, "[ACCOUNT]", "who is logged in" },
	{ "session", "kick", 1, 1, ctl_session_kick, "ID|ACCOUNT",
	    "end a session, or all of an account" },
	{ "route", "test", 1, 2, ctl_route_test, "ADDRESS [mail|access|signal]",
	    "where an address leads, and every step" },
	{ "route", "login", 2, 3, ctl_route_login, "NAME LOCAL-ADDRESS [DOMAIN]",
	    "where a login name leads, typed at that local address" },
	{ "router", "show", 0, 0, ctl_router_show, "", "the Router's table" },
	{ "router", "set", 1, 1, ctl_router_set, "FILE|-", "a new table in place of the old one" },
	{ "stat", NULL, 0, 1, ctl_stat, "[ACCOUNT]", "figures of the server or of one account" },
	{ "cli", NULL, 0, 0, ctl_cli, "", "the administration protocol itself, line by line" },
};

const size_t ctl_command_count = sizeof(ctl_commands) / sizeof(ctl_commands[0]);

/* ---- lines ---- */

void line_start(struct buf *b, const char *verb)
{
	*b = BUF_INIT(64 << 10);
	buf_puts(b, verb);
}

void line_word(struct buf *b, const char *word)
{
	buf_putc(b, ' ');
	data_put_string(b, slice_str(word));
}

void line_raw(struct buf *b, const char *text)
{
	buf_putc(b, ' ');
	buf_puts(b, text);
}

void line_list(struct buf *b, const struct ctl *c, int first)
{
	bool none = true;

	buf_puts(b, " (");
	for (int i = first; i < c->argc; i++)
		data_put_item(b, &none, slice_str(c->argv[i]));
	buf_putc(b, ')');
}

/* ---- questions with one line ---- */

static int show_word(struct ctl *c, const char *verb)
{
	struct buf b;

	line_start(&b, verb);
	if (c->argc > 0)
		line_word(&b, c->argv[0]);
	return ctl_show(c, &b);
}

static int do_word(struct ctl *c, const char *verb)
{
	struct buf b;

	line_start(&b, verb);
	line_word(&b, c->argv[0]);
	return ctl_do(c, &b);
}

int ctl_domain_list(struct ctl *c)
{
	return show_word(c, "ListDomains");
}

int ctl_domain_create(struct ctl *c)
{
	return do_word(c, "CreateDomain");
}

int ctl_domain_delete(struct ctl *c)
{
	return do_word(c, "DeleteDomain");
}

static bool sets(const struct ctl *c)
{
	return c->argc > 1 && strcmp(c->argv[1], "=") == 0;
}

int ctl_domain_aliases(struct ctl *c)
{
	struct buf b;

	if (c->argc == 1)
		return show_word(c, "GetDomainAliases");
	if (!sets(c))
		return 2;
	line_start(&b, "SetDomainAliases");
	line_word(&b, c->argv[0]);
	line_list(&b, c, 2);
	return ctl_do(c, &b);
}

int ctl_domain_addresses(struct ctl *c)
{
	struct buf b;

	if (c->argc == 1)
		return show_word(c, "GetDomainSettings");
	if (!sets(c))
		return 2;
	line_start(&b, "UpdateDomainSettings");
	line_word(&b, c->argv[0]);
	line_raw(&b, "{IPAddresses=");
	line_list(&b, c, 2);
	line_raw(&b, ";}");
	return ctl_do(c, &b);
}

int ctl_account_create(struct ctl *c)
{
	struct buf b;

	line_start(&b, "CreateAccount");
	line_word(&b, c->argv[0]);
	if (c->argc > 1) {
		line_raw(&b, "{MaxAccountSize=");
		line_word(&b, c->argv[1]);
		line_raw(&b, ";}");
	}
	return ctl_do(c, &b);
}

int ctl_account_delete(struct ctl *c)
{
	return do_word(c, "DeleteAccount");
}

int ctl_account_info(struct ctl *c)
{
	return show_word(c, "GetAccountInfo");
}

static int update_account(struct ctl *c, const char *key, const char *value)
{
	struct buf b;

	line_start(&b, "UpdateAccountSettings");
	line_word(&b, c->argv[0]);
	line_raw(&b, "{");
	line_raw(&b, key);
	line_raw(&b, "=");
	line_word(&b, value);
	line_raw(&b, ";}");
	return ctl_do(c, &b);
}

int ctl_account_quota(struct ctl *c)
{
	return update_account(c, "MaxAccountSize", c->argv[1]);
}

int ctl_account_suspend(struct ctl *c)
{
	return update_account(c, "Suspended", "YES");
}

int ctl_account_resume(struct ctl *c)
{
	return update_account(c, "Suspended", "NO");
}

int ctl_alias_list(struct ctl *c)
{
	return show_word(c, "GetAccountAliases");
}

int ctl_alias_set(struct ctl *c)
{
	struct buf b;

	line_start(&b, "SetAccountAliases");
	line_word(&b, c->argv[0]);
	line_list(&b, c, sets(c) ? 2 : 1);
	return ctl_do(c, &b);
}

int ctl_session_list(struct ctl *c)
{
	static const struct column columns[] = { { "ID", "ID", true },
		{ "ACCOUNT", "Account", false }, { "PROTOCOL", "Protocol", false },
		{ "ADDRESS", "Address", false }, { "SINCE", "Since", true } };
	struct buf b;

	line_start(&b, "ListSessions");
	if (c->argc > 0)
		line_word(&b, c->argv[0]);
	return ctl_show_table(c, &b, columns, sizeof(columns) / sizeof(columns[0]));
}

int ctl_session_kick(struct ctl *c)
{
	uint64_t id;

	if (slice_u64(slice_str(c->argv[0]), UINT64_MAX, &id) == 0)
		return do_word(c, "KillSession");
	return do_word(c, "KillAccountSessions");
}

int ctl_stat(struct ctl *c)
{
	return show_word(c, "ListStat");
}
