/*
 * route - where a name leads. One function for every door: logins, recipients, ~names, tests.
 *
 * Order of work for one address, started over after each rewrite: own Main Domain stripped; table
 * records; domain aliases; special names; host forms (suffixes, ports, IP addresses); objects of a
 * local domain; what its domain does with unknown names; everything else is remote. Aliases and
 * forwarders are rewrites, too.
 */
#pragma once

#include "common/ipc/types.h"
#include "routerd/directory.h"

#include "common/base/buf.h"

/* May a stranger's mail leave by this way? Our own users' may in any case. */
enum route_relay {
	ROUTE_RELAY_NONE, /* no record, forwarder or reroute led there */
	ROUTE_RELAY_YES,
	ROUTE_RELAY_NO, /* one of the records on the way says no */
};

struct route {
	enum ipc_route_status status;
	enum route_mode mode;
	struct object *account; /* with IPC_ROUTE_OK, unless there is a group */
	struct object *group;   /* reached, with any status; of mail that is taken, its members are
				 * the recipients (routerd/group.h) */
	struct domain *unknown_in; /* with IPC_ROUTE_UNKNOWN: it has no such name; `low` is that */
	bool bounced;              /* and mail is taken for it if its sender can have a report */
	/* "LOCAL", "GROUP", "LIST", "SMTP", "SYSTEM", "HTTP" (a domain's login page); NULL: nothing
	 * was reached. */
	const char *module;
	const char *why;    /* more than the status says, fixed text; or NULL */
	struct buf queue;   /* remote: the host, an IP address without brackets */
	uint16_t port;      /* 0: the protocol's own */
	bool exact_host;    /* no look-up of MX records: this host itself */
	struct buf address; /* what is left of the address there */
	struct buf mailbox; /* mailbox#account */
	struct buf detail;  /* account+detail; before .local and .domain: the local part given up */
	enum route_relay relay;
	unsigned steps;                /* rewrites */
	unsigned first_line;           /* of the table's first record that was used; 0: none */
	bool want_trace;               /* set by the caller; kept from one address to the next */
	struct buf trace;              /* one line per step taken */
	struct buf local, low, domain; /* the address under work */
};

void route_init(struct route *r);
void route_fini(struct route *r);

/* Follows `text`; the result is in `r`, which is reset first. */
void route_address(
    const struct directory *d, struct slice text, enum route_mode mode, struct route *r);

/*
 * The same for a name as typed: one with '@' or '%' is full; else `domain` (the protocol's, may be
 * empty; an IP address stands for its domain) completes it, else the domain to which the local
 * address belongs, else the Main Domain.
 */
void route_typed(const struct directory *d, struct slice typed, struct slice domain,
    const struct addr *local, enum route_mode mode, struct route *r);

/* route_typed() in access mode: what is not an account of ours is refused. */
void route_login(const struct directory *d, struct slice typed, struct slice domain,
    const struct addr *local, struct route *r);

/* Is the name one of the Main Domain that leads to no object ("null", "error" ...)? In any case. */
bool route_is_special(struct slice name);

/* Does mail to mailbox#account go into that mailbox of the account? */
bool route_direct(const struct directory *d, const struct object *account);

/* ---- route-text.c ---- */

/* Text for the client that goes with a status; fixed. */
const char *route_status_text(enum ipc_route_status status);
/* The same for a result, which may say more. */
const char *route_why(const struct route *r);
/* One word for figures. */
const char *route_status_word(enum ipc_route_status status);

/* The queue as the operator sees it: with the port where there is one. */
void route_put_queue(struct buf *b, const struct route *r);

/* Adds to the trace what the result means: mailbox, detail, and what becomes of mail. */
void route_explain(const struct directory *d, struct route *r);

/* name@domain of an object, lower case. */
void put_object_name(struct buf *b, const struct object *o);
