/* create - CREATE, with USE of RFC 6154 5. */
#include "protocols/imap/imap-private.h"

static const struct {
	const char *name;
	uint32_t bit;
} uses[] = {
	{ "All", IPC_ATTR_ALL },
	{ "Archive", IPC_ATTR_ARCHIVE },
	{ "Drafts", IPC_ATTR_DRAFTS },
	{ "Flagged", IPC_ATTR_FLAGGED },
	{ "Junk", IPC_ATTR_JUNK },
	{ "Sent", IPC_ATTR_SENT },
	{ "Trash", IPC_ATTR_TRASH },
};

void imap_put_uses(struct writer *w, uint32_t attrs)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		char text[16] = "\\";

		if ((attrs & uses[i].bit) == 0)
			continue;
		strcat(text, uses[i].name);
		write_atom(w, text);
	}
}

/* One of RFC 6154 2; false: a use that we do not have. */
static bool use_take(struct parse *p, uint32_t *attrs)
{
	struct slice name;

	parse_char(p, '\\');
	name = parse_atom(p);
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		if (!slice_ieq(name, slice_str(uses[i].name)))
			continue;
		*attrs |= uses[i].bit;
		return true;
	}
	return !parse_ok(p);
}

static bool create_params(struct parse *p, uint32_t *attrs)
{
	bool known = true;

	parse_char(p, '(');
	if (!parse_try_word(p, "USE"))
		parse_fail(p, "no such parameter");
	parse_sp(p);
	parse_char(p, '(');
	while (parse_ok(p) && !parse_try(p, ')')) {
		known = use_take(p, attrs) && known;
		if (parse_peek(p) != ')')
			parse_sp(p);
	}
	parse_char(p, ')');
	return known;
}

void imap_cmd_create(struct imap *s, struct parse *p)
{
	struct ipc_mbox_create m = { 0 };
	bool dir, known = true;

	parse_sp(p);
	m.name = parse_mailbox_new(p, &dir);
	m.attrs = dir ? IPC_ATTR_NOSELECT : 0;
	if (parse_try(p, ' '))
		known = create_params(p, &m.attrs);
	if (!parse_end(p)) {
		imap_bad(s, p);
	} else if (!known) {
		imap_done(s, IMAP_NO, "USEATTR", "no such use of a mailbox");
	} else {
		m.seq = imap_change_begin(s, "created", true);
		if (m.seq != 0)
			imap_send(s, IPC_mbox_create, &m);
	}
}
