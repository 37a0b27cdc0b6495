#include "routerd/unknown.h"

#include "routerd/settings.h"

struct unknown unknown_of(const struct directory *d, const struct domain *dom, enum route_mode mode)
{
	static const struct {
		enum setting action, address;
	} rows[ROUTE_MODES] = {
		[ROUTE_MAIL] = { SETTING_MailToUnknown, SETTING_MailRerouteAddress },
		[ROUTE_ACCESS] = { SETTING_AccessToUnknown, SETTING_AccessRerouteAddress },
		[ROUTE_SIGNAL] = { SETTING_SignalToUnknown, SETTING_SignalRerouteAddress },
	};
	uint64_t v = setting_number(settings_effective_domain(d, dom, rows[mode].action));
	struct unknown u = { (unsigned)v, SLICE_NONE };

	if (mode == ROUTE_ACCESS)
		u.action = v == ACCESS_UNKNOWN_REROUTED ? UNKNOWN_REROUTED : UNKNOWN_REJECTED;
	if (u.action == UNKNOWN_REROUTED)
		u.address = settings_effective_domain(d, dom, rows[mode].address);
	return u;
}
