/*
 * Any text as a Router's table, and names against it: what compiles is found again, each hit is of
 * the subject's mode, what wildcards took lies in the subject, and a route ends within the limit.
 * Names are also typed at the domain that the next one is, and read as ranges of addresses, whose
 * form is read as the same range.
 * Input: a table, a NUL, then addresses, each ended by a NUL.
 */
#include "routerd/host.h"
#include "routerd/limits.h"
#include "routerd/route.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static bool inside(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void find(const struct table *t, struct slice local, struct slice domain)
{
	struct table_hit hit;
	struct subject s = { local, domain, SLICE("main"), ROUTE_MAIL, false };

	for (int mode = 0; mode < ROUTE_MODES; mode++) {
		s.mode = (enum route_mode)mode;
		if (!table_find(t, &s, &hit))
			continue;
		assert((hit.rec->modes & 1u << mode) != 0 && hit.rec->line > 0);
		for (size_t i = 0; i < hit.n; i++)
			assert(inside(hit.parts[i], local) || inside(hit.parts[i], domain) ||
			       inside(hit.parts[i], s.main_domain));
	}
}

static void follow(struct directory *d, struct route *r, struct slice name)
{
	struct host h;

	for (int mode = 0; mode < ROUTE_MODES; mode++) {
		route_address(d, name, (enum route_mode)mode, r);
		assert(r->steps <= ROUTE_STEPS_MAX);
		assert((r->status == IPC_ROUTE_OK) == (r->account != NULL));
		route_explain(d, r);
	}
	(void)host_parse(name, &h);
	find(d->table, slice_part(name, 0, name.n / 2), slice_from(name, name.n / 2));
}

static void typed(struct directory *d, struct route *r, struct slice name, struct slice domain)
{
	struct addr_range range, again;
	char text[ADDR_RANGE_TEXT_MAX];
	struct addr local = { .family = 4, .ip = { 10, 0, 0, 1 } };

	for (int mode = 0; mode < ROUTE_MODES; mode++) {
		route_typed(d, name, domain, &local, (enum route_mode)mode, r);
		assert(r->steps <= ROUTE_STEPS_MAX);
		assert((r->status == IPC_ROUTE_OK) == (r->account != NULL));
	}
	if (addr_range_parse(name, &range) != 0)
		return;
	assert(memcmp(range.from, range.to, sizeof(range.to)) <= 0);
	addr_range_text(&range, text);
	assert(addr_range_parse(slice_str(text), &again) == 0 && addr_range_same(&range, &again));
	(void)directory_add_domain_ips(d, d->main, &range);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice_of(data, n), text = slice_take(&rest, 0);
	struct directory d;
	struct route r;
	unsigned line = 0;
	const char *why = NULL;

	directory_init(&d);
	route_init(&r);
	r.want_trace = true;
	d.main = directory_add_domain(&d, SLICE("main"), d.next_id++, STATE_ACTIVE);
	directory_add_account(&d, d.main, SLICE("a"), d.next_id++, STATE_ACTIVE);
	if (table_compile(text, &d.table, &line, &why) != 0)
		assert(why != NULL && d.table == NULL);
	for (int i = 0; i < 50 && rest.n > 0; i++) {
		struct slice name = slice_take(&rest, 0), next = rest;

		follow(&d, &r, name);
		typed(&d, &r, name, slice_take(&next, 0));
	}
	route_fini(&r);
	directory_fini(&d);
	return 0;
}
