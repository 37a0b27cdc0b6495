/* routerd and accounts that the external helper knows: which names are asked about, what is made.
 */
#include "tests/unit/routerd-rig.h"

#include <stdio.h>

static void switch_on(void)
{
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "domain", "d.example", "ExternalOnProvision", "YES"), IPC_DIR_OK);
}

static void mail_makes_the_account(void **state)
{
	switch_on();
	rig.helper = HELPER_MAKES;
	rig.new_quota = 1000;
	rig.real_name = "Ann \"D\" \\";
	assert_int_equal(rig_rcpt("Box#Ann+x@D.example"), IPC_ROUTE_OK);
	assert_string_equal(rig.provision_name, "ann@d.example");
	assert_int_equal(rig.provisions, 1);
	assert_int_equal(ask(settings_get, "account", "ann@d.example", "explicit"), IPC_DIR_OK);
	buf_cstr(&rig.data);
	assert_non_null(strstr((const char *)rig.data.p, "Ann \\\"D\\\" \\\\"));
	assert_non_null(strstr((const char *)rig.data.p, "1000"));
	/* Then it is like any other, also after a restart. */
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_OK);
	assert_int_equal(rig.provisions, 1);
	rig_restart();
	assert_int_equal(ask(account_list, "d.example"), IPC_DIR_OK);
	assert_data("ann");
}

static void others_are_not_asked_about(void **state)
{
	rig.helper = HELPER_MAKES;
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_UNKNOWN);
	switch_on();
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(rig_rcpt("a!b@d.example"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(rig_rcpt("-$@d.example"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(ask(domain_suspend, "d.example"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_TRYLATER);
	assert_int_equal(ask(domain_resume, "d.example"), IPC_DIR_OK);
	assert_int_equal(rig.provisions, 0);
	rig.helper = HELPER_UNKNOWN;
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(rig.provisions, 1);
	assert_int_equal(
	    ask(settings_update, "domain", "d.example", "MailToUnknown", "Discarded"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_DISCARD);
	assert_int_equal(rig.provisions, 1);
	/* Whom the helper does not know is bounced; for a report nobody is asked about. */
	assert_int_equal(ask(settings_update, "domain", "d.example", "MailToUnknown",
			     "\"Accepted and Bounced\""),
	    IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_BOUNCED);
	assert_int_equal(rig.provisions, 2);
	rig.helper = HELPER_MAKES;
	assert_int_equal(rig_report("ann@d.example"), IPC_ROUTE_NOTLOCAL);
	assert_int_equal(rig.provisions, 2);
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_OK);
	assert_int_equal(rig_report("ann@d.example"), IPC_ROUTE_OK);
}

static void the_store_may_be_away(void **state)
{
	switch_on();
	rig.helper = HELPER_MAKES;
	rig_lose_stored();
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_TRYLATER);
	/* It is on its way: nobody is asked twice. */
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_TRYLATER);
	assert_int_equal(rig.provisions, 1);
	rig_connect_stored();
	rig_spin();
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_OK);
	assert_int_equal(rig.provisions, 1);
	assert_int_equal(ask(account_list, "d.example"), IPC_DIR_OK);
	assert_data("ann");
}

static void authd_may_go_away(void **state)
{
	struct ipc_rcpt_ask m = { .seq = 3, .address = SLICE("ann@d.example") };
	unsigned before = rig.rcpt_replies;

	switch_on();
	rig.helper = HELPER_MUTE;
	ipc_send(rig.rcpt_end, IPC_rcpt_ask, &m, NULL);
	rig_spin();
	assert_int_equal(rig.rcpt_replies, before);
	rig_lose_authd();
	provision_on_authd_gone(&rig.rd);
	rig_spin();
	assert_int_equal(rig.rcpt_replies, before + 1);
	assert_int_equal(rig.status, IPC_ROUTE_TRYLATER);
	assert_int_equal(rig_rcpt("ann@d.example"), IPC_ROUTE_TRYLATER);
}

/* What authd asks for is looked at again: a taken source behind it has no say beyond the domain. */
static void only_there_and_only_new_names(void **state)
{
	static const char *const names[] = { "eve@company.com", "eve@nowhere.example", "eve", "",
		"a b@d.example", "eve@d.example@d.example", "grp@company.com" };

	switch_on();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rig.new_status = IPC_ROUTE_OK;
		rig_account_new(names[i]);
		rig_spin();
		assert_int_equal(rig.new_status, IPC_ROUTE_UNKNOWN);
	}
	assert_int_equal(ask(account_create, "ben@d.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ben@d.example", "bob"), IPC_DIR_OK);
	rig_account_new("bob@d.example");
	rig_spin();
	assert_int_equal(rig.new_status, IPC_ROUTE_TRYLATER);
	rig_account_new("ben@d.example");
	rig_spin();
	assert_int_equal(rig.new_status, IPC_ROUTE_OK);
	assert_false(rig.new_made);
	rig_account_new("new@d.example");
	rig_spin();
	assert_int_equal(rig.new_status, IPC_ROUTE_OK);
	assert_true(rig.new_account > 0 && rig.new_made);
	assert_int_equal(ask(account_list, "d.example"), IPC_DIR_OK);
	assert_data("ben|new");
	/* One that is made under another name than the recipient's gets it no mail. */
	rig.helper = HELPER_MAKES;
	rig.new_name = "other@d.example";
	assert_int_equal(rig_rcpt("cid@d.example"), IPC_ROUTE_UNKNOWN);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(mail_makes_the_account),
		CASE(others_are_not_asked_about), CASE(the_store_may_be_away),
		CASE(authd_may_go_away), CASE(only_there_and_only_new_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
