/*
 * quota - GETQUOTA and GETQUOTAROOT (RFC 9208): one quota root per account, without a name; that of
 * another account is called as its mailboxes are, "~name".
 */
#include "protocols/imap/imap-private.h"

#include <stdlib.h>

struct quota {
	struct imap_job job;
	uint32_t seq;
	struct slice mailbox, root; /* in the arena of the command; mailbox: of GETQUOTAROOT */
};

static void put_root(struct imap *s, const struct quota *q)
{
	struct writer w = imap_writer(s);

	write_untagged(&w);
	write_atom(&w, "QUOTAROOT");
	write_mailbox(&w, q->mailbox);
	write_string(&w, q->root);
	write_end(&w);
}

static void put_quota(struct imap *s, const struct quota *q, const struct ipc_quota_is *m)
{
	struct writer w = imap_writer(s);

	write_untagged(&w);
	write_atom(&w, "QUOTA");
	write_string(&w, q->root);
	write_open(&w);
	if (m->bytes_max > 0) {
		/* In units of 1024 octets: never less used, or more allowed, than there is. */
		write_atom(&w, "STORAGE");
		write_number(&w, m->bytes / 1024 + (m->bytes % 1024 != 0));
		write_number(&w, m->bytes_max / 1024);
	}
	if (m->messages_max > 0) {
		write_atom(&w, "MESSAGE");
		write_number(&w, m->messages);
		write_number(&w, m->messages_max);
	}
	write_close(&w);
	write_end(&w);
}

static void quota_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct quota *q = (struct quota *)j;

	if (type != IPC_quota_is || m->quota_is.seq != q->seq)
		return;
	if (m->quota_is.status != IPC_ST_OK) {
		imap_store_failed(j->s, m->quota_is.status);
		return;
	}
	if (q->mailbox.p != NULL)
		put_root(j->s, q);
	put_quota(j->s, q, &m->quota_is);
	imap_done(j->s, IMAP_OK, NULL, "done");
}

static void quota_free(struct imap_job *j)
{
	free(j);
}

static const struct imap_job_ops quota_ops = { .on_msg = quota_msg, .free = quota_free };

static void quota_ask(struct imap *s, struct slice mailbox, struct slice root)
{
	struct quota *q = calloc(1, sizeof(*q));
	struct ipc_quota_get m = { .seq = ++s->seq, .name = root };

	if (q == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	q->seq = m.seq;
	q->mailbox = mailbox;
	q->root = root;
	imap_job_begin(s, &q->job, &quota_ops);
	imap_send(s, IPC_quota_get, &m);
}

/* "~name" of the names of another account's mailboxes. */
static struct slice root_of(struct slice name)
{
	ptrdiff_t at = slice_find(name, '/');

	if (name.n == 0 || name.p[0] != '~')
		return SLICE("");
	return at < 0 ? name : slice_part(name, 0, (size_t)at);
}

void imap_cmd_getquota(struct imap *s, struct parse *p)
{
	struct slice root;

	parse_sp(p);
	root = parse_mailbox(p);
	if (!parse_end(p))
		imap_bad(s, p);
	else if (!slice_eq(root, root_of(root)))
		imap_done(s, IMAP_NO, "NONEXISTENT", "no such quota root");
	else
		quota_ask(s, SLICE_NONE, root);
}

/* RFC 9208 4.1.2: the mailbox need not exist. */
void imap_cmd_getquotaroot(struct imap *s, struct parse *p)
{
	struct slice name;

	parse_sp(p);
	name = parse_mailbox(p);
	if (parse_end(p))
		quota_ask(s, name, root_of(name));
	else
		imap_bad(s, p);
}
