/* What gatehousectl reads of other mail stores: names and files of Maildirs, mboxes, line ends,
 * IMAP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/port/imap-text.h"
#include "common/mail/maildir-text.h"
#include "ctl/port/mbox-text.h"

#include <stdio.h>
#include <stdlib.h>

#define assert_slice(got, want)                                                                \
	do {                                                                                   \
		struct slice assert_got = (got), assert_want = slice_str(want);                \
		if (!slice_eq(assert_got, assert_want))                                        \
			fail_msg("%.*s is not %s", SLICE_FMT(assert_got), (const char *)want); \
	} while (0)

/* ---- Maildir ---- */

static void names_tell_flags(void **state)
{
	static const struct {
		const char *name, *base;
		uint32_t flags, letters;
		bool passed;
	} rows[] = {
		{ "1.a.host", "1.a.host", 0, 0, false },
		{ "1.a.host:2,", "1.a.host", 0, 0, false },
		{ "1.a.host,S=5:2,DFRST", "1.a.host,S=5", 31, 0, false },
		{ "1.a.host:2,PSac", "1.a.host", IPC_FLAG_SEEN, 5, true },
		{ "1.a.host:1,S", "1.a.host:1,S", 0, 0, false },
		{ "a:b:2,S", "a:b", IPC_FLAG_SEEN, 0, false },
		{ ":2,S", "", IPC_FLAG_SEEN, 0, false },
		{ "1:2,\xff\x01S", "1", IPC_FLAG_SEEN, 0, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct maildir_name m;

		maildir_name_parse(slice_str(rows[i].name), &m);
		assert_slice(m.base, rows[i].base);
		assert_int_equal(m.flags, rows[i].flags);
		assert_int_equal(m.letters, rows[i].letters);
		assert_int_equal(m.passed, rows[i].passed);
		assert_int_equal(m.uid, 0);
	}
}

static void our_names_come_back(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct maildir_name m;

	maildir_name_put(
	    &b, &(struct maildir_made){ 1700000000, 77, 12, 4000000000, 31, 1u << 25 | 1 });
	assert_slice(buf_slice(&b), "1700000000.U12V4000000000.gatehouse,S=77:2,DFRSTaz");
	maildir_name_parse(buf_slice(&b), &m);
	assert_true(m.uid == 12 && m.uidvalidity == 4000000000 && m.flags == 31 &&
		    m.letters == (1u << 25 | 1));
	maildir_name_parse(SLICE("1700.U12V5.gatehous,S=1:2,"), &m);
	assert_int_equal(m.uid, 0);
	maildir_name_parse(SLICE("x.U12V5.gatehouse,S=1:2,"), &m);
	assert_int_equal(m.uid, 0);
	buf_fini(&b);
}

static void uidlists(void **state)
{
	static const char v3[] = "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
				 "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"
				 "25017 W2481 :1276533073.M242911P3632.kurkku:2,F\n"
				 "nonsense\n0 :zero\n25018 W2481\n25019 :x y\n"
				 "25020 T00000000000000AB W1 T12 :t\n25021 T0000000000000Xab :u\n";
	struct buf b = BUF_INIT(200);
	struct uidlist_line line;
	struct uidlist l;

	assert_int_equal(uidlist_begin(slice_str(v3), &l), 0);
	assert_true(l.uidvalidity == 1275660208 && l.uidnext == 25022);
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_int_equal(line.uid, 25006);
	assert_slice(line.base, "1276528487.M364837P9451.kurkku,S=1355,W=1394");
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_slice(line.base, "1276533073.M242911P3632.kurkku");
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_int_equal(line.uid, 25019);
	assert_slice(line.base, "x y");
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_true(line.uid == 25020 && line.thread == 0xab);
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_true(line.uid == 25021 && line.thread == 0);
	assert_int_equal(uidlist_next(&l, &line), MAILDIR_END);
	assert_int_equal(l.bad, 3);
	assert_int_equal(uidlist_begin(SLICE("1 77 5\n1 a\n4 b:2,S\n"), &l), 0);
	assert_true(l.uidvalidity == 77 && l.uidnext == 5);
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_int_equal(uidlist_next(&l, &line), 0);
	assert_slice(line.base, "b");
	assert_int_equal(uidlist_begin(SLICE("2 V1 N1\n"), &l), MAILDIR_BAD);
	assert_int_equal(uidlist_begin(SLICE("3 N1\n"), &l), MAILDIR_BAD);
	assert_int_equal(uidlist_begin(SLICE("3 V99999999999\n"), &l), MAILDIR_BAD);
	assert_int_equal(uidlist_begin(SLICE_NONE, &l), MAILDIR_BAD);
	uidlist_put_head(&b, 5, 9);
	uidlist_put(&b, &(struct uidlist_line){ SLICE("one"), 7, 0 });
	uidlist_put(&b, &(struct uidlist_line){ SLICE("two"), 8, UINT64_MAX });
	assert_slice(buf_slice(&b), "3 V5 N9\n7 :one\n8 Tffffffffffffffff :two\n");
	buf_fini(&b);
}

static void folders(void **state)
{
	static const struct {
		const char *dir, *name; /* NULL: none */
	} rows[] = {
		{ "Work", "Work" },
		{ "Work.A&AOQ-b", "Work/A\xc3\xa4"
				  "b" },
		{ "Work\\2e1", "Work.1" },
		{ "a\\5cb", "a\\b" },
		{ "A &- B", "A & B" },
		{ "x\xc3\xa4", "x\xc3\xa4" },
		{ "x\xff", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a.", NULL },
		{ "", NULL },
		{ "a\\2fb", NULL },
		{ "a\\00b", NULL },
		{ "a\x01", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = BUF_INIT(1000), back = BUF_INIT(1000), again = BUF_INIT(1000);
		int r = maildir_folder_decode(slice_str(rows[i].dir), '.', &b);

		assert_int_equal(r, rows[i].name != NULL ? 0 : MAILDIR_BAD);
		assert_slice(buf_slice(&b), rows[i].name != NULL ? rows[i].name : "");
		if (r == 0) {
			maildir_folder_encode(buf_slice(&b), &back);
			assert_int_equal(maildir_folder_decode(buf_slice(&back), '.', &again), 0);
			assert_true(slice_eq(buf_slice(&again), buf_slice(&b)));
		}
		buf_fini(&b);
		buf_fini(&back);
		buf_fini(&again);
	}
}

static void subscriptions(void **state)
{
	static const char *const files[] = { "V\t2\n\nINBOX\nWork\tA&AOQ-b\n\xff\n",
		"INBOX\nWork.A&AOQ-b\n\xff\n" };

	for (int i = 0; i < 2; i++) {
		struct buf b = BUF_INIT(1000);
		struct slice raw;
		struct subs s;

		subs_begin(slice_str(files[i]), '.', &s);
		assert_int_equal(subs_next(&s, &b, &raw), 0);
		assert_slice(buf_slice(&b), "INBOX");
		buf_reset(&b);
		assert_int_equal(subs_next(&s, &b, &raw), 0);
		assert_slice(buf_slice(&b), "Work/A\xc3\xa4"
					    "b");
		buf_reset(&b);
		assert_int_equal(subs_next(&s, &b, &raw), -1);
		assert_slice(raw, "\xff");
		assert_int_equal(subs_next(&s, &b, &raw), MAILDIR_END);
		buf_fini(&b);
	}
}

static void keywords(void **state)
{
	struct slice v[MAILDIR_LETTERS];

	maildir_keywords_parse(SLICE("0 $Label1\n25 last\n26 beyond\n2\nx y\n"), v);
	assert_slice(v[0], "$Label1");
	assert_slice(v[25], "last");
	assert_int_equal(v[1].n + v[2].n, 0);
}

/* ---- line ends ---- */

static struct buf unpacked(struct unpack u, size_t room)
{
	struct buf b = BUF_INIT(1 << 20);
	uint8_t space[4096];
	size_t n;

	while ((n = unpack_next(&u, space, room)) > 0)
		buf_put(&b, slice_of(space, n));
	return b;
}

static void line_ends(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "a\nb\n", "a\r\nb\r\n" },
		{ "a\r\nb", "a\r\nb" },
		{ "\n\n", "\r\n\r\n" },
		{ "a\rb\n", "a\rb\r\n" },
		{ "a\r", "a\r" },
		{ "a\r\r\n", "a\r\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t room = 1; room < 6; room++) {
			struct buf b = unpacked(unpack_lines(slice_str(rows[i].in)), room);
			struct buf as_is = unpacked(unpack_exact(slice_str(rows[i].in)), room);

			assert_slice(buf_slice(&b), rows[i].out);
			assert_slice(buf_slice(&as_is), rows[i].in);
			buf_fini(&b);
			buf_fini(&as_is);
		}
	}
}

/* ---- mbox ---- */

#define FROM "From a@b Thu Nov 24 18:22:48 1986\n"

static const struct {
	const char *what, *in;
	enum mbox_variant variant;
	const char *out[4]; /* the messages */
} boxes[] = {
	{ "one", FROM "A: b\n\ntext\n\n", MBOX_AUTO, { "A: b\r\n\r\ntext\r\n" } },
	{ "no last empty line", FROM "A: b\n\ntext\n", MBOX_AUTO, { "A: b\r\n\r\ntext\r\n" } },
	{ "two", FROM "A: b\n\nx\n\n" FROM "C: d\n\ny\n\n", MBOX_AUTO,
	    { "A: b\r\n\r\nx\r\n", "C: d\r\n\r\ny\r\n" } },
	{ "no body", FROM "A: b\n\n\n" FROM "C: d\n\n" FROM "E: f\n\n\n", MBOX_AUTO,
	    { "A: b\r\n\r\n", "C: d\r\n", "E: f\r\n\r\n" } },
	{ "CR LF",
	    "From a@b Thu Nov 24 18:22:48 1986\r\nA: b\r\n\r\nx\r\n\r\nFrom a Thu Nov 24 18:22:48 "
	    "1986\r\nC: d\r\n\r\ny\r\n",
	    MBOX_AUTO, { "A: b\r\n\r\nx\r\n", "C: d\r\n\r\ny\r\n" } },
	{ "mboxrd", FROM "A: b\n\n>From x\n>>From y\n> From z\n\n", MBOX_RD,
	    { "A: b\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n" } },
	{ "mboxo", FROM "A: b\n\n>From x\n>>From y\n\n", MBOX_O,
	    { "A: b\r\n\r\nFrom x\r\n>>From y\r\n" } },
	{ "mboxcl2",
	    FROM "Content-Length: 43\n\nx\n\nFrom q@r Thu Nov 24 18:22:48 1986\n>From\n\n" FROM
		 "C: d\n\n>From y\n",
	    MBOX_AUTO,
	    { "\r\nx\r\n\r\nFrom q@r Thu Nov 24 18:22:48 1986\r\n>From\r\n",
		"C: d\r\n\r\n>From y\r\n" } },
	{ "mboxcl, found out", FROM "Content-Length: 8\n\n>From x\n\n", MBOX_AUTO,
	    { "\r\nFrom x\r\n" } },
	{ "a length that is a lie", FROM "A: b\nContent-Length: 3\n\ntext\n\n" FROM "C: d\n\ny\n\n",
	    MBOX_AUTO, { "A: b\r\nContent-Length: 3\r\n\r\ntext\r\n", "C: d\r\n\r\ny\r\n" } },
	{ "a length beyond the end", FROM "Content-Length: 99999\n\ntext\n\n", MBOX_CL,
	    { "Content-Length: 99999\r\n\r\ntext\r\n" } },
	{ "no From line without a date", FROM "A: b\n\nx\n\nFrom here to eternity\n\n", MBOX_AUTO,
	    { "A: b\r\n\r\nx\r\n\r\nFrom here to eternity\r\n" } },
	{ "no From line within a paragraph", FROM "A: b\n\nx\n" FROM "y\n", MBOX_AUTO,
	    { "A: b\r\n\r\nx\r\nFrom a@b Thu Nov 24 18:22:48 1986\r\ny\r\n" } },
	{ "private fields",
	    FROM
	    "Status: RO\nX-Status: AF\nX-UID: 7\nX-Keywords: a  b   \nStatus: open\nA: b\n\nx\n",
	    MBOX_AUTO, { "Status: open\r\nA: b\r\n\r\nx\r\n" } },
	{ "the message's own stay", FROM "Status: RO\nA: b\nStatus: R\n\nx\n", MBOX_AUTO,
	    { "A: b\r\nStatus: R\r\n\r\nx\r\n" } },
	{ "two empty lines at the end", FROM "A: b\n\nx\n\n\n" FROM "C: d\n\ny\n\n\n", MBOX_AUTO,
	    { "A: b\r\n\r\nx\r\n\r\n", "C: d\r\n\r\ny\r\n\r\n" } },
};

static void mboxes(void **state)
{
	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++) {
		struct mbox_reader r;
		struct mbox_message m;
		size_t n = 0;

		assert_int_equal(mbox_begin(slice_str(boxes[i].in), boxes[i].variant, &r), 0);
		while (mbox_next(&r, &m) == 0) {
			struct buf b = unpacked(m.unpack, 4096);

			if (n == 4 || boxes[i].out[n] == NULL ||
			    !slice_eq(buf_slice(&b), slice_str(boxes[i].out[n])))
				fail_msg("%s: message %zu is %.*s", boxes[i].what, n,
				    SLICE_FMT(buf_slice(&b)));
			assert_true(m.has_date);
			assert_int_equal(m.date_s, 533240568);
			buf_fini(&b);
			n++;
		}
		if (n < 4 && boxes[i].out[n] != NULL)
			fail_msg("%s: %zu messages", boxes[i].what, n);
	}
}

static void from_lines(void **state)
{
	static const struct {
		const char *line;
		int64_t date;
		bool zone;
	} rows[] = {
		{ "From a@b Thu Nov 24 18:22:48 1986", 533240568, false },
		{ "From  Thu Nov 24 18:22 1986", 533240520, false },
		{ "From \"a b\"@c  Thu Nov  4 18:22:48 1986", 531512568, false },
		{ "From a@b Thu Nov 24 18:22:48 1986 +0100", 533236968, true },
		{ "From a@b Thu Nov 24 18:22:48 +0100 1986", 533236968, true },
		{ "From a@b Thu Nov 24 18:22:48 EST 1986", 533258568, true },
		{ "From a@b Thu Nov 24 18:22:48 1986 remote from x", 533240568, false },
		{ "From a@b", 0, false },
		{ "From a@b Thu Nov 24 1986", 0, false },
		{ "From a@b Thu Nov 99 18:22:48 1986", 0, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mbox_reader r;
		struct mbox_message m;

		assert_int_equal(mbox_begin(slice_str(rows[i].line), MBOX_AUTO, &r), 0);
		assert_int_equal(mbox_next(&r, &m), 0);
		if (m.has_date != (rows[i].date != 0) || m.date_s != rows[i].date)
			fail_msg("%s: %lld", rows[i].line, (long long)m.date_s);
		if (i < 6)
			assert_int_equal(m.has_zone, rows[i].zone);
	}
}

static void private_fields(void **state)
{
	struct mbox_reader r;
	struct mbox_message m;

	mbox_begin(SLICE(FROM "X-IMAPbase: 1234 99 a b\nStatus: RO\nX-Status: AFDT\nX-UID: "
			      "7\nX-Keywords: a  b\n\nx\n\n" FROM "Status: O\nX-UID: x\n\ny\n"),
	    MBOX_AUTO, &r);
	assert_int_equal(mbox_next(&r, &m), 0);
	assert_true(
	    r.uidvalidity == 1234 && r.uidlast == 99 && m.uid == 7 && m.flags == 31 && !m.internal);
	assert_slice(m.keywords, "a  b");
	assert_int_equal(mbox_next(&r, &m), 0);
	assert_true(m.uid == 0 && m.flags == 0);
	mbox_begin(SLICE(FROM "X-IMAP: 1234 99\nSubject: DON'T DELETE\n\nx\n\n"), MBOX_AUTO, &r);
	assert_int_equal(mbox_next(&r, &m), 0);
	assert_true(m.internal && r.uidvalidity == 1234);
	assert_int_equal(mbox_begin(SLICE("no mbox\n"), MBOX_AUTO, &r), MBOX_BAD);
	assert_int_equal(mbox_begin(SLICE_NONE, MBOX_AUTO, &r), 0);
	assert_int_equal(mbox_next(&r, &m), MBOX_END);
}

static const char *const texts[] = { "A: b\r\n\r\nx\r\n", "A: b\r\n", "A: b\r\n\r\n", "\r\nx\r\n",
	"A: b\r\n\r\nFrom x Thu Nov 24 18:22:48 1986\r\n>From y\r\n>>From\r\nFrom z\r\n\r\n",
	"A: b\r\n\r\n\r\nFrom q Thu Nov 24 18:22:48 1986\r\n\r\n\r\n",
	"Status: RO\r\nX-UID: 3\r\n\r\nx\r\n", "From \r\n", "FFrom F\r\n\r\nFro\r\n",
	"A: b\r\n\r\na\rb\r\n", "Content-Length: 1\r\n\r\n\r\n\r\n" };

static void put_one(struct buf *out, enum mbox_variant v, size_t i, struct slice text, size_t step)
{
	struct mbox_pack p = mbox_pack(v);
	struct mbox_put put = { 533240568, (uint32_t)i & 31, (uint32_t)i + 5, i == 0 ? 77 : 0,
		i == 0 ? 99 : 0, SLICE("k1 k2") };
	size_t length, base = out->n;
	struct buf head = BUF_INIT(1000), body = BUF_INIT(4096);
	char digits[MBOX_LENGTH_DIGITS + 1];

	mbox_put_begin(&head, v, &put, &length);
	for (size_t at = 0; at < text.n; at += step)
		mbox_pack_feed(&p, slice_part(text, at, step), &body);
	mbox_pack_end(&p, &body);
	buf_put(out, buf_slice(&head));
	buf_put(out, buf_slice(&body));
	mbox_put_end(&p, out);
	if (length > 0 && p.body > 0) {
		snprintf(digits, sizeof(digits), "%*llu", MBOX_LENGTH_DIGITS,
		    (unsigned long long)mbox_pack_body(&p));
		memcpy(out->p + base + length, digits, MBOX_LENGTH_DIGITS);
	}
	buf_fini(&head);
	buf_fini(&body);
}

/* What is written is read as the same, whatever stands in it; mboxo alone cannot. */
static void what_is_written_comes_back(void **state)
{
	static const enum mbox_variant variants[] = { MBOX_RD, MBOX_CL, MBOX_CL2 };
	const size_t n = sizeof(texts) / sizeof(texts[0]);

	for (size_t k = 0; k < 3 * 3; k++) {
		enum mbox_variant v = variants[k % 3];
		struct buf b = BUF_INIT(1 << 20);
		struct mbox_reader r;
		struct mbox_message m;

		for (size_t i = 0; i < n; i++)
			put_one(&b, v, i, slice_str(texts[i]), k / 3 == 0 ? 1 : k / 3 * 7);
		assert_int_equal(mbox_begin(buf_slice(&b), v, &r), 0);
		for (size_t i = 0; i < n; i++) {
			struct buf got;

			assert_int_equal(mbox_next(&r, &m), 0);
			got = unpacked(m.unpack, 7);
			if (!slice_eq(buf_slice(&got), slice_str(texts[i])))
				fail_msg(
				    "variant %d, text %zu: %.*s", v, i, SLICE_FMT(buf_slice(&got)));
			assert_int_equal(m.flags, i & 31);
			assert_int_equal(m.uid, i + 5);
			assert_slice(m.keywords, "k1 k2");
			assert_int_equal(m.date_s, 533240568);
			buf_fini(&got);
		}
		assert_int_equal(mbox_next(&r, &m), MBOX_END);
		assert_true(r.uidvalidity == 77 && r.uidlast == 99);
		buf_fini(&b);
	}
}

/* ---- IMAP ---- */

static void responses_end_where_they_end(void **state)
{
	static const struct {
		const char *in;
		int r;
		size_t n;
	} rows[] = {
		{ "* OK hi\r\n* X\r\n", 0, 9 },
		{ "* OK hi", IMAP_MORE, 0 },
		{ "* 1 FETCH (BODY[] {5}\r\nab\ncd)\r\n", 0, 31 },
		{ "* 1 FETCH (BODY[] {5}\r\nab", IMAP_MORE, 0 },
		{ "* 1 FETCH (BODY[] {99999999999}\r\n", 0, 33 },
		{ "* 1 FETCH (BODY[] {500}\r\n", IMAP_BAD, 0 },
		{ "* X {0}\r\n{3}\r\nabc\r\n", 0, 19 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct imap_scan whole = { 0 }, parts = { 0 };
		struct slice in = slice_str(rows[i].in);
		size_t n = 0, n_parts = 0;
		int r = imap_scan(&whole, in, 100, &n), r_parts = IMAP_MORE;

		for (size_t k = 0; k <= in.n && r_parts == IMAP_MORE; k++)
			r_parts = imap_scan(&parts, slice_part(in, 0, k), 100, &n_parts);
		assert_int_equal(r, rows[i].r);
		assert_int_equal(n, rows[i].n);
		assert_int_equal(r_parts, r);
		assert_int_equal(n_parts, n);
	}
}

static void fetches(void **state)
{
	struct imap_fetch f;
	struct buf k = BUF_INIT(1000);

	assert_int_equal(
	    imap_fetch_parse(
		SLICE("(UID 7 FLAGS (\\Seen \\Recent $a \\Draft b) RFC822.SIZE 99 INTERNALDATE "
		      "\"24-Nov-1986 18:22:48 +0000\" X (a (b) \"c)\") MODSEQ (5) BODY[] "
		      "{3}\r\na\"b)"),
		&f, &k),
	    0);
	assert_true(f.uid == 7 && f.flags == (IPC_FLAG_SEEN | IPC_FLAG_DRAFT) && f.size == 99 &&
		    f.has_date && f.date_s == 533240568);
	assert_slice(buf_slice(&k), "$a b");
	assert_slice(f.body, "a\"b");
	assert_int_equal(imap_fetch_parse(SLICE("(BODY[]<0> \"abc\")"), &f, &k), 0);
	assert_slice(f.body, "abc");
	assert_int_equal(imap_fetch_parse(SLICE("(BODY[] NIL UID 4)"), &f, &k), 0);
	assert_true(!f.has_body && f.uid == 4);
	assert_int_equal(imap_fetch_parse(SLICE("(UID 7"), &f, &k), IMAP_BAD);
	assert_int_equal(imap_fetch_parse(SLICE("(UID x)"), &f, &k), IMAP_BAD);
	assert_int_equal(imap_fetch_parse(SLICE("(BODY[] {9}\r\nabc)"), &f, &k), IMAP_BAD);
	assert_int_equal(imap_fetch_parse(SLICE(""), &f, &k), IMAP_BAD);
	buf_fini(&k);
}

static void lists(void **state)
{
	static const struct {
		const char *in, *raw, *name; /* name NULL: none */
		bool noselect;
	} rows[] = {
		{ "(\\HasNoChildren) \"/\" Work/A", "Work/A", "Work/A", false },
		{ "(\\NoSelect) \".\" \"Work.A&AOQ-b\"", "Work.A&AOQ-b",
		    "Work/A\xc3\xa4"
		    "b",
		    true },
		{ "() \"\\\\\" a\\b", "a\\b", "a/b", false },
		{ "() NIL a/b", "a/b", NULL, false },
		{ "() NIL a.b", "a.b", "a.b", false },
		{ "() \"/\" {4}\r\na\"\\b", "a\"\\b", "a\"\\b", false },
		{ "() \"/\" \"a\\\"b\"", "a\"b", "a\"b", false },
		{ "() \".\" inbox", "inbox", "INBOX", false },
		{ "() \".\" a/b", "a/b", NULL, false },
		{ "() \"/\" a//b", "a//b", NULL, false },
		{ "() \"/\" \"\"", "", NULL, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf raw = BUF_INIT(1000), name = BUF_INIT(1000);
		bool noselect;
		int r = imap_list_parse(slice_str(rows[i].in), &raw, &name, &noselect);

		if ((r == 0) != (rows[i].name != NULL))
			fail_msg("%s: %d", rows[i].in, r);
		assert_slice(buf_slice(&raw), rows[i].raw);
		if (r == 0)
			assert_slice(buf_slice(&name), rows[i].name);
		assert_int_equal(noselect, rows[i].noselect);
		buf_fini(&raw);
		buf_fini(&name);
	}
}

static void response_kinds(void **state)
{
	struct imap_response r;
	uint32_t n = 0;

	assert_int_equal(imap_response_parse(SLICE("* 12 EXISTS\r\n"), &r), 0);
	assert_true(r.kind == IMAP_UNTAGGED && r.number == 12);
	assert_slice(r.name, "EXISTS");
	assert_int_equal(imap_response_parse(SLICE("a1 OK [X] done\r\n"), &r), 0);
	assert_int_equal(r.kind, IMAP_TAGGED_OK);
	assert_int_equal(imap_response_parse(SLICE("a1 no way\r\n"), &r), 0);
	assert_int_equal(r.kind, IMAP_TAGGED_NO);
	assert_int_equal(imap_response_parse(SLICE("+ go\r\n"), &r), 0);
	assert_int_equal(r.kind, IMAP_CONTINUE);
	assert_int_equal(imap_response_parse(SLICE("* OK [UIDVALIDITY 77] x\r\n"), &r), 0);
	assert_true(imap_code_number(r.rest, SLICE("uidvalidity"), &n) && n == 77);
	assert_false(imap_code_number(r.rest, SLICE("UIDNEXT"), &n));
	assert_int_equal(imap_response_parse(SLICE("\r\n"), &r), IMAP_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_tell_flags),
		cmocka_unit_test(our_names_come_back),
		cmocka_unit_test(uidlists),
		cmocka_unit_test(folders),
		cmocka_unit_test(subscriptions),
		cmocka_unit_test(keywords),
		cmocka_unit_test(line_ends),
		cmocka_unit_test(mboxes),
		cmocka_unit_test(from_lines),
		cmocka_unit_test(private_fields),
		cmocka_unit_test(what_is_written_comes_back),
		cmocka_unit_test(responses_end_where_they_end),
		cmocka_unit_test(fetches),
		cmocka_unit_test(lists),
		cmocka_unit_test(response_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
