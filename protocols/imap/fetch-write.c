/*
 * fetch-write - a FETCH response but for the octets of the message.
 */
#include "protocols/imap/envelope.h"
#include "protocols/imap/fetch-private.h"

void fetch_write_begin(struct fetch *f, uint32_t seq)
{
	f->w = imap_writer(f->job.s);
	f->begun = true;
	f->any = false;
	f->item = 0;
	write_untagged(&f->w);
	write_number(&f->w, seq);
	write_made(&f->w, SLICE("FETCH ("));
	f->w.gap = WRITE_NO_GAP;
}

static void put_modseq(struct fetch *f, uint64_t modseq)
{
	write_open(&f->w);
	write_number(&f->w, modseq);
	write_close(&f->w);
}

void fetch_write_row_item(struct fetch *f, const struct fetch_item *i, const struct imap_row *r)
{
	struct writer *w = &f->w;
	bool told;

	f->any = true;
	if (i->what == FETCH_FLAGS) {
		imap_put_flags(f->job.s, w, r->uid, fetch_seen_flags(f, r, &told), r->keywords);
		return;
	}
	write_made(w, i->label);
	switch (i->what) {
	case FETCH_UID:
		write_number(w, r->uid);
		return;
	case FETCH_DATE:
		write_date_time(w, r->date);
		return;
	case FETCH_SIZE:
		write_number(w, r->size);
		return;
	case FETCH_MODSEQ:
		put_modseq(f, r->modseq);
		return;
	case FETCH_EMAILID:
		write_object_id(&f->w, 'E', r->id);
		return;
	case FETCH_THREADID:
		if (r->thread != 0)
			write_object_id(&f->w, 'T', r->thread);
		else
			write_nil(w); /* not known yet */
		return;
	default: /* SAVEDATE */
		write_date_time(w, r->saved);
		return;
	}
}

void fetch_write_facts_item(struct fetch *f, const struct fetch_item *i, const struct fetch_slot *t)
{
	struct writer *w = &f->w;
	bool known = t->state == FETCH_READY && t->blob.n > 0;

	/* There is no way to say that one of these is not known. */
	if (!known && i->what != FETCH_PREVIEW)
		return;
	f->any = true;
	write_made(w, i->label);
	switch (i->what) {
	case FETCH_ENVELOPE:
		envelope_write(w, t->view.field, &f->addresses);
		return;
	case FETCH_BODY:
	case FETCH_STRUCTURE:
		structure_write(w, &t->view, i->what == FETCH_STRUCTURE, &f->addresses);
		return;
	default:
		write_string(w, !known                  ? SLICE_NONE
				: t->view.preview.n > 0 ? t->view.preview
							: SLICE(""));
		return;
	}
}

void fetch_write_end(struct fetch *f, const struct imap_row *r)
{
	static const struct fetch_item flags = { .what = FETCH_FLAGS };
	static const struct fetch_item uid = { .what = FETCH_UID,
		.label = { (const uint8_t *)"UID", 3 } };
	static const struct fetch_item modseq = { .what = FETCH_MODSEQ,
		.label = { (const uint8_t *)"MODSEQ", 6 } };
	bool told;

	fetch_seen_flags(f, r, &told);
	if (told && !f->plan.flags)
		fetch_write_row_item(f, &flags, r);
	/* RFC 7162 3.1: flags go with their modseq once the client knows of it. */
	if (f->plan.flags && f->job.s->condstore && !f->plan.modseq)
		fetch_write_row_item(f, &modseq, r);
	if (!f->any)
		fetch_write_row_item(f, &uid, r);
	write_close(&f->w);
	write_end(&f->w);
	f->begun = false;
}
