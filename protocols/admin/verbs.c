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
	{ "ListAdminDomains", "[domain]", run_dir, VERB_domain_admin_list, cmd_dir_array },
	{ "MainDomainName", "", run_dir, VERB_main_domain, cmd_dir_text },
	{ "CreateDomain", "name [SHARED] [PATH mount] [{settings}]", run_create_domain },
	{ "RenameDomain", "old INTO new [PATH mount]", run_rename, VERB_domain_rename },
	{ "DeleteDomain", "name [FORCE]", run_delete_domain, VERB_domain_delete },
	{ "SuspendDomain", "name", run_dir, VERB_domain_suspend },
	{ "ResumeDomain", "name", run_dir, VERB_domain_resume },
	{ "GetDomainInfo", "[domain]", run_dir_name, VERB_domain_info, cmd_domain_info },
	{ "ListDomainObjects", "domain [FILTER text] limit [ACCOUNTS] [ALIASES] [FORWARDERS] [COOKIE cookie]", run_objects },
	{ "GetDomainLocation", "[domain]", run_dir_name, VERB_domain_info, cmd_domain_location },
	{ "GetDomainAliases", "domain", run_dir, VERB_domain_aliases, cmd_dir_array },
	{ "SetDomainAliases", "domain (names)", run_dir, VERB_domain_set_aliases },
	{ "GetDomainSettings", "[domain]", run_get_settings, .before = "domain explicit" },
	{ "GetDomainEffectiveSettings", "[domain]", run_get_settings, .before = "domain effective" },
	{ "UpdateDomainSettings", "[domain] {settings}", run_put_settings, VERB_settings_update, .before = "domain" },
	{ "SetDomainSettings", "[domain] {settings}", run_put_settings, VERB_settings_set, .before = "domain" },
	{ "GetAccountDefaults", "[domain]", run_get_settings, .before = "account-defaults explicit" },
	{ "UpdateAccountDefaults", "[domain] {settings}", run_put_settings, VERB_settings_update, .before = "account-defaults" },
	{ "SetAccountDefaults", "[domain] {settings}", run_put_settings, VERB_settings_set, .before = "account-defaults" },
	{ "GetAccountTemplate", "[domain]", run_get_settings, .before = "template explicit" },
	{ "UpdateAccountTemplate", "[domain] {settings}", run_put_settings, VERB_settings_update, .before = "template" },
	{ "SetAccountTemplate", "[domain] {settings}", run_put_settings, VERB_settings_set, .before = "template" },
	{ "GetDomainDefaults", "", run_get_settings, .before = "domain-defaults explicit" },
	{ "UpdateDomainDefaults", "{settings}", run_put_settings, VERB_settings_update, .before = "domain-defaults" },
	{ "SetDomainDefaults", "{settings}", run_put_settings, VERB_settings_set, .before = "domain-defaults" },
	{ "GetServerAccountDefaults", "", run_get_settings, .before = "account-defaults-all explicit" },
	{ "UpdateServerAccountDefaults", "{settings}", run_put_settings, VERB_settings_update, .before = "account-defaults-all" },
	{ "SetServerAccountDefaults", "{settings}", run_put_settings, VERB_settings_set, .before = "account-defaults-all" },
	{ "GetServerSettings", "", run_get_settings, .before = "server explicit" },
	{ "UpdateServerSettings", "{settings}", run_put_settings, VERB_settings_update, .before = "server" },
	{ "SetServerSettings", "{settings}", run_put_settings, VERB_settings_set, .before = "server" },
	{ "GetSettingsTable", "", run_dir, VERB_settings_table, cmd_settings_table },

	{ "ListAccounts", "[domain]", run_dir_name, VERB_account_list, cmd_account_list },
	{ "CreateAccount", "name [MultiMailbox|TextMailbox|MailDirMailbox|SlicedMailbox|AGrade|BGrade|CGrade] [LEGACY] [PATH mount] [{settings}]",
	    run_create_account,
	    .overlaps = ADMIN_PIPELINE_MAX },
	{ "RenameAccount", "old INTO new [PATH mount]", run_rename, VERB_account_rename },
	{ "DeleteAccount", "name", run_dir, VERB_account_delete },
	{ "GetAccountSettings", "name", run_get_settings, .before = "account explicit" },
	{ "GetAccountEffectiveSettings", "name", run_get_settings, .before = "account effective" },
	{ "GetAccountOneSetting", "name key", run_one_setting, .before = "account effective" },
	{ "UpdateAccountSettings", "name {settings}", run_put_settings, VERB_settings_update, .before = "account" },
	{ "SetAccountSettings", "name {settings}", run_put_settings, VERB_settings_set, .before = "account" },
	{ "GetAccountRights", "name", run_dir, VERB_rights_get, cmd_dir_array },
	{ "SetAccountRights", "name (rights)", run_dir, VERB_rights_set },
	{ "GetAccountInfo", "name [(keys)] [KEY key]", run_get_account_info },
	{ "GetAccountLocation", "name", run_account_location },
	{ "SetAccountType", "name type", run_dir, VERB_account_set_type },
	{ "SetAccountPassword", "name [PASSWORD] password [METHOD method] [TAG tag] [CHECK] [ALL]", run_set_password,
	    .overlaps = ADMIN_PIPELINE_MAX },
	{ "VerifyAccountPassword", "name PASSWORD password", run_verify_password },
	{ "ListAccountPasswords", "name", run_list_passwords },
	{ "VerifyAccountIdentity", "name FOR text", run_verify_identity },
	{ "GetMailboxAliases", "name", run_get_mailbox_aliases, .before = "account effective" },
	{ "SetMailboxAliases", "name {aliases}", run_set_mailbox_aliases },
	{ "GetAccountAliases", "name", run_dir, VERB_account_aliases, cmd_dir_array },
	{ "SetAccountAliases", "name (aliases)", run_dir, VERB_account_set_aliases,
	    .overlaps = ADMIN_ALIASES_MAX,
	    .again = true },

	{ "ListGroups", "[domain]", run_dir_name, VERB_group_list, cmd_dir_array },
	{ "CreateGroup", "name [{settings}]", run_group, VERB_group_create },
	{ "RenameGroup", "old INTO new", run_dir, VERB_group_rename },
	{ "DeleteGroup", "name", run_dir, VERB_group_delete },
	{ "GetGroup", "name", run_dir, VERB_group_get, cmd_group },
	{ "SetGroup", "name {settings}", run_group, VERB_group_set },

	{ "ListForwarders", "[domain]", run_dir_name, VERB_forwarder_list, cmd_dir_array },
	{ "CreateForwarder", "name TO address", run_dir, VERB_forwarder_create },
	{ "RenameForwarder", "old INTO new", run_dir, VERB_forwarder_rename },
	{ "DeleteForwarder", "name", run_dir, VERB_forwarder_delete },
	{ "GetForwarder", "name", run_dir, VERB_forwarder_get, cmd_dir_text },
	{ "FindForwarders", "domain TO address", run_dir, VERB_forwarder_find, cmd_dir_array },

	{ "ListLists", "[domain]", run_dir_name, VERB_list_list, cmd_dir_array },
	{ "CreateList", "name FOR account", run_dir, VERB_list_create },
	{ "RenameList", "old INTO new", run_dir, VERB_list_rename },
	{ "DeleteList", "name", run_dir, VERB_list_delete },
	{ "GetList", "name", run_dir, VERB_list_get, cmd_dir_pairs },

	{ "GetRouterTable", "", run_dir, VERB_router_table, cmd_router_table },
	{ "SetRouterTable", "text", run_set_router_table },
	{ "GetRouterSettings", "", run_router_settings, .before = "server explicit" },
	{ "SetRouterSettings", "{settings}", run_router_settings, .before = "server explicit" },
	{ "Route", "address [mail|access|signal]", run_route },
	{ "RouteTrace", "address [mail|access|signal] [LOCAL address] [DOMAIN domain]", run_route },
	{ "RouteLogin", "name LOCAL address [DOMAIN domain]", run_route_login },

	{ "GetServerAlerts", "", run_alerts, .before = "server" },
	{ "SetServerAlerts", "(alerts)", run_set_alerts, .before = "server" },
	{ "PostServerAlert", "ALERT text", run_alert, VERB_alert_post, .before = "server" },
	{ "RemoveServerAlert", "ALERT text", run_alert, VERB_alert_remove, .before = "server" },
	{ "GetDomainAlerts", "domain", run_alerts, .before = "domain" },
	{ "SetDomainAlerts", "domain (alerts)", run_set_alerts, .before = "domain" },
	{ "PostDomainAlert", "domain ALERT text", run_alert, VERB_alert_post, .before = "domain" },
	{ "RemoveDomainAlert", "domain ALERT text", run_alert, VERB_alert_remove, .before = "domain" },
	{ "GetAccountAlerts", "account", run_alerts, .before = "account" },
	{ "GetAccountEffectiveAlerts", "account", run_dir, VERB_alert_effective, cmd_alerts },
	{ "SetAccountAlerts", "account (alerts)", run_set_alerts, .before = "account" },
	{ "PostAccountAlert", "account ALERT text", run_alert, VERB_alert_post, .before = "account" },
	{ "RemoveAccountAlert", "account ALERT text", run_alert, VERB_alert_remove, .before = "account" },
	{ "WriteLog", "level text", run_dir, VERB_log_write },

	{ "ListSessions", "[account]", run_list_sessions },
	{ "FindAccountSession", "account [ADDRESS ip] [FOR ip] [PROTOCOL name] [TRANSPORT name] [CLIENT name]",
	    run_find_session },
	{ "GetSession", "id [DOMAIN domain]", run_get_session },
	{ "KillSession", "id [DOMAIN domain]", run_kill_session },
	{ "KillAccountSessions", "name", run_kill_account_sessions },
	{ "ListStat", "[account]", run_list_stat },
	{ "OpenSession", "account", run_open_session },
	{ "GetStatElement", "name", run_stat_element },
	{ "GetNextStatName", "[name]", run_next_stat },
	{ "SetStatElement", "name INC|SET number", run_dir, VERB_stat_set },
	{ "GetAccountStat", "account [KEY name]", run_account_stat },
	{ "ResetAccountStat", "account", run_dir, VERB_account_tally_reset },
	{ "GetDomainStat", "domain", run_domain_stat },
	{ "ResetDomainStat", "domain", run_dir, VERB_domain_tally_reset },

	{ "ListRecoverable", "account [{picks}]", run_list_recoverable },
	{ "CountRecoverable", "account [{picks}]", run_count_recoverable },
	{ "RestoreMessages", "account [{picks}]", run_restore_messages },
	{ "PurgeMessages", "account [{picks}]", run_purge_messages },
	{ "SetRecoveryHold", "account YES|NO", run_set_hold },

	{ "GetStoreState", "", run_store_state },
	{ "CompactStore", "", run_compact_store },
	{ "ScrubStore", "", run_scrub_store },
	{ "ListDamaged", "", run_list_damaged },
};
/* clang-format on */

const size_t admin_verb_count = sizeof(admin_verbs) / sizeof(admin_verbs[0]);
