/*
 * The worked examples of the Router, one named case each, and its forms: suffixes, ports, addresses
 * in brackets, paths, special names, unknown names, relay marks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "routerd/route.h"
#include "routerd/settings.h"

struct row {
	const char *name, *table, *unknown, *given;
	enum route_mode mode;
	enum ipc_route_status status;
	const char *module, *queue, *address; /* module NULL: nothing was reached */
	enum route_relay relay;
	const char *mailbox, *detail;
	uint64_t action; /* with `unknown`: an address; without: one without address */
	bool absent;     /* aname@domain.dom does not exist */
};

#define FRIEND "u@friend.com"
#define WEB    "<LoginPage@*.domain.dom> = *@domain.dom"
#define REMOTE IPC_ROUTE_NOTLOCAL, "SMTP"
#define HERE   IPC_ROUTE_OK, "LOCAL", ""
#define NOBODY IPC_ROUTE_UNKNOWN, NULL, "", ""
#define YES    ROUTE_RELAY_YES
#define NO     ROUTE_RELAY_NO

static const struct row rows[] = {
	/* ---- the table of worked examples ---- */
	{ "1 unknown names are rerouted to the old server", "", "*%domain.dom@otherserver.dom.via",
	    "aname@domain.dom", ROUTE_MAIL, REMOTE, "otherserver.dom", "aname@domain.dom", YES,
	    .absent = true },
	{ "2 the account is here already", "", "*%domain.dom@otherserver.dom.via",
	    "aname@domain.dom", ROUTE_MAIL, HERE, "aname@domain.dom" },
	{ "3 unknown names are rerouted to an address", "", "*%domain.dom@[11.22.33.44]",
	    "aname@domain.dom", ROUTE_MAIL, REMOTE, "11.22.33.44", "aname@domain.dom", YES,
	    .absent = true },
	{ "4 backup for a whole domain", "Relay:friend.com = friend.com._via", NULL, FRIEND,
	    ROUTE_MAIL, REMOTE, "friend.com", FRIEND, YES },
	{ "5 backup by another host",
	    "Relay:<*@friend.com> = *%friend.com@firewall.friend.com._via", NULL, FRIEND,
	    ROUTE_MAIL, REMOTE, "firewall.friend.com", FRIEND, YES },
	{ "6 an explicit port is that host itself", "<*@dom> = *%dom@relay.domain:25", NULL,
	    "u@dom", ROUTE_MAIL, REMOTE, "relay.domain:25", "u@dom", YES },
	{ "7 another port of this machine",
	    "NoRelay:<*@client57.com> = *%client57.com@other-port\nother-port = [127.0.0.1]:26",
	    NULL, "u@client57.com", ROUTE_MAIL, REMOTE, "127.0.0.1:26", "u@client57.com", NO },
	{ "8 another address",
	    "NoRelay:<*@client57.com> = *%client57.com@other-ip\nother-ip = [11.22.33.44]:25", NULL,
	    "u@client57.com", ROUTE_MAIL, REMOTE, "11.22.33.44:25", "u@client57.com", NO },
	{ "9 domains that share a queue",
	    "<*@domain2.dom> = *%domain2.dom@domain1.dom._via\n"
	    "<*@domain3.dom> = *%domain3.dom@domain1.dom._via",
	    NULL, "u@domain2.dom", ROUTE_MAIL, REMOTE, "domain1.dom", "u@domain2.dom", YES },
	{ "10 mail for a name moved to another domain", "<John> = j.smith@client1.com", NULL,
	    "john@main.example", ROUTE_MAIL, HERE, "j.smith@client1.com", YES },
	{ "10 access", "<John> = j.smith@client1.com", NULL, "john@main.example", ROUTE_ACCESS,
	    HERE, "j.smith@client1.com", YES },
	{ "10 signals", "<John> = j.smith@client1.com", NULL, "john@main.example", ROUTE_SIGNAL,
	    HERE, "j.smith@client1.com", YES },
	{ "11 an alias", "", NULL, "john_smith@main.example", ROUTE_MAIL, HERE,
	    "john@main.example" },
	{ "12 a whole domain for one account", "client1.com = client1.local", NULL,
	    "anyone@client1.com", ROUTE_MAIL, HERE, "client1@main.example", YES,
	    .detail = "anyone" },
	{ "13 another name of the Main Domain", "localhost =", NULL, "john@localhost", ROUTE_MAIL,
	    HERE, "john@main.example", YES },
	{ "14 personal web sites", WEB, NULL, "LoginPage@jim.domain.dom", ROUTE_ACCESS, HERE,
	    "jim@domain.dom", YES },

	{ "15 a forwarder is as a record marked Relay:", "", NULL, "jim@client1.com", ROUTE_MAIL,
	    REMOTE, "other.dom", "john@other.dom", YES },

	/* ---- order, modes, wildcards ---- */
	{ "an earlier wildcard wins over a literal", "<s*> = john\n<sales> = jim@domain.dom", NULL,
	    "sales", ROUTE_MAIL, HERE, "john@main.example", YES },
	{ "an earlier literal wins over a wildcard", "<sales> = jim@domain.dom\n<s*> = john", NULL,
	    "sales", ROUTE_MAIL, HERE, "jim@domain.dom", YES },
	{ "a record of another mode is not there", "M:<sales> = jim@domain.dom\n<s*> = john", NULL,
	    "sales", ROUTE_ACCESS, HERE, "john@main.example", YES },
	{ "a later record for the mode that is left", "M:<sales> = jim@domain.dom\n<sales> = john",
	    NULL, "sales", ROUTE_SIGNAL, HERE, "john@main.example", YES },
	{ "prefixes stack, in any case and with blanks", "a: S: norelay:<sales> = john ; both;",
	    NULL, "sales", ROUTE_ACCESS, HERE, "john@main.example", NO },
	{ "stacked prefixes do not catch the third mode", "A:S:<sales> = john", NULL, "sales",
	    ROUTE_MAIL, NOBODY },
	{ "telephone numbers",
	    "S:<+(7-20d)@*> = *@pstn\nS:<+*@pstn> = null\nS:<(7-20d)@pstn> = john", NULL,
	    "+15551234567@domain.dom", ROUTE_SIGNAL, HERE, "john@main.example", YES },
	{ "too few digits", "S:<+(7-20d)@*> = john", NULL, "+123456", ROUTE_SIGNAL, NOBODY },
	{ "exactly so many digits", "<x(3d)> = john", NULL, "x123", ROUTE_MAIL, HERE,
	    "john@main.example", YES },
	{ "one digit more", "<x(3d)> = john", NULL, "x1234", ROUTE_MAIL, NOBODY },
	{ "or more digits", "<(2+d)x> = *@domain.dom\n<(2+d)@domain.dom> = john", NULL, "123456x",
	    ROUTE_MAIL, HERE, "john@main.example", YES },
	{ "an application with its parameter", "S:<service--*@*> = service{*}#john", NULL,
	    "service--42@main.example", ROUTE_SIGNAL, HERE, "john@main.example", YES,
	    .mailbox = "service{42}" },
	{ "a literal star", "<a\\*b> = john\n<a*b> = jim@domain.dom", NULL, "a*b", ROUTE_MAIL, HERE,
	    "john@main.example", YES },
	{ "each star its own part", "<*-*@*.old> = *.*@*", NULL, "a-b-c@domain.dom.old", ROUTE_MAIL,
	    IPC_ROUTE_UNKNOWN, NULL, "", "", YES },
	{ "subdomains", "*.domain.dom = domain.dom", NULL, "jim@a.b.domain.dom", ROUTE_MAIL, HERE,
	    "jim@domain.dom", YES },
	{ "all of a domain to one", "old.dom = jim@domain.dom", NULL, "any@old.dom", ROUTE_MAIL,
	    HERE, "jim@domain.dom", YES },
	{ "a pattern for names of any domain meets the Main Domain, too", "<sup*@*> = john", NULL,
	    "support@main.example", ROUTE_MAIL, HERE, "john@main.example", YES },
	{ "a pattern for domains does not meet the Main Domain", "* = elsewhere.dom", NULL,
	    "john@main.example", ROUTE_MAIL, HERE, "john@main.example" },
	{ "postmaster is not caught by a pattern", "<*> = john\n<*@*> = john", NULL, "PostMaster",
	    ROUTE_MAIL, HERE, "postmaster@main.example" },
	{ "postmaster of another domain is", "<*@domain.dom> = john", NULL, "postmaster@domain.dom",
	    ROUTE_MAIL, HERE, "john@main.example", YES },

	/* ---- paths ---- */
	{ "a source route", "", NULL, "@main.example:jim@domain.dom", ROUTE_MAIL, HERE,
	    "jim@domain.dom" },
	{ "a source route to another server", "", NULL, "@other.dom:a@b.dom", ROUTE_MAIL, REMOTE,
	    "other.dom", "a@b.dom@other.dom" },
	{ "a bang path", "", NULL, "main.example!domain.dom!jim", ROUTE_MAIL, HERE,
	    "jim@domain.dom" },
	{ "a percent path through us", "", NULL, "jim%domain.dom@main.example", ROUTE_MAIL, HERE,
	    "jim@domain.dom" },
	{ "strangers may not use a record by a path", "friend.com = friend.com._via", NULL,
	    "x%y.dom@friend.com", ROUTE_MAIL, REMOTE, "friend.com", "x@y.dom", NO },
	{ "unless it says so", "RelayAll:friend.com = friend.com._via", NULL, "x%y.dom@friend.com",
	    ROUTE_MAIL, REMOTE, "friend.com", "x@y.dom", YES },
	{ "a circle", "a.dom = b.dom\nb.dom = a.dom", NULL, "x@a.dom", ROUTE_MAIL, IPC_ROUTE_LOOP,
	    NULL, "", "", YES },
	{ "a name that grows", "<*@a.dom> = x*@a.dom", NULL, "x@a.dom", ROUTE_MAIL, IPC_ROUTE_LOOP,
	    NULL, "", "", YES },

	/* ---- hosts ---- */
	{ "remote", "", NULL, "John.Doe@Far.Example", ROUTE_MAIL, REMOTE, "far.example",
	    "John.Doe@far.example" },
	{ "the case of the name stays in what a wildcard took", "<*@a.dom> = *%a.dom@b.dom.via",
	    NULL, "John.Doe@A.dom", ROUTE_MAIL, REMOTE, "b.dom", "John.Doe@a.dom", YES },
	{ "a port as last label", "a.dom = host.dom.26.via", NULL, "u%a.dom@a.dom", ROUTE_MAIL,
	    REMOTE, "host.dom:26", "u@a.dom", NO },
	{ "an address as last labels", "", NULL, "u%a.dom@11.22.33.44.via", ROUTE_MAIL, REMOTE,
	    "11.22.33.44", "u@a.dom" },
	{ "an address and a port as last labels", "", NULL, "u%a.dom@11.22.33.44.26.via",
	    ROUTE_MAIL, REMOTE, "11.22.33.44:26", "u@a.dom" },
	{ "an address of version 6", "", NULL, "u@[IPv6:2001:DB8::1]:26", ROUTE_MAIL, REMOTE,
	    "[2001:db8::1]:26", "u@[IPv6:2001:db8::1]" },
	{ "an address of one of our domains", "", NULL, "jim@[192.0.0.2]", ROUTE_MAIL, HERE,
	    "jim@domain.dom" },
	{ "by SMTP whatever we have here", "", NULL, "jim@domain.dom.smtp", ROUTE_MAIL, REMOTE,
	    "domain.dom", "jim@domain.dom" },
	{ "no port", "", NULL, "u@host.dom:0", ROUTE_MAIL, IPC_ROUTE_SYNTAX, NULL, "", "" },
	{ "no address", "", NULL, "u@[1.2.3]", ROUTE_MAIL, IPC_ROUTE_SYNTAX, NULL, "", "" },
	{ "no host", "", NULL, "u@under_score.via", ROUTE_MAIL, IPC_ROUTE_SYNTAX, NULL, "", "" },
	{ "an account of another domain", "", NULL, "list%jim@domain.dom.domain", ROUTE_MAIL, HERE,
	    "jim@domain.dom", .detail = "list" },
	{ "a domain that is none of ours", "", NULL, "list%jim@far.dom.domain", ROUTE_MAIL,
	    NOBODY },
	{ "an account that does not exist", "", NULL, "x@nobody.local", ROUTE_MAIL, NOBODY,
	    .detail = "x" },

	/* ---- special names ---- */
	{ "dropped", "<drop> = NULL", NULL, "drop", ROUTE_MAIL, IPC_ROUTE_DISCARD, "SYSTEM", "null",
	    "NULL", YES },
	{ "dropped names are no accounts", "", NULL, "null", ROUTE_ACCESS, IPC_ROUTE_NOTLOCAL,
	    "SYSTEM", "null", "null" },
	{ "a domain that is dropped", "spam.dom = null", NULL, "x@spam.dom", ROUTE_MAIL,
	    IPC_ROUTE_DISCARD, "SYSTEM", "null", "x", YES },
	{ "refused", "<no> = error", NULL, "no", ROUTE_MAIL, IPC_ROUTE_REFUSED, "SYSTEM", "error",
	    "error", YES },
	{ "a trap", "", NULL, "spamtrap", ROUTE_MAIL, IPC_ROUTE_DISCARD, "SYSTEM", "spamtrap",
	    "spamtrap" },
	{ "black-listed", "", NULL, "x@blacklisted", ROUTE_MAIL, IPC_ROUTE_REFUSED, "SYSTEM",
	    "blacklisted", "x" },
	{ "the way in for the black-listed", "<blacklist-admin*@blacklisted> = postmaster", NULL,
	    "blacklist-admin-1@blacklisted", ROUTE_MAIL, HERE, "postmaster@main.example", YES },

	/* ---- objects ---- */
	{ "a mailbox and a detail", "", NULL, "Work#jim+Lists@domain.dom", ROUTE_MAIL, HERE,
	    "jim@domain.dom", .mailbox = "Work", .detail = "Lists" },
	{ "a mailbox and a detail of an alias are the account's", "", NULL,
	    "Work#john_smith+Lists@main.example", ROUTE_MAIL, HERE, "john@main.example",
	    .mailbox = "Work", .detail = "Lists" },
	{ "those of a forwarder are nobody's", "", NULL, "Secret#away+Lists@client1.com",
	    ROUTE_MAIL, HERE, "jim@domain.dom", YES },
	{ "but those of its address count", "", NULL, "Secret#filed+x@client1.com", ROUTE_MAIL,
	    HERE, "jim@domain.dom", YES, .mailbox = "Work", .detail = "Lists" },
	{ "a domain's login page", "", NULL, "LoginPage@domain.dom", ROUTE_ACCESS,
	    IPC_ROUTE_NOTLOCAL, "HTTP", "domain.dom", "LoginPage" },
	{ "which gets no mail", "", NULL, "LoginPage@domain.dom", ROUTE_MAIL, NOBODY },

	/* ---- unknown names ---- */
	{ "unknown: rejected", "", NULL, "aname@domain.dom", ROUTE_MAIL, NOBODY, .absent = true },
	{ "unknown: discarded", "", NULL, "aname@domain.dom", ROUTE_MAIL, IPC_ROUTE_DISCARD,
	    "SYSTEM", "null", "aname", .action = UNKNOWN_DISCARDED, .absent = true },
	{ "unknown: accepted and bounced", "", NULL, "Aname@domain.dom", ROUTE_MAIL,
	    IPC_ROUTE_UNKNOWN, "SYSTEM", "bounce", "Aname", .action = UNKNOWN_BOUNCED,
	    .absent = true },
	{ "unknown: rerouted to an account", "", "john@main.example", "aname@domain.dom",
	    ROUTE_ACCESS, HERE, "john@main.example", YES, .absent = true },
	{ "unknown: rerouted to error", "", "error", "aname@domain.dom", ROUTE_ACCESS,
	    IPC_ROUTE_REFUSED, "SYSTEM", "error", "error", YES, .absent = true },
	{ "unknown: rerouted in a circle", "", "*@domain.dom", "aname@domain.dom", ROUTE_MAIL,
	    IPC_ROUTE_LOOP, NULL, "", "", YES, .absent = true },
};

static struct directory dir;
static struct route r;

static struct object *account(const char *domain, const char *name)
{
	struct domain *dom = directory_domain(&dir, slice_str(domain));

	return directory_add_account(&dir, dom, slice_str(name), dir.next_id++, STATE_ACTIVE);
}

static int setup(void **state)
{
	static const char *const domains[] = { "main.example", "client1.com", "domain.dom" };
	struct addr_range ips;

	directory_init(&dir);
	route_init(&r);
	r.want_trace = true;
	for (int i = 0; i < 3; i++)
		assert_non_null(
		    directory_add_domain(&dir, slice_str(domains[i]), dir.next_id++, STATE_ACTIVE));
	dir.main = directory_domain(&dir, SLICE("main.example"));
	assert_int_equal(addr_range_parse(SLICE("192.0.0.2"), &ips), 0);
	assert_int_equal(
	    directory_add_domain_ips(&dir, directory_domain(&dir, SLICE("domain.dom")), &ips), 0);
	account("main.example", "postmaster");
	account("main.example", "client1");
	directory_add_alias(
	    &dir, account("main.example", "john"), SLICE("john_smith"), STATE_ACTIVE);
	account("client1.com", "j.smith");
	account("domain.dom", "jim");
	assert_non_null(directory_add_forwarder(&dir, directory_domain(&dir, SLICE("client1.com")),
	    SLICE("jim"), SLICE("john@other.dom"), STATE_ACTIVE));
	assert_non_null(directory_add_forwarder(&dir, directory_domain(&dir, SLICE("client1.com")),
	    SLICE("away"), SLICE("jim@domain.dom"), STATE_ACTIVE));
	assert_non_null(directory_add_forwarder(&dir, directory_domain(&dir, SLICE("client1.com")),
	    SLICE("filed"), SLICE("Work#jim+Lists@domain.dom"), STATE_ACTIVE));
	return 0;
}

static int teardown(void **state)
{
	route_fini(&r);
	directory_fini(&dir);
	return 0;
}

/* As the domain's settings say it. */
static void unknown_set(
    struct domain *dom, enum route_mode mode, uint64_t action, const char *address)
{
	static const enum setting keys[ROUTE_MODES][2] = {
		[ROUTE_MAIL] = { SETTING_MailToUnknown, SETTING_MailRerouteAddress },
		[ROUTE_ACCESS] = { SETTING_AccessToUnknown, SETTING_AccessRerouteAddress },
		[ROUTE_SIGNAL] = { SETTING_SignalToUnknown, SETTING_SignalRerouteAddress },
	};
	const char *words[] = { "Rejected", "Discarded", "\"Rerouted to\"",
		"\"Accepted and Bounced\"" };
	struct buf packed = BUF_INIT(4096), text = BUF_INIT(4096);
	const char *why;

	if (action != UNKNOWN_REJECTED) {
		assert_int_equal(
		    setting_parse(keys[mode][0], slice_str(words[action]), &packed, &why), 0);
		assert_int_equal(
		    settings_put(&dom->settings, keys[mode][0], buf_slice(&packed)), 0);
	}
	if (address != NULL) {
		buf_reset(&packed);
		buf_printf(&text, "\"%s\"", address);
		assert_int_equal(setting_parse(keys[mode][1], buf_slice(&text), &packed, &why), 0);
		assert_int_equal(
		    settings_put(&dom->settings, keys[mode][1], buf_slice(&packed)), 0);
	}
	buf_fini(&packed);
	buf_fini(&text);
}

static bool same(const struct buf *b, const char *want)
{
	return slice_eq(buf_slice(b), slice_str(want != NULL ? want : ""));
}

static void one_row(void **state)
{
	const struct row *row = *state;
	struct domain *dom;
	struct buf queue = BUF_INIT(2000);
	const char *why = "";
	unsigned line = 0;

	setup(NULL);
	dom = directory_domain(&dir, SLICE("domain.dom"));
	if (!row->absent)
		account("domain.dom", "aname");
	unknown_set(
	    dom, row->mode, row->unknown != NULL ? UNKNOWN_REROUTED : row->action, row->unknown);
	if (table_compile(slice_str(row->table), &dir.table, &line, &why) != 0)
		fail_msg("line %u: %s", line, why);
	route_address(&dir, slice_str(row->given), row->mode, &r);
	route_put_queue(&queue, &r);
	if (r.status != row->status || r.relay != row->relay || !same(&queue, row->queue) ||
	    !same(&r.address, row->address) || !same(&r.mailbox, row->mailbox) ||
	    !same(&r.detail, row->detail) || (r.module == NULL) != (row->module == NULL) ||
	    (r.module != NULL && strcmp(r.module, row->module) != 0))
		fail_msg("status %d relay %d %s(%.*s)%.*s mailbox %.*s detail %.*s\n%.*s", r.status,
		    r.relay, r.module, SLICE_FMT(buf_slice(&queue)),
		    SLICE_FMT(buf_slice(&r.address)), SLICE_FMT(buf_slice(&r.mailbox)),
		    SLICE_FMT(buf_slice(&r.detail)), SLICE_FMT(buf_slice(&r.trace)));
	buf_fini(&queue);
	teardown(NULL);
}

int main(void)
{
	enum { N = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[N];

	for (size_t i = 0; i < N; i++)
		tests[i] =
		    (struct CMUnitTest){ rows[i].name, one_row, NULL, NULL, (void *)&rows[i] };
	return _cmocka_run_group_tests("route-rows", tests, N, NULL, NULL);
}
