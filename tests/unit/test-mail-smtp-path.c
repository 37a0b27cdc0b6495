/* The paths of MAIL and RCPT: what is one, what it means, and that printing gives it back. */
#include "common/mail/smtp_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L63 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct {
	const char *name, *in;
	int want;
	enum smtp_path_kind kind;
	bool utf8;
	const char *local, *domain, *rest, *printed;
} cases[] = {
	{ "a plain mailbox", "<a@b.example>", 0, SMTP_PATH_DOMAIN, 0, "a", "b.example", "",
	    "<a@b.example>" },
	{ "parameters follow", "<a@b> SIZE=1", 0, SMTP_PATH_DOMAIN, 0, "a", "b", " SIZE=1",
	    "<a@b>" },
	{ "blanks before", "  <a@b>", 0, SMTP_PATH_DOMAIN, 0, "a", "b", "", "<a@b>" },
	{ "the null path", "<> BODY=7BIT", 0, SMTP_PATH_NULL, 0, "", "", " BODY=7BIT", "<>" },
	{ "postmaster alone", "<Postmaster>", 0, SMTP_PATH_LOCAL, 0, "Postmaster", "", "",
	    "<Postmaster>" },
	{ "a source route is dropped", "<@x.example,@y:a@b>", 0, SMTP_PATH_DOMAIN, 0, "a", "b", "",
	    "<a@b>" },
	{ "a quoted local part", "<\"a b\\\"@\"@c>", 0, SMTP_PATH_DOMAIN, 0, "a b\"@", "c", "",
	    "<\"a b\\\"@\"@c>" },
	{ "needless quotes vanish", "<\"a.b\"@c>", 0, SMTP_PATH_DOMAIN, 0, "a.b", "c", "",
	    "<a.b@c>" },
	{ "quotes stay around a lone dot", "<\".\"@c>", 0, SMTP_PATH_DOMAIN, 0, ".", "c", "",
	    "<\".\"@c>" },
	{ "an IPv4 literal", "<a@[192.0.2.1]>", 0, SMTP_PATH_LITERAL, 0, "a", "[192.0.2.1]", "",
	    "<a@[192.0.2.1]>" },
	{ "an IPv6 literal", "<a@[IPv6:2001:db8::1]>", 0, SMTP_PATH_LITERAL, 0, "a",
	    "[IPv6:2001:db8::1]", "", "<a@[IPv6:2001:db8::1]>" },
	{ "a general literal", "<a@[x-tag:data]>", 0, SMTP_PATH_LITERAL, 0, "a", "[x-tag:data]", "",
	    "<a@[x-tag:data]>" },
	{ "UTF-8 is told", "<\xc3\xbc@b\xc3\xbc.example>", 0, SMTP_PATH_DOMAIN, 1, "\xc3\xbc",
	    "b\xc3\xbc.example", "", "<\xc3\xbc@b\xc3\xbc.example>" },
	{ "64 octets of local part", "<" A64 "@b>", 0, SMTP_PATH_DOMAIN, 0, A64, "b", "",
	    "<" A64 "@b>" },
	{ "a label of 63", "<a@" L63 ">", 0, SMTP_PATH_DOMAIN, 0, "a", L63, "", "<a@" L63 ">" },
	{ "65 octets of local part", "<a" A64 "@b>", SMTP_PATH_LONG },
	{ "a label of 64", "<a@b" L63 ">", SMTP_PATH_LONG },
	{ "more than 256 octets", "<" A64 "@" L63 "." L63 "." L63 ">", SMTP_PATH_LONG },
	{ "bad UTF-8", "<\xc3@b>", SMTP_PATH_SYNTAX },
	{ "bad UTF-8 in the domain", "<a@\xff>", SMTP_PATH_SYNTAX },
	{ "no brackets", "a@b", SMTP_PATH_SYNTAX },
	{ "nothing", "", SMTP_PATH_SYNTAX },
	{ "no end", "<a@b", SMTP_PATH_SYNTAX },
	{ "two ats", "<a@b@c>", SMTP_PATH_SYNTAX },
	{ "no local part", "<@b>", SMTP_PATH_SYNTAX },
	{ "a route to nothing", "<@b:>", SMTP_PATH_SYNTAX },
	{ "no domain", "<a@>", SMTP_PATH_SYNTAX },
	{ "a dot first", "<.a@b>", SMTP_PATH_SYNTAX },
	{ "a dot last", "<a.@b>", SMTP_PATH_SYNTAX },
	{ "two dots", "<a..b@c>", SMTP_PATH_SYNTAX },
	{ "a dot at the domain's end", "<a@b.>", SMTP_PATH_SYNTAX },
	{ "a label begins with a dash", "<a@-b>", SMTP_PATH_SYNTAX },
	{ "a label ends with a dash", "<a@b-.c>", SMTP_PATH_SYNTAX },
	{ "a blank inside", "<a b@c>", SMTP_PATH_SYNTAX },
	{ "a quote without end", "<\"a@c>", SMTP_PATH_SYNTAX },
	{ "a control byte in quotes", "<\"a\r\"@c>", SMTP_PATH_SYNTAX },
	{ "a line end after a backslash", "<\"a\\\n\"@c>", SMTP_PATH_SYNTAX },
	{ "a literal without end", "<a@[192.0.2.1>", SMTP_PATH_SYNTAX },
	{ "an empty literal", "<a@[]>", SMTP_PATH_SYNTAX },
	{ "a literal of five numbers", "<a@[1.2.3.4.5]>", SMTP_PATH_SYNTAX },
	{ "an IPv6 literal without its tag", "<a@[2001:db8::1]>", 0, SMTP_PATH_LITERAL, 0, "a",
	    "[2001:db8::1]", "", "<a@[2001:db8::1]>" },
};

static void same(const char *name, struct slice got, const char *want)
{
	if (!slice_eq(got, slice_str(want)))
		fail_msg("%s: got '%.*s', want '%s'", name, SLICE_FMT(got), want);
}

static void paths_parse_as_listed(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_path p;
		struct slice rest;
		struct buf out = BUF_INIT(1024);
		int r = smtp_path_parse(slice_str(cases[i].in), &p, &rest);

		if (r != cases[i].want)
			fail_msg("%s: answer %d, want %d", cases[i].name, r, cases[i].want);
		if (r != 0)
			continue;
		if (p.kind != cases[i].kind || p.utf8 != cases[i].utf8)
			fail_msg("%s: kind %d utf8 %d", cases[i].name, (int)p.kind, p.utf8);
		same(cases[i].name, smtp_path_local(&p), cases[i].local);
		same(cases[i].name, smtp_path_domain(&p), cases[i].domain);
		same(cases[i].name, rest, cases[i].rest);
		smtp_path_print(&p, &out);
		same(cases[i].name, buf_slice(&out), cases[i].printed);
		buf_fini(&out);
	}
}

static void bare_addresses_need_a_domain(void **state)
{
	struct smtp_path p;

	assert_int_equal(smtp_path_parse_address(SLICE("a@b.example"), &p), 0);
	assert_int_equal(smtp_path_parse_address(SLICE("a"), &p), SMTP_PATH_SYNTAX);
	assert_int_equal(smtp_path_parse_address(SLICE("a@b "), &p), SMTP_PATH_SYNTAX);
	assert_int_equal(smtp_path_parse_address(SLICE("a@b>"), &p), SMTP_PATH_SYNTAX);
	assert_int_equal(smtp_path_parse_address(SLICE_NONE, &p), SMTP_PATH_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_parse_as_listed),
		cmocka_unit_test(bare_addresses_need_a_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
