/*
 * tell - what happened to the selected mailbox, told before the reply to a command, or at once in
 * IDLE: first what went (RFC 3501 7.4.1), then what came, then flags.
 *
 * Numbers mean what the client was told, so nothing else writes numbers while this goes on.
 */
#include "protocols/imap/imap-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { VANISHED_RANGES = 1000 };

void imap_tell_reset(struct imap *s)
{
	set_fini(&s->tell.gone);
	s->tell = (struct imap_tell){ 0 };
}

void imap_tell_begin(struct imap *s, bool gone)
{
	imap_tell_reset(s);
	imap_tell_texts(s);
	if (s->state != IMAP_SELECTED)
		return;
	s->tell.step = gone && (s->view.gone.n > 0 || s->view.ghosts.n > 0) ? IMAP_TELL_GONE
									    : IMAP_TELL_EXISTS;
	/* Those that go while this is written are told the next time. */
	s->tell.gone_modseq = s->view.gone_modseq;
	if (s->tell.step == IMAP_TELL_GONE && !view_told_gone(&s->view, &s->tell.gone))
		imap_bye(s, "not enough memory");
}

static void vanished(struct imap *s)
{
	struct imap_tell *t = &s->tell;
	struct writer w = imap_writer(s);

	write_untagged(&w);
	write_atom(&w, "VANISHED");
	for (size_t n = 0; n < VANISHED_RANGES && t->gone_at < t->gone.n; n++, t->gone_at++)
		write_range(&w, t->gone.r[t->gone_at].first, t->gone.r[t->gone_at].last);
	write_end(&w);
}

/*
 * Ascending: those before are gone from the client's numbers already, so the number is one more
 * than what is left below.
 */
static void expunged(struct imap *s)
{
	struct imap_tell *t = &s->tell;
	struct set_range r = t->gone.r[t->gone_at];
	uint32_t seq = view_seq_from(&s->view, r.first);
	struct writer w = imap_writer(s);

	while (t->gone_done <= r.last - r.first && !imap_full(s)) {
		write_count(&w, seq, "EXPUNGE");
		t->gone_done++;
	}
	if (t->gone_done > r.last - r.first) {
		t->gone_at++;
		t->gone_done = 0;
	}
}

static void gone_go(struct imap *s)
{
	struct imap_tell *t = &s->tell;
	struct ipc_mbox_told m = { .mbox = s->view.mbox, .modseq = t->gone_modseq };

	if (t->gone_at < t->gone.n) {
		if (s->qresync)
			vanished(s);
		else
			expunged(s);
		return;
	}
	set_fini(&t->gone);
	imap_send(s, IPC_mbox_told, &m);
	if (s->view.gone_modseq == t->gone_modseq)
		set_reset(&s->view.ghosts);
	t->step = IMAP_TELL_EXISTS;
}

static void exists_go(struct imap *s)
{
	struct view *v = &s->view;
	struct writer w;

	s->tell.step = IMAP_TELL_FLAGS;
	if (v->keywords_new)
		imap_tell_keywords(s);
	if (v->fresh.n == 0)
		return;
	if (!view_grow(v)) {
		imap_bye(s, "not enough memory");
		return;
	}
	w = imap_writer(s);
	write_count(&w, v->count, "EXISTS");
	write_count(&w, set_count(&v->recent), "RECENT");
}

void imap_tell_keywords(struct imap *s)
{
	const struct view *v = &s->view;
	uint32_t system = IPC_FLAG_SEEN | IPC_FLAG_ANSWERED | IPC_FLAG_FLAGGED | IPC_FLAG_DELETED |
			  IPC_FLAG_DRAFT;
	static struct keyset_map map;
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];
	struct keyset all;
	struct writer w = imap_writer(s);

	s->view.keywords_new = false;
	map = (struct keyset_map){ 0 };
	for (unsigned i = 0; i < v->n_keywords; i++)
		keyset_map_set(&map, i);
	all = keyset_map_pack(&map, room);
	write_untagged(&w);
	write_atom(&w, "FLAGS");
	write_flags(&w, system, all, v->keywords, v->n_keywords);
	write_end(&w);
	write_status(&w, SLICE(""), "OK");
	write_code(&w, "PERMANENTFLAGS");
	if (v->readonly) {
		write_open(&w);
		write_close(&w);
	} else {
		write_flags(&w, system, all, v->keywords, v->n_keywords);
		/* RFC 3501 7.1: new keywords can be made, as long as there is room. */
		if (v->n_keywords < IPC_KEYWORDS_MAX)
			write_flags_any(&w);
	}
	write_code_end(&w);
	write_text(&w, SLICE("flags that stay"));
	write_end(&w);
}

/* ---- flags ---------------------------------------------------------------------------------- */

void imap_put_flags(
    struct imap *s, struct writer *w, uint32_t uid, uint32_t flags, struct keyset keywords)
{
	flags &= ~(uint32_t)IPC_FLAG_RECENT;
	if (view_is_recent(&s->view, uid))
		flags |= IPC_FLAG_RECENT;
	write_atom(w, "FLAGS");
	write_flags(w, flags, keywords, s->view.keywords, s->view.n_keywords);
}

void imap_put_fetch_flags(
    struct imap *s, uint32_t uid, const struct imap_flags *flags, bool with_uid, bool with_flags)
{
	uint32_t seq = view_seq(&s->view, uid);
	struct writer w = imap_writer(s);

	if (seq == 0)
		return;
	write_untagged(&w);
	write_number(&w, seq);
	write_atom(&w, "FETCH");
	write_open(&w);
	if (with_uid || s->qresync) {
		write_atom(&w, "UID");
		write_number(&w, uid);
	}
	if (with_flags)
		imap_put_flags(s, &w, uid, flags->flags, flags->keywords);
	if (s->condstore) {
		write_atom(&w, "MODSEQ");
		write_open(&w);
		write_number(&w, flags->modseq);
		write_close(&w);
	}
	write_close(&w);
	write_end(&w);
}

static void tell_flags(struct imap *s, uint32_t uid, const struct imap_flags *f)
{
	/* Of a message that is gone there is nothing to say but that. */
	if (!view_is_gone(&s->view, uid))
		imap_put_fetch_flags(s, uid, f, s->condstore, true);
}

static void flags_go(struct imap *s)
{
	struct view *v = &s->view;
	struct imap_tell *t = &s->tell;

	if (v->changes_lost) {
		t->step = IMAP_TELL_ASK;
		t->from_uid = 1;
		return;
	}
	if (v->change_at < v->n_changes) {
		const struct view_change *c = &v->changes[v->change_at];
		struct imap_flags f = { c->flags, c->keywords, c->modseq };

		tell_flags(s, c->uid, &f);
		v->change_at++;
		return;
	}
	view_changes_told(v);
	v->told_modseq = v->modseq;
	t->step = IMAP_TELL_NOTHING;
}

static void ask(struct imap *s)
{
	struct imap_tell *t = &s->tell;
	struct ipc_mbox_scan m = { .seq = ++s->seq,
		.mbox = s->view.mbox,
		.from_uid = t->from_uid,
		.limit = IMAP_SCAN_ROWS,
		.since = s->view.told_modseq };

	if (t->from_uid == 1) {
		s->view.changes_lost = false;
		t->until = s->view.modseq;
	}
	t->seq = m.seq;
	t->step = IMAP_TELL_WAIT;
	imap_send(s, IPC_mbox_scan, &m);
}

void imap_tell_rows(struct imap *s, const struct ipc_mbox_rows *m)
{
	struct imap_tell *t = &s->tell;

	if (m->status != IPC_ST_OK) {
		imap_bye(s, "the mailbox is not available now");
		return;
	}
	for (size_t at = 0; at + IPC_ROW_BYTES <= m->rows.n; at += IPC_ROW_BYTES) {
		const uint8_t *row = m->rows.p + at;
		struct imap_flags f = { wire_load_u32(row + 4),
			keyset_of(wire_load_u64(row + 8), m->sets), wire_load_u64(row + 40) };

		tell_flags(s, wire_load_u32(row), &f);
	}
	t->from_uid = m->next_uid;
	t->step = m->more != 0 ? IMAP_TELL_ASK : IMAP_TELL_FLAGS;
	if (m->more == 0)
		s->view.told_modseq = t->until;
}

bool imap_tell_go(struct imap *s)
{
	while (s->tell.step != IMAP_TELL_NOTHING && s->state != IMAP_ENDED) {
		if (s->tell.step == IMAP_TELL_WAIT || imap_full(s))
			return false;
		switch (s->tell.step) {
		case IMAP_TELL_GONE:
			gone_go(s);
			break;
		case IMAP_TELL_EXISTS:
			exists_go(s);
			break;
		case IMAP_TELL_FLAGS:
			flags_go(s);
			break;
		default:
			ask(s);
		}
	}
	return true;
}
