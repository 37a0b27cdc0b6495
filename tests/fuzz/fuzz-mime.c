/*
 * The structure depends on the bytes alone: fed whole and fed in pieces give the same rows. Offsets
 * nest, and the octets told of a leaf are those of its body.
 */
#include "common/mail/mime.h"
#include "common/mail/param.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

struct seen {
	struct slice message;
	uint64_t told[MIME_PARTS_MAX]; /* octets */
};

static void on_body(void *ctx, const struct mime *m, unsigned part, struct slice bytes)
{
	struct seen *s = ctx;
	uint64_t at = mime_part(m, part)->body_start + s->told[part];

	assert(mime_part(m, part)->kind == MIME_LEAF);
	assert(slice_eq(slice_part(s->message, at, bytes.n), bytes));
	s->told[part] += bytes.n;
}

static struct mime *run(struct seen *s, struct slice in, unsigned step)
{
	struct mime_sink sink = { s, NULL, on_body };
	struct mime *m = mime_new(&sink);

	assert(m != NULL);
	s->message = in;
	memset(s->told, 0, sizeof(s->told));
	for (size_t at = 0; at < in.n;) {
		size_t k = step == 0 ? in.n : 1 + (at * 7 + step) % step;

		mime_feed(m, slice_part(in, at, k));
		at += k;
	}
	mime_finish(m);
	return m;
}

static void check_rows(const struct mime *m, const struct seen *s)
{
	uint64_t next[MIME_PARTS_MAX];

	assert(mime_count(m) > 0 && mime_part(m, 0)->end == s->message.n);
	for (unsigned i = 0; i < mime_count(m); i++) {
		const struct mime_part *p = mime_part(m, i);

		assert(p->header_start <= p->body_start && p->body_start <= p->end);
		assert(p->header_lines <= p->body_start - p->header_start);
		assert(p->body_lines <= p->end - p->body_start);
		assert(mime_part_text(m, i, MIME_TYPE).p != NULL || (p->flags & MIME_CUT));
		if (p->kind == MIME_LEAF)
			assert(s->told[i] == p->end - p->body_start);
		next[i] = p->body_start;
		if (i == 0)
			continue;
		assert(p->parent < i && p->header_start >= next[p->parent]);
		assert(p->end <= mime_part(m, p->parent)->end);
		assert(p->depth == mime_part(m, p->parent)->depth + 1);
		next[p->parent] = p->end;
	}
}

static void check_same(const struct mime *a, const struct mime *b)
{
	assert(mime_count(a) == mime_count(b));
	for (unsigned i = 0; i < mime_count(a); i++) {
		const struct mime_part *p = mime_part(a, i), *q = mime_part(b, i);

		assert(p->header_start == q->header_start && p->body_start == q->body_start);
		assert(p->end == q->end && p->header_lines == q->header_lines);
		assert(
		    p->body_lines == q->body_lines && p->kind == q->kind && p->flags == q->flags);
		for (unsigned f = 0; f < MIME_FIELD_COUNT; f++)
			assert(slice_eq(mime_part_text(a, i, f), mime_part_text(b, i, f)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned steps[] = { 1, 3, 17, 300 };
	static struct seen seen;
	struct slice in = slice_of(data, n);
	struct mime *whole = run(&seen, in, 0), *pieces;

	check_rows(whole, &seen);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		pieces = run(&seen, in, steps[i]);
		check_same(whole, pieces);
		mime_free(&pieces);
	}
	mime_free(&whole);
	return 0;
}
