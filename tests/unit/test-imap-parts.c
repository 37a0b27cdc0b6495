/* ENVELOPE, BODYSTRUCTURE, sections, the sieve of header fields and encodings. */
#include "common/base/wire.h"
#include "protocols/imap/envelope.h"
#include "protocols/imap/section.h"
#include "protocols/imap/sift.h"
#include "tests/unit/imap-rebuild.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void same(const char *name, struct slice got, const char *want)
{
	if (!slice_eq(got, slice_str(want)))
		fail_msg("%s: got '%.*s', want '%s'", name, SLICE_FMT(got), want);
}

static void facts_of(struct slice message, struct buf *blob, struct facts_view *ret_view)
{
	struct facts_maker *m = facts_maker_new_wide();

	assert_non_null(m);
	facts_maker_feed(m, message);
	assert_int_equal(facts_maker_finish(m, blob), 0);
	assert_int_equal(facts_view(buf_slice(blob), message.n, ret_view), 0);
	facts_maker_free(&m);
}

/* ---- ENVELOPE ----------------------------------------------------------------------------------
 */

static const struct {
	const char *name, *in, *want;
} envelopes[] = {
	{ "nothing", "\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "fields that are there but empty (RFC 3501 7.4.2)",
	    "Date:\r\nSubject: \r\nFrom:\r\nTo: \r\nIn-Reply-To:\r\nMessage-Id:\r\n\r\n",
	    "(\"\" \"\" NIL NIL NIL NIL NIL NIL \"\" \"\")" },
	{ "From stands in for Sender and Reply-To",
	    "Date: d\r\nSubject: s\r\nFrom: A <a@b>\r\n\r\n",
	    "(\"d\" \"s\" ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" "
	    "\"b\")) NIL NIL NIL NIL NIL)" },
	{ "also when they are empty", "From: a@b\r\nSender:\r\nReply-To: ,\r\n\r\n",
	    "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL "
	    "NIL "
	    "NIL NIL NIL)" },
	{ "but not when they say something", "From: a@b\r\nSender: c@d\r\nReply-To: e@f\r\n\r\n",
	    "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"e\" \"f\")) NIL "
	    "NIL "
	    "NIL NIL NIL)" },
	{ "lists, each with its own field",
	    "To: a@b, X <c@d>\r\nCc: e@f\r\nBcc: g@h\r\nIn-Reply-To: <1@x>\r\nMessage-ID: "
	    "<2@x>\r\n\r\n",
	    "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(\"X\" NIL \"c\" \"d\")) ((NIL NIL \"e\" "
	    "\"f\")) ((NIL NIL \"g\" \"h\")) \"<1@x>\" \"<2@x>\")" },
	{ "groups", "To: G: a@b, c@d;, e@f\r\nCc: none:;\r\n\r\n",
	    "(NIL NIL NIL NIL NIL ((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" "
	    "\"d\")(NIL NIL "
	    "NIL NIL)(NIL NIL \"e\" \"f\")) ((NIL NIL \"none\" NIL)(NIL NIL NIL NIL)) NIL NIL "
	    "NIL)" },
	{ "encoded words stay as they are",
	    "Subject: =?utf-8?q?J=C3=B6rg?=\r\nFrom: =?utf-8?q?J?= <j@x>\r\n\r\n",
	    "(NIL \"=?utf-8?q?J=C3=B6rg?=\" ((\"=?utf-8?q?J?=\" NIL \"j\" \"x\")) "
	    "((\"=?utf-8?q?J?=\" NIL "
	    "\"j\" \"x\")) ((\"=?utf-8?q?J?=\" NIL \"j\" \"x\")) NIL NIL NIL NIL NIL)" },
	{ "folds are undone", "Subject: a\r\n b\r\n\tc\r\n\r\n",
	    "(NIL \"a b\tc\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "quotes are escaped", "Subject: \"a\\b\"\r\nTo: \"x\\\"y\" <a@b>\r\n\r\n",
	    "(NIL \"\\\"a\\\\b\\\"\" NIL NIL NIL ((\"x\\\"y\" NIL \"a\" \"b\")) NIL NIL NIL NIL)" },
	{ "a route", "To: <@r.x:a@b>\r\n\r\n",
	    "(NIL NIL NIL NIL NIL ((NIL \"@r.x\" \"a\" \"b\")) NIL NIL NIL NIL)" },
	{ "a missing host is no group", "To: someone\r\n\r\n",
	    "(NIL NIL NIL NIL NIL ((NIL NIL \"someone\" \"\")) NIL NIL NIL NIL)" },
	{ "8-bit text goes in a literal", "Subject: \xc3\xa4\r\n\r\n",
	    "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "the first of two counts", "Subject: a\r\nSubject: b\r\n\r\n",
	    "(NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
};

static void envelopes_read_as_listed(void **state)
{
	for (size_t i = 0; i < ROWS(envelopes); i++) {
		struct address_iter it;
		struct buf blob = BUF_INIT(FACTS_WIDE_MAX), out = BUF_INIT(1 << 16);
		struct writer w = writer(&out, false);
		struct facts_view v;

		facts_of(slice_str(envelopes[i].in), &blob, &v);
		envelope_write(&w, v.field, &it);
		same(envelopes[i].name, buf_slice(&out), envelopes[i].want);
		buf_fini(&blob);
		buf_fini(&out);
	}
}

static void utf8_clients_get_utf8(void **state)
{
	struct address_iter it;
	struct buf blob = BUF_INIT(FACTS_WIDE_MAX), out = BUF_INIT(1 << 16);
	struct writer w = writer(&out, true);
	struct facts_view v;

	facts_of(SLICE("Subject: \xc3\xa4\r\nTo: \xc3\xa4@\xc3\xb6\r\n\r\n"), &blob, &v);
	envelope_write(&w, v.field, &it);
	same("UTF8=ACCEPT", buf_slice(&out),
	    "(NIL \"\xc3\xa4\" NIL NIL NIL ((NIL NIL \"\xc3\xa4\" \"\xc3\xb6\")) NIL NIL NIL NIL)");
	buf_fini(&blob);
	buf_fini(&out);
}

/* ---- BODYSTRUCTURE ------------------------------------------------------------------------------
 */

#define MULTI(b) "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"
#define PLAIN    "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\""

static const struct {
	const char *name, *in, *body, *extended; /* NULL: not looked at */
} structures[] = {
	{ "no MIME at all", "Subject: x\r\n\r\none\r\ntwo\r\n", "(" PLAIN " 10 2)",
	    "(" PLAIN " 10 2 NIL NIL NIL NIL)" },
	{ "everything a part can say",
	    "Content-Type: image/png; name=\"a b.png\"\r\nContent-ID: "
	    "<i@x>\r\nContent-Description: d\r\n"
	    "Content-Transfer-Encoding: base64\r\nContent-MD5: m\r\nContent-Disposition: "
	    "attachment; "
	    "filename=x; size=3\r\nContent-Language: de\r\nContent-Location: u\r\n\r\nAAAA",
	    "(\"image\" \"png\" (\"name\" \"a b.png\") \"<i@x>\" \"d\" \"base64\" 4)",
	    "(\"image\" \"png\" (\"name\" \"a b.png\") \"<i@x>\" \"d\" \"base64\" 4 \"m\" "
	    "(\"attachment\" (\"filename\" \"x\" \"size\" \"3\")) \"de\" \"u\")" },
	{ "several languages", "Content-Language: de, en (x), \r\n\r\n", NULL,
	    "(" PLAIN " 0 0 NIL NIL (\"de\" \"en\") NIL)" },
	{ "an empty language", "Content-Language: ,\r\n\r\n", NULL,
	    "(" PLAIN " 0 0 NIL NIL NIL NIL)" },
	{ "a disposition without parameters", "Content-Disposition: inline\r\n\r\n", NULL,
	    "(" PLAIN " 0 0 NIL (\"inline\" NIL) NIL NIL)" },
	{ "parameters as written (RFC 2231)",
	    "Content-Type: a/b; name*0*=utf-8''a%20; name*1=b; x=y\r\n\r\n",
	    "(\"a\" \"b\" (\"name*0*\" \"utf-8''a%20\" \"name*1\" \"b\" \"x\" \"y\") NIL NIL "
	    "\"7bit\" 0)",
	    NULL },
	{ "a type that cannot be read", "Content-Type: nonsense\r\n\r\n", "(" PLAIN " 0 0)", NULL },
	{ "two parts",
	    MULTI("x") "pre\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: "
		       "text/html\r\n\r\ntwo\r\nthree\r\n\r\n--x--\r\nepi\r\n",
	    "((" PLAIN " 3 0)(\"text\" \"html\" NIL NIL NIL \"7bit\" 12 2) \"mixed\")",
	    "((" PLAIN
	    " 3 0 NIL NIL NIL NIL)(\"text\" \"html\" NIL NIL NIL \"7bit\" 12 2 NIL NIL NIL NIL) "
	    "\"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "a multipart inside",
	    MULTI("x") "--x\r\n" MULTI("y") "--y\r\n\r\na\r\n--y--\r\n--x--\r\n",
	    "(((" PLAIN " 1 0) \"mixed\") \"mixed\")", NULL },
	{ "a multipart without parts shows its body", MULTI("x") "lost\r\ntext\r\n",
	    "((" PLAIN " 12 2) \"mixed\")",
	    "((" PLAIN " 12 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "a multipart without boundary", "Content-Type: multipart/alternative\r\n\r\nx",
	    "((" PLAIN " 1 0) \"alternative\")", NULL },
	{ "a message inside",
	    "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\n\r\nx\r\n",
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 29 (NIL \"in\" ((NIL NIL \"a\" \"b\")) "
	    "((NIL NIL "
	    "\"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) (" PLAIN " 3 1) 4)",
	    NULL },
	{ "a digest",
	    "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: "
	    "d\r\n\r\nb\r\n--x--\r\n",
	    "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"d\" NIL NIL NIL NIL NIL NIL "
	    "NIL NIL) "
	    "(" PLAIN " 1 0) 2) \"digest\")",
	    NULL },
	{ "message/global is no message for RFC 3501",
	    "Content-Type: message/global\r\n\r\nSubject: x\r\n\r\n",
	    "(\"message\" \"global\" NIL NIL NIL \"7bit\" 14)", NULL },
	{ "a quote in a parameter", "Content-Type: a/b; c=\"d\\\"e\"\r\n\r\n",
	    "(\"a\" \"b\" (\"c\" \"d\\\"e\") NIL NIL \"7bit\" 0)", NULL },
	{ "an 8-bit parameter", "Content-Type: a/b; c=\xe4\r\n\r\n",
	    "(\"a\" \"b\" (\"c\" {1}\r\n\xe4) NIL NIL \"7bit\" 0)", NULL },
};

static void structures_read_as_listed(void **state)
{
	for (size_t i = 0; i < ROWS(structures); i++) {
		struct address_iter it;
		struct buf blob = BUF_INIT(FACTS_WIDE_MAX), out = BUF_INIT(1 << 16);
		struct writer w = writer(&out, false);
		struct facts_view v;

		facts_of(slice_str(structures[i].in), &blob, &v);
		structure_write(&w, &v, false, &it);
		if (structures[i].body != NULL)
			same(structures[i].name, buf_slice(&out), structures[i].body);
		buf_reset(&out);
		w.gap = WRITE_NO_GAP;
		structure_write(&w, &v, true, &it);
		if (structures[i].extended != NULL)
			same(structures[i].name, buf_slice(&out), structures[i].extended);
		buf_fini(&blob);
		buf_fini(&out);
	}
}

static void params_of_old_facts_are_encoded_again(void **state)
{
	struct address_iter it;
	struct buf blob = BUF_INIT(FACTS_WIDE_MAX), out = BUF_INIT(1 << 16);
	struct writer w = writer(&out, true);
	struct facts_view v;
	uint8_t *p;

	facts_of(SLICE("Content-Type: a/b; n*=iso-8859-1''%FC\r\n\r\n"), &blob, &v);
	/* As maker 1 made them: the piece as written is another, plain parameter. */
	p = memmem(blob.p, blob.n, "n*iso-8859-1''%FC", 17);
	assert_non_null(p);
	assert_int_equal(p[-4], 8);
	p[-4] = 0;
	p = memmem(blob.p, blob.n, "n\xc3\xbc", 3);
	assert_non_null(p);
	assert_int_equal(p[-4], 5);
	p[-4] = 1;
	assert_int_equal(facts_view(buf_slice(&blob), v.size, &v), 0);
	structure_write(&w, &v, false, &it);
	same("again", buf_slice(&out),
	    "(\"a\" \"b\" (\"n*\" \"utf-8''%C3%BC\" \"n*\" \"iso-8859-1''%FC\") NIL NIL \"7bit\" "
	    "0)");
	buf_fini(&blob);
	buf_fini(&out);
}

/* ---- sections
 * ------------------------------------------------------------------------------------ */

/* Parts of RFC 3501 6.4.5's example, each with its name as its body. */
static const char tree[] = MULTI(
    "a") "--a\r\nX: 1\r\n\r\none\r\n--a\r\nX: 2\r\n\r\ntwo\r\n--a\r\n"
	 "X: 3\r\nContent-Type: message/rfc822\r\n\r\nSubject: three\r\n" MULTI(
	     "b") "--b\r\nX: 3.1\r\n\r\n31\r\n"
		  "--b\r\nX: 3.2\r\n\r\n32\r\n--b--\r\n--a\r\nX: 4\r\n" MULTI(
		      "c") "--c\r\nX: 4.1\r\n\r\n41\r\n--c\r\n"
			   "X: 4.2\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: "
			   "8BIT\r\n\r\nSubject: 4.2\r\n\r\n421\r\n"
			   "--c--\r\n--a--\r\n";
static const char flat[] = "Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n";
static const char empty[] = MULTI("x") "nothing";
static const char forwarded[] = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n";

/* NULL: there is none. */
static const struct {
	const char *message, *section, *want;
} sections[] = {
	{ tree, "1", "one" },
	{ tree, "2", "two" },
	{ tree, "1.MIME", "X: 1\r\n\r\n" },
	{ tree, "1.1", NULL },
	{ tree, "1.HEADER", NULL },
	{ tree, "1.TEXT", NULL },
	{ tree, "3.HEADER", "Subject: three\r\n" MULTI("b") },
	{ tree, "3.HEADER.FIELDS", "Subject: three\r\n" MULTI("b") },
	{ tree, "3.TEXT", "--b\r\nX: 3.1\r\n\r\n31\r\n--b\r\nX: 3.2\r\n\r\n32\r\n--b--" },
	{ tree, "3.1", "31" },
	{ tree, "3.2", "32" },
	{ tree, "3.2.MIME", "X: 3.2\r\n\r\n" },
	{ tree, "3.3", NULL },
	{ tree, "4.MIME", "X: 4\r\n" MULTI("c") },
	{ tree, "4.HEADER", NULL },
	{ tree, "4.1", "41" },
	{ tree, "4.2", "Subject: 4.2\r\n\r\n421" },
	{ tree, "4.2.HEADER", "Subject: 4.2\r\n\r\n" },
	{ tree, "4.2.TEXT", "421" },
	{ tree, "4.2.1", "421" },
	{ tree, "4.2.1.MIME", "Subject: 4.2\r\n\r\n" },
	{ tree, "4.2.1.1", NULL },
	{ tree, "4.2.2", NULL },
	{ tree, "5", NULL },
	{ tree, "4294967295", NULL },
	{ flat, "", flat },
	{ flat, "HEADER", "Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\n" },
	{ flat, "TEXT", "YQ==\r\n" },
	{ flat, "1", "YQ==\r\n" },
	{ flat, "1.MIME", "Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\n" },
	{ flat, "1.HEADER", NULL },
	{ flat, "1.1", NULL },
	{ flat, "2", NULL },
	{ empty, "1", "nothing" },
	{ empty, "1.MIME", "" },
	{ empty, "1.1", NULL },
	{ empty, "2", NULL },
	{ forwarded, "1", "Subject: in\r\n\r\nbody\r\n" },
	{ forwarded, "1.HEADER", "Subject: in\r\n\r\n" },
	{ forwarded, "1.1", "body\r\n" },
	{ forwarded, "1.1.1", NULL },
	{ forwarded, "HEADER", "Content-Type: message/rfc822\r\n\r\n" },
};

static void sections_are_found(void **state)
{
	for (size_t i = 0; i < ROWS(sections); i++) {
		struct slice message = slice_str(sections[i].message);
		struct buf blob = BUF_INIT(FACTS_WIDE_MAX);
		struct facts_view v;
		struct section s;
		struct section_range r;
		int rc;

		facts_of(message, &blob, &v);
		assert_true(section_parse(slice_str(sections[i].section), false, &s));
		rc = section_find(&s, &v, &r);
		if ((rc == 0) != (sections[i].want != NULL))
			fail_msg("%s: %d", sections[i].section, rc);
		if (rc == 0)
			same(sections[i].section, slice_part(message, r.start, r.end - r.start),
			    sections[i].want);
		buf_fini(&blob);
	}
}

static const struct {
	const char *in;
	bool binary, ok;
	const char *again;
} names[] = {
	{ "", false, true, "" },
	{ "1.2.3", false, true, "1.2.3" },
	{ "header", false, true, "HEADER" },
	{ "1.Mime", false, true, "1.MIME" },
	{ "2.header.fields.not", false, true, "2.HEADER.FIELDS.NOT" },
	{ "1.TEXT", false, true, "1.TEXT" },
	{ "MIME", false, false, NULL },
	{ "0", false, false, NULL },
	{ "1.0", false, false, NULL },
	{ "01", false, false, NULL },
	{ "1.", false, false, NULL },
	{ ".1", false, false, NULL },
	{ "1..2", false, false, NULL },
	{ "1.HEADERS", false, false, NULL },
	{ "TEXT.1", false, false, NULL },
	{ "4294967296", false, false, NULL },
	{ "1.2", true, true, "1.2" },
	{ "", true, true, "" },
	{ "HEADER", true, false, NULL },
	{ "1.MIME", true, false, NULL },
};

static void section_names_parse(void **state)
{
	struct section s;
	struct buf longer = BUF_INIT(4096);

	for (size_t i = 0; i < ROWS(names); i++) {
		struct buf out = BUF_INIT(256);

		if (section_parse(slice_str(names[i].in), names[i].binary, &s) != names[i].ok)
			fail_msg("'%s'", names[i].in);
		if (names[i].ok) {
			section_put(&s, &out);
			same(names[i].in, buf_slice(&out), names[i].again);
		}
		buf_fini(&out);
	}
	for (unsigned i = 0; i < IMAP_PATH_MAX; i++)
		buf_puts(&longer, i > 0 ? ".1" : "1");
	assert_true(section_parse(buf_slice(&longer), false, &s));
	buf_puts(&longer, ".1");
	assert_false(section_parse(buf_slice(&longer), false, &s));
	buf_fini(&longer);
}

static void encodings_are_told(void **state)
{
	struct buf blob = BUF_INIT(FACTS_WIDE_MAX);
	struct facts_view v;
	struct section s;
	struct section_range r;

	facts_of(slice_str(flat), &blob, &v);
	section_parse(SLICE("1"), true, &s);
	assert_int_equal(section_find(&s, &v, &r), 0);
	same("encoding", r.encoding, "base64");
	section_parse(SLICE("1.MIME"), false, &s);
	assert_int_equal(section_find(&s, &v, &r), 0);
	assert_null(r.encoding.p);
	buf_fini(&blob);
}

/* ---- the sieve
 * ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	enum sift_how how;
	uint64_t at, n;
	const char *in, *want;
} sieves[] = {
	{ "nothing done", SIFT_ALL, 0, 0, "a\r\nb", "a\r\nb" },
	{ "a window", SIFT_ALL, 1, 2, "abcd", "bc" },
	{ "a window past the end", SIFT_ALL, 9, 2, "abcd", "" },
	{ "a window over the end", SIFT_ALL, 3, 9, "abcd", "d" },
	{ "fields by name, in the message's order", SIFT_FIELDS, 0, 0,
	    "To: b\r\nX: 1\r\nFrom: a\r\nTo: c\r\n\r\nbody", "To: b\r\nFrom: a\r\nTo: c\r\n\r\n" },
	{ "in any case, with their folds", SIFT_FIELDS, 0, 0,
	    "X: 1\r\n y\r\nTO: b\r\n\tc\r\n d\r\nY: 2\r\n\r\n", "TO: b\r\n\tc\r\n d\r\n\r\n" },
	{ "blanks before the colon", SIFT_FIELDS, 0, 0, "To \t: b\r\nTo b: c\r\n\r\n",
	    "To \t: b\r\n\r\n" },
	{ "none of them", SIFT_FIELDS, 0, 0, "X: 1\r\n\r\n", "\r\n" },
	{ "a header without end", SIFT_FIELDS, 0, 0, "To: b\r\nX: 1\r\n", "To: b\r\n" },
	{ "a last line without end", SIFT_FIELDS, 0, 0, "X: 1\r\nTo: b", "To: b" },
	{ "bare LF", SIFT_FIELDS, 0, 0, "To: b\n c\nX: 1\n\nTo: no", "To: b\n c\n\n" },
	{ "what is no field, with its folds", SIFT_FIELDS_NOT, 0, 0,
	    "X: 1\r\nnonsense\r\n fold\r\nTo: b\r\nY: 2\r\n\r\n", "X: 1\r\nY: 2\r\n\r\n" },
	{ "the others", SIFT_FIELDS_NOT, 0, 0, "To: b\r\n c\r\nX: 1\r\n d\r\nFrom: e\r\n\r\n",
	    "X: 1\r\n d\r\n\r\n" },
	{ "a fold at the very start belongs to nothing", SIFT_FIELDS_NOT, 0, 0,
	    " x\r\nX: 1\r\n\r\n", "X: 1\r\n\r\n" },
	{ "a CR that ends nothing", SIFT_FIELDS, 0, 0, "\rTo: b\r\nTo: c\r\rd\r\n\r\n",
	    "To: c\r\rd\r\n\r\n" },
	{ "a window of fields", SIFT_FIELDS, 2, 3, "X: 1\r\nTo: bcd\r\n\r\n", ": b" },
	{ "base64", SIFT_BASE64, 0, 0, "SGVs\r\nbG8=\r\n", "Hello" },
	{ "base64 with rubbish", SIFT_BASE64, 0, 0, " SG!V\r\ns*b\tG8", "Hello" },
	{ "base64 joined", SIFT_BASE64, 0, 0, "YQ==YQ==", "aa" },
	{ "a window of base64", SIFT_BASE64, 1, 3, "SGVsbG8=", "ell" },
	{ "quoted-printable", SIFT_QP, 0, 0, "a=3Db=\r\nc=c3=A4\r\nd", "a=bc\xc3\xa4\r\nd" },
	{ "blanks at line ends vanish", SIFT_QP, 0, 0, "a \t\r\nb =\t \r\nc  d \n\te  ",
	    "a\r\nb c  d\n\te" },
	{ "no escape", SIFT_QP, 0, 0, "=a=4=zz==3D= x=\rz", "=a=4=zz=== x=\rz" },
	{ "an escape cut off", SIFT_QP, 0, 0, "a=4", "a=4" },
	{ "a soft break at the end", SIFT_QP, 0, 0, "a=", "a" },
	{ "a lone CR at the end", SIFT_QP, 0, 0, "a\r", "a\r" },
	{ "a window of quoted-printable", SIFT_QP, 1, 1, "=41=42=43", "B" },
};

static void sieves_do_as_listed(void **state)
{
	static const struct slice name[] = { { (const uint8_t *)"to", 2 },
		{ (const uint8_t *)"from", 4 } };
	const struct sift_names two = { name, 2, 1 << 2 | 1 << 4,
		sift_first('t') | sift_first('F') };

	for (size_t i = 0; i < ROWS(sieves); i++) {
		struct slice in = slice_str(sieves[i].in);

		for (size_t step = 1; step <= 64; step = step < 8 ? step + 1 : step * 2) {
			struct buf out = BUF_INIT(4096);
			struct sift s, count;

			sift_init(&s, sieves[i].how, &two, sieves[i].at, sieves[i].n);
			sift_init(&count, sieves[i].how, &two, sieves[i].at, sieves[i].n);
			for (size_t at = 0; at < in.n; at += step)
				sift_feed(&s, slice_part(in, at, step), &out);
			sift_end(&s, &out);
			same(sieves[i].name, buf_slice(&out), sieves[i].want);
			sift_feed(&count, in, NULL);
			sift_end(&count, NULL);
			assert_int_equal(count.out_n, out.n);
			buf_fini(&out);
		}
	}
}

static void sieves_see_nul(void **state)
{
	struct sift s;

	sift_init(&s, SIFT_BASE64, NULL, 0, 0);
	sift_feed(&s, SLICE("YWI="), NULL);
	assert_false(s.nul);
	sift_init(&s, SIFT_BASE64, NULL, 0, 0);
	sift_feed(&s, SLICE("AGI="), NULL);
	assert_true(s.nul);
	sift_init(&s, SIFT_BASE64, NULL, 1, 0);
	sift_feed(&s, SLICE("AGI="), NULL);
	assert_false(s.nul);
}

static const struct {
	const char *name;
	bool known;
	enum sift_how how;
} encodings[] = {
	{ "", true, SIFT_ALL },
	{ "7BIT", true, SIFT_ALL },
	{ "8bit", true, SIFT_ALL },
	{ "binary", true, SIFT_ALL },
	{ "Base64", true, SIFT_BASE64 },
	{ "quoted-printable", true, SIFT_QP },
	{ "x-uuencode", false, SIFT_ALL },
};

static void encodings_are_known_or_not(void **state)
{
	for (size_t i = 0; i < ROWS(encodings); i++) {
		enum sift_how how;

		assert_int_equal(
		    sift_encoding(slice_str(encodings[i].name), &how), encodings[i].known);
		assert_int_equal(how, encodings[i].how);
	}
	assert_true(sift_encoding(SLICE_NONE, &(enum sift_how){ 0 }));
}

/* ---- all parts of a message
 * ------------------------------------------------------------------------ */

static void parts_rebuild_the_message(void **state)
{
	const struct {
		const char *message;
		unsigned parts;
	} cases[] = {
		{ tree, 8 },
		{ flat, 1 },
		{ empty, 1 },
		{ forwarded, 1 },
		{ "", 1 },
		{ "no header", 1 },
		{ MULTI("x") "--x\r\n--x\r\n\r\n--x\r\nA: b\r\n--x--", 3 },
		{ MULTI("x") "--x\r\nContent-Type: message/rfc822\r\n\r\n--x--", 1 },
	};

	for (size_t i = 0; i < ROWS(cases); i++) {
		unsigned parts;
		const char *wrong = imap_rebuild(slice_str(cases[i].message), &parts);

		if (wrong != NULL)
			fail_msg("%zu: %s", i, wrong);
		assert_int_equal(parts, cases[i].parts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelopes_read_as_listed),
		cmocka_unit_test(utf8_clients_get_utf8),
		cmocka_unit_test(structures_read_as_listed),
		cmocka_unit_test(params_of_old_facts_are_encoded_again),
		cmocka_unit_test(sections_are_found),
		cmocka_unit_test(section_names_parse),
		cmocka_unit_test(encodings_are_told),
		cmocka_unit_test(sieves_do_as_listed),
		cmocka_unit_test(sieves_see_nul),
		cmocka_unit_test(encodings_are_known_or_not),
		cmocka_unit_test(parts_rebuild_the_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
