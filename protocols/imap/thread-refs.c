/*
 * thread-refs - THREAD=REFERENCES: the steps of RFC 5256 3, by their numbers.
 */
#include "protocols/imap/thread.h"

#include "common/base/wire.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

/*
 * Ancestors looked at for a loop. References name at most 64 ids, but chains join; what is deeper
 * than this is not linked, so that the work stays bounded whatever messages say.
 */
enum { DEPTH_MAX = 4096 };

static uint64_t table_key(struct slice s)
{
	static uint64_t seed;

	/* Senders choose ids: they must not choose our collisions. */
	if (seed == 0 && getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = 0x9e3779b97f4a7c15u;
	return XXH3_64bits_withSeed(s.p, s.n, seed);
}

static bool table_new(struct thread *t, size_t items)
{
	size_t cap = 64;

	while (cap < 2 * items)
		cap *= 2;
	free(t->table);
	t->table = calloc(cap, sizeof(*t->table));
	t->table_cap = cap;
	t->failed |= t->table == NULL;
	return t->table != NULL;
}

/* The place of the text: of a node that has it, or free (0). */
static uint32_t *table_at(
    struct thread *t, struct slice text, struct slice (*text_of)(const struct thread *, uint32_t))
{
	size_t i = table_key(text) & (t->table_cap - 1);

	while (t->table[i] != 0 && !slice_eq(text_of(t, t->table[i]), text))
		i = (i + 1) & (t->table_cap - 1);
	return &t->table[i];
}

static struct slice id_of(const struct thread *t, uint32_t n)
{
	return t->v[n].id;
}

/* ---- (1) ---- */

static bool is_above(const struct thread *t, uint32_t above, uint32_t n)
{
	for (unsigned depth = 0; n != THREAD_ROOT; depth++) {
		if (n == above || depth == DEPTH_MAX)
			return true;
		n = t->v[n].parent;
	}
	return false;
}

static uint32_t node_of_id(struct thread *t, struct slice id)
{
	uint32_t *at = table_at(t, id, id_of);

	if (*at == 0)
		*at = thread_node(t, id);
	return *at;
}

/* (1) (A): the references are a chain; (B): this message is below the last of them. */
static void link_message(struct thread *t, uint32_t n, struct slice refs)
{
	uint32_t above = THREAD_ROOT;

	while (refs.n >= 4 && !t->failed) {
		struct slice id = slice_part(refs, 4, wire_load_u32(refs.p));
		uint32_t ref = node_of_id(t, id);

		refs = slice_from(refs, 4 + id.n);
		if (t->failed)
			return;
		if (above != THREAD_ROOT && !t->v[ref].linked && !is_above(t, ref, above))
			thread_link(t, above, ref);
		above = ref;
	}
	thread_unlink(t, n);
	if (above != THREAD_ROOT && !is_above(t, n, above))
		thread_link(t, above, n);
}

static size_t refs_count(const struct sort_rows *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct slice refs = sort_row_text(r, i, SORT_TEXT_REFS);

		for (; refs.n >= 4; n++)
			refs = slice_from(refs, 4 + (size_t)wire_load_u32(refs.p));
	}
	return n;
}

static void link_all(struct thread *t)
{
	const struct sort_rows *r = t->rows;

	if (!table_new(t, r->n + refs_count(r)))
		return;
	for (size_t i = 0; i < r->n && !t->failed; i++) {
		struct slice id = sort_row_text(r, i, SORT_TEXT_ID);
		uint32_t n = id.n > 0 ? node_of_id(t, id) : thread_node(t, SLICE_NONE);

		/* Only the first message with an id has it. */
		if (!t->failed && t->v[n].row != THREAD_NO_ROW)
			n = thread_node(t, SLICE_NONE);
		if (t->failed)
			return;
		t->v[n].row = (uint32_t)i;
		link_message(t, n, sort_row_text(r, i, SORT_TEXT_REFS));
	}
}

/* ---- (2), (3) ---- */

static void gather_top(struct thread *t)
{
	for (uint32_t n = 1; n < t->n; n++)
		if (!t->v[n].linked)
			thread_link(t, THREAD_ROOT, n);
}

/* The children take the place of the dummy among its siblings; their order is made later. */
static void promote(struct thread *t, uint32_t dummy)
{
	uint32_t parent = t->v[dummy].parent, c;

	while ((c = t->v[dummy].first) != 0)
		thread_link(t, parent, c);
	thread_unlink(t, dummy);
}

static void prune(struct thread *t)
{
	uint32_t n = thread_first(t);

	while (n != THREAD_ROOT) {
		const struct thread_node *x = &t->v[n];
		uint32_t after = thread_after(t, n), first = x->first;
		bool only = first != 0 && t->v[first].next == 0;

		if (x->row == THREAD_NO_ROW && (first == 0 || x->parent != THREAD_ROOT || only)) {
			/* The children were looked at before: they join those that were. */
			promote(t, n);
		}
		n = after;
	}
}

/* ---- (4), (6) ---- */

static void sort_all(struct thread *t)
{
	uint32_t n = thread_first(t);

	/* Children first, so that a dummy's first child is known. */
	while (n != THREAD_ROOT) {
		uint32_t up = t->v[n].parent;

		if (t->v[n].next == 0) {
			thread_sort(t, up);
			n = up;
		} else {
			n = thread_after(t, n);
		}
	}
}

/* ---- (5) ---- */

static uint32_t shown(const struct thread *t, uint32_t n)
{
	return t->v[n].row == THREAD_NO_ROW ? t->v[n].first : n;
}

static struct slice subject_of(const struct thread *t, uint32_t n)
{
	uint32_t row = t->v[shown(t, n)].row;

	return row == THREAD_NO_ROW ? SLICE_NONE : sort_row_text(t->rows, row, SORT_TEXT_SUBJECT);
}

static bool is_dummy(const struct thread *t, uint32_t n)
{
	return t->v[n].row == THREAD_NO_ROW;
}

static bool is_reply(const struct thread *t, uint32_t n)
{
	uint32_t row = t->v[shown(t, n)].row;

	return row != THREAD_NO_ROW && t->rows->v[row].reply;
}

/* (5) (B): which thread a subject belongs to */
static void subjects_fill(struct thread *t)
{
	for (uint32_t n = t->v[THREAD_ROOT].first; n != 0; n = t->v[n].next) {
		struct slice subject = subject_of(t, n);
		uint32_t *at;

		if (subject.n == 0)
			continue;
		at = table_at(t, subject, subject_of);
		if (*at == 0 || (!is_dummy(t, *at) &&
				    (is_dummy(t, n) || (is_reply(t, *at) && !is_reply(t, n)))))
			*at = n;
	}
}

/* (5) (C): the thread `n` joins the one of its subject. */
static void subjects_join(struct thread *t, uint32_t *at, uint32_t n)
{
	uint32_t c, both;

	if (is_dummy(t, *at) && is_dummy(t, n)) {
		while ((c = t->v[n].first) != 0)
			thread_link(t, *at, c);
		thread_unlink(t, n);
	} else if (is_dummy(t, *at) || (is_reply(t, n) && !is_reply(t, *at))) {
		thread_link(t, *at, n);
	} else {
		both = thread_node(t, SLICE_NONE);
		if (t->failed)
			return;
		thread_link(t, THREAD_ROOT, both);
		thread_link(t, both, *at);
		thread_link(t, both, n);
		*at = both;
	}
}

static void merge_subjects(struct thread *t)
{
	uint32_t n, next, last = t->v[THREAD_ROOT].last;
	size_t tops = 0;

	for (n = t->v[THREAD_ROOT].first; n != 0; n = t->v[n].next)
		tops++;
	if (!table_new(t, tops))
		return;
	subjects_fill(t);
	for (n = t->v[THREAD_ROOT].first; n != 0 && !t->failed; n = next) {
		struct slice subject = subject_of(t, n);
		uint32_t *at;

		next = n == last ? 0 : t->v[n].next;
		if (subject.n == 0)
			continue;
		at = table_at(t, subject, subject_of);
		if (*at != 0 && *at != n)
			subjects_join(t, at, n);
	}
}

void thread_references(struct thread *t)
{
	link_all(t);
	if (t->failed)
		return;
	gather_top(t);
	prune(t);
	sort_all(t);
	merge_subjects(t);
	if (!t->failed)
		sort_all(t);
}
