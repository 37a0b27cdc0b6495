#include "tests/bench/route-world.h"

#include "routerd/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t world_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t world_cpu_ns(pid_t pid)
{
	struct timespec ts = { 0 };
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) == 0)
		clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

double world_rss_mib(void)
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

void world_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "route bench: %s\n", what);
	exit(1);
}

void world_fill(struct directory *d, unsigned domains)
{
	char name[64];

	for (unsigned i = 0; i < domains; i++) {
		struct domain *dom;
		struct addr ip = { .family = 4,
			.ip = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		struct addr_range ips = addr_range_one(&ip);

		snprintf(name, sizeof(name), "d%u.example", i);
		dom = directory_add_domain(d, slice_str(name), d->next_id++, STATE_ACTIVE);
		world_must(dom != NULL && directory_add_domain_ips(d, dom, &ips) == 0, "domain");
		d->main = i == 0 ? dom : d->main;
		for (unsigned j = 0; j < WORLD_ACCOUNTS; j++) {
			struct object *o;

			snprintf(name, sizeof(name), "account%u", j);
			o = directory_add_account(
			    d, dom, slice_str(name), d->next_id++, STATE_ACTIVE);
			world_must(o != NULL, "account");
			for (unsigned k = 0; k < WORLD_ALIASES; k++) {
				snprintf(name, sizeof(name), "alias%u.%u", j, k);
				world_must(directory_add_alias(
					       d, o, slice_str(name), STATE_ACTIVE) != NULL,
				    "alias");
			}
		}
	}
}

void world_table(struct directory *d, unsigned wild)
{
	struct buf b = BUF_INIT(TABLE_BYTES_MAX);
	const char *why = "";
	unsigned line = 0;

	for (unsigned i = 0; i < WORLD_RECORDS; i++) {
		if (i < wild)
			buf_printf(&b, "<%s%u-*@*.far%u> = *%%x@gate%u.via\n",
			    i % 4 == 0 ? "account" : "w", i, i, i);
		else if (i < wild + WORLD_OF_DOMAIN)
			buf_printf(&b, "<team-*@d%u.example> = account*\n", i % 1000);
		else
			buf_printf(&b, "<moved%u@d%u.example> = account7@d%u.example\n", i,
			    i % 1000, i * 7 % 1000);
	}
	world_must(!b.overflow && table_compile(buf_slice(&b), &d->table, &line, &why) == 0, why);
	buf_fini(&b);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void world_sort(uint32_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), by_value);
}

double world_us(const uint32_t *ns, size_t n, unsigned thousandths)
{
	return n == 0 ? 0 : ns[(n - 1) * thousandths / 1000] / 1e3;
}
