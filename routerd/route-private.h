/* route-private - what the files of route share: the address under work and its steps. */
#pragma once

#include "routerd/route.h"

struct work {
	const struct directory *d;
	struct route *r;    /* the address is in r->local, r->low (lower case) and r->domain */
	struct domain *dom; /* that the domain part names, if it is ours */
};

/* Steps answer: go on with the next step, start over with a new address, or the end is reached. */
enum turn { TURN_ON, TURN_OVER, TURN_END };

/* route.c */
void route_trace(struct work *w, const char *step, struct slice what);
enum turn route_end(struct work *w, enum ipc_route_status status, const char *module);
/* `local`, `name` must not lie in the work's buffers. */
void route_set_local(struct work *w, struct slice local);
void route_set_domain(struct work *w, struct slice name);
/* The address becomes `text`, which lies elsewhere: 0, or 1 when it is none. */
int route_take_address(struct work *w, struct slice text);
bool route_is_path(const struct work *w);
/* A way on to other servers was given: strangers may take it unless `no`. */
void route_relay_by(struct work *w, bool no);

/* route-host.c */
enum turn route_step_host(struct work *w);
enum turn route_step_remote(struct work *w);

/* route-local.c */
enum turn route_step_local(struct work *w);
