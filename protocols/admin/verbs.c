#include "protocols/admin/admin-private.h"

static void run_version(struct cmd *c)
{
	data_put_string(&c->data, SLICE(GH_VERSION));
	cmd_data(c);
}

static void run_noop(struct cmd *c)
{
	cmd_ok(c);
}

/* TLS comes before the login, as what was said before it is forgotten. */
static void run_stls(struct cmd *c)
{
	cmd_error(c, "not after the login");
}

static void run_login(struct cmd *c)
{
	cmd_error(c, c->a->conf->pwd ? "you are logged in already"
				     : "you are logged in already: this socket knows its user");
}

const struct verb admin_verbs[] = {
	{ "INLINE", 0, 0, admin_set_inline, false, "INLINE", "" },
	{ "QUIT", 0, 0, admin_quit, false, "QUIT", "" },
	{ "NOOP", 0, 0, run_noop, false, "NOOP", "" },
	{ "GetVersion", 0, 0, run_version, false, "GetVersion", "" },
	{ "NEWPASS", 1, 1, run_newpass, false, "NEWPASS password", "s", true },
	{ "USER", 1, 1, run_login, false, "USER name", "s", true },
	{ "PASS", 1, 1, run_login, false, "PASS password", "s", true },
	{ "APOP", 1, 1, run_login, false, "APOP name digest", "s", true },
	{ "AUTH", 1, 1, run_login, false, "AUTH mechanism", "s", true },
	{ "STLS", 0, 0, run_stls, false, "STLS", "" },

	{ "ListDomains", 0, 0, run_list_domains, false, "ListDomains", "" },
	{ "MainDomainName", 0, 0, run_main_domain, false, "MainDomainName", "" },
	{ "CreateDomain", 1, 2, run_create_domain, false, "CreateDomain name [settings]", "sd" },
	{ "DeleteDomain", 1, 1, run_delete_domain, false, "DeleteDomain name", "s" },
	{ "GetDomainAliases", 1, 1, run_get_domain_aliases, false, "GetDomainAliases domain", "s" },
	{ "SetDomainAliases", 2, 2, run_set_domain_aliases, false,
	    "SetDomainAliases domain (name, ...)", "sa" },
	{ "GetDomainSettings", 0, 1, run_get_domain_settings, false, "GetDomainSettings [domain]",
	    "s" },
	{ "UpdateDomainSettings", 1, 2, run_update_domain_settings, false,
	    "UpdateDomainSettings [domain] {IPAddresses=(address, ...);}", "xd" },

	{ "ListAccounts", 0, 1, run_list_accounts, false, "ListAccounts [domain]", "s" },
	{ "CreateAccount", 1, 3, run_create_account, true,
	    "CreateAccount name[@domain] [type] [settings]", "sxd" },
	{ "DeleteAccount", 1, 1, run_delete_account, false, "DeleteAccount name", "s" },
	{ "GetAccountSettings", 1, 1, run_get_account_settings, false, "GetAccountSettings name",
	    "s" },
	{ "UpdateAccountSettings", 2, 2, run_update_account_settings, false,
	    "UpdateAccountSettings name {MaxAccountSize=bytes; Suspended=YES|NO;}", "sd" },
	{ "GetAccountInfo", 1, 1, run_get_account_info, false, "GetAccountInfo name", "s" },
	{ "SetAccountPassword", 2, 5, run_set_password, true,
	    "SetAccountPassword name PASSWORD password [METHOD method]", "sssss" },
	{ "VerifyAccountPassword", 3, 3, run_verify_password, false,
	    "VerifyAccountPassword name PASSWORD password", "sss" },
	{ "GetAccountAliases", 1, 1, run_get_account_aliases, false, "GetAccountAliases name",
	    "s" },
	{ "SetAccountAliases", 2, 2, run_set_account_aliases, false,
	    "SetAccountAliases name (alias, ...)", "sa" },

	{ "GetRouterTable", 0, 0, run_get_router_table, false, "GetRouterTable", "" },
	{ "SetRouterTable", 1, 1, run_set_router_table, false, "SetRouterTable \"line\\eline\"",
	    "s" },
	{ "Route", 1, 2, run_route, false, "Route address [mail|access|signal]", "ss" },
	{ "RouteTrace", 1, 2, run_route, false, "RouteTrace address [mail|access|signal]", "ss" },
	{ "RouteLogin", 3, 5, run_route_login, false,
	    "RouteLogin name LOCAL address [DOMAIN domain]", "sssss" },

	{ "ListSessions", 0, 1, run_list_sessions, false, "ListSessions [account]", "s" },
	{ "KillSession", 1, 1, run_kill_session, false, "KillSession id", "n" },
	{ "KillAccountSessions", 1, 1, run_kill_account_sessions, false, "KillAccountSessions name",
	    "s" },
	{ "ListStat", 0, 1, run_list_stat, false, "ListStat [account]", "s" },
};

const size_t admin_verb_count = sizeof(admin_verbs) / sizeof(admin_verbs[0]);
