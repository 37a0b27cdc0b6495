/* id - ID (RFC 2971): tells a name and no version, and forgets what the client says. */
#include "protocols/imap/imap-private.h"

/* RFC 2971 3.3: at most 30 pairs, names of 30 octets, values of 1024. */
static void id_params(struct parse *p)
{
	if (parse_try_word(p, "NIL"))
		return;
	parse_char(p, '(');
	for (int i = 0; parse_ok(p) && !parse_try(p, ')'); i++) {
		if (i > 0)
			parse_sp(p);
		if (i == 30 || parse_string(p).n > 30)
			parse_fail(p, "too many fields, or a name that is too long");
		parse_sp(p);
		if (parse_nstring(p).n > 1024)
			parse_fail(p, "a value that is too long");
	}
}

void imap_cmd_id(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);

	parse_sp(p);
	id_params(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	write_untagged(&w);
	write_atom(&w, "ID");
	write_open(&w);
	write_string(&w, SLICE("name"));
	write_string(&w, SLICE("Gatehouse"));
	write_close(&w);
	write_end(&w);
	imap_done(s, IMAP_OK, NULL, "pleased to meet you");
}
