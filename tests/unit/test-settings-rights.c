/*
 * Who may change which setting where: every setting of settings.def, by an administrator of every
 * right of rights.def, in every scope of the own domain, another one and the server. What is
 * expected comes from the row's column of rights alone; what happens is asked from the directory
 * afterwards. A setting without a right that anybody could have fails.
 */
#include "routerd/settings.h"
#include "tests/unit/routerd-rig.h"

#include <stdio.h>

enum { IS_SERVER = 1, IS_DOMAIN = 0 };

static const struct {
	uint32_t bit;
	const char *name;
	bool server;
} rights[] = {
#define RIGHT(id, name, level, sentence) { IPC_RIGHT_##id, name, IS_##level },
#include "common/ipc/rights.def"
};

enum { RIGHTS = sizeof(rights) / sizeof(rights[0]), ROLES_MAX = RIGHTS + 4 };

/* Who asks. With a right over domains comes Domain, without which it is none. */
struct role {
	char account[64];
	uint32_t rights;
	bool root;
};

static struct role roles[ROLES_MAX];
static size_t n_roles;

enum where { SERVER_WIDE, OWN, OTHER };

static const struct {
	enum settings_scope scope;
	const char *word, *name; /* name NULL: the role's own account */
	enum where where;
} places[] = {
	{ SCOPE_SERVER, "server", "", SERVER_WIDE },
	{ SCOPE_DOMAIN_DEFAULTS, "domain-defaults", "", SERVER_WIDE },
	{ SCOPE_ACCOUNT_DEFAULTS_ALL, "account-defaults-all", "", SERVER_WIDE },
	{ SCOPE_DOMAIN, "domain", "one.example", OWN },
	{ SCOPE_ACCOUNT_DEFAULTS, "account-defaults", "one.example", OWN },
	{ SCOPE_TEMPLATE, "template", "one.example", OWN },
	{ SCOPE_ACCOUNT, "account", "user@one.example", OWN },
	{ SCOPE_ACCOUNT, "account", NULL, OWN },
	{ SCOPE_DOMAIN, "domain", "two.example", OTHER },
	{ SCOPE_ACCOUNT_DEFAULTS, "account-defaults", "two.example", OTHER },
	{ SCOPE_TEMPLATE, "template", "two.example", OTHER },
	{ SCOPE_ACCOUNT, "account", "user@two.example", OTHER },
};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

/* ---- what the columns say ---- */

/* The column `level`: where the setting belongs to. */
static bool belongs(enum setting key, enum settings_scope scope)
{
	switch (setting_rows[key].level) {
	case LEVEL_SERVER:
		return scope == SCOPE_SERVER;
	case LEVEL_DOMAIN:
		return scope == SCOPE_DOMAIN || scope == SCOPE_DOMAIN_DEFAULTS;
	case LEVEL_TEMPLATE:
		return scope == SCOPE_TEMPLATE;
	case LEVEL_ACCOUNT:
		return scope == SCOPE_ACCOUNT ||
		       (key != SETTING_Suspended && /* "Of one account only, never a default." */
			   (scope == SCOPE_ACCOUNT_DEFAULTS ||
			       scope == SCOPE_ACCOUNT_DEFAULTS_ALL || scope == SCOPE_TEMPLATE));
	}
	return false;
}

/* Has the role anything to do with settings there? */
static bool enters(const struct role *r, enum where where)
{
	uint32_t enough[] = { [SERVER_WIDE] = IPC_RIGHT_SETTINGS,
		[OWN] = IPC_RIGHT_USERS | IPC_RIGHT_DOMAIN,
		[OTHER] = IPC_RIGHT_USERS };

	if (strstr(r->account, "@one.example") == NULL)
		enough[OWN] = IPC_RIGHT_USERS;
	return r->root || (r->rights & (enough[where] | IPC_RIGHT_MASTER)) != 0;
}

/* The column `right`. UserAccounts is every right over a domain. */
static bool may(const struct role *r, enum setting key, enum where where)
{
	uint32_t has = r->rights;

	if (!enters(r, where))
		return false;
	if (r->root || (has & IPC_RIGHT_MASTER) != 0 || where == SERVER_WIDE)
		return true;
	for (size_t i = 0; i < RIGHTS; i++)
		if ((r->rights & IPC_RIGHT_USERS) != 0 && !rights[i].server)
			has |= rights[i].bit;
	return (setting_rows[key].right & has) != 0;
}

/* What people set for themselves, whatever they may besides. */
static bool is_own(enum setting key)
{
	return key == SETTING_MailboxAliases || key == SETTING_Prefs;
}

/* ---- the world ---- */

static void add_role(const char *domain, const char *name, uint32_t bits, bool root)
{
	struct role *r = &roles[n_roles];
	const char *args[RIGHTS + 2];
	size_t n = 0;

	assert_true(n_roles < ROLES_MAX);
	*r = (struct role){ .rights = bits, .root = root };
	snprintf(r->account, sizeof(r->account), "%s-%zu@%s", name, n_roles++, domain);
	for (char *c = r->account; *c != '\0'; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
	args[n++] = r->account;
	for (size_t i = 0; i < RIGHTS; i++)
		if ((bits & rights[i].bit) != 0)
			args[n++] = rights[i].name;
	args[n] = NULL;
	assert_int_equal(ask(account_create, r->account), IPC_DIR_OK);
	assert_int_equal(rig_ask(VERB_rights_set, args), IPC_DIR_OK);
}

static void make_world(void)
{
	uint32_t all = 0;

	n_roles = 0;
	assert_int_equal(ask(domain_create, "one.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_create, "two.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "user@one.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "user@two.example"), IPC_DIR_OK);
	for (size_t i = 0; i < RIGHTS; i++) {
		if (rights[i].server) {
			add_role("company.com", rights[i].name, rights[i].bit, false);
			continue;
		}
		all |= rights[i].bit;
		add_role("one.example", rights[i].name, rights[i].bit | IPC_RIGHT_DOMAIN, false);
	}
	add_role("one.example", "all-but-domain", all & ~(uint32_t)IPC_RIGHT_DOMAIN, false);
	add_role("one.example", "all-of-domain", all, false);
	add_role("one.example", "none", 0, false);
	add_role("one.example", "root", 0, true);
}

/* ---- the cells ---- */

/* What is set there by itself, asked as root: a bit for each setting. */
static uint64_t found(const char *word, const char *name)
{
	uint64_t set = 0;
	struct slice rest;

	assert_int_equal(ask(settings_get, word, name, "explicit"), IPC_DIR_OK);
	rest = buf_slice(&rig.data);
	while (rest.n > 0) {
		enum setting key = setting_find(slice_take(&rest, '|'));

		assert_int_not_equal(key, SETTINGS);
		set |= 1ull << key;
		(void)slice_take(&rest, '|');
	}
	return set;
}

static const char *value_for(enum setting key)
{
	return key == SETTING_Suspended ? "YES" : setting_rows[key].def;
}

/* Each of the settings by a request of its own; which were taken. */
static uint64_t try_all(const struct role *r, size_t p, const char *name, unsigned *cells)
{
	uint64_t want = 0;

	for (int i = 0; i < SETTINGS; i++) {
		enum setting key = (enum setting)i;
		bool here = belongs(key, places[p].scope);
		uint32_t status =
		    enters(r, places[p].where) ? here ? IPC_DIR_OK : IPC_DIR_BAD : IPC_DIR_DENIED;
		uint32_t got;

		/* Who is suspended does nothing more: of one's own account it is tried elsewhere.
		 */
		if (places[p].name == NULL && key == SETTING_Suspended)
			continue;
		got = ask(
		    settings_update, places[p].word, name, setting_rows[key].name, value_for(key));
		if (got != status)
			fail_msg("%s %s %s %s: status %u, not %u", r->account, places[p].word, name,
			    setting_rows[key].name, got, status);
		if (here && (may(r, key, places[p].where) ||
				(places[p].name == NULL && status == IPC_DIR_OK && is_own(key))))
			want |= 1ull << key;
		*cells += 1;
	}
	return want;
}

static void compare(const struct role *r, size_t p, const char *name, uint64_t want)
{
	uint64_t set = found(places[p].word, name);

	for (int i = 0; i < SETTINGS; i++)
		if (((set ^ want) >> i & 1) != 0)
			fail_msg("%s %s %s %s: %s", r->account, places[p].word, name,
			    setting_rows[i].name, (set >> i & 1) != 0 ? "set" : "not set");
}

static void every_setting_by_every_role_in_every_scope(void **state)
{
	unsigned cells = 0, yes = 0;

	make_world();
	for (size_t i = 0; i < n_roles; i++) {
		const struct role *r = &roles[i];
		uint64_t id = r->root ? 0 : rig_id(r->account);

		for (size_t p = 0; p < PLACES; p++) {
			const char *name = places[p].name != NULL ? places[p].name : r->account;
			enum where where = places[p].where;
			uint64_t want;

			/* Of the Main Domain: its own account is in another than one.example. */
			if (places[p].name == NULL && strstr(name, "@one.example") == NULL)
				continue;
			assert_true(where <= OTHER);
			rig_become(id);
			want = try_all(r, p, name, &cells);
			rig_become(0);
			compare(r, p, name, want);
			yes += (unsigned)__builtin_popcountll(want);
			if (want == 0)
				continue;
			assert_int_equal(ask(settings_set, places[p].word, name), IPC_DIR_OK);
			if (places[p].scope == SCOPE_ACCOUNT)
				assert_int_equal(ask(settings_update, "account", name, "Suspended",
						     "default", "Prefs", "default"),
				    IPC_DIR_OK);
			assert_int_equal(found(places[p].word, name), 0);
		}
	}
	print_message("%zu roles, %zu places, %d settings: %u cells, %u allowed\n", n_roles,
	    (size_t)PLACES, SETTINGS, cells, yes);
}

/* A right that somebody can have, of the level that the setting is of. */
static void every_setting_declares_who_may(void **state)
{
	uint64_t server = 0, domain = IPC_RIGHT_USERS;

	for (size_t i = 0; i < RIGHTS; i++)
		*(rights[i].server ? &server : &domain) |= rights[i].bit;
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting_row *row = &setting_rows[i];
		bool of_server = row->level == LEVEL_SERVER;

		if (row->right == 0)
			fail_msg("%s has no right", row->name);
		if (of_server ? row->right != IPC_RIGHT_SETTINGS : (row->right & ~domain) != 0)
			fail_msg("%s has a right that counts for nothing there", row->name);
	}
	assert_true(SETTINGS <= 64 && (server & IPC_RIGHT_SETTINGS) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_declares_who_may),
		cmocka_unit_test_setup_teardown(
		    every_setting_by_every_role_in_every_scope, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
