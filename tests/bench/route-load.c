/*
 * route-load - how many logins a second routerd's core resolves, and how long one takes: 1,000
 * domains with 100 accounts and 200 aliases each, and a Router table of 10,000 records. One thread.
 *
 *     route-load [TIMES [WILDCARDS [CALLS [RECORDS]]]]
 *
 * TIMES: that many times as many domains. WILDCARDS: so many of the records have a wildcard for any
 * domain (100), and each fourth of these begins as the names do and is tried; 9 % more have one for
 * one domain. CALLS: of each kind (400,000).
 */
#include "routerd/limits.h"
#include "routerd/route.h"
#include "tests/bench/route-world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CALLS_MAX = 400000 };

static unsigned calls = CALLS_MAX;

struct kind {
	const char *what, *name, *behind, *domain; /* domain NULL: by the local address */
	unsigned names;
	enum ipc_route_status want;
};

static void measure(const struct directory *d, const struct kind *k)
{
	static uint32_t ns[CALLS_MAX];
	unsigned domains = HASH_COUNT(d->domains);
	struct route r;
	uint64_t at, cpu = world_cpu_ns(getpid());

	route_init(&r);
	at = world_now_ns();
	for (unsigned i = 0; i < calls; i++) {
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
		world_must(r.status == k->want, name);
		then = world_now_ns();
		ns[i] = (uint32_t)(then - at);
		at = then;
	}
	cpu = world_cpu_ns(getpid()) - cpu;
	world_sort(ns, calls);
	printf("%-34s %9.0f/s of one core   p50 %5.2f us   p99 %5.2f us   p99.9 %6.2f us\n",
	    k->what, calls * 1e9 / (double)cpu, world_us(ns, calls, 500), world_us(ns, calls, 990),
	    world_us(ns, calls, 999));
	route_fini(&r);
}

static const struct kind kinds[] = {
	{ "full name of an account", "account", "", "d", WORLD_ACCOUNTS, IPC_ROUTE_OK },
	{ "name alone, by the local address", "account", "", NULL, WORLD_ACCOUNTS, IPC_ROUTE_OK },
	{ "alias", "alias", ".1", "d", WORLD_ACCOUNTS, IPC_ROUTE_OK },
	{ "detail", "account", "+x", "d", WORLD_ACCOUNTS, IPC_ROUTE_OK },
	{ "unknown", "nobody", "", "d", 100000, IPC_ROUTE_UNKNOWN },
	{ "remote", "nobody", "", "e", 100000, IPC_ROUTE_NOTLOCAL },
};

int main(int argc, char **argv)
{
	unsigned times = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	unsigned wild = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
	unsigned records;
	struct directory d;
	double longest_ms, before = world_rss_mib();
	uint64_t began = world_now_ns();

	calls = argc > 3 ? (unsigned)atoi(argv[3]) : CALLS_MAX;
	records = argc > 4 ? (unsigned)atoi(argv[4]) : WORLD_RECORDS;
	world_must(calls >= 1000 && calls <= CALLS_MAX && times >= 1 && times <= 100 &&
		       records <= TABLE_RECORDS_MAX && wild <= records / 100 * 91,
	    "usage");
	directory_init(&d);
	world_fill(&d, 1000 * times);
	printf("%u accounts, %u aliases in %u domains: made in %.2f s, %.1f MiB\n",
	    1000 * times * WORLD_ACCOUNTS, 1000 * times * WORLD_ACCOUNTS * WORLD_ALIASES,
	    1000 * times, (double)(world_now_ns() - began) / 1e9, world_rss_mib() - before);
	before = world_rss_mib();
	began = world_now_ns();
	longest_ms = world_table(&d, records, wild);
	printf("%zu records, %zu with wildcards: compiled in %.3f s, at most %.2f ms at a time; "
	       "%.1f MiB\n",
	    table_records(d.table), table_wild_records(d.table),
	    (double)(world_now_ns() - began) / 1e9, longest_ms, world_rss_mib() - before);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		measure(&d, &kinds[i]);
	directory_fini(&d);
	return 0;
}
