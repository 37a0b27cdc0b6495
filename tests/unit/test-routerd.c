/* routerd with its peers played by the test: accounts over three databases, recipients, verbs. */
#include "tests/unit/routerd-rig.h"

#include <stdio.h>

static void accounts_live_only_when_all_have_them(void **state)
{
	assert_int_equal(
	    ask(account_create, "Ann@company.com", "", "MaxAccountSize", "1000"), IPC_DIR_OK);
	assert_int_equal(rig.makes, 2);
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_EXISTS);
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_data("3|ann@company.com|active|1000");
	assert_int_equal(ask(account_set_aliases, "ann", "a.nn", "anne"), IPC_DIR_OK);
	assert_int_equal(ask(account_info, "ANNE@Company.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "anne", "anni"), IPC_DIR_OK);
	assert_int_equal(ask(account_aliases, "ann"), IPC_DIR_OK);
	assert_data("anne|anni");
	assert_int_equal(ask(account_create, "anni"), IPC_DIR_EXISTS);
	assert_int_equal(ask(account_create, "a.nn"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "bad name"), IPC_DIR_BAD);
	assert_int_equal(ask(account_create, "x@nowhere.example"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(account_list, ""), IPC_DIR_OK);
	assert_data("a.nn|ann|postmaster");
}

static void half_made_accounts_are_finished_later(void **state)
{
	rig.stored_mute = true;
	rig_send(VERB_account_create, (const char *const[]){ "ben", NULL });
	rig_spin();
	assert_int_equal(rig.replies, 0);
	ipc_chan_free(&rig.rd.stored);
	account_on_peer_gone(&rig.rd);
	rig_spin();
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.status, IPC_DIR_TRYLATER);
	assert_int_equal(ask(route, "ben", "mail"), IPC_DIR_OK);
	assert_data(
	    "|||no such user here|a name alone: no address is given, so it is of company.com|"
	    "given: ben|unknown: ben@company.com: MailToUnknown is Rejected (the default)");
	rig.stored_mute = false;
	rig_connect_stored();
	rig_spin();
	assert_int_equal(rig.makes, 2);
	assert_int_equal(ask(account_info, "ben"), IPC_DIR_OK);
	assert_data("3|ben@company.com|active|0");
}

/* The names of the Main Domain are taken off before the table is looked at. */
static void a_record_that_would_never_apply_is_refused(void **state)
{
	static const char *const dead[] = { "<x> = ann\nbig.example = other.example",
		"<x> = ann\n<y@big.example> = ann", "<x> = ann\n<y*@Big.Example> = ann",
		"<x> = ann\nA:company.com = other.example" };
	static const char *const fine[] = { "big.example =", "*.example = other.example",
		"<y@company.com> = ann", "<*@company.com> = ann", "c1.example = other.example" };

	rig_prepare();
	assert_int_equal(ask(domain_set_aliases, "company.com", "big.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "client1.com", "c1.example"), IPC_DIR_OK);
	for (size_t i = 0; i < sizeof(dead) / sizeof(dead[0]); i++) {
		assert_int_equal(ask(router_set_table, dead[i]), IPC_DIR_BAD);
		assert_data(
		    "line 2: this is a name of the Main Domain, which is taken off before the "
		    "table is looked at");
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		assert_int_equal(ask(router_set_table, fine[i]), IPC_DIR_OK);
	rig_assert_route("x@c1.example", "mail", "SMTP|other.example|");
	/* The other way round. */
	assert_int_equal(
	    ask(router_set_table, "<x> = ann\n<y@new.example> = ann\nold.example ="), IPC_DIR_OK);
	assert_int_equal(
	    ask(domain_set_aliases, "company.com", "big.example", "New.example"), IPC_DIR_BAD);
	assert_data("line 2 of the Router's table is for this name, and would never apply again");
	assert_int_equal(
	    ask(domain_set_aliases, "company.com", "big.example", "old.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "client1.com", "new.example"), IPC_DIR_OK);
}

static void everything_survives_a_restart(void **state)
{
	assert_int_equal(ask(domain_create, "Client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_create, "client1.COM"), IPC_DIR_EXISTS);
	assert_int_equal(
	    ask(domain_set_aliases, "client1.com", "mail.client1.com", "c1.example"), IPC_DIR_OK);
	assert_int_equal(
	    ask(domain_set_ips, "client1.com", "192.0.0.2", "2001:db8::2"), IPC_DIR_OK);
	assert_int_equal(
	    ask(account_create, "info@c1.example", "", "MaxAccountSize", "77"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "info@client1.com", "office"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<x> = office@c1.example\nlocalhost ="), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<x> = y\n*=*.*"), IPC_DIR_BAD);
	assert_data("line 2: more '*' on the right side than wildcards on the left");
	assert_int_equal(ask(account_create, "held"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "account", "held", "Suspended", "YES"), IPC_DIR_OK);
	db_close(&rig.rd.db);
	assert_int_equal(db_open(&rig.rd.db, rig.engine, SLICE("ignored.example")), 0);
	assert_int_equal(ask(main_domain), IPC_DIR_OK);
	assert_data("company.com");
	assert_int_equal(ask(domain_aliases, "client1.com"), IPC_DIR_OK);
	assert_data("c1.example|mail.client1.com");
	assert_int_equal(ask(domain_ips, "client1.com"), IPC_DIR_OK);
	assert_data("192.0.0.2|2001:db8::2");
	assert_int_equal(ask(login, "office", "192.0.0.2"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&rig.data), "LOCAL||info@client1.com|ok|"));
	assert_int_equal(ask(route, "x"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&rig.data), "LOCAL||info@client1.com|ok|"));
	assert_int_equal(ask(account_info, "held"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&rig.data), "suspended"));
	assert_int_equal(ask(account_info, "info@client1.com"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&rig.data), "|77"));
	assert_int_equal(ask(account_create, "new"), IPC_DIR_OK);
	assert_int_equal(ask(domain_delete, "client1.com"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_delete, "company.com"), IPC_DIR_BAD);
}

static void recipients_are_registered_before_they_are_answered(void **state)
{
	uint32_t first;

	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "full", "", "MaxAccountSize", "1"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	first = rig.handle;
	assert_int_equal(rig.targets, 1);
	assert_int_equal(rig_rcpt("anne@company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig.handle, first);
	assert_int_equal(rig_rcpt("full@company.com"), IPC_ROUTE_OVERQUOTA);
	assert_int_equal(rig_rcpt("nobody@company.com"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(rig_rcpt("a@remote.example"), IPC_ROUTE_NOTLOCAL);
	ipc_chan_free(&rig.rd.stored);
	rcpt_on_stored_gone(&rig.rd);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_TRYLATER);
}

/* A connection for submission in place of the other; what it asks is answered, or it is ended. */
static void attach_submission(uint64_t sid)
{
	int sv[2];

	ipc_chan_free(&rig.rcpt_end);
	rig_spin();
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(
	    &rig.rd, rig.rd.stored, &(struct ipc_rcpt_attach){ .sid = sid, .login = 1 }, &sv[0]);
	rig.rcpt_end = ipc_chan_new(rig.rd.base, sv[1], IPC_CH_RCPT, false, &rig_admin_ops, NULL);
}

static uint32_t sender(const char *address)
{
	struct ipc_sender_ask m = { .seq = 4, .address = slice_str(address) };

	rig.status = UINT32_MAX;
	ipc_send(rig.rcpt_end, IPC_sender_ask, &m, NULL);
	rig_spin();
	return rig.status;
}

static void a_sender_is_the_logins_own(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_OK);
	assert_int_equal(
	    ask(router_set_table, "<sales> = ann\n<away> = a@remote.example"), IPC_DIR_OK);
	attach_submission(10);
	assert_int_equal(rcpt_on_login(&rig.rd, 10, 3, 0), IPC_ROUTE_OK);
	assert_int_equal(sender("ann@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("ANN+list@Company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("anne@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("sales@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender(""), IPC_ROUTE_OK);
	assert_int_equal(rig_rcpt("ben@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("ben@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("nobody@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("away@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("ann@remote.example"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("ann@remote.example@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("null@company.com"), IPC_ROUTE_REFUSED);
	/* It changes while we are connected. */
	assert_int_equal(ask(account_set_aliases, "ann"), IPC_DIR_OK);
	assert_int_equal(sender("anne@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(ask(settings_update, "account", "ann", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(sender("ann@company.com"), IPC_ROUTE_DISABLED);
	assert_int_equal(sender(""), IPC_ROUTE_DISABLED);
}

static bool is_gone(void)
{
	unsigned before = rig.rcpt_replies;
	struct ipc_rcpt_ask m = { .seq = 3, .address = SLICE("ben@company.com") };

	rig_spin();
	ipc_send(rig.rcpt_end, IPC_rcpt_ask, &m, NULL);
	rig_spin();
	return rig.rcpt_replies == before;
}

static void submission_asks_in_order(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	/* No recipient and no sender before a login, no recipient before a sender of its own. */
	attach_submission(11);
	assert_true(is_gone());
	attach_submission(12);
	assert_int_equal(sender("ann@company.com"), UINT32_MAX);
	assert_true(is_gone());
	attach_submission(13);
	assert_int_equal(rcpt_on_login(&rig.rd, 13, 3, 0), IPC_ROUTE_OK);
	assert_int_equal(sender("ben@company.com"), IPC_ROUTE_REFUSED);
	assert_true(is_gone());
	/* One login; only where the acceptor said so; of accounts that are there. */
	attach_submission(14);
	assert_int_equal(rcpt_on_login(&rig.rd, 14, 99, 0), IPC_ROUTE_TRYLATER);
	assert_int_equal(rcpt_on_login(&rig.rd, 14, 3, 0), IPC_ROUTE_OK);
	assert_int_equal(rcpt_on_login(&rig.rd, 14, 4, 0), IPC_ROUTE_REFUSED);
	assert_int_equal(rcpt_on_login(&rig.rd, 15, 3, 0), IPC_ROUTE_TRYLATER);
	assert_int_equal(sender("ann@company.com"), IPC_ROUTE_OK);
	assert_false(is_gone());
	/* A new password ends what the old one began, and nothing else. */
	rcpt_on_logout(&rig.rd, 4);
	assert_false(is_gone());
	rcpt_on_logout(&rig.rd, 3);
	assert_true(is_gone());
}

static void who_is_bounced_and_who_is_told(void **state)
{
	static const char *const nobody[] = { "", "nobody@client1.com", "nobody@company.com",
		"null", "spamtrap", "x@blacklisted", "far@company.com", "team@company.com",
		"one@company.com", "ben@company.com", "ann@elsewhere.example" };
	uint32_t handle;

	rig_prepare();
	assert_int_equal(ask(settings_update, "domain", "client1.com", "MailToUnknown",
			     "\"Accepted and Bounced\""),
	    IPC_DIR_OK);
	assert_int_equal(ask(group_create, "team", "Members", "ann", "Members", "ben"), IPC_DIR_OK);
	assert_int_equal(ask(group_create, "one", "Members", "ann"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "far", "ann@elsewhere.example"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "account", "ben", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("Nobody+x@client1.com"), IPC_ROUTE_BOUNCED);
	assert_int_equal(rig_rcpt("nobody@company.com"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(rig_rcpt("info@client1.com"), IPC_ROUTE_OK);
	assert_int_equal(rig_report("ann@company.com"), IPC_ROUTE_OK);
	handle = rig.handle;
	assert_int_equal(rig_report("Anne+detail@Company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig.handle, handle);
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++)
		if (rig_report(nobody[i]) == IPC_ROUTE_OK)
			fail_msg("%s may have a report", nobody[i]);
	assert_int_equal(ask(domain_suspend, "client1.com"), IPC_DIR_OK);
	assert_int_equal(rig_report("info@client1.com"), IPC_ROUTE_TRYLATER);
	rig.over_quota = rig_id("ann");
	assert_int_equal(rig_report("ann@company.com"), IPC_ROUTE_OVERQUOTA);
	rig_lose_stored();
	assert_int_equal(rig_report("ann@company.com"), IPC_ROUTE_TRYLATER);
}

/* On port 25 as often as one of failure; a login has it himself if it is nobody else's here. */
static void who_is_told_of_success(void **state)
{
	static const char *const nobody[] = { "", "nobody@company.com", "far@company.com",
		"team@company.com", "ann@elsewhere.example", "null" };
	enum { SHARE = BOUNCES_PER_MINUTE };
	unsigned left = 0;
	uint32_t handle;

	rig_prepare();
	assert_int_equal(ask(group_create, "team", "Members", "ann", "Members", "ben"), IPC_DIR_OK);
	assert_int_equal(ask(forwarder_create, "far", "ann@elsewhere.example"), IPC_DIR_OK);
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++)
		assert_int_equal(rig_told(nobody[i]), IPC_ROUTE_NOTLOCAL);
	while (left <= SHARE && rig_told("ann@company.com") == IPC_ROUTE_OK)
		left++;
	assert_in_range(left, 1, SHARE);
	assert_int_equal(rig.status, IPC_ROUTE_REFUSED);

	rig_submit(rig_id("ann"));
	assert_int_equal(rig_sender("ann@company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig_told("ann@company.com"), IPC_ROUTE_OK);
	handle = rig.handle;
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		assert_int_equal(rig_told(nobody[i]), IPC_ROUTE_OK);
		assert_int_equal(rig.handle, handle);
	}
	assert_int_equal(rig_told("ben@company.com"), IPC_ROUTE_OK);
	assert_int_not_equal(rig.handle, handle);
}

/* The connection with mail is a new one, of this service, from 192.0.2.`host`. */
static void attach_from(const char *service, uint8_t host)
{
	static uint64_t sid = 500;
	uint8_t peer[] = { 4, 192, 0, 2, host, 0, 25 };
	struct ipc_rcpt_attach m = {
		.sid = ++sid, .service = slice_str(service), .peer = slice_of(peer, sizeof(peer))
	};
	int sv[2];

	ipc_chan_free(&rig.rcpt_end);
	rig_spin();
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(&rig.rd, rig.rd.stored, &m, &sv[0]);
	rig.rcpt_end = ipc_chan_new(rig.rd.base, sv[1], IPC_CH_RCPT, false, &rig_admin_ops, NULL);
}

static void mail_of_black_listed_hosts_goes_another_way(void **state)
{
	rig_prepare();
	assert_int_equal(
	    ask(settings_update, "server", "", "BlacklistedIPs", "(\"192.0.2.8/30\")"), IPC_DIR_OK);
	attach_from("smtp", 7);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	attach_from("smtp", 12);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	attach_from("lmtp", 9);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	attach_from("smtp", 9);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(rig_rcpt("ann"), IPC_ROUTE_REFUSED);
	assert_int_equal(rig_rcpt("ann%company.com@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(rig_rcpt("null@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(ask(router_set_table, "<blacklist-admin*@blacklisted> = ben\n"
					       "<info%client1.com@blacklisted> = info@client1.com"),
	    IPC_DIR_OK);
	assert_int_equal(rig_rcpt("blacklist-admin@company.com"), IPC_ROUTE_OK);
	assert_int_equal(rig_rcpt("blacklist-admin"), IPC_ROUTE_OK);
	assert_int_equal(rig_rcpt("Info@Client1.com"), IPC_ROUTE_OK);
	assert_int_equal(rig_rcpt("ben@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(
	    ask(settings_update, "server", "", "BlacklistedIPs", "default"), IPC_DIR_OK);
	attach_from("smtp", 9);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
}

static void reports_have_a_limit(void **state)
{
	struct bounces b = { 0 };

	for (int i = 0; i < BOUNCES_PER_MINUTE; i++)
		assert_true(bounces_take(&b, 7, 600 + i));
	assert_false(bounces_take(&b, 7, 659));
	assert_false(bounces_take(&b, 7 + BOUNCE_SLOTS, 659)); /* they share one */
	assert_true(bounces_take(&b, 8, 659));
	assert_true(bounces_take(&b, 7, 660));
	for (unsigned i = 1; i < BOUNCES_ALL_PER_MINUTE; i++)
		assert_true(bounces_take(&b, 100 + i % 500, 661));
	assert_false(bounces_take(&b, 9, 661));
	assert_true(bounces_take(&b, 9, 720));
}

static void a_full_disk_changes_nothing(void **state)
{
	struct engine_faults full = { .full = 1 }, none = { 0 };

	assert_int_equal(engine_faults_set(rig.engine, &full), 0);
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_TRYLATER);
	assert_int_equal(engine_faults_set(rig.engine, &none), 0);
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(engine_faults_set(rig.engine, &full), 0);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_TRYLATER);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "Suspended", "YES"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(domain_set_aliases, "", "other.example"), IPC_DIR_TRYLATER);
	assert_int_equal(engine_faults_set(rig.engine, &none), 0);
	assert_int_equal(ask(account_aliases, "ann"), IPC_DIR_OK);
	assert_data("");
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&rig.data), "|ann@company.com|active|0"));
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "", "other.example"), IPC_DIR_OK);
}

/* A long table is compiled in steps: who asks meanwhile has his answer before it. */
static void a_long_table_holds_nobody_up(void **state)
{
	static const char busy[] = "another table is on its way: try again";
	struct buf text = BUF_INIT(60000);

	rig_prepare();
	for (int i = 0; i < 3500; i++)
		buf_printf(&text, "<n%d> = ann\n", i);
	buf_puts(&text, "wrong");
	for (int wrong = 1; wrong >= 0; wrong--) {
		if (!wrong)
			text.n -= 5;
		rig.replies = 0;
		buf_reset(&rig.data);
		rig_send(VERB_router_set_table, (const char *const[]){ buf_cstr(&text), NULL });
		rig_send(VERB_router_set_table, (const char *const[]){ "<n1> = ben", NULL });
		rig_send(VERB_route, (const char *const[]){ "ben", "mail", NULL });
		rig_spin();
		assert_int_equal(rig.replies, 3);
		assert_int_equal(rig.status, wrong ? IPC_DIR_BAD : IPC_DIR_OK);
		assert_non_null(memmem(rig.data.p, rig.data.n, busy, sizeof(busy) - 1));
		assert_null(rig.rd.table_job);
		rig_assert_route(
		    "n3499", "mail", wrong ? "|||no such user here" : "LOCAL||ann@company.com|ok");
	}
	rig_restart();
	rig_assert_route("n3499", "mail", "LOCAL||ann@company.com|ok");
	assert_int_equal(ask(router_set_table, "<n1> = ben"), IPC_DIR_OK);
	rig_assert_route("n1", "mail", "LOCAL||ben@company.com|ok");
	buf_fini(&text);
}

/* Only parts of the table that differ are written: what is read after a restart is the new one. */
static void a_changed_table_is_whole_after_a_restart(void **state)
{
	static const struct {
		unsigned lines, changed; /* 0: none is */
	} tables[] = { { 300, 0 }, { 300, 150 }, { 301, 0 }, { 300, 299 }, { 299, 1 }, { 3, 2 },
		{ 0, 0 }, { 200, 0 }, { 40, 0 } };
	struct buf text = BUF_INIT(1 << 20);

	rig_prepare();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		buf_reset(&text);
		for (unsigned k = 1; k <= tables[i].lines; k++)
			buf_printf(&text, "%s<n%05u> = %s", k > 1 ? "\n" : "", k,
			    k == tables[i].changed ? "xyz" : "ann");
		assert_int_equal(
		    ask(router_set_table, tables[i].lines > 0 ? buf_cstr(&text) : ""), IPC_DIR_OK);
		rig_restart();
		assert_true(slice_eq(table_text(rig.rd.db.dir.table), buf_slice(&text)));
	}
	buf_fini(&text);
}

static void on_dropped(void *arg, int rc)
{
	*(bool *)arg = rc == ENGINE_OK;
}

/* As after a salvage that lost some of it: the rest is read, and no longer in its places. */
static void a_table_that_lacks_a_part_is_written_whole(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct engine_batch *b;
	bool dropped = false;

	rig_prepare();
	for (unsigned k = 1; k <= 300; k++)
		buf_printf(&text, "%s<n%06u> = ann", k > 1 ? "\n" : "", k); /* 64 make a part */
	assert_int_equal(ask(router_set_table, buf_cstr(&text)), IPC_DIR_OK);
	b = db_begin(&rig.rd.db);
	assert_non_null(b);
	assert_int_equal(engine_del(b, SLICE("T\0\1")), 0);
	engine_commit(rig.engine, &b, 1, on_dropped, &dropped);
	rig_spin();
	assert_true(dropped);
	for (int i = 0; i < 2; i++) {
		rig_restart();
		buf_reset(&text);
		for (unsigned k = 1; k <= 300; k++)
			if (k <= 64 || k > 128)
				buf_printf(&text, "%s<n%06u> = %s", k > 1 ? "\n" : "", k,
				    k == 300 ? "xyz" : "ann");
		if (i == 0)
			assert_int_equal(ask(router_set_table, buf_cstr(&text)), IPC_DIR_OK);
	}
	assert_true(slice_eq(table_text(rig.rd.db.dir.table), buf_slice(&text)));
	buf_fini(&text);
}

static void long_listings_come_in_parts(void **state)
{
	char name[140];

	for (int i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "%0127d", i);
		rig_send(VERB_account_create, (const char *const[]){ name, NULL });
		if (i % 100 == 99)
			rig_spin();
	}
	rig_spin();
	assert_int_equal(rig.makes, 701);
	assert_int_equal(ask(account_list, "company.com"), IPC_DIR_OK);
	assert_true(rig.more > 0);
	assert_int_equal(rig.data.n, 700 * 128 - 1 + 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    accounts_live_only_when_all_have_them, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    half_made_accounts_are_finished_later, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_record_that_would_never_apply_is_refused, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    everything_survives_a_restart, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    recipients_are_registered_before_they_are_answered, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_sender_is_the_logins_own, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_changed_table_is_whole_after_a_restart, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_table_that_lacks_a_part_is_written_whole, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(submission_asks_in_order, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    who_is_bounced_and_who_is_told, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    mail_of_black_listed_hosts_goes_another_way, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(who_is_told_of_success, rig_setup, rig_teardown),
		cmocka_unit_test(reports_have_a_limit),
		cmocka_unit_test_setup_teardown(
		    a_full_disk_changes_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_long_table_holds_nobody_up, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    long_listings_come_in_parts, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
