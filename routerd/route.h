/*
 * route - where a name leads. One function for every door: logins, recipients, ~names, tests.
 *
 * Order of work for one address, started over after each rewrite: own Main Domain stripped; table
 * records; domain aliases; special names; objects of a local domain; everything else is remote.
 * Aliases and forwarders are rewrites, too.
 */
#pragma once

#include "common/ipc/types.h"
#include "routerd/directory.h"

#include "common/base/buf.h"

enum route_mode { ROUTE_MAIL, ROUTE_ACCESS, ROUTE_SIGNAL };

struct route {
	enum ipc_route_status status;
	struct object *account; /* with IPC_ROUTE_OK, unless there is a group */
	struct object *group;   /* of mail: its members are the recipients (routerd/group.h) */
	const char *module; /* "LOCAL", "GROUP", "LIST", "SMTP", "SYSTEM"; NULL: nothing reached */
	const char *why;    /* more than the status says, fixed text; or NULL */
	struct buf queue;   /* remote: the host */
	struct buf address; /* what is left of the address there */
	struct buf trace;   /* one line per step taken */
	unsigned steps;
};

void route_init(struct route *r);
void route_fini(struct route *r);

/* Follows `text`; the result is in `r`, which is reset first. */
void route_address(
    const struct directory *d, struct slice text, enum route_mode mode, struct route *r);

/*
 * A login name as typed: a name with '@' or '%' is full; else `domain` (the protocol's, may be
 * empty) completes it, else the domain to which the local address belongs, else the Main Domain.
 * Then access mode: what is not an account of ours is refused with IPC_ROUTE_NOTLOCAL.
 */
void route_login(const struct directory *d, struct slice typed, struct slice domain,
    const struct addr *local, struct route *r);

/* Text for the client that goes with a status; fixed. */
const char *route_status_text(enum ipc_route_status status);
/* The same for a result, which may say more. */
const char *route_why(const struct route *r);
/* One word for figures. */
const char *route_status_word(enum ipc_route_status status);

/* name@domain of an object, lower case. */
void put_object_name(struct buf *b, const struct object *o);
