#include "protocols/imap/search-job.h"

#include "common/base/wire.h"

#include <stdlib.h>

/* Candidates of a page may each keep a list of ranges. */
enum { PAGE_ROWS = 500 };

void search_found(struct search_job *j, const struct search_msg *m)
{
	if (j->want != SEARCH_WANT_SEARCH)
		sort_rows_add(&j->sort, m);
	else
		set_add(&j->hits, m->uid, m->uid);
	if (j->min_uid == 0 || m->uid < j->min_uid) {
		j->min_uid = m->uid;
		j->min_modseq = m->modseq;
	}
	if (m->uid > j->max_uid) {
		j->max_uid = m->uid;
		j->max_modseq = m->modseq;
	}
	if (m->modseq > j->top_modseq)
		j->top_modseq = m->modseq;
}

void search_failed(struct search_job *j, uint32_t status)
{
	/* RFC 5182 2.1: NO with SAVE empties the saved result. */
	if (j->returns & SEARCH_RETURN_SAVE)
		set_reset(&j->job.s->saved);
	imap_store_failed(j->job.s, status);
}

/* ---- rows ---- */

static void ask_rows(struct search_job *j)
{
	struct imap *s = j->job.s;
	struct ipc_mbox_scan q = { .seq = ++s->seq,
		.mbox = s->view.mbox,
		.from_uid = j->next_uid,
		.limit = PAGE_ROWS,
		.since = j->since,
		.mask = j->mask,
		.want = j->value,
		.uids = buf_slice(&j->pairs) };

	j->phase = SEARCH_ROWS;
	j->seq = q.seq;
	(void)imap_send(s, IPC_mbox_scan, &q);
}

/* The next part of the uids that are looked at: false when there is none. */
static bool next_chunk(struct search_job *j)
{
	if (j->uids == NULL || j->uids_at >= j->uids->n)
		return false;
	buf_reset(&j->pairs);
	set_pairs(j->uids, &j->uids_at, &j->pairs);
	j->next_uid = 1;
	return j->pairs.n > 0;
}

static void search_over(struct search_job *j)
{
	set_norm(&j->hits);
	if (j->hits.failed || j->sort.failed) {
		search_failed(j, IPC_ST_LIMIT);
		return;
	}
	if (j->want != SEARCH_WANT_SEARCH) {
		search_sort_begin(j);
		return;
	}
	j->phase = SEARCH_WRITE;
	search_write(j);
}

void search_next_page(struct search_job *j)
{
	search_todo_clear(j);
	if (j->rows_more || next_chunk(j))
		ask_rows(j);
	else
		search_over(j);
}

static void row_take(struct search_job *j, const uint8_t *row)
{
	struct view *v = &j->job.s->view;
	struct search_msg m = { .uid = wire_load_u32(row),
		.flags = wire_load_u32(row + 4),
		.keywords = keyset_of(wire_load_u64(row + 8), buf_slice(&j->sets)),
		.size = wire_load_u64(row + 16),
		.date = (int64_t)wire_load_u64(row + 24),
		.saved = (int64_t)wire_load_u64(row + 32),
		.modseq = wire_load_u64(row + 40),
		.id = wire_load_u64(row + 48),
		.thread = wire_load_u64(row + 56) };

	if (m.uid == 0 || view_seq(v, m.uid) == 0)
		return; /* not told of yet */
	m.recent = view_is_recent(v, m.uid);
	switch (search_eval(&j->keys, &m)) {
	case SEARCH_YES:
		search_found(j, &m);
		break;
	case SEARCH_MAYBE:
		j->todo[j->n_todo++] = (struct search_todo){ .msg = m };
		break;
	default:
		break;
	}
}

/* Only the header is in question, and where it ends is known. */
static bool wants_header(const struct search_todo *t)
{
	return t->body && !t->text && !t->whole;
}

/* Facts of all of the page, or the headers that are wanted; false: none is. */
static bool ask_facts(struct search_job *j, enum search_phase phase)
{
	struct imap *s = j->job.s;
	struct set uids = { 0 };
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	bool headers = phase == SEARCH_HEADERS, any;
	struct ipc_facts_get q = { .mbox = s->view.mbox,
		.what = headers ? IPC_FACTS_HEADER : IPC_FACTS_ALL };
	size_t at = 0;

	for (size_t i = 0; i < j->n_todo; i++)
		if (!headers || wants_header(&j->todo[i]))
			set_add(&uids, j->todo[i].msg.uid, j->todo[i].msg.uid);
	any = uids.n > 0;
	set_pairs(&uids, &at, &pairs);
	q.uids = buf_slice(&pairs);
	if (any) {
		j->phase = phase;
		j->seq = q.seq = ++s->seq;
		j->todo_at = 0;
		(void)imap_send(s, IPC_facts_get, &q);
	}
	buf_fini(&pairs);
	set_fini(&uids);
	return any;
}

static void on_rows(struct search_job *j, const struct ipc_mbox_rows *m)
{
	size_t n = m->rows.n / IPC_ROW_BYTES;

	if (m->status != IPC_ST_OK) {
		search_failed(j, m->status);
		return;
	}
	j->rows_more = m->more != 0;
	j->next_uid = m->next_uid;
	buf_reset(&j->sets);
	buf_put(&j->sets, m->sets);
	for (size_t i = 0; i < n && j->n_todo < PAGE_ROWS; i++)
		row_take(j, m->rows.p + i * IPC_ROW_BYTES);
	if (j->n_todo == 0 || !ask_facts(j, SEARCH_FACTS))
		search_next_page(j);
}

/* ---- facts ---- */

/* Facts did not decide: the header or the text must be read. */
static void want_body(struct search_job *j, struct search_todo *t)
{
	bool header, text;

	search_needs(&j->keys, &t->msg, &header, &text);
	t->body = true;
	t->text = text;
	t->whole = t->msg.facts == NULL ||
		   !search_ranges_make(t->msg.facts, t->msg.size, header, text, &t->ranges);
	t->msg.facts = NULL;
	t->msg.facts_lost = true;
}

static void facts_take(
    struct search_job *j, struct search_todo *t, uint32_t status, struct slice blob)
{
	struct facts_view view;
	enum search_answer a = SEARCH_MAYBE;

	if (status == IPC_ST_OK && facts_view(blob, t->msg.size, &view) == 0)
		t->msg.facts = &view;
	else
		t->msg.facts_lost = true;
	if (t->msg.facts != NULL)
		a = search_eval(&j->keys, &t->msg);
	if (a == SEARCH_YES)
		search_found(j, &t->msg);
	else if (a == SEARCH_MAYBE)
		want_body(j, t);
	t->msg.facts = NULL;
}

/* What is kept of its header; else it is read. */
static void header_take(
    struct search_job *j, struct search_todo *t, uint32_t status, struct slice kept)
{
	struct slice header;

	if (wants_header(t) && status == IPC_ST_OK && facts_header(kept, t->msg.size, &header) == 0)
		search_header_take(j, t, header);
}

static void on_facts(struct search_job *j, const struct ipc_facts_are *m)
{
	bool headers = j->phase == SEARCH_HEADERS;
	struct slice rest = m->facts;

	while (rest.n >= 12) {
		uint32_t uid = wire_load_u32(rest.p), status = wire_load_u32(rest.p + 4);
		uint32_t n = wire_load_u32(rest.p + 8);

		while (j->todo_at < j->n_todo && j->todo[j->todo_at].msg.uid < uid)
			j->todo_at++; /* gone meanwhile */
		if (j->todo_at < j->n_todo && j->todo[j->todo_at].msg.uid == uid)
			(headers ? header_take : facts_take)(
			    j, &j->todo[j->todo_at++], status, slice_part(rest, 12, n));
		rest = slice_from(rest, 12 + (size_t)n);
	}
	imap_credit(j->job.s, m->facts.n);
	if (m->status != IPC_ST_OK) {
		search_failed(j, m->status);
		return;
	}
	if (!m->last || (!headers && ask_facts(j, SEARCH_HEADERS)))
		return;
	j->phase = SEARCH_BODIES;
	j->todo_at = j->ask_at = 0;
	search_bodies_go(j);
}

/* ---- the job ---- */

static void on_msg(struct imap_job *job, enum ipc_type type, const union ipc_any *m)
{
	struct search_job *j = (struct search_job *)job;

	if (type == IPC_mbox_rows && j->phase == SEARCH_ROWS && m->mbox_rows.seq == j->seq)
		on_rows(j, &m->mbox_rows);
	else if (type == IPC_facts_are &&
		 (j->phase == SEARCH_FACTS || j->phase == SEARCH_HEADERS) &&
		 m->facts_are.seq == j->seq)
		on_facts(j, &m->facts_are);
	else if (type == IPC_facts_are && j->phase == SEARCH_KEYS && m->facts_are.seq == j->seq)
		search_sort_facts(j, &m->facts_are);
	else if (type == IPC_body_data && j->phase == SEARCH_BODIES)
		search_bodies_msg(j, &m->body_data);
	else if (type == IPC_body_data && j->phase == SEARCH_KEYS_BODY)
		search_sort_body(j, &m->body_data);
}

static void on_go(struct imap_job *job)
{
	struct search_job *j = (struct search_job *)job;

	if (j->phase == SEARCH_WRITE && !j->written)
		search_write(j);
}

static void on_free(struct imap_job *job)
{
	struct search_job *j = (struct search_job *)job;

	search_todo_clear(j);
	mime_free(&j->mime);
	free(j->todo);
	search_keys_fini(&j->keys);
	search_text_fini(&j->text);
	sort_rows_fini(&j->sort);
	set_fini(&j->hits);
	set_fini(&j->chunk);
	buf_fini(&j->pairs);
	buf_fini(&j->sets);
	free(j);
}

static const struct imap_job_ops ops = { .on_msg = on_msg, .go = on_go, .free = on_free };

struct search_job *search_job_new(
    struct imap *s, enum search_want want, struct search_keys *take_keys)
{
	struct search_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		search_keys_fini(take_keys);
		imap_done(s, IMAP_NO, "LIMIT", "not enough memory");
		return NULL;
	}
	j->want = want;
	j->keys = *take_keys;
	j->next_uid = 1;
	buf_init(&j->pairs, IMAP_PAIRS_MAX * 8);
	buf_init(&j->sets, IMAP_SETS_MAX);
	sort_rows_init(&j->sort);
	j->todo = calloc(PAGE_ROWS, sizeof(*j->todo));
	if (j->todo == NULL || !search_text_init(&j->text, &j->keys)) {
		on_free(&j->job);
		imap_done(s, IMAP_NO, "LIMIT", "not enough memory");
		return NULL;
	}
	return j;
}

void search_job_begin(struct imap *s, struct search_job *j)
{
	imap_job_begin(s, &j->job, &ops);
	search_keys_narrow(&j->keys, &j->mask, &j->value, &j->since, &j->uids);
	j->rows_more = j->uids == NULL;
	search_next_page(j);
}
