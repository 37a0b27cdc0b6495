/* Settings: values from text and back, what counts where, what survives a restart, who loses a
 * session. */
#include "routerd/services.h"
#include "routerd/settings.h"
#include "tests/unit/routerd-rig.h"

#include <stdio.h>

static const struct {
	const char *name, *in, *out; /* out NULL: refused */
} values[] = {
	{ "Suspended", "yes", "YES" },
	{ "Suspended", "NO", "NO" },
	{ "Suspended", "perhaps", NULL },
	{ "Suspended", "", NULL },
	{ "Suspended", "YES YES", NULL },
	{ "Suspended", "(YES)", NULL },
	{ "MaxAccountSize", "10240K", "10M" },
	{ "MaxAccountSize", "1500", "1500" },
	{ "MaxAccountSize", "#2048", "2K" },
	{ "MaxAccountSize", "1t", "1T" },
	{ "MaxAccountSize", "Unlimited", "unlimited" },
	{ "MaxAccountSize", "0", "unlimited" },
	{ "MaxAccountSize", "9000000000G", NULL },
	{ "MaxAccountSize", "9223372036854775807", "9223372036854775807" },
	{ "MaxAccountSize", "9223372036854775808", NULL },
	{ "MaxAccountSize", "M", NULL },
	{ "MaxAccountSize", "-5", NULL },
	{ "MaxAccountSize", "5X", NULL },
	{ "QuotaNotice", "1000", "1000" },
	{ "QuotaNotice", "1001", NULL },
	{ "UndeletePeriod", "336h", "14d" },
	{ "UndeletePeriod", "2w", "14d" },
	{ "UndeletePeriod", "0", "0" },
	{ "UndeletePeriod", "90", "90s" },
	{ "UndeletePeriod", "3651d", NULL },
	{ "MailToUnknown", "rerouted TO", NULL },
	{ "MailToUnknown", "\"rerouted TO\"", "\"Rerouted to\"" },
	{ "MailToUnknown", "Accepted", NULL },
	{ "AccessToUnknown", "Discarded", NULL },
	{ "AccessModes", "all", "All" },
	{ "AccessModes", "None", "(23)" },
	{ "AccessModes", "()", "(23)" },
	{ "AccessModes", "(6,imap,Mail)", "(23,Mail,IMAP)" },
	{ "AccessModes", "(Mail,\"S/MIME\")", "(23,Mail,\"S/MIME\")" },
	{ "AccessModes", "(Mail,6)", NULL },
	{ "AccessModes", "(Gopher)", NULL },
	{ "AccessModes", "((Mail))", NULL },
	{ "RealName", "\"J. Smith \\\"the\\\" Third\"", "\"J. Smith \\\"the\\\" Third\"" },
	{ "RealName", "\"\"", "\"\"" },
	{ "RealName", "\"two\\elines\"", NULL },
	{ "MailRerouteAddress", "\"*@other.example\"", "\"*@other.example\"" },
	{ "MailRerouteAddress", "\"a b@c\"", NULL },
	{ "SenderAddresses", "(\"Info@Other.Example\",\"*@third.example\")",
	    "(\"info@other.example\",\"*@third.example\")" },
	{ "SenderAddresses", "info@other.example", "(\"info@other.example\")" },
	{ "BlacklistedIPs", "(\"192.0.2.0/24\",\"192.0.2.1-192.0.2.9\",\"2001:DB8::1\")",
	    "(\"192.0.2.0/24\",\"192.0.2.1-192.0.2.9\",\"2001:db8::1\")" },
	{ "BlacklistedIPs", "(\"192.0.2.0-192.0.2.255\")", "(\"192.0.2.0/24\")" },
	{ "BlacklistedIPs", "192.0.2.7", "(\"192.0.2.7\")" },
	{ "BlacklistedIPs", "()", "()" },
	{ "BlacklistedIPs", "(\"192.0.2.9-192.0.2.1\")", NULL },
	{ "BlacklistedIPs", "(\"192.0.2.0/33\")", NULL },
	{ "BlacklistedIPs", "(mail.example)", NULL },
	{ "BlacklistedIPs", "(\"\")", NULL },
	{ "SenderAddresses", "()", "()" },
	{ "SenderAddresses", "(nodomain)", NULL },
	{ "SenderAddresses", "(\"@d\")", NULL },
	{ "SenderAddresses", "(\"a@\")", NULL },
	{ "SenderAddresses", "(\"a@b,c@d\")", NULL },
	{ "DefaultMailboxes", "(Drafts,\"Sent Items\")", "(Drafts,\"Sent Items\")" },
	{ "MailboxAliases", "{\"mkt\"=\"~marketing/announce\";}",
	    "{mkt=\"~marketing/announce\";}" },
	{ "MailboxAliases", "()", "{}" },
	{ "MailboxAliases", "(a)", NULL },
	{ "Prefs", "{ A = b; \"c d\"=\"two\\elines\"; e={f=(1,#2,[aGk=]);}; g=\"\";}",
	    "{A=b;\"c d\"=\"two\\elines\";e={f=(1,#2,[aGk=]);};g=\"\";}" },
	{ "Prefs", "()", "{}" },
	{ "Prefs", "{a=1;A=2;}", NULL },
	{ "Prefs", "{\"\"=1;}", NULL },
	{ "Prefs", "(a)", NULL },
	{ "Prefs", "a", NULL },
	{ "FailedLoginFlow", "(10,60)", "(10,1m)" },
	{ "FailedLoginFlow", "(0,60)", NULL },
	{ "FailedLoginFlow", "(10)", NULL },
	{ "FailedLoginFlow", "(10,1m,1)", NULL },
	{ "FailedLoginFlow", "10", NULL },
	{ "FailedLoginFlow", "(10,0)", NULL },
};

static void values_are_kept_in_one_form(void **state)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct buf packed = BUF_INIT(SETTING_PACKED_MAX), text = BUF_INIT(SETTING_TEXT_MAX),
			   again = BUF_INIT(SETTING_PACKED_MAX);
		enum setting s = setting_find(slice_str(values[i].name));
		const char *why = NULL;
		int r = setting_parse(s, slice_str(values[i].in), &packed, &why);

		if (values[i].out == NULL) {
			if (r == 0)
				fail_msg("%s takes %s", values[i].name, values[i].in);
			assert_non_null(why);
			assert_int_equal(packed.n, 0);
			continue;
		}
		if (r != 0)
			fail_msg("%s refuses %s: %s", values[i].name, values[i].in, why);
		setting_put(&text, s, buf_slice(&packed));
		assert_string_equal(buf_cstr(&text), values[i].out);
		assert_int_equal(setting_parse(s, buf_slice(&text), &again, &why), 0);
		assert_true(slice_eq(buf_slice(&packed), buf_slice(&again)));
		buf_fini(&packed);
		buf_fini(&text);
		buf_fini(&again);
	}
}

static void every_row_of_the_table_is_good(void **state)
{
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting_row *row = &setting_rows[i];
		struct buf text = BUF_INIT(SETTING_TEXT_MAX);

		assert_int_equal(setting_find(slice_str(row->name)), i);
		assert_non_null(setting_default((enum setting)i).p);
		setting_put(&text, (enum setting)i, setting_default((enum setting)i));
		assert_string_equal(buf_cstr(&text), row->def);
		buf_reset(&text);
		setting_put_type(&text, (enum setting)i);
		assert_true(text.n > 0 && !text.overflow);
		assert_int_equal(row->sentence[strlen(row->sentence) - 1], '.');
		buf_fini(&text);
	}
}

/* The value of one setting in the answer of settings_get, copied. */
static const char *value_of(const char *scope, const char *name, const char *view, const char *key)
{
	static char value[200];
	struct slice rest;

	assert_int_equal(ask(settings_get, scope, name, view), IPC_DIR_OK);
	rest = buf_slice(&rig.data);
	while (rest.n > 0) {
		struct slice k = slice_take(&rest, '|'), v = slice_take(&rest, '|');

		if (!slice_eq(k, slice_str(key)))
			continue;
		snprintf(value, sizeof(value), "%.*s", SLICE_FMT(v));
		return value;
	}
	return "unset";
}

#define effective(scope, name, key) value_of(scope, name, "effective", key)
#define explicit(scope, name, key) value_of(scope, name, "explicit", key)

static void the_nearest_setting_counts(void **state)
{
	static const struct {
		const char *scope, *name, *value,
		    *then; /* set it; what counts for the account then */
	} steps[] = {
		{ "account-defaults-all", "", "1G", "1G" },
		{ "account-defaults", "d.example", "2G", "2G" },
		{ "account", "ann@d.example", "3G", "3G" },
		{ "account-defaults", "d.example", "default", "3G" },
		{ "account", "ann@d.example", "unlimited", "unlimited" },
		{ "account", "ann@d.example", "Default", "1G" },
		{ "account-defaults-all", "", "default", "unlimited" },
	};
	struct object *o;

	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ann@d.example"), IPC_DIR_OK);
	o = directory_account(&rig.rd.db.dir, rig_id("ann@d.example"));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(ask(settings_update, steps[i].scope, steps[i].name,
				     "MaxAccountSize", steps[i].value),
		    IPC_DIR_OK);
		assert_string_equal(
		    effective("account", "ann@d.example", "MaxAccountSize"), steps[i].then);
		assert_int_equal(settings_quota(&rig.rd.db.dir, o),
		    steps[i].then[0] == 'u' ? 0 : (uint64_t)(steps[i].then[0] - '0') << 30);
	}
	assert_int_equal(
	    ask(settings_update, "domain-defaults", "", "MailToUnknown", "Discarded"), IPC_DIR_OK);
	assert_string_equal(effective("domain", "d.example", "MailToUnknown"), "Discarded");
	assert_string_equal(explicit("domain", "d.example", "MailToUnknown"), "unset");
	assert_int_equal(
	    ask(settings_update, "domain", "d.example", "mailtounknown", "Rejected"), IPC_DIR_OK);
	assert_string_equal(effective("domain", "d.example", "MailToUnknown"), "Rejected");
	assert_string_equal(effective("domain", "", "MailToUnknown"), "Discarded");
}

static void a_bad_request_changes_nothing(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "RealName", "Ann", "QuotaNotice", "many"),
	    IPC_DIR_BAD);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "RealName", "Ann", "NoSuchThing", "1"),
	    IPC_DIR_BAD);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "MailToUnknown", "Rejected"), IPC_DIR_BAD);
	assert_int_equal(
	    ask(settings_update, "account-defaults", "", "Suspended", "YES"), IPC_DIR_BAD);
	assert_int_equal(ask(settings_update, "account", "ann", "RealName"), IPC_DIR_BAD);
	assert_int_equal(
	    ask(settings_update, "account", "nobody", "RealName", "x"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(settings_update, "domain", "no.example"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(settings_update, "moon", ""), IPC_DIR_BAD);
	assert_int_equal(ask(settings_get, "account", "ann", "other"), IPC_DIR_BAD);
	assert_int_equal(ask(settings_get, "account", "ann", "explicit"), IPC_DIR_OK);
	assert_data("");
}

static void settings_survive_a_restart_and_go_with_their_holder(void **state)
{
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(
	    ask(account_create, "ann@d.example", "", "MaxAccountSize", "1000"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "account", "ann@d.example", "RealName", "\"Ann B.\"",
			     "AccessModes", "(Mail,POP)", "SenderAddresses", "()"),
	    IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "server", "", "HideAccountUnknown", "YES"), IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "template", "d.example", "DefaultMailboxes", "(Drafts)"),
	    IPC_DIR_OK);
	assert_int_equal(
	    ask(rights_set, "ann@d.example", "Domain", "canaccessmailboxes"), IPC_DIR_OK);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(
		    ask(settings_get, "account", "ann@d.example", "explicit"), IPC_DIR_OK);
		assert_data("RealName|\"Ann B.\"|AccessModes|(23,Mail,POP)|MaxAccountSize|1000|"
			    "SenderAddresses|()");
		assert_string_equal(explicit("server", "", "HideAccountUnknown"), "YES");
		assert_string_equal(
		    explicit("template", "d.example", "DefaultMailboxes"), "(Drafts)");
		assert_int_equal(ask(rights_get, "ann@d.example"), IPC_DIR_OK);
		assert_data("Domain|CanAccessMailboxes");
		rig_restart();
	}
	assert_int_equal(
	    ask(settings_set, "account", "ann@d.example", "QuotaAlert", "50"), IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account", "ann@d.example", "explicit"), IPC_DIR_OK);
	assert_data("QuotaAlert|50");
}

static void suspension_is_a_setting_too(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "account", "ann", "Suspended", "YES"), IPC_DIR_OK);
	assert_int_equal(rig.changed, 1);
	assert_string_equal(explicit("account", "ann", "Suspended"), "YES");
	assert_int_equal(ask(settings_set, "account", "ann"), IPC_DIR_OK);
	assert_string_equal(effective("account", "ann", "Suspended"), "YES");
	rig_restart();
	assert_string_equal(effective("account", "ann", "Suspended"), "YES");
	assert_int_equal(ask(settings_update, "account", "ann", "Suspended", "NO"), IPC_DIR_OK);
	assert_string_equal(explicit("account", "ann", "Suspended"), "unset");
	assert_int_equal(
	    ask(settings_update, "account", "postmaster", "Suspended", "YES"), IPC_DIR_BAD);
	assert_int_equal(
	    ask(settings_update, "account", "postmaster", "Suspended", "NO"), IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "MaxAccountSize", "unlimited"), IPC_DIR_OK);
	assert_string_equal(explicit("account", "ann", "MaxAccountSize"), "unlimited");
}

static void a_service_is_on_for_both_or_off(void **state)
{
	struct directory *d = &rig.rd.db.dir;
	struct object *o;
	uint64_t ann, ben;

	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	ann = rig_id("ann");
	ben = rig_id("ben");
	o = directory_account(d, ann);
	assert_true(services_allow(d, o, SLICE("pop3"), false));
	/* What has no row is off, be it the start of a name that has. */
	assert_false(services_allow(d, o, SLICE("ftp"), false));
	assert_false(services_allow(d, o, SLICE("pop"), true));
	assert_false(services_allow(d, o, SLICE(""), false));
	assert_int_equal(
	    ask(settings_update, "account", "ann", "AccessModes", "(Mail,IMAP,TLS)"), IPC_DIR_OK);
	assert_int_equal(rig.services_off, 1 + 1); /* POP and PWD */
	assert_int_equal(rig.last_off, ann);
	assert_false(services_allow(d, o, SLICE("pop3"), false));
	assert_true(services_allow(d, o, SLICE("imap"), true));
	assert_false(services_allow(d, o, SLICE("smtp"), true));
	rig.services_off = 0;
	assert_int_equal(
	    ask(settings_update, "domain", "", "DomainAccessModes", "(POP,PWD)"), IPC_DIR_OK);
	assert_int_equal(rig.services_off, 3); /* IMAP of both, and of postmaster */
	assert_string_equal(rig.off_service, "imap");
	assert_false(services_allow(d, o, SLICE("imap"), false));
	assert_false(
	    services_allow(d, directory_account(d, ben), SLICE("pop3"), true)); /* no TLS */
	assert_true(services_allow(d, directory_account(d, ben), SLICE("pop3"), false));
}

static void mail_waits_while_it_is_off(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "AccessModes", "(POP)"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OFF);
	assert_int_equal(
	    ask(settings_update, "account", "ann", "AccessModes", "default"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OK);
	assert_int_equal(
	    ask(settings_update, "domain-defaults", "", "DomainAccessModes", "None"), IPC_DIR_OK);
	assert_int_equal(rig_rcpt("ann@company.com"), IPC_ROUTE_OFF);
}

static void senders_can_be_granted(void **state)
{
	static const struct {
		const char *granted, *sender;
		enum ipc_route_status status;
	} cells[] = {
		{ "()", "ann@company.com", IPC_ROUTE_OK },
		{ "()", "ben@company.com", IPC_ROUTE_REFUSED },
		{ "(\"ben@company.com\")", "Ben@Company.Com", IPC_ROUTE_OK },
		{ "(\"ben@company.com\")", "ben@other.example", IPC_ROUTE_REFUSED },
		{ "(\"x@y.example\",\"*@Far.example\")", "any.body@far.EXAMPLE", IPC_ROUTE_OK },
		{ "(\"*@far.example\")", "a@sub.far.example", IPC_ROUTE_REFUSED },
		{ "(\"*@far.example\")", "far.example", IPC_ROUTE_REFUSED },
		{ "(\"*@far.example\")", "ann@company.com", IPC_ROUTE_OK },
		{ "(\"b*@far.example\")", "ben@far.example", IPC_ROUTE_REFUSED },
		{ "default", "any@far.example", IPC_ROUTE_REFUSED },
	};

	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	rig_submit(rig_id("ann"));
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		assert_int_equal(
		    ask(settings_update, "account", "ann", "SenderAddresses", cells[i].granted),
		    IPC_DIR_OK);
		if (rig_sender(cells[i].sender) != cells[i].status)
			fail_msg("%s with %s: %u", cells[i].sender, cells[i].granted, rig.status);
	}
	assert_int_equal(
	    ask(settings_update, "account", "ann", "AccessModes", "(Mail,IMAP)"), IPC_DIR_OK);
	rig_spin();
	assert_null(rig.rcpt_end); /* submission is over at once */
}

/* Key by key, account before domain before server. */
static void preferences_are_put_together(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(prefs_change, "ann", "update", "{a=1; b={c=d;};}"), IPC_DIR_OK);
	assert_int_equal(ask(prefs_change, "ann", "update", "{A=default; e=5;}"), IPC_DIR_OK);
	assert_string_equal(explicit("account", "ann", "Prefs"), "{b={c=d;};e=5;}");
	assert_int_equal(ask(domain_prefs_change, "", "update", "{E=6; f=7;}"), IPC_DIR_OK);
	assert_int_equal(
	    ask(settings_update, "account-defaults-all", "", "Prefs", "{F=8; g=9;}"), IPC_DIR_OK);
	rig_restart();
	assert_int_equal(ask(prefs_effective, "ann"), IPC_DIR_OK);
	assert_data("b|{c=d;}|e|5|f|7|g|9");
	assert_int_equal(ask(prefs_change, "ann", "set", "{}"), IPC_DIR_OK);
	assert_int_equal(ask(prefs_change, "ann", "set", "{a=b;} x"), IPC_DIR_BAD);
	assert_int_equal(ask(prefs_change, "ann", "set", "(a)"), IPC_DIR_BAD);
	assert_int_equal(ask(prefs_change, "nobody", "set", "{}"), IPC_DIR_NOTFOUND);
	assert_int_equal(ask(prefs_effective, "ann"), IPC_DIR_OK);
	assert_data("E|6|f|7|g|9");
}

/* The second would go on from what is not on the disk yet, and take the first one's key back. */
static void preferences_of_a_domain_change_one_at_a_time(void **state)
{
	static const char *const first[] = { "", "update", "{a=1;}", NULL };
	static const char *const second[] = { "", "update", "{b=2;}", NULL };

	rig_send(VERB_domain_prefs_change, first);
	rig_send(VERB_domain_prefs_change, second);
	rig_spin();
	assert_string_equal(explicit("account-defaults", "", "Prefs"), "{a=1;}");
	assert_int_equal(ask(domain_prefs_change, "", "update", "{b=2;}"), IPC_DIR_OK);
	assert_string_equal(explicit("account-defaults", "", "Prefs"), "{a=1;b=2;}");
}

/* Who puts an account's settings in place does not know what its programs keep. */
static void preferences_stay_when_settings_are_replaced(void **state)
{
	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "account", "ann", "QuotaNotice", "7"), IPC_DIR_OK);
	assert_int_equal(ask(prefs_change, "ann", "update", "{a=1;}"), IPC_DIR_OK);
	assert_int_equal(ask(settings_set, "account", "ann", "RealName", "Ann"), IPC_DIR_OK);
	rig_restart();
	assert_int_equal(ask(settings_get, "account", "ann", "explicit"), IPC_DIR_OK);
	assert_data("RealName|Ann|Prefs|{a=1;}");
	assert_int_equal(ask(settings_set, "account", "ann", "Prefs", "{b=2;}"), IPC_DIR_OK);
	assert_string_equal(explicit("account", "ann", "Prefs"), "{b=2;}");
	assert_int_equal(ask(settings_set, "account", "ann", "Prefs", "default"), IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account", "ann", "explicit"), IPC_DIR_OK);
	assert_data("");
	/* Those of a domain are its administrator's. */
	assert_int_equal(ask(domain_prefs_change, "", "update", "{a=1;}"), IPC_DIR_OK);
	assert_int_equal(ask(settings_set, "account-defaults", ""), IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account-defaults", "", "explicit"), IPC_DIR_OK);
	assert_data("");
}

static void too_many_preferences_are_not_put_together(void **state)
{
	enum { MOST = 500 };
	struct buf text = BUF_INIT(20000);

	assert_int_equal(ask(account_create, "ann"), IPC_DIR_OK);
	buf_putc(&text, '{');
	for (int i = 0; i < MOST; i++)
		buf_printf(&text, "k%d=default;", i);
	buf_putc(&text, '}');
	assert_int_equal(ask(prefs_change, "ann", "update", buf_cstr(&text)), IPC_DIR_OK);
	text.n--;
	buf_puts(&text, "k=default;}");
	assert_int_equal(ask(prefs_change, "ann", "update", buf_cstr(&text)), IPC_DIR_BAD);
	assert_data("these are too many preferences");
	assert_int_equal(ask(domain_prefs_change, "", "set", buf_cstr(&text)), IPC_DIR_BAD);
	assert_data("these are too many preferences");
	buf_fini(&text);
}

static void a_new_account_begins_as_its_template_says(void **state)
{
	assert_int_equal(ask(domain_create, "d.example"), IPC_DIR_OK);
	assert_int_equal(ask(settings_update, "template", "d.example", "DefaultMailboxes",
			     "(Drafts,\"Sent Items\")", "MailboxSubscription", "(\"~all/news\")",
			     "RealName", "New", "MaxAccountSize", "2G", "MailboxAliases", "{a=b;}"),
	    IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ann@d.example"), IPC_DIR_OK);
	assert_true(
	    slice_eq(buf_slice(&rig.first), SLICE("\6\0Drafts\12\0Sent Items|\11\0~all/news")));
	rig_restart();
	assert_int_equal(ask(settings_get, "account", "ann@d.example", "explicit"), IPC_DIR_OK);
	assert_data("RealName|New|MaxAccountSize|2G|MailboxAliases|{a=b;}");
	assert_int_equal(
	    ask(account_create, "ben@d.example", "", "MaxAccountSize", "1000"), IPC_DIR_OK);
	assert_string_equal(explicit("account", "ben@d.example", "MaxAccountSize"), "1000");
	assert_int_equal(
	    ask(settings_set, "template", "d.example", "DefaultMailboxes", "()"), IPC_DIR_OK);
	assert_string_equal(explicit("account", "ann@d.example", "RealName"), "New");
	assert_int_equal(ask(account_create, "cid@d.example"), IPC_DIR_OK);
	assert_true(slice_eq(buf_slice(&rig.first), SLICE("|")));
	assert_int_equal(ask(account_create, "dora"), IPC_DIR_OK);
	assert_int_equal(ask(settings_get, "account", "dora", "explicit"), IPC_DIR_OK);
	assert_data("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_kept_in_one_form),
		cmocka_unit_test(every_row_of_the_table_is_good),
		cmocka_unit_test_setup_teardown(
		    the_nearest_setting_counts, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_bad_request_changes_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    settings_survive_a_restart_and_go_with_their_holder, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    suspension_is_a_setting_too, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_service_is_on_for_both_or_off, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    mail_waits_while_it_is_off, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(senders_can_be_granted, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    preferences_are_put_together, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    preferences_of_a_domain_change_one_at_a_time, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    preferences_stay_when_settings_are_replaced, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    too_many_preferences_are_not_put_together, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_new_account_begins_as_its_template_says, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
