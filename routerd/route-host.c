/* What leads to another host, or to an account by the form of its host. */
#include "routerd/route-private.h"

#include "routerd/host.h"
#include "routerd/limits.h"
#include "routerd/names.h"

/* The local part as an address: its domain, or none. */
static struct address inside(const struct work *w)
{
	struct address a = { buf_slice(&w->r->local), SLICE_NONE };

	if (route_is_path(w) && address_split(a.local, &a) != 0)
		a = (struct address){ buf_slice(&w->r->local), SLICE_NONE };
	return a;
}

/* x@name.local: the account `name` of the Main Domain; the name before '@' is but a detail. */
static enum turn to_account(
    struct work *w, struct domain *dom, struct slice name, struct slice detail)
{
	struct buf copy = BUF_INIT(ADDRESS_MAX_BYTES);

	buf_reset(&w->r->detail);
	buf_put(&w->r->detail, detail);
	buf_put(&copy, name);
	route_set_local(w, buf_slice(&copy));
	route_set_domain(w, dom == w->d->main ? SLICE_NONE : dom->name);
	buf_fini(&copy);
	w->dom = dom;
	route_trace(w, "local delivery", SLICE_NONE);
	return TURN_ON;
}

/* x%account@dom.domain: the last component of the local part names the account. */
static enum turn to_domain(struct work *w, const struct host *h)
{
	struct domain *dom = directory_domain_any(w->d, h->name);
	struct address a = inside(w);

	if (dom == NULL || dom->state != STATE_ACTIVE) {
		route_trace(w, "no such domain", h->name);
		return route_end(w, IPC_ROUTE_UNKNOWN, NULL);
	}
	if (a.domain.n == 0)
		return to_account(w, dom, a.local, SLICE_NONE);
	return to_account(w, dom, a.domain, a.local);
}

static bool envelope_domain(struct slice domain)
{
	return domain_valid(domain) || (domain.n > 2 && domain.p[0] == '[');
}

/* What the other server is told: what stood inside of the local part, else the host itself. */
static bool put_envelope(struct work *w, const struct host *h)
{
	struct address a = inside(w);
	struct buf *out = &w->r->address;

	buf_put(out, a.local);
	buf_putc(out, '@');
	if (a.domain.n > 0) {
		put_lower(out, a.domain);
		return envelope_domain(a.domain);
	}
	if (h->ip.family == 0) {
		buf_put(out, h->name);
		return domain_valid(h->name);
	}
	buf_puts(out, h->ip.family == 6 ? "[IPv6:" : "[");
	buf_put(out, h->name);
	buf_putc(out, ']');
	return true;
}

static enum turn to_host(struct work *w, const struct host *h)
{
	struct route *r = w->r;

	if (h->ip.family == 0 && !domain_valid(h->name))
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	if (h->suffix == HOST_SMTP) {
		buf_put(&r->address, buf_slice(&r->local));
		buf_putc(&r->address, '@');
		buf_put(&r->address, h->name);
	} else if (!put_envelope(w, h)) {
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	}
	buf_put(&r->queue, h->name);
	r->port = h->port;
	r->exact_host = h->port != 0 || h->ip.family != 0;
	route_trace(w, "to the host", h->name);
	return route_end(w, IPC_ROUTE_NOTLOCAL, "SMTP");
}

/* A domain part that is no domain of ours: does its form say where to go? */
enum turn route_step_host(struct work *w)
{
	struct domain *dom;
	struct host h;

	if (w->r->domain.n == 0 || w->dom != NULL)
		return TURN_ON;
	if (host_parse(buf_slice(&w->r->domain), &h) != 0)
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	if (h.suffix == HOST_LOCAL)
		return to_account(w, w->d->main, h.name, buf_slice(&w->r->local));
	if (h.suffix == HOST_DOMAIN)
		return to_domain(w, &h);
	dom = h.suffix == HOST_PLAIN && h.port == 0 ? directory_domain_by_ip(w->d, &h.ip) : NULL;
	if (dom != NULL) {
		route_set_domain(w, dom->name);
		route_trace(w, "address of a domain", dom->name);
		return TURN_OVER;
	}
	if (h.suffix != HOST_PLAIN || h.ip.family != 0 || h.port != 0)
		return to_host(w, &h);
	return TURN_ON;
}

enum turn route_step_remote(struct work *w)
{
	struct route *r = w->r;

	if (r->domain.n == 0)
		return route_end(w, IPC_ROUTE_UNKNOWN, NULL);
	if (!domain_valid(buf_slice(&r->domain)))
		return route_end(w, IPC_ROUTE_SYNTAX, NULL);
	buf_put(&r->queue, buf_slice(&r->domain));
	buf_put(&r->address, buf_slice(&r->local));
	buf_putc(&r->address, '@');
	buf_put(&r->address, buf_slice(&r->domain));
	route_trace(w, "remote", SLICE_NONE);
	return route_end(w, IPC_ROUTE_NOTLOCAL, "SMTP");
}
