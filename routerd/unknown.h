/*
 * unknown - what a domain does with names that it does not have: its settings MailToUnknown,
 * AccessToUnknown, SignalToUnknown and the addresses beside them. Pure.
 */
#pragma once

#include "common/settings/settings.h"
#include "routerd/directory.h"

struct unknown {
	unsigned action;      /* UNKNOWN_... */
	struct slice address; /* rerouted: a template with '*' for the name */
	enum setting key;     /* that says so */
};

struct unknown unknown_of(
    const struct directory *d, const struct domain *dom, enum route_mode mode);

/* May the external helper know the name (provision.c)? */
bool unknown_asks_helper(const struct directory *d, const struct domain *dom, enum route_mode mode);

/* Whose setting it is, for people. */
const char *unknown_whose(const struct directory *d, const struct domain *dom, enum setting key);
