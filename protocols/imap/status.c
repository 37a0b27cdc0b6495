#include "protocols/imap/status.h"

#include "protocols/imap/imap-private.h"

#include <stdlib.h>

enum item {
	MESSAGES,
	RECENT,
	UIDNEXT,
	UIDVALIDITY,
	UNSEEN,
	SIZE,
	HIGHESTMODSEQ,
	MAILBOXID,
	APPENDLIMIT,
	DELETED,
	DELETED_STORAGE,
	ITEMS
};

static const char *const names[ITEMS] = { "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN",
	"SIZE", "HIGHESTMODSEQ", "MAILBOXID", "APPENDLIMIT", "DELETED", "DELETED-STORAGE" };

unsigned imap_status_items(struct parse *p)
{
	unsigned items = 0;

	parse_char(p, '(');
	do {
		struct slice name = parse_word(p);
		unsigned i = 0;

		while (i < ITEMS && !slice_ieq(name, slice_str(names[i])))
			i++;
		if (i == ITEMS)
			parse_fail(p, "no such status item");
		items |= 1u << i;
	} while (parse_try(p, ' '));
	parse_char(p, ')');
	return items;
}

void imap_status_enable(struct imap *s, unsigned items)
{
	if ((items & 1u << HIGHESTMODSEQ) != 0)
		imap_condstore_on(s);
}

uint32_t imap_status_ask(struct imap *s, struct slice name, unsigned items)
{
	struct ipc_mbox_status m = { .seq = ++s->seq, .name = name };

	if ((items & 1u << RECENT) != 0)
		m.want |= IPC_STATUS_RECENT;
	if ((items & (1u << DELETED | 1u << DELETED_STORAGE)) != 0)
		m.want |= IPC_STATUS_DELETED;
	imap_send(s, IPC_mbox_status, &m);
	return m.seq;
}

static uint64_t value(const struct imap *s, const struct ipc_mbox_status_is *m, enum item which)
{
	switch (which) {
	case MESSAGES:
		return m->messages;
	case RECENT:
		return m->recent;
	case UIDNEXT:
		return m->uidnext;
	case UIDVALIDITY:
		return m->uidvalidity;
	case UNSEEN:
		return m->unseen;
	case SIZE:
		return m->bytes;
	case HIGHESTMODSEQ:
		return m->modseq > 0 ? m->modseq : 1;
	case APPENDLIMIT:
		return s->conf.append_max;
	case DELETED:
		return m->deleted;
	default:
		return m->deleted_bytes;
	}
}

void imap_status_put(
    struct imap *s, struct slice name, unsigned items, const struct ipc_mbox_status_is *m)
{
	struct writer w = imap_writer(s);

	write_untagged(&w);
	write_atom(&w, "STATUS");
	write_mailbox(&w, name);
	write_open(&w);
	for (unsigned i = 0; i < ITEMS; i++) {
		if ((items & 1u << i) == 0)
			continue;
		write_atom(&w, names[i]);
		if (i != MAILBOXID) {
			write_number(&w, value(s, m, (enum item)i));
			continue;
		}
		write_object_id(&w, 'M', m->id);
	}
	write_close(&w);
	write_end(&w);
}

/* ---- the command ---------------------------------------------------------------------------- */

struct status {
	struct imap_job job;
	uint32_t seq;
	unsigned items;
	struct slice name; /* in the arena of the command */
};

static void status_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct status *t = (struct status *)j;

	if (type != IPC_mbox_status_is || m->mbox_status_is.seq != t->seq)
		return;
	if (m->mbox_status_is.status != IPC_ST_OK) {
		imap_store_failed(j->s, m->mbox_status_is.status);
		return;
	}
	imap_status_put(j->s, t->name, t->items, &m->mbox_status_is);
	imap_done(j->s, IMAP_OK, NULL, "done");
}

static void status_free(struct imap_job *j)
{
	free(j);
}

static const struct imap_job_ops status_ops = { .on_msg = status_msg, .free = status_free };

void imap_cmd_status(struct imap *s, struct parse *p)
{
	struct status *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	imap_job_begin(s, &t->job, &status_ops);
	parse_sp(p);
	t->name = parse_mailbox(p);
	parse_sp(p);
	t->items = imap_status_items(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_status_enable(s, t->items);
	t->seq = imap_status_ask(s, t->name, t->items);
}
