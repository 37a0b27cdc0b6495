/* logout - LOGOUT. */
#include "protocols/imap/imap-private.h"

void imap_cmd_logout(struct imap *s, struct parse *p)
{
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_untagged(s, "BYE", NULL, "good-bye");
	imap_done(s, IMAP_OK, NULL, "logged out");
	s->dying = true;
}
