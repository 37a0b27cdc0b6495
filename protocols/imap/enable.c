/* enable - ENABLE (RFC 5161). */
#include "protocols/imap/imap-private.h"

/* RFC 5161 3.1: what is not known is left out of the answer. */
void imap_cmd_enable(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);
	bool condstore = false, qresync = false, utf8 = false;

	do {
		struct slice name;

		parse_sp(p);
		name = parse_atom(p);
		qresync |= slice_ieq(name, SLICE("QRESYNC"));
		condstore |= slice_ieq(name, SLICE("CONDSTORE"));
		utf8 |= slice_ieq(name, SLICE("UTF8=ACCEPT"));
	} while (parse_peek(p) == ' ');
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	write_untagged(&w);
	write_atom(&w, "ENABLED");
	if (condstore && !s->condstore)
		write_atom(&w, "CONDSTORE");
	if (qresync && !s->qresync)
		write_atom(&w, "QRESYNC");
	if (utf8 && !s->utf8)
		write_atom(&w, "UTF8=ACCEPT");
	write_end(&w);
	s->utf8 |= utf8;
	s->qresync |= qresync;
	if (condstore || qresync)
		imap_condstore_on(s);
	imap_done(s, IMAP_OK, NULL, "done");
}
