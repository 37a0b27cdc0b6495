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
	struct unknown u = { .action = (unsigned)v, .key = rows[mode].action };

	if (mode == ROUTE_ACCESS)
		u.action = v == ACCESS_UNKNOWN_REROUTED ? UNKNOWN_REROUTED : UNKNOWN_REJECTED;
	if (u.action == UNKNOWN_REROUTED)
		u.address = settings_effective_domain(d, dom, rows[mode].address);
	return u;
}

static bool is_set(enum settings_scope scope, struct settings *const *at, enum setting key)
{
	struct settings_holder h = { .scope = scope, .at = (struct settings **)at };

	return settings_explicit(&h, key).p != NULL;
}

const char *unknown_whose(const struct directory *d, const struct domain *dom, enum setting key)
{
	if (is_set(SCOPE_DOMAIN, &dom->settings, key))
		return "set for the domain";
	return is_set(SCOPE_DOMAIN_DEFAULTS, &d->domain_defaults, key) ? "set for all domains"
								       : "the default";
}

bool unknown_asks_helper(const struct directory *d, const struct domain *dom, enum route_mode mode)
{
	static const enum setting keys[ROUTE_MODES] = { [ROUTE_MAIL] = SETTING_ExternalOnProvision,
		[ROUTE_ACCESS] = SETTING_ExternalOnUnknown };

	return mode != ROUTE_SIGNAL &&
	       setting_number(settings_effective_domain(d, dom, keys[mode])) != 0;
}
