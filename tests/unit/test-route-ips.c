/* Local addresses of domains: one by one, from-to, by leading bits; none of two domains. */
#include "tests/unit/routerd-rig.h"

#include "common/base/addr_range.h"
#include "routerd/limits.h"

#include <stdio.h>
#include <stdlib.h>

static void a_range_has_one_form(void **state)
{
	static const struct {
		const char *text, *shown; /* NULL: it is none */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ " 192.0.2.1 ", "192.0.2.1" },
		{ "192.0.2.1-192.0.2.1", "192.0.2.1" },
		{ "192.0.2.1 - 192.0.2.9", "192.0.2.1-192.0.2.9" },
		{ "192.0.2.0-192.0.2.255", "192.0.2.0/24" },
		{ "192.0.2.8/29", "192.0.2.8/29" },
		{ "192.0.2.77/24", "192.0.2.0/24" },
		{ "192.0.2.77/32", "192.0.2.77" },
		{ "192.0.2.77/0", "0.0.0.0/0" },
		{ "2001:DB8::1", "2001:db8::1" },
		{ "2001:db8::/64", "2001:db8::/64" },
		{ "2001:db8::1-2001:db8::ffff", "2001:db8::1-2001:db8::ffff" },
		{ "2001:db8::-2001:db8::ffff", "2001:db8::/112" },
		{ "::/0", "::/0" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "", NULL },
		{ "-", NULL },
		{ "192.0.2.1-", NULL },
		{ "192.0.2.9-192.0.2.1", NULL },
		{ "192.0.2.1-2001:db8::1", NULL },
		{ "192.0.2.0/33", NULL },
		{ "192.0.2.0/", NULL },
		{ "192.0.2.0/-1", NULL },
		{ "192.0.2.0/24-192.0.3.0/24", NULL },
		{ "2001:db8::/129", NULL },
		{ "192.0.2", NULL },
		{ "host.example", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr_range r, again;
		char text[ADDR_RANGE_TEXT_MAX];
		int rc = addr_range_parse(slice_str(rows[i].text), &r);

		if (rc != (rows[i].shown == NULL) ||
		    (rc == 0 && strcmp(addr_range_text(&r, text), rows[i].shown) != 0))
			fail_msg("%s: %d %s", rows[i].text, rc, rc == 0 ? text : "");
		if (rc != 0)
			continue;
		assert_int_equal(addr_range_parse(slice_str(text), &again), 0);
		assert_true(addr_range_same(&r, &again));
	}
}

static void the_longest_texts_have_room(void **state)
{
	const char *long_one =
	    "1111:2222:3333:4444:5555:6666:7777:8881-1111:2222:3333:4444:5555:6666:7777:8888";
	char text[ADDR_RANGE_TEXT_MAX];
	struct addr_range r;

	assert_int_equal(addr_range_parse(slice_str(long_one), &r), 0);
	assert_string_equal(addr_range_text(&r, text), long_one);
}

static void setup_domains(void)
{
	assert_int_equal(ask(domain_create, "one.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_create, "two.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "info"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "info@one.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "info@two.com"), IPC_DIR_OK);
}

static void assert_opens(const char *local, const char *account)
{
	char want[200];

	assert_int_equal(ask(login, "info", local), IPC_DIR_OK);
	snprintf(want, sizeof(want), "LOCAL||%s|ok|", account);
	if (strncmp(buf_cstr(&rig.data), want, strlen(want)) != 0)
		fail_msg("%s: %s", local, buf_cstr(&rig.data));
}

static void assert_all_open(void)
{
	assert_opens("192.0.2.3", "info@company.com");
	assert_opens("192.0.2.4", "info@one.com");
	assert_opens("192.0.2.7", "info@one.com");
	assert_opens("192.0.2.8", "info@two.com");
	assert_opens("192.0.2.19", "info@two.com");
	assert_opens("192.0.2.20", "info@company.com");
	assert_opens("2001:db8:1::7", "info@one.com");
	assert_opens("2001:db8:1:1::", "info@company.com");
	assert_opens("2001:db8:0:ffff:ffff:ffff:ffff:ffff", "info@company.com");
	assert_opens("10.9.8.7", "info@one.com");
}

static void ranges_lead_to_their_domain_after_a_restart_too(void **state)
{
	setup_domains();
	assert_int_equal(ask(domain_set_ips, "one.com", "192.0.2.4/30", "10.9.8.7",
			     "2001:db8:1::/64", "10.9.8.7/32"),
	    IPC_DIR_OK);
	assert_int_equal(ask(domain_set_ips, "two.com", "192.0.2.8 - 192.0.2.19"), IPC_DIR_OK);
	assert_all_open();
	rig_restart();
	assert_all_open();
	assert_int_equal(ask(domain_ips, "one.com"), IPC_DIR_OK);
	assert_data("10.9.8.7|192.0.2.4/30|2001:db8:1::/64");
	assert_int_equal(ask(domain_ips, "two.com"), IPC_DIR_OK);
	assert_data("192.0.2.8-192.0.2.19");
	/* Another end for the same beginning is another range. */
	assert_int_equal(ask(domain_set_ips, "two.com", "192.0.2.8"), IPC_DIR_OK);
	rig_restart();
	assert_opens("192.0.2.9", "info@company.com");
	assert_opens("192.0.2.8", "info@two.com");
}

static void an_address_belongs_to_one_domain(void **state)
{
	static const struct {
		const char *range, *why; /* NULL: taken */
	} rows[] = {
		{ "192.0.2.0/24",
		    "192.0.2.0/24 meets 192.0.2.10-192.0.2.20, which belongs to one.com" },
		{ "192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.20 belongs to one.com" },
		{ "192.0.2.15",
		    "192.0.2.15 meets 192.0.2.10-192.0.2.20, which belongs to one.com" },
		{ "192.0.2.20",
		    "192.0.2.20 meets 192.0.2.10-192.0.2.20, which belongs to one.com" },
		{ "192.0.2.1-192.0.2.10",
		    "192.0.2.1-192.0.2.10 meets 192.0.2.10-192.0.2.20, which belongs to one.com" },
		{ "192.0.2.1-192.0.2.9", NULL },
		{ "192.0.2.21-192.0.2.30", NULL },
		{ "::/0", "::/0 meets 2001:db8::1, which belongs to one.com" },
		{ "2001:db8::1", "2001:db8::1 belongs to one.com" },
		{ "2001:db8::2-2001:db8::3", NULL },
		{ "192.0.2.0/24/1", "this is not an IP address, ADDRESS-ADDRESS or ADDRESS/BITS" },
	};

	setup_domains();
	assert_int_equal(
	    ask(domain_set_ips, "one.com", "192.0.2.10-192.0.2.20", "2001:db8::1"), IPC_DIR_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t status = ask(domain_set_ips, "two.com", rows[i].range);

		assert_int_equal(status == IPC_DIR_OK, rows[i].why == NULL);
		if (rows[i].why != NULL)
			assert_data(rows[i].why);
	}
	assert_int_equal(ask(domain_set_ips, "two.com", "10.0.0.0/8", "10.1.1.1"), IPC_DIR_EXISTS);
	assert_data("10.0.0.0/8 and 10.1.1.1 have addresses in common");
	assert_int_equal(ask(domain_ips, "two.com"), IPC_DIR_OK);
	assert_data("2001:db8::2/127");
	/* What one gives up, the other may have; a domain that is gone holds none. */
	assert_int_equal(ask(domain_set_ips, "one.com", "192.0.2.10-192.0.2.14"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_ips, "two.com", "192.0.2.15-192.0.2.20"), IPC_DIR_OK);
	assert_int_equal(ask(account_delete, "info@one.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_delete, "one.com"), IPC_DIR_OK);
	assert_int_equal(ask(domain_set_ips, "two.com", "192.0.2.0/24"), IPC_DIR_OK);
	rig_restart();
	assert_opens("192.0.2.10", "info@two.com");
}

/* ---- random ranges against a list of single addresses ---- */

enum { SPACE = 256, DOMAINS = 5 };

static uint64_t seed = 88172645463325252ull;

static unsigned rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

static void put_ip(char *out, bool v6, unsigned i)
{
	sprintf(out, v6 ? "fd00::%x" : "10.0.0.%u", i);
}

/* In one of the forms; *ret_a to *ret_b are its ends. */
static void put_range(char *out, bool v6, unsigned *ret_a, unsigned *ret_b)
{
	unsigned a = rnd(SPACE), b = a + rnd(6) * rnd(4), bits = rnd(5);

	put_ip(out, v6, a);
	if (rnd(3) == 0) {
		sprintf(out + strlen(out), "/%u", (v6 ? 128 : 32) - bits);
		a &= ~0u << bits;
		b = a | ~(~0u << bits);
	} else if (rnd(3) > 0) {
		b = b < SPACE ? b : SPACE - 1;
		strcat(out, "-");
		put_ip(out + strlen(out), v6, b);
	} else {
		b = a;
	}
	*ret_a = a;
	*ret_b = b;
}

static void random_ranges_answer_as_a_list_of_addresses(void **state)
{
	unsigned char owner[2][SPACE] = { 0 }; /* by number of domain; 0: nobody */
	unsigned taken = 0, refused = 0;
	char name[DOMAINS + 1][20];

	assert_int_equal(ask(account_create, "info"), IPC_DIR_OK);
	for (unsigned i = 1; i <= DOMAINS; i++) {
		char account[40];

		sprintf(name[i], "d%u.com", i);
		sprintf(account, "info@%s", name[i]);
		assert_int_equal(ask(domain_create, name[i]), IPC_DIR_OK);
		assert_int_equal(ask(account_create, account), IPC_DIR_OK);
	}
	for (int round = 0; round < 3000; round++) {
		unsigned d = 1 + rnd(DOMAINS), n = rnd(4), a, b;
		unsigned char want[2][SPACE];
		char text[3][80];
		const char *args[5] = { name[d] };
		bool good = true;

		memcpy(want, owner, sizeof(want));
		for (unsigned i = 0; i < 2 * SPACE; i++)
			if (want[i / SPACE][i % SPACE] == d)
				want[i / SPACE][i % SPACE] = 0;
		for (unsigned k = 0; k < n; k++) {
			bool v6 = rnd(2);

			put_range(text[k], v6, &a, &b);
			args[1 + k] = text[k];
			for (unsigned i = a; i <= b; i++) {
				good &= want[v6][i] == 0;
				want[v6][i] = (unsigned char)d;
			}
		}
		if ((rig_ask(VERB_domain_set_ips, args) == IPC_DIR_OK) != good) {
			/* The same range twice is no fault. */
			assert_int_equal(rig.status, IPC_DIR_OK);
			good = true;
		}
		taken += good;
		refused += !good;
		if (good)
			memcpy(owner, want, sizeof(owner));
		if (round % 1000 == 999)
			rig_restart();
		for (int k = 0; k < 4; k++) {
			unsigned i = rnd(SPACE), v6 = rnd(2);
			char ip[40], account[40];

			put_ip(ip, v6, i);
			sprintf(account, "info@%s",
			    owner[v6][i] > 0 ? name[owner[v6][i]] : "company.com");
			assert_opens(ip, account);
		}
	}
	assert_true(taken > 300 && refused > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_has_one_form),
		cmocka_unit_test(the_longest_texts_have_room),
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
		RIG(ranges_lead_to_their_domain_after_a_restart_too),
		RIG(an_address_belongs_to_one_domain),
		RIG(random_ranges_answer_as_a_list_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
