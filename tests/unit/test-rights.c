/*
 * The matrix of administrators: every role asks every verb about every kind of target, over the
 * channel, and each answer is compared with the table below, which was written from the description
 * of the rights and not from the columns of verbs.def. Arguments are such that a verb which is
 * allowed changes nothing. A verb without a row here fails.
 */
#include "routerd/rights.h"
#include "routerd/settings.h"
#include "tests/unit/routerd-rig.h"

#include <stdio.h>

/* `may`: the rights that are enough, beside Master; "all": whoever administers; "everybody":
 * whoever logged in; "self": for the own account. In `args`, $ stands for a domain. */
static const struct {
	const char *verb, *args[5], *may;
} rows[] = {
	{ "main_domain", { NULL }, "all" },
	{ "domain_list", { NULL }, "UserAccounts DomainsRead" },
	{ "domain_admin_list", { NULL }, "everybody" },
	{ "domain_admin_list", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "domain_create", { "bad*name" }, "UserAccounts" },
	{ "domain_delete", { "$" }, "UserAccounts" },
	{ "domain_aliases", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "domain_set_aliases", { "$", "bad*name" }, "UserAccounts" },
	{ "domain_rename", { "$", "bad*name" }, "UserAccounts" },
	{ "domain_suspend", { "no.$" }, "UserAccounts" },
	{ "domain_resume", { "no.$" }, "UserAccounts" },
	{ "domain_info", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "domain_ips", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "domain_set_ips", { "$", "bad*address" }, "UserAccounts" },
	{ "account_list", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "account_create", { "bad*name@$" }, "UserAccounts CanCreateAccounts" },
	{ "account_delete", { "nobody@$" }, "UserAccounts CanCreateAccounts" },
	{ "account_info", { "user@$" }, "UserAccounts DomainsRead Domain Monitors self" },
	{ "account_aliases", { "user@$" }, "UserAccounts DomainsRead Domain self" },
	{ "account_set_aliases", { "user@$", "bad*name" }, "UserAccounts CanCreateAliases" },
	{ "account_rename", { "user@$", "bad*name@$" }, "UserAccounts CanCreateAccounts" },
	{ "account_rename", { "user@one.example", "bad*name@two.example" }, "UserAccounts" },
	{ "account_set_type", { "user@$", "AGrade" }, "UserAccounts CanCreateAccounts" },
	{ "account_identity", { "user@$", "a@b.example" }, "UserAccounts DomainsRead Domain self" },
	{ "mailbox_aliases_set", { "user@$", "x" }, "UserAccounts BasicSettings self" },
	{ "prefs_effective", { "user@$" }, "UserAccounts DomainsRead Domain self" },
	{ "prefs_change", { "user@$", "update", "x" }, "UserAccounts WebUserSettings self" },
	{ "domain_prefs_change", { "$", "set", "x" }, "UserAccounts WebUserSettings" },
	{ "objects", { "$", "", "10", "" }, "UserAccounts DomainsRead Domain" },
	{ "group_list", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "group_create", { "bad*name@$" }, "UserAccounts CanCreateGroups" },
	{ "group_get", { "nobody@$" }, "UserAccounts DomainsRead Domain" },
	{ "group_set", { "nobody@$" }, "UserAccounts CanCreateGroups" },
	{ "group_rename", { "nobody@$", "other@$" }, "UserAccounts CanCreateGroups" },
	{ "group_delete", { "nobody@$" }, "UserAccounts CanCreateGroups" },
	{ "forwarder_list", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "forwarder_create", { "bad*name@$", "a@b.example" }, "UserAccounts CanCreateForwarders" },
	{ "forwarder_get", { "nobody@$" }, "UserAccounts DomainsRead Domain" },
	{ "forwarder_find", { "$", "a@b.example" }, "UserAccounts DomainsRead Domain" },
	{ "forwarder_rename", { "nobody@$", "other@$" }, "UserAccounts CanCreateForwarders" },
	{ "forwarder_delete", { "nobody@$" }, "UserAccounts CanCreateForwarders" },
	{ "list_list", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "account_lists", { "user@$" }, "UserAccounts DomainsRead Domain self" },
	{ "list_create", { "bad*name@$", "user@$" }, "UserAccounts CanCreateLists" },
	{ "list_get", { "nobody@$" }, "UserAccounts DomainsRead Domain" },
	{ "list_rename", { "nobody@$", "other@$" }, "UserAccounts CanCreateLists" },
	{ "list_delete", { "nobody@$" }, "UserAccounts CanCreateLists" },
	{ "router_table", { NULL }, "Settings" },
	{ "router_set_table", { "bad line" }, "Settings" },
	{ "route", { "a@b.example" }, "Settings UserAccounts" },
	{ "login", { "a", "" }, "Settings UserAccounts" },
	{ "stat", { NULL }, "Monitors" },
	{ "account_tally", { "user@$" }, "UserAccounts DomainsRead Domain Monitors self" },
	{ "account_tally_reset", { "nobody@$" }, "UserAccounts BasicSettings" },
	{ "domain_tally", { "$" }, "UserAccounts DomainsRead Domain" },
	{ "domain_tally_reset", { "$" }, "UserAccounts BasicSettings" },
	{ "stat_set", { "messages", "set", "1" }, "Monitors" },
	{ "settings_get", { "server", "", "explicit" }, "Settings" },
	{ "settings_get", { "domain-defaults", "", "explicit" }, "Settings" },
	{ "settings_get", { "account-defaults-all", "", "explicit" }, "Settings" },
	{ "settings_get", { "domain", "$", "explicit" }, "UserAccounts DomainsRead Domain" },
	{ "settings_get", { "account-defaults", "$", "explicit" },
	    "UserAccounts DomainsRead Domain" },
	{ "settings_get", { "template", "$", "explicit" }, "UserAccounts DomainsRead Domain" },
	{ "settings_get", { "account", "user@$", "explicit" },
	    "UserAccounts DomainsRead Domain self" },
	{ "settings_update", { "server", "" }, "Settings" },
	{ "settings_update", { "domain", "$" }, "UserAccounts Domain" },
	{ "settings_update", { "account", "user@$" }, "UserAccounts Domain" },
	{ "settings_set", { "account-defaults-all", "" }, "Settings" },
	{ "settings_set", { "template", "$", "NoSuch", "1" }, "UserAccounts Domain" },
	{ "settings_table", { NULL }, "all" },
	{ "rights_get", { "user@$" }, "UserAccounts DomainsRead Domain self" },
	{ "rights_set", { "user@$", "NoSuchRight" }, "UserAccounts" },
	{ "alert_list", { "server", "" }, "Settings Monitors" },
	{ "alert_list", { "domain", "$" }, "UserAccounts DomainsRead Domain Monitors" },
	{ "alert_list", { "account", "user@$" }, "UserAccounts DomainsRead Domain Monitors self" },
	{ "alert_effective", { "user@$" }, "UserAccounts DomainsRead Domain self" },
	{ "alert_post", { "server", "", "\n" }, "Settings" },
	{ "alert_set", { "server", "", "\n" }, "Settings" },
	{ "alert_remove", { "server", "", "none" }, "Settings" },
	{ "alert_post", { "domain", "$", "\n" }, "UserAccounts BasicSettings" },
	{ "alert_post", { "account", "user@$", "\n" }, "UserAccounts BasicSettings" },
	{ "alert_set", { "account", "user@$", "\n" }, "UserAccounts BasicSettings" },
	{ "alert_remove", { "domain", "$", "none" }, "UserAccounts BasicSettings" },
	{ "conn_list", { "0" }, "UserAccounts Monitors" },
	{ "conn_kick", { "77" }, "everybody" },
	{ "log_write", { "9", "text" }, "Monitors" },
	{ "later", { "looks", "Domain", "domain", "$" }, "UserAccounts DomainsRead Domain" },
	{ "later", { "looks", "Domain", "own", "user@$" }, "UserAccounts DomainsRead Domain self" },
	{ "later", { "changes", "RulesAllowed,CanCreateLists", "domain", "$" },
	    "UserAccounts CanCreateLists" },
	{ "later", { "changes", "CanImpersonate", "own", "user@$" },
	    "UserAccounts CanImpersonate self" },
	{ "later", { "changes", "CanCreateAccounts", "account", "user@$" },
	    "UserAccounts CanCreateAccounts" },
	{ "later", { "changes", "CanCreateLists", "list", "nobody@$" },
	    "UserAccounts CanCreateLists" },
	{ "later", { "looks", "Settings,Monitors", "server", "" }, "Settings Monitors" },
	{ "later", { "changes", "Master", "server", "" }, "none" },
};

static const char *const verb_names[] = {
#define VERB(name, ...) #name,
#include "common/ipc/verbs.def"
};

/* Who asks: accounts of their own, in the Main Domain or in one.example. */
static const struct {
	const char *account, *rights[4];
	bool suspended;
} roles[] = {
	{ "master@company.com", { "Master" }, false },
	{ "settings@company.com", { "Settings" }, false },
	{ "users@company.com", { "UserAccounts" }, false },
	{ "reader@company.com", { "DomainsRead" }, false },
	{ "monitor@company.com", { "Monitors" }, false },
	{ "directory@company.com", { "Directory" }, false },
	{ "two@company.com", { "Settings", "Monitors" }, false },
	{ "maindom@company.com", { "Domain", "CanCreateAccounts" }, false },
	{ "domain@one.example", { "Domain" }, false },
	{ "basic@one.example", { "Domain", "BasicSettings" }, false },
	{ "creator@one.example", { "Domain", "CanCreateAccounts" }, false },
	{ "aliaser@one.example", { "Domain", "CanCreateAliases" }, false },
	{ "grouper@one.example", { "Domain", "CanCreateGroups" }, false },
	{ "forwarder@one.example", { "Domain", "CanCreateForwarders" }, false },
	{ "lister@one.example", { "Domain", "CanCreateLists" }, false },
	{ "reader@one.example", { "Domain", "CanAccessMailboxes" }, false },
	{ "actor@one.example", { "Domain", "CanImpersonate" }, false },
	{ "alone@one.example", { "CanCreateAccounts" },
	    false }, /* counts together with Domain only */
	{ "user@one.example", { NULL }, false },
	{ "gone@company.com", { "Master" }, true },
};

enum { N_ROLES = sizeof(roles) / sizeof(roles[0]), N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *const domains[] = { "company.com", "one.example", "two.example" };

static bool word_in(const char *list, const char *word)
{
	struct slice rest = slice_str(list);

	while (rest.n > 0)
		if (slice_eq(slice_take(&rest, ' '), slice_str(word)))
			return true;
	return false;
}

static const char *domain_of(const char *account)
{
	return strchr(account, '@') + 1;
}

/* domain NULL: the verb is about the server. */
static bool expected(size_t role, const char *may, const char *domain)
{
	static const char *const server[] = { "Settings", "UserAccounts", "DomainsRead", "Monitors",
		"Directory" };
	bool has_domain = false, enough = false;

	if (roles[role].suspended)
		return false;
	if (word_in(may, "everybody"))
		return true;
	if (word_in(may, "all"))
		return roles[role].rights[0] != NULL;
	for (const char *const *r = roles[role].rights; *r != NULL; r++) {
		if (strcmp(*r, "Master") == 0)
			return true;
		for (size_t i = 0; i < sizeof(server) / sizeof(server[0]); i++)
			if (strcmp(*r, server[i]) == 0 && word_in(may, *r))
				return true;
		has_domain |= strcmp(*r, "Domain") == 0;
		enough |= word_in(may, *r);
	}
	if (domain == NULL || strcmp(domain, domain_of(roles[role].account)) != 0)
		return false;
	if (word_in(may, "self") && strcmp(roles[role].account, "user@one.example") == 0)
		return true; /* rows with "self" ask about user@ */
	return has_domain && enough;
}

static void make_world(void)
{
	char name[64];

	assert_int_equal(ask(domain_create, "one.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_create, "two.example"), IPC_DIR_OK);
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "user@%s", domains[i]);
		assert_int_equal(ask(account_create, name), IPC_DIR_OK);
	}
	for (size_t i = 0; i < N_ROLES; i++) {
		const char *args[] = { roles[i].account, roles[i].rights[0], roles[i].rights[1],
			NULL };

		if (strncmp(roles[i].account, "user@", 5) != 0)
			assert_int_equal(ask(account_create, roles[i].account), IPC_DIR_OK);
		assert_int_equal(rig_ask(VERB_rights_set, args), IPC_DIR_OK);
		if (roles[i].suspended)
			assert_int_equal(
			    ask(settings_update, "account", roles[i].account, "Suspended", "YES"),
			    IPC_DIR_OK);
	}
}

static uint32_t verb_of(const char *name)
{
	for (uint32_t i = 0; i < VERBS; i++)
		if (strcmp(verb_names[i], name) == 0)
			return i;
	fail_msg("there is no verb %s", name);
	return 0;
}

/* False when the row has nothing to do with domains. */
static bool fill(const char *const *args, const char *domain, char text[5][64], const char **ret)
{
	bool about = false;
	size_t i = 0;

	for (; i < 4 && args[i] != NULL; i++) {
		const char *at = strchr(args[i], '$');

		about |= at != NULL;
		if (at == NULL)
			snprintf(text[i], 64, "%s", args[i]);
		else
			snprintf(text[i], 64, "%.*s%s", (int)(at - args[i]), args[i], domain);
		ret[i] = text[i];
	}
	ret[i] = NULL;
	return about;
}

static void every_cell_of_the_matrix(void **state)
{
	char text[5][64];
	const char *args[5];
	uint64_t ids[N_ROLES];
	unsigned cells = 0, yes = 0;

	make_world();
	for (size_t r = 0; r < N_ROLES; r++)
		ids[r] = rig_id(roles[r].account);
	for (size_t r = 0; r < N_ROLES; r++) {
		rig_become(ids[r]);
		for (size_t i = 0; i < N_ROWS; i++) {
			for (size_t d = 0; d < 3; d++) {
				bool about = fill(rows[i].args, domains[d], text, args);
				bool want = expected(r, rows[i].may, about ? domains[d] : NULL);
				bool got = rig_ask(verb_of(rows[i].verb), args) != IPC_DIR_DENIED;

				if (got != want)
					fail_msg("%s %s %s: %s", roles[r].account, rows[i].verb,
					    args[0] != NULL ? args[0] : "",
					    got ? "allowed" : "denied");
				cells++;
				yes += got;
			}
		}
	}
	print_message("%u cells, %u allowed\n", cells, yes);
}

static void no_verb_is_forgotten(void **state)
{
	for (uint32_t v = 0; v < VERBS; v++) {
		bool found = false;

		for (size_t i = 0; i < N_ROWS; i++)
			found |= strcmp(rows[i].verb, verb_names[v]) == 0;
		if (!found)
			fail_msg("%s has no row in the matrix of rights", verb_names[v]);
	}
}

/* Who may act on whom: never on one who may do more. */
static void nobody_changes_who_may_do_more(void **state)
{
	static const struct {
		const char *actor, *victim;
		bool may;
	} cells[] = {
		{ "users@company.com", "user@company.com", true },
		{ "users@company.com", "maindom@company.com", true },
		{ "users@company.com", "master@company.com", false },
		{ "users@company.com", "settings@company.com", false },
		{ "users@company.com", "reader@one.example", true },
		{ "maindom@company.com", "master@company.com", false },
		{ "maindom@company.com", "monitor@company.com", false },
		{ "maindom@company.com", "user@company.com", true },
		{ "creator@one.example", "user@one.example", true },
		{ "creator@one.example", "domain@one.example", true },
		{ "creator@one.example", "basic@one.example", false },
		{ "creator@one.example", "reader@one.example", false },
		{ "creator@one.example", "creator@one.example", true },
		{ "creator@one.example", "user@two.example", false },
		{ "master@company.com", "settings@company.com", true },
		/* Suspended: they will have their rights again. */
		{ "users@company.com", "gone@company.com", false },
		{ "maindom@company.com", "gone@company.com", false },
		{ "users@company.com", "asleep@one.example", true },
		{ "creator@one.example", "asleep@one.example", false },
		{ "master@company.com", "gone@company.com", true },
		/* And those of a suspended domain. */
		{ "users@company.com", "boss@two.example", true },
	};
	static const struct verb_need need = { CHANGES, IPC_RIGHT_CREATE_ACCOUNTS, TARGET_OBJECT };
	struct directory *d = &rig.rd.db.dir;

	make_world();
	assert_int_equal(ask(account_create, "asleep@one.example"), IPC_DIR_OK);
	assert_int_equal(
	    ask(rights_set, "asleep@one.example", "Domain", "BasicSettings"), IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "account", "asleep@one.example", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "boss@two.example"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "boss@two.example", "Domain"), IPC_DIR_OK);
	assert_int_equal(ask(domain_suspend, "two.example"), IPC_DIR_OK);
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		struct actor who = rights_actor(d, rig_id(cells[i].actor), 0);
		struct slice victim = slice_str(cells[i].victim);

		if (rights_allow(d, &who, &need, &victim, 1) != cells[i].may)
			fail_msg("%s on %s", cells[i].actor, cells[i].victim);
	}
}

/* By every way to it: the password, to act for it, and to make it active again. */
static void a_suspended_master_is_nobodys_to_wake(void **state)
{
	static const char *const who[] = { "users@company.com", "helper@company.com" };
	static const uint32_t ways[] = { IPC_MAY_SET_PASSWORD, IPC_MAY_CHECK_PASSWORD,
		IPC_MAY_END_SESSIONS, IPC_MAY_RESTORE, IPC_MAY_IMPERSONATE };
	uint64_t gone;

	make_world();
	gone = rig_id("gone@company.com");
	assert_int_equal(ask(account_create, "helper@company.com"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "helper@company.com", "Domain", "BasicSettings",
			     "CanCreateAccounts", "CanCreateAliases", "CanImpersonate"),
	    IPC_DIR_OK);
	for (size_t i = 0; i < 2; i++) {
		uint64_t id;

		rig_become(0);
		id = rig_id(who[i]);
		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++)
			assert_false(rights_may(&rig.rd.db.dir, id, ways[k], gone));
		rig_become(id);
		assert_int_equal(
		    ask(settings_update, "account", "gone@company.com", "Suspended", "NO"),
		    IPC_DIR_DENIED);
		assert_int_equal(ask(account_rename, "gone@company.com", "other"), IPC_DIR_DENIED);
		assert_int_equal(
		    ask(account_set_aliases, "gone@company.com", "other"), IPC_DIR_DENIED);
		assert_int_equal(ask(account_delete, "gone@company.com"), IPC_DIR_DENIED);
	}
	assert_true(directory_account(&rig.rd.db.dir, gone)->suspended);
}

static void assert_rights(const char *name, const char *rights)
{
	assert_int_equal(ask(rights_get, name), IPC_DIR_OK);
	assert_data(rights);
}

/* Out of the Main Domain, and back; over one domain, and to another: nothing comes along. */
static void rights_stay_behind_in_a_move(void **state)
{
	static const struct {
		const char *from, *to, *back;
	} moves[] = {
		{ "settings@company.com", "s@one.example", "s" },
		{ "maindom@company.com", "m@one.example", "m" },
		{ "basic@one.example", "b@two.example", "b@one.example" },
		{ "gone@company.com", "gone@two.example", "gone" },
	};

	make_world();
	assert_int_equal(ask(account_rename, "users@company.com", "users2"), IPC_DIR_OK);
	assert_rights("users2", "UserAccounts"); /* the domain is the same */
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		assert_int_equal(ask(account_rename, moves[i].from, moves[i].to), IPC_DIR_OK);
		assert_rights(moves[i].to, "");
	}
	rig_restart();
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		assert_rights(moves[i].to, "");
		assert_int_equal(ask(account_rename, moves[i].to, moves[i].back), IPC_DIR_OK);
		assert_rights(moves[i].back, "");
	}
	rig_restart();
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		assert_rights(moves[i].back, "");
	assert_rights("users2", "UserAccounts");
}

static void a_right_taken_away_is_gone_at_once(void **state)
{
	uint64_t id;

	make_world();
	id = rig_id("users@company.com");
	rig_become(id);
	assert_int_equal(ask(domain_list), IPC_DIR_OK);
	settings_put_rights(&directory_account(&rig.rd.db.dir, id)->settings, 0);
	assert_int_equal(ask(domain_list), IPC_DIR_DENIED);
	assert_int_equal(ask(account_info, "users@company.com"), IPC_DIR_OK);
	directory_account(&rig.rd.db.dir, id)->suspended = true;
	assert_int_equal(ask(account_info, "users@company.com"), IPC_DIR_DENIED);
	assert_int_equal(ask(main_domain), IPC_DIR_DENIED);
}

static void rights_over_the_server_are_masters_to_give(void **state)
{
	make_world();
	assert_int_equal(ask(rights_set, "user@one.example", "Settings"), IPC_DIR_DENIED);
	assert_int_equal(ask(rights_set, "user@one.example", "Domain"), IPC_DIR_OK);
	rig_become(rig_id("users@company.com"));
	assert_int_equal(ask(rights_set, "user@company.com", "Monitors"), IPC_DIR_DENIED);
	assert_int_equal(
	    ask(rights_set, "user@company.com", "Domain", "CanImpersonate"), IPC_DIR_OK);
	assert_int_equal(
	    ask(rights_set, "users@company.com", "UserAccounts", "Domain"), IPC_DIR_OK);
	assert_int_equal(
	    ask(rights_set, "users@company.com"), IPC_DIR_DENIED); /* it would lose one */
	assert_int_equal(ask(rights_set, "master@company.com", "Master"), IPC_DIR_DENIED);
}

static void an_update_touches_only_what_is_allowed(void **state)
{
	make_world();
	rig_become(rig_id("basic@one.example"));
	assert_int_equal(ask(settings_update, "account", "user@one.example", "RealName", "Ursula",
			     "MaxAccountSize", "1G", "AccessModes", "nonsense"),
	    IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account", "user@one.example", "explicit"), IPC_DIR_OK);
	assert_data("RealName|Ursula");
	rig_become(0);
	assert_int_equal(
	    ask(settings_update, "account", "user@one.example", "MaxAccountSize", "2G"),
	    IPC_DIR_OK);
	rig_become(rig_id("basic@one.example"));
	assert_int_equal(
	    ask(settings_set, "account", "user@one.example", "PWDAllowed", "NO"), IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account", "user@one.example", "explicit"), IPC_DIR_OK);
	assert_data("MaxAccountSize|2G|PWDAllowed|NO");
	assert_int_equal(ask(settings_update, "account", "creator@one.example", "RealName", "x"),
	    IPC_DIR_DENIED); /* may create accounts, which this one may not */
}

static void what_authd_and_stored_ask(void **state)
{
	static const struct {
		const char *who, *target;
		unsigned may; /* bits 1 << enum ipc_may */
	} cells[] = {
		{ "user@one.example", "user@one.example", 0xfe | 1 << IPC_MAY_MAILBOXES },
		{ "user@one.example", "domain@one.example", 0 },
		{ "domain@one.example", "user@one.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES },
		{ "basic@one.example", "user@one.example", 0x3e },
		{ "basic@one.example", "user@two.example", 0 },
		{ "reader@one.example", "user@one.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES | 1 << IPC_MAY_RESTORE |
			1 << IPC_MAY_MAILBOXES },
		{ "reader@one.example", "user@two.example", 0 },
		{ "reader@one.example", "basic@one.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES | 1 << IPC_MAY_MAILBOXES },
		{ "actor@one.example", "user@one.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES |
			1 << IPC_MAY_IMPERSONATE },
		{ "actor@one.example", "user@two.example", 0 },
		{ "actor@one.example", "basic@one.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES },
		{ "basic@one.example", "reader@one.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES },
		{ "basic@one.example", NULL, 0 },
		{ "monitor@company.com", NULL,
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES },
		{ "monitor@company.com", "user@two.example",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES },
		{ "users@company.com", NULL, 1 << IPC_MAY_SEE_SESSIONS },
		{ "users@company.com", "user@two.example", 0xfe | 1 << IPC_MAY_MAILBOXES },
		{ "users@company.com", "master@company.com",
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES | 1 << IPC_MAY_MAILBOXES },
		{ "settings@company.com", "user@one.example", 0 },
		{ "master@company.com", "settings@company.com", 0x1fe | 1 << IPC_MAY_MAILBOXES },
		{ "master@company.com", "master@company.com", 0x1fe | 1 << IPC_MAY_MAILBOXES },
		{ "settings@company.com", NULL, 1 << IPC_MAY_UPKEEP },
		{ "master@company.com", NULL,
		    1 << IPC_MAY_SEE_SESSIONS | 1 << IPC_MAY_SEE_FIGURES | 1 << IPC_MAY_UPKEEP },
		{ "gone@company.com", "user@one.example", 0 },
		{ "gone@company.com", NULL, 0 },
	};
	struct directory *d = &rig.rd.db.dir;

	make_world();
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		uint64_t who = rig_id(cells[i].who);
		uint64_t target = cells[i].target != NULL ? rig_id(cells[i].target) : 0;
		unsigned got = 0;

		for (uint32_t what = 0; what < 11; what++)
			got |= (unsigned)rights_may(d, who, what, target) << what;
		if (got != cells[i].may)
			fail_msg("%s on %s: %x", cells[i].who,
			    cells[i].target != NULL ? cells[i].target : "the server", got);
	}
	assert_false(rights_may(d, 0, IPC_MAY_SET_PASSWORD, rig_id("user@one.example")));
	assert_int_equal(
	    ask(settings_update, "account", "user@one.example", "PWDAllowed", "NO"), IPC_DIR_OK);
	assert_false(rights_may(
	    d, rig_id("user@one.example"), IPC_MAY_SET_PASSWORD, rig_id("user@one.example")));
	assert_true(rights_may(
	    d, rig_id("basic@one.example"), IPC_MAY_SET_PASSWORD, rig_id("user@one.example")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_verb_is_forgotten),
		cmocka_unit_test_setup_teardown(every_cell_of_the_matrix, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    nobody_changes_who_may_do_more, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_suspended_master_is_nobodys_to_wake, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    rights_stay_behind_in_a_move, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_right_taken_away_is_gone_at_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    rights_over_the_server_are_masters_to_give, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    an_update_touches_only_what_is_allowed, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(what_authd_and_stored_ask, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
