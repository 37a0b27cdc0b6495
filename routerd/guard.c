#include "routerd/guard.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/rights.h"

#include <errno.h>
#include <stdio.h>
#include <xxhash.h>

unsigned table_takes_postmaster(const struct directory *d, const struct table *t)
{
	struct directory probe = *d;
	struct route r;
	unsigned line = 0;

	probe.table = (struct table *)t;
	route_init(&r);
	for (int mode = 0; mode < ROUTE_MODES && line == 0; mode++) {
		route_address(&probe, SLICE("postmaster"), (enum route_mode)mode, &r);
		if (r.first_line > 0 && (r.account == NULL || !rights_has_master(d, r.account)))
			line = r.first_line;
	}
	route_fini(&r);
	return line;
}

/* The line of the table that leads postmaster to this very account, or 0. */
static unsigned table_gives_postmaster(
    const struct directory *d, const struct table *t, const struct object *o)
{
	struct directory probe = *d;
	struct route r;
	unsigned line = 0;

	probe.table = (struct table *)t;
	route_init(&r);
	for (int mode = 0; mode < ROUTE_MODES && line == 0; mode++) {
		route_address(&probe, SLICE("postmaster"), (enum route_mode)mode, &r);
		if (r.first_line > 0 && r.account == o)
			line = r.first_line;
	}
	route_fini(&r);
	return line;
}

/* ---- changes that are not made yet ---- */

bool guard_busy(const struct routerd *rd)
{
	return rd->changes_in_flight > 0 || rd->ops != NULL;
}

static void refuse_later(struct request *q)
{
	reply_error(q, IPC_DIR_TRYLATER, "another change is on its way: try again");
}

static bool refuse_memory(struct request *q)
{
	reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	return true;
}

static uint64_t way_by(const struct directory *d, const struct table *t, uint64_t seed)
{
	struct directory probe = *d;
	struct route r;

	probe.table = (struct table *)t;
	route_init(&r);
	r.want_trace = true;
	for (int mode = 0; mode < ROUTE_MODES; mode++) {
		route_address(&probe, SLICE("postmaster"), (enum route_mode)mode, &r);
		seed = XXH3_64bits_withSeed(r.trace.p, r.trace.n, seed);
		seed += r.account != NULL ? r.account->id : 0;
	}
	route_fini(&r);
	return seed;
}

/* Every step on which postmaster is led, by the table and by one that is on its way, as a number.
 */
static uint64_t way(const struct routerd *rd)
{
	uint64_t sum = way_by(&rd->db.dir, rd->db.dir.table, 0);

	return rd->table_next != NULL ? way_by(&rd->db.dir, rd->table_next, sum) : sum;
}

/*
 * A change that leaves every step as it is does no harm beside any other. One that leads another
 * way, be it a right one, is looked at in the directory of this moment: so nothing else may be on
 * its way, and nothing else may begin until it is made.
 */
static bool moves_beside_others(struct request *q)
{
	bool moves = way(q->rd) != q->rd->guard_way;

	if (guard_busy(q->rd) && (moves || q->rd->guard_moves)) {
		refuse_later(q);
		return true;
	}
	q->rd->guard_moves |= moves;
	return false;
}

bool change_has_postmaster(struct request *q, const struct object *o)
{
	const struct directory *d = &q->rd->db.dir;
	const struct table *next =
	    q->rd->table_next; /* on its way to the disk: it counts as well */
	unsigned line = 0;
	char why[120];

	if (rights_has_master(d, o))
		line = table_gives_postmaster(d, d->table, o);
	if (line == 0 && next != NULL && rights_has_master(d, o))
		line = table_gives_postmaster(d, next, o);
	if (line == 0 && rights_has_master(d, o) && guard_busy(q->rd) && q->rd->guard_moves) {
		/* It could be the one that postmaster is about to be led to. */
		refuse_later(q);
		return true;
	}
	if (line == 0)
		return false;
	snprintf(why, sizeof(why),
	    "line %u of the Router's table leads postmaster of the Main Domain to this account",
	    line);
	reply_error(q, IPC_DIR_DENIED, why);
	return true;
}

/* ---- changes of what it leads through ---- */

bool table_has_postmaster(const struct directory *d, const struct table *t)
{
	struct directory probe = *d;
	struct route r;
	bool has = false;

	probe.table = (struct table *)t;
	route_init(&r);
	for (int mode = 0; mode < ROUTE_MODES && !has; mode++) {
		route_address(&probe, SLICE("postmaster"), (enum route_mode)mode, &r);
		has = r.first_line > 0;
	}
	route_fini(&r);
	return has;
}

/* A table that is on its way to the disk counts as well. */
static unsigned broken_line(const struct routerd *rd)
{
	const struct directory *d = &rd->db.dir;
	unsigned line = table_takes_postmaster(d, d->table);

	return line == 0 && rd->table_next != NULL ? table_takes_postmaster(d, rd->table_next)
						   : line;
}

/* Does any line lead postmaster? */
static bool is_led(const struct routerd *rd)
{
	const struct directory *d = &rd->db.dir;

	return table_has_postmaster(d, d->table) ||
	       (rd->table_next != NULL && table_has_postmaster(d, rd->table_next));
}

bool guard_watches(struct request *q)
{
	if (!is_led(q->rd))
		return false;
	if (broken_line(q->rd) != 0)
		return false;
	q->rd->guard_way = way(q->rd);
	q->rd->guard_moves &= guard_busy(q->rd);
	return true;
}

bool guard_broken(struct request *q)
{
	unsigned line = broken_line(q->rd);
	char why[120];

	if (line == 0)
		return moves_beside_others(q);
	snprintf(why, sizeof(why),
	    "line %u of the Router's table leads postmaster of the Main Domain through this", line);
	reply_error(q, IPC_DIR_DENIED, why);
	return true;
}

/* Whatever takes the name: none but its owner knows yet where that will lead. */
bool guard_refuses_name(struct request *q, struct domain *dom, struct slice name)
{
	struct directory *d = &q->rd->db.dir;
	struct object *o;
	bool broken;

	if (!guard_watches(q))
		return false;
	o = directory_hold(d, dom, name);
	if (o == NULL)
		return refuse_memory(q);
	o->state = STATE_ACTIVE;
	broken = guard_broken(q);
	directory_remove_object(d, o);
	return broken;
}

bool guard_refuses_domain(struct request *q, struct slice name)
{
	struct directory *d = &q->rd->db.dir;
	struct domain *dom;
	bool broken;

	if (!guard_watches(q) || directory_domain_any(d, name) != NULL)
		return false;
	dom = directory_add_domain(d, name, d->next_id, STATE_ACTIVE);
	if (dom == NULL)
		return refuse_memory(q);
	broken = guard_broken(q);
	directory_remove_domain(d, dom);
	return broken;
}

/* As if the object, or the domain, were going. */
static bool refuses_going(struct request *q, struct object *o, struct domain *dom)
{
	bool broken;

	if (!guard_watches(q))
		return false;
	if (o != NULL)
		o->state = STATE_DELETING;
	else
		dom->state = STATE_DELETING;
	broken = guard_broken(q);
	if (o != NULL)
		o->state = STATE_ACTIVE;
	else
		dom->state = STATE_ACTIVE;
	return broken;
}

bool guard_refuses_gone(struct request *q, struct object *o)
{
	return refuses_going(q, o, NULL);
}

bool guard_refuses_domain_gone(struct request *q, struct domain *dom)
{
	return refuses_going(q, NULL, dom);
}

bool guard_refuses_suspended(struct request *q, struct domain *dom)
{
	bool was = dom->suspended, broken;

	if (!guard_watches(q))
		return false;
	dom->suspended = true;
	broken = guard_broken(q);
	dom->suspended = was;
	return broken;
}

static bool named(struct slice name, const struct slice *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(names[i], name))
			return true;
	return false;
}

/* A name that leads to no domain is as one that is not there. */
bool guard_refuses_aliases(
    struct request *q, struct domain *dom, const struct slice *names, size_t n)
{
	struct domain_alias *a, *tmp;
	bool broken = false, moves;

	if (!guard_watches(q))
		return false;
	HASH_ITER(hh, q->rd->db.dir.domain_aliases, a, tmp)
	{
		if (a->domain == dom && !named(a->name, names, n))
			a->domain = NULL;
	}
	broken = guard_broken(q);
	HASH_ITER(hh, q->rd->db.dir.domain_aliases, a, tmp)
	{
		if (a->domain == NULL)
			a->domain = dom;
	}
	moves = q->rd->guard_moves;
	for (size_t i = 0; i < n && !broken; i++)
		broken = guard_refuses_domain(q, names[i]);
	/* Which each look forgets, as nothing is on its way yet. */
	q->rd->guard_moves |= moves;
	return broken;
}

bool guard_refuses_ips(
    struct request *q, struct domain *dom, const struct addr_range *ips, size_t n)
{
	struct domain nowhere = { .state = STATE_NEW };
	struct directory *d = &q->rd->db.dir;
	bool broken;

	if (!guard_watches(q))
		return false;
	for (size_t i = 0; i < d->n_ips; i++) {
		bool stays = d->ips[i].domain != dom;

		for (size_t k = 0; k < n; k++)
			stays |= addr_range_same(&d->ips[i].range, &ips[k]);
		if (!stays)
			d->ips[i].domain = &nowhere;
	}
	broken = guard_broken(q);
	for (size_t i = 0; i < d->n_ips; i++)
		if (d->ips[i].domain == &nowhere)
			d->ips[i].domain = dom;
	return broken;
}

/* The new name could also make a record apply that does not now. */
bool guard_refuses_rename(struct request *q, struct domain *dom, struct slice name)
{
	struct directory *d = &q->rd->db.dir;
	uint8_t raw[DOMAIN_MAX_BYTES];
	struct slice old = name_lower(dom->name, raw);
	bool alias = directory_domain_any(d, name) == dom && !slice_ieq(name, old), broken, later,
	     led;

	if (broken_line(q->rd) != 0)
		return false;
	led = guard_watches(q);
	q->rd->guard_way = way(q->rd);
	if (directory_rename_domain(d, dom, name) != 0)
		return refuse_memory(q);
	broken = broken_line(q->rd) != 0;
	later = !broken && (led || is_led(q->rd)) && moves_beside_others(q);
	if (directory_rename_domain(d, dom, old) != 0 ||
	    (alias && directory_add_domain_alias(d, dom, name) != 0))
		routerd_commit_failed(q->rd, -ENOMEM);
	if (broken)
		reply_error(q, IPC_DIR_BAD,
		    "a record of the Router would lead postmaster of the Main Domain elsewhere");
	return broken || later;
}
