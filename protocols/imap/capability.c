/* capability - CAPABILITY (RFC 3501 6.1.1): what is complete, and nothing else. */
#include "protocols/imap/imap-private.h"

#include <stdio.h>

/* What is complete, and from which state on it is said. */
static const struct {
	const char *name;
	unsigned states; /* enum imap_state */
} capabilities[] = {
	{ "IMAP4rev1", IMAP_START | IMAP_AUTHED },
	{ "LITERAL+", IMAP_START | IMAP_AUTHED },
	{ "SASL-IR", IMAP_START },
	{ "ID", IMAP_START | IMAP_AUTHED },
	{ "ENABLE", IMAP_START | IMAP_AUTHED },
	{ "IDLE", IMAP_START | IMAP_AUTHED },
	{ "UNSELECT", IMAP_AUTHED },
	{ "CONDSTORE", IMAP_AUTHED },
	{ "QRESYNC", IMAP_AUTHED },
	{ "OBJECTID", IMAP_AUTHED },
	{ "ESEARCH", IMAP_AUTHED },
	{ "SEARCHRES", IMAP_AUTHED },
	{ "WITHIN", IMAP_AUTHED },
	{ "SORT", IMAP_AUTHED },
	{ "THREAD=REFERENCES", IMAP_AUTHED },
	{ "THREAD=ORDEREDSUBJECT", IMAP_AUTHED },
	{ "COMPRESS=DEFLATE", IMAP_AUTHED },
	{ "UIDPLUS", IMAP_AUTHED },
	{ "MOVE", IMAP_AUTHED },
	{ "MULTIAPPEND", IMAP_AUTHED },
	{ "NAMESPACE", IMAP_AUTHED },
	{ "CHILDREN", IMAP_AUTHED },
	{ "LIST-EXTENDED", IMAP_AUTHED },
	{ "LIST-STATUS", IMAP_AUTHED },
	{ "SPECIAL-USE", IMAP_AUTHED },
	{ "CREATE-SPECIAL-USE", IMAP_AUTHED },
	{ "STATUS=SIZE", IMAP_AUTHED },
	{ "QUOTA", IMAP_AUTHED },
	{ "QUOTA=RES-STORAGE", IMAP_AUTHED },
	{ "QUOTA=RES-MESSAGE", IMAP_AUTHED },
	{ "UTF8=ACCEPT", IMAP_AUTHED },
	{ "BINARY", IMAP_AUTHED },
	{ "PREVIEW", IMAP_AUTHED },
	{ "SAVEDATE", IMAP_AUTHED },
};

void imap_put_capabilities(struct imap *s, struct writer *w)
{
	unsigned state = s->state == IMAP_START ? IMAP_START : IMAP_AUTHED;
	char limit[40];

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if ((capabilities[i].states & state) != 0)
			write_atom(w, capabilities[i].name);
	if (state != IMAP_START) {
		snprintf(limit, sizeof(limit), "APPENDLIMIT=%llu",
		    (unsigned long long)s->conf.append_max);
		write_atom(w, limit);
		return;
	}
	if (s->port->facts->tls_offered && !s->port->facts->tls)
		write_atom(w, "STARTTLS");
	imap_put_mechs(s, w);
}

void imap_cmd_capability(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);

	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	write_untagged(&w);
	write_atom(&w, "CAPABILITY");
	imap_put_capabilities(s, &w);
	write_end(&w);
	imap_done(s, IMAP_OK, NULL, "that is all");
}
