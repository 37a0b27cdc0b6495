/*
 * stranger - what the operator says of the hosts that mail comes from on port 25. Pure.
 *
 * Their mail is routed by another address, so that the Router's table has the last word: the shipped
 * record `<blacklist-admin*@blacklisted> = postmaster` leaves them one way in.
 */
#pragma once

#include "common/base/addr.h"
#include "routerd/route.h"

/* Is it in BlacklistedIPs? */
bool stranger_blacklisted(const struct directory *d, const struct addr *peer);
/* name%domain@blacklisted, where a recipient of theirs leads. */
void stranger_put_listed(struct buf *out, struct slice address);

/* Did the route end in the spam trap? */
bool stranger_trapped(const struct route *r);
