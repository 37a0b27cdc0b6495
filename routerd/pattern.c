#include "routerd/pattern.h"

#include "routerd/limits.h"

enum { NOWHERE = UINT16_MAX };

/* ---- compiling ---- */

/* "(3d)", "(7-20d)", "(7+d)" at the start of `text`: its length, 0 when it is none of them. */
static size_t digits_parse(struct slice text, struct wild *ret)
{
	ptrdiff_t close = slice_find(text, ')');
	struct slice in, most;
	uint64_t a, b;

	if (close < 3 || text.p[close - 1] != 'd')
		return 0;
	in = slice_part(text, 1, (size_t)close - 2);
	most = in;
	if (in.p[in.n - 1] == '+') {
		in.n--;
		b = ADDRESS_MAX_BYTES;
	} else {
		in = slice_take(&most, '-');
		if (most.p == NULL || most.n == 0)
			most = in;
		if (slice_u64(most, ADDRESS_MAX_BYTES, &b) != 0)
			return 0;
	}
	if (slice_u64(in, ADDRESS_MAX_BYTES, &a) != 0 || a > b || b == 0)
		return 0;
	*ret = (struct wild){ .least = (uint16_t)a, .most = (uint16_t)b, .digits = true };
	return (size_t)close + 1;
}

static bool escaped(struct slice text)
{
	return text.n > 1 && text.p[0] == '\\' && (text.p[1] == '*' || text.p[1] == '(');
}

/* Takes the literal text in front off, without its escapes. */
static const char *literal_take(struct slice *text, struct arena *mem, struct slice *ret)
{
	struct slice all = *text;
	size_t n = 0;
	uint8_t *p;

	while (text->n > 0 && text->p[0] != '*' && text->p[0] != '(')
		*text = slice_from(*text, escaped(*text) ? 2 : 1);
	all.n -= text->n;
	p = arena_alloc(mem, all.n + 1);
	if (p == NULL)
		return "out of memory";
	for (; all.n > 0; all = slice_from(all, 1)) {
		if (escaped(all))
			all = slice_from(all, 1);
		p[n++] = all.p[0];
	}
	*ret = slice_of(p, n);
	return NULL;
}

const char *pattern_compile(struct slice text, struct arena *mem, struct pattern *ret)
{
	struct wild wilds[PATTERN_WILDS_MAX];
	const char *why = literal_take(&text, mem, &ret->head);

	ret->n = 0;
	ret->least_bytes = ret->head.n;
	while (why == NULL && text.n > 0) {
		struct wild *w = &wilds[ret->n];
		size_t len = 1;

		if (ret->n == PATTERN_WILDS_MAX)
			return "too many wildcards";
		*w = (struct wild){ .most = ADDRESS_MAX_BYTES };
		if (text.p[0] == '(')
			len = digits_parse(text, w);
		if (len == 0)
			return "a digit wildcard is (3d), (7-20d) or (7+d)";
		text = slice_from(text, len);
		why = literal_take(&text, mem, &w->after);
		ret->least_bytes += w->least + w->after.n;
		ret->n++;
	}
	if (why != NULL)
		return why;
	ret->wilds = arena_alloc(mem, ret->n * sizeof(*ret->wilds) + 1);
	if (ret->wilds == NULL)
		return "out of memory";
	if (ret->n > 0)
		memcpy(ret->wilds, wilds, ret->n * sizeof(*wilds));
	return NULL;
}

/* ---- matching ---- */

/*
 * next[i][q]: the first place from q on where wildcard i may end, so that all behind it matches.
 * Filled from the last wildcard to the first, each in one pass from the right. run[q]: digits from
 * q on.
 */
struct reach {
	uint16_t next[PATTERN_WILDS_MAX][ADDRESS_MAX_BYTES + 2];
	uint16_t run[ADDRESS_MAX_BYTES + 1];
};

/* Where wildcard i ends that begins at q, or NOWHERE. */
static size_t wild_end(
    const struct pattern *p, struct slice text, const struct reach *r, size_t i, size_t q)
{
	const struct wild *w = &p->wilds[i];
	size_t e = q + w->least <= text.n ? r->next[i][q + w->least] : NOWHERE;

	if (e == NOWHERE || !w->digits)
		return e;
	return e - q <= w->most && e - q <= r->run[q] ? e : NOWHERE;
}

static bool ends_here(
    const struct pattern *p, struct slice text, const struct reach *r, size_t i, size_t q)
{
	struct slice after = p->wilds[i].after;

	if (!slice_starts(slice_from(text, q), after))
		return false;
	q += after.n;
	return i + 1 == p->n ? q == text.n : wild_end(p, text, r, i + 1, q) != NOWHERE;
}

static bool match_many(const struct pattern *p, struct slice text, struct slice *ret_parts)
{
	struct reach r;
	size_t at = p->head.n;

	r.run[text.n] = 0;
	for (size_t q = text.n; q-- > at;)
		r.run[q] = ascii_digit(text.p[q]) ? (uint16_t)(r.run[q + 1] + 1) : 0;
	for (size_t i = p->n; i-- > 0;) {
		r.next[i][text.n + 1] = NOWHERE;
		for (size_t q = text.n + 1; q-- > at;)
			r.next[i][q] =
			    ends_here(p, text, &r, i, q) ? (uint16_t)q : r.next[i][q + 1];
	}
	for (size_t i = 0; i < p->n; i++) {
		size_t e = wild_end(p, text, &r, i, at);

		if (e == NOWHERE)
			return false;
		ret_parts[i] = slice_part(text, at, e - at);
		at = e + p->wilds[i].after.n;
	}
	return true;
}

static bool all_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]))
			return false;
	return true;
}

bool pattern_match(const struct pattern *p, struct slice text, struct slice *ret_parts)
{
	const struct wild *last = p->n > 0 ? &p->wilds[p->n - 1] : NULL;
	struct slice middle;

	if (text.n < p->least_bytes || text.n > ADDRESS_MAX_BYTES || !slice_starts(text, p->head))
		return false;
	if (last == NULL)
		return text.n == p->head.n;
	if (!slice_eq(slice_from(text, text.n - last->after.n), last->after))
		return false;
	if (p->n > 1)
		return match_many(p, text, ret_parts);
	middle = slice_part(text, p->head.n, text.n - p->head.n - last->after.n);
	if (last->digits && (middle.n > last->most || !all_digits(middle)))
		return false;
	ret_parts[0] = middle;
	return true;
}

/* ---- templates ---- */

size_t template_stars(struct slice text)
{
	size_t n = 0;

	for (; text.n > 0; text = slice_from(text, escaped(text) ? 2 : 1))
		n += text.p[0] == '*';
	return n;
}

void template_put(struct buf *out, struct slice text, const struct slice *parts, size_t n)
{
	size_t k = 0;

	while (text.n > 0) {
		if (escaped(text)) {
			buf_putc(out, text.p[1]);
			text = slice_from(text, 2);
			continue;
		}
		if (text.p[0] != '*')
			buf_putc(out, text.p[0]);
		else if (k < n)
			buf_put(out, parts[k++]);
		text = slice_from(text, 1);
	}
}
