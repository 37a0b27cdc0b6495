/* routerd with its peers played by the test: accounts over three databases, recipients, verbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/wire.h"
#include "routerd/routerd.h"

#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
#define VERB(name, least, most) VERB_##name,
#include "common/ipc/verbs.def"
};

static struct routerd rd;
static struct engine *engine;
static struct ipc_chan *stored_end, *admin_end, *rcpt_end;
static struct {
	unsigned makes, drops, targets, replies, rcpt_replies, more;
	bool stored_mute;
	uint32_t status, handle;
	uint64_t last_account;
	struct buf data;
} seen;

static void stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_account_done done = { .status = IPC_ST_OK };
	struct ipc_post_target_done target = { .status = IPC_ST_OK };

	if (seen.stored_mute)
		return;
	if (type == IPC_account_make) {
		seen.makes++;
		done.seq = m->account_make.seq;
		seen.last_account = m->account_make.account;
		ipc_send(c, IPC_account_done, &done, NULL);
	} else if (type == IPC_account_drop) {
		seen.drops++;
		done.seq = m->account_drop.seq;
		ipc_send(c, IPC_account_done, &done, NULL);
	} else if (type == IPC_post_target) {
		seen.targets++;
		target.seq = m->post_target.seq;
		target.status = m->post_target.quota == 1 ? IPC_ST_OVERQUOTA : IPC_ST_OK;
		ipc_send(c, IPC_post_target_done, &target, NULL);
	}
}

static void rd_from_stored(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_account_done)
		account_on_done(&rd, &m->account_done);
	else if (type == IPC_post_target_done)
		rcpt_on_target_done(&rd, &m->post_target_done);
}

static void admin_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_sender_reply) {
		seen.status = m->sender_reply.status;
		return;
	}
	if (type == IPC_rcpt_reply) {
		seen.rcpt_replies++;
		seen.status = m->rcpt_reply.status;
		seen.handle = m->rcpt_reply.handle;
		return;
	}
	seen.replies++;
	seen.more += m->dir_reply.more;
	seen.status = m->dir_reply.status;
	buf_put(&seen.data, m->dir_reply.data);
}

static void gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static const struct ipc_ops stored_ops = { stored_msg, gone, NULL },
			    rd_stored_ops = { rd_from_stored, gone, NULL },
			    admin_ops = { admin_msg, gone, NULL };

static void spin(void)
{
	for (int i = 0; i < 40; i++) {
		event_base_loop(rd.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
		if (i % 10 == 9)
			poll(NULL, 0, 1);
	}
}

static void connect_stored(void)
{
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	rd.stored = ipc_chan_new(rd.base, sv[0], IPC_CH_ROUTE_STORE, false, &rd_stored_ops, NULL);
	stored_end = ipc_chan_new(rd.base, sv[1], IPC_CH_ROUTE_STORE, true, &stored_ops, NULL);
}

static int setup(void **state)
{
	int sv[2];

	memset(&rd, 0, sizeof(rd));
	memset(&seen, 0, sizeof(seen));
	seen.data = BUF_INIT(10 << 20);
	rd.base = event_base_new();
	route_init(&rd.route);
	assert_int_equal(engine_open("mem", -1, NULL, &engine), 0);
	assert_int_equal(db_open(&rd.db, engine, SLICE("Company.com")), 0);
	connect_stored();
	assert_int_equal(ipc_pair(sv), 0);
	dir_on_open(&rd, &(struct ipc_dir_open){ .rights = IPC_RIGHT_MASTER }, sv[0]);
	admin_end = ipc_chan_new(rd.base, sv[1], IPC_CH_ADMIN_DIR, false, &admin_ops, NULL);
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(&rd, rd.stored, &(struct ipc_rcpt_attach){ .sid = 9 }, &sv[0]);
	rcpt_end = ipc_chan_new(rd.base, sv[1], IPC_CH_RCPT, false, &admin_ops, NULL);
	return 0;
}

static int teardown(void **state)
{
	ipc_chan_free(&admin_end);
	ipc_chan_free(&rcpt_end);
	spin();
	ipc_chan_free(&rd.stored);
	ipc_chan_free(&stored_end);
	db_close(&rd.db);
	engine_close(&engine);
	route_fini(&rd.route);
	event_base_free(rd.base);
	buf_fini(&seen.data);
	return 0;
}

static void send_verb(uint32_t verb, const char *const *args)
{
	struct buf b = BUF_INIT(61440);
	struct ipc_dir_ask m = { .seq = 1, .verb = verb };

	for (; *args != NULL; args++)
		wire_put_bytes(&b, slice_str(*args));
	m.args = buf_slice(&b);
	assert_int_equal(ipc_send(admin_end, IPC_dir_ask, &m, NULL), 0);
	buf_fini(&b);
}

/* One verb; the status, with the items joined by '|' in seen.data. */
static uint32_t ask_args(uint32_t verb, const char *const *args)
{
	unsigned before = seen.replies;
	struct wire_reader rdr;
	struct buf joined = BUF_INIT(1 << 20);

	buf_reset(&seen.data);
	send_verb(verb, args);
	spin();
	assert_true(seen.replies > before);
	rdr = wire_reader(buf_slice(&seen.data));
	while (wire_left(&rdr) > 0) {
		if (rdr.p != seen.data.p)
			buf_putc(&joined, '|');
		buf_put(&joined, wire_get_bytes(&rdr, UINT32_MAX));
	}
	assert_false(rdr.bad);
	buf_reset(&seen.data);
	buf_put(&seen.data, buf_slice(&joined));
	buf_fini(&joined);
	return seen.status;
}

#define ask(verb, ...) \
	ask_args(VERB_##verb, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define assert_data(text) assert_string_equal(buf_cstr(&seen.data), text)

static void accounts_live_only_when_all_have_them(void **state)
{
	assert_int_equal(ask(account_create, "Ann@company.com", "1000"), IPC_DIR_OK);
	assert_int_equal(seen.makes, 1);
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_EXISTS);
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_data("2|ann@company.com|active|1000");
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
	assert_data("a.nn|ann");
}

static void half_made_accounts_are_finished_later(void **state)
{
	seen.stored_mute = true;
	send_verb(VERB_account_create, (const char *const[]){ "ben", NULL });
	spin();
	assert_int_equal(seen.replies, 0);
	ipc_chan_free(&rd.stored);
	account_on_peer_gone(&rd);
	spin();
	assert_int_equal(seen.replies, 1);
	assert_int_equal(seen.status, IPC_DIR_TRYLATER);
	assert_int_equal(ask(route, "ben", "mail"), IPC_DIR_OK);
	assert_data("|||no such user here|given: ben|unknown: ben <- company.com");
	seen.stored_mute = false;
	ipc_chan_free(&stored_end);
	connect_stored();
	account_resume_all(&rd);
	spin();
	assert_int_equal(seen.makes, 1);
	assert_int_equal(ask(account_info, "ben"), IPC_DIR_OK);
	assert_data("2|ben@company.com|active|0");
}

static void everything_survives_a_restart(void **state)
{
	assert_int_equal(ask(domain_create, "Client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_create, "client1.COM"), IPC_DIR_EXISTS);
	assert_int_equal(
	    ask(domain_set_aliases, "client1.com", "mail.client1.com", "c1.example"), IPC_DIR_OK);
	assert_int_equal(
	    ask(domain_set_ips, "client1.com", "192.0.0.2", "2001:db8::2"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "info@c1.example", "77"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "info@client1.com", "office"), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<x> = office@c1.example\nlocalhost ="), IPC_DIR_OK);
	assert_int_equal(ask(router_set_table, "<x> = y\n*="), IPC_DIR_BAD);
	assert_data("line 2: wildcards are not supported by this version");
	assert_int_equal(ask(account_create, "held"), IPC_DIR_OK);
	assert_int_equal(ask(account_suspend, "held"), IPC_DIR_OK);
	db_close(&rd.db);
	assert_int_equal(db_open(&rd.db, engine, SLICE("ignored.example")), 0);
	assert_int_equal(ask(main_domain), IPC_DIR_OK);
	assert_data("company.com");
	assert_int_equal(ask(domain_aliases, "client1.com"), IPC_DIR_OK);
	assert_data("c1.example|mail.client1.com");
	assert_int_equal(ask(domain_ips, "client1.com"), IPC_DIR_OK);
	assert_data("192.0.0.2|2001:db8::2");
	assert_int_equal(ask(login, "office", "192.0.0.2"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&seen.data), "LOCAL||info@client1.com|ok|"));
	assert_int_equal(ask(route, "x"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&seen.data), "LOCAL||info@client1.com|ok|"));
	assert_int_equal(ask(account_info, "held"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&seen.data), "suspended"));
	assert_int_equal(ask(account_info, "info@client1.com"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&seen.data), "|77"));
	assert_int_equal(ask(account_create, "new"), IPC_DIR_OK);
	assert_int_equal(ask(domain_delete, "client1.com"), IPC_DIR_BAD);
	assert_int_equal(ask(domain_delete, "company.com"), IPC_DIR_BAD);
}

static uint32_t rcpt(const char *address)
{
	unsigned before = seen.rcpt_replies;
	struct ipc_rcpt_ask m = { .seq = 3, .address = slice_str(address) };

	ipc_send(rcpt_end, IPC_rcpt_ask, &m, NULL);
	spin();
	assert_int_equal(seen.rcpt_replies, before + 1);
	return seen.status;
}

static void recipients_are_registered_before_they_are_answered(void **state)
{
	uint32_t first;

	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "full", "1"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_OK);
	assert_int_equal(rcpt("ann@company.com"), IPC_ROUTE_OK);
	first = seen.handle;
	assert_int_equal(seen.targets, 1);
	assert_int_equal(rcpt("anne@company.com"), IPC_ROUTE_OK);
	assert_int_equal(seen.handle, first);
	assert_int_equal(rcpt("full@company.com"), IPC_ROUTE_OVERQUOTA);
	assert_int_equal(rcpt("nobody@company.com"), IPC_ROUTE_UNKNOWN);
	assert_int_equal(rcpt("a@remote.example"), IPC_ROUTE_NOTLOCAL);
	ipc_chan_free(&rd.stored);
	rcpt_on_stored_gone(&rd);
	assert_int_equal(rcpt("ann@company.com"), IPC_ROUTE_TRYLATER);
}

/* A connection for submission in place of the other; what it asks is answered, or it is ended. */
static void attach_submission(uint64_t sid)
{
	int sv[2];

	ipc_chan_free(&rcpt_end);
	spin();
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(&rd, rd.stored, &(struct ipc_rcpt_attach){ .sid = sid, .login = 1 }, &sv[0]);
	rcpt_end = ipc_chan_new(rd.base, sv[1], IPC_CH_RCPT, false, &admin_ops, NULL);
}

static uint32_t sender(const char *address)
{
	struct ipc_sender_ask m = { .seq = 4, .address = slice_str(address) };

	seen.status = UINT32_MAX;
	ipc_send(rcpt_end, IPC_sender_ask, &m, NULL);
	spin();
	return seen.status;
}

static void a_sender_is_the_logins_own(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_OK);
	assert_int_equal(
	    ask(router_set_table, "<sales> = ann\n<away> = a@remote.example"), IPC_DIR_OK);
	attach_submission(10);
	assert_int_equal(rcpt_on_login(&rd, 10, 2), IPC_ROUTE_OK);
	assert_int_equal(sender("ann@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("ANN+list@Company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("anne@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("sales@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender(""), IPC_ROUTE_OK);
	assert_int_equal(rcpt("ben@company.com"), IPC_ROUTE_OK);
	assert_int_equal(sender("ben@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("nobody@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("away@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("ann@remote.example"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("ann@remote.example@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(sender("null@company.com"), IPC_ROUTE_REFUSED);
	/* It changes while we are connected. */
	assert_int_equal(ask(account_set_aliases, "ann"), IPC_DIR_OK);
	assert_int_equal(sender("anne@company.com"), IPC_ROUTE_REFUSED);
	assert_int_equal(ask(account_suspend, "ann"), IPC_DIR_OK);
	assert_int_equal(sender("ann@company.com"), IPC_ROUTE_DISABLED);
	assert_int_equal(sender(""), IPC_ROUTE_DISABLED);
}

static bool is_gone(void)
{
	unsigned before = seen.rcpt_replies;
	struct ipc_rcpt_ask m = { .seq = 3, .address = SLICE("ben@company.com") };

	spin();
	ipc_send(rcpt_end, IPC_rcpt_ask, &m, NULL);
	spin();
	return seen.rcpt_replies == before;
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
	assert_int_equal(rcpt_on_login(&rd, 13, 2), IPC_ROUTE_OK);
	assert_int_equal(sender("ben@company.com"), IPC_ROUTE_REFUSED);
	assert_true(is_gone());
	/* One login; only where the acceptor said so; of accounts that are there. */
	attach_submission(14);
	assert_int_equal(rcpt_on_login(&rd, 14, 99), IPC_ROUTE_TRYLATER);
	assert_int_equal(rcpt_on_login(&rd, 14, 2), IPC_ROUTE_OK);
	assert_int_equal(rcpt_on_login(&rd, 14, 3), IPC_ROUTE_REFUSED);
	assert_int_equal(rcpt_on_login(&rd, 15, 2), IPC_ROUTE_TRYLATER);
	assert_int_equal(sender("ann@company.com"), IPC_ROUTE_OK);
	assert_false(is_gone());
	/* A new password ends what the old one began, and nothing else. */
	rcpt_on_logout(&rd, 3);
	assert_false(is_gone());
	rcpt_on_logout(&rd, 2);
	assert_true(is_gone());
}

static void a_full_disk_changes_nothing(void **state)
{
	struct engine_faults full = { .full = 1 }, none = { 0 };

	assert_int_equal(engine_faults_set(engine, &full), 0);
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_TRYLATER);
	assert_int_equal(engine_faults_set(engine, &none), 0);
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(engine_faults_set(engine, &full), 0);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(account_suspend, "ann"), IPC_DIR_TRYLATER);
	assert_int_equal(ask(domain_set_aliases, "", "other.example"), IPC_DIR_TRYLATER);
	assert_int_equal(engine_faults_set(engine, &none), 0);
	assert_int_equal(ask(account_aliases, "ann"), IPC_DIR_OK);
	assert_data("");
	assert_int_equal(ask(account_info, "ann"), IPC_DIR_OK);
	assert_non_null(strstr(buf_cstr(&seen.data), "|ann@company.com|active|0"));
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_aliases, "", "other.example"), IPC_DIR_OK);
}

static void long_listings_come_in_parts(void **state)
{
	char name[140];

	for (int i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "%0127d", i);
		send_verb(VERB_account_create, (const char *const[]){ name, NULL });
		if (i % 100 == 99)
			spin();
	}
	spin();
	assert_int_equal(seen.makes, 700);
	assert_int_equal(ask(account_list, "company.com"), IPC_DIR_OK);
	assert_true(seen.more > 0);
	assert_int_equal(seen.data.n, 700 * 128 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    accounts_live_only_when_all_have_them, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    half_made_accounts_are_finished_later, setup, teardown),
		cmocka_unit_test_setup_teardown(everything_survives_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    recipients_are_registered_before_they_are_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sender_is_the_logins_own, setup, teardown),
		cmocka_unit_test_setup_teardown(submission_asks_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(long_listings_come_in_parts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
