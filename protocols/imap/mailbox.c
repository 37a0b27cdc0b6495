/*
 * mailbox - CREATE (RFC 6154 5), DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: one question to stored,
 * which answers when it is durable.
 */
#include "protocols/imap/imap-private.h"

#include <stdlib.h>

struct change {
	struct imap_job job;
	uint32_t seq;
	bool create;
	const char *text;
};

static void change_free(struct imap_job *j)
{
	free(j);
}

static void change_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct change *c = (struct change *)j;
	struct imap *s = j->s;
	struct buf *b;

	if (type != IPC_mbox_done || m->mbox_done.seq != c->seq)
		return;
	if (m->mbox_done.status != IPC_ST_OK) {
		imap_store_failed(s, m->mbox_done.status);
		return;
	}
	b = imap_reply_begin(s, IMAP_OK);
	if (c->create && m->mbox_done.id != 0) {
		buf_puts(b, "[MAILBOXID (");
		imap_put_object_id(b, 'M', m->mbox_done.id);
		buf_puts(b, ")] ");
	}
	buf_puts(b, c->text);
	imap_reply_end(s);
}

static const struct imap_job_ops change_ops = { .on_msg = change_msg, .free = change_free };

/* `m` has its seq as the first field, as all of these messages. */
static void change_begin(struct imap *s, const char *text, bool create)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	c->seq = ++s->seq;
	c->create = create;
	c->text = text;
	imap_job_begin(s, &c->job, &change_ops);
}

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
	m.name = parse_mailbox_dir(p, &dir);
	m.attrs = dir ? IPC_ATTR_NOSELECT : 0;
	if (parse_try(p, ' '))
		known = create_params(p, &m.attrs);
	if (!parse_end(p)) {
		imap_bad(s, p);
	} else if (!known) {
		imap_done(s, IMAP_NO, "USEATTR", "no such use of a mailbox");
	} else {
		change_begin(s, "created", true);
		m.seq = s->seq;
		imap_send(s, IPC_mbox_create, &m);
	}
}

void imap_cmd_delete(struct imap *s, struct parse *p)
{
	struct ipc_mbox_delete m = { 0 };

	parse_sp(p);
	m.name = parse_mailbox(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	change_begin(s, "deleted", false);
	m.seq = s->seq;
	imap_send(s, IPC_mbox_delete, &m);
}

void imap_cmd_rename(struct imap *s, struct parse *p)
{
	struct ipc_mbox_rename m = { 0 };

	parse_sp(p);
	m.from = parse_mailbox(p);
	parse_sp(p);
	m.to = parse_mailbox(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	change_begin(s, "renamed", false);
	m.seq = s->seq;
	imap_send(s, IPC_mbox_rename, &m);
}

static void subscribe(struct imap *s, struct parse *p, bool on)
{
	struct ipc_mbox_subscribe m = { .on = on };

	parse_sp(p);
	m.name = parse_mailbox(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	change_begin(s, on ? "subscribed" : "unsubscribed", false);
	m.seq = s->seq;
	imap_send(s, IPC_mbox_subscribe, &m);
}

void imap_cmd_subscribe(struct imap *s, struct parse *p)
{
	subscribe(s, p, true);
}

void imap_cmd_unsubscribe(struct imap *s, struct parse *p)
{
	subscribe(s, p, false);
}
