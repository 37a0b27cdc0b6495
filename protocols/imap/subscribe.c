/* subscribe - SUBSCRIBE and UNSUBSCRIBE. */
#include "protocols/imap/imap-private.h"

static void subscribe(struct imap *s, struct parse *p, bool on)
{
	struct ipc_mbox_subscribe m = { .on = on };

	parse_sp(p);
	m.name = parse_mailbox(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	m.seq = imap_change_begin(s, on ? "subscribed" : "unsubscribed", false);
	if (m.seq != 0)
		imap_send(s, IPC_mbox_subscribe, &m);
}

void imap_cmd_subscribe(struct imap *s, struct parse *p)
{
	subscribe(s, p, true);
}

void imap_cmd_unsubscribe(struct imap *s, struct parse *p)
{
	subscribe(s, p, false);
}
