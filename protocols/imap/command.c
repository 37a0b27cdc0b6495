/*
 * command - the table of commands, and the way from a gathered text to one of them.
 */
#include "protocols/imap/imap-private.h"

enum {
	ANY = IMAP_START | IMAP_AUTHED | IMAP_SELECTED,
	IN = IMAP_AUTHED | IMAP_SELECTED,
	UID = IMAP_CMD_UID,
	KEEP = IMAP_CMD_NO_GONE,
	QUIET = IMAP_CMD_QUIET,
	SECRET = IMAP_CMD_SECRET | IMAP_CMD_QUIET,
};

static const struct imap_cmd commands[] = {
	{ "CAPABILITY", ANY, 0, imap_cmd_capability },
	{ "NOOP", ANY, 0, imap_cmd_noop },
	{ "LOGOUT", ANY, QUIET, imap_cmd_logout },
	{ "ID", ANY, 0, imap_cmd_id },
	{ "STARTTLS", IMAP_START, QUIET, imap_cmd_starttls },
	{ "LOGIN", IMAP_START, SECRET, imap_cmd_login },
	{ "AUTHENTICATE", IMAP_START, SECRET, imap_cmd_authenticate },
	{ "ENABLE", IN, 0, imap_cmd_enable },
	{ "SELECT", IN, QUIET, imap_cmd_select },
	{ "EXAMINE", IN, QUIET, imap_cmd_examine },
	{ "COMPRESS", IN, QUIET, imap_cmd_compress },
	{ "IDLE", IN, 0, imap_cmd_idle },
	{ "CLOSE", IMAP_SELECTED, QUIET, imap_cmd_close },
	{ "UNSELECT", IMAP_SELECTED, QUIET, imap_cmd_unselect },
	{ "CHECK", IMAP_SELECTED, 0, imap_cmd_noop },
	{ "EXPUNGE", IMAP_SELECTED, UID, imap_cmd_expunge },
	{ "COPY", IMAP_SELECTED, UID, imap_cmd_copy },
	{ "MOVE", IMAP_SELECTED, UID, imap_cmd_move },
	{ "APPEND", IN, 0, imap_cmd_append, imap_append_literal },
	{ "CREATE", IN, 0, imap_cmd_create },
	{ "DELETE", IN, 0, imap_cmd_delete },
	{ "RENAME", IN, 0, imap_cmd_rename },
	{ "SUBSCRIBE", IN, 0, imap_cmd_subscribe },
	{ "UNSUBSCRIBE", IN, 0, imap_cmd_unsubscribe },
	{ "LIST", IN, 0, imap_cmd_list },
	{ "LSUB", IN, 0, imap_cmd_lsub },
	{ "STATUS", IN, 0, imap_cmd_status },
	{ "NAMESPACE", IN, 0, imap_cmd_namespace },
	{ "GETQUOTA", IN, 0, imap_cmd_getquota },
	{ "GETQUOTAROOT", IN, 0, imap_cmd_getquotaroot },
	{ "FETCH", IMAP_SELECTED, UID | KEEP, imap_cmd_fetch },
	{ "STORE", IMAP_SELECTED, UID | KEEP, imap_cmd_store },
	{ "SEARCH", IMAP_SELECTED, UID | KEEP, imap_cmd_search },
	{ "SORT", IMAP_SELECTED, UID | KEEP, imap_cmd_sort },
	{ "THREAD", IMAP_SELECTED, UID | KEEP, imap_cmd_thread },
};

const struct imap_cmd *imap_cmd_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (slice_ieq(name, slice_str(commands[i].name)))
			return &commands[i];
	return NULL;
}

static const char *state_text(const struct imap *s, const struct imap_cmd *c)
{
	if (s->state == IMAP_START)
		return "log in first";
	return (c->states & IMAP_SELECTED) != 0 ? "select a mailbox first" : "not after the login";
}

/* The command is answered even where it is none: the client waits for its tag. */
static const struct imap_cmd *wrong(struct imap *s, const char *text)
{
	s->cmd = imap_cmd_find(SLICE("NOOP"));
	imap_done(s, IMAP_BAD, NULL, text);
	return NULL;
}

const struct imap_cmd *imap_command_begin(struct imap *s, struct parse *p)
{
	struct slice text = buf_slice(&s->gather.text), name;
	const struct imap_cmd *c;

	*p = (struct parse){ .begin = text.p,
		.p = text.p,
		.end = text.p + text.n,
		.arena = &s->arena,
		.utf8 = s->utf8 };
	s->uid = false;
	s->tag = SLICE("*");
	if (text.n == 0)
		return wrong(s, "an empty line");
	name = parse_tag(p);
	if (!parse_ok(p) || !parse_sp(p))
		return wrong(s, "a tag is missing");
	s->tag = name;
	name = parse_word(p);
	if (slice_ieq(name, SLICE("UID"))) {
		s->uid = true;
		parse_sp(p);
		name = parse_word(p);
	}
	c = parse_ok(p) ? imap_cmd_find(name) : NULL;
	if (c == NULL || (s->uid && (c->flags & IMAP_CMD_UID) == 0))
		return wrong(s, "unknown command");
	if ((c->states & s->state) == 0)
		return wrong(s, state_text(s, c));
	s->cmd = c;
	return c;
}

void imap_command(struct imap *s)
{
	const struct imap_cmd *c = imap_command_begin(s, &s->cursor);

	if (c != NULL)
		c->apply(s, &s->cursor);
}
