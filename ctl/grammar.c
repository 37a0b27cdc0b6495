/* grammar - the protocol's commands beside the words of gatehousectl. */
#include "ctl/ctl.h"

/* clang-format off */
const struct said ctl_said[] = {
	{ "ListDomains", "domain list" },
	{ "ListAdminDomains", "domain administered" },
	{ "MainDomainName", "domain main" },
	{ "CreateDomain", "domain create" },
	{ "RenameDomain", "domain rename" },
	{ "DeleteDomain", "domain delete" },
	{ "SuspendDomain", "domain suspend" },
	{ "ResumeDomain", "domain resume" },
	{ "GetDomainInfo", "domain info" },
	{ "ListDomainObjects", "domain objects" },
	{ "GetDomainLocation", "domain location" },
	{ "GetDomainAliases", "domain aliases" },
	{ "SetDomainAliases", "domain aliases" },
	{ "GetDomainSettings", "domain settings" },
	{ "GetDomainEffectiveSettings", "domain settings" },
	{ "UpdateDomainSettings", "domain settings" },
	{ "SetDomainSettings", "settings replace" },
	{ "GetAccountDefaults", "settings show" },
	{ "UpdateAccountDefaults", "settings set" },
	{ "SetAccountDefaults", "settings replace" },
	{ "GetAccountTemplate", "settings show" },
	{ "UpdateAccountTemplate", "settings set" },
	{ "SetAccountTemplate", "settings replace" },
	{ "GetDomainDefaults", "settings show" },
	{ "UpdateDomainDefaults", "settings set" },
	{ "SetDomainDefaults", "settings replace" },
	{ "GetServerAccountDefaults", "settings show" },
	{ "UpdateServerAccountDefaults", "settings set" },
	{ "SetServerAccountDefaults", "settings replace" },
	{ "GetServerSettings", "settings show" },
	{ "UpdateServerSettings", "settings set" },
	{ "SetServerSettings", "settings replace" },
	{ "GetSettingsTable", "settings table" },
	{ "ListAccounts", "account list" },
	{ "CreateAccount", "account create" },
	{ "RenameAccount", "account rename" },
	{ "DeleteAccount", "account delete" },
	{ "GetAccountSettings", "account settings" },
	{ "GetAccountEffectiveSettings", "account settings" },
	{ "UpdateAccountSettings", "account settings" },
	{ "GetAccountOneSetting", "account setting" },
	{ "SetAccountSettings", "settings replace" },
	{ "GetAccountPrefs", "prefs show" },
	{ "GetAccountEffectivePrefs", "prefs show" },
	{ "UpdateAccountPrefs", "prefs set" },
	{ "SetAccountPrefs", "prefs replace" },
	{ "GetAccountDefaultPrefs", "prefs show" },
	{ "UpdateAccountDefaultPrefs", "prefs set" },
	{ "SetAccountDefaultPrefs", "prefs replace" },
	{ "GetAccountRights", "account rights" },
	{ "SetAccountRights", "account rights" },
	{ "GetAccountInfo", "account info" },
	{ "GetAccountLocation", "account location" },
	{ "SetAccountType", "account type" },
	{ "SetAccountPassword", "password set" },
	{ "VerifyAccountPassword", "password check" },
	{ "ListAccountPasswords", "password tags" },
	{ "VerifyAccountIdentity", "account identity" },
	{ "GetMailboxAliases", "alias mailboxes" },
	{ "SetMailboxAliases", "alias mailboxes" },
	{ "GetAccountAliases", "alias list" },
	{ "SetAccountAliases", "alias set" },
	{ "ListGroups", "group list" },
	{ "CreateGroup", "group create" },
	{ "RenameGroup", "group rename" },
	{ "DeleteGroup", "group delete" },
	{ "GetGroup", "group show" },
	{ "SetGroup", "group settings" },
	{ "ListForwarders", "forwarder list" },
	{ "CreateForwarder", "forwarder create" },
	{ "RenameForwarder", "forwarder rename" },
	{ "DeleteForwarder", "forwarder delete" },
	{ "GetForwarder", "forwarder show" },
	{ "FindForwarders", "forwarder find" },
	{ "ListLists", "list list" },
	{ "GetDomainLists", "list list" },
	{ "GetAccountLists", "list list" },
	{ "CreateList", "list create" },
	{ "RenameList", "list rename" },
	{ "DeleteList", "list delete" },
	{ "GetList", "list show" },
	{ "GetRouterTable", "router show" },
	{ "SetRouterTable", "router set" },
	{ "GetRouterSettings", "router settings" },
	{ "SetRouterSettings", "router settings" },
	{ "GetBlacklistedIPs", "blacklist" },
	{ "SetBlacklistedIPs", "blacklist" },
	{ "Route", "route show" },
	{ "RouteTrace", "route test" },
	{ "RouteLogin", "route login" },
	{ "GetServerAlerts", "alert list" },
	{ "SetServerAlerts", "alert set" },
	{ "PostServerAlert", "alert post" },
	{ "RemoveServerAlert", "alert remove" },
	{ "GetDomainAlerts", "alert list" },
	{ "SetDomainAlerts", "alert set" },
	{ "PostDomainAlert", "alert post" },
	{ "RemoveDomainAlert", "alert remove" },
	{ "GetAccountAlerts", "alert list" },
	{ "SetAccountAlerts", "alert set" },
	{ "PostAccountAlert", "alert post" },
	{ "RemoveAccountAlert", "alert remove" },
	{ "GetAccountEffectiveAlerts", "alert list" },
	{ "WriteLog", "log write" },
	{ "ListSessions", "session list" },
	{ "FindAccountSession", "session find" },
	{ "GetSession", "session show" },
	{ "KillSession", "session kick" },
	{ "KillAccountSessions", "session kick" },
	{ "ListStat", "stat" },
	{ "OpenSession", "store export" },
	{ "GetStatElement", "figure show" },
	{ "GetNextStatName", "figure next" },
	{ "SetStatElement", "figure set" },
	{ "GetAccountStat", "account stat" },
	{ "GetDomainStat", "domain stat" },
	{ "ResetAccountStat", "figure reset" },
	{ "ResetDomainStat", "figure reset" },
	{ "ListRecoverable", "undelete list" },
	{ "CountRecoverable", "undelete restore" },
	{ "RestoreMessages", "undelete restore" },
	{ "PurgeMessages", "undelete purge" },
	{ "SetRecoveryHold", "undelete hold" },
	{ "GetStoreState", "store stat" },
	{ "CompactStore", "store compact" },
	{ "ScrubStore", "store scrub" },
	{ "ListDamaged", "store scrub" },
	{ "GetVersion", "version" },
	{ "HELP", "grammar" },
};
/* clang-format on */

const size_t ctl_said_count = sizeof(ctl_said) / sizeof(ctl_said[0]);

static struct slice text_of(const struct data *row, const char *key)
{
	const struct data *d = data_get(row, key);

	return d != NULL ? d->text : SLICE_NONE;
}

static const char *words_of(struct slice verb)
{
	for (size_t i = 0; i < ctl_said_count; i++)
		if (slice_ieq(verb, slice_str(ctl_said[i].verb)))
			return ctl_said[i].words;
	return NULL;
}

/* Each row gets its words; for people one that is not here yet says so in their place. */
static void add_words(struct ctl *c, const struct data *list)
{
	for (struct data *row = list->first; row != NULL; row = row->next) {
		const char *words = words_of(text_of(row, "Command"));

		if (words != NULL)
			print_add(&c->client.mem, row, "Words", words);
		else if (!c->json)
			print_add(&c->client.mem, row, "Words",
			    data_get(row, "Later") != NULL ? "not here yet" : "");
	}
}

int ctl_grammar(struct ctl *c)
{
	static const struct column columns[] = { { "COMMAND", "Command", false },
		{ "GATEHOUSECTL", "Words", false }, { "BEHIND IT", "Form", false } };
	struct reply r;
	struct buf b;
	int status;

	line_start(&b, "HELP");
	if (c->argc > 0)
		line_word(&b, c->argv[0]);
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	add_words(c, r.data);
	if (c->json)
		print_json(r.data);
	else
		print_table(r.data, columns, sizeof(columns) / sizeof(columns[0]));
	return CTL_DONE;
}
