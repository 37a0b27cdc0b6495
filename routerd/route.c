#include "routerd/route.h"

#include "routerd/group.h"
#include "routerd/limits.h"
#include "routerd/names.h"

void route_init(struct route *r)
{
	*r = (struct route){ .queue = BUF_INIT(ADDRESS_MAX_BYTES),
		.address = BUF_INIT(ADDRESS_MAX_BYTES),
		.trace = BUF_INIT(TRACE_BYTES_MAX) };
}

void route_fini(struct route *r)
{
	buf_fini(&r->queue);
	buf_fini(&r->address);
	buf_fini(&r->trace);
}

const char *route_status_word(enum ipc_route_status status)
{
	static const char *const words[] = { [IPC_ROUTE_OK] = "ok",
		[IPC_ROUTE_UNKNOWN] = "unknown",
		[IPC_ROUTE_NOTLOCAL] = "not-local",
		[IPC_ROUTE_SYNTAX] = "syntax",
		[IPC_ROUTE_LOOP] = "loop",
		[IPC_ROUTE_DISABLED] = "suspended",
		[IPC_ROUTE_TRYLATER] = "unavailable",
		[IPC_ROUTE_OVERQUOTA] = "quota",
		[IPC_ROUTE_REFUSED] = "refused",
		[IPC_ROUTE_DISCARD] = "dropped",
		[IPC_ROUTE_OFF] = "off" };

	return status < sizeof(words) / sizeof(words[0]) ? words[status] : "unavailable";
}

const char *route_status_text(enum ipc_route_status status)
{
	switch (status) {
	case IPC_ROUTE_OK:
		return "";
	case IPC_ROUTE_UNKNOWN:
		return "no such user here";
	case IPC_ROUTE_NOTLOCAL:
		return "this name does not lead to an account of this server";
	case IPC_ROUTE_SYNTAX:
		return "this is not a valid name";
	case IPC_ROUTE_LOOP:
		return "the routing of this name runs in a circle";
	case IPC_ROUTE_DISABLED:
		return "this account is suspended";
	case IPC_ROUTE_REFUSED:
		return "this name is refused";
	case IPC_ROUTE_OVERQUOTA:
		return "this account is over its quota";
	case IPC_ROUTE_DISCARD:
		return "this name is dropped";
	case IPC_ROUTE_OFF:
		return "this service is switched off for the account";
	default:
		return "try again later";
	}
}

const char *route_why(const struct route *r)
{
	return r->why != NULL ? r->why : route_status_text(r->status);
}

void put_object_name(struct buf *b, const struct object *o)
{
	buf_put(b, o->name);
	buf_putc(b, '@');
	buf_put(b, o->domain->name);
}

/* The address under work: two lower-case buffers, local part and domain part. */
struct work {
	const struct directory *d;
	struct route *r;
	enum route_mode mode;
	struct buf local, domain;
};

static void trace(struct work *w, const char *step, struct slice what)
{
	struct buf *t = &w->r->trace;

	buf_puts(t, step);
	buf_puts(t, ": ");
	buf_put(t, buf_slice(&w->local));
	if (w->domain.n > 0) {
		buf_putc(t, '@');
		buf_put(t, buf_slice(&w->domain));
	}
	if (what.n > 0) {
		buf_puts(t, " <- ");
		buf_put(t, what);
	}
	buf_putc(t, '\n');
}

static void end(struct work *w, enum ipc_route_status status, const char *module)
{
	w->r->status = status;
	w->r->module = module;
}

/* The address becomes `text`: 0, or 1 when it is none. `text` must not lie in the work's buffers.
 */
static int take_address(struct work *w, struct slice text)
{
	struct address a;

	if (address_split(text, &a) != 0)
		return 1;
	buf_reset(&w->local);
	buf_reset(&w->domain);
	put_lower(&w->local, a.local);
	put_lower(&w->domain, a.domain);
	return 0;
}

/* The local part, freed of its domain, is examined as an address of its own. */
static int retake_local(struct work *w)
{
	uint8_t copy[ADDRESS_MAX_BYTES];
	size_t n = w->local.n;

	if (n > sizeof(copy))
		return 1;
	memcpy(copy, w->local.p, n);
	return take_address(w, slice_of(copy, n));
}

static void set_domain(struct work *w, struct slice name)
{
	buf_reset(&w->domain);
	buf_put(&w->domain, name);
}

/* Steps answer: go on with the next step, start over with a new address, or the end is reached. */
enum turn { TURN_ON, TURN_OVER, TURN_END };

static enum turn step_own_domain(struct work *w)
{
	struct domain *dom = directory_domain_any(w->d, buf_slice(&w->domain));

	if (w->domain.n == 0 || dom == NULL || dom != w->d->main)
		return TURN_ON;
	set_domain(w, SLICE_NONE);
	if (slice_find(buf_slice(&w->local), '@') < 0 && slice_find(buf_slice(&w->local), '%') < 0)
		return TURN_ON;
	if (retake_local(w) != 0) {
		end(w, IPC_ROUTE_SYNTAX, NULL);
		return TURN_END;
	}
	trace(w, "own domain", SLICE_NONE);
	return TURN_OVER;
}

static enum turn step_table(struct work *w)
{
	struct slice local = buf_slice(&w->local), domain = buf_slice(&w->domain);
	const struct record *rec = table_find(w->d->table, local, domain), *full = NULL;

	/* A record may also spell the Main Domain's name out. */
	if (domain.n == 0 && w->d->main != NULL)
		full = table_find(w->d->table, local, w->d->main->name);
	if (full != NULL && !full->whole_domain && (rec == NULL || full->line < rec->line))
		rec = full;
	if (rec == NULL)
		return TURN_ON;
	if (rec->whole_domain) {
		buf_reset(&w->domain);
		put_lower(&w->domain, rec->right);
	} else if (take_address(w, rec->right) != 0) {
		end(w, IPC_ROUTE_SYNTAX, NULL);
		return TURN_END;
	}
	buf_printf(&w->r->trace, "table line %u\n", rec->line);
	trace(w, "rewritten", SLICE_NONE);
	return TURN_OVER;
}

static enum turn step_domain_alias(struct work *w)
{
	struct domain *dom = directory_domain_any(w->d, buf_slice(&w->domain));

	if (w->domain.n == 0 || dom == NULL || slice_eq(dom->name, buf_slice(&w->domain)))
		return TURN_ON;
	set_domain(w, dom->name);
	trace(w, "domain alias", SLICE_NONE);
	return TURN_OVER;
}

static enum turn step_special(struct work *w)
{
	if (w->domain.n > 0)
		return TURN_ON;
	if (slice_eq(buf_slice(&w->local), SLICE("null")))
		end(w, IPC_ROUTE_DISCARD, "SYSTEM");
	else if (slice_eq(buf_slice(&w->local), SLICE("error")))
		end(w, IPC_ROUTE_REFUSED, "SYSTEM");
	else
		return TURN_ON;
	trace(w, "special name", SLICE_NONE);
	return TURN_END;
}

/* account+detail: the detail does not matter for finding the account. */
static struct object *find_object(const struct work *w, const struct domain *dom)
{
	struct slice local = buf_slice(&w->local);
	struct object *o = directory_object(w->d, dom, local);
	ptrdiff_t plus = slice_find(local, '+');

	if (o == NULL && plus > 0)
		o = directory_object(w->d, dom, slice_part(local, 0, (size_t)plus));
	return o != NULL && o->state == STATE_ACTIVE ? o : NULL;
}

/* While a domain is suspended nobody logs in to it; mail waits where it is. */
static enum turn end_suspended(struct work *w, const struct domain *dom)
{
	end(w, w->mode == ROUTE_MAIL ? IPC_ROUTE_TRYLATER : IPC_ROUTE_DISABLED, "LOCAL");
	w->r->why = "this domain is suspended";
	trace(w, "suspended", dom->name);
	return TURN_END;
}

static enum turn reach_account(struct work *w, struct object *o)
{
	w->r->account = o;
	end(w, o->suspended ? IPC_ROUTE_DISABLED : IPC_ROUTE_OK, "LOCAL");
	put_object_name(&w->r->address, o);
	trace(w, "account", o->name);
	return TURN_END;
}

static enum turn reach_group(struct work *w, struct object *o)
{
	bool closed = (o->group->flags & GROUP_EMAIL_DISABLED) != 0;

	if (w->mode == ROUTE_MAIL) {
		w->r->group = o;
		end(w, closed ? IPC_ROUTE_DISABLED : IPC_ROUTE_OK, "GROUP");
	} else {
		end(w, IPC_ROUTE_NOTLOCAL, "GROUP");
	}
	put_object_name(&w->r->address, o);
	trace(w, "group", o->name);
	return TURN_END;
}

static enum turn reach_list(struct work *w, struct object *o)
{
	if (w->mode == ROUTE_MAIL) {
		end(w, IPC_ROUTE_REFUSED, "LIST");
		w->r->why = "mailing lists take no mail yet";
	} else {
		end(w, IPC_ROUTE_NOTLOCAL, "LIST");
	}
	put_object_name(&w->r->address, o);
	trace(w, "mailing list", o->name);
	return TURN_END;
}

static enum turn reach_object(struct work *w, struct object *o)
{
	switch (o->kind) {
	case OBJECT_ALIAS:
		buf_reset(&w->local);
		buf_put(&w->local, o->owner->name);
		trace(w, "alias", o->name);
		return TURN_OVER;
	case OBJECT_FORWARDER:
		if (take_address(w, slice_str(o->address)) != 0) {
			end(w, IPC_ROUTE_SYNTAX, NULL);
			return TURN_END;
		}
		trace(w, "forwarder", o->name);
		return TURN_OVER;
	case OBJECT_GROUP:
		return reach_group(w, o);
	case OBJECT_LIST:
		return reach_list(w, o);
	default:
		return reach_account(w, o);
	}
}

static enum turn step_local(struct work *w)
{
	struct domain *dom =
	    w->domain.n == 0 ? w->d->main : directory_domain(w->d, buf_slice(&w->domain));
	struct object *o;

	if (dom == NULL || dom->state != STATE_ACTIVE)
		return TURN_ON;
	if (dom->suspended)
		return end_suspended(w, dom);
	o = find_object(w, dom);
	if (o == NULL) {
		end(w, IPC_ROUTE_UNKNOWN, NULL);
		trace(w, "unknown", dom->name);
		return TURN_END;
	}
	return reach_object(w, o);
}

static enum turn step_remote(struct work *w)
{
	if (w->domain.n == 0 || !domain_valid(buf_slice(&w->domain))) {
		end(w, w->domain.n == 0 ? IPC_ROUTE_UNKNOWN : IPC_ROUTE_SYNTAX, NULL);
		return TURN_END;
	}
	end(w, IPC_ROUTE_NOTLOCAL, "SMTP");
	buf_put(&w->r->queue, buf_slice(&w->domain));
	buf_put(&w->r->address, buf_slice(&w->local));
	buf_putc(&w->r->address, '@');
	buf_put(&w->r->address, buf_slice(&w->domain));
	trace(w, "remote", SLICE_NONE);
	return TURN_END;
}

static enum turn one_round(struct work *w)
{
	static enum turn (*const steps[])(struct work *) = { step_own_domain, step_table,
		step_domain_alias, step_special, step_local, step_remote };
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
		end(w, IPC_ROUTE_LOOP, NULL);
		trace(w, "loop", SLICE_NONE);
		return;
	}
}

static void route_reset(struct route *r)
{
	buf_reset(&r->queue);
	buf_reset(&r->address);
	buf_reset(&r->trace);
	r->status = IPC_ROUTE_SYNTAX;
	r->account = r->group = NULL;
	r->module = r->why = NULL;
	r->steps = 0;
}

void route_address(
    const struct directory *d, struct slice text, enum route_mode mode, struct route *r)
{
	struct work w = { .d = d,
		.r = r,
		.mode = mode,
		.local = BUF_INIT(ADDRESS_MAX_BYTES),
		.domain = BUF_INIT(ADDRESS_MAX_BYTES) };

	route_reset(r);
	if (take_address(&w, text) == 0) {
		trace(&w, "given", SLICE_NONE);
		follow(&w);
	}
	buf_fini(&w.local);
	buf_fini(&w.domain);
	if (mode == ROUTE_ACCESS && r->status == IPC_ROUTE_DISCARD)
		r->status = IPC_ROUTE_NOTLOCAL;
}

void route_login(const struct directory *d, struct slice typed, struct slice domain,
    const struct addr *local, struct route *r)
{
	struct buf full = BUF_INIT(ADDRESS_MAX_BYTES);
	struct domain *by_ip = directory_domain_by_ip(d, local);

	typed = slice_trim(typed);
	buf_put(&full, typed);
	if (typed.n > 0 && slice_find(typed, '@') < 0 && slice_find(typed, '%') < 0) {
		struct slice with = domain.n > 0    ? domain
				    : by_ip != NULL ? by_ip->name
						    : SLICE_NONE;

		if (with.n > 0) {
			buf_putc(&full, '@');
			buf_put(&full, with);
		}
	}
	if (full.overflow) {
		route_reset(r);
	} else {
		route_address(d, buf_slice(&full), ROUTE_ACCESS, r);
	}
	buf_fini(&full);
}
