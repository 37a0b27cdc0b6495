/*
 * quota - GETQUOTA and GETQUOTAROOT (RFC 9208): one quota root per account, without a name.
 */
#include "protocols/imap/imap-private.h"

#include <stdlib.h>

struct quota {
	struct imap_job job;
	uint32_t seq;
};

static void put_quota(struct imap *s, const struct ipc_quota_is *m)
{
	struct writer w = imap_writer(s);

	write_untagged(&w);
	write_atom(&w, "QUOTA");
	write_string(&w, SLICE(""));
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
	put_quota(j->s, &m->quota_is);
	imap_done(j->s, IMAP_OK, NULL, "done");
}

static void quota_free(struct imap_job *j)
{
	free(j);
}

static const struct imap_job_ops quota_ops = { .on_msg = quota_msg, .free = quota_free };

static void quota_ask(struct imap *s)
{
	struct quota *q = calloc(1, sizeof(*q));
	struct ipc_quota_get m = { .seq = ++s->seq };

	if (q == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	q->seq = m.seq;
	imap_job_begin(s, &q->job, &quota_ops);
	imap_send(s, IPC_quota_get, &m);
}

void imap_cmd_getquota(struct imap *s, struct parse *p)
{
	struct slice root;

	parse_sp(p);
	root = parse_astring(p);
	if (!parse_end(p))
		imap_bad(s, p);
	else if (root.n > 0)
		imap_done(s, IMAP_NO, "NONEXISTENT", "no such quota root");
	else
		quota_ask(s);
}

/* RFC 9208 4.1.2: the mailbox need not exist. */
void imap_cmd_getquotaroot(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);
	struct slice name;

	parse_sp(p);
	name = parse_mailbox(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	write_untagged(&w);
	write_atom(&w, "QUOTAROOT");
	write_mailbox(&w, name);
	write_string(&w, SLICE(""));
	write_end(&w);
	quota_ask(s);
}
