/* verbs - the commands that are one line of the protocol. */
#include "ctl/ctl.h"

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

void line_value(struct buf *b, const char *keyword, const char *value)
{
	line_raw(b, keyword);
	buf_putc(b, ' ');
	data_put_quoted(b, slice_str(value));
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

int ctl_domain_list(struct ctl *c)
{
	return show_word(c, "ListDomains");
}

int ctl_domain_main(struct ctl *c)
{
	return show_word(c, "MainDomainName");
}

int ctl_version(struct ctl *c)
{
	return show_word(c, "GetVersion");
}

int ctl_domain_create(struct ctl *c)
{
	struct buf b;

	line_start(&b, "CreateDomain");
	line_word(&b, c->argv[0]);
	return c->argc > 1 ? line_settings(c, &b, 1) : ctl_do(c, &b);
}

int ctl_domain_delete(struct ctl *c)
{
	struct buf b;

	line_start(&b, "DeleteDomain");
	line_word(&b, c->argv[0]);
	if (ctl_opt(c, "force") != NULL)
		line_raw(&b, "FORCE");
	return ctl_do(c, &b);
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

static int show_addresses(struct ctl *c)
{
	static const struct data none = { .kind = DATA_ARRAY };
	const struct data *ips;
	struct reply r;
	struct buf b;
	int status;

	line_start(&b, "GetDomainSettings");
	line_word(&b, c->argv[0]);
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	ips = data_get(r.data, "IPAddresses");
	if (c->json)
		print_json(ips != NULL ? ips : &none);
	else
		print_plain(ips != NULL ? ips : &none);
	return CTL_DONE;
}

int ctl_domain_addresses(struct ctl *c)
{
	struct buf b;

	if (c->argc == 1)
		return show_addresses(c);
	if (!sets(c))
		return 2;
	line_start(&b, "UpdateDomainSettings");
	line_word(&b, c->argv[0]);
	line_raw(&b, "{IPAddresses=");
	line_list(&b, c, 2);
	line_raw(&b, ";}");
	return ctl_do(c, &b);
}

/* What stands first behind the name may be a quota alone. */
int ctl_account_create(struct ctl *c)
{
	char quota[200];
	struct buf b;

	line_start(&b, "CreateAccount");
	line_word(&b, c->argv[0]);
	if (c->argc == 1)
		return ctl_do(c, &b);
	if (strchr(c->argv[1], '=') == NULL) {
		snprintf(quota, sizeof(quota), "MaxAccountSize=%s", c->argv[1]);
		c->argv[1] = quota;
	}
	return line_settings(c, &b, 1);
}

int ctl_account_info(struct ctl *c)
{
	struct buf b;

	line_start(&b, "GetAccountInfo");
	line_word(&b, c->argv[0]);
	if (c->argc > 1)
		line_list(&b, c, 1);
	return ctl_show(c, &b);
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

/* NAME KEY */
int ctl_account_setting(struct ctl *c)
{
	struct buf b;

	line_start(&b, "GetAccountOneSetting");
	line_word(&b, c->argv[0]);
	line_word(&b, c->argv[1]);
	return ctl_show(c, &b);
}

int ctl_account_stat(struct ctl *c)
{
	struct buf b;

	line_start(&b, "GetAccountStat");
	line_word(&b, c->argv[0]);
	if (c->argc > 1) {
		line_raw(&b, "KEY");
		line_word(&b, c->argv[1]);
	}
	return ctl_show(c, &b);
}

int ctl_account_location(struct ctl *c)
{
	return show_word(c, "GetAccountLocation");
}

int ctl_domain_location(struct ctl *c)
{
	return show_word(c, "GetDomainLocation");
}

int ctl_account_type(struct ctl *c)
{
	struct buf b;

	line_start(&b, "SetAccountType");
	line_word(&b, c->argv[0]);
	line_word(&b, c->argv[1]);
	return ctl_do(c, &b);
}

int ctl_account_identity(struct ctl *c)
{
	struct buf b;

	line_start(&b, "VerifyAccountIdentity");
	line_word(&b, c->argv[0]);
	line_raw(&b, "FOR");
	line_word(&b, c->argv[1]);
	return ctl_do(c, &b);
}

int ctl_alias_mailboxes(struct ctl *c)
{
	struct buf b;

	if (c->argc == 1)
		return show_word(c, "GetMailboxAliases");
	if (!sets(c))
		return CTL_USAGE;
	line_start(&b, "SetMailboxAliases");
	line_word(&b, c->argv[0]);
	line_raw(&b, "{");
	for (int i = 2; i < c->argc; i++) {
		struct slice mailbox = slice_str(c->argv[i]), alias = slice_take(&mailbox, '=');

		data_put_string(&b, alias);
		buf_putc(&b, '=');
		data_put_string(&b, mailbox);
		buf_putc(&b, ';');
	}
	buf_putc(&b, '}');
	return ctl_do(c, &b);
}

/* NUMBER, or +NUMBER to be added. */
int ctl_figure_set(struct ctl *c)
{
	bool inc = c->argv[1][0] == '+';
	struct buf b;

	line_start(&b, "SetStatElement");
	line_word(&b, c->argv[0]);
	line_raw(&b, inc ? "INC" : "SET");
	line_word(&b, c->argv[1] + inc);
	return ctl_do(c, &b);
}

int ctl_figure_show(struct ctl *c)
{
	return show_word(c, "GetStatElement");
}

int ctl_figure_next(struct ctl *c)
{
	return show_word(c, "GetNextStatName");
}

int ctl_figure_reset(struct ctl *c)
{
	bool account = strcmp(c->argv[0], "account") == 0;
	struct buf b;

	if (!account && strcmp(c->argv[0], "domain") != 0)
		return CTL_USAGE;
	line_start(&b, account ? "ResetAccountStat" : "ResetDomainStat");
	line_word(&b, c->argv[1]);
	return ctl_do(c, &b);
}

int ctl_domain_stat(struct ctl *c)
{
	return show_word(c, "GetDomainStat");
}

/* [= [ADDRESS...]] */
int ctl_blacklist(struct ctl *c)
{
	struct buf b;

	if (c->argc == 0)
		return show_word(c, "GetBlacklistedIPs");
	if (strcmp(c->argv[0], "=") != 0)
		return CTL_USAGE;
	line_start(&b, "SetBlacklistedIPs");
	line_list(&b, c, 1);
	return ctl_do(c, &b);
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

int ctl_stat(struct ctl *c)
{
	return show_word(c, "ListStat");
}
