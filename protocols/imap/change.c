/*
 * change - what CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE have in common: one question to
 * stored, which answers when it is durable.
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
	struct writer w;

	if (type != IPC_mbox_done || m->mbox_done.seq != c->seq)
		return;
	if (m->mbox_done.status != IPC_ST_OK) {
		imap_store_failed(s, m->mbox_done.status);
		return;
	}
	w = imap_reply_begin(s, IMAP_OK);
	if (c->create && m->mbox_done.id != 0) {
		write_code(&w, "MAILBOXID");
		write_object_id(&w, 'M', m->mbox_done.id);
		write_code_end(&w);
	}
	write_text(&w, slice_str(c->text));
	imap_reply_end(s, &w);
}

static const struct imap_job_ops change_ops = { .on_msg = change_msg, .free = change_free };

uint32_t imap_change_begin(struct imap *s, const char *text, bool create)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return 0;
	}
	c->seq = ++s->seq;
	c->create = create;
	c->text = text;
	imap_job_begin(s, &c->job, &change_ops);
	return c->seq;
}
