/*
 * guard - who administers the server must not lose his name by a slip of the pen, nor to somebody
 * who may create names on its way: postmaster of the Main Domain is led by a record of the Router
 * to an account with the Master right, or by none.
 *
 * Invariant: what leads right is not made to lead wrong, by a table nor by any change of what its
 * record leads through. A change is looked at in memory, as if it were made, before it is handed
 * in; nobody else looks meanwhile. One that leads postmaster another way is alone on its way to the
 * disk, since two that are right each may be wrong together. What leads wrong already (a directory
 * of an older version) holds nobody up.
 */
#pragma once

#include "routerd/dirconn.h"

/* The line of the table that leads postmaster, in any mode, anywhere but to an account with the
 * Master right; 0: none. */
unsigned table_takes_postmaster(const struct directory *d, const struct table *t);
/* Does a line of it lead postmaster at all? */
bool table_has_postmaster(const struct directory *d, const struct table *t);
/* The account is about to lose the name or the Master right: answers that it may not. */
bool change_has_postmaster(struct request *q, const struct object *o);

/* Something is on its way to the disk, or to the peers, that is not in the directory yet. */
bool guard_busy(const struct routerd *rd);
/* Is there something to watch over? To be asked before the directory is changed to look at it. */
bool guard_watches(struct request *q);
/* The directory is as if the change were made: answers, when it may not be. */
bool guard_broken(struct request *q);

/* These ask, look and put back. True after having answered: the change may not be made. */
bool guard_refuses_name(struct request *q, struct domain *dom, struct slice name);
bool guard_refuses_domain(struct request *q, struct slice name); /* a new one, or an alias */
bool guard_refuses_gone(struct request *q, struct object *o);
bool guard_refuses_domain_gone(struct request *q, struct domain *dom);
bool guard_refuses_suspended(struct request *q, struct domain *dom);
/* The names of a domain, beside its first, that are not among `names` any more. */
bool guard_refuses_aliases(
    struct request *q, struct domain *dom, const struct slice *names, size_t n);
bool guard_refuses_ips(
    struct request *q, struct domain *dom, const struct addr_range *ips, size_t n);
bool guard_refuses_rename(struct request *q, struct domain *dom, struct slice name);
