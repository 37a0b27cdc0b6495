/* Where names lead: the worked examples of multihoming, aliases, records, and the odd forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "routerd/names.h"
#include "routerd/route.h"

static struct directory dir;
static struct route r;

static const char *const table_lines = "<John> = j.smith@client1.com ; moved\n"
				       "<old> = old@elsewhere.example\n"
				       "\n; only a comment\n"
				       "localhost =\n"
				       "gone.example = company.com\n"
				       "<ping> = pong\r\n<pong> = ping\n"
				       "<drop> = null\n<no> = error\n"
				       "<sales@client1.com> = info@client2.com\n"
				       "<full@company.com> = info@client2.com\n"
				       "<John> = nobody\n";

static struct object *account(const char *domain, const char *name)
{
	struct domain *dom = directory_domain(&dir, slice_str(domain));
	struct object *o =
	    directory_add_account(&dir, dom, slice_str(name), dir.next_id++, STATE_ACTIVE);

	assert_non_null(o);
	return o;
}

static int setup(void **state)
{
	static const char *const domains[] = { "company.com", "client1.com", "client2.com" };
	struct addr_range ip;
	unsigned line;
	const char *why;

	directory_init(&dir);
	route_init(&r);
	for (int i = 0; i < 3; i++) {
		assert_non_null(
		    directory_add_domain(&dir, slice_str(domains[i]), dir.next_id++, STATE_ACTIVE));
		account(domains[i], "info");
	}
	dir.main = directory_domain(&dir, SLICE("company.com"));
	assert_int_equal(addr_range_parse(SLICE("192.0.0.2"), &ip), 0);
	assert_int_equal(
	    directory_add_domain_ips(&dir, directory_domain(&dir, SLICE("client1.com")), &ip), 0);
	assert_int_equal(addr_range_parse(SLICE("2001:db8::2"), &ip), 0);
	assert_int_equal(
	    directory_add_domain_ips(&dir, directory_domain(&dir, SLICE("client2.com")), &ip), 0);
	assert_int_equal(
	    directory_add_domain_alias(
		&dir, directory_domain(&dir, SLICE("client1.com")), SLICE("mail.client1.com")),
	    0);
	account("client1.com", "j.smith");
	directory_add_alias(&dir, account("company.com", "jim"), SLICE("jim_smith"), STATE_ACTIVE);
	assert_non_null(
	    directory_add_list(&dir, dir.main, SLICE("news"), dir.next_id++, 1, STATE_ACTIVE));
	account("company.com", "ghost")->state = STATE_CREATING;
	account("company.com", "held")->suspended = true;
	assert_int_equal(table_compile(slice_str(table_lines), &dir.table, &line, &why), 0);
	return 0;
}

static int teardown(void **state)
{
	route_fini(&r);
	directory_fini(&dir);
	return 0;
}

static void logins_follow_name_then_protocol_then_address(void **state)
{
	static const struct {
		const char *row, *local, *domain, *typed, *account;
		enum ipc_route_status status;
	} cases[] = {
		{ "1 simple name, main address", "192.0.0.1", "", "info", "info@company.com",
		    IPC_ROUTE_OK },
		{ "2 simple name, assigned address", "192.0.0.2", "", "info", "info@client1.com",
		    IPC_ROUTE_OK },
		{ "3 the domain that was meant does not count", "192.0.0.1", "", "info",
		    "info@company.com", IPC_ROUTE_OK },
		{ "4 percent name", "192.0.0.1", "", "info%client2.com", "info@client2.com",
		    IPC_ROUTE_OK },
		{ "5 percent name beats the address", "192.0.0.2", "", "info%client2.com",
		    "info@client2.com", IPC_ROUTE_OK },
		{ "6 full name beats the address", "192.0.0.2", "", "info@company.com",
		    "info@company.com", IPC_ROUTE_OK },
		{ "7 FTP, simple name", "192.0.0.1", "", "info", "info@company.com", IPC_ROUTE_OK },
		{ "8 FTP, percent name", "192.0.0.1", "", "info%client2.com", "info@client2.com",
		    IPC_ROUTE_OK },
		{ "9 protocol domain", "192.0.0.1", "client2.com", "info", "info@client2.com",
		    IPC_ROUTE_OK },
		{ "10 full name beats the protocol domain", "192.0.0.1", "client2.com",
		    "info@client1.com", "info@client1.com", IPC_ROUTE_OK },
		{ "11 a host that is an address", "192.0.0.2", "192.0.0.2", "info",
		    "info@client1.com", IPC_ROUTE_OK },
		{ "11 an address of no domain", "192.0.0.2", "192.0.0.9", "info",
		    "info@company.com", IPC_ROUTE_OK },
		{ "12 protocol domain, XMPP", "192.0.0.1", "client2.com", "info",
		    "info@client2.com", IPC_ROUTE_OK },
		{ "12 protocol domain beats the address", "192.0.0.2", "client2.com", "info",
		    "info@client2.com", IPC_ROUTE_OK },
		{ "13 percent name beats the protocol domain", "192.0.0.1", "client2.com",
		    "info%client1.com", "info@client1.com", IPC_ROUTE_OK },
		{ "14 MAPI, name made full by the client", "192.0.0.1", "", "info@client2.com",
		    "info@client2.com", IPC_ROUTE_OK },
		{ "15 alias", "192.0.0.1", "", "jim_smith", "jim@company.com", IPC_ROUTE_OK },
		{ "16 plain", "192.0.0.1", "", "jim", "jim@company.com", IPC_ROUTE_OK },
		{ "17 record moves an account", "192.0.0.1", "", "john", "j.smith@client1.com",
		    IPC_ROUTE_OK },
		{ "19 a mailing list", "192.0.0.1", "", "news", NULL, IPC_ROUTE_NOTLOCAL },
		{ "20 routed to a remote host", "192.0.0.1", "", "old", NULL, IPC_ROUTE_NOTLOCAL },
		{ "21 nobody", "192.0.0.1", "", "nobody", NULL, IPC_ROUTE_UNKNOWN },
		{ "22 domain alias", "192.0.0.1", "", "info%mail.client1.com", "info@client1.com",
		    IPC_ROUTE_OK },
		{ "IPv6 address of a domain", "2001:db8::2", "", "info", "info@client2.com",
		    IPC_ROUTE_OK },
		{ "any case, blanks around", "192.0.0.1", "", " INFO@Client1.COM ",
		    "info@client1.com", IPC_ROUTE_OK },
		{ "the last percent counts", "192.0.0.1", "", "info%client1.com%company.com",
		    "info@client1.com", IPC_ROUTE_OK },
		{ "dropped names are no accounts", "192.0.0.1", "", "drop", NULL,
		    IPC_ROUTE_NOTLOCAL },
		{ "refused names", "192.0.0.1", "", "no", NULL, IPC_ROUTE_REFUSED },
		{ "a circle of records", "192.0.0.1", "", "ping", NULL, IPC_ROUTE_LOOP },
		{ "empty", "192.0.0.1", "", "  ", NULL, IPC_ROUTE_SYNTAX },
		{ "blank inside", "192.0.0.1", "", "in fo", NULL, IPC_ROUTE_SYNTAX },
		{ "an account being made", "192.0.0.1", "", "ghost", NULL, IPC_ROUTE_UNKNOWN },
		{ "a suspended account", "192.0.0.1", "", "held", NULL, IPC_ROUTE_DISABLED },
		{ "remote domain", "192.0.0.1", "", "a@b.example", NULL, IPC_ROUTE_NOTLOCAL },
		{ "unknown local address", "203.0.113.9", "", "info", "info@company.com",
		    IPC_ROUTE_OK },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf name = BUF_INIT(400);
		struct addr local;

		assert_int_equal(addr_parse_ip(slice_str(cases[i].local), &local), 0);
		route_login(
		    &dir, slice_str(cases[i].typed), slice_str(cases[i].domain), &local, &r);
		if (r.account != NULL)
			put_object_name(&name, r.account);
		if (r.status != cases[i].status ||
		    (cases[i].account != NULL &&
			!slice_eq(buf_slice(&name), slice_str(cases[i].account))))
			fail_msg("row %s: status %d %.*s\n%.*s", cases[i].row, r.status,
			    SLICE_FMT(buf_slice(&name)), SLICE_FMT(buf_slice(&r.trace)));
		buf_fini(&name);
	}
}

static void mail_follows_records_and_forms(void **state)
{
	static const struct {
		const char *text, *account;
		enum ipc_route_status status;
	} cases[] = {
		{ "john@company.com", "j.smith@client1.com", IPC_ROUTE_OK }, /* row 18 */
		{ "john@localhost", "j.smith@client1.com", IPC_ROUTE_OK },
		{ "jim@gone.example", "jim@company.com", IPC_ROUTE_OK },
		{ "jim+lists@company.com", "jim@company.com", IPC_ROUTE_OK },
		{ "sales@client1.com", "info@client2.com", IPC_ROUTE_OK },
		{ "full@company.com", "info@client2.com", IPC_ROUTE_OK },
		{ "full", "info@client2.com", IPC_ROUTE_OK },
		{ "info%client1.com@company.com", "info@client1.com", IPC_ROUTE_OK },
		{ "@company.com:info@client2.com", "info@client2.com", IPC_ROUTE_OK },
		{ "client2.com!info", "info@client2.com", IPC_ROUTE_OK },
		{ "drop@company.com", NULL, IPC_ROUTE_DISCARD },
		{ "x@elsewhere.example", NULL, IPC_ROUTE_NOTLOCAL },
		{ "x@bad..domain", NULL, IPC_ROUTE_SYNTAX },
		{ "@", NULL, IPC_ROUTE_SYNTAX },
		{ "@company.com", NULL, IPC_ROUTE_SYNTAX },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf name = BUF_INIT(400);

		route_address(&dir, slice_str(cases[i].text), ROUTE_MAIL, &r);
		if (r.account != NULL)
			put_object_name(&name, r.account);
		if (r.status != cases[i].status ||
		    (cases[i].account != NULL &&
			!slice_eq(buf_slice(&name), slice_str(cases[i].account))))
			fail_msg("%s: status %d %.*s\n%.*s", cases[i].text, r.status,
			    SLICE_FMT(buf_slice(&name)), SLICE_FMT(buf_slice(&r.trace)));
		buf_fini(&name);
	}
}

static void table_errors_name_their_line(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} cases[] = {
		{ "a.example = b.example\n<x = y\n", 2 },
		{ "no equals sign", 1 },
		{ "\n\n= x", 3 },
		{ "*.example = *.*.example", 1 },
		{ "Relay:NoRelay:a = b", 1 },
		{ "Rely:a = b", 1 },
		{ "<(d)> = c", 1 },
		{ "<(9-7d)> = c", 1 },
		{ "<(7d> = c", 1 },
		{ "<a = c", 1 },
		{ "<> = c", 1 },
		{ "A:S: = c", 1 },
		{ "a.example = [1.2.3]", 1 },
		{ "a.example = b:99999", 1 },
		{ "<a> = <b>", 1 },
		{ "<*********> = b", 1 },
		{ "a_example = b\n<b@c d> = e", 2 },
		{ "a.example = b c", 1 },
		{ "<a b> = c", 1 },
	};
	struct table *t = NULL;
	unsigned line;
	const char *why;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (table_compile(slice_str(cases[i].text), &t, &line, &why) != 1 ||
		    line != cases[i].line)
			fail_msg("%s", cases[i].text);
		assert_non_null(why);
	}
	assert_null(t);
}

static void names_are_held_to_their_form(void **state)
{
	static const char *const good[] = { "a", "john_smith", "a.b-c", "9" };
	static const char *const bad[] = { "", ".a", "a.", "a b", "a@b", "a%b", "\xc3\xa9", "a/b" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(name_valid(slice_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(name_valid(slice_str(bad[i])));
	assert_true(domain_valid(SLICE("a.b-c.example")));
	assert_false(domain_valid(SLICE("a..b")));
	assert_false(domain_valid(SLICE("a_b")));
	/* SMTP would not take them as the domain of a recipient. */
	assert_false(domain_valid(SLICE("-a.example")));
	assert_false(domain_valid(SLICE("a.b-.example")));
	assert_true(
	    domain_valid(SLICE("a"
			       "123456789012345678901234567890123456789012345678901234567890"
			       "12.example")));
	assert_false(
	    domain_valid(SLICE("a"
			       "123456789012345678901234567890123456789012345678901234567890"
			       "123.example")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logins_follow_name_then_protocol_then_address),
		cmocka_unit_test(mail_follows_records_and_forms),
		cmocka_unit_test(table_errors_name_their_line),
		cmocka_unit_test(names_are_held_to_their_form),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
