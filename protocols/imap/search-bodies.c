/*
 * search-bodies - headers and texts of the candidates of a page, asked for ahead, looked through as
 * they come.
 */
#include "protocols/imap/search-job.h"

#include <stdlib.h>

void search_todo_clear(struct search_job *j)
{
	for (size_t i = 0; i < j->n_todo; i++)
		free(j->todo[i].ranges.v);
	j->n_todo = j->todo_at = j->ask_at = 0;
	j->text_begun = false;
}

static void ask(struct search_job *j, struct search_todo *t, uint64_t off, uint64_t len)
{
	struct imap *s = j->job.s;
	struct ipc_body_get q = { ++s->seq, s->view.mbox, t->msg.uid, off, len };
	unsigned slot = (j->ask_head + j->n_asks++) % IMAP_SEARCH_ASKS_MAX;

	j->asks[slot] = (struct search_ask){ q.seq, (size_t)(t - j->todo), off };
	t->asked++;
	(void)imap_send(s, IPC_body_get, &q);
}

/* The next piece of a message: ranges that are near each other are asked for together. */
static void ask_piece(struct search_job *j, struct search_todo *t)
{
	const struct search_range *v = t->ranges.v;
	size_t i = t->next, first = i;

	if (t->whole) {
		t->all_asked = true;
		if (t->msg.size > 0)
			ask(j, t, 0, 0);
		return;
	}
	while (i + 1 < t->ranges.n && v[i + 1].start <= v[i].end + IMAP_SEARCH_GAP_MAX)
		i++;
	t->next = i + 1;
	t->all_asked = t->next >= t->ranges.n;
	if (first < t->ranges.n)
		ask(j, t, v[first].start, v[i].end - v[first].start);
}

static void ask_ahead(struct search_job *j)
{
	while (j->n_asks < IMAP_SEARCH_ASKS_MAX && j->ask_at < j->n_todo) {
		struct search_todo *t = &j->todo[j->ask_at];

		if (t->body && !t->all_asked)
			ask_piece(j, t);
		if (t->body && t->whole)
			return; /* its ranges are asked for before the next message */
		if (!t->body || t->all_asked)
			j->ask_at++;
	}
}

static void text_begin(struct search_job *j, struct search_todo *t)
{
	if (!j->text_begun)
		search_text_begin(&j->text, &t->msg, &t->ranges);
	j->text_begun = true;
}

/* Everything of the message came. */
static void text_over(struct search_job *j, struct search_todo *t)
{
	text_begin(j, t);
	search_text_end(&j->text);
	if (search_eval(&j->keys, &t->msg) == SEARCH_YES)
		search_found(j, &t->msg);
	j->text_begun = false;
	t->body = false;
}

void search_header_take(struct search_job *j, struct search_todo *t, struct slice header)
{
	text_begin(j, t);
	search_text_feed(&j->text, 0, header);
	text_over(j, t);
}

/* The message was read to find its parts: now what is in them. */
static void whole_over(struct search_job *j, struct search_todo *t)
{
	bool good = j->mime != NULL;

	if (!good && t->lost) {
		t->whole = false; /* and has no ranges: no text */
		return;
	}
	if (good) {
		mime_finish(j->mime);
		good = search_ranges_parsed(j->mime, t->text, &t->ranges);
	}
	mime_free(&j->mime);
	if (!good) {
		search_failed(j, IPC_ST_TRYLATER);
		return;
	}
	t->whole = t->all_asked = false;
	t->asked = t->answered = 0;
}

static void body_take(struct search_job *j, struct search_todo *t, uint64_t off, struct slice bytes)
{
	if (!t->whole) {
		text_begin(j, t);
		search_text_feed(&j->text, off, bytes);
		return;
	}
	if (j->mime == NULL)
		j->mime = mime_new(NULL);
	if (j->mime != NULL)
		mime_feed(j->mime, bytes);
}

void search_bodies_go(struct search_job *j)
{
	ask_ahead(j);
	while (!j->job.s->done && j->todo_at < j->n_todo) {
		struct search_todo *t = &j->todo[j->todo_at];

		if (!t->body)
			j->todo_at++;
		else if (!t->all_asked || t->answered != t->asked)
			return;
		else if (t->whole && t->msg.size > 0)
			whole_over(j, t);
		else
			text_over(j, t);
		ask_ahead(j);
	}
	if (!j->job.s->done)
		search_next_page(j);
}

void search_bodies_msg(struct search_job *j, const struct ipc_body_data *m)
{
	struct search_ask *a = &j->asks[j->ask_head];
	struct search_todo *t;

	if (j->n_asks == 0 || a->seq != m->seq)
		return;
	t = &j->todo[a->todo];
	t->lost |= m->status != IPC_ST_OK;
	if (m->status == IPC_ST_OK)
		body_take(j, t, a->off, m->data);
	a->off += m->data.n;
	imap_credit(j->job.s, m->data.n);
	if (m->status == IPC_ST_TRYLATER) {
		search_failed(j, m->status);
		return;
	}
	if (!m->last)
		return;
	/* A damaged body has no text; the others are searched all the same. */
	t->answered++;
	j->ask_head = (j->ask_head + 1) % IMAP_SEARCH_ASKS_MAX;
	j->n_asks--;
	search_bodies_go(j);
}
