/* The objects of a domain: one name space, forwarders, lists, renames, suspended domains. */
#include "tests/unit/routerd-rig.h"

#include <stdio.h>

static void one_name_space_and_who_holds_a_name_is_told(void **state)
{
	static const struct {
		const char *name, *text;
	} held[] = {
		{ "ann", "an account with this name exists already" },
		{ "anne@company.com", "an alias with this name exists already" },
		{ "away", "a forwarder with this name exists already" },
		{ "staff", "a group with this name exists already" },
		{ "NEWS", "a mailing list with this name exists already" },
	};

	rig_prepare();
	assert_int_equal(ask(forwarder_create, "away", "a@remote.example"), IPC_DIR_OK);
	assert_int_equal(ask(group_create, "staff"), IPC_DIR_OK);
	assert_int_equal(ask(list_create, "news", "ann"), IPC_DIR_OK);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		assert_int_equal(ask(account_create, held[i].name), IPC_DIR_EXISTS);
		assert_data(held[i].text);
		assert_int_equal(
		    ask(forwarder_create, held[i].name, "x@y.example"), IPC_DIR_EXISTS);
		assert_data(held[i].text);
		assert_int_equal(ask(group_create, held[i].name), IPC_DIR_EXISTS);
		assert_data(held[i].text);
		assert_int_equal(ask(list_create, held[i].name, "ben"), IPC_DIR_EXISTS);
		assert_data(held[i].text);
		assert_int_equal(ask(account_rename, "ben", held[i].name), IPC_DIR_EXISTS);
		assert_data(held[i].text);
		assert_int_equal(ask(group_rename, "staff", held[i].name), IPC_DIR_EXISTS);
	}
	for (size_t i = 2; i < 5; i++) {
		assert_int_equal(
		    ask(account_set_aliases, "ben", "fine", held[i].name), IPC_DIR_EXISTS);
		assert_data(held[i].text);
	}
	/* The same names in another domain are free. */
	assert_int_equal(ask(group_create, "ann@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "news@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "staff"), IPC_DIR_NOTFOUND);
	assert_data("there is no such account");
	assert_int_equal(ask(group_delete, "ann"), IPC_DIR_NOTFOUND);
	assert_data("there is no such group");
	assert_int_equal(ask(list_delete, "away"), IPC_DIR_NOTFOUND);
	assert_data("there is no such mailing list");
}

static void special_names_of_the_main_domain_are_nobodys(void **state)
{
	static const char *const names[] = { "null", "Error", "spamtrap@company.com" };

	rig_prepare();
	assert_int_equal(ask(group_create, "staff"), IPC_DIR_OK);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ask(account_create, names[i]), IPC_DIR_BAD);
		assert_data(
		    "null, error and spamtrap are special names of the Main Domain: nothing "
		    "else can have them");
		assert_int_equal(ask(forwarder_create, names[i], "x@y.example"), IPC_DIR_BAD);
		assert_int_equal(ask(group_create, names[i]), IPC_DIR_BAD);
		assert_int_equal(ask(list_create, names[i], "ann"), IPC_DIR_BAD);
		assert_int_equal(ask(account_rename, "ann", names[i]), IPC_DIR_BAD);
		assert_int_equal(ask(group_rename, "staff", names[i]), IPC_DIR_BAD);
	}
	assert_int_equal(ask(account_set_aliases, "ann", "fine", "null"), IPC_DIR_BAD);
	/* Of a domain the name is nothing special, and elsewhere these are not either. */
	assert_int_equal(ask(account_create, "blacklisted"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "null@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "info@client1.com", "error"), IPC_DIR_OK);
	rig_assert_route("null@client1.com", "mail", "LOCAL||null@client1.com|ok|");
	rig_assert_route("error@client1.com", "access", "LOCAL||info@client1.com|ok|");
}

static void forwarders_start_the_routing_over(void **state)
{
	rig_prepare();
	assert_int_equal(ask(forwarder_create, "jim@client1.com", "john@other.dom"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "desk@client1.com", "INFO"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "sales", "desk@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "ring", "ring@company.com"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "bad", "two words"), IPC_DIR_BAD);
	rig_assert_route("jim@client1.com", "mail", "SMTP|other.dom|john@other.dom|");
	rig_assert_route(
	    "jim@client1.com", "access", "SMTP|other.dom|john@other.dom|this name does not");
	rig_assert_route("sales", "mail", "LOCAL||info@client1.com|ok|");
	rig_assert_route("sales+detail", "mail", "LOCAL||info@client1.com|ok|");
	rig_assert_route("ring", "mail", "|||the routing of this name runs in a circle");
	assert_int_equal(ask(forwarder_get, "desk@client1.com"), IPC_DIR_OK);
	assert_data("INFO@client1.com");
	assert_int_equal(ask(forwarder_list, "client1.com"), IPC_DIR_OK);
	assert_data("desk|jim");
	assert_int_equal(ask(forwarder_find, "client1.com", "info@Client1.com"), IPC_DIR_OK);
	assert_data("desk");
	assert_int_equal(ask(forwarder_rename, "desk@client1.com", "desk2"), IPC_DIR_OK);
	rig_assert_route("desk2", "mail", "LOCAL||info@client1.com|ok|");
	assert_int_equal(ask(forwarder_delete, "desk2"), IPC_DIR_OK);
	rig_assert_route("desk2", "mail", "|||no such user here");
	assert_int_equal(ask(account_create, "desk2"), IPC_DIR_OK);
}

static void lists_hold_their_names(void **state)
{
	rig_prepare();
	assert_int_equal(ask(list_create, "news", "nobody"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(list_create, "news", "info@client1.com"), IPC_DIR_BAD);
	assert_int_equal(ask(list_create, "news", "anne"), IPC_DIR_OK);
	rig_assert_route("news", "mail", "LIST||news@company.com|mailing lists take no mail yet");
	rig_assert_route("news", "access", "LIST||news@company.com|this name does not lead to");
	assert_int_equal(rig_rcpt("news@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(ask(account_delete, "ann"), IPC_DIR_BAD);
	assert_data("the account owns mailing lists: delete them first");
	/* Both are of one domain, whichever would leave it. */
	assert_int_equal(ask(account_rename, "ann", "ann@client1.com"), IPC_DIR_BAD);
	assert_data("the account owns mailing lists: delete them first");
	assert_int_equal(ask(list_rename, "news", "news@client1.com"), IPC_DIR_BAD);
	assert_data("a mailing list stays in the domain of its owner");
	assert_int_equal(ask(account_rename, "ann", "anna"), IPC_DIR_OK);
	assert_int_equal(ask(list_rename, "news", "news2"), IPC_DIR_OK);
	rig_restart();
	assert_int_equal(ask(list_get, "news2"), IPC_DIR_OK);
	assert_data("Owner|anna@company.com");
	assert_int_equal(ask(list_list, ""), IPC_DIR_OK);
	assert_data("news2");
	assert_int_equal(ask(account_lists, "anna"), IPC_DIR_OK);
	assert_data("news2");
	assert_int_equal(ask(account_lists, "postmaster"), IPC_DIR_OK);
	assert_data("");
	assert_int_equal(ask(list_delete, "news2"), IPC_DIR_OK);
	assert_int_equal(ask(account_rename, "anna", "ann@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "ann@client1.com"), IPC_DIR_OK);
}

static void an_account_moves_with_its_number(void **state)
{
	unsigned before;

	rig_prepare();
	before = rig.changed;
	assert_int_equal(ask(account_rename, "ann", "anna"), IPC_DIR_OK);
	assert_int_equal(rig.changed, before + 1);
	assert_int_equal(ask(account_info, "anna"), IPC_DIR_OK);
	assert_data("4|anna@company.com|active|1000");
	rig_assert_route("ann", "mail", "|||no such user here");
	rig_assert_route(
	    "anne", "mail", "LOCAL||anna@company.com|ok|"); /* inside the domain they stay */
	assert_int_equal(ask(account_rename, "anne", "ann@client1.com"), IPC_DIR_OK);
	rig_assert_route("anne", "mail", "|||no such user here");
	rig_assert_route("anna", "mail", "|||no such user here");
	rig_restart();
	assert_int_equal(ask(account_info, "ann@client1.com"), IPC_DIR_OK);
	assert_data("4|ann@client1.com|active|1000");
	assert_int_equal(ask(account_list, ""), IPC_DIR_OK);
	assert_data("ben|postmaster");
	assert_int_equal(ask(account_list, "client1.com"), IPC_DIR_OK);
	assert_data("ann|info");
	assert_int_equal(ask(account_aliases, "ann@client1.com"), IPC_DIR_OK);
	assert_data("");
	assert_int_equal(ask(account_rename, "postmaster", "root"), IPC_DIR_BAD);
	assert_int_equal(ask(account_rename, "ben", "no such"), IPC_DIR_BAD);
	assert_int_equal(ask(account_rename, "ben", "b@nowhere.example"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(account_rename, "ben", "ben@client1.com"), IPC_DIR_OK);
	/* Its name is free, for somebody else. */
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
}

static void mail_under_way_goes_to_the_account(void **state)
{
	uint32_t first;

	rig_prepare();
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	first = rig.handle;
	assert_int_equal(ask(account_rename, "ann", "ann@client1.com"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@client1.com"), IPC_ROUTE_OK);
	assert_int_equal(rig.handle, first);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_UNKNOWN);
}

static void domains_are_renamed_with_all_that_is_in_them(void **state)
{
	rig_prepare();
	assert_int_equal(ask(domain_set_aliases, "client1.com", "c1.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "info@client1.com", "office"), IPC_DIR_OK);
	assert_int_equal(ask(domain_rename, "client1.com", "company.com"), IPC_DIR_EXISTS);
	assert_int_equal(ask(domain_rename, "client1.com", "not a name"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_rename, "client1.com", "Customer.example"), IPC_DIR_OK);
	rig_assert_route("office@customer.example", "mail", "LOCAL||info@customer.example|ok|");
	rig_assert_route("office@client1.com", "mail", "SMTP|client1.com|");
	/* To its own other name, which is then no other one any more; and in other letters. */
	assert_int_equal(ask(domain_rename, "customer.example", "C1.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_aliases, "c1.example"), IPC_DIR_OK);
	assert_data("");
	assert_int_equal(ask(domain_rename, "c1.example", "C1.EXAMPLE"), IPC_DIR_OK);
	/* The Main Domain, too, with postmaster. */
	assert_int_equal(
	    ask(router_set_table, "<postmaster@big.example> = ann@company.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_rename, "company.com", "big.example"), IPC_DIR_BAD);
	assert_int_equal(ask(router_set_table, ""), IPC_DIR_OK);
	assert_int_equal(ask(domain_rename, "company.com", "big.example"), IPC_DIR_OK);
	rig_restart();
	assert_int_equal(ask(main_domain), IPC_DIR_OK);
	assert_data("big.example");
	assert_int_equal(ask(domain_list), IPC_DIR_OK);
	assert_data("big.example|c1.example");
	rig_assert_route("postmaster", "mail", "LOCAL||postmaster@big.example|ok|");
	rig_assert_route("ann@big.example", "mail", "LOCAL||ann@big.example|ok|");
	rig_assert_route("office@c1.example", "mail", "LOCAL||info@c1.example|ok|");
	assert_int_equal(ask(domain_create, "company.com"), IPC_DIR_OK);
}

static void a_suspended_domain_waits(void **state)
{
	unsigned before;

	rig_prepare();
	assert_int_equal(ask(domain_suspend, "company.com"), IPC_DIR_BAD);
	before = rig.changed;
	assert_int_equal(ask(domain_suspend, "client1.com"), IPC_DIR_OK);
	assert_int_equal(rig.changed, before + 1);
	assert_int_equal(rig_rcpt("info@client1.com"), IPC_ROUTE_TRYLATER);
	assert_int_equal(rig_rcpt("nobody@client1.com"), IPC_ROUTE_TRYLATER);
	rig_assert_route("info@client1.com", "access", "LOCAL|||this domain is suspended");
	rig_restart();
	assert_int_equal(ask(domain_info, "client1.com"), IPC_DIR_OK);
	assert_data("3|client1.com|suspended|1|0|0|0|0");
	assert_int_equal(ask(account_create, "new@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_resume, "client1.com"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("info@client1.com"), IPC_ROUTE_OK);
}

static void postmaster_is_there_and_stays(void **state)
{
	assert_int_equal(ask(account_info, "postmaster"), IPC_DIR_OK);
	assert_data("2|postmaster@company.com|active|0");
	assert_int_equal(ask(account_delete, "postmaster"), IPC_DIR_BAD);
	assert_int_equal(
	    ask(settings_update, "account", "postmaster", "Suspended", "YES"), IPC_DIR_BAD);
	assert_int_equal(ask(account_rename, "postmaster", "p"), IPC_DIR_BAD);
	assert_int_equal(ask(account_set_aliases, "postmaster", "root"), IPC_DIR_OK);
	assert_int_equal(ask(account_rename, "root", "p"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "postmaster@d.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "postmaster@d.example"), IPC_DIR_OK);
}

static void whom_postmaster_is_led_to_keeps_master(void **state)
{
	assert_int_equal(ask(account_create, "chief"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<postmaster> = chief"), IPC_DIR_BAD);
	assert_int_equal(ask(rights_set, "chief", "Master"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<postmaster> = chief"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "chief", "Settings"), IPC_DIR_DENIED);
	assert_int_equal(ask(rights_set, "chief"), IPC_DIR_DENIED);
	assert_int_equal(
	    ask(settings_update, "account", "chief", "Suspended", "YES"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_rename, "chief", "head"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_delete, "chief"), IPC_DIR_DENIED);
	assert_int_equal(ask(rights_set, "chief", "Master", "Settings"), IPC_DIR_OK);
	rig_assert_route("postmaster", "mail", "LOCAL||chief@company.com|ok|");
	assert_int_equal(ask(router_set_table, ""), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "chief"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "chief"), IPC_DIR_OK);
}

static void chief_leads_postmaster(bool leads)
{
	rig_assert_route("postmaster", "mail",
	    leads ? "LOCAL||chief@company.com|ok|" : "LOCAL||postmaster@company.com|ok|");
	assert_int_equal(ask(router_set_table, ""), IPC_DIR_OK);
}

/* One of the two waits for the disk when the other is asked for: both would take the name away. */
static void whom_postmaster_is_about_to_be_led_to_keeps_master(void **state)
{
	static const char *const table[] = { "<postmaster> = chief", NULL };
	static const char *const none[] = { "chief", NULL };
	static const char *const asleep[] = { "account", "chief", "Suspended", "YES", NULL };

	assert_int_equal(ask(account_create, "chief"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "chief", "Master"), IPC_DIR_OK);
	rig_send(VERB_router_set_table, table);
	rig_ask(VERB_rights_set, none);
	chief_leads_postmaster(true);
	rig_send(VERB_router_set_table, table);
	rig_ask(VERB_settings_update, asleep);
	chief_leads_postmaster(true);
	rig_send(VERB_router_set_table, table);
	rig_ask(VERB_account_delete, none);
	chief_leads_postmaster(true);
	assert_int_equal(ask(rights_get, "chief"), IPC_DIR_OK);
	assert_data("Master");

	rig_send(VERB_settings_update, asleep);
	rig_ask(VERB_router_set_table, table);
	chief_leads_postmaster(false);
	assert_int_equal(ask(settings_update, "account", "chief", "Suspended", "NO"), IPC_DIR_OK);
	rig_send(VERB_rights_set, none);
	rig_ask(VERB_router_set_table, table);
	chief_leads_postmaster(false);
}

/* postmaster goes on to chief, whom everything leads to that `lead` says; then no change of it may
 * be made that leads elsewhere, and afterwards everything is as before. */
static void lead_postmaster(const char *table)
{
	assert_int_equal(ask(router_set_table, table), IPC_DIR_OK);
	rig_assert_route("postmaster", "mail", "LOCAL||chief@company.com|ok|");
}

static void still_led(void)
{
	rig_assert_route("postmaster", "mail", "LOCAL||chief@company.com|ok|");
	assert_int_equal(ask(router_set_table, ""), IPC_DIR_OK);
}

static void make_chief(void)
{
	rig_prepare();
	assert_int_equal(ask(account_create, "chief"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "chief", "Master"), IPC_DIR_OK);
}

/* All names that d.example does not have are his. */
static void make_chief_everybody(void)
{
	make_chief();
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "d.example", "e.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_ips, "d.example", "192.0.2.77"), IPC_DIR_OK);
	for (int mode = 0; mode < 3; mode++) {
		static const char *const keys[][2] = { { "MailToUnknown", "MailRerouteAddress" },
			{ "AccessToUnknown", "AccessRerouteAddress" },
			{ "SignalToUnknown", "SignalRerouteAddress" } };

		assert_int_equal(ask(settings_update, "domain", "d.example", keys[mode][0],
				     "\"Rerouted to\"", keys[mode][1], "chief@company.com"),
		    IPC_DIR_OK);
	}
}

static void what_leads_postmaster_stays(void **state)
{
	make_chief();
	assert_int_equal(ask(account_set_aliases, "chief", "boss", "head"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "on@client1.com", "boss@company.com"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "off@client1.com", "boss@company.com"), IPC_DIR_OK);

	lead_postmaster("<postmaster> = boss"); /* an alias */
	assert_int_equal(ask(account_set_aliases, "chief"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_set_aliases, "chief", "head", "third"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_aliases, "chief"), IPC_DIR_OK);
	assert_data("boss|head");
	assert_int_equal(ask(account_set_aliases, "chief", "boss", "third"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "fourth"), IPC_DIR_OK);
	still_led();

	lead_postmaster("<postmaster> = on@client1.com"); /* a forwarder, to an alias */
	assert_int_equal(ask(forwarder_delete, "on@client1.com"), IPC_DIR_DENIED);
	assert_int_equal(ask(forwarder_rename, "on@client1.com", "in@client1.com"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_set_aliases, "chief"), IPC_DIR_DENIED);
	assert_int_equal(ask(forwarder_delete, "off@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_suspend, "client1.com"), IPC_DIR_DENIED);
	assert_int_equal(ask(domain_rename, "client1.com", "other.example"), IPC_DIR_BAD);
	still_led();
}

static void names_that_lead_postmaster_are_not_taken(void **state)
{
	make_chief_everybody();
	lead_postmaster("<postmaster> = x@e.example");
	assert_int_equal(ask(account_create, "x@d.example"), IPC_DIR_DENIED);
	assert_int_equal(ask(group_create, "x@d.example"), IPC_DIR_DENIED);
	assert_int_equal(ask(list_create, "x@d.example", "ann"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_rename, "ann", "x@d.example"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_create, "y@d.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "y@d.example"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "domain", "d.example", "MailToUnknown", "Rejected"),
	    IPC_DIR_DENIED);
	assert_int_equal(ask(settings_set, "domain", "d.example"), IPC_DIR_DENIED);
	assert_int_equal(
	    ask(settings_update, "domain", "d.example", "SignalRerouteAddress", "ann@company.com"),
	    IPC_DIR_DENIED);
	assert_int_equal(
	    ask(settings_update, "domain", "d.example", "ExternalOnUnknown", "YES"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "d.example"), IPC_DIR_DENIED);
	assert_int_equal(
	    ask(domain_set_aliases, "d.example", "e.example", "f.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_delete, "d.example"), IPC_DIR_DENIED);
	still_led();
}

static void domains_that_lead_postmaster_stay(void **state)
{
	make_chief_everybody();
	lead_postmaster("<postmaster> = x@[192.0.2.77]");
	assert_int_equal(ask(domain_set_ips, "d.example"), IPC_DIR_DENIED);
	assert_int_equal(ask(domain_set_ips, "d.example", "192.0.2.77", "192.0.2.78"), IPC_DIR_OK);
	still_led();
	assert_int_equal(ask(settings_set, "domain", "d.example"), IPC_DIR_OK);
	lead_postmaster("<postmaster> = y@chief.local"); /* unless there is such a domain */
	assert_int_equal(ask(domain_create, "chief.local"), IPC_DIR_DENIED);
	assert_int_equal(ask(domain_set_aliases, "d.example", "chief.local"), IPC_DIR_DENIED);
	assert_int_equal(ask(domain_rename, "d.example", "chief.local"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_aliases, "d.example"), IPC_DIR_OK);
	assert_data("e.example");
	still_led();
	/* With no record all of it goes. */
	assert_int_equal(ask(domain_delete, "d.example"), IPC_DIR_OK);
}

/* Each of the two is right in the directory as it is, and both together would take Master's name
 * away: whoever is second is asked to try again, and then refused. */
static void two_changes_at_once_do_not_lead_postmaster_away(void **state)
{
	static const char *const lead_to_second[] = { "domain", "d.example", "MailRerouteAddress",
		"second@company.com", "AccessRerouteAddress", "second@company.com",
		"SignalRerouteAddress", "second@company.com", NULL };
	static const char *const none[] = { "second", NULL };
	static const char *const other[] = { "other@d.example", NULL };

	make_chief_everybody();
	assert_int_equal(ask(account_create, "second"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "second", "Master"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<postmaster> = x@e.example"), IPC_DIR_OK);

	rig_send(VERB_rights_set, none);
	rig_ask(VERB_settings_update, lead_to_second); /* its answer is the first of the two */
	rig_assert_route("postmaster", "mail", "LOCAL||chief@company.com|ok|");
	assert_int_equal(rig_ask(VERB_settings_update, lead_to_second), IPC_DIR_DENIED);
	assert_int_equal(ask(rights_set, "second", "Master"), IPC_DIR_OK);

	rig_send(VERB_settings_update, lead_to_second);
	rig_ask(VERB_rights_set, none);
	rig_assert_route("postmaster", "mail", "LOCAL||second@company.com|ok|");
	assert_int_equal(ask(rights_get, "second"), IPC_DIR_OK);
	assert_data("Master");
	assert_int_equal(rig_ask(VERB_rights_set, none), IPC_DIR_DENIED);

	/* What is beside the way does not wait. */
	rig_send(VERB_account_create, other);
	assert_int_equal(ask(forwarder_create, "one@d.example", "a@b.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_info, "other@d.example"), IPC_DIR_OK);
	rig_send(VERB_account_delete, other);
	assert_int_equal(ask(forwarder_delete, "one@d.example"), IPC_DIR_OK);

	/* An account that is being made takes the name of a record to come. */
	assert_int_equal(ask(router_set_table, ""), IPC_DIR_OK);
	rig.stored_mute = true;
	rig_send(VERB_account_create, other);
	assert_int_equal(ask(router_set_table, "<postmaster> = other@d.example"), IPC_DIR_TRYLATER);
	rig.stored_mute = false;
	rig_lose_stored();
	rig_connect_stored();
	rig_spin();
	assert_int_equal(ask(account_info, "other@d.example"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<postmaster> = other@d.example"), IPC_DIR_BAD);
}

/* The same when it is the names of a domain that lead it. */
static void names_on_their_way_lead_postmaster(void **state)
{
	static const char *const names[] = { "company.com", "new.example", NULL };
	static const char *const none[] = { "second", NULL };

	make_chief_everybody();
	assert_int_equal(ask(account_create, "second"), IPC_DIR_OK);
	assert_int_equal(ask(rights_set, "second", "Master"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "company.com", "old.test"), IPC_DIR_OK);
	assert_int_equal(
	    ask(router_set_table, "<postmaster> = chief@old.test\n<*@*.test> = second"),
	    IPC_DIR_OK);
	rig_assert_route("postmaster", "mail", "LOCAL||chief@company.com|ok|");

	rig_send(VERB_domain_set_aliases, names);
	rig_ask(VERB_rights_set, none); /* its answer is the first of the two */
	rig_assert_route("postmaster", "mail", "LOCAL||second@company.com|ok|");
	assert_int_equal(ask(rights_get, "second"), IPC_DIR_OK);
	assert_data("Master");
	assert_int_equal(rig_ask(VERB_rights_set, none), IPC_DIR_DENIED);
}

static void put_old_row(struct engine_batch *b, struct slice key, struct slice val)
{
	assert_int_equal(engine_put(b, key, val), 0);
}

#define ROW(key, val) put_old_row(b, SLICE(key), SLICE("\1" val))
#define ID(n)         "\0\0\0\0\0\0\0" n
#define NUM(n)        n "\0\0\0\0\0\0\0"

static void on_old_commit(void *arg, int rc)
{
	assert_int_equal(rc, 0);
}

/* Rows as they were before domains could be suspended and postmaster was made by itself. */
static void a_directory_of_an_older_version(void **state)
{
	struct engine_batch *b;

	rig_lose_stored();
	rig_lose_authd();
	for (int alias = 0; alias < 2; alias++) {
		b = db_begin(&rig.rd.db);
		assert_int_equal(engine_del_range(b, SLICE("A"), SLICE("z")), 0);
		ROW("D"
		    "old.example",
		    NUM("\1") "\2\1");
		ROW("N", NUM("\7"));
		ROW("O" ID("\1") "root", "\2\0" NUM("\2") NUM("\0"));
		if (alias)
			ROW("P" ID("\1") "postmaster", NUM("\2"));
		engine_commit(rig.engine, &b, 1, on_old_commit, NULL);
		rig_spin();
		rig_restart();
		assert_int_equal(ask(domain_info, ""), IPC_DIR_OK);
		assert_data(
		    alias ? "1|old.example|active|1|1|0|0|0" : "1|old.example|active|2|0|0|0|0");
		assert_int_equal(ask(account_info, "postmaster"), IPC_DIR_OK);
		assert_data(
		    alias ? "2|root@old.example|active|0" : "7|postmaster@old.example|active|0");
	}
}

static void objects_are_listed_in_pages(void **state)
{
	rig_prepare();
	assert_int_equal(ask(forwarder_create, "away", "a@remote.example"), IPC_DIR_OK);
	assert_int_equal(ask(group_create, "staff", "Members", "ann"), IPC_DIR_OK);
	assert_int_equal(ask(list_create, "news", "ann"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "account", "ben", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(ask(objects, "company.com", "", "100", ""), IPC_DIR_OK);
	assert_data("|3|1|1|1|1|account ann active|alias anne ann|forwarder away a@remote.example|"
		    "account ben suspended|list news ann@company.com|account postmaster active|"
		    "group staff 1");
	assert_int_equal(ask(objects, "", "", "3", ""), IPC_DIR_OK);
	assert_data(
	    "away|3|1|1|1|1|account ann active|alias anne ann|forwarder away a@remote.example");
	/* What comes in front does not move the next page. */
	assert_int_equal(ask(account_create, "aaa"), IPC_DIR_OK);
	assert_int_equal(ask(objects, "", "", "3", "away"), IPC_DIR_OK);
	assert_data("postmaster|4|1|1|1|1|account ben suspended|list news ann@company.com|account "
		    "postmaster active");
	assert_int_equal(ask(objects, "", "", "3", "postmaster"), IPC_DIR_OK);
	assert_data("|4|1|1|1|1|group staff 1");
	assert_int_equal(ask(objects, "", "AN", "9", "", "accounts", "Aliases"), IPC_DIR_OK);
	assert_data("|4|1|1|1|1|account ann active|alias anne ann");
	assert_int_equal(ask(objects, "", "", "0", "", "groups"), IPC_DIR_OK);
	assert_data("|4|1|1|1|1");
	assert_int_equal(ask(objects, "", "", "1", "", "cars"), IPC_DIR_BAD);
	assert_int_equal(ask(objects, "", "", "10001", ""), IPC_DIR_BAD);
}

static void a_full_disk_changes_no_object(void **state)
{
	struct engine_faults full = { .full = 1 }, none = { 0 };

	rig_prepare();
	assert_int_equal(ask(group_create, "staff", "Members", "ann"), IPC_DIR_OK);
	assert_int_equal(engine_faults_set(rig.engine, &full), 0);
	assert_int_equal(ask(account_rename, "ann", "ann@client1.com"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(group_set, "staff", "Members", "ben"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(group_rename, "staff", "crew"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(group_delete, "staff"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(forwarder_create, "away", "a@b.example"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(list_create, "news", "ann"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(domain_rename, "client1.com", "c2.example"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(domain_suspend, "client1.com"), IPC_DIR_TRYLATER);
	assert_int_equal(engine_faults_set(rig.engine, &none), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(objects, "", "", "100", ""), IPC_DIR_OK);
		assert_data(
		    "|3|1|0|1|0|account ann active|alias anne ann|account ben active|account "
		    "postmaster active|group staff 1");
		assert_int_equal(ask(objects, "client1.com", "", "100", ""), IPC_DIR_OK);
		assert_data("|1|0|0|0|0|account info active");
		rig_restart();
	}
	/* Nothing is held any more. */
	assert_int_equal(ask(account_rename, "ann", "ann@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(group_rename, "staff", "crew"), IPC_DIR_OK);
	assert_int_equal(ask(domain_rename, "client1.com", "c2.example"), IPC_DIR_OK);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		CASE(one_name_space_and_who_holds_a_name_is_told),
		CASE(special_names_of_the_main_domain_are_nobodys),
		CASE(forwarders_start_the_routing_over),
		CASE(lists_hold_their_names),
		CASE(an_account_moves_with_its_number),
		CASE(mail_under_way_goes_to_the_account),
		CASE(domains_are_renamed_with_all_that_is_in_them),
		CASE(a_suspended_domain_waits),
		CASE(postmaster_is_there_and_stays),
		CASE(whom_postmaster_is_led_to_keeps_master),
		CASE(whom_postmaster_is_about_to_be_led_to_keeps_master),
		CASE(what_leads_postmaster_stays),
		CASE(names_that_lead_postmaster_are_not_taken),
		CASE(domains_that_lead_postmaster_stay),
		CASE(two_changes_at_once_do_not_lead_postmaster_away),
		CASE(names_on_their_way_lead_postmaster),
		CASE(a_directory_of_an_older_version),
		CASE(objects_are_listed_in_pages),
		CASE(a_full_disk_changes_no_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
