/* The words that go with a route. */
#include "routerd/route.h"

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
		[IPC_ROUTE_OFF] = "off",
		[IPC_ROUTE_BOUNCED] = "bounced" };

	return status < sizeof(words) / sizeof(words[0]) ? words[status] : "unavailable";
}

const char *route_status_text(enum ipc_route_status status)
{
	switch (status) {
	case IPC_ROUTE_OK:
		return "";
	case IPC_ROUTE_UNKNOWN:
	case IPC_ROUTE_BOUNCED:
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

void route_put_queue(struct buf *b, const struct route *r)
{
	bool brackets = r->port != 0 && slice_find(buf_slice(&r->queue), ':') >= 0;

	if (brackets)
		buf_putc(b, '[');
	buf_put(b, buf_slice(&r->queue));
	if (brackets)
		buf_putc(b, ']');
	if (r->port != 0)
		buf_printf(b, ":%u", r->port);
}

static void line(struct route *r, const char *what, struct slice text)
{
	if (text.n > 0)
		buf_printf(&r->trace, "%s: %.*s\n", what, SLICE_FMT(text));
}

/* No program sends mail to other hosts yet; the way is shown as it will be. */
static const char *relay_text(const struct route *r)
{
	switch (r->relay) {
	case ROUTE_RELAY_YES:
		return "relay: would be taken from anybody (refused today: nothing sends mail on "
		       "yet)";
	case ROUTE_RELAY_NO:
		return "relay: would be taken from our own users only, by a record's mark (refused "
		       "today: nothing sends mail on yet)";
	default:
		return "relay: would be taken from our own users only (refused today: nothing "
		       "sends "
		       "mail on yet)";
	}
}

static void mailbox_line(const struct directory *d, struct route *r)
{
	line(r, "mailbox", buf_slice(&r->mailbox));
	if (r->mailbox.n == 0 || r->mode != ROUTE_MAIL || r->account == NULL)
		return;
	buf_puts(&r->trace,
	    route_direct(d, r->account)
		? "DirectMailboxAddressing is YES: into that mailbox if the account has it, "
		  "else the INBOX\n"
		: "DirectMailboxAddressing is NO: into the INBOX\n");
}

void route_explain(const struct directory *d, struct route *r)
{
	bool remote = r->status == IPC_ROUTE_NOTLOCAL && r->queue.n > 0;

	mailbox_line(d, r);
	line(r, "detail", buf_slice(&r->detail));
	if (r->bounced)
		buf_puts(&r->trace, "bounced: taken with a report of failure to the sender where "
				    "that is one account of ours, else refused (no such user)\n");
	if (r->mode != ROUTE_MAIL || !remote)
		return;
	buf_printf(&r->trace, "host: %s\n",
	    r->exact_host ? "this one itself, without its MX records" : "by its MX records");
	buf_printf(&r->trace, "%s\n", relay_text(r));
}
