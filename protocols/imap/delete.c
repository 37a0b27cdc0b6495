/* delete - DELETE. */
#include "protocols/imap/imap-private.h"

void imap_cmd_delete(struct imap *s, struct parse *p)
{
	struct ipc_mbox_delete m = { 0 };

	parse_sp(p);
	m.name = parse_mailbox(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	m.seq = imap_change_begin(s, "deleted", false);
	if (m.seq != 0)
		imap_send(s, IPC_mbox_delete, &m);
}
