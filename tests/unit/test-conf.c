/* common/conf: the file's grammar, each type's checks, the slice of one program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/conf/conf.h"
#include "common/conf/limits.h"

#include <string.h>

static const struct {
	const char *name, *in, *want; /* want: the errors, whole; "" for none */
} files[] = {
	{ "one value is enough", "main_domain = example.test\n", "" },
	{ "the main domain must be set", "", "f:1: main_domain must be set\n" },
	{ "remarks, blank lines, quotes and CR LF",
	    "# r\r\n\r\nmain_domain = \"example.test\" # why\r\nlog_level = debug # r\r\n", "" },
	{ "an unknown key is told with its line and the nearest",
	    "main_domain = a.test\nlogin_timeot = 3\nlog_levle = info\n",
	    "f:2: unknown key \"login_timeot\"; the nearest is \"login_timeout\"\n"
	    "f:3: unknown key \"log_levle\"; the nearest is \"log_level\"\n" },
	{ "an unknown section", "main_domain = a.test\nlistner pop3 {\nport = 1\n}\n",
	    "f:2: unknown key \"listner\"; the nearest is \"listener\"\n" },
	{ "a key of a section is unknown at the top", "main_domain = a\nport = 1\n",
	    "f:2: unknown key \"port\"\n" },
	{ "a key in a section names the nearest there",
	    "main_domain = a\nlistener pop3 {\nadress = ::1\nport = 1\naddress = ::1\n}\n",
	    "f:3: unknown key \"adress\" in this section; the nearest is \"address\"\n" },
	{ "all errors are told, not just the first",
	    "main_domain = a b\nengine = disk\nconnections_max = 0\nlogin_timeout = 3\n}\nwhat\n",
	    "f:1: main_domain is not a host or domain name\n"
	    "f:2: engine must be one of: lmdb memory\n"
	    "f:3: connections_max must be from 1 to 1000000\n"
	    "f:4: login_timeout is not a duration such as 250ms, 30s, 10m, 2h or 1d\n"
	    "f:5: a \"}\" without a section\n"
	    "f:6: neither \"key = value\" nor \"section NAME {\": what\n" },
	{ "twice", "main_domain = a\nmain_domain = b\n",
	    "f:2: main_domain is set a second time; the first is in line 1\n" },
	{ "a section without an end", "main_domain = a\nlistener pop3 {\n",
	    "f:2: the last section has no \"}\"\n" },
	{ "a section in a section", "main_domain = a\nlistener pop3 {\nlistener smtp {\n}\n",
	    "f:3: a section inside a section; is a \"}\" missing above?\n" },
	{ "a listener needs a place", "main_domain = a\nlistener pop3 {\n}\n",
	    "f:2: pop3 listener needs either address and port, or socket\n" },
	{ "a listener of nobody", "main_domain = a\nlistener pop { \naddress=::1\nport=1\n}\n",
	    "f:2: pop is no front-end; a listener is for pop3, imap, smtp, admin, pwd or "
	    "metrics\n" },
	{ "figures for other machines",
	    "main_domain = d\nlistener metrics {\naddress = ::1 192.0.2.1\nport = 9\n}\n",
	    "f:2: metrics listener is a Unix socket or a loopback address, without tls: figures "
	    "are told to "
	    "this machine only\n" },
	{ "figures for this machine",
	    "main_domain = d\nlistener metrics {\naddress = ::1 127.0.0.9\nport = 9\n}\n", "" },
	{ "LMTP over TCP lists its clients",
	    "main_domain = a\nlistener smtp {\naddress=::1\nport=24\nprotocol=lmtp\n}\n",
	    "f:2: smtp listener speaks LMTP over TCP and must list its clients\n" },
	{ "TLS needs a certificate",
	    "main_domain = a\nlistener pop3 {\naddress=::1\nport=995\ntls=yes\n}\n",
	    "f:2: pop3 listener has tls, and there is no certificate section\n" },
	{ "a certificate needs its key", "main_domain = a\ncertificate x {\nchain=/c\n}\n",
	    "f:2: certificate needs both chain and key\n" },
	{ "the same place twice",
	    "main_domain=a\nlistener pop3 {\nsocket=/s\n}\nlistener admin {\nsocket=/s\n}\n",
	    "f:5: admin is there already in a section above\n" },
	{ "the same address twice",
	    "main_domain=a\nlistener pop3 {\naddress=::1 ::1\nport=1\n}\n"
	    "listener pop3 {\naddress=127.0.0.1, ::2\nport=2\n}\n"
	    "listener pop3 {\nport=2\naddress=127.0.0.2 ::2\n}\n"
	    "listener pop3 {\nport=3\naddress=127.0.0.2 ::2\n}\n",
	    "f:3: ::1 port 1 is taken by the listener in line 2 already\n"
	    "f:12: ::2 port 2 is taken by the listener in line 6 already\n" },
	{ "all addresses of a family are each of them",
	    "main_domain=a\nlistener pop3 {\naddress=0.0.0.0 ::\nport=1\n}\n"
	    "listener pop3 {\naddress=127.0.0.1\nport=1\n}\n",
	    "f:7: 127.0.0.1 port 1 is taken by the listener in line 2 already\n" },
	{ "a network cannot be bound",
	    "main_domain=a\nlistener pop3 {\naddress=10.0.0.0/8 ::1/128\nport=1\n}\n",
	    "f:3: address names a network; a listener is bound to single addresses\n" },
	{ "no proxy stands before a Unix socket",
	    "main_domain=a\nlistener pop3 {\nsocket=/s\nproxies=::1\n}\n",
	    "f:4: proxies is for listeners with an address\n" },
	{ "smtp is told what to speak", "main_domain=a\nlistener smtp {\naddress=::1\nport=25\n}\n",
	    "f:2: smtp listener needs a protocol: smtp, submission or lmtp\n" },
	{ "networks", "main_domain=a\nlistener pop3 {\naddress=300.1.1.1\nport=1\n}\n",
	    "f:3: address \"300.1.1.1\" is not an address, ADDRESS-ADDRESS or network\n" },
	{ "a range cannot be bound",
	    "main_domain=a\nlistener pop3 {\naddress=10.0.0.1-10.0.0.2\nport=1\n}\n",
	    "f:3: address names a network; a listener is bound to single addresses\n" },
	{ "addresses taken away from nothing",
	    "main_domain=a\nlistener pop3 {\naddress=10.0.0.1\nport=1\nclients=!10.0.0.1\n}\n",
	    "f:5: clients takes addresses away, but lists none\n" },
	{ "a network's bits", "main_domain=a\nlistener pop3 {\nclients=10.0.0.0/33\n}\n",
	    "f:3: clients \"10.0.0.0/33\" is not an address, ADDRESS-ADDRESS or network\n" },
	{ "a quote without end", "main_domain = \"a\n", "f:1: a quoted value has no end\n" },
	{ "a path is absolute", "main_domain = a\ndata_dir = x\n",
	    "f:2: data_dir must be an absolute path\n" },
	{ "a number that does not fit",
	    "main_domain = a\nmessage_size_max = 99999999999999999999G\n",
	    "f:2: message_size_max is not a size such as 1000, 64K, 10M or 2G\n" },
	{ "a product that does not fit", "main_domain = a\nmessage_size_max = 99999999999999G\n",
	    "f:2: message_size_max is not a size such as 1000, 64K, 10M or 2G\n" },
};

static void files_are_judged(void **state)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
		struct conf c;
		int r;

		assert_int_equal(conf_init(&c, NULL), 0);
		r = conf_parse(&c, "f", slice_str(files[i].in), &errors);
		if (strcmp(buf_cstr(&errors), files[i].want) != 0)
			fail_msg("%s: got\n%s", files[i].name, (const char *)errors.p);
		assert_int_equal(r, files[i].want[0] == '\0' ? 0 : CONF_BAD);
		conf_fini(&c);
		buf_fini(&errors);
	}
}

static const char full[] =
    "main_domain = example.test\n"
    "login_timeout = 2m\nmessage_size_max = 3K\nauth_mechanisms = plain, apop\n"
    "listener pop3 {\n address = 127.0.0.1, ::1\n port = 110\n tls = starttls\n}\n"
    "listener smtp {\n socket = /run/x\n mode = 0660\n protocol = lmtp\n}\n"
    "certificate example.test {\n chain = /c\n key = /k\n}\n";

static void check_full(const struct conf *c)
{
	const struct conf_section *s = c->sections;

	assert_string_equal(conf_get_str(c, CONF_main_domain), "example.test");
	assert_int_equal(conf_get_u64(c, CONF_login_timeout), 120000);
	assert_int_equal(conf_get_u64(c, CONF_message_size_max), 3072);
	assert_true(conf_has_word(c, CONF_auth_mechanisms, "APOP"));
	assert_false(conf_has_word(c, CONF_auth_mechanisms, "LOGIN"));
	assert_true(conf_is_word(c, CONF_engine, "lmdb"));
	assert_int_equal(c->n_sections, 3);
	assert_string_equal(s[0].name, "pop3");
	assert_string_equal(conf_section_str(&s[0], CONF_address), "127.0.0.1 ::1");
	assert_int_equal(conf_section_u64(&s[0], CONF_port), 110);
	assert_int_equal(conf_section_u64(&s[1], CONF_mode), 0660);
	assert_string_equal(conf_section_str(&s[1], CONF_protocol), "lmtp");
	assert_string_equal(conf_section_str(&s[2], CONF_key), "/k");
}

static void values_pass_the_pipe(void **state)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES), packed = BUF_INIT(CONF_PACK_MAX);
	struct conf a, b;

	assert_int_equal(conf_init(&a, NULL), 0);
	assert_int_equal(conf_parse(&a, "f", slice_str(full), &errors), 0);
	check_full(&a);
	conf_pack(&a, &packed);
	assert_int_equal(conf_init(&b, NULL), 0);
	assert_int_equal(conf_unpack(&b, buf_slice(&packed)), 0);
	check_full(&b);
	conf_fini(&b);
	/* Every cut and many a flip is refused or is a whole configuration, never worse. */
	for (size_t n = 0; n < packed.n; n++) {
		assert_int_equal(conf_init(&b, NULL), 0);
		assert_int_equal(conf_unpack(&b, slice_of(packed.p, n)), CONF_BAD);
		conf_fini(&b);
		packed.p[n] ^= 0x55;
		assert_int_equal(conf_init(&b, NULL), 0);
		conf_unpack(&b, buf_slice(&packed));
		conf_fini(&b);
		packed.p[n] ^= 0x55;
	}
	conf_fini(&a);
	buf_fini(&packed);
	buf_fini(&errors);
}

static void a_process_gets_its_slice(void **state)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES), text = BUF_INIT(CONF_SLICE_MAX);
	struct conf all, c;

	assert_int_equal(conf_init(&all, NULL), 0);
	assert_int_equal(conf_parse(&all, "f", slice_str(full), &errors), 0);
	conf_slice_for(&all, "pop3", &text);
	assert_false(text.overflow);
	assert_null(strstr(buf_cstr(&text), "data_dir"));
	assert_non_null(strstr(buf_cstr(&text), "login_timeout = \"120000ms\"\n"));
	assert_int_equal(conf_init(&c, "pop3"), 0);
	assert_int_equal(conf_parse(&c, "slice", buf_slice(&text), &errors), 0);
	assert_int_equal(conf_get_u64(&c, CONF_login_timeout), 120000);
	assert_true(conf_is_word(&c, CONF_plaintext_login, "never"));
	conf_fini(&c);
	conf_fini(&all);
	buf_fini(&text);
	buf_fini(&errors);
}

static void networks_hold_addresses(void **state)
{
	static const struct {
		const char *nets, *ip;
		bool want;
	} rows[] = {
		{ "127.0.0.1", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.2", false },
		{ "10.0.0.0/8, 192.0.2.0/25", "10.255.1.2", true },
		{ "10.0.0.0/8, 192.0.2.0/25", "192.0.2.127", true },
		{ "10.0.0.0/8, 192.0.2.0/25", "192.0.2.128", false },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "", "1.2.3.4", false },
		{ "10.0.0.4-10.0.0.6", "10.0.0.3", false },
		{ "10.0.0.4-10.0.0.6", "10.0.0.4", true },
		{ "10.0.0.4-10.0.0.6", "10.0.0.6", true },
		{ "10.0.0.4-10.0.0.6", "10.0.0.7", false },
		{ "10.0.0.0/8 !10.0.0.4-10.0.0.6", "10.0.0.5", false },
		{ "10.0.0.0/8 !10.0.0.4-10.0.0.6", "10.0.0.7", true },
		{ "!10.0.0.4 10.0.0.0/8, 10.0.0.4", "10.0.0.4", false },
		{ "2001:db8::1-2001:db8::9 !2001:db8::5", "2001:db8::5", false },
		{ "2001:db8::1-2001:db8::9 !2001:db8::5", "2001:db8::6", true },
		{ "10.9.8.7/8", "10.1.1.1", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct addr a;

		assert_int_equal(addr_parse_ip(slice_str(rows[i].ip), &a), 0);
		if (conf_nets_hold(slice_str(rows[i].nets), &a) != rows[i].want)
			fail_msg("%s in %s", rows[i].ip, rows[i].nets);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_judged),
		cmocka_unit_test(values_pass_the_pipe),
		cmocka_unit_test(a_process_gets_its_slice),
		cmocka_unit_test(networks_hold_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
