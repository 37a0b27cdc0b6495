/*
 * cmd-session - commands about the session itself: CAPABILITY, NOOP, LOGOUT, ID, ENABLE, STARTTLS.
 */
#include "protocols/imap/imap-private.h"

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

void imap_put_capabilities(struct imap *s, struct buf *out)
{
	unsigned state = s->state == IMAP_START ? IMAP_START : IMAP_AUTHED;

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if ((capabilities[i].states & state) == 0)
			continue;
		buf_putc(out, ' ');
		buf_puts(out, capabilities[i].name);
	}
	if (state != IMAP_START) {
		buf_printf(out, " APPENDLIMIT=%llu", (unsigned long long)s->conf.append_max);
		return;
	}
	if (s->port->facts->tls_offered && !s->port->facts->tls)
		buf_puts(out, " STARTTLS");
	imap_put_mechs(s, out);
}

void imap_cmd_capability(struct imap *s, struct parse *p)
{
	struct buf *out = &s->port->out;

	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	buf_puts(out, "* CAPABILITY");
	imap_put_capabilities(s, out);
	buf_puts(out, "\r\n");
	imap_done(s, IMAP_OK, NULL, "that is all");
}

void imap_cmd_noop(struct imap *s, struct parse *p)
{
	if (parse_end(p))
		imap_done(s, IMAP_OK, NULL, "done");
	else
		imap_bad(s, p);
}

void imap_cmd_logout(struct imap *s, struct parse *p)
{
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_untagged(s, "BYE good-bye");
	imap_done(s, IMAP_OK, NULL, "logged out");
	s->dying = true;
}

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

/* RFC 4978 3. */
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
