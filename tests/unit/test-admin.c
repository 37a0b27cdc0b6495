/* The administration protocol's core, with authd, routerd and stored played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/wire.h"
#include "protocols/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
#define VERB(name, ...) VERB_##name,
#include "common/ipc/verbs.def"
};

struct asked {
	enum front_peer to;
	enum ipc_type type;
	uint32_t seq, verb;
	char args[2000]; /* joined by '|' */
};

static struct {
	struct front_port port;
	struct front_facts facts;
	void *core;
	struct asked asked[400];
	size_t n;
	struct buf in;
	bool away;
} rig;

static int on_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	struct asked *q = &rig.asked[rig.n];
	const struct ipc_dir_ask *dir = msg;
	const struct ipc_secret_set *secret = msg;

	if (rig.away)
		return 1;
	assert_true(rig.n < 400);
	*q = (struct asked){ .to = to, .type = type };
	if (type == IPC_dir_ask) {
		struct wire_reader r = wire_reader(dir->args);

		q->seq = dir->seq;
		q->verb = dir->verb;
		while (wire_left(&r) > 0) {
			struct slice s = wire_get_bytes(&r, 100000);

			snprintf(q->args + strlen(q->args), sizeof(q->args) - strlen(q->args),
			    "%s%.*s", q->args[0] != '\0' ? "|" : "", (int)s.n,
			    s.n > 0 ? (const char *)s.p : "");
		}
	} else if (type == IPC_secret_set) {
		q->seq = secret->seq;
		snprintf(q->args, sizeof(q->args), "%llu|%.*s|%.*s",
		    (unsigned long long)secret->account, (int)secret->scheme.n,
		    secret->scheme.n > 0 ? (const char *)secret->scheme.p : "",
		    (int)secret->password.n,
		    secret->password.n > 0 ? (const char *)secret->password.p : "");
	} else if (type == IPC_secret_new) {
		const struct ipc_secret_new *new = msg;

		q->seq = new->seq;
		snprintf(q->args, sizeof(q->args), "%.*s|%.*s", SLICE_FMT(new->scheme),
		    SLICE_FMT(new->password));
	} else if (type != IPC_auth_peer) {
		q->seq = *(const uint32_t *)msg; /* seq is the first field of each */
	}
	rig.n++;
	return 0;
}

static void on_deadline(struct front_port *p, uint32_t ms)
{
}

static const struct front_port_ops port_ops = { on_send, on_deadline };
static const struct admin_conf conf = { 1000 };

static void run(void)
{
	size_t used = admin_core.feed(rig.core, buf_slice(&rig.in));

	buf_consume(&rig.in, used);
}

static void type_in(const char *text)
{
	buf_puts(&rig.in, text);
	run();
}

static void answer(enum front_peer from, enum ipc_type type, const void *m)
{
	admin_core.on_msg(rig.core, from, type, m);
	run();
}

static int setup(void **state)
{
	union ipc_any m = { .auth_admin = { .rights = IPC_RIGHT_MASTER } };

	memset(&rig, 0, sizeof(rig));
	rig.facts.host = SLICE("mail.example.test");
	rig.port =
	    (struct front_port){ .ops = &port_ops, .facts = &rig.facts, .out = BUF_INIT(20 << 20) };
	rig.in = BUF_INIT(1 << 20);
	rig.core = admin_core.start(&rig.port, &conf);
	assert_int_equal(rig.asked[0].type, IPC_auth_peer);
	answer(FRONT_AUTH, IPC_auth_admin, &m);
	assert_memory_equal(rig.port.out.p, "200 mail.example.test Gatehouse", 31);
	buf_reset(&rig.port.out);
	rig.n = 0;
	return 0;
}

static int teardown(void **state)
{
	admin_core.free(rig.core);
	buf_fini(&rig.port.out);
	buf_fini(&rig.in);
	return 0;
}

static void dir(size_t which, uint32_t status, bool more, const char *const *items)
{
	struct buf b = BUF_INIT(60000);
	union ipc_any m = { .dir_reply = {
				.seq = rig.asked[which].seq, .status = status, .more = more } };

	for (; *items != NULL; items++)
		wire_put_bytes(&b, slice_str(*items));
	m.dir_reply.data = buf_slice(&b);
	answer(FRONT_DIR, IPC_dir_reply, &m);
	buf_fini(&b);
}

#define ITEMS(...)                              \
	(const char *const[])                   \
	{                                       \
		__VA_ARGS__ __VA_OPT__(, ) NULL \
	}

static void secret_done(size_t which, uint32_t status)
{
	union ipc_any m = { .secret_done = { rig.asked[which].seq, status } };

	answer(FRONT_SECRETS, IPC_secret_done, &m);
}

static void replies(const char *want)
{
	assert_string_equal(buf_cstr(&rig.port.out), want);
	buf_reset(&rig.port.out);
}

static void accounts_are_made_with_their_password(void **state)
{
	type_in("createaccount ann@d.example {Password=\"a b\"; MaxAccountSize=2K;}\n");
	assert_int_equal(rig.asked[0].to, FRONT_SECRETS);
	assert_int_equal(rig.asked[0].type, IPC_secret_new);
	assert_string_equal(rig.asked[0].args, "|a b");
	assert_int_equal(rig.asked[1].verb, VERB_account_create);
	assert_int_equal(rig.asked[1].seq, rig.asked[0].seq);
	assert_string_equal(rig.asked[1].args, "ann@d.example|secret|MaxAccountSize|2K");
	assert_int_equal(rig.port.out.n, 0);
	dir(1, IPC_DIR_OK, false, ITEMS("77"));
	replies("200 done\r\n");
	type_in("CreateAccount ben MultiMailbox {PasswordHash=\"{CRYPT}$y$x\";}\r\n");
	assert_string_equal(rig.asked[2].args, "given|{CRYPT}$y$x");
	assert_string_equal(rig.asked[3].args, "ben|secret");
	dir(3, IPC_DIR_BAD, false, ITEMS("the given hash is none"));
	replies("501 the given hash is none\r\n");
	assert_int_equal(rig.asked[4].type, IPC_secret_forget);
	assert_int_equal(rig.asked[4].seq, rig.asked[2].seq);
	type_in("CreateAccount dan {Shoe=9; Password=\"\";}\n");
	assert_string_equal(rig.asked[5].args, "dan||Shoe|9");
	dir(5, IPC_DIR_BAD, false, ITEMS("Shoe is not a setting of accounts"));
	replies("501 Shoe is not a setting of accounts\r\n");
	type_in("CreateAccount cid\n");
	dir(6, IPC_DIR_EXISTS, false, ITEMS("an account with this name exists already"));
	replies("501 an account with this name exists already\r\n");
	assert_int_equal(rig.n, 7);
}

static void pipelined_creations_overlap_and_keep_their_order(void **state)
{
	type_in(
	    "CreateAccount a\nCreateAccount b\nCreateAccount c\nListDomains\nCreateAccount d\n");
	assert_int_equal(rig.n, 3);
	dir(2, IPC_DIR_OK, false, ITEMS("3"));
	dir(0, IPC_DIR_OK, false, ITEMS("1"));
	replies("200 done\r\n");
	assert_int_equal(rig.n, 3);
	dir(1, IPC_DIR_EXISTS, false, ITEMS("taken"));
	replies("501 taken\r\n200 done\r\n");
	assert_int_equal(rig.n, 4);
	dir(3, IPC_DIR_OK, false, ITEMS("d.example"));
	replies("200 data follow\r\n(\"d.example\")\r\n");
	assert_int_equal(rig.n, 5);
}

/* A flush of the disk for many; names in common wait, and what fails beside others is tried again.
 */
static void pipelined_aliases_mean_the_same_as_line_by_line(void **state)
{
	type_in("SetAccountAliases a (x, y)\nSetAccountAliases b (z)\n"
		"SetAccountAliases c@d.example (X)\nSetAccountAliases d ()\n");
	assert_int_equal(rig.n, 2);
	dir(1, IPC_DIR_EXISTS, false, ITEMS("taken"));
	replies("");
	assert_int_equal(rig.n, 2);
	dir(0, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n");
	assert_int_equal(rig.n, 3);
	assert_string_equal(rig.asked[2].args, "b|z");
	dir(2, IPC_DIR_EXISTS, false, ITEMS("taken still"));
	replies("501 taken still\r\n");
	assert_int_equal(rig.n, 5);
	assert_string_equal(rig.asked[3].args, "c@d.example|X");
	assert_string_equal(rig.asked[4].args, "d");
	dir(4, IPC_DIR_OK, false, ITEMS());
	dir(3, IPC_DIR_EXISTS, false, ITEMS("taken"));
	replies("501 taken\r\n200 done\r\n");
	assert_int_equal(rig.n, 5);
	type_in("SetAccountAliases e ()\nSetAccountAliases e (v)\nNOOP\n");
	assert_int_equal(rig.n, 6);
	dir(5, IPC_DIR_OK, false, ITEMS());
	assert_int_equal(rig.n, 7);
	dir(6, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n200 done\r\n200 done\r\n");
}

/* One with very many names is compared with none: it waits, and the next ones behind it. */
static void aliases_in_crowds_are_worked_on_alone(void **state)
{
	struct buf line = BUF_INIT(2000);

	buf_puts(&line, "SetAccountAliases a (x)\nSetAccountAliases b (");
	for (int i = 0; i < 64; i++)
		buf_printf(&line, "%sn%d", i > 0 ? "," : "", i);
	buf_puts(&line, ")\nSetAccountAliases c (y)\n");
	type_in(buf_cstr(&line));
	assert_int_equal(rig.n, 1);
	dir(0, IPC_DIR_OK, false, ITEMS());
	assert_int_equal(rig.n, 3);
	dir(2, IPC_DIR_OK, false, ITEMS());
	dir(1, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n200 done\r\n200 done\r\n");
	buf_fini(&line);
}

static void output_goes_inline_or_below(void **state)
{
	type_in("ListAccounts d.example\n");
	dir(0, IPC_DIR_OK, true, ITEMS("ann"));
	assert_int_equal(rig.port.out.n, 0);
	dir(0, IPC_DIR_OK, false, ITEMS("b.en"));
	replies("200 data follow\r\n{ann=MultiMailbox;\"b.en\"=MultiMailbox;}\r\n");
	type_in("INLINE\nRoute x mail\n");
	dir(1, IPC_DIR_OK, false, ITEMS("LOCAL", "", "ann@d", "ok", "given: x"));
	replies("200 done\r\n201 (LOCAL,\"\",\"ann@d\")\r\n");
	type_in("RouteLogin x LOCAL 192.0.2.1 DOMAIN d\n");
	assert_string_equal(rig.asked[2].args, "x|192.0.2.1|d");
	dir(2, IPC_DIR_OK, false, ITEMS("", "", "", "no such user here", "given: x"));
	replies("201 (\"\",\"\",\"\",\"no such user here\",\"given: x\")\r\n");
}

static void settings_of_domains(void **state)
{
	type_in("CreateDomain d.example {IPAddresses=(#I[192.0.2.1], \"2001:db8::1\");}\n");
	assert_int_equal(rig.asked[0].verb, VERB_domain_create);
	assert_string_equal(rig.asked[0].args, "d.example|2|192.0.2.1|2001:db8::1");
	dir(0, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n");
	type_in("CreateDomain e.example {A=#5; IPAddresses=(#I[192.0.2.2]);}\n");
	assert_string_equal(rig.asked[1].args, "e.example|1|192.0.2.2|A|#5");
	dir(1, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n");
	type_in("GetDomainSettings d.example\n");
	assert_string_equal(rig.asked[2].args, "domain|d.example|explicit");
	dir(2, IPC_DIR_OK, true, ITEMS("MailToUnknown", "Discarded", "Other"));
	dir(2, IPC_DIR_OK, false, ITEMS("(a,\"b c\")"));
	dir(3, IPC_DIR_OK, false, ITEMS("192.0.2.1"));
	replies("200 data follow\r\n{MailToUnknown=Discarded;Other=(a,\"b c\");"
		"IPAddresses=(\"192.0.2.1\");}\r\n");
	type_in("UpdateDomainSettings d.example {A=#5; IPAddresses=();}\n");
	replies("501 IPAddresses stands alone, in a command of its own\r\n");
	type_in("UpdateDomainSettings {A=#5; B=(\"x y\");}\n");
	assert_string_equal(rig.asked[4].args, "domain||A|#5|B|(\"x y\")");
	dir(4, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n");
	type_in("SetDomainAliases d.example (a.example, b.example)\nSetRouterTable \"a = b\\e<x> = "
		"y\"\n");
	dir(5, IPC_DIR_OK, false, ITEMS());
	assert_string_equal(rig.asked[5].args, "d.example|a.example|b.example");
	assert_string_equal(rig.asked[6].args, "a = b\n<x> = y");
	dir(6, IPC_DIR_OK, false, ITEMS());
	replies("200 done\r\n200 done\r\n");
	type_in("GetRouterTable\n");
	dir(7, IPC_DIR_OK, false, ITEMS("a = b", "<x> = y"));
	replies("200 data follow\r\n\"a = b\\e<x> = y\"\r\n");
}

static void wrong_commands_change_nothing(void **state)
{
	static const char *const bad[] = { "Frobnicate", "CreateAccount", "CreateAccount a {",
		"CreateAccount a {Password=(x);}", "CreateAccount a TextMailbox",
		"CreateAccount a PATH x", "SetDomainAliases d e", "SetAccountAliases a (b, (c))",
		"CreateGroup g {Members=((a));}", "RouteLogin a AT 1.2.3.4", "KillSession many",
		"SetAccountPassword a PASSWORD", "SetAccountPassword a PASSWORD b METHOD",
		"SetAccountPassword a PASSWORD CHECK", "SetAccountPassword a check",
		"SetAccountPassword a PASSWORD b TAG All", "ListDomainObjects d FILTER accounts 5",
		"WriteStorageFile a FILE f DATA hello", "GetMailboxRights a MAILBOX m",
		"UpdateAccountMailRule a", "UpdateAccountMailRule a (r) DELETE r", "HELP Nothing",
		"VerifyAccountPassword a WORD b", "CreateDomain d {IPAddresses=red;}",
		"GetVersion 1", "\x01", "ListDomains a b c d e f g h i j k l m n o p q r s" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		type_in(bad[i]);
		type_in("\r\n");
		if (rig.port.out.n < 4 || memcmp(rig.port.out.p, "501 ", 4) != 0 || rig.n != 0)
			fail_msg("%s: %.*s", bad[i], (int)rig.port.out.n, (char *)rig.port.out.p);
		buf_reset(&rig.port.out);
	}
	type_in("GetVersion\n");
	assert_memory_equal(rig.port.out.p, "200 data follow\r\n", 17);
}

/* The right is asked for, and no is no; whoever may hears that it is not here yet. */
static void later_asks_for_the_right_first(void **state)
{
	type_in("WriteStorageFile ann FILE f OFFSET BEG DATA [aGVsbG8=]\nShutdown\n");
	assert_int_equal(rig.asked[0].verb, VERB_later);
	assert_string_equal(rig.asked[0].args, "changes|CanAccessWebSites|own|ann");
	dir(0, IPC_DIR_DENIED, false, ITEMS("no"));
	assert_string_equal(rig.asked[1].args, "changes|Master|server|");
	dir(1, IPC_DIR_OK, false, ITEMS());
	type_in("GetDomainMailRules d\n");
	assert_string_equal(rig.asked[2].args, "looks|Domain|domain|d");
	dir(2, IPC_DIR_OK, false, ITEMS());
	replies("501 no\r\n"
		"501 Shutdown is not here yet: modules are set in the configuration, and the suite "
		"is stopped where it is started\r\n"
		"501 GetDomainMailRules is not here yet: it comes with rules\r\n");
}

static void quotes_make_a_value_of_a_keyword(void **state)
{
	type_in("SetAccountPassword ann PASSWORD \"CHECK\"\n");
	dir(0, IPC_DIR_OK, false, ITEMS("5", "ann@d", "active", "0"));
	assert_string_equal(rig.asked[1].args, "5||CHECK");
	secret_done(1, IPC_AUTH_OK);
	replies("200 done\r\n");
}

static void passwords_find_their_account_first(void **state)
{
	type_in("SetAccountPassword ann PASSWORD \"x y\" METHOD yescrypt\n");
	assert_int_equal(rig.asked[0].verb, VERB_account_info);
	dir(0, IPC_DIR_OK, false, ITEMS("5", "ann@d", "active", "0"));
	assert_string_equal(rig.asked[1].args, "5|yescrypt|x y");
	secret_done(1, IPC_AUTH_OK);
	type_in("VerifyAccountPassword ann PASSWORD z\n");
	dir(2, IPC_DIR_OK, false, ITEMS("5", "ann@d", "active", "0"));
	assert_int_equal(rig.asked[3].type, IPC_secret_check);
	secret_done(3, IPC_AUTH_BAD);
	replies("200 done\r\n501 the password is wrong\r\n");
}

static void sessions_and_figures(void **state)
{
	struct buf rows = BUF_INIT(1000);
	union ipc_any m = { 0 };

	wire_put_u64(&rows, 9);
	wire_put_u64(&rows, 5);
	wire_put_u64(&rows, 1700000000);
	wire_put_bytes(&rows, SLICE("ann@d"));
	wire_put_bytes(&rows, SLICE("pop3"));
	wire_put_bytes(&rows, slice_of("\x04\x7f\0\0\x01\0\x6e", 7));
	wire_put_u32(&rows, IPC_CONN_TLS);
	wire_put_bytes(&rows, SLICE("a \"x\""));
	type_in("ListSessions\nKillSession 9\nListStat\n");
	m.sess_rows = (struct ipc_sess_rows){ .seq = rig.asked[0].seq, .rows = buf_slice(&rows) };
	answer(FRONT_STORE, IPC_sess_rows, &m);
	assert_int_equal(rig.asked[1].verb, VERB_conn_list);
	assert_string_equal(rig.asked[1].args, "0");
	dir(1, IPC_DIR_OK, false, ITEMS());
	replies("200 data "
		"follow\r\n({ID=#9;SID=\"0-9\";AccountID=#5;Since=#1700000000;Account=\"ann@d\";"
		"Protocol=pop3;"
		"Address=\"127.0.0.1\";Transport=tls;Client=\"a \\\"x\\\"\";})\r\n");
	assert_int_equal(rig.asked[2].verb, VERB_conn_kick);
	assert_string_equal(rig.asked[2].args, "9|0");
	dir(2, IPC_DIR_NOTFOUND, false, ITEMS("none"));
	m.stat_reply =
	    (struct ipc_stat_reply){ .seq = rig.asked[3].seq, .status = IPC_ST_NOTFOUND };
	answer(FRONT_STORE, IPC_stat_reply, &m);
	replies("501 there is no such session\r\n");
	m.stat_reply =
	    (struct ipc_stat_reply){ .seq = rig.asked[4].seq, .text = SLICE("a.b 1\nc 2\n") };
	answer(FRONT_STORE, IPC_stat_reply, &m);
	dir(5, IPC_DIR_OK, false, ITEMS("d.e 3"));
	replies("200 data follow\r\n{\"a.b\"=#1;c=#2;\"d.e\"=#3;}\r\n");
	buf_fini(&rows);
}

/* The descriptor goes with the first byte of its own reply, behind those that wait, and only to a
 * program of this machine. */
static void sessions_of_accounts_are_passed_on(void **state)
{
	union ipc_any m = { 0 };

	type_in("OpenSession ann\n");
	replies("501 only over the administration socket of this machine\r\n");
	rig.facts.peer.family = 1;
	type_in("INLINE\nOpenSession ann\nNOOP\n");
	replies("200 done\r\n");
	buf_puts(&rig.port.out, "waits");
	dir(0, IPC_DIR_OK, false, ITEMS("7", "ann@d", "active", "1000"));
	assert_int_equal(rig.asked[1].type, IPC_sess_open);
	assert_false(rig.port.want_pass);
	m.sess_opened = (struct ipc_sess_opened){ rig.asked[1].seq };
	answer(FRONT_STORE, IPC_sess_opened, &m);
	assert_true(rig.port.want_pass && rig.port.pass_at == 5);
	replies("waits201 {AccountID=#7;Account=\"ann@d\";}\r\n200 done\r\n");
	rig.port.want_pass = false;
	type_in("OpenSession bob\n");
	dir(2, IPC_DIR_OK, false, ITEMS("8", "bob@d", "active", "0"));
	m.stat_reply = (struct ipc_stat_reply){ .seq = rig.asked[3].seq, .status = IPC_ST_DENIED };
	answer(FRONT_STORE, IPC_stat_reply, &m);
	replies("501 you may not open the mail of accounts\r\n");
	assert_false(rig.port.want_pass);
}

/* Longer than what is held of a connection's input, with the Router's table in mind. */
static void long_lines_come_in_pieces(void **state)
{
	static char text[100001];

	memset(text, 'x', 100000);
	type_in("SetAccountAliases u1 (");
	for (int i = 0; i < 3; i++)
		type_in(text);
	type_in("\r");
	assert_int_equal(rig.port.out.n, 0);
	assert_true(rig.in.n < 40000);
	type_in("\nNOOP\n");
	assert_non_null(strstr(buf_cstr(&rig.port.out), "501 "));
	assert_non_null(strstr(buf_cstr(&rig.port.out), "200 done"));
	buf_reset(&rig.port.out);
	for (int i = 0; i < 130 && !rig.port.want_close; i++)
		type_in(text);
	replies("501 the line is too long\r\n");
	assert_true(rig.port.want_close);
}

static void ends_are_told(void **state)
{
	type_in("ListDomains\nQUIT\n");
	admin_core.on_gone(rig.core, FRONT_DIR);
	run();
	assert_non_null(strstr(buf_cstr(&rig.port.out), "501 a server went away"));
	assert_true(rig.port.want_close);
}

static void quit_comes_after_what_was_asked(void **state)
{
	type_in("ListDomains\nQUIT\nListDomains\n");
	assert_false(rig.port.want_close);
	dir(0, IPC_DIR_OK, false, ITEMS());
	replies("200 data follow\r\n()\r\n200 closing\r\n");
	assert_true(rig.port.want_close);
	assert_int_equal(rig.n, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(accounts_are_made_with_their_password),
		CASE(pipelined_creations_overlap_and_keep_their_order),
		CASE(pipelined_aliases_mean_the_same_as_line_by_line),
		CASE(aliases_in_crowds_are_worked_on_alone),
		CASE(output_goes_inline_or_below),
		CASE(settings_of_domains),
		CASE(wrong_commands_change_nothing),
		CASE(later_asks_for_the_right_first),
		CASE(quotes_make_a_value_of_a_keyword),
		CASE(passwords_find_their_account_first),
		CASE(sessions_and_figures),
		CASE(sessions_of_accounts_are_passed_on),
		CASE(long_lines_come_in_pieces),
		CASE(ends_are_told),
		CASE(quit_comes_after_what_was_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
