/*
 * route-load - how many logins a second routerd's core resolves, and how long one takes: 1,000
 * domains with 100 accounts and 200 aliases each, and a Router table of 10,000 records. One thread.
 *
 *     route-load [TIMES [WILDCARDS]]
 *
 * TIMES: that many times as many domains. WILDCARDS: so many of the records have a wildcard for any
 * domain and are tried one after the other (100); 900 more have one for one domain.
 */
#include "routerd/limits.h"
#include "routerd/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ACCOUNTS = 100, ALIASES = 2, RECORDS = 10000, OF_DOMAIN = 900, CALLS = 400000 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double rss_mib(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f != NULL) {
		if (fscanf(f, "%lu %lu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "route-load: %s\n", what);
	exit(1);
}

static void fill(struct directory *d, unsigned domains)
{
	char name[64];

	for (unsigned i = 0; i < domains; i++) {
		struct domain *dom;
		struct addr ip = { .family = 4,
			.ip = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		struct addr_range ips = addr_range_one(&ip);

		snprintf(name, sizeof(name), "d%u.example", i);
		dom = directory_add_domain(d, slice_str(name), d->next_id++, STATE_ACTIVE);
		must(dom != NULL && directory_add_domain_ips(d, dom, &ips) == 0, "domain");
		d->main = i == 0 ? dom : d->main;
		for (unsigned j = 0; j < ACCOUNTS; j++) {
			struct object *o;

			snprintf(name, sizeof(name), "account%u", j);
			o = directory_add_account(
			    d, dom, slice_str(name), d->next_id++, STATE_ACTIVE);
			must(o != NULL, "account");
			for (unsigned k = 0; k < ALIASES; k++) {
				snprintf(name, sizeof(name), "alias%u.%u", j, k);
				must(directory_add_alias(d, o, slice_str(name), STATE_ACTIVE) !=
					 NULL,
				    "alias");
			}
		}
	}
}

static void table(struct directory *d, unsigned wild)
{
	struct buf b = BUF_INIT(TABLE_BYTES_MAX);
	const char *why = "";
	unsigned line = 0;

	for (unsigned i = 0; i < RECORDS; i++) {
		if (i < wild)
			buf_printf(&b, "<w%u-*@*.far%u> = *%%x@gate%u.via\n", i, i, i);
		else if (i < wild + OF_DOMAIN)
			buf_printf(&b, "<team-*@d%u.example> = account*\n", i % 1000);
		else
			buf_printf(&b, "<moved%u@d%u.example> = account7@d%u.example\n", i,
			    i % 1000, i * 7 % 1000);
	}
	must(!b.overflow && table_compile(buf_slice(&b), &d->table, &line, &why) == 0, why);
	buf_fini(&b);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

struct kind {
	const char *what, *name, *behind, *domain; /* domain NULL: by the local address */
	unsigned names;
	enum ipc_route_status want;
};

static void measure(const struct directory *d, const struct kind *k)
{
	static uint32_t ns[CALLS];
	unsigned domains = HASH_COUNT(d->domains);
	struct route r;
	uint64_t began, at;

	route_init(&r);
	began = at = now_ns();
	for (unsigned i = 0; i < CALLS; i++) {
		unsigned n = i * 2654435761u >> 4, dom = n % domains;
		struct addr local = { .family = 4,
			.ip = { 10, (uint8_t)(dom >> 16), (uint8_t)(dom >> 8), (uint8_t)dom } };
		char name[80];
		uint64_t then;

		if (k->domain == NULL)
			snprintf(name, sizeof(name), "%s%u", k->name, n / 7 % k->names);
		else
			snprintf(name, sizeof(name), "%s%u%s@%s%u.example", k->name,
			    n / 7 % k->names, k->behind, k->domain, dom);
		route_login(d, slice_str(name), SLICE_NONE, &local, &r);
		must(r.status == k->want, name);
		then = now_ns();
		ns[i] = (uint32_t)(then - at);
		at = then;
	}
	qsort(ns, CALLS, sizeof(ns[0]), by_value);
	printf("%-34s %9.0f/s   p50 %5.2f us   p99 %5.2f us   p99.9 %6.2f us\n", k->what,
	    CALLS * 1e9 / (double)(at - began), ns[CALLS / 2] / 1e3, ns[CALLS / 100 * 99] / 1e3,
	    ns[CALLS / 1000 * 999] / 1e3);
	route_fini(&r);
}

static const struct kind kinds[] = {
	{ "full name of an account", "account", "", "d", ACCOUNTS, IPC_ROUTE_OK },
	{ "name alone, by the local address", "account", "", NULL, ACCOUNTS, IPC_ROUTE_OK },
	{ "alias", "alias", ".1", "d", ACCOUNTS, IPC_ROUTE_OK },
	{ "detail", "account", "+x", "d", ACCOUNTS, IPC_ROUTE_OK },
	{ "unknown", "nobody", "", "d", 100000, IPC_ROUTE_UNKNOWN },
	{ "remote", "nobody", "", "e", 100000, IPC_ROUTE_NOTLOCAL },
};

int main(int argc, char **argv)
{
	unsigned times = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	unsigned wild = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
	struct directory d;
	double before = rss_mib();
	uint64_t began = now_ns();

	must(times >= 1 && times <= 100 && wild <= RECORDS - OF_DOMAIN, "usage");
	directory_init(&d);
	fill(&d, 1000 * times);
	printf("%u accounts, %u aliases in %u domains: made in %.2f s, %.1f MiB\n",
	    1000 * times * ACCOUNTS, 1000 * times * ACCOUNTS * ALIASES, 1000 * times,
	    (double)(now_ns() - began) / 1e9, rss_mib() - before);
	before = rss_mib();
	began = now_ns();
	table(&d, wild);
	printf("%zu records, %zu with wildcards: compiled in %.3f s, %.1f MiB\n",
	    table_records(d.table), table_wild_records(d.table), (double)(now_ns() - began) / 1e9,
	    rss_mib() - before);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		measure(&d, &kinds[i]);
	directory_fini(&d);
	return 0;
}
