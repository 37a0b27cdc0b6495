/* namespace - NAMESPACE (RFC 2342): one personal namespace, nothing is shared yet. */
#include "protocols/imap/imap-private.h"

void imap_cmd_namespace(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);

	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	write_untagged(&w);
	write_atom(&w, "NAMESPACE");
	write_open(&w);
	write_open(&w);
	write_string(&w, SLICE(""));
	write_string(&w, SLICE("/"));
	write_close(&w);
	write_close(&w);
	write_nil(&w);
	write_nil(&w);
	write_end(&w);
	imap_done(s, IMAP_OK, NULL, "done");
}
