/*
 * sort-facts - the keys of what SORT or THREAD found: facts page by page; of a message that has
 * none they are made from its octets.
 */
#include "protocols/imap/search-job.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { PAGE_FACTS = 1000 };

static uint32_t number(void *arg, uint32_t uid)
{
	struct imap *s = arg;

	return s->uid ? uid : view_seq(&s->view, uid);
}

static void keys_over(struct search_job *j)
{
	bool good = true;

	if (j->want == SEARCH_WANT_SORT)
		sort_rows_sort(&j->sort);
	else
		good = sort_thread(&j->sort, number, j->job.s);
	if (!good || j->sort.failed) {
		search_failed(j, IPC_ST_LIMIT);
		return;
	}
	j->phase = SEARCH_WRITE;
	j->write_at = 0;
	search_write(j);
}

static void ask_page(struct search_job *j)
{
	struct imap *s = j->job.s;
	struct ipc_facts_get q = { .seq = ++s->seq, .mbox = s->view.mbox };
	struct set uids = { 0 };
	size_t at = 0;

	buf_reset(&j->pairs);
	for (size_t i = j->sort.at; i < j->sort.n && i < j->sort.at + PAGE_FACTS; i++)
		set_add(&uids, j->sort.v[i].uid, j->sort.v[i].uid);
	set_pairs(&uids, &at, &j->pairs);
	set_fini(&uids);
	q.uids = buf_slice(&j->pairs);
	j->phase = SEARCH_KEYS;
	j->seq = q.seq;
	(void)imap_send(s, IPC_facts_get, &q);
}

/* Rows without a text are those whose facts did not come. */
static bool ask_missing(struct search_job *j, size_t from)
{
	struct imap *s = j->job.s;
	struct ipc_body_get q = { .mbox = s->view.mbox };

	for (size_t i = from; i < j->sort.n; i++) {
		if (j->sort.v[i].text != SORT_NO_TEXT)
			continue;
		j->sort.at = i;
		q.seq = ++s->seq;
		q.uid = j->sort.v[i].uid;
		j->sort.maker = facts_maker_new();
		j->sort.failed |= j->sort.maker == NULL;
		j->seq = q.seq;
		j->phase = SEARCH_KEYS_BODY;
		(void)imap_send(s, IPC_body_get, &q);
		return true;
	}
	return false;
}

static void keys_go(struct search_job *j)
{
	if (j->sort.at < j->sort.n)
		ask_page(j);
	else if (!ask_missing(j, 0))
		keys_over(j);
}

void search_sort_begin(struct search_job *j)
{
	sort_rows_settle(&j->sort);
	j->sort.at = 0;
	if (j->sort.facts && j->sort.n > 0)
		keys_go(j);
	else
		keys_over(j);
}

void search_sort_facts(struct search_job *j, const struct ipc_facts_are *m)
{
	struct sort_rows *r = &j->sort;
	struct slice rest = m->facts;

	while (rest.n >= 12) {
		uint32_t uid = wire_load_u32(rest.p), n = wire_load_u32(rest.p + 8);
		struct facts_view view;

		while (r->at < r->n && r->v[r->at].uid < uid)
			r->at++;
		if (r->at < r->n && r->v[r->at].uid == uid &&
		    wire_load_u32(rest.p + 4) == IPC_ST_OK &&
		    facts_view(slice_part(rest, 12, n), r->v[r->at].size, &view) == 0)
			sort_rows_facts(r, r->at, &view);
		rest = slice_from(rest, 12 + (size_t)n);
	}
	imap_credit(j->job.s, m->facts.n);
	if (m->status != IPC_ST_OK || r->failed) {
		search_failed(j, r->failed ? IPC_ST_LIMIT : m->status);
		return;
	}
	if (!m->last)
		return;
	j->page_at += PAGE_FACTS;
	r->at = j->page_at;
	keys_go(j);
}

static void made(struct search_job *j, bool good)
{
	struct sort_rows *r = &j->sort;
	struct buf blob = BUF_INIT(2 * FACTS_MAX);
	struct facts_view view;

	/* What cannot be read has no keys, and sorts as such. */
	r->v[r->at].text = SORT_UNREADABLE;
	if (good && facts_maker_finish(r->maker, &blob) == 0 &&
	    facts_view(buf_slice(&blob), r->v[r->at].size, &view) == 0)
		sort_rows_facts(r, r->at, &view);
	buf_fini(&blob);
	facts_maker_free(&r->maker);
}

void search_sort_body(struct search_job *j, const struct ipc_body_data *m)
{
	struct sort_rows *r = &j->sort;

	if (m->seq != j->seq)
		return;
	if (r->maker != NULL)
		facts_maker_feed(r->maker, m->data);
	imap_credit(j->job.s, m->data.n);
	if (!m->last)
		return;
	if (r->failed || m->status == IPC_ST_TRYLATER) {
		search_failed(j, r->failed ? IPC_ST_LIMIT : m->status);
		return;
	}
	made(j, m->status == IPC_ST_OK && r->maker != NULL);
	if (!ask_missing(j, r->at + 1))
		keys_over(j);
}
