/* noop - NOOP and CHECK: what happened to the mailbox is told before the answer. */
#include "protocols/imap/imap-private.h"

void imap_cmd_noop(struct imap *s, struct parse *p)
{
	if (parse_end(p))
		imap_done(s, IMAP_OK, NULL, "done");
	else
		imap_bad(s, p);
}
