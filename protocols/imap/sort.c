#include "protocols/imap/sort.h"

#include "common/base/wire.h"
#include "protocols/imap/limits.h"
#include "protocols/imap/parse.h"

#include <stdlib.h>

static const struct {
	const char *name;
	int text; /* that it needs; -1: none */
	bool facts;
} fields[] = {
	[SORT_ARRIVAL] = { "ARRIVAL", -1, false },
	[SORT_CC] = { "CC", SORT_TEXT_CC, true },
	[SORT_DATE] = { "DATE", -1, true },
	[SORT_FROM] = { "FROM", SORT_TEXT_FROM, true },
	[SORT_SIZE] = { "SIZE", -1, false },
	[SORT_SUBJECT] = { "SUBJECT", SORT_TEXT_SUBJECT, true },
	[SORT_TO] = { "TO", SORT_TEXT_TO, true },
};

void sort_rows_init(struct sort_rows *r)
{
	*r = (struct sort_rows){ 0 };
	buf_init(&r->strings, IMAP_SORT_BYTES_MAX);
	buf_init(&r->thread_text, IMAP_SORT_BYTES_MAX);
}

void sort_rows_fini(struct sort_rows *r)
{
	free(r->v);
	facts_maker_free(&r->maker);
	buf_fini(&r->strings);
	buf_fini(&r->thread_text);
	sort_rows_init(r);
}

static void parse_key(struct parse *p, struct sort_rows *r)
{
	bool reverse = parse_try_word(p, "REVERSE");
	struct slice name;
	unsigned i = 0;

	if (reverse)
		parse_sp(p);
	name = parse_word(p);
	while (i < SORT_FIELDS && !slice_ieq(name, slice_str(fields[i].name)))
		i++;
	if (i == SORT_FIELDS) {
		parse_fail(p, "no such sort key");
		return;
	}
	/* A key that was named before decides nothing more. */
	for (unsigned k = 0; k < r->n_by; k++)
		if (r->by[k].field == i)
			return;
	r->by[r->n_by].field = (enum sort_field)i;
	r->by[r->n_by++].reverse = reverse;
	r->facts |= fields[i].facts;
	if (fields[i].text >= 0)
		r->texts |= 1u << fields[i].text;
}

void sort_parse(struct parse *p, struct sort_rows *ret_rows)
{
	parse_char(p, '(');
	do
		parse_key(p, ret_rows);
	while (parse_try(p, ' '));
	parse_char(p, ')');
}

void sort_for_thread(struct sort_rows *r, enum sort_thread how)
{
	r->how = how;
	r->facts = true;
	r->texts = 1u << SORT_TEXT_SUBJECT;
	if (how == SORT_THREAD_REFERENCES)
		r->texts |= 1u << SORT_TEXT_ID | 1u << SORT_TEXT_REFS;
}

void sort_rows_add(struct sort_rows *r, const struct search_msg *m)
{
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 256 : r->cap * 2;
		struct sort_row *v = NULL;

		if (cap <= IMAP_SORT_BYTES_MAX / sizeof(*v))
			v = reallocarray(r->v, cap, sizeof(*v));
		if (v == NULL) {
			r->failed = true;
			return;
		}
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = (struct sort_row){ .uid = m->uid,
		.size = m->size,
		.arrival = m->date,
		.date = m->date,
		.text = SORT_NO_TEXT };
}

static int by_uid(const void *x, const void *y)
{
	const struct sort_row *a = x, *b = y;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

void sort_rows_settle(struct sort_rows *r)
{
	if (r->n > 1)
		qsort(r->v, r->n, sizeof(*r->v), by_uid);
}

/* ---- texts ---- */

static void put_refs(struct sort_rows *r, struct slice refs)
{
	size_t at = r->strings.n;
	struct slice id;

	wire_put_u32(&r->strings, 0);
	while (facts_ref_next(&refs, &id) == 0)
		wire_put_bytes(&r->strings, id);
	if (!r->strings.overflow)
		wire_store_u32(r->strings.p + at, (uint32_t)(r->strings.n - at - 4));
}

static void put_folded(struct sort_rows *r, struct slice text)
{
	size_t at = r->strings.n;

	wire_put_u32(&r->strings, 0);
	fold_text(text, &r->strings);
	if (!r->strings.overflow)
		wire_store_u32(r->strings.p + at, (uint32_t)(r->strings.n - at - 4));
}

void sort_rows_facts(struct sort_rows *r, size_t i, const struct facts_view *facts)
{
	static const enum facts_key keys[] = {
		[SORT_TEXT_SUBJECT] = FACTS_BASE_SUBJECT,
		[SORT_TEXT_FROM] = FACTS_FROM_MAILBOX,
		[SORT_TEXT_TO] = FACTS_TO_MAILBOX,
		[SORT_TEXT_CC] = FACTS_CC_MAILBOX,
	};
	struct sort_row *row = &r->v[i];

	if (facts == NULL)
		return;
	if (facts->has_date)
		row->date = facts->date.unix_s;
	row->reply = (facts->flags & FACTS_REPLY) != 0;
	row->text = (uint32_t)r->strings.n;
	for (unsigned t = 0; t < SORT_TEXTS; t++) {
		if ((r->texts >> t & 1) == 0)
			continue;
		if (t == SORT_TEXT_REFS)
			put_refs(r, facts->refs);
		else if (t == SORT_TEXT_ID)
			wire_put_bytes(&r->strings, facts->message_id);
		else
			put_folded(r, facts->key[keys[t]]);
	}
	r->failed |= r->strings.overflow;
}

struct slice sort_row_text(const struct sort_rows *r, size_t i, enum sort_text which)
{
	size_t at = r->v[i].text;

	if (at >= SORT_UNREADABLE)
		return SLICE_NONE;
	for (unsigned t = 0; t < (unsigned)which; t++)
		if (r->texts >> t & 1)
			at += 4 + (size_t)wire_load_u32(r->strings.p + at);
	return slice_of(r->strings.p + at + 4, wire_load_u32(r->strings.p + at));
}

/* ---- order ---- */

static int compare_number(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_field(const struct sort_rows *r, enum sort_field f, const struct sort_row *a,
    const struct sort_row *b)
{
	switch (f) {
	case SORT_ARRIVAL:
		return compare_number(a->arrival, b->arrival);
	case SORT_DATE:
		return compare_number(a->date, b->date);
	case SORT_SIZE:
		return compare_number((int64_t)a->size, (int64_t)b->size);
	default:
		return slice_cmp(
		    sort_row_text(r, (size_t)(a - r->v), (enum sort_text)fields[f].text),
		    sort_row_text(r, (size_t)(b - r->v), (enum sort_text)fields[f].text));
	}
}

/* Rows are compared by their index, so that texts are found by the row's place. */
static int compare_rows(const void *x, const void *y, void *arg)
{
	const struct sort_rows *r = arg;
	const struct sort_row *a = &r->v[*(const uint32_t *)x], *b = &r->v[*(const uint32_t *)y];

	for (unsigned i = 0; i < r->n_by; i++) {
		int c = compare_field(r, r->by[i].field, a, b);

		if (c != 0)
			return r->by[i].reverse ? -c : c;
	}
	return by_uid(a, b);
}

void sort_rows_sort(struct sort_rows *r)
{
	uint32_t *order = calloc(r->n + 1, sizeof(*order));
	struct sort_row *sorted = calloc(r->n + 1, sizeof(*sorted));

	if (order == NULL || sorted == NULL) {
		r->failed = true;
		free(order);
		free(sorted);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, r->n, sizeof(*order), compare_rows, r);
	for (size_t i = 0; i < r->n; i++)
		sorted[i] = r->v[order[i]];
	free(order);
	free(r->v);
	r->v = sorted;
	r->cap = r->n + 1;
}
