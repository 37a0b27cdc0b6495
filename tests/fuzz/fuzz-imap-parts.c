/*
 * What FETCH does without a store. The first line are its items, the rest is a message: items parse
 * or not; ENVELOPE and BODYSTRUCTURE are balanced whatever the message; every section lies inside
 * it; what the sieve lets through does not depend on how its input was cut, and header fields are
 * those that common/mail/header.h finds.
 */
#include "common/mail/header.h"
#include "protocols/imap/envelope.h"
#include "protocols/imap/fetch-private.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static struct address_iter addresses;

/* One value after another: parentheses close, literals and quotes end. */
static void check_balanced(struct slice s)
{
	unsigned depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '"') {
			for (i++; i < s.n && s.p[i] != '"'; i++) {
				i += s.p[i] == '\\';
				assert(
				    i < s.n && s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0');
			}
			assert(i < s.n);
		} else if (c == '{') {
			char *end;
			size_t n = strtoul((const char *)s.p + i + 1, &end, 10);

			i = (size_t)((const uint8_t *)end - s.p);
			assert(i + 3 + n <= s.n && memcmp(end, "}\r\n", 3) == 0);
			assert(n == 0 || memchr(end + 3, '\0', n) == NULL);
			i += 2 + n;
		} else if (c == '(') {
			depth++;
		} else if (c == ')') {
			assert(depth > 0);
			depth--;
		} else {
			assert(c >= ' ' && c < 0x7f);
		}
	}
	assert(depth == 0);
}

static void check_written(const struct facts_view *v, bool utf8)
{
	struct buf out = BUF_INIT(64 << 20);
	struct writer w = writer(&out, utf8);

	envelope_write(&w, v->field, &addresses);
	structure_write(&w, v, false, &addresses);
	structure_write(&w, v, true, &addresses);
	buf_putc(&out, ' '); /* strtoul stops inside */
	if (!utf8)
		check_balanced(buf_slice(&out));
	buf_fini(&out);
}

/* Whole and in pieces; its length. */
static void check_sift(
    enum sift_how how, const struct fetch_item *item, struct slice in, struct buf *ret_out)
{
	struct buf pieces = BUF_INIT(1 << 22);
	struct sift s, t;

	sift_init(&s, how, &item->names, item->from, item->count);
	sift_feed(&s, in, ret_out);
	sift_end(&s, ret_out);
	sift_init(&t, how, &item->names, item->from, item->count);
	for (size_t at = 0, step = 1; at < in.n; at += step, step = step % 7 + 1)
		sift_feed(&t, slice_part(in, at, step), &pieces);
	sift_end(&t, &pieces);
	assert(slice_eq(buf_slice(&pieces), buf_slice(ret_out)));
	assert(s.out_n == ret_out->n && t.nul == s.nul);
	buf_fini(&pieces);
}

static bool named(const struct sift_names *names, struct slice name)
{
	for (unsigned i = 0; i < names->n; i++)
		if (slice_ieq(name, names->name[i]))
			return true;
	return false;
}

/* The same fields as a plain reader of headers finds; names of any length with many blanks aside.
 */
static void check_fields(const struct fetch_item *item, struct slice header)
{
	struct header_iter it = header_iter(header);
	struct buf want = BUF_INIT(1 << 22), got = BUF_INIT(1 << 22);
	struct fetch_item whole = *item;
	enum sift_how how = item->section.what == SECTION_FIELDS ? SIFT_FIELDS : SIFT_FIELDS_NOT;
	struct header_field f;
	bool odd = false;
	size_t end = 0;

	while (header_next(&it, &f) == 0) {
		odd |= (size_t)(f.value.p - (header.p + f.start)) > HEADER_NAME_MAX;
		if (named(&item->names, f.name) == (how == SIFT_FIELDS))
			buf_put(&want, slice_part(header, f.start, f.end - f.start));
		end = f.end;
	}
	(void)end;
	if (it.at > 0 && header.p[it.at - 1] == '\n') {
		bool crlf = it.at > 1 && header.p[it.at - 2] == '\r';
		size_t line = it.at - (crlf ? 2 : 1);

		/* The line that ended it, if it was an empty one. */
		if (line == 0 || header.p[line - 1] == '\n')
			buf_put(&want, slice_part(header, line, it.at - line));
	}
	whole.from = whole.count = 0;
	check_sift(how, &whole, header, &got);
	assert(odd || slice_eq(buf_slice(&got), buf_slice(&want)));
	buf_fini(&want);
	buf_fini(&got);
}

static void check_item(
    const struct fetch_item *item, const struct facts_view *v, struct slice message)
{
	static const enum sift_how ways[] = { SIFT_ALL, SIFT_BASE64, SIFT_QP };
	struct section_range r;
	struct slice octets;

	if (item->what < FETCH_SECTION || section_find(&item->section, v, &r) != 0)
		return;
	assert(r.start <= r.end && r.end <= message.n);
	octets = slice_part(message, r.start, r.end - r.start);
	if (item->section.what >= SECTION_FIELDS) {
		check_fields(item, octets);
		return;
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct buf out = BUF_INIT(1 << 22);

		check_sift(ways[i], item, octets, &out);
		buf_fini(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice message = slice_of(data, n), line = slice_take(&message, '\n');
	struct facts_maker *m = facts_maker_new_wide();
	struct buf blob = BUF_INIT(FACTS_WIDE_MAX);
	struct fetch_plan plan = { 0 };
	struct arena arena;
	struct facts_view v;
	struct parse p = { .begin = line.p, .p = line.p, .end = line.p + line.n, .arena = &arena };

	arena_init(&arena, IMAP_ARENA_MAX);
	if (n == 0)
		p.begin = p.p = p.end = (const uint8_t *)"";
	fetch_plan_parse(&p, n % 2 == 0, &plan);
	assert(m != NULL);
	facts_maker_feed(m, message);
	assert(facts_maker_finish(m, &blob) == 0);
	assert(facts_view(buf_slice(&blob), message.n, &v) == 0);
	check_written(&v, false);
	check_written(&v, true);
	for (unsigned i = 0; parse_ok(&p) && i < plan.n; i++)
		check_item(&plan.items[i], &v, message);
	facts_maker_free(&m);
	buf_fini(&blob);
	arena_fini(&arena);
	return 0;
}
