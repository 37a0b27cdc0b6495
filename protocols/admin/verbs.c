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

/* clang-format off */
const struct verb admin_verbs[] = {
	{ "INLINE", "", admin_set_inline },
	{ "QUIT", "", admin_quit },
	{ "NOOP", "", run_noop },
	{ "GetVersion", "", run_version },
	{ "NEWPASS", "password", run_newpass, .raw = true },
	{ "USER", "name", run_login, .raw = true },
	{ "PASS", "password", run_login, .raw = true },
	{ "APOP", "name-and-digest", run_login, .raw = true },
	{ "AUTH", "mechanism", run_login, .raw = true },
	{ "STLS", "", run_stls },

	{ "ListDomains", "", run_dir, VERB_domain_list, cmd_dir_array },
	{ "MainDomainName", "", run_dir, VERB_main_domain, cmd_dir_text },
	{ "CreateDomain", "name [SHARED] [PATH mount] [{settings}]", run_create_domain },
	{ "DeleteDomain", "name", run_dir, VERB_domain_delete },
	{ "GetDomainAliases", "domain", run_dir, VERB_domain_aliases, cmd_dir_array },
	{ "SetDomainAliases", "domain (names)", run_dir, VERB_domain_set_aliases },
	{ "GetDomainSettings", "[domain]", run_dir_name, VERB_domain_ips, cmd_domain_ips },
	{ "UpdateDomainSettings", "[domain] {settings}", run_update_domain_settings },

	{ "ListAccounts", "[domain]", run_dir_name, VERB_account_list, cmd_account_list },
	{ "CreateAccount", "name [MultiMailbox|TextMailbox|MailDirMailbox|SlicedMailbox|AGrade|BGrade|CGrade] [LEGACY] [PATH mount] [{settings}]",
	    run_create_account,
	    .overlaps = true },
	{ "DeleteAccount", "name", run_dir, VERB_account_delete },
	{ "GetAccountSettings", "name", run_get_account_settings },
	{ "UpdateAccountSettings", "name {settings}", run_update_account_settings },
	{ "GetAccountInfo", "name", run_get_account_info },
	{ "SetAccountPassword", "name [PASSWORD] password [METHOD method]", run_set_password,
	    .overlaps = true },
	{ "VerifyAccountPassword", "name PASSWORD password", run_verify_password },
	{ "GetAccountAliases", "name", run_dir, VERB_account_aliases, cmd_dir_array },
	{ "SetAccountAliases", "name (aliases)", run_dir, VERB_account_set_aliases },

	{ "GetRouterTable", "", run_dir, VERB_router_table, cmd_router_table },
	{ "SetRouterTable", "text", run_set_router_table },
	{ "Route", "address [mail|access|signal]", run_route },
	{ "RouteTrace", "address [mail|access|signal]", run_route },
	{ "RouteLogin", "name LOCAL address [DOMAIN domain]", run_route_login },

	{ "ListSessions", "[account]", run_list_sessions },
	{ "KillSession", "id", run_kill_session },
	{ "KillAccountSessions", "name", run_kill_account_sessions },
	{ "ListStat", "[account]", run_list_stat },
	{ "OpenSession", "account", run_open_session },
};
/* clang-format on */

const size_t admin_verb_count = sizeof(admin_verbs) / sizeof(admin_verbs[0]);
