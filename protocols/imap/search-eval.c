/*
 * search-eval - the tree of a search and one message.
 */
#include "protocols/imap/search-keys.h"

#include "common/mail/header.h"
#include "common/mail/word.h"
#include "common/ipc/types.h"

enum { DAY_S = 86400 };

static int64_t day_of(int64_t unix_s)
{
	return unix_s >= 0 ? unix_s / DAY_S : -((DAY_S - 1 - unix_s) / DAY_S);
}

static enum search_answer answer(bool yes)
{
	return yes ? SEARCH_YES : SEARCH_NO;
}

static bool day_matches(const struct search_key *k, int64_t day)
{
	return k->cmp == SEARCH_BEFORE ? day < k->day
	       : k->cmp == SEARCH_ON   ? day == k->day
				       : day >= k->day;
}

/* ---- strings of fields ---- */

/* The text of a field's value, folded. */
static void value_fold(struct slice value, struct buf *plain, struct buf *decoded, struct buf *out)
{
	buf_reset(plain);
	buf_reset(decoded);
	buf_reset(out);
	(void)header_unfold(slice_part(value, 0, FIELD_KEEP_MAX), plain);
	word_decode(buf_slice(plain), decoded);
	fold_text(buf_slice(decoded), out);
}

static bool has(struct slice text, struct slice word)
{
	return word.n == 0 || (word.n <= text.n && memmem(text.p, text.n, word.p, word.n) != NULL);
}

/* Buffers of one thread, kept: fields are many and small. */
static struct buf plain = { .max = FIELD_KEEP_MAX + 64 }, decoded = { .max = 4 * FIELD_KEEP_MAX },
		  folded = { .max = 20 * FIELD_KEEP_MAX };

/* Fields of the facts at hand: folded once, however many keys ask for them. */
static struct buf of_facts[FACTS_FIELD_COUNT];
static unsigned of_facts_ready; /* bits */

static bool field_matches(unsigned field, struct slice value, struct slice word)
{
	struct buf *b = &of_facts[field];

	if ((of_facts_ready >> field & 1) == 0) {
		b->max = folded.max;
		value_fold(value, &plain, &decoded, b);
		of_facts_ready |= 1u << field;
	}
	return has(buf_slice(b), word);
}

/* ---- one key ---- */

static enum search_answer sent_eval(const struct search_key *k, const struct search_msg *m)
{
	const struct mail_date *d = NULL;

	if (m->header_known && m->facts_lost && m->has_date)
		d = &m->sent;
	else if (m->facts != NULL && m->facts->has_date)
		d = &m->facts->date;
	else if (m->facts == NULL && !(m->header_known && m->facts_lost))
		return SEARCH_MAYBE;
	return answer(d != NULL && day_matches(k, day_of(d->unix_s + d->zone_min * 60)));
}

/* The first field of a name: in the facts, but for those that were too long. */
static enum search_answer field_eval(const struct search_key *k, const struct search_msg *m)
{
	struct slice value;

	if (m->header_known)
		return answer(k->word.found);
	if (m->facts == NULL)
		return SEARCH_MAYBE;
	value = m->facts->field[k->field];
	if (value.p != NULL && field_matches(k->field, value, k->word.folded))
		return SEARCH_YES;
	return m->facts->flags & FACTS_CUT_ENVELOPE ? SEARCH_MAYBE : SEARCH_NO;
}

/* Facts tell that there is no field of that name, or show the first of perhaps several. */
static enum search_answer header_eval(const struct search_key *k, const struct search_msg *m)
{
	if (m->header_known)
		return answer(k->word.found);
	if (m->facts == NULL || (m->facts->flags & FACTS_CUT_ENVELOPE))
		return SEARCH_MAYBE;
	for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++) {
		if (!slice_ieq(k->name, slice_str(facts_field_name[i])))
			continue;
		if (m->facts->field[i].p == NULL)
			return SEARCH_NO;
		if (field_matches(i, m->facts->field[i], k->word.folded))
			return SEARCH_YES;
	}
	return SEARCH_MAYBE;
}

static enum search_answer text_eval(const struct search_key *k, const struct search_msg *m)
{
	if (k->word.folded.n == 0 || (m->header_known && k->in_header))
		return SEARCH_YES;
	if (!m->text_known)
		return SEARCH_MAYBE;
	return answer(k->word.found || k->in_header);
}

static enum search_answer key_eval(
    const struct search_keys *all, const struct search_key *k, const struct search_msg *m);

static enum search_answer list_eval(
    const struct search_keys *all, const struct search_key *k, const struct search_msg *m)
{
	enum search_answer sum = SEARCH_YES;

	for (k = k->a; k != NULL; k = k->next) {
		enum search_answer one = key_eval(all, k, m);

		if (one == SEARCH_NO)
			return SEARCH_NO;
		if (one == SEARCH_MAYBE)
			sum = SEARCH_MAYBE;
	}
	return sum;
}

static enum search_answer or_eval(
    const struct search_keys *all, const struct search_key *k, const struct search_msg *m)
{
	enum search_answer a = key_eval(all, k->a, m), b;

	if (a == SEARCH_YES)
		return SEARCH_YES;
	b = key_eval(all, k->b, m);
	if (b == SEARCH_YES)
		return SEARCH_YES;
	return a == SEARCH_MAYBE || b == SEARCH_MAYBE ? SEARCH_MAYBE : SEARCH_NO;
}

static enum search_answer not_eval(
    const struct search_keys *all, const struct search_key *k, const struct search_msg *m)
{
	enum search_answer a = key_eval(all, k->a, m);

	return a == SEARCH_MAYBE ? a : answer(a == SEARCH_NO);
}

/* Keys about the row, which is always known. */
static bool row_matches(
    const struct search_keys *all, const struct search_key *k, const struct search_msg *m)
{
	switch (k->kind) {
	case SEARCH_FLAGS:
		return (m->flags & k->mask) == k->want;
	case SEARCH_RECENT:
		return m->recent;
	case SEARCH_KEYWORD:
		return k->bit >= 0 && keyset_has(m->keywords, (unsigned)k->bit);
	case SEARCH_LARGER:
		return m->size > k->n;
	case SEARCH_SMALLER:
		return m->size < k->n;
	case SEARCH_INTERNAL:
		return day_matches(k, day_of(m->date));
	case SEARCH_SAVED:
		return day_matches(k, day_of(m->saved));
	case SEARCH_OLDER:
		return m->date <= all->now_s - (int64_t)k->n;
	case SEARCH_YOUNGER:
		return m->date >= all->now_s - (int64_t)k->n;
	case SEARCH_MODSEQ:
		return m->modseq >= k->n;
	case SEARCH_SET:
		return set_has(&k->set, m->uid);
	case SEARCH_EMAILID:
		return k->known && m->id == k->n;
	case SEARCH_THREADID:
		return k->known && m->thread == k->n;
	default:
		return true;
	}
}

static enum search_answer key_eval(
    const struct search_keys *all, const struct search_key *k, const struct search_msg *m)
{
	switch (k->kind) {
	case SEARCH_AND:
		return list_eval(all, k, m);
	case SEARCH_OR:
		return or_eval(all, k, m);
	case SEARCH_NOT:
		return not_eval(all, k, m);
	case SEARCH_SENT:
		return sent_eval(k, m);
	case SEARCH_FIELD:
		return field_eval(k, m);
	case SEARCH_HEADER:
		return header_eval(k, m);
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return text_eval(k, m);
	default:
		return answer(row_matches(all, k, m));
	}
}

enum search_answer search_eval(const struct search_keys *k, const struct search_msg *m)
{
	of_facts_ready = 0;
	return list_eval(k, &k->root, m);
}

void search_needs(
    const struct search_keys *k, const struct search_msg *m, bool *ret_header, bool *ret_text)
{
	*ret_text = k->n_bodies + k->n_texts > 0;
	*ret_header =
	    k->n_headers > 0 || m->facts_lost ||
	    (k->n_fields > 0 && m->facts != NULL && (m->facts->flags & FACTS_CUT_ENVELOPE));
}

/* ---- headers ---- */

void search_keys_reset(struct search_keys *k)
{
	for (unsigned i = 0; i < k->n_fields; i++)
		k->fields[i]->word.found = false;
	for (unsigned i = 0; i < k->n_headers; i++)
		k->headers[i]->word.found = false;
	for (unsigned i = 0; i < k->n_bodies; i++)
		k->bodies[i]->word.found = false;
	for (unsigned i = 0; i < k->n_texts; i++)
		k->texts[i]->word.found = k->texts[i]->in_header = false;
}

/* Decodes the value once for all keys that ask for it. */
static void match_lists(struct search_keys *k, const struct header_field *f, unsigned *seen)
{
	bool ready = false;

	for (unsigned i = 0; i < k->n_headers; i++) {
		struct search_key *x = k->headers[i];

		if (x->word.found || !slice_ieq(f->name, x->name))
			continue;
		if (!ready)
			value_fold(f->value, &plain, &decoded, &folded);
		ready = true;
		x->word.found = has(buf_slice(&folded), x->word.folded);
	}
	for (unsigned i = 0; i < k->n_fields; i++) {
		struct search_key *x = k->fields[i];

		if ((*seen >> x->field & 1) != 0 ||
		    !slice_ieq(f->name, slice_str(facts_field_name[x->field])))
			continue;
		if (!ready)
			value_fold(f->value, &plain, &decoded, &folded);
		ready = true;
		x->word.found = has(buf_slice(&folded), x->word.folded);
	}
	for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++)
		if (slice_ieq(f->name, slice_str(facts_field_name[i])))
			*seen |= 1u << i;
}

void search_match_header(struct search_keys *k, struct search_msg *m, struct slice block)
{
	struct header_iter it = header_iter(block);
	struct header_field f;
	unsigned seen = 0;
	bool dated = false;

	while (header_next(&it, &f) == 0) {
		match_lists(k, &f, &seen);
		if (!dated && slice_ieq(f.name, SLICE("Date"))) {
			dated = true;
			m->has_date = mail_date_parse(f.value, &m->sent) == 0;
		}
	}
	m->header_known = true;
}

void search_match_text_header(struct search_keys *k, struct slice block)
{
	struct header_iter it = header_iter(block);
	struct header_field f;

	while (k->n_texts > 0 && header_next(&it, &f) == 0) {
		buf_reset(&plain);
		buf_reset(&decoded);
		buf_reset(&folded);
		fold_text(slice_part(f.name, 0, HEADER_NAME_MAX), &folded);
		fold_text(SLICE(": "), &folded);
		(void)header_unfold(slice_part(f.value, 0, FIELD_KEEP_MAX), &plain);
		word_decode(buf_slice(&plain), &decoded);
		fold_text(buf_slice(&decoded), &folded);
		for (unsigned i = 0; i < k->n_texts; i++)
			k->texts[i]->in_header |= has(buf_slice(&folded), k->texts[i]->word.folded);
	}
}
