#include "routerd/route-private.h"

#include "routerd/host.h"
#include "routerd/limits.h"
#include "routerd/names.h"

enum { TRACE_RECORD_BYTES = 200 };

void route_init(struct route *r)
{
	*r = (struct route){ .queue = BUF_INIT(ADDRESS_MAX_BYTES),
		.address = BUF_INIT(2 * ADDRESS_MAX_BYTES),
		.mailbox = BUF_INIT(ADDRESS_MAX_BYTES),
		.detail = BUF_INIT(ADDRESS_MAX_BYTES),
		.trace = BUF_INIT(TRACE_BYTES_MAX),
		.local = BUF_INIT(ADDRESS_MAX_BYTES),
		.low = BUF_INIT(ADDRESS_MAX_BYTES),
		.domain = BUF_INIT(ADDRESS_MAX_BYTES) };
}

void route_fini(struct route *r)
{
	buf_fini(&r->queue);
	buf_fini(&r->address);
	buf_fini(&r->mailbox);
	buf_fini(&r->detail);
	buf_fini(&r->trace);
	buf_fini(&r->local);
	buf_fini(&r->low);
	buf_fini(&r->domain);
}

static void route_reset(struct route *r, enum route_mode mode)
{
	buf_reset(&r->queue);
	buf_reset(&r->address);
	buf_reset(&r->mailbox);
	buf_reset(&r->detail);
	buf_reset(&r->trace);
	r->status = IPC_ROUTE_SYNTAX;
	r->mode = mode;
	r->account = r->group = NULL;
	r->unknown_in = NULL;
	r->bounced = false;
	r->module = r->why = NULL;
	r->port = 0;
	r->exact_host = false;
	r->relay = ROUTE_RELAY_NONE;
	r->steps = r->first_line = 0;
}

/* ---- what the steps share ---------------------------------------------------------------------
 */

void route_trace(struct work *w, const char *step, struct slice what)
{
	struct route *r = w->r;

	if (!r->want_trace)
		return;
	buf_puts(&r->trace, step);
	buf_puts(&r->trace, ": ");
	buf_put(&r->trace, buf_slice(&r->local));
	if (r->domain.n > 0) {
		buf_putc(&r->trace, '@');
		buf_put(&r->trace, buf_slice(&r->domain));
	}
	if (what.n > 0) {
		buf_puts(&r->trace, " <- ");
		buf_put(&r->trace, what);
	}
	buf_putc(&r->trace, '\n');
}

enum turn route_end(struct work *w, enum ipc_route_status status, const char *module)
{
	w->r->status = status;
	w->r->module = module;
	return TURN_END;
}

/* The local part keeps its case, which another server may care for; we compare without. */
void route_set_local(struct work *w, struct slice local)
{
	buf_reset(&w->r->local);
	buf_reset(&w->r->low);
	buf_put(&w->r->local, local);
	put_lower(&w->r->low, local);
}

void route_set_domain(struct work *w, struct slice name)
{
	buf_reset(&w->r->domain);
	put_lower(&w->r->domain, name);
}

int route_take_address(struct work *w, struct slice text)
{
	struct address a;

	if (address_split(text, &a) != 0)
		return 1;
	route_set_local(w, a.local);
	route_set_domain(w, a.domain);
	return 0;
}

/* Does the local part hold a domain of its own? */
bool route_is_path(const struct work *w)
{
	struct slice local = buf_slice(&w->r->local);

	return slice_find(local, '@') >= 0 || slice_find(local, '%') >= 0 ||
	       slice_find(local, '!') > 0;
}

/* A way on to other servers was given: strangers may take it unless `no`. */
void route_relay_by(struct work *w, bool no)
{
	w->r->relay = no || w->r->relay == ROUTE_RELAY_NO ? ROUTE_RELAY_NO : ROUTE_RELAY_YES;
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static enum turn step_own_domain(struct work *w)
{
	uint8_t copy[ADDRESS_MAX_BYTES];
	struct route *r = w->r;
	size_t n = r->local.n;

	w->dom = r->domain.n > 0 ? directory_domain_any(w->d, buf_slice(&r->domain)) : w->d->main;
	if (r->domain.n == 0 || w->dom == NULL || w->dom != w->d->main)
		return TURN_ON;
	route_set_domain(w, SLICE_NONE);
	if (!route_is_path(w))
		return TURN_ON;
	memcpy(copy, r->local.p, n);
	if (route_take_address(w, slice_of(copy, n)) != 0)
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	route_trace(w, "own domain", SLICE_NONE);
	return TURN_OVER;
}

/* What wildcards took of the lower-case local part, as it was written. */
static void parts_restore(const struct work *w, struct table_hit *hit)
{
	const uint8_t *low = w->r->low.p;

	for (size_t i = 0; i < hit->n; i++)
		if (hit->parts[i].p >= low && hit->parts[i].p <= low + w->r->low.n)
			hit->parts[i].p = w->r->local.p + (hit->parts[i].p - low);
}

/* Who administers the server must not lose the name by a pattern: only a record that spells it
 * out can move it, and guard.c looks at where to. */
static bool is_postmaster(const struct work *w)
{
	return w->r->domain.n == 0 && slice_eq(buf_slice(&w->r->low), SLICE("postmaster"));
}

/* The record as it stands in the table. */
static void trace_record(struct work *w, unsigned line)
{
	struct slice text = table_text(w->d->table), one = SLICE_NONE;

	if (!w->r->want_trace)
		return;
	for (unsigned i = 0; i < line; i++)
		one = slice_trim(slice_take(&text, '\n'));
	buf_printf(&w->r->trace, "table line %u: %.*s\n", line,
	    SLICE_FMT(slice_part(one, 0, TRACE_RECORD_BYTES)));
}

static enum turn step_table(struct work *w)
{
	struct route *r = w->r;
	struct subject s = { .local = buf_slice(&r->low),
		.domain = buf_slice(&r->domain),
		.main_domain = w->d->main != NULL ? w->d->main->name : SLICE_NONE,
		.mode = r->mode,
		.literal = is_postmaster(w) };
	struct buf made = BUF_INIT(ADDRESS_MAX_BYTES);
	struct table_hit hit;
	bool path, bad;

	if (!table_find(w->d->table, &s, &hit))
		return TURN_ON;
	path = route_is_path(w);
	parts_restore(w, &hit);
	template_put(&made, hit.rec->right, hit.parts, hit.n);
	bad = made.overflow;
	if (!bad && hit.rec->keeps_local)
		route_set_domain(w, buf_slice(&made));
	else if (!bad)
		bad = route_take_address(w, buf_slice(&made)) != 0;
	buf_fini(&made);
	if (r->first_line == 0)
		r->first_line = hit.rec->line;
	route_relay_by(w, hit.rec->relay == RELAY_NO || (path && hit.rec->relay != RELAY_ALL));
	trace_record(w, hit.rec->line);
	if (bad)
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	route_trace(w, "rewritten", SLICE_NONE);
	return TURN_OVER;
}

static enum turn step_domain_alias(struct work *w)
{
	if (w->r->domain.n == 0 || w->dom == NULL ||
	    slice_eq(w->dom->name, buf_slice(&w->r->domain)))
		return TURN_ON;
	route_set_domain(w, w->dom->name);
	route_trace(w, "domain alias", SLICE_NONE);
	return TURN_OVER;
}

static const struct {
	const char *text;
	enum ipc_route_status status;
	bool name, domain; /* of the Main Domain; every name of such a domain */
} specials[] = { { "null", IPC_ROUTE_DISCARD, true, true },
	{ "error", IPC_ROUTE_REFUSED, true, true }, { "spamtrap", IPC_ROUTE_DISCARD, true, false },
	{ "blacklisted", IPC_ROUTE_REFUSED, false, true } };

bool route_is_special(struct slice name)
{
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		if (specials[i].name && slice_ieq(name, slice_str(specials[i].text)))
			return true;
	return false;
}

static enum turn step_special(struct work *w)
{
	struct route *r = w->r;
	bool whole = r->domain.n > 0;
	struct slice text = buf_slice(whole ? &r->domain : &r->low);

	if (whole && w->dom != NULL)
		return TURN_ON;
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		if (!(whole ? specials[i].domain : specials[i].name) ||
		    !slice_eq(text, slice_str(specials[i].text)))
			continue;
		buf_puts(&r->queue, specials[i].text);
		buf_put(&r->address, buf_slice(&r->local));
		route_trace(w, "special name", SLICE_NONE);
		return route_end(w, specials[i].status, "SYSTEM");
	}
	return TURN_ON;
}

static enum turn one_round(struct work *w)
{
	static enum turn (*const steps[])(struct work *) = { step_own_domain, step_table,
		step_domain_alias, step_special, route_step_host, route_step_local,
		route_step_remote };
	enum turn t = TURN_ON;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && t == TURN_ON; i++)
		t = steps[i](w);
	return t;
}

static void follow(struct work *w)
{
	while (one_round(w) == TURN_OVER) {
		if (++w->r->steps < ROUTE_STEPS_MAX)
			continue;
		route_end(w, IPC_ROUTE_LOOP, NULL);
		route_trace(w, "loop", SLICE_NONE);
		return;
	}
}

/* `r` is reset already. */
static void follow_text(
    const struct directory *d, struct slice text, enum route_mode mode, struct route *r)
{
	struct work w = { .d = d, .r = r };

	if (route_take_address(&w, text) == 0) {
		route_trace(&w, "given", SLICE_NONE);
		follow(&w);
	}
	if (mode == ROUTE_ACCESS && r->status == IPC_ROUTE_DISCARD)
		r->status = IPC_ROUTE_NOTLOCAL;
}

void route_address(
    const struct directory *d, struct slice text, enum route_mode mode, struct route *r)
{
	route_reset(r, mode);
	follow_text(d, text, mode, r);
}

static void trace_name(
    struct route *r, const char *what, struct slice domain, const struct addr *ip)
{
	char text[ADDR_TEXT_MAX];

	if (!r->want_trace)
		return;
	buf_puts(&r->trace, what);
	if (ip != NULL && ip->family != 0)
		buf_printf(&r->trace, " %s", addr_ip_text(ip, text));
	if (domain.n > 0)
		buf_printf(&r->trace, ", so it is of %.*s", SLICE_FMT(domain));
	buf_putc(&r->trace, '\n');
}

/* The domain that completes a name without one; empty: the Main Domain. */
static struct slice completion(
    const struct directory *d, struct slice domain, const struct addr *local, struct route *r)
{
	struct slice main = d->main != NULL ? d->main->name : SLICE_NONE;
	const struct domain *by_ip;
	struct host host;
	struct addr ip = *local;
	uint8_t low[DOMAIN_MAX_BYTES];

	for (size_t i = 0; i < domain.n && i < sizeof(low); i++)
		low[i] = ascii_lower(domain.p[i]);
	if (domain.n > 0) {
		if (domain.n > sizeof(low) || host_parse(slice_of(low, domain.n), &host) != 0 ||
		    host.ip.family == 0) {
			trace_name(r, "a name alone: the protocol names a domain", domain, NULL);
			return domain;
		}
		ip = host.ip;
	}
	by_ip = directory_domain_by_ip(d, &ip);
	if (by_ip != NULL)
		trace_name(r, "a name alone: a domain has the address", by_ip->name, &ip);
	else if (ip.family != 0)
		trace_name(r, "a name alone: no domain has the address", main, &ip);
	else
		trace_name(r, "a name alone: no address is given", main, NULL);
	return by_ip != NULL ? by_ip->name : SLICE_NONE;
}

void route_typed(const struct directory *d, struct slice typed, struct slice domain,
    const struct addr *local, enum route_mode mode, struct route *r)
{
	struct buf full = BUF_INIT(ADDRESS_MAX_BYTES);
	struct slice with = SLICE_NONE;

	route_reset(r, mode);
	typed = slice_trim(typed);
	if (typed.n > 0 && slice_find(typed, '@') < 0 && slice_find(typed, '%') < 0)
		with = completion(d, domain, local, r);
	else if (domain.n > 0 || local->family != 0)
		trace_name(r, "a full name: neither domain nor address counts", SLICE_NONE, NULL);
	if (with.n == 0) {
		follow_text(d, typed, mode, r);
		return;
	}
	buf_put(&full, typed);
	buf_putc(&full, '@');
	buf_put(&full, with);
	if (!full.overflow)
		follow_text(d, buf_slice(&full), mode, r);
	buf_fini(&full);
}

void route_login(const struct directory *d, struct slice typed, struct slice domain,
    const struct addr *local, struct route *r)
{
	route_typed(d, typed, domain, local, ROUTE_ACCESS, r);
}
