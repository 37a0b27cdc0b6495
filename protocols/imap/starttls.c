/* starttls - STARTTLS. */
#include "protocols/imap/imap-private.h"

void imap_cmd_starttls(struct imap *s, struct parse *p)
{
	if (!parse_end(p)) {
		imap_bad(s, p);
	} else if (s->port->facts->tls) {
		imap_done(s, IMAP_BAD, NULL, "TLS is on already");
	} else if (!s->port->facts->tls_offered) {
		imap_done(s, IMAP_BAD, NULL, "TLS is not available here");
	} else {
		imap_done(s, IMAP_OK, NULL, "begin TLS");
		s->begin_tls = true;
	}
}
