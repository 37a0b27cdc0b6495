/*
 * select - SELECT and EXAMINE with CONDSTORE and QRESYNC (RFC 7162), CLOSE, UNSELECT, and what the
 * sets of commands mean in the selected mailbox.
 */
#include "protocols/imap/imap-private.h"

#include "protocols/imap/scan.h"
#include "protocols/imap/vanished.h"

#include <stdlib.h>

enum stage { OPENING, LOADING, GONE, CHANGED };

struct opening {
	struct imap_job job;
	enum stage stage;
	bool readonly, qresync, waiting;
	uint32_t seq, recent_from, recent_to, first_unseen, known_validity;
	uint64_t modseq, known_modseq;
	struct set known;         /* uids that the client has; empty: all */
	struct set nums, matched; /* pairs of numbers and uids that the client knows */
	struct vanished vanished;
	struct imap_scan scan;
};

static void opening_free(struct imap_job *j)
{
	struct opening *o = (struct opening *)j;

	set_fini(&o->known);
	set_fini(&o->nums);
	set_fini(&o->matched);
	vanished_fini(&o->vanished);
	free(o);
}

void imap_unselect(struct imap *s)
{
	struct ipc_mbox_close m = { .seq = ++s->seq, .mbox = s->view.mbox };

	if (s->view.mbox != 0)
		imap_send(s, IPC_mbox_close, &m);
	imap_tell_reset(s);
	view_fini(&s->view);
	set_fini(&s->saved);
	arena_reset(&s->box_arena);
	if (s->state == IMAP_SELECTED)
		imap_enter(s, IMAP_AUTHED);
}

static void open_failed(struct opening *o, uint32_t status)
{
	imap_unselect(o->job.s);
	imap_store_failed(o->job.s, status);
}

/* ---- what SELECT tells ---------------------------------------------------------------------- */

static void put_code(struct imap *s, const char *name, uint64_t n, const char *text)
{
	struct writer w = imap_writer(s);

	write_status(&w, SLICE(""), "OK");
	write_code(&w, name);
	write_number(&w, n);
	write_code_end(&w);
	write_text(&w, slice_str(text));
	write_end(&w);
}

static void put_mailbox_id(struct imap *s)
{
	struct writer w = imap_writer(s);

	write_status(&w, SLICE(""), "OK");
	write_code(&w, "MAILBOXID");
	write_object_id(&w, 'M', s->view.id);
	write_code_end(&w);
	write_text(&w, SLICE("its name for ever"));
	write_end(&w);
}

static void put_opened(struct opening *o)
{
	struct imap *s = o->job.s;
	struct view *v = &s->view;
	struct writer w;

	imap_tell_keywords(s);
	w = imap_writer(s);
	write_count(&w, v->count, "EXISTS");
	write_count(
	    &w, set_count(&v->recent) - set_count_from(&v->recent, v->last_uid + 1), "RECENT");
	if (o->first_unseen != 0 && view_seq(v, o->first_unseen) != 0)
		put_code(s, "UNSEEN", view_seq(v, o->first_unseen), "the first unseen message");
	put_code(s, "UIDVALIDITY", v->uidvalidity, "UIDs are valid");
	put_code(s, "UIDNEXT", v->uidnext, "the next UID");
	put_code(s, "HIGHESTMODSEQ", o->modseq, "the highest modification sequence");
	put_mailbox_id(s);
}

static void opened(struct opening *o)
{
	imap_enter(o->job.s, IMAP_SELECTED);
	imap_done(o->job.s, IMAP_OK, o->readonly ? "READ-ONLY" : "READ-WRITE", "selected");
}

/* ---- QRESYNC -------------------------------------------------------------------------------- */

/*
 * RFC 7162 3.2.5.2: the highest pair that is still true shows that nothing up to it went; what
 * stored would report of that, with its history cut, the client knows.
 */
static uint32_t matched_uid(const struct opening *o)
{
	const struct view *v = &o->job.s->view;
	size_t i = 0, j = 0;
	uint32_t seq = 0, uid = 0, best = 0;

	while (i < o->nums.n && j < o->matched.n) {
		seq = seq < o->nums.r[i].first ? o->nums.r[i].first : seq + 1;
		uid = uid < o->matched.r[j].first ? o->matched.r[j].first : uid + 1;
		if (seq > v->count)
			break; /* a client may count up to four thousand million */
		if (view_uid(v, seq) == uid)
			best = uid;
		i += seq == o->nums.r[i].last;
		j += uid == o->matched.r[j].last;
	}
	return best;
}

static void ask_gone(struct opening *o)
{
	uint32_t from = matched_uid(o) + 1, to = o->job.s->view.uidnext - 1;

	if (o->known.n == 0 && to >= from)
		set_add(&o->known, 1, to);
	set_clip(&o->known, from, to, &o->vanished.known);
	o->stage = GONE;
	if (o->vanished.known.n > 0)
		vanished_ask(o->job.s, &o->vanished, o->known_modseq);
}

static void on_gone(struct opening *o, const struct ipc_gone_are *m)
{
	uint32_t status = vanished_take(&o->vanished, m);

	if (status != IPC_ST_OK)
		open_failed(o, status);
}

static void on_rows(struct opening *o, const struct ipc_mbox_rows *m)
{
	struct imap *s = o->job.s;

	o->waiting = false;
	if (m->status != IPC_ST_OK) {
		open_failed(o, m->status);
		return;
	}
	for (size_t i = 0; i < imap_rows_count(m->rows); i++) {
		struct imap_row r = imap_row_at(m->rows, i, m->sets);
		struct imap_flags f = { r.flags, r.keywords, r.modseq };

		imap_put_fetch_flags(s, r.uid, &f, true, true);
	}
	imap_scan_page(&o->scan, m);
}

static void opening_go(struct imap_job *j)
{
	struct opening *o = (struct opening *)j;

	if (o->stage == GONE && vanished_go(j->s, &o->vanished))
		o->stage = CHANGED;
	if (o->stage != CHANGED || o->waiting || imap_full(j->s))
		return;
	o->scan.uids = &o->known;
	o->scan.since = o->known_modseq;
	if (o->known.n == 0 || o->scan.over) {
		opened(o);
		return;
	}
	o->waiting = imap_scan_ask(j->s, &o->scan) == 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void on_opened(struct opening *o, const struct ipc_mbox_opened *m)
{
	struct imap *s = o->job.s;
	struct view *v = &s->view;
	struct ipc_mbox_uids q = { .seq = ++s->seq, .mbox = m->mbox };

	if (m->status != IPC_ST_OK) {
		open_failed(o, m->status);
		return;
	}
	v->mbox = m->mbox;
	v->id = m->id;
	v->uidvalidity = m->uidvalidity;
	v->uidnext = m->uidnext;
	v->readonly = o->readonly;
	/* RFC 7162 7: a mod-sequence is above zero. */
	v->modseq = v->told_modseq = o->modseq = m->modseq > 0 ? m->modseq : 1;
	v->loading = true;
	o->recent_from = m->recent_from;
	o->recent_to = m->uidnext;
	o->stage = LOADING;
	o->seq = q.seq;
	if (!view_keywords_add(v, &s->box_arena, 0, m->keywords)) {
		open_failed(o, IPC_ST_TRYLATER);
		return;
	}
	imap_send(s, IPC_mbox_uids, &q);
}

static void on_uids(struct opening *o, const struct ipc_mbox_uids_are *m)
{
	struct view *v = &o->job.s->view;

	if (m->status != IPC_ST_OK || !view_load(v, m->uids)) {
		open_failed(o, m->status != IPC_ST_OK ? m->status : IPC_ST_TRYLATER);
		return;
	}
	if (m->more != 0)
		return;
	o->first_unseen = m->first_unseen;
	if (!view_loaded(v, o->recent_from, o->recent_to)) {
		open_failed(o, IPC_ST_TRYLATER);
		return;
	}
	put_opened(o);
	if (o->qresync && o->known_validity == v->uidvalidity)
		ask_gone(o);
	else
		opened(o);
}

static void opening_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct opening *o = (struct opening *)j;

	if (o->stage == OPENING && type == IPC_mbox_opened && m->mbox_opened.seq == o->seq)
		on_opened(o, &m->mbox_opened);
	else if (o->stage == LOADING && type == IPC_mbox_uids_are && m->mbox_uids_are.seq == o->seq)
		on_uids(o, &m->mbox_uids_are);
	else if (o->stage == GONE && type == IPC_gone_are && m->gone_are.seq == o->vanished.seq)
		on_gone(o, &m->gone_are);
	else if (o->stage == CHANGED && type == IPC_mbox_rows && m->mbox_rows.seq == o->scan.seq)
		on_rows(o, &m->mbox_rows);
}

static const struct imap_job_ops opening_ops = {
	.on_msg = opening_msg,
	.go = opening_go,
	.free = opening_free,
};

/* "(" uidvalidity SP modseq [SP known-uids] [SP "(" seqs SP uids ")"] ")" */
static void qresync_params(struct parse *p, struct opening *o)
{
	parse_sp(p);
	parse_char(p, '(');
	o->qresync = true;
	o->known_validity = parse_nz_number(p);
	parse_sp(p);
	o->known_modseq = parse_number64(p);
	if (parse_try(p, ' ') && parse_peek(p) != '(') {
		parse_uid_set(p, &o->known);
		if (parse_peek(p) != ')')
			parse_sp(p);
	}
	if (parse_try(p, '(')) {
		parse_uid_set(p, &o->nums);
		parse_sp(p);
		parse_uid_set(p, &o->matched);
		parse_char(p, ')');
		if (set_count(&o->nums) != set_count(&o->matched))
			parse_fail(p, "not as many numbers as UIDs");
	}
	parse_char(p, ')');
}

static void select_params(struct parse *p, struct opening *o, bool *ret_condstore)
{
	struct imap *s = o->job.s;

	if (!parse_try(p, ' '))
		return;
	parse_char(p, '(');
	do {
		struct slice name = parse_word(p);

		if (slice_ieq(name, SLICE("CONDSTORE")))
			*ret_condstore = true;
		else if (!slice_ieq(name, SLICE("QRESYNC")))
			parse_fail(p, "no such parameter");
		else if (!s->qresync)
			parse_fail(p, "QRESYNC is not enabled");
		else
			qresync_params(p, o);
	} while (parse_try(p, ' '));
	parse_char(p, ')');
}

static void do_select(struct imap *s, struct parse *p, bool readonly)
{
	struct opening *o = calloc(1, sizeof(*o));
	struct ipc_mbox_open m = { .flags = IPC_MBOX_EVENTS | (readonly ? IPC_MBOX_READONLY : 0) };
	bool condstore = false;

	if (o == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	o->readonly = readonly;
	imap_job_begin(s, &o->job, &opening_ops);
	parse_sp(p);
	m.name = parse_mailbox(p);
	select_params(p, o, &condstore);
	if (!parse_end(p) && !p->refused) {
		imap_bad(s, p);
		return;
	}
	/* RFC 3501 6.3.1: whatever comes of it, the mailbox before is no longer selected. */
	if (s->state == IMAP_SELECTED) {
		imap_unselect(s);
		imap_untagged(s, "OK", "CLOSED", "the mailbox before is closed");
	}
	if (p->refused) {
		imap_bad(s, p);
		return;
	}
	if (condstore)
		imap_condstore_on(s);
	m.seq = o->seq = ++s->seq;
	imap_send(s, IPC_mbox_open, &m);
}

void imap_cmd_select(struct imap *s, struct parse *p)
{
	do_select(s, p, false);
}

void imap_cmd_examine(struct imap *s, struct parse *p)
{
	do_select(s, p, true);
}

void imap_condstore_on(struct imap *s)
{
	if (s->state == IMAP_SELECTED && !s->condstore)
		put_code(
		    s, "HIGHESTMODSEQ", s->view.told_modseq, "the highest modification sequence");
	s->condstore = true;
}

/*
 * RFC 2180 3.3. A session that deletes its own mailbox, or renames INBOX away, goes on without one;
 * another's client learns by the end of the connection that its numbers mean nothing any more.
 */
void imap_mailbox_gone(struct imap *s, bool own)
{
	s->view.mbox = 0;
	if (own)
		imap_unselect(s);
	else
		imap_bye(s, "the mailbox was deleted or renamed");
}
