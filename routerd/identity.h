/*
 * identity - under which addresses an account may appear: as the sender of what it submits, and in
 * From, where somebody asks.
 *
 * Invariant: an address is the account's when mail to it ends in that account and nowhere else (its
 * name, an alias, either with a detail or under another name of the domain, what the table sends
 * there), or when its setting SenderAddresses grants it; by the directory of this moment.
 */
#pragma once

#include "routerd/route.h"

bool identity_has(const struct directory *d, struct route *scratch, const struct object *account,
    struct slice address);
