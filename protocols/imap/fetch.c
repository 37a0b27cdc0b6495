/*
 * fetch - FETCH and UID FETCH: pages of rows to responses.
 *
 * The number and flags of a message come from the row; a message that the client was not told to be
 * gone is in the view, and stored keeps it readable (RFC 2180 4.1.1). What cannot be read after all
 * is NIL or left out, the tagged reply says NO, and the connection lives.
 */
#include "protocols/imap/fetch-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { PAGE_BYTES = IMAP_SCAN_ROWS * IPC_ROW_BYTES, HEAD_BYTES = 12 };

static void fetch_free(struct imap_job *j)
{
	struct fetch *f = (struct fetch *)j;

	for (unsigned i = 0; i < f->slot_cap && f->slot != NULL; i++)
		fetch_slot_fini(&f->slot[i]);
	facts_maker_free(&f->maker);
	free(f->slot);
	free(f->ask);
	buf_fini(&f->rows);
	buf_fini(&f->sets);
	buf_fini(&f->inbox);
	buf_fini(&f->pieces);
	buf_fini(&f->hold);
	set_fini(&f->uids);
	vanished_fini(&f->vanished);
	set_fini(&f->seen);
	free(f);
}

/* ---- rows ---- */

static void rows_ask(struct fetch *f)
{
	if (f->scanning || f->scan.over || f->rows.n - f->rows_at > PAGE_BYTES / 2 ||
	    imap_full(f->job.s))
		return;
	/* Sets of keywords are of one page. */
	if (f->sets.n > 0 && (f->rows_at < f->rows.n || f->slot_n > 0))
		return;
	buf_reset(&f->sets);
	f->scanning = imap_scan_ask(f->job.s, &f->scan) == 0;
}

static void on_rows(struct fetch *f, const struct ipc_mbox_rows *m)
{
	f->scanning = false;
	if (m->status != IPC_ST_OK) {
		f->scan.over = true;
		f->wrong |= FETCH_LATER;
		return;
	}
	buf_consume(&f->rows, f->rows_at);
	f->rows_at = 0;
	imap_scan_page(&f->scan, m);
	/* Asked for only when there is room for it. */
	buf_put(&f->rows, slice_part(m->rows, 0, m->rows.n - m->rows.n % IPC_ROW_BYTES));
	buf_put(&f->sets, m->sets);
	rows_ask(f);
}

/* Messages of which the row says all: no slots, no waiting. */
static void rows_write(struct fetch *f)
{
	struct imap *s = f->job.s;

	while (f->rows_at < f->rows.n && !imap_full(s)) {
		struct imap_row r = imap_row_at(
		    slice_from(buf_slice(&f->rows), f->rows_at), 0, buf_slice(&f->sets));
		uint32_t seq = view_seq(&s->view, r.uid);

		f->rows_at += IPC_ROW_BYTES;
		if (seq == 0)
			continue;
		fetch_write_begin(f, seq);
		for (unsigned i = 0; i < f->plan.n; i++)
			fetch_write_row_item(f, &f->plan.items[i], &r);
		fetch_write_end(f, &r);
	}
}

/* ---- the end ---- */

static void answer(struct fetch *f)
{
	struct imap *s = f->job.s;

	if ((f->wrong & FETCH_LATER) != 0)
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not everything can be read now, try again");
	else if ((f->wrong & FETCH_DAMAGED) != 0)
		imap_done(s, IMAP_NO, "CORRUPTION", "some of the messages are damaged");
	else if ((f->wrong & FETCH_LOST) != 0)
		imap_done(s, IMAP_NO, "EXPUNGEISSUED", "some of the messages are expunged");
	else if ((f->wrong & FETCH_UNKNOWN_CTE) != 0)
		imap_done(s, IMAP_NO, "UNKNOWN-CTE", "some parts cannot be decoded");
	else
		imap_done(s, IMAP_OK, NULL, "fetched");
}

static void end_go(struct fetch *f)
{
	if (f->scanning || !f->scan.over || f->rows_at < f->rows.n || f->slot_n > 0 || f->ask_n > 0)
		return;
	fetch_seen_store(f);
	if (f->seen_wait == 0)
		answer(f);
}

static void fetch_go(struct imap_job *j)
{
	struct fetch *f = (struct fetch *)j;

	if (!vanished_go(j->s, &f->vanished))
		return;
	rows_ask(f);
	if (f->slot == NULL) {
		rows_write(f);
	} else {
		do {
			fetch_slots_fill(f);
			fetch_slots_ask(f);
			fetch_bodies_ask(f);
			fetch_inbox_go(f);
		} while (fetch_write_go(f));
	}
	rows_ask(f);
	end_go(f);
}

static void fetch_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct fetch *f = (struct fetch *)j;

	if (type == IPC_mbox_rows && m->mbox_rows.seq == f->scan.seq)
		on_rows(f, &m->mbox_rows);
	else if (type == IPC_facts_are)
		fetch_on_facts(f, &m->facts_are);
	else if (type == IPC_body_data)
		fetch_on_body(f, &m->body_data);
	else if (type == IPC_parts_are)
		fetch_on_pieces(f, &m->parts_are);
	else if (type == IPC_store_done)
		fetch_on_stored(f, &m->store_done);
	else if (type == IPC_gone_are && m->gone_are.seq == f->vanished.seq &&
		 vanished_take(&f->vanished, &m->gone_are) != IPC_ST_OK)
		f->wrong |= FETCH_LATER;
}

static const struct imap_job_ops fetch_ops = {
	.on_msg = fetch_msg,
	.go = fetch_go,
	.free = fetch_free,
};

/* ---- the command ---- */

/* Room as for as many messages as there can be under way. */
static bool rings_make(struct fetch *f)
{
	uint64_t count = set_count(&f->uids);
	unsigned asks = 4;

	f->slot_cap = count < IMAP_FETCH_SLOTS ? (unsigned)count : IMAP_FETCH_SLOTS;
	for (unsigned i = 0; i < f->plan.n; i++)
		if (f->plan.items[i].what >= FETCH_SECTION)
			asks += 2 * f->slot_cap;
	f->ask_cap = asks < IMAP_FETCH_ASKS ? asks : IMAP_FETCH_ASKS;
	f->slot = calloc(f->slot_cap, sizeof(*f->slot));
	f->ask = calloc(f->ask_cap, sizeof(*f->ask));
	return f->slot != NULL && f->ask != NULL;
}

static void begin(struct fetch *f)
{
	struct imap *s = f->job.s;

	f->scan =
	    (struct imap_scan){ .uids = &f->uids, .since = f->plan.since, .over = f->uids.n == 0 };
	if ((f->plan.facts || f->plan.bodies) && f->uids.n > 0 && !rings_make(f)) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	buf_init(&f->rows, 4 * PAGE_BYTES);
	buf_init(&f->sets, IMAP_SETS_MAX);
	buf_init(&f->inbox, 2 * IPC_WINDOW_BYTES + HEAD_BYTES * IMAP_FETCH_ASKS);
	buf_init(&f->hold, IMAP_FETCH_HOLD);
	buf_init(&f->pieces, IMAP_FETCH_ASKS * 20);
	if (f->plan.modseq)
		imap_condstore_on(s);
	if (f->vanished.known.n > 0)
		vanished_ask(s, &f->vanished, f->plan.since);
}

/* RFC 7162 3.2.6: the set may name uids that are long gone, so it is taken as it was written. */
static void known_set(struct set *known, const struct set *set)
{
	for (size_t i = 0; i < set->n; i++)
		set_add(known, set->r[i].first, set->r[i].last);
	set_norm(known);
}

void imap_cmd_fetch(struct imap *s, struct parse *p)
{
	struct fetch *f = calloc(1, sizeof(*f));
	struct set set = { 0 };
	bool saved;

	if (f == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	imap_job_begin(s, &f->job, &fetch_ops);
	parse_sp(p);
	parse_set(p, &set, &saved);
	fetch_plan_parse(p, s->uid, &f->plan);
	if (f->plan.vanished)
		known_set(&f->vanished.known, saved ? &s->saved : &set);
	if (!parse_ok(p))
		imap_bad(s, p);
	else if (f->plan.vanished && !s->qresync)
		imap_done(s, IMAP_BAD, NULL, "VANISHED wants ENABLE QRESYNC");
	else if (f->vanished.known.failed)
		imap_done(s, IMAP_NO, "LIMIT", "the set is too large");
	else if (imap_resolve(s, &set, saved, &f->uids) == 0)
		begin(f);
	set_fini(&set);
}
