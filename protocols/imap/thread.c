/*
 * thread - the algorithms of RFC 5256 3 and the writing of their trees.
 *
 * Nodes are numbers, and nothing recurses: a thread may be as deep as there are messages.
 */
#include "protocols/imap/thread.h"

#include "common/base/wire.h"

#include <stdlib.h>

/* ---- trees ---- */

bool thread_init(struct thread *t, struct sort_rows *rows)
{
	*t = (struct thread){ .rows = rows };
	return thread_node(t, SLICE_NONE) == THREAD_ROOT;
}

void thread_fini(struct thread *t)
{
	free(t->v);
	free(t->table);
}

uint32_t thread_node(struct thread *t, struct slice id)
{
	if (t->n == t->cap) {
		size_t cap = t->cap == 0 ? 256 : t->cap * 2;
		struct thread_node *v = reallocarray(t->v, cap, sizeof(*v));

		if (v == NULL || cap >= UINT32_MAX / 2) {
			t->failed = true;
			return THREAD_ROOT;
		}
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n] = (struct thread_node){ .row = THREAD_NO_ROW, .id = id };
	return (uint32_t)t->n++;
}

void thread_unlink(struct thread *t, uint32_t n)
{
	struct thread_node *x = &t->v[n];

	if (!x->linked)
		return;
	if (x->prev != 0)
		t->v[x->prev].next = x->next;
	else
		t->v[x->parent].first = x->next;
	if (x->next != 0)
		t->v[x->next].prev = x->prev;
	else
		t->v[x->parent].last = x->prev;
	x->parent = x->prev = x->next = 0;
	x->linked = false;
}

void thread_link(struct thread *t, uint32_t parent, uint32_t n)
{
	struct thread_node *p, *x = &t->v[n];

	thread_unlink(t, n);
	p = &t->v[parent];
	x->parent = parent;
	x->prev = p->last;
	if (p->last != 0)
		t->v[p->last].next = n;
	else
		p->first = n;
	p->last = n;
	x->linked = true;
}

/* The message that stands for a node: its own, or of a dummy the first child's. */
static const struct sort_row *row_of(const struct thread *t, uint32_t n)
{
	while (t->v[n].row == THREAD_NO_ROW && t->v[n].first != 0)
		n = t->v[n].first;
	return t->v[n].row == THREAD_NO_ROW ? NULL : &t->rows->v[t->v[n].row];
}

/* ---- siblings in order of date ---- */

static int compare_nodes(const void *x, const void *y, void *arg)
{
	const struct thread *t = arg;
	const struct sort_row *a = row_of(t, *(const uint32_t *)x);
	const struct sort_row *b = row_of(t, *(const uint32_t *)y);

	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	if (a->date != b->date)
		return a->date < b->date ? -1 : 1;
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

void thread_sort(struct thread *t, uint32_t parent)
{
	size_t n = 0, i = 0;
	uint32_t *list;

	for (uint32_t c = t->v[parent].first; c != 0; c = t->v[c].next)
		n++;
	if (n < 2)
		return;
	list = calloc(n, sizeof(*list));
	if (list == NULL) {
		t->failed = true;
		return;
	}
	for (uint32_t c = t->v[parent].first; c != 0; c = t->v[c].next)
		list[i++] = c;
	qsort_r(list, n, sizeof(*list), compare_nodes, t);
	for (i = 0; i < n; i++)
		thread_link(t, parent, list[i]);
	free(list);
}

/* The node behind `n` in order, children before their parent; 0: it was the last. */
static uint32_t deepest(const struct thread *t, uint32_t n)
{
	while (t->v[n].first != 0)
		n = t->v[n].first;
	return n;
}

uint32_t thread_first(const struct thread *t)
{
	return deepest(t, THREAD_ROOT);
}

uint32_t thread_after(const struct thread *t, uint32_t n)
{
	return t->v[n].next != 0 ? deepest(t, t->v[n].next) : t->v[n].parent;
}

/* ---- ORDEREDSUBJECT ---- */

static int compare_subjects(const void *x, const void *y, void *arg)
{
	const struct sort_rows *r = arg;
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	int c = slice_cmp(
	    sort_row_text(r, a, SORT_TEXT_SUBJECT), sort_row_text(r, b, SORT_TEXT_SUBJECT));

	if (c != 0)
		return c;
	if (r->v[a].date != r->v[b].date)
		return r->v[a].date < r->v[b].date ? -1 : 1;
	return r->v[a].uid < r->v[b].uid ? -1 : r->v[a].uid > r->v[b].uid;
}

static void thread_subjects(struct thread *t)
{
	struct sort_rows *r = t->rows;
	uint32_t *order = calloc(r->n + 1, sizeof(*order)), top = THREAD_ROOT;

	if (order == NULL) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, r->n, sizeof(*order), compare_subjects, r);
	for (size_t i = 0; i < r->n && !t->failed; i++) {
		uint32_t n = thread_node(t, SLICE_NONE);
		bool same = i > 0 && slice_eq(sort_row_text(r, order[i], SORT_TEXT_SUBJECT),
					 sort_row_text(r, order[i - 1], SORT_TEXT_SUBJECT));

		t->v[n].row = order[i];
		if (!same)
			top = n;
		if (!t->failed)
			thread_link(t, same ? top : THREAD_ROOT, n);
	}
	free(order);
	thread_sort(t, THREAD_ROOT);
}

/* ---- writing ---- */

struct output {
	struct thread *t;
	struct buf *out;
	uint32_t (*number)(void *arg, uint32_t uid);
	void *arg;
};

static bool only_child(const struct thread *t, uint32_t n)
{
	return t->v[n].prev == 0 && t->v[n].next == 0;
}

/* A node in brackets: top level, or one of several siblings. */
static bool bracketed(const struct thread *t, uint32_t n)
{
	return t->v[n].parent == THREAD_ROOT || !only_child(t, n);
}

static void node_begin(const struct output *o, uint32_t n)
{
	const struct thread_node *x = &o->t->v[n];
	uint8_t last = o->out->n > 0 ? o->out->p[o->out->n - 1] : '(';

	/* "(1 (2)(3))": a blank before the first bracket behind a number. */
	if (last != '(' && last != ')')
		buf_putc(o->out, ' ');
	if (bracketed(o->t, n))
		buf_putc(o->out, '(');
	if (x->row != THREAD_NO_ROW)
		buf_putu(o->out, o->number(o->arg, o->t->rows->v[x->row].uid));
}

static void write_tree(const struct output *o)
{
	const struct thread *t = o->t;
	uint32_t n = t->v[THREAD_ROOT].first;

	while (n != 0) {
		node_begin(o, n);
		if (t->v[n].first != 0) {
			n = t->v[n].first;
			continue;
		}
		for (;;) {
			if (bracketed(t, n))
				buf_putc(o->out, ')');
			if (t->v[n].next != 0) {
				n = t->v[n].next;
				break;
			}
			n = t->v[n].parent;
			if (n == THREAD_ROOT)
				return;
		}
	}
}

bool sort_thread(struct sort_rows *r, uint32_t (*number)(void *arg, uint32_t uid), void *arg)
{
	struct thread t;
	bool good = thread_init(&t, r);

	if (good && r->how == SORT_THREAD_SUBJECT)
		thread_subjects(&t);
	else if (good)
		thread_references(&t);
	good = good && !t.failed;
	if (good)
		write_tree(&(struct output){ &t, &r->thread_text, number, arg });
	thread_fini(&t);
	return good && !r->thread_text.overflow;
}
