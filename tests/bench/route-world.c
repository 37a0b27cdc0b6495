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

double world_table(struct directory *d, unsigned records, unsigned wild)
{
	struct buf b = BUF_INIT(TABLE_BYTES_MAX);
	struct table_build build;
	uint64_t longest = 0;
	int rc;

	for (unsigned i = 0; i < records; i++) {
		if (i < wild)
			buf_printf(&b, "<%s%u-*@*.far%u> = *%%x@gate%u.via\n",
			    i % 4 == 0 ? "account" : "w", i, i, i);
		else if (i < wild + records / 100 * 9)
			buf_printf(&b, "<team-*@d%u.example> = account*\n", i % 1000);
		else
			buf_printf(&b, "<moved%u@d%u.example> = account7@d%u.example\n", i,
			    i % 1000, i * 7 % 1000);
	}
	world_must(!b.overflow && table_begin(buf_slice(&b), &build) == 0, "the table is too long");
	do {
		uint64_t then = world_now_ns(), took;

		rc = table_step(&build, TABLE_STEP_LINES);
		took = world_now_ns() - then;
		longest = took > longest ? took : longest;
	} while (rc == TABLE_MORE);
	world_must(rc == 0, build.why);
	d->table = build.table;
	buf_fini(&b);
	return (double)longest / 1e6;
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
