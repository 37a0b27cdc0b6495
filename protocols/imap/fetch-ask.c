/*
 * fetch-ask - octets of messages: asking for them ahead of the writer.
 */
#include "protocols/imap/fetch-private.h"

#include "common/base/wire.h"

/* Questions for small pieces go together. */
static void pieces_send(struct fetch *f)
{
	struct imap *s = f->job.s;
	struct ipc_parts_get m = { f->pieces_seq, s->view.mbox, buf_slice(&f->pieces) };

	if (f->pieces.n > 0)
		imap_send(s, IPC_parts_get, &m);
	buf_reset(&f->pieces);
}

static void piece_put(struct fetch *f, const struct fetch_slot *t, struct fetch_ask *a)
{
	if (f->pieces.n == 0)
		f->pieces_seq = ++f->job.s->seq;
	a->seq = f->pieces_seq;
	wire_put_u32(&f->pieces, t->row.uid);
	wire_put_u64(&f->pieces, a->off);
	wire_put_u64(&f->pieces, a->len);
}

static void body_ask(struct fetch *f, const struct fetch_slot *t, struct fetch_ask *a)
{
	struct imap *s = f->job.s;
	struct ipc_body_get m = { .seq = ++s->seq,
		.mbox = s->view.mbox,
		.uid = t->row.uid,
		.off = a->off,
		.len = a->len };

	pieces_send(f);
	a->seq = m.seq;
	imap_send(s, IPC_body_get, &m);
}

static void ask_push(struct fetch *f, const struct fetch_slot *t, struct fetch_ask a)
{
	if (a.kind >= FETCH_STREAM) {
		f->on_way += a.len;
		if (a.len <= IMAP_FETCH_PIECE)
			piece_put(f, t, &a);
		else
			body_ask(f, t, &a);
	}
	*fetch_ask_at(f, f->ask_n) = a;
	f->ask_n++;
}

/* How the octets of a section become those of the answer; false: nobody knows. */
static bool sieve_of(
    const struct fetch_item *i, const struct section_range *r, enum sift_how *ret_how)
{
	*ret_how = SIFT_ALL;
	if (i->what != FETCH_SECTION)
		return sift_encoding(r->encoding, ret_how);
	*ret_how = fetch_sieve(i);
	return true;
}

/* Of what is not changed only the octets wanted are read. */
static void window(const struct fetch_item *i, struct fetch_ask *a)
{
	uint64_t skip = i->from < a->len ? i->from : a->len;

	a->off += skip;
	a->len -= skip;
	if (i->count != 0 && a->len > i->count)
		a->len = i->count;
	a->kind = a->len == 0 ? FETCH_EMPTY : FETCH_STREAM;
}

static struct fetch_ask ask_for(
    struct fetch *f, const struct fetch_slot *t, const struct fetch_item *i)
{
	bool size = i->what == FETCH_BINARY_SIZE, whole;
	struct fetch_ask a = { .kind = size ? FETCH_OMIT : FETCH_NIL };
	struct section_range r;

	if (t->header.p != NULL && i->what == FETCH_SECTION && section_is_header(&i->section)) {
		a.kind = FETCH_HEADER;
		return a;
	}
	whole = i->section.depth == 0 && i->section.what == SECTION_ALL;
	if (t->state == FETCH_BROKEN && !whole)
		return a;
	if (section_find(&i->section, &t->view, &r) != 0) {
		a.kind = size ? FETCH_NUMBER : FETCH_NIL;
		return a;
	}
	if (!sieve_of(i, &r, &a.how)) {
		f->wrong |= FETCH_UNKNOWN_CTE;
		return a;
	}
	a.off = r.start;
	a.len = r.end - r.start;
	if (size && (a.how == SIFT_ALL || a.len == 0))
		a.kind = FETCH_NUMBER;
	else if (size)
		a.kind = FETCH_COUNT;
	else if (a.how == SIFT_ALL)
		window(i, &a);
	else
		a.kind = a.len == 0                 ? FETCH_EMPTY
			 : a.len <= IMAP_FETCH_HOLD ? FETCH_HOLD
						    : FETCH_COUNT;
	return a;
}

static void ask_item(struct fetch *f, struct fetch_slot *t, unsigned item)
{
	const struct fetch_item *i = &f->plan.items[item];
	struct fetch_ask a = ask_for(f, t, i);

	a.item = item;
	ask_push(f, t, a);
	if (a.kind == FETCH_COUNT && i->what != FETCH_BINARY_SIZE) {
		a.kind = FETCH_SIFT;
		ask_push(f, t, a);
	}
}

/* The message is read for its facts when everything before it is written: one at a time. */
static bool ask_parse(struct fetch *f, struct fetch_slot *t)
{
	struct fetch_ask a = { .kind = FETCH_PARSE, .len = t->row.size };

	if (f->ask_slot == 0 && !f->parsing) {
		f->parsing = true;
		ask_push(f, t, a);
	}
	return false;
}

/* True when the slot's items have all been asked for. */
static bool ask_slot(struct fetch *f, struct fetch_slot *t)
{
	if (t->state == FETCH_NEW || t->state == FETCH_WAITS)
		return false;
	if (t->state == FETCH_PARSES)
		return ask_parse(f, t);
	if (t->state == FETCH_GONE || !f->plan.bodies)
		return true;
	while (f->ask_item < f->plan.n) {
		if (f->plan.items[f->ask_item].what >= FETCH_SECTION) {
			if (f->ask_n + 2 > f->ask_cap || f->on_way >= IMAP_FETCH_AHEAD)
				return false;
			ask_item(f, t, f->ask_item);
		}
		f->ask_item++;
	}
	return true;
}

/* Many at once: an answer has what one question asked for, and each costs both sides a turn. */
void fetch_bodies_ask(struct fetch *f)
{
	if (f->on_way > IMAP_FETCH_AHEAD / 4)
		return;
	while (f->ask_slot < f->slot_n && !imap_full(f->job.s) &&
	       ask_slot(f, fetch_slot_at(f, f->ask_slot))) {
		f->ask_slot++;
		f->ask_item = 0;
	}
	pieces_send(f);
}
