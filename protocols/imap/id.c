/*
 * id - ID (RFC 2971): tells a name and no version. Of what the client says its program's name is
 * kept, for administrators who look at sessions; nothing is decided by it.
 */
#include "protocols/imap/imap-private.h"

#include <stdio.h>

/* RFC 2971 3.3: at most 30 pairs, names of 30 octets, values of 1024. */
static void id_params(struct parse *p, struct slice *ret_name)
{
	struct slice key, value;

	if (parse_try_word(p, "NIL"))
		return;
	parse_char(p, '(');
	for (int i = 0; parse_ok(p) && !parse_try(p, ')'); i++) {
		if (i > 0)
			parse_sp(p);
		key = parse_string(p);
		if (i == 30 || key.n > 30)
			parse_fail(p, "too many fields, or a name that is too long");
		parse_sp(p);
		value = parse_nstring(p);
		if (value.n > 1024)
			parse_fail(p, "a value that is too long");
		if (slice_ieq(key, SLICE("name")))
			*ret_name = value;
	}
}

void imap_tell_client(struct imap *s)
{
	struct ipc_session_client m = { slice_str(s->client) };

	if (s->client[0] != '\0' && s->state >= IMAP_AUTHED)
		imap_send(s, IPC_session_client, &m);
}

void imap_cmd_id(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);
	struct slice name = SLICE_NONE;

	parse_sp(p);
	id_params(p, &name);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (name.n > 0) {
		snprintf(s->client, sizeof(s->client), "%.*s", SLICE_FMT(name));
		imap_tell_client(s);
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
