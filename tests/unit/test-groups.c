/* Groups: who is behind them, and that mail to them is taken for all or for nobody. */
#include "tests/unit/routerd-rig.h"

#include "routerd/group.h"

#include <stdio.h>

static void a_group_is_its_local_members(void **state)
{
	rig_prepare();
	assert_int_equal(ask(group_create, "inner@client1.com", "Members", "info", "members",
			     "anne@company.com"),
	    IPC_DIR_OK);
	assert_int_equal(ask(group_create, "staff", "Members", "ann", "Members", "ben", "Members",
			     "nobody", "Members", "inner@client1.com", "Members", "staff"),
	    IPC_DIR_OK);
	assert_int_equal(ask(group_get, "staff"), IPC_DIR_OK);
	assert_data("Expand|YES|RemoveToAndCc|NO|FinalDelivery|NO|EmailDisabled|NO|Members|"
		    "ann@company.com|Members|ben@company.com|Members|nobody@company.com|Members|"
		    "inner@client1.com|Members|staff@company.com");
	rig_assert_route("staff", "mail", "GROUP||staff@company.com|ok|");
	rig_assert_route("staff", "access", "GROUP||staff@company.com|this name does not lead to");
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig.members, 2); /* and one in `handle`: ann once, ben, info */
	assert_int_equal(rig.targets, 3);
	/* Without the groups among them. */
	assert_int_equal(ask(group_set, "staff", "Expand", "no", "Members", "ben", "Members",
			     "inner@client1.com"),
	    IPC_DIR_OK);
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig.members, 0);
	assert_int_equal(
	    ask(group_set, "staff", "EmailDisabled", "YES", "Members", "ben"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_DISABLED);
	assert_int_equal(ask(group_set, "staff", "Members", "nobody"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(
	    ask(group_set, "staff", "Members", "ben", "Members", "x@remote.example"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(ask(group_set, "staff", "Colour", "blue"), IPC_DIR_BAD);
	assert_int_equal(ask(group_set, "staff", "Expand", "maybe"), IPC_DIR_BAD);
	assert_int_equal(ask(group_set, "staff", "Members"), IPC_DIR_BAD);
	assert_int_equal(ask(group_set, "staff", "Members", "two words"), IPC_DIR_BAD);
}

static void a_group_is_taken_whole_or_not_at_all(void **state)
{
	rig_prepare();
	assert_int_equal(
	    ask(group_create, "staff", "Members", "ann", "Members", "ben"), IPC_DIR_OK);
	rig.over_quota = directory_account(&rig.rd.db.dir, 4)->id;
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_OVERQUOTA);
	rig.over_quota = 0;
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_OK);
	rig_lose_stored();
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_TRYLATER);
	rig_connect_stored();
	/* Who cannot have mail at all is left out. */
	assert_int_equal(ask(settings_update, "account", "ann", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("staff@company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig.members, 0);
}

static bool behind(const char *group, uint64_t account)
{
	const struct directory *d = &rig.rd.db.dir;
	struct slice domain = slice_str(group), local = slice_take(&domain, '@');
	struct object *o =
	    directory_object(d, domain.n > 0 ? directory_domain(d, domain) : d->main, local);
	struct route r;
	bool has;

	assert_non_null(o);
	route_init(&r);
	has = group_has(d, o, account, &r);
	route_fini(&r);
	return has;
}

static void members_follow_their_accounts(void **state)
{
	rig_prepare();
	assert_int_equal(
	    ask(group_create, "staff", "Members", "ann", "Members", "ben"), IPC_DIR_OK);
	assert_int_equal(ask(account_rename, "ann", "ann.new@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(group_get, "staff"), IPC_DIR_OK);
	assert_data_has("|Members|ann.new@client1.com|Members|ben@company.com");
	assert_int_equal(ask(group_rename, "staff", "crew@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "ben"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	rig_restart();
	/* The new ben has not the place of the old one. */
	assert_int_equal(ask(group_get, "crew@client1.com"), IPC_DIR_OK);
	assert_data("Expand|YES|RemoveToAndCc|NO|FinalDelivery|NO|EmailDisabled|NO|Members|"
		    "ann.new@client1.com");
	assert_true(behind("crew@client1.com", 4));
	assert_false(behind("crew@client1.com", 5));
}

static void assert_behind(const char *group, bool ann, bool ben, bool info)
{
	assert_int_equal(behind(group, 4), ann);
	assert_int_equal(behind(group, 5), ben);
	assert_int_equal(behind(group, 6), info);
}

/* For rights given to #group. */
static void who_is_behind_a_group(void **state)
{
	rig_prepare();
	assert_int_equal(ask(group_create, "inner@client1.com", "Members", "info"), IPC_DIR_OK);
	assert_int_equal(ask(group_create, "middle", "Members", "inner@client1.com", "Members",
			     "staff@company.com"),
	    IPC_DIR_OK);
	/* A group that is made later is kept as text. */
	assert_int_equal(
	    ask(group_create, "staff", "Members", "ann", "Members", "middle"), IPC_DIR_OK);
	assert_behind("staff", true, false, true);
	assert_behind("middle", true, false, true);
	assert_behind("inner@client1.com", false, false, true);
	/* Without the groups among them; which of them take mail does not matter. */
	assert_int_equal(ask(group_set, "staff", "Expand", "NO", "Members", "ann", "Members",
			     "middle", "EmailDisabled", "YES"),
	    IPC_DIR_OK);
	assert_behind("staff", true, false, false);
	assert_int_equal(
	    ask(group_set, "staff", "Members", "ann", "Members", "middle", "EmailDisabled", "YES"),
	    IPC_DIR_OK);
	assert_int_equal(ask(group_set, "inner@client1.com", "Members", "info", "Members",
			     "ben@company.com", "EmailDisabled", "YES"),
	    IPC_DIR_OK);
	assert_int_equal(ask(group_rename, "inner@client1.com", "within"), IPC_DIR_OK);
	assert_behind("staff", true, true, true);
	/* Nobody who is suspended, or whose domain is; and again when it is over. */
	assert_int_equal(ask(settings_update, "account", "ann", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(ask(domain_suspend, "client1.com"), IPC_DIR_OK);
	assert_behind("staff", false, true, false);
	assert_int_equal(ask(settings_update, "account", "ann", "Suspended", "NO"), IPC_DIR_OK);
	assert_int_equal(ask(domain_resume, "client1.com"), IPC_DIR_OK);
	/* Renamed and moved he is the same; who gets the name is not he. */
	assert_int_equal(ask(account_rename, "ben", "ben@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	assert_behind("staff", true, true, true);
	assert_false(behind("staff", rig_id("ben")));
	rig_restart();
	assert_behind("staff", true, true, true);
}

/* A member is whom it names, not who gets its mail. */
static void mail_led_elsewhere_leads_no_rights_there(void **state)
{
	rig_prepare();
	assert_int_equal(ask(group_create, "staff", "Members", "ann", "Members", "anne", "Members",
			     "x@remote.example"),
	    IPC_DIR_OK);
	assert_int_equal(
	    ask(router_set_table, "M:<ann> = ben\nM:<anne> = ben\nM:<x@remote.example> = ben"),
	    IPC_DIR_OK);
	rig_assert_route("ann", "mail", "LOCAL||ben@company.com|ok|");
	assert_behind("staff", true, false, false);
	/* By an address it is as at a login: an alias, what a record or a forwarder leads to. */
	assert_int_equal(ask(group_set, "staff", "Members", "anne", "Members", "desk", "Members",
			     "y@remote.example", "Members", "nobody"),
	    IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "desk", "info@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "A:<y@remote.example> = ben"), IPC_DIR_OK);
	assert_behind("staff", true, true, true);
	/* In a move the alias is gone. */
	assert_int_equal(ask(account_rename, "ann", "ann@client1.com"), IPC_DIR_OK);
	assert_behind("staff", false, true, true);
}

static void groups_too_large_are_refused(void **state)
{
	char names[1001][16];
	const char *args[2004] = { "many" };

	rig_prepare();
	for (int i = 0; i < 1001; i++) {
		snprintf(names[i], sizeof(names[i]), "m%d", i);
		args[1 + 2 * i] = "Members";
		args[2 + 2 * i] = names[i];
	}
	assert_int_equal(rig_ask(VERB_group_create, args), IPC_DIR_BAD);
	args[2001] = NULL;
	assert_int_equal(rig_ask(VERB_group_create, args), IPC_DIR_OK);
	rig_restart();
	assert_int_equal(ask(group_get, "many"), IPC_DIR_OK);
	assert_data_has("|Members|m0@company.com|Members|m1@company.com|");
	assert_data_has("|m998@company.com|Members|m999@company.com");
}

/* An administrator of one domain hears nothing of another by what becomes of a member. */
static void members_of_domains_that_are_not_his_stay_as_they_were_typed(void **state)
{
	rig_prepare();
	assert_int_equal(ask(account_create, "boss@client1.com"), IPC_DIR_OK);
	assert_int_equal(
	    ask(rights_set, "boss@client1.com", "Domain", "CanCreateGroups"), IPC_DIR_OK);
	rig_become(rig_id("boss@client1.com"));
	assert_int_equal(ask(group_create, "g@client1.com", "Members", "ANN@Company.com", "Members",
			     "NOBODY@Company.com", "Members", "INFO"),
	    IPC_DIR_OK);
	rig_become(0);
	assert_int_equal(ask(account_rename, "ann", "other"), IPC_DIR_OK);
	rig_become(rig_id("boss@client1.com"));
	assert_int_equal(ask(group_get, "g@client1.com"), IPC_DIR_OK);
	assert_data("Expand|YES|RemoveToAndCc|NO|FinalDelivery|NO|EmailDisabled|NO|Members|"
		    "ANN@Company.com|Members|NOBODY@Company.com|Members|info@client1.com");
	assert_int_equal(ask(group_set, "g@client1.com", "FinalDelivery", "YES"), IPC_DIR_BAD);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_group_is_its_local_members),
		CASE(a_group_is_taken_whole_or_not_at_all),
		CASE(members_follow_their_accounts),
		CASE(who_is_behind_a_group),
		CASE(mail_led_elsewhere_leads_no_rights_there),
		CASE(groups_too_large_are_refused),
		CASE(members_of_domains_that_are_not_his_stay_as_they_were_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
