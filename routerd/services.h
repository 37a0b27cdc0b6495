/*
 * services - which services an account has: those that are on for itself and for its domain.
 */
#pragma once

#include "routerd/routerd.h"
#include "routerd/settings.h"

/* enum setting_service bits that are on for both. */
uint64_t services_of(const struct directory *d, const struct object *o);

/*
 * May the account log in by this service ("pop3", "imap", "smtp" for submission, "pwd" ...), over a
 * link that is encrypted or not? Not by one that has no name here: what nobody could switch off
 * is no way in.
 */
bool services_allow(
    const struct directory *d, const struct object *o, struct slice service, bool encrypted);

/* `lost` has been switched off for the holder: whoever now lacks it loses the sessions of it. */
void services_lost(struct routerd *rd, const struct settings_holder *h, uint64_t lost);
