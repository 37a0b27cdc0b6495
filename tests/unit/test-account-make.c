/* New accounts and domains with all that is said of them: whole, or not there. */
#include "tests/unit/routerd-rig.h"

static const char hash_text[] = "the given hash starts with {CRYPT}, {SCRAM-SHA-256} or {PLAIN}";

#define make_ann() ask(account_create, "ann", "secret", "RealName", "Ann", "MaxAccountSize", "2K")

static void send_ann(void)
{
	rig_send(
	    VERB_account_create, (const char *const[]){ "ann", "secret", "RealName", "Ann", NULL });
	rig_spin();
}

static void nothing_of_ann(void)
{
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_NOTFOUND);
	assert_int_equal(rig.drops, 1);
	assert_int_equal(rig.secret_drops, 1);
	rig.take_status = IPC_AUTH_OK;
	rig.authd_mute = rig.stored_mute = false;
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account", "ann", "explicit"), IPC_DIR_OK);
	assert_data("");
}

static void with_settings_and_secret(void **state)
{
	assert_int_equal(make_ann(), IPC_DIR_OK);
	assert_int_equal(rig.takes, 1);
	assert_int_equal(rig.take_sid, RIG_SID);
	assert_int_equal(rig.take_ask, 1);
	assert_int_equal(rig.makes, 2); /* postmaster is the first */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(settings_get, "account", "ann", "explicit"), IPC_DIR_OK);
		assert_data_has("RealName|Ann");
		assert_data_has("MaxAccountSize|2K");
		rig_restart();
	}
	assert_int_equal(rig.looks, 0);
	assert_int_equal(ask(account_create, "ben", ""), IPC_DIR_OK);
	assert_int_equal(rig.takes, 1);
}

static void what_is_wrong_leaves_nothing(void **state)
{
	assert_int_equal(ask(account_create, "ann", "secret", "Shoe", "9"), IPC_DIR_BAD);
	assert_data("Shoe is not a setting of ours");
	assert_int_equal(ask(account_create, "ann", "secret", "MaxAccountSize", "x"), IPC_DIR_BAD);
	assert_int_equal(ask(account_create, "ann", "secret", "RealName"), IPC_DIR_BAD);
	assert_int_equal(rig.takes, 0);
	assert_int_equal(rig.makes, 1);
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_NOTFOUND);
	assert_int_equal(make_ann(), IPC_DIR_OK);
	assert_int_equal(make_ann(), IPC_DIR_EXISTS);
}

static void a_secret_that_cannot_be_kept(void **state)
{
	rig.take_status = IPC_AUTH_SYNTAX;
	assert_int_equal(make_ann(), IPC_DIR_BAD);
	assert_data(hash_text);
	nothing_of_ann();
	rig.take_status = IPC_AUTH_TRYLATER;
	assert_int_equal(ask(account_create, "ben", "secret"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(account_info, "ben"), IPC_DIR_NOTFOUND);
}

/* routerd dies while authd has it, or has it not: the second has taken nothing. */
static void a_restart_asks_for_the_secret(void **state)
{
	for (int there = 0; there < 2; there++) {
		rig.authd_mute = true;
		send_ann();
		assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
		assert_data_has("|creating|");
		assert_int_equal(ask(account_create, "ann"), IPC_DIR_TRYLATER);
		assert_int_equal(rig_rcpt("ann"), IPC_ROUTE_UNKNOWN);
		rig.authd_mute = false;
		rig.look_status = there ? IPC_AUTH_OK : IPC_AUTH_BAD;
		rig_restart();
		assert_int_equal(rig.looks, there + 1);
		assert_int_equal(ask(account_info, "ann"), there ? IPC_DIR_OK : IPC_DIR_NOTFOUND);
		assert_int_equal(rig.drops, 1);
		assert_int_equal(rig.secret_drops, 1);
	}
	assert_data_has("|active|");
	assert_int_equal(ask(settings_get, "account", "ann", "explicit"), IPC_DIR_OK);
	assert_data_has("RealName|Ann");
}

static void nobody_knows_yet(void **state)
{
	rig.authd_mute = true;
	send_ann();
	rig.authd_mute = false;
	rig.look_status = IPC_AUTH_TRYLATER;
	rig_restart();
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_data_has("|creating|");
	rig.look_status = IPC_AUTH_OK;
	rig_lose_authd();
	rig_connect_authd();
	rig_spin();
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_data_has("|active|");
}

static void peers_go_away(void **state)
{
	rig.authd_mute = true;
	rig.look_status = IPC_AUTH_BAD;
	send_ann();
	assert_int_equal(rig.replies, 0);
	rig_lose_authd();
	rig_spin();
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.status, IPC_DIR_TRYLATER);
	assert_int_equal(make_ann(), IPC_DIR_TRYLATER);
	rig.authd_mute = false;
	rig_connect_authd();
	rig_spin();
	nothing_of_ann();
	/* stored answers last, and has what it made to forget. */
	rig.stored_mute = true;
	rig.take_status = IPC_AUTH_NOMECH;
	rig_send(VERB_account_create, (const char *const[]){ "ben", "secret", NULL });
	rig_spin();
	assert_int_equal(ask(account_info, "ben"), IPC_DIR_OK);
	assert_int_equal(rig.drops, 1);
	rig.stored_mute = false;
	rig_lose_stored();
	rig_connect_stored();
	rig_spin();
	assert_int_equal(ask(account_info, "ben"), IPC_DIR_NOTFOUND);
	assert_int_equal(rig.drops, 2);
}

/* Both are there, and the store's disk is not well: it follows without anybody's return. */
static void stored_cannot_now(void **state)
{
	rig.rd.resume_ms = 1;
	rig.stored_refuses = 3;
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_TRYLATER);
	for (int i = 0; i < 1000 && rig.stored_refuses > 0; i++)
		rig_spin();
	rig_spin();
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_data_has("|active|");
	rig.stored_refuses = 3;
	assert_int_equal(ask(account_delete, "ann"), IPC_DIR_TRYLATER);
	for (int i = 0; i < 1000 && rig.stored_refuses > 0; i++)
		rig_spin();
	rig_spin();
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_NOTFOUND);
}

static void an_answer_to_another_life_of_ours(void **state)
{
	struct ipc_secret_taken stale = { .account = 77, .status = IPC_AUTH_OK };

	rig.authd_mute = true;
	send_ann();
	for (stale.seq = 0; stale.seq < 50; stale.seq++)
		account_on_secret_taken(&rig.rd, &stale);
	rig_spin();
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_data_has("|creating|");
}

/* Who may make accounts but set no password makes them without. */
static void rights_count(void **state)
{
	rig.become_sid = RIG_SID;
	rig_prepare();
	assert_int_equal(
	    ask(rights_set, "info@client1.com", "Domain", "CanCreateAccounts"), IPC_DIR_OK);
	rig_become(rig_id("info@client1.com"));
	assert_int_equal(ask(account_create, "a@client1.com", "secret"), IPC_DIR_DENIED);
	assert_int_equal(ask(account_create, "a@client1.com", "", "RealName", "A"), IPC_DIR_OK);
	assert_int_equal(rig.takes, 0);
	assert_int_equal(ask(settings_get, "account", "a@client1.com", "explicit"), IPC_DIR_OK);
	assert_data("");
	rig_become(0);
	assert_int_equal(
	    ask(rights_set, "info@client1.com", "Domain", "CanCreateAccounts", "BasicSettings"),
	    IPC_DIR_OK);
	rig_become(rig_id("info@client1.com"));
	assert_int_equal(
	    ask(account_create, "b@client1.com", "secret", "RealName", "B"), IPC_DIR_OK);
	assert_int_equal(rig.takes, 1);
	assert_int_equal(ask(settings_get, "account", "b@client1.com", "explicit"), IPC_DIR_OK);
	assert_data("RealName|B");
}

static void a_full_disk_makes_nothing(void **state)
{
	struct engine_faults full = { .full = 1 }, none = { 0 };

	assert_int_equal(engine_faults_set(rig.engine, &full), 0);
	assert_int_equal(make_ann(), IPC_DIR_TRYLATER);
	assert_int_equal(
	    ask(domain_create, "d.example", "1", "192.0.2.1", "MailToUnknown", "Discarded"),
	    IPC_DIR_TRYLATER);
	assert_int_equal(engine_faults_set(rig.engine, &none), 0);
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_NOTFOUND);
	assert_int_equal(rig.takes, 0);
	assert_int_equal(ask(domain_create, "e.example", "1", "192.0.2.1"), IPC_DIR_OK);
}

static void domains_come_whole(void **state)
{
	assert_int_equal(ask(domain_create, "d.example", "2", "192.0.2.1", "192.0.2.8-192.0.2.9",
			     "MailToUnknown", "Discarded"),
	    IPC_DIR_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(domain_ips, "d.example"), IPC_DIR_OK);
		assert_data("192.0.2.1|192.0.2.8/31");
		assert_int_equal(ask(settings_get, "domain", "d.example", "explicit"), IPC_DIR_OK);
		assert_data("MailToUnknown|Discarded");
		rig_restart();
	}
	assert_int_equal(ask(domain_create, "e.example", "1", "192.0.2.8"), IPC_DIR_EXISTS);
	assert_int_equal(ask(domain_create, "e.example", "1", "192.0.2.x"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_create, "e.example", "2", "192.0.2.7"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_create, "e.example", "0", "Shoe", "9"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_create, "e.example", "1", "192.0.2.7", "Shoe"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_create, "e.example", "0", "RealName", "x"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_info, "e.example"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(domain_create, "e.example", "1", "192.0.2.7"), IPC_DIR_OK);
}

static uint32_t new_domain(const char *to)
{
	return ask(domain_create, "ben.local", "0", "MailToUnknown", "\"Rerouted to\"",
	    "MailRerouteAddress", to, "AccessToUnknown", "\"Rerouted to\"", "AccessRerouteAddress",
	    to, "SignalToUnknown", "\"Rerouted to\"", "SignalRerouteAddress", to);
}

/* The guard looks at the domain with what its settings do. */
static void a_new_domain_does_not_take_postmaster(void **state)
{
	rig_prepare();
	assert_int_equal(ask(rights_set, "ben", "Master"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<postmaster> = y@ben.local"), IPC_DIR_OK);
	rig_assert_route("postmaster", "mail", "LOCAL||ben@company.com|ok|");
	assert_int_equal(ask(domain_create, "ben.local"), IPC_DIR_DENIED);
	assert_int_equal(new_domain("ann@company.com"), IPC_DIR_DENIED);
	assert_int_equal(ask(domain_info, "ben.local"), IPC_DIR_NOTFOUND);
	assert_int_equal(new_domain("ben@company.com"), IPC_DIR_OK);
	rig_assert_route("postmaster", "mail", "LOCAL||ben@company.com|ok|");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(with_settings_and_secret),
		CASE(what_is_wrong_leaves_nothing), CASE(a_secret_that_cannot_be_kept),
		CASE(a_restart_asks_for_the_secret), CASE(nobody_knows_yet), CASE(peers_go_away),
		CASE(stored_cannot_now), CASE(an_answer_to_another_life_of_ours),
		CASE(rights_count), CASE(a_full_disk_makes_nothing), CASE(domains_come_whole),
		CASE(a_new_domain_does_not_take_postmaster) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
