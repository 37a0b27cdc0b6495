/* Names of our own domains: objects, and what becomes of names that nobody has. */
#include "routerd/route-private.h"

#include "routerd/group.h"
#include "routerd/limits.h"
#include "routerd/settings.h"
#include "routerd/unknown.h"

/*
 * mailbox#account+detail: neither mailbox nor detail matters for finding the account. An object
 * whose name holds the whole text comes first.
 */
static struct object *find_object(const struct work *w)
{
	struct route *r = w->r;
	struct slice low = buf_slice(&r->low);
	struct object *o = directory_object(w->d, w->dom, low);
	ptrdiff_t hash = slice_rfind(low, '#'), plus;

	if (o == NULL && hash >= 0) {
		buf_reset(&r->mailbox);
		buf_put(&r->mailbox, slice_part(buf_slice(&r->local), 0, (size_t)hash));
		low = slice_from(low, (size_t)hash + 1);
		o = directory_object(w->d, w->dom, low);
	}
	plus = slice_find(low, '+');
	if (o == NULL && plus > 0) {
		buf_reset(&r->detail);
		buf_put(&r->detail,
		    slice_from(buf_slice(&r->local), r->local.n - low.n + (size_t)plus + 1));
		o = directory_object(w->d, w->dom, slice_part(low, 0, (size_t)plus));
	}
	return o != NULL && o->state == STATE_ACTIVE ? o : NULL;
}

bool route_direct(const struct directory *d, const struct object *account)
{
	return setting_number(settings_effective(d, account, SETTING_DirectMailboxAddressing)) != 0;
}

/* "unknown: x@client1.com: MailToUnknown is Rejected (the default)". */
static void trace_unknown(struct work *w, const struct unknown *u)
{
	struct route *r = w->r;
	struct buf value = BUF_INIT(200);

	if (!r->want_trace)
		return;
	setting_put(&value, u->key, settings_effective_domain(w->d, w->dom, u->key));
	buf_printf(&r->trace, "unknown: %.*s@%.*s: %s is %.*s (%s)\n",
	    SLICE_FMT(buf_slice(&r->local)), SLICE_FMT(w->dom->name), setting_rows[u->key].name,
	    SLICE_FMT(buf_slice(&value)), unknown_whose(w->d, w->dom, u->key));
	buf_fini(&value);
}

/* Mailbox and detail were said of who is left now, and mean nothing to who comes next. */
static void forget_parts(struct work *w)
{
	buf_reset(&w->r->mailbox);
	buf_reset(&w->r->detail);
}

/* The name goes into the template as it was written. */
static enum turn reroute(struct work *w, struct slice address)
{
	struct buf made = BUF_INIT(ADDRESS_MAX_BYTES);
	struct slice name = buf_slice(&w->r->local);
	bool bad;

	template_put(&made, address, &name, 1);
	forget_parts(w);
	bad = made.overflow || route_take_address(w, buf_slice(&made)) != 0;
	buf_fini(&made);
	if (bad)
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	route_relay_by(w, false);
	route_trace(w, "rerouted", address);
	return TURN_OVER;
}

/* Whether a report can reach the sender is asked when there is one (rcpt.c); without it the name is
 * unknown as any other. */
static enum turn end_bounced(struct work *w)
{
	w->r->bounced = true;
	buf_puts(&w->r->queue, "bounce");
	buf_put(&w->r->address, buf_slice(&w->r->local));
	return route_end(w, IPC_ROUTE_UNKNOWN, "SYSTEM");
}

static enum turn unknown(struct work *w)
{
	struct unknown u = unknown_of(w->d, w->dom, w->r->mode);

	if (w->r->mode == ROUTE_ACCESS && slice_eq(buf_slice(&w->r->low), SLICE("loginpage"))) {
		buf_put(&w->r->queue, w->dom->name);
		buf_put(&w->r->address, buf_slice(&w->r->local));
		route_trace(w, "login page of the domain", w->dom->name);
		return route_end(w, IPC_ROUTE_NOTLOCAL, "HTTP");
	}
	trace_unknown(w, &u);
	if (u.action == UNKNOWN_REROUTED && u.address.n > 0)
		return reroute(w, u.address);
	if (u.action == UNKNOWN_DISCARDED) {
		buf_puts(&w->r->queue, "null");
		buf_put(&w->r->address, buf_slice(&w->r->local));
		return route_end(w, IPC_ROUTE_DISCARD, "SYSTEM");
	}
	w->r->unknown_in = w->dom;
	if (unknown_asks_helper(w->d, w->dom, w->r->mode))
		route_trace(w, "the external helper is asked about it", SLICE_NONE);
	if (w->r->mode == ROUTE_MAIL && u.action == UNKNOWN_BOUNCED)
		return end_bounced(w);
	return route_end(w, IPC_ROUTE_UNKNOWN, NULL);
}

/* While a domain is suspended nobody logs in to it; mail waits where it is. */
static enum turn end_suspended(struct work *w)
{
	w->r->why = "this domain is suspended";
	route_trace(w, "suspended", w->dom->name);
	return route_end(
	    w, w->r->mode == ROUTE_MAIL ? IPC_ROUTE_TRYLATER : IPC_ROUTE_DISABLED, "LOCAL");
}

static enum turn reach_group(struct work *w, struct object *o)
{
	bool closed = (o->group->flags & GROUP_EMAIL_DISABLED) != 0;

	route_trace(w, "group", o->name);
	w->r->group = o;
	if (w->r->mode != ROUTE_MAIL)
		return route_end(w, IPC_ROUTE_NOTLOCAL, "GROUP");
	return route_end(w, closed ? IPC_ROUTE_DISABLED : IPC_ROUTE_OK, "GROUP");
}

static enum turn reach_list(struct work *w, struct object *o)
{
	route_trace(w, "mailing list", o->name);
	if (w->r->mode != ROUTE_MAIL)
		return route_end(w, IPC_ROUTE_NOTLOCAL, "LIST");
	w->r->why = "mailing lists take no mail yet";
	return route_end(w, IPC_ROUTE_REFUSED, "LIST");
}

static enum turn reach_object(struct work *w, struct object *o)
{
	if (o->kind == OBJECT_ALIAS) {
		route_set_local(w, o->owner->name);
		route_trace(w, "alias", o->name);
		return TURN_OVER;
	}
	if (o->kind == OBJECT_FORWARDER) {
		forget_parts(w);
		if (route_take_address(w, slice_str(o->address)) != 0)
			return route_end(w, IPC_ROUTE_SYNTAX, NULL);
		route_relay_by(w, false); /* as a record marked Relay: would */
		route_trace(w, "forwarder", o->name);
		return TURN_OVER;
	}
	put_object_name(&w->r->address, o);
	if (o->kind == OBJECT_GROUP)
		return reach_group(w, o);
	if (o->kind == OBJECT_LIST)
		return reach_list(w, o);
	w->r->account = o;
	route_trace(w, "account", o->name);
	return route_end(w, o->suspended ? IPC_ROUTE_DISABLED : IPC_ROUTE_OK, "LOCAL");
}

enum turn route_step_local(struct work *w)
{
	struct object *o;

	if (w->dom == NULL || w->dom->state != STATE_ACTIVE)
		return TURN_ON;
	if (w->dom->suspended)
		return end_suspended(w);
	o = find_object(w);
	if (o == NULL)
		return unknown(w);
	return reach_object(w, o);
}
