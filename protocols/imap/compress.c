/* compress - COMPRESS (RFC 4978). */
#include "protocols/imap/imap-private.h"

void imap_cmd_compress(struct imap *s, struct parse *p)
{
	struct slice name;

	parse_sp(p);
	name = parse_atom(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
	} else if (!slice_ieq(name, SLICE("DEFLATE"))) {
		imap_done(s, IMAP_NO, NULL, "no such compression");
	} else if (s->deflated) {
		imap_done(s, IMAP_NO, "COMPRESSIONACTIVE", "compression is on already");
	} else {
		s->deflated = s->begin_deflate = true;
		imap_done(s, IMAP_OK, NULL, "compression begins");
	}
}
