/* The structure of messages by offset, and the facts made of it. */
#include "common/mail/facts-private.h"
#include "common/mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define MULTI(b)    "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"

/* Parts as depth:type/subtype[body]; with ! for opaque and ~ for an open end. */
static const struct {
	const char *name, *in, *want;
} messages[] = {
	{ "nothing", "", "0:text/plain[];" },
	{ "a body", "A: b\r\n\r\nhello\r\n", "0:text/plain[hello\r\n];" },
	{ "no empty line", "A: b\r\n", "0:text/plain[];" },
	{ "bare LF", "A: b\n\nhello\n", "0:text/plain[hello\n];" },
	{ "a line of CR alone is no empty line", "A: b\r\r\n\r\nx", "0:text/plain[x];" },
	{ "two parts", MULTI("x") "pre\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\nepi\r\n",
	    "0:multipart/mixed[pre\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\nepi\r\n];1:text/"
	    "plain[one];1:text/plain[two];" },
	{ "bare LF between parts",
	    "Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x--\n",
	    "0:multipart/mixed[--x\n\none\n--x--\n];1:text/plain[one];" },
	{ "an empty part", MULTI("x") "--x\r\n\r\n--x--\r\n",
	    "0:multipart/mixed[--x\r\n\r\n--x--\r\n];1:text/plain[];" },
	{ "a part without a header's end", MULTI("x") "--x\r\nA: b\r\n--x--\r\n",
	    "0:multipart/mixed[--x\r\nA: b\r\n--x--\r\n];1:text/plain[];" },
	{ "an empty line belongs to the body", MULTI("x") "--x\r\n\r\none\r\n\r\n--x--",
	    "0:multipart/mixed[--x\r\n\r\none\r\n\r\n--x--];1:text/plain[one\r\n];" },
	{ "no end", MULTI("x") "--x\r\n\r\none\r\n",
	    "0~multipart/mixed[--x\r\n\r\none\r\n];1:text/plain[one\r\n];" },
	{ "blanks after the boundary", MULTI("x") "--x \t\r\n\r\none\r\n--x-- \r\n",
	    "0:multipart/mixed[--x \t\r\n\r\none\r\n--x-- \r\n];1:text/plain[one];" },
	{ "the boundary's start is sufficient", MULTI("x") "--xyz\r\n\r\none\r\n--x--",
	    "0:multipart/mixed[--xyz\r\n\r\none\r\n--x--];1:text/plain[one];" },
	{ "not inside a line", MULTI("x") "--x\r\n\r\n --x\r\na--x\r\n--x--",
	    "0:multipart/mixed[--x\r\n\r\n --x\r\na--x\r\n--x--];1:text/plain[ --x\r\na--x];" },
	{ "nothing after the end", MULTI("x") "--x--\r\n--x\r\n\r\none\r\n",
	    "0:multipart/mixed[--x--\r\n--x\r\n\r\none\r\n];" },
	{ "no boundary", "Content-Type: multipart/mixed\r\n\r\n--\r\n",
	    "0!multipart/mixed[--\r\n];" },
	{ "an empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
	    "0!multipart/mixed[--\r\n];" },
	{ "an outer delimiter ends the inner parts",
	    MULTI("o") "--o\r\n" MULTI("i") "--i\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--",
	    "0:multipart/mixed[--o\r\n" MULTI(
		"i") "--i\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--];"
		     "1~multipart/mixed[--i\r\n\r\none];2:text/plain[one];1:text/plain[two];" },
	{ "the longest of two that fit",
	    MULTI("a") "--a\r\n" MULTI("ab") "--ab\r\n\r\none\r\n--ab--\r\n--a--",
	    "0:multipart/mixed[--a\r\n" MULTI(
		"ab") "--ab\r\n\r\none\r\n--ab--\r\n--a--];"
		      "1:multipart/mixed[--ab\r\n\r\none\r\n--ab--];2:text/plain[one];" },
	{ "the longest when it is the outer one",
	    MULTI("ab") "--ab\r\n" MULTI("a") "--a\r\n\r\none\r\n--ab--",
	    "0:multipart/mixed[--ab\r\n" MULTI(
		"a") "--a\r\n\r\none\r\n--ab--];"
		     "1~multipart/mixed[--a\r\n\r\none];2:text/plain[one];" },
	{ "of equal boundaries the innermost", MULTI("a") "--a\r\n" MULTI("a") "--a\r\n\r\none",
	    "0~multipart/mixed[--a\r\n" MULTI(
		"a") "--a\r\n\r\none];1~multipart/mixed[--a\r\n\r\none];2:text/plain[one];" },
	{ "a message inside", "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n",
	    "0:message/rfc822[Subject: x\r\n\r\ny\r\n];1:text/plain[y\r\n];" },
	{ "a digest",
	    "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nA: b\r\n\r\nc\r\n--x--",
	    "0:multipart/digest[--x\r\n\r\nA: b\r\n\r\nc\r\n--x--];1:message/rfc822[A: "
	    "b\r\n\r\nc];2:text/plain[c];" },
	{ "a delimiter inside a header",
	    MULTI("x") "--x\r\nContent-Type: text/html\r\n--x\r\n\r\ny\r\n--x--",
	    "0:multipart/mixed[--x\r\nContent-Type: "
	    "text/html\r\n--x\r\n\r\ny\r\n--x--];1:text/html[];1:text/plain[y];" },
	{ "an unreadable type", "Content-Type: text\r\n\r\nx", "0:text/plain[x];" },
	{ "the first type counts", "Content-Type: text/html\r\nContent-Type: text/xml\r\n\r\nx",
	    "0:text/html[x];" },
};

static void put_parts(const struct mime *m, struct slice in, struct buf *out)
{
	for (unsigned i = 0; i < mime_count(m); i++) {
		const struct mime_part *p = mime_part(m, i);

		buf_putu(out, p->depth);
		buf_putc(out, p->flags & MIME_OPAQUE ? '!' : p->flags & MIME_OPEN_END ? '~' : ':');
		buf_put(out, mime_part_text(m, i, MIME_TYPE));
		buf_putc(out, '/');
		buf_put(out, mime_part_text(m, i, MIME_SUBTYPE));
		buf_putc(out, '[');
		buf_put(out, slice_part(in, p->body_start, p->end - p->body_start));
		buf_puts(out, "];");
	}
}

static void messages_divide_as_listed(void **state)
{
	for (size_t i = 0; i < ROWS(messages); i++) {
		struct slice in = slice_str(messages[i].in);

		for (size_t step = 1; step <= in.n + 1; step += step < 5 ? 1 : in.n) {
			struct mime *m = mime_new(NULL);
			struct buf out = BUF_INIT(4096);

			for (size_t at = 0; at < in.n; at += step)
				mime_feed(m, slice_part(in, at, step));
			mime_finish(m);
			put_parts(m, in, &out);
			if (!slice_eq(buf_slice(&out), slice_str(messages[i].want)))
				fail_msg("%s (%zu): '%.*s'", messages[i].name, step,
				    SLICE_FMT(buf_slice(&out)));
			buf_fini(&out);
			mime_free(&m);
		}
	}
}

struct told {
	struct buf bytes;
};

static void on_body(void *ctx, const struct mime *m, unsigned part, struct slice bytes)
{
	struct told *t = ctx;

	if (part > 0)
		buf_put(&t->bytes, bytes);
}

/* Line ends are held back until it is known whose they are. */
static void bodies_are_told_exactly(void **state)
{
	struct slice in =
	    SLICE(MULTI("x") "--x\r\n\r\na\r\n\r\n\r-\n--\r\n-\r\r\n--x\r\n\r\n\r\n--x--\r\nz");

	for (size_t step = 1; step <= in.n; step++) {
		struct told t = { BUF_INIT(4096) };
		struct mime_sink sink = { &t, NULL, on_body };
		struct mime *m = mime_new(&sink);

		for (size_t at = 0; at < in.n; at += step)
			mime_feed(m, slice_part(in, at, step));
		mime_finish(m);
		if (!slice_eq(buf_slice(&t.bytes), SLICE("a\r\n\r\n\r-\n--\r\n-\r")))
			fail_msg("%zu: '%.*s'", step, SLICE_FMT(buf_slice(&t.bytes)));
		buf_fini(&t.bytes);
		mime_free(&m);
	}
}

static void depth_and_number_are_bounded(void **state)
{
	struct buf in = BUF_INIT(1 << 20);
	struct mime *m;

	for (unsigned i = 0; i < 3 * MIME_DEPTH_MAX; i++)
		buf_printf(
		    &in, "Content-Type: multipart/mixed; boundary=b%03u\r\n\r\n--b%03u\r\n", i, i);
	m = mime_parse(buf_slice(&in));
	assert_int_equal(mime_count(m), MIME_DEPTH_MAX);
	assert_true(mime_part(m, MIME_DEPTH_MAX - 1)->flags & MIME_OPAQUE);
	mime_free(&m);
	buf_reset(&in);
	for (unsigned i = 0; i < 3 * MIME_DEPTH_MAX; i++)
		buf_puts(&in, "Content-Type: message/rfc822\r\n\r\n");
	m = mime_parse(buf_slice(&in));
	assert_int_equal(mime_count(m), MIME_DEPTH_MAX);
	assert_int_equal(mime_part(m, MIME_DEPTH_MAX - 1)->kind, MIME_MESSAGE);
	assert_true(mime_part(m, MIME_DEPTH_MAX - 1)->flags & MIME_OPAQUE);
	mime_free(&m);
	buf_reset(&in);
	buf_puts(&in, MULTI("x"));
	for (unsigned i = 0; i < 2 * MIME_PARTS_MAX; i++)
		buf_puts(&in, "--x\r\n\r\ny\r\n");
	m = mime_parse(buf_slice(&in));
	assert_int_equal(mime_count(m), MIME_PARTS_MAX);
	assert_true(mime_part(m, 0)->flags & MIME_OPAQUE);
	assert_int_equal(
	    mime_part(m, MIME_PARTS_MAX - 1)->end - mime_part(m, MIME_PARTS_MAX - 1)->body_start,
	    1);
	mime_free(&m);
	buf_fini(&in);
}

static int make(struct slice in, struct buf *blob, struct facts_view *v)
{
	struct facts_maker *m = facts_maker_new();
	bool final;
	int r;

	facts_maker_feed(m, in);
	facts_maker_received(m, &final);
	r = facts_maker_finish(m, blob);
	facts_maker_free(&m);
	return r != 0 ? r : facts_view(buf_slice(blob), in.n, v);
}

static void facts_say_what_the_header_says(void **state)
{
	static const char in[] =
	    "Received: x\r\nReceived: y\r\n"
	    "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
	    "From: =?utf-8?q?J=C3=B6rg?= <joerg@x.test>\r\nTo: g:;, \"A B\" <ab@y.test>\r\n"
	    "Cc: c@z.test\r\nSubject: =?utf-8?q?Re:_[l]?= hello\r\n world\r\n"
	    "Message-ID: <3@x>\r\nReferences: <1@x>\r\n <2@x>\r\nIn-Reply-To: <9@x>\r\n\r\nHi\r\n";
	struct buf blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;
	struct facts_part p;
	struct slice parts, refs, id;

	assert_int_equal(make(SLICE(in), &blob, &v), 0);
	assert_int_equal(v.flags, FACTS_REPLY);
	assert_int_equal(v.received, 2);
	assert_int_equal(v.body_start, sizeof(in) - 1 - 4);
	assert_true(v.has_date && v.date.unix_s == 880127706 && v.date.zone_min == -360);
	assert_true(slice_eq(v.key[FACTS_BASE_SUBJECT], SLICE("hello world")));
	assert_true(slice_eq(v.key[FACTS_FROM_MAILBOX], SLICE("joerg")));
	assert_true(slice_eq(v.key[FACTS_FROM_DISPLAY], SLICE("J\xc3\xb6rg")));
	assert_true(slice_eq(v.key[FACTS_TO_DISPLAY], SLICE("A B")));
	assert_true(slice_eq(v.key[FACTS_CC_MAILBOX], SLICE("c")));
	assert_true(slice_eq(v.field[FACTS_SUBJECT], SLICE("=?utf-8?q?Re:_[l]?= hello world")));
	assert_null(v.field[FACTS_BCC].p);
	assert_true(slice_eq(v.message_id, SLICE("3@x")));
	refs = v.refs;
	assert_int_equal(facts_ref_next(&refs, &id), 0);
	assert_true(slice_eq(id, SLICE("1@x")));
	assert_int_equal(facts_ref_next(&refs, &id), 0);
	assert_true(slice_eq(id, SLICE("2@x")));
	assert_int_equal(facts_ref_next(&refs, &id), FACTS_LAST);
	assert_true(slice_eq(v.preview, SLICE("Hi")));
	parts = v.parts;
	assert_int_equal(facts_part_next(&parts, &p), 0);
	assert_int_equal(p.body_lines, 1);
	assert_int_equal(facts_part_next(&parts, &p), FACTS_LAST);
	buf_fini(&blob);
}

static void facts_see_attachments_and_inner_envelopes(void **state)
{
	static const char in[] =
	    MULTI("x") "--x\r\n\r\nhi\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
		       "Subject: inner\r\n\r\nbody\r\n--x\r\n"
		       "Content-Type: image/png; name=a.png\r\n\r\n..\r\n--x--\r\n";
	struct buf blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;
	struct facts_part p;
	unsigned n = 0;

	assert_int_equal(make(SLICE(in), &blob, &v), 0);
	assert_int_equal(v.flags, FACTS_ATTACHMENT);
	while (facts_part_next(&v.parts, &p) == 0)
		if (n++ == 3)
			assert_true(slice_eq(p.field[FACTS_SUBJECT], SLICE("inner")));
	assert_int_equal(n, 5);
	buf_fini(&blob);
}

static void facts_stay_small_and_say_what_is_missing(void **state)
{
	struct buf in = BUF_INIT(1 << 20), blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;

	buf_puts(&in, "Subject: s\r\nTo: ");
	for (unsigned i = 0; i < FACTS_FIELD_MAX; i++)
		buf_puts(&in, "a@b, ");
	buf_puts(&in, "\r\n" MULTI("x"));
	for (unsigned i = 0; i < MIME_PARTS_MAX; i++)
		buf_printf(
		    &in, "--x\r\nContent-Description: part number %u of many\r\n\r\ny\r\n", i);
	assert_int_equal(make(buf_slice(&in), &blob, &v), 0);
	assert_int_equal(v.flags, FACTS_NO_STRUCTURE | FACTS_CUT_ENVELOPE);
	assert_null(v.field[FACTS_TO].p);
	assert_true(slice_eq(v.field[FACTS_SUBJECT], SLICE("s")));
	assert_true(slice_eq(v.key[FACTS_TO_MAILBOX], SLICE("a")));
	assert_int_equal(v.part_count, 0);
	buf_fini(&in);
	buf_fini(&blob);
}

static void wide_facts_have_what_did_not_fit(void **state)
{
	struct facts_maker *m = facts_maker_new_wide();
	struct buf in = BUF_INIT(1 << 20), blob = BUF_INIT(FACTS_WIDE_MAX);
	struct facts_view v;

	assert_non_null(m);
	buf_puts(&in, "Subject: s\r\nTo: ");
	for (unsigned i = 0; i < FACTS_FIELD_MAX; i++)
		buf_puts(&in, "a@b, ");
	buf_puts(&in, "\r\n" MULTI("x"));
	for (unsigned i = 0; i < MIME_PARTS_MAX - 1; i++)
		buf_printf(
		    &in, "--x\r\nContent-Description: part number %u of many\r\n\r\ny\r\n", i);
	facts_maker_feed(m, buf_slice(&in));
	assert_int_equal(facts_maker_finish(m, &blob), 0);
	assert_true(blob.n > FACTS_MAX);
	assert_int_equal(facts_view(buf_slice(&blob), in.n, &v), 0);
	assert_int_equal(v.flags, 0);
	assert_int_equal(v.part_count, MIME_PARTS_MAX);
	assert_true(v.field[FACTS_TO].n > FACTS_FIELD_MAX);
	facts_maker_free(&m);
	buf_fini(&in);
	buf_fini(&blob);
}

static void facts_of_a_huge_header_keep_what_counts(void **state)
{
	struct buf in = BUF_INIT(1 << 20), blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;

	buf_puts(&in, "X-Long: ");
	for (unsigned i = 0; i < 2 * HEADER_KEEP_MAX; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, "\r\n");
	for (unsigned i = 0; i < 1000; i++)
		buf_puts(&in, "Received: from loop by loop\r\n");
	buf_puts(&in, "Subject: still here\r\n\r\nx");
	assert_int_equal(make(buf_slice(&in), &blob, &v), 0);
	assert_int_equal(v.flags, 0);
	assert_int_equal(v.received, 1000);
	assert_int_equal(v.body_start, in.n - 1);
	assert_true(slice_eq(v.field[FACTS_SUBJECT], SLICE("still here")));
	buf_fini(&in);
	buf_fini(&blob);
}

/* Every byte changed to several values, every length: refused, or safe to walk. */
static void hostile_facts_are_refused_or_safe(void **state)
{
	static const char in[] =
	    MULTI("x") "--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\nhi\r\n--x--\r\n";
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct buf blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;
	size_t n;

	assert_int_equal(make(SLICE(in), &blob, &v), 0);
	n = blob.n;
	assert_int_equal(facts_view(buf_slice(&blob), sizeof(in), &v), FACTS_BAD);
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *copy = malloc(cut + 1);

		memcpy(copy, blob.p, cut);
		/* Shorter by whole sections at the end is legal only as far as no structure is
		 * promised. */
		assert_int_not_equal(facts_view(slice_of(copy, cut), sizeof(in) - 1, &v), 0);
		free(copy);
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ROWS(values); k++) {
			uint8_t was = blob.p[i];
			struct facts_part p;

			blob.p[i] = values[k];
			if (facts_view(buf_slice(&blob), sizeof(in) - 1, &v) == 0)
				while (facts_part_next(&v.parts, &p) == 0)
					assert_true(
					    p.end <= sizeof(in) - 1 && p.body_start <= p.end);
			blob.p[i] = was;
		}
	}
	blob.p[1] = FACTS_VERSION + 1;
	assert_int_equal(facts_view(buf_slice(&blob), sizeof(in) - 1, &v), FACTS_OTHER);
	buf_fini(&blob);
}

static void put_head(struct buf *b, uint32_t flags)
{
	buf_reset(b);
	wire_put_u8(b, FACTS_MAGIC);
	wire_put_u8(b, FACTS_VERSION);
	wire_put_u16(b, 1);
	wire_put_u32(b, flags);
	wire_put_u64(b, 100);
	wire_put_u64(b, 10);
	for (unsigned i = 0; i < FACTS_HEAD - 24; i++)
		wire_put_u8(b, 0);
}

static void put_part(
    struct buf *b, uint8_t depth, uint8_t kind, uint64_t start, uint64_t header, uint64_t body)
{
	wire_put_u8(b, depth);
	wire_put_u8(b, kind);
	wire_put_u8(b, 0);
	facts_put_number(b, start);
	facts_put_number(b, header);
	facts_put_number(b, body);
	facts_put_number(b, 0);
	facts_put_number(b, 0);
	wire_put_u16(b, 1 << MIME_TYPE | 1 << MIME_SUBTYPE);
	facts_put_text(b, SLICE("a"));
	facts_put_text(b, SLICE("b"));
	wire_put_u16(b, 0);
}

/* Three parts in a message of 100 octets: what a liar may say of them, and what not. */
static const struct {
	const char *name;
	struct {
		uint8_t depth, kind;
		uint64_t start, header, body;
	} part[3];
	int want;
} lies[] = {
	{ "honest", { { 0, 1, 0, 10, 90 }, { 1, 0, 20, 5, 5 }, { 1, 0, 40, 5, 5 } }, 0 },
	{ "a message", { { 0, 2, 0, 10, 90 }, { 1, 1, 10, 5, 85 }, { 2, 0, 40, 5, 5 } }, 0 },
	{ "a root that is too short",
	    { { 0, 1, 0, 10, 80 }, { 1, 0, 20, 5, 5 }, { 1, 0, 40, 5, 5 } }, 1 },
	{ "a child past its parent",
	    { { 0, 1, 0, 10, 90 }, { 1, 1, 20, 5, 15 }, { 2, 0, 30, 5, 6 } }, 1 },
	{ "a child before its parent",
	    { { 0, 1, 0, 10, 90 }, { 1, 0, 9, 5, 5 }, { 1, 0, 40, 5, 5 } }, 1 },
	{ "siblings that overlap", { { 0, 1, 0, 10, 90 }, { 1, 0, 20, 5, 5 }, { 1, 0, 29, 5, 5 } },
	    1 },
	{ "a leaf with a child", { { 0, 0, 0, 10, 90 }, { 1, 0, 20, 5, 5 }, { 1, 0, 40, 5, 5 } },
	    1 },
	{ "two messages in one", { { 0, 2, 0, 10, 90 }, { 1, 0, 20, 5, 5 }, { 1, 0, 40, 5, 5 } },
	    1 },
	{ "a jump in depth", { { 0, 1, 0, 10, 90 }, { 1, 1, 20, 5, 50 }, { 3, 0, 40, 5, 5 } }, 1 },
	{ "two roots", { { 0, 1, 0, 10, 90 }, { 0, 1, 0, 10, 90 }, { 1, 0, 40, 5, 5 } }, 1 },
	{ "no such kind", { { 0, 3, 0, 10, 90 }, { 1, 0, 20, 5, 5 }, { 1, 0, 40, 5, 5 } }, 1 },
	{ "a sum that wraps",
	    { { 0, 1, 0, 10, 90 }, { 1, 0, 20, 1ull << 62, 3ull << 62 }, { 1, 0, 40, 5, 5 } }, 1 },
};

static void lies_about_parts_are_refused(void **state)
{
	struct buf blob = BUF_INIT(FACTS_MAX), parts = BUF_INIT(FACTS_MAX);
	struct facts_view v;

	for (size_t i = 0; i < ROWS(lies); i++) {
		int r;

		buf_reset(&parts);
		wire_put_u16(&parts, 3);
		for (unsigned k = 0; k < 3; k++)
			put_part(&parts, lies[i].part[k].depth, lies[i].part[k].kind,
			    lies[i].part[k].start, lies[i].part[k].header, lies[i].part[k].body);
		put_head(&blob, 0);
		wire_put_u8(&blob, FACTS_TAG_PARTS);
		wire_put_bytes(&blob, buf_slice(&parts));
		r = facts_view(buf_slice(&blob), 100, &v);
		if (r != lies[i].want)
			fail_msg("%s: %d", lies[i].name, r);
	}
	buf_fini(&parts);
	buf_fini(&blob);
}

/* Unknown tags are passed over; a known one comes once, in order. */
static void sections_come_in_order(void **state)
{
	struct buf blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;

	put_head(&blob, FACTS_NO_STRUCTURE);
	assert_int_equal(facts_view(buf_slice(&blob), 100, &v), 0);
	wire_put_u8(&blob, FACTS_TAG_PREVIEW);
	wire_put_bytes(&blob, SLICE("hi"));
	wire_put_u8(&blob, 200);
	wire_put_bytes(&blob, SLICE("later"));
	assert_int_equal(facts_view(buf_slice(&blob), 100, &v), 0);
	assert_true(slice_eq(v.preview, SLICE("hi")));
	wire_put_u8(&blob, 200);
	wire_put_bytes(&blob, SLICE("again"));
	assert_int_equal(facts_view(buf_slice(&blob), 100, &v), FACTS_BAD);
	put_head(&blob, FACTS_NO_STRUCTURE);
	wire_put_u8(&blob, 200);
	wire_put_bytes(&blob, SLICE("later"));
	wire_put_u8(&blob, FACTS_TAG_PREVIEW);
	wire_put_bytes(&blob, SLICE("hi"));
	assert_int_equal(facts_view(buf_slice(&blob), 100, &v), FACTS_BAD);
	buf_fini(&blob);
}

static void of_many_references_the_first_and_the_newest_stay(void **state)
{
	struct buf in = BUF_INIT(1 << 20), blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;
	struct slice id;
	unsigned n = 0;

	buf_puts(&in, "References:");
	for (unsigned i = 0; i < 100; i++)
		buf_printf(&in, " <%u@x>", i);
	buf_puts(&in, "\r\n\r\n");
	assert_int_equal(make(buf_slice(&in), &blob, &v), 0);
	assert_int_equal(v.flags, FACTS_CUT_REFS);
	while (facts_ref_next(&v.refs, &id) == 0) {
		if (n == 0)
			assert_true(slice_eq(id, SLICE("0@x")));
		if (n == 1)
			assert_true(slice_eq(id, SLICE("37@x")));
		n++;
	}
	assert_int_equal(n, FACTS_REF_COUNT_MAX);
	assert_true(slice_eq(id, SLICE("99@x")));
	buf_fini(&in);
	buf_fini(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_divide_as_listed),
		cmocka_unit_test(depth_and_number_are_bounded),
		cmocka_unit_test(facts_say_what_the_header_says),
		cmocka_unit_test(facts_see_attachments_and_inner_envelopes),
		cmocka_unit_test(facts_stay_small_and_say_what_is_missing),
		cmocka_unit_test(wide_facts_have_what_did_not_fit),
		cmocka_unit_test(facts_of_a_huge_header_keep_what_counts),
		cmocka_unit_test(bodies_are_told_exactly),
		cmocka_unit_test(lies_about_parts_are_refused),
		cmocka_unit_test(sections_come_in_order),
		cmocka_unit_test(of_many_references_the_first_and_the_newest_stay),
		cmocka_unit_test(hostile_facts_are_refused_or_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
