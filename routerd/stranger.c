#include "routerd/stranger.h"

#include "common/base/addr_range.h"
#include "routerd/settings.h"

bool stranger_blacklisted(const struct directory *d, const struct addr *peer)
{
	struct slice list = settings_effective_server(d, SETTING_BlacklistedIPs), item;
	struct addr_range net, one;

	if (peer->family != 4 && peer->family != 6)
		return false;
	one = addr_range_one(peer);
	while (setting_next(&list, &item))
		if (addr_range_parse(item, &net) == 0 && addr_range_meets(&net, &one))
			return true;
	return false;
}

/* The last '@' is the one before the domain; those in a quoted local part stay. */
void stranger_put_listed(struct buf *out, struct slice address)
{
	ptrdiff_t at = slice_rfind(address, '@');

	buf_put(out, at < 0 ? address : slice_part(address, 0, (size_t)at));
	if (at >= 0) {
		buf_putc(out, '%');
		buf_put(out, slice_from(address, (size_t)at + 1));
	}
	buf_puts(out, "@blacklisted");
}

bool stranger_trapped(const struct route *r)
{
	return r->status == IPC_ROUTE_DISCARD && slice_eq(buf_slice(&r->queue), SLICE("spamtrap"));
}
