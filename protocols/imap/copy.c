/*
 * copy - COPY and MOVE (RFC 6851) with COPYUID (RFC 4315). A COPY is all messages or none; a MOVE
 * goes in portions of stored's, each as a whole (docs/store.md).
 */
#include "protocols/imap/imap-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

struct copy {
	struct imap_job job;
	uint32_t seq;
	bool move;
	struct slice box; /* where to, in the command's text or arena */
	struct set uids;  /* what is copied; asked for up to range `at` */
	size_t at;
	struct set from, to; /* done */
	uint32_t uidvalidity;
};

static void copy_free(struct imap_job *j)
{
	struct copy *c = (struct copy *)j;

	set_fini(&c->uids);
	set_fini(&c->from);
	set_fini(&c->to);
	free(c);
}

static void put_copyuid(const struct copy *c, struct writer *w)
{
	if (c->from.n + c->to.n > IMAP_COPYUID_RANGES)
		return;
	write_code(w, "COPYUID");
	write_number(w, c->uidvalidity);
	write_ranges(w, &c->from);
	write_ranges(w, &c->to);
	write_code_end(w);
}

/* RFC 6851 4.3: before the messages are taken away. */
static void put_moved(const struct copy *c)
{
	struct writer w = imap_writer(c->job.s);

	if (!c->move || c->from.n == 0)
		return;
	write_status(&w, SLICE(""), "OK");
	put_copyuid(c, &w);
	write_text(&w, SLICE("moved"));
	write_end(&w);
}

static void copied(struct copy *c)
{
	struct imap *s = c->job.s;
	struct writer w;

	put_moved(c);
	w = imap_reply_begin(s, IMAP_OK);
	if (!c->move && c->from.n > 0)
		put_copyuid(c, &w);
	if (c->move && s->qresync && s->view.gone.n > 0)
		imap_put_modseq(s, &w);
	write_text(&w, slice_str(c->from.n == 0 ? "no message" : c->move ? "moved" : "copied"));
	imap_reply_end(s, &w);
}

/* What a MOVE had done by then stays done. */
static void failed(struct copy *c, uint32_t status)
{
	put_moved(c);
	if (status == IPC_ST_NOTFOUND)
		imap_done(c->job.s, IMAP_NO, "TRYCREATE", "no such mailbox");
	else
		imap_store_failed(c->job.s, status);
}

/* The next portion of the set, which only a MOVE has. */
static void copy_ask(struct copy *c)
{
	struct imap *s = c->job.s;
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	struct ipc_msg_copy m = {
		.seq = ++s->seq, .mbox = s->view.mbox, .move = c->move, .to = c->box
	};

	set_pairs(&c->uids, &c->at, &pairs);
	m.uids = buf_slice(&pairs);
	c->seq = m.seq;
	imap_send(s, IPC_msg_copy, &m);
	buf_fini(&pairs);
}

static void copy_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct copy *c = (struct copy *)j;
	const struct ipc_copy_done *d = &m->copy_done;
	struct wire_reader r;

	if (type != IPC_copy_done || d->seq != c->seq)
		return;
	r = wire_reader(d->uids);
	while (wire_left(&r) > 0 && !r.bad) {
		uint32_t from = wire_get_u32(&r), to = wire_get_u32(&r), n = wire_get_u32(&r);

		if (r.bad || n == 0)
			break;
		set_add(&c->from, from, from + n - 1);
		set_add(&c->to, to, to + n - 1);
	}
	if (d->more != 0)
		return;
	c->uidvalidity = d->uidvalidity != 0 ? d->uidvalidity : c->uidvalidity;
	if (d->status != IPC_ST_OK)
		failed(c, d->status);
	else if (c->at < c->uids.n)
		copy_ask(c);
	else
		copied(c);
}

static const struct imap_job_ops copy_ops = { .on_msg = copy_msg, .free = copy_free };

static void copy_begin(struct copy *c)
{
	/* Of two questions one could fail when the other is done: a COPY is one. */
	if (c->uids.n > IMAP_PAIRS_MAX && !c->move)
		imap_done(c->job.s, IMAP_NO, "LIMIT", "the set is too large");
	else if (c->uids.n == 0)
		copied(c);
	else
		copy_ask(c);
}

static void do_copy(struct imap *s, struct parse *p, bool move)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct set set = { 0 };
	bool saved;

	if (c == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	c->move = move;
	imap_job_begin(s, &c->job, &copy_ops);
	parse_sp(p);
	parse_set(p, &set, &saved);
	parse_sp(p);
	c->box = parse_mailbox(p);
	if (!parse_end(p))
		imap_bad(s, p);
	else if (move && s->view.readonly)
		imap_done(s, IMAP_NO, "READ-ONLY", "the mailbox is open for reading only");
	else if (imap_resolve(s, &set, saved, &c->uids) == 0)
		copy_begin(c);
	set_fini(&set);
}

void imap_cmd_copy(struct imap *s, struct parse *p)
{
	do_copy(s, p, false);
}

void imap_cmd_move(struct imap *s, struct parse *p)
{
	do_copy(s, p, true);
}
