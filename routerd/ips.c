/* ips - which local addresses lead to which domain. */
#include "routerd/directory.h"

#include <errno.h>
#include <stdlib.h>

/* The first row that begins behind `range`'s first address. */
static size_t place(const struct directory *d, const struct addr_range *range)
{
	size_t lo = 0, hi = d->n_ips;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_range_cmp(&d->ips[mid].range, range) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct domain_ip *directory_ips_meeting(
    const struct directory *d, const struct addr_range *range, const struct domain *but)
{
	size_t i = place(d, range);

	for (i -= i > 0; i < d->n_ips; i++) {
		const struct domain_ip *row = &d->ips[i];

		if (addr_range_meets(&row->range, range) && row->domain != but)
			return row;
		if (row->range.family > range->family ||
		    (row->range.family == range->family &&
			memcmp(row->range.from, range->to, sizeof(range->to)) > 0))
			break;
	}
	return NULL;
}

struct domain *directory_domain_by_ip(const struct directory *d, const struct addr *local)
{
	const struct domain_ip *row;
	struct addr_range one;

	if (local->family != 4 && local->family != 6)
		return NULL;
	one = addr_range_one(local);
	row = directory_ips_meeting(d, &one, NULL);
	return row != NULL && row->domain->state == STATE_ACTIVE ? row->domain : NULL;
}

int directory_add_domain_ips(
    struct directory *d, struct domain *dom, const struct addr_range *range)
{
	const struct domain_ip *there = directory_ips_meeting(d, range, NULL);
	size_t i = place(d, range);

	if (there != NULL)
		return there->domain == dom && addr_range_same(&there->range, range) ? 0 : 1;
	if (d->n_ips == d->cap_ips) {
		size_t cap = d->cap_ips > 0 ? d->cap_ips * 2 : 64;
		struct domain_ip *more = reallocarray(d->ips, cap, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		d->ips = more;
		d->cap_ips = cap;
	}
	memmove(d->ips + i + 1, d->ips + i, (d->n_ips - i) * sizeof(*d->ips));
	d->ips[i] = (struct domain_ip){ *range, dom };
	d->n_ips++;
	return 0;
}

void directory_clear_domain_ips(struct directory *d, const struct domain *dom)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n_ips; i++)
		if (d->ips[i].domain != dom)
			d->ips[kept++] = d->ips[i];
	d->n_ips = kept;
}
