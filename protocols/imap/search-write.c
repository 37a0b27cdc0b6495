/*
 * search-write - the untagged answer, piece by piece as the client reads it, then the tagged one.
 */
#include "protocols/imap/search-job.h"

enum { NUMBERS_AT_ONCE = 1000 };

static uint32_t shown(const struct search_job *j, uint32_t uid)
{
	return j->job.s->uid ? uid : view_seq(&j->job.s->view, uid);
}

static void over(struct search_job *j)
{
	j->written = true;
	j->job.mid_reply = false;
	imap_done(j->job.s, IMAP_OK, NULL, "done");
}

static void put_modseq(struct search_job *j, uint64_t modseq)
{
	write_open(&j->w);
	write_atom(&j->w, "MODSEQ");
	write_number(&j->w, modseq);
	write_close(&j->w);
}

/* ---- SEARCH ---- */

/* Some numbers of the range at write_at; false when all are out. */
static bool put_numbers(struct search_job *j)
{
	unsigned n = 0;

	while (j->write_at < j->hits.n && n < NUMBERS_AT_ONCE) {
		const struct set_range *r = &j->hits.r[j->write_at];
		uint32_t uid = j->write_uid != 0 ? j->write_uid : r->first;

		/* Uids of a range stand side by side in the view. */
		for (; n < NUMBERS_AT_ONCE && uid != 0; n++) {
			write_number(&j->w, shown(j, uid));
			uid = uid == r->last ? 0 : uid + 1;
		}
		j->write_uid = uid;
		if (uid == 0)
			j->write_at++;
	}
	return j->write_at < j->hits.n;
}

static void begin_line(struct search_job *j, const char *word)
{
	if (j->job.mid_reply)
		return;
	j->job.mid_reply = true;
	j->w = imap_writer(j->job.s);
	write_untagged(&j->w);
	write_atom(&j->w, word);
}

static void write_search(struct search_job *j)
{
	begin_line(j, "SEARCH");
	while (put_numbers(j))
		if (imap_full(j->job.s))
			return;
	if (j->keys.modseq && j->hits.n > 0)
		put_modseq(j, j->top_modseq);
	write_end(&j->w);
	over(j);
}

/* ---- ESEARCH ---- */

/* The messages found, as numbers or as uids. */
static void shown_set(const struct search_job *j, struct set *out)
{
	for (size_t i = 0; i < j->hits.n; i++)
		set_add(out, shown(j, j->hits.r[i].first), shown(j, j->hits.r[i].last));
	set_norm(out);
}

/* RFC 4731 3.2 */
static uint64_t esearch_modseq(const struct search_job *j)
{
	unsigned r = j->returns & ~(unsigned)SEARCH_RETURN_SAVE;

	if (r == SEARCH_RETURN_MIN)
		return j->min_modseq;
	if (r == SEARCH_RETURN_MAX)
		return j->max_modseq;
	if (r == (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX))
		return j->min_modseq > j->max_modseq ? j->min_modseq : j->max_modseq;
	return j->top_modseq;
}

static void put_named(struct search_job *j, const char *name, uint64_t n)
{
	write_atom(&j->w, name);
	write_number(&j->w, n);
}

/* RFC 5182 2.4 */
static void save(struct search_job *j)
{
	struct imap *s = j->job.s;
	unsigned r = j->returns & ~(unsigned)SEARCH_RETURN_SAVE;
	bool ends = r != 0 && (r & ~(unsigned)(SEARCH_RETURN_MIN | SEARCH_RETURN_MAX)) == 0;

	set_reset(&s->saved);
	if (!ends)
		for (size_t i = 0; i < j->hits.n; i++)
			set_add(&s->saved, j->hits.r[i].first, j->hits.r[i].last);
	if (ends && j->hits.n > 0 && (r & SEARCH_RETURN_MIN))
		set_add(&s->saved, j->min_uid, j->min_uid);
	if (ends && j->hits.n > 0 && (r & SEARCH_RETURN_MAX))
		set_add(&s->saved, j->max_uid, j->max_uid);
	set_norm(&s->saved);
}

static void esearch_line(struct search_job *j)
{
	struct imap *s = j->job.s;
	struct set all = { 0 };
	bool any = j->hits.n > 0;

	begin_line(j, "ESEARCH");
	write_open(&j->w);
	write_atom(&j->w, "TAG");
	write_string(&j->w, s->tag);
	write_close(&j->w);
	if (s->uid)
		write_atom(&j->w, "UID");
	if (any && (j->returns & SEARCH_RETURN_MIN))
		put_named(j, "MIN", shown(j, j->min_uid));
	if (any && (j->returns & SEARCH_RETURN_MAX))
		put_named(j, "MAX", shown(j, j->max_uid));
	if (any && (j->returns & SEARCH_RETURN_ALL)) {
		shown_set(j, &all);
		write_atom(&j->w, "ALL");
		for (size_t i = 0; i < all.n; i++)
			write_range(&j->w, all.r[i].first, all.r[i].last);
		set_fini(&all);
	}
	if (j->returns & SEARCH_RETURN_COUNT)
		put_named(j, "COUNT", set_count(&j->hits));
	if (any && j->keys.modseq)
		put_named(j, "MODSEQ", esearch_modseq(j));
	write_end(&j->w);
}

static void write_esearch(struct search_job *j)
{
	if (j->returns & SEARCH_RETURN_SAVE)
		save(j);
	if (j->returns != SEARCH_RETURN_SAVE)
		esearch_line(j);
	over(j);
}

/* ---- SORT, THREAD ---- */

static void write_sort(struct search_job *j)
{
	begin_line(j, "SORT");
	while (j->write_at < j->sort.n) {
		for (unsigned n = 0; n < NUMBERS_AT_ONCE && j->write_at < j->sort.n; n++)
			write_number(&j->w, shown(j, sort_rows_uid(&j->sort, j->write_at++)));
		if (imap_full(j->job.s))
			return;
	}
	if (j->keys.modseq && j->sort.n > 0)
		put_modseq(j, j->top_modseq);
	write_end(&j->w);
	over(j);
}

static void write_thread(struct search_job *j)
{
	begin_line(j, "THREAD");
	while (j->write_at < j->sort.thread_text.n) {
		/* Made by the threading, from numbers, blanks and brackets. */
		struct slice piece =
		    slice_part(slice_from(buf_slice(&j->sort.thread_text), j->write_at), 0, 16384);

		if (j->write_at > 0)
			j->w.gap = WRITE_NO_GAP;
		write_made(&j->w, piece);
		j->write_at += piece.n;
		if (imap_full(j->job.s) && j->write_at < j->sort.thread_text.n)
			return;
	}
	write_end(&j->w);
	over(j);
}

void search_write(struct search_job *j)
{
	if (j->want == SEARCH_WANT_SORT)
		write_sort(j);
	else if (j->want == SEARCH_WANT_THREAD)
		write_thread(j);
	else if (j->esearch)
		write_esearch(j);
	else
		write_search(j);
}
