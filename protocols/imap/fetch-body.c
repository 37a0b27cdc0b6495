/*
 * fetch-body - octets of messages: writing them as they come.
 *
 * Every item that reads has its place in the ring of asks, in the order of writing. Answers come in
 * the order of asking, so an answer always belongs to the first place with a question, and that is
 * the item that the writer stands at, unless it stopped because the client does not read.
 */
#include "protocols/imap/fetch-private.h"

#include "common/base/wire.h"

static void ask_pop(struct fetch *f)
{
	f->ask_head = (f->ask_head + 1) % f->ask_cap;
	f->ask_n--;
}

/* ---- writing ---- */

/* What the item begins with: its name, then a value. */
static void put_label(struct fetch *f)
{
	f->any = true;
	write_made(&f->w, f->plan.items[f->item].label);
}

static void item_over(struct fetch *f)
{
	ask_pop(f);
	f->item++;
	f->sifting = false;
}

/* Of a header that is kept. */
static void put_header(struct fetch *f, const struct fetch_slot *t)
{
	const struct fetch_item *i = &f->plan.items[f->item];

	sift_init(&f->sift, fetch_sieve(i), &i->names, i->from, i->count);
	buf_reset(&f->hold);
	sift_feed(&f->sift, t->header, &f->hold);
	sift_end(&f->sift, &f->hold);
	put_label(f);
	write_literal(&f->w, f->hold.n);
	write_buf(&f->w, &f->hold);
}

static void put_unread(struct fetch *f, const struct fetch_slot *t, const struct fetch_ask *a)
{
	if (a->kind == FETCH_HEADER) {
		put_header(f, t);
		item_over(f);
		return;
	}
	if (a->kind != FETCH_OMIT)
		put_label(f);
	if (a->kind == FETCH_NIL)
		write_nil(&f->w);
	else if (a->kind == FETCH_EMPTY)
		write_literal(&f->w, 0);
	else if (a->kind == FETCH_NUMBER)
		write_number(&f->w, a->len);
	item_over(f);
}

/* The item at hand: false when it waits for octets. */
static bool write_item(struct fetch *f, const struct fetch_slot *t)
{
	const struct fetch_item *i = &f->plan.items[f->item];

	if (i->what >= FETCH_SECTION) {
		if (f->ask_n == 0 || fetch_ask_at(f, 0)->seq != 0 ||
		    (fetch_ask_at(f, 0)->kind == FETCH_HEADER && imap_full(f->job.s)))
			return false;
		put_unread(f, t, fetch_ask_at(f, 0));
		return true;
	}
	if (i->what < FETCH_ENVELOPE)
		fetch_write_row_item(f, i, &t->row);
	else
		fetch_write_facts_item(f, i, t);
	f->item++;
	return true;
}

static bool write_slot(struct fetch *f, const struct fetch_slot *t)
{
	if (t->state == FETCH_GONE)
		return true;
	if (t->state != FETCH_READY && t->state != FETCH_BROKEN)
		return false;
	if (!f->begun && imap_full(f->job.s))
		return false;
	if (!f->begun)
		fetch_write_begin(f, t->seq);
	while (f->item < f->plan.n)
		if (!write_item(f, t))
			return false;
	fetch_write_end(f, &t->row);
	fetch_seen_add(f, &t->row);
	return true;
}

bool fetch_write_go(struct fetch *f)
{
	bool any = false;

	while (f->slot_n > 0 && write_slot(f, fetch_slot_at(f, 0))) {
		fetch_slot_pop(f);
		any = true;
	}
	f->job.mid_reply = f->begun;
	return any;
}

/* ---- octets that come ---- */

static void sift_begin(struct fetch *f, const struct fetch_ask *a)
{
	const struct fetch_item *i = &f->plan.items[a->item];

	if (f->sifting)
		return;
	sift_init(&f->sift, a->how, &i->names, i->from, i->count);
	buf_reset(&f->hold);
	f->sifting = true;
}

/*
 * A literal8 where there is a NUL that a literal may not have (RFC 3516 4.2). An empty one is a
 * literal, too: curl takes nothing else for a section.
 */
static void put_literal(struct fetch *f, uint64_t n, bool nul)
{
	bool binary = f->plan.items[f->item].what == FETCH_BINARY;

	if (binary && nul)
		write_literal8(&f->w, n);
	else
		write_literal(&f->w, n);
}

/* What was counted: the answer of BINARY.SIZE, or the literal that is read next. */
static void counted(struct fetch *f)
{
	if (f->plan.items[f->item].what == FETCH_BINARY_SIZE) {
		put_label(f);
		write_number(&f->w, f->sift.out_n);
		item_over(f);
		return;
	}
	f->sift_n = f->sift.out_n;
	put_label(f);
	put_literal(f, f->sift_n, f->sift.nul);
	ask_pop(f);
	f->sifting = false;
}

static void held(struct fetch *f)
{
	put_label(f);
	put_literal(f, f->hold.n, f->sift.nul);
	write_buf(&f->w, &f->hold);
	item_over(f);
}

static void stream(struct fetch *f, struct fetch_ask *a, struct slice data)
{
	bool binary = f->plan.items[f->item].what == FETCH_BINARY;

	if (a->got == 0 && data.n > 0) {
		put_label(f);
		/* Nobody has looked for a NUL in what is long. */
		put_literal(
		    f, a->len, binary && (data.n < a->len || memchr(data.p, '\0', data.n) != NULL));
	}
	/* The writer's buffer is that of the port. */
	front_lend(f->job.s->port, data);
}

/* Half a literal is out, and the rest will never come: only the end of the connection says so. */
static void torn(struct fetch *f)
{
	f->job.mid_reply = true;
	imap_bye(f->job.s, "");
}

static void body_part(struct fetch *f, struct fetch_ask *a, struct slice data, bool last)
{
	data =
	    slice_part(data, 0, a->len - a->got < SIZE_MAX ? (size_t)(a->len - a->got) : SIZE_MAX);
	if (a->kind == FETCH_STREAM) {
		stream(f, a, data);
	} else if (a->kind != FETCH_DROP) {
		struct buf *out = a->kind == FETCH_SIFT   ? write_sink(&f->w)
				  : a->kind == FETCH_HOLD ? &f->hold
							  : NULL;

		sift_begin(f, a);
		sift_feed(&f->sift, data, out);
		if (last)
			sift_end(&f->sift, out);
	}
	a->got += data.n;
}

static void body_over(struct fetch *f, struct fetch_ask *a)
{
	switch (a->kind) {
	case FETCH_COUNT:
		counted(f);
		return;
	case FETCH_HOLD:
		held(f);
		return;
	case FETCH_SIFT:
		if (f->sift.out_n != f->sift_n)
			torn(f);
		else
			item_over(f);
		return;
	case FETCH_DROP:
		ask_pop(f);
		return;
	default:
		item_over(f);
		return;
	}
}

static void body_failed(struct fetch *f, struct fetch_ask *a, uint32_t status)
{
	bool size = f->plan.items[f->item].what == FETCH_BINARY_SIZE;

	f->wrong |= status == IPC_ST_NOTFOUND  ? FETCH_LOST
		    : status == IPC_ST_CORRUPT ? FETCH_DAMAGED
					       : FETCH_LATER;
	if (a->kind == FETCH_DROP) {
		ask_pop(f);
		return;
	}
	if (a->kind == FETCH_SIFT || (a->kind == FETCH_STREAM && a->got > 0)) {
		torn(f);
		return;
	}
	if (a->kind == FETCH_COUNT && !size)
		fetch_ask_at(f, 1)->kind = FETCH_DROP;
	if (!size) {
		put_label(f);
		write_nil(&f->w);
	}
	item_over(f);
}

/* An answer for the first ask; the writer stands at its item. */
static void body_data(struct fetch *f, const struct ipc_body_data *m)
{
	struct fetch_ask *a = fetch_ask_at(f, 0);
	uint64_t left = a->len - a->got;
	bool last = m->last != 0 || m->status != IPC_ST_OK;

	if (a->kind == FETCH_PARSE) {
		f->on_way -= m->data.n < left ? m->data.n : left;
		a->got += m->data.n < left ? m->data.n : left;
		f->on_way -= last ? a->len - a->got : 0;
		fetch_parse_data(f, m);
		if (last)
			ask_pop(f);
		f->parsing = !last;
		return;
	}
	if (m->status != IPC_ST_OK) {
		f->on_way -= left;
		body_failed(f, a, m->status);
		return;
	}
	body_part(f, a, m->data, last);
	f->on_way -= left - (a->len - a->got);
	if (!last)
		return;
	if (a->got < a->len && a->kind == FETCH_STREAM) {
		f->on_way -= a->len - a->got;
		body_failed(f, a, IPC_ST_CORRUPT);
		return;
	}
	f->on_way -= a->len - a->got;
	body_over(f, a);
}

/* ---- answers while the client does not read ---- */

/* Whether the next answer, of this question, can be used now. */
static bool at_ask(struct fetch *f)
{
	const struct fetch_ask *a = fetch_ask_at(f, 0);

	return f->ask_n > 0 && (a->kind == FETCH_PARSE || a->kind == FETCH_DROP ||
				   (a->kind >= FETCH_STREAM && f->begun && f->item == a->item));
}

void fetch_on_body(struct fetch *f, const struct ipc_body_data *m)
{
	if (f->ask_n == 0)
		return;
	if (f->inbox.n == 0)
		fetch_write_go(f);
	if (f->inbox.n == 0 && at_ask(f)) {
		imap_credit(f->job.s, m->data.n);
		body_data(f, m);
		return;
	}
	wire_put_u32(&f->inbox, m->status);
	wire_put_u32(&f->inbox, m->last);
	wire_put_bytes(&f->inbox, m->data);
	/* stored sends no more than its window. */
	if (f->inbox.overflow)
		imap_bye(f->job.s, "not enough memory");
}

/* Each piece is what a body_data would have been. */
void fetch_on_pieces(struct fetch *f, const struct ipc_parts_are *m)
{
	struct wire_reader r = wire_reader(m->data);
	size_t octets = 0;

	while (wire_left(&r) > 0 && f->job.s->state != IMAP_ENDED) {
		struct ipc_body_data d = { .seq = m->seq, .status = wire_get_u32(&r) };

		d.last = wire_get_u32(&r) == 0;
		d.data = wire_get_bytes(&r, m->data.n);
		if (r.bad)
			break;
		octets += d.data.n;
		fetch_on_body(f, &d);
	}
	imap_credit(f->job.s, m->data.n - octets);
}

void fetch_inbox_go(struct fetch *f)
{
	struct imap *s = f->job.s;

	while (f->inbox_at < f->inbox.n && !imap_full(s) && s->state != IMAP_ENDED) {
		struct wire_reader r = wire_reader(slice_from(buf_slice(&f->inbox), f->inbox_at));
		struct ipc_body_data m = { .status = wire_get_u32(&r), .last = wire_get_u32(&r) };

		m.data = wire_get_bytes(&r, f->inbox.n);
		fetch_write_go(f);
		if (!at_ask(f))
			return;
		imap_credit(s, m.data.n);
		f->inbox_at = f->inbox.n - wire_left(&r);
		body_data(f, &m);
	}
	if (f->inbox_at == f->inbox.n) {
		buf_reset(&f->inbox);
		f->inbox_at = 0;
	}
}
