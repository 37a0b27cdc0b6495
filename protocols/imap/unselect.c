/* unselect - UNSELECT (RFC 3691). */
#include "protocols/imap/imap-private.h"

void imap_cmd_unselect(struct imap *s, struct parse *p)
{
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_unselect(s);
	imap_done(s, IMAP_OK, NULL, "no mailbox is selected");
}
