/*
 * sender - the address that mail is from: may a login use it, and who is to get a report.
 *
 * Both look the address up anew each time, by the routes of mail: an account may be suspended and
 * an alias given away while its connection lasts.
 */
#pragma once

#include "routerd/routerd.h"

/* May `account`, which logged in, send as `address`? OK, REFUSED, or DISABLED: it sends nothing. */
enum ipc_route_status sender_status(struct routerd *rd, uint64_t account, struct slice address);

/*
 * The one account where mail to the sender's address ends: OK, and one report of its share is used
 * up (routerd/bounce.h). NOTLOCAL: there is none; REFUSED: it has had too many; TRYLATER.
 */
enum ipc_route_status sender_reported(
    struct routerd *rd, struct slice address, const struct object **ret_account);

/*
 * The same for a report of success. `login` (0: nobody logged in) asked for it himself: he gets it
 * where the address, which he may use, leads to nobody else here, and as often as he asks.
 */
enum ipc_route_status sender_told(
    struct routerd *rd, struct slice address, uint64_t login, const struct object **ret_account);
