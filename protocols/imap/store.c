/*
 * store - STORE with .SILENT, UID, and UNCHANGEDSINCE (RFC 7162 3.1.3).
 *
 * The responses are read back after the change and tell every message named, changed or not; the
 * session's own events are dropped.
 */
#include "protocols/imap/imap-private.h"

#include "protocols/imap/scan.h"

#include <stdlib.h>

struct store {
	struct imap_job job;
	uint32_t op, flags;
	struct keyset keywords; /* its list is in the arena of the command */
	uint64_t unchanged_since;
	bool silent, conditional, waiting, telling;
	struct set uids, left; /* left: changed by others since */
	size_t at;
	uint32_t seq;
	uint32_t status;
	struct imap_scan scan;
};

static void store_free(struct imap_job *j)
{
	struct store *t = (struct store *)j;

	set_fini(&t->uids);
	set_fini(&t->left);
	free(t);
}

/* MODIFIED is in numbers or uids, as the command was. */
static void put_modified(struct store *t, struct writer *w)
{
	struct imap *s = t->job.s;
	struct set out = { 0 };

	for (size_t i = 0; i < t->left.n && !s->uid; i++)
		for (uint32_t uid = t->left.r[i].first; uid <= t->left.r[i].last; uid++) {
			uint32_t seq = view_seq(&s->view, uid);

			if (seq != 0)
				set_add(&out, seq, seq);
		}
	/* Those that are gone have no number to be named by. */
	if (s->uid || out.n > 0) {
		write_code(w, "MODIFIED");
		write_ranges(w, s->uid ? &t->left : &out);
		write_code_end(w);
	}
	set_fini(&out);
}

/* RFC 2180 4.2: of messages that are gone the client learns unless it wanted silence. */
static bool some_gone(const struct store *t)
{
	const struct view *v = &t->job.s->view;

	for (size_t i = 0; i < t->uids.n; i++) {
		struct set gone = { 0 };
		bool any;

		set_clip(&v->gone, t->uids.r[i].first, t->uids.r[i].last, &gone);
		any = gone.n > 0;
		set_fini(&gone);
		if (any)
			return true;
	}
	return false;
}

static void answer(struct store *t)
{
	struct imap *s = t->job.s;
	bool gone = !t->silent && some_gone(t);
	struct writer w;

	if (t->status != IPC_ST_OK) {
		imap_store_failed(s, t->status);
		return;
	}
	w = imap_reply_begin(s, gone ? IMAP_NO : IMAP_OK);
	if (t->left.n > 0) {
		put_modified(t, &w);
	} else if (gone) {
		write_code(&w, "EXPUNGEISSUED");
		write_code_end(&w);
	}
	write_text(&w, slice_str(gone            ? "some of the messages are expunged"
				 : t->left.n > 0 ? "some messages were changed meanwhile"
						 : "stored"));
	imap_reply_end(s, &w);
}

/* ---- reading back --------------------------------------------------------------------------- */

static void tell_begin(struct store *t)
{
	set_norm(&t->left);
	set_subtract(&t->uids, &t->left);
	t->telling = true;
	t->scan = (struct imap_scan){ .uids = &t->uids, .over = t->uids.n == 0 };
	if (t->status != IPC_ST_OK || (t->silent && !t->job.s->condstore))
		t->scan.over = true;
}

static void on_rows(struct store *t, const struct ipc_mbox_rows *m)
{
	struct imap *s = t->job.s;

	t->waiting = false;
	if (m->status != IPC_ST_OK) {
		t->status = m->status;
		t->scan.over = true;
		return;
	}
	if (s->view.keywords_new)
		imap_tell_keywords(s); /* before the first flag that is not in FLAGS */
	for (size_t i = 0; i < imap_rows_count(m->rows); i++) {
		struct imap_row r = imap_row_at(m->rows, i, m->sets);
		struct imap_flags f = { r.flags, r.keywords, r.modseq };

		if (!view_is_gone(&s->view, r.uid))
			imap_put_fetch_flags(s, r.uid, &f, s->uid, !t->silent);
	}
	imap_scan_page(&t->scan, m);
}

/* ---- changing ------------------------------------------------------------------------------- */

static void change_some(struct store *t)
{
	struct imap *s = t->job.s;
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	struct ipc_flags_store m = { .seq = ++s->seq,
		.mbox = s->view.mbox,
		.op = t->op,
		.flags = t->flags,
		.keywords = t->keywords.bits,
		.more = t->keywords.more,
		.unchanged_since = t->conditional ? t->unchanged_since : UINT64_MAX };

	set_pairs(&t->uids, &t->at, &pairs);
	m.uids = buf_slice(&pairs);
	t->seq = s->view.own_seq = m.seq;
	t->waiting = imap_send(s, IPC_flags_store, &m) == 0;
	buf_fini(&pairs);
}

static void on_done(struct store *t, const struct ipc_store_done *m)
{
	t->waiting = m->more != 0; /* what was left may need several messages */
	if (!t->waiting)
		view_forget_own(&t->job.s->view, t->seq);
	t->status = m->status;
	if (m->status == IPC_ST_OK && !set_add_pairs(&t->left, m->uids))
		t->status = IPC_ST_TRYLATER;
}

static void store_go(struct imap_job *j)
{
	struct store *t = (struct store *)j;

	if (t->waiting || imap_full(j->s))
		return;
	if (!t->telling && t->at < t->uids.n && t->status == IPC_ST_OK) {
		change_some(t);
		return;
	}
	if (!t->telling)
		tell_begin(t);
	if (t->scan.over)
		answer(t);
	else
		t->waiting = imap_scan_ask(j->s, &t->scan) == 0;
}

static void set_take(struct store *t, struct keyset set)
{
	t->keywords = (struct keyset){ set.bits, arena_copy(&t->job.s->arena, set.more) };
	if (t->keywords.more.n != set.more.n)
		t->status = IPC_ST_TRYLATER;
}

static void on_keywords(struct store *t, const struct ipc_keyword_made *m)
{
	t->waiting = false;
	if (m->status == IPC_ST_LIMIT)
		imap_done(t->job.s, IMAP_NO, "LIMIT", "the mailbox has no room for new keywords");
	else if (m->status != IPC_ST_OK)
		imap_store_failed(t->job.s, m->status);
	else
		set_take(t, (struct keyset){ m->bits, m->more });
}

static void store_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct store *t = (struct store *)j;

	if (type == IPC_store_done && m->store_done.seq == t->seq)
		on_done(t, &m->store_done);
	else if (type == IPC_keyword_made && m->keyword_made.seq == t->seq)
		on_keywords(t, &m->keyword_made);
	else if (type == IPC_mbox_rows && m->mbox_rows.seq == t->scan.seq)
		on_rows(t, &m->mbox_rows);
}

static const struct imap_job_ops store_ops = {
	.on_msg = store_msg,
	.go = store_go,
	.free = store_free,
};

/* ---- the command ---------------------------------------------------------------------------- */

/* Numbers of the names that are known; whether all are. */
static bool keywords_known(struct store *t, struct slice names)
{
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];
	struct keyset_map map = { 0 };
	bool all = true;

	while (names.n > 0) {
		int number = view_keyword(&t->job.s->view, slice_take(&names, ' '));

		if (number >= 0)
			keyset_map_set(&map, (unsigned)number);
		else
			all = false;
	}
	set_take(t, keyset_map_pack(&map, room));
	return all;
}

static void begin(struct store *t, const struct parse_flags *f)
{
	struct imap *s = t->job.s;
	struct ipc_keyword_make m = { .mbox = s->view.mbox, .names = f->keywords };

	t->flags = f->flags;
	/* A keyword that no message has need not be made to be taken away. */
	if (keywords_known(t, f->keywords) || t->op == IPC_FLAGS_REMOVE || t->uids.n == 0)
		return;
	m.seq = t->seq = ++s->seq;
	t->waiting = imap_send(s, IPC_keyword_make, &m) == 0;
}

static void modifiers(struct parse *p, struct store *t)
{
	parse_sp(p);
	if (!parse_try(p, '('))
		return;
	if (!parse_try_word(p, "UNCHANGEDSINCE"))
		parse_fail(p, "no such modifier");
	parse_sp(p);
	t->unchanged_since = parse_number64(p);
	t->conditional = true;
	parse_char(p, ')');
	parse_sp(p);
}

static void item(struct parse *p, struct store *t)
{
	t->op = parse_try(p, '+') ? IPC_FLAGS_ADD
				  : (parse_try(p, '-') ? IPC_FLAGS_REMOVE : IPC_FLAGS_SET);
	if (parse_try_word(p, "FLAGS.SILENT"))
		t->silent = true;
	else if (!parse_try_word(p, "FLAGS"))
		parse_fail(p, "FLAGS is missing");
	parse_sp(p);
}

void imap_cmd_store(struct imap *s, struct parse *p)
{
	struct store *t = calloc(1, sizeof(*t));
	struct set set = { 0 };
	struct parse_flags flags;
	bool saved;

	if (t == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	imap_job_begin(s, &t->job, &store_ops);
	parse_sp(p);
	parse_set(p, &set, &saved);
	modifiers(p, t);
	item(p, t);
	parse_flag_list(p, true, &flags);
	if (!parse_end(p))
		imap_bad(s, p);
	else if (s->view.readonly)
		imap_done(s, IMAP_NO, "READ-ONLY", "the mailbox is open for reading only");
	else if (imap_resolve(s, &set, saved, &t->uids) == 0) {
		if (t->conditional)
			imap_condstore_on(s);
		begin(t, &flags);
	}
	set_fini(&set);
}
