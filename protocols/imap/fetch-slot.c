/*
 * fetch-slot - messages on their way from a row to their answer: facts for them, many in one
 * question, or made here of the message itself where stored has none of use.
 */
#include "protocols/imap/fetch-private.h"

#include "common/base/wire.h"

/* A slot's memory for facts or a header that stays for the next message. */
enum { SLOT_KEEP = 8192 };

/* Something is asked of a message besides its octets. */
static bool facts_wanted(const struct fetch *f)
{
	return f->plan.facts || f->plan.header;
}

void fetch_slots_fill(struct fetch *f)
{
	struct imap *s = f->job.s;

	while (f->slot_n < f->slot_cap && f->rows_at < f->rows.n) {
		struct fetch_slot *t = fetch_slot_at(f, f->slot_n);
		struct buf blob = t->blob, kept = t->kept;

		buf_reset(&blob);
		buf_reset(&kept);
		*t = (struct fetch_slot){ .blob = blob, .kept = kept };
		t->row = imap_row_at(
		    slice_from(buf_slice(&f->rows), f->rows_at), 0, buf_slice(&f->sets));
		f->rows_at += IPC_ROW_BYTES;
		t->seq = view_seq(&s->view, t->row.uid);
		t->view.size = t->row.size;
		t->state = t->seq == 0 ? FETCH_GONE : facts_wanted(f) ? FETCH_NEW : FETCH_READY;
		if (t->seq != 0)
			f->slot_n++;
	}
}

void fetch_slot_fini(struct fetch_slot *t)
{
	buf_fini(&t->blob);
	buf_fini(&t->kept);
}

void fetch_slot_pop(struct fetch *f)
{
	struct fetch_slot *t = fetch_slot_at(f, 0);

	if (t->blob.cap > SLOT_KEEP)
		buf_fini(&t->blob);
	if (t->kept.cap > SLOT_KEEP)
		buf_fini(&t->kept);
	f->slot_head = (f->slot_head + 1) % f->slot_cap;
	f->slot_n--;
	f->slot_asked -= f->slot_asked > 0;
	f->slot_here -= f->slot_here > 0;
	/* All that the slot needs was asked for, or it could not be over. */
	if (f->ask_slot > 0)
		f->ask_slot--;
	else
		f->ask_item = 0;
}

/*
 * The uids of slots from `from` to before `to`, if they are new. Messages that are neighbours in
 * the view make one pair: there is nothing between them.
 */
static void put_pairs(struct fetch *f, unsigned from, unsigned to, struct buf *out)
{
	const struct fetch_slot *before = NULL;

	for (unsigned i = from; i < to; i++) {
		struct fetch_slot *t = fetch_slot_at(f, i);

		if (t->state != FETCH_NEW)
			continue;
		if (before != NULL && t->seq == before->seq + 1) {
			wire_store_u32(out->p + out->n - 4, t->row.uid);
		} else {
			wire_put_u32(out, t->row.uid);
			wire_put_u32(out, t->row.uid);
		}
		before = t;
	}
}

/* One question about them; its number, or 0: it could not be asked. */
static uint32_t question(struct imap *s, struct slice pairs, enum ipc_facts_what what)
{
	struct ipc_facts_get m = {
		.seq = ++s->seq, .mbox = s->view.mbox, .uids = pairs, .what = (uint32_t)what
	};

	return imap_send(s, IPC_facts_get, &m) == 0 ? m.seq : 0;
}

/* The same wait for what is asked from now on. */
static void ask_new(struct fetch *f, unsigned from, unsigned to, bool header, bool facts)
{
	struct imap *s = f->job.s;
	struct buf pairs = BUF_INIT(IMAP_FETCH_SLOTS * 8);
	uint32_t header_seq = 0, facts_seq = 0;

	put_pairs(f, from, to, &pairs);
	if (header && pairs.n > 0)
		header_seq = question(s, buf_slice(&pairs), IPC_FACTS_HEADER);
	if (facts && pairs.n > 0)
		facts_seq = question(s, buf_slice(&pairs), IPC_FACTS_ALL);
	for (unsigned i = from; i < to && (header_seq != 0 || facts_seq != 0); i++) {
		struct fetch_slot *t = fetch_slot_at(f, i);

		if (t->state != FETCH_NEW)
			continue;
		t->header_seq = header_seq;
		t->facts_seq = facts_seq;
		t->state = FETCH_WAITS;
	}
	buf_fini(&pairs);
}

void fetch_slots_ask(struct fetch *f)
{
	unsigned n = f->slot_n - f->slot_asked;
	bool more = f->scanning || !f->scan.over || f->rows_at < f->rows.n;

	/* Many at once, unless nobody else is on the way or no more will come. */
	if (!facts_wanted(f) || n == 0 || (n < IMAP_FETCH_BATCH && f->slot_asked > 0 && more))
		return;
	ask_new(f, f->slot_asked, f->slot_n, f->plan.header, f->plan.facts || f->headerless);
	f->slot_asked = f->slot_n;
}

/* ---- facts that came ---- */

/* Checked as far as the plan reads them. */
static bool slot_view(const struct fetch *f, struct fetch_slot *t)
{
	struct slice blob = buf_slice(&t->blob);

	return (f->plan.parts ? facts_view(blob, t->row.size, &t->view)
			      : facts_view_flat(blob, t->row.size, &t->view)) == 0;
}

/* Whether these facts say what the plan needs. */
static bool facts_serve(const struct fetch *f, const struct fetch_slot *t)
{
	return !(f->plan.envelope && (t->view.flags & FACTS_CUT_ENVELOPE) != 0) &&
	       !(f->plan.parts && (t->view.flags & FACTS_NO_STRUCTURE) != 0);
}

/* What a plan of nothing but PREVIEW (LAZY) needs can be missing. */
static bool facts_optional(const struct fetch *f)
{
	for (unsigned i = 0; i < f->plan.n; i++)
		if (f->plan.items[i].what >= FETCH_ENVELOPE &&
		    f->plan.items[i].what != FETCH_PREVIEW)
			return false;
	return !f->plan.preview;
}

static void slot_facts(struct fetch *f, struct fetch_slot *t, uint32_t status, struct slice blob)
{
	t->state = FETCH_READY;
	if (status == IPC_ST_OK && buf_put(&t->blob, blob) == 0 && slot_view(f, t) &&
	    facts_serve(f, t))
		return;
	t->view = (struct facts_view){ .size = t->row.size };
	buf_reset(&t->blob);
	if (!facts_optional(f) && (f->plan.facts || t->header.p == NULL))
		t->state = FETCH_PARSES;
}

static bool waits_for(const struct fetch_slot *t, uint32_t seq)
{
	return t->state == FETCH_WAITS && (t->facts_seq == seq || t->header_seq == seq);
}

/* Answers ascend as the slots do: it is the next one, or one that another question passed over. */
static struct fetch_slot *slot_find(struct fetch *f, uint32_t seq, uint32_t uid)
{
	for (unsigned n = 0, i = f->slot_here; n < f->slot_n; n++, i++) {
		struct fetch_slot *t;

		i = i < f->slot_n ? i : 0;
		t = fetch_slot_at(f, i);
		if (!waits_for(t, seq) || t->row.uid != uid)
			continue;
		f->slot_here = i + 1;
		return t;
	}
	return NULL;
}

/* What is kept of the header came; without it, and without facts, the message is as new. */
static void slot_header(struct fetch_slot *t, uint32_t status, struct slice kept)
{
	t->header_seq = 0;
	t->kept.max = FACTS_HEADER_MAX;
	if (status != IPC_ST_OK || facts_header(kept, t->row.size, &kept) != 0 ||
	    buf_put(&t->kept, kept) != 0)
		t->state = t->facts_seq == 0 ? FETCH_NEW : FETCH_WAITS;
	else
		t->header = t->kept.n > 0 ? buf_slice(&t->kept) : SLICE("");
	if (t->header.p != NULL && t->facts_seq == 0)
		t->state = FETCH_READY;
}

/* The question is answered: stored has nothing of those that still wait. */
static void facts_last(struct fetch *f, uint32_t seq, uint32_t status)
{
	bool any = false, fresh = false;

	for (unsigned i = 0; i < f->slot_n; i++) {
		struct fetch_slot *t = fetch_slot_at(f, i);

		any |= t->header.p != NULL;
		fresh |= i < f->slot_asked && t->state == FETCH_NEW;
		if (!waits_for(t, seq))
			continue;
		t->state = FETCH_GONE;
		f->wrong |= status == IPC_ST_OK ? FETCH_LOST : FETCH_LATER;
	}
	/* The headers of those that are new again must be read, and so their places known. */
	f->headerless = f->plan.header && !any;
	if (fresh)
		ask_new(f, 0, f->slot_asked, false, true);
}

void fetch_on_facts(struct fetch *f, const struct ipc_facts_are *m)
{
	struct wire_reader r = wire_reader(m->facts);

	imap_credit(f->job.s, m->facts.n);
	while (wire_left(&r) > 0) {
		uint32_t uid = wire_get_u32(&r), status = wire_get_u32(&r);
		struct slice blob = wire_get_bytes(&r, FACTS_MAX);
		struct fetch_slot *t;

		if (r.bad)
			break;
		t = slot_find(f, m->seq, uid);
		if (t == NULL)
			continue;
		if (t->header_seq == m->seq) {
			slot_header(t, status, blob);
			continue;
		}
		t->blob.max = FACTS_WIDE_MAX;
		slot_facts(f, t, status, blob);
	}
	if (m->last != 0)
		facts_last(f, m->seq, m->status);
}

/* ---- facts made here ---- */

static void parse_failed(struct fetch *f, struct fetch_slot *t, uint32_t status)
{
	facts_maker_free(&f->maker);
	t->state = FETCH_BROKEN;
	f->wrong |= status == IPC_ST_NOTFOUND  ? FETCH_LOST
		    : status == IPC_ST_CORRUPT ? FETCH_DAMAGED
					       : FETCH_LATER;
}

void fetch_parse_data(struct fetch *f, const struct ipc_body_data *m)
{
	struct fetch_slot *t = fetch_slot_at(f, f->ask_slot);

	if (m->status != IPC_ST_OK) {
		parse_failed(f, t, m->status);
		return;
	}
	if (f->maker == NULL)
		f->maker = facts_maker_new_wide();
	if (f->maker != NULL)
		facts_maker_feed(f->maker, m->data);
	if (m->last == 0)
		return;
	t->blob.max = FACTS_WIDE_MAX;
	if (f->maker == NULL || facts_maker_finish(f->maker, &t->blob) != 0 || !slot_view(f, t)) {
		buf_reset(&t->blob);
		t->view = (struct facts_view){ .size = t->row.size };
		parse_failed(f, t, IPC_ST_TRYLATER);
		return;
	}
	facts_maker_free(&f->maker);
	t->state = FETCH_READY;
}
