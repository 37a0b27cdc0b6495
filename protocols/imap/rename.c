/* rename - RENAME. */
#include "protocols/imap/imap-private.h"

void imap_cmd_rename(struct imap *s, struct parse *p)
{
	struct ipc_mbox_rename m = { 0 };

	parse_sp(p);
	m.from = parse_mailbox(p);
	parse_sp(p);
	m.to = parse_mailbox_new(p, NULL);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	m.seq = imap_change_begin(s, "renamed", false);
	if (m.seq != 0)
		imap_send(s, IPC_mbox_rename, &m);
}
