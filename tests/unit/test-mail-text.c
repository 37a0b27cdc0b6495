/* What stands in header fields: addresses, encoded words, subjects, message ids, parameters. */
#include "common/mail/address.h"
#include "common/mail/charset.h"
#include "common/mail/param.h"
#include "common/mail/preview.h"
#include "common/mail/subject.h"
#include "common/mail/thread.h"
#include "common/mail/transfer.h"
#include "common/mail/word.h"

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

/* Entries as name|route|local|domain; a group is {name, its end is } */
static const struct {
	const char *name, *in, *want;
} lists[] = {
	{ "nothing", "", "" },
	{ "blanks and commas", " , ,\r\n ,", "" },
	{ "a bare address", "a@b.example", "||a|b.example;" },
	{ "a name", "John Q. Public <jqp@x.example>", "John Q. Public||jqp|x.example;" },
	{ "a quoted name", "\"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
	    "Giant; \"Big\" Box||sysservices|example.net;" },
	{ "two", "a@b, c@d", "||a|b;||c|d;" },
	{ "a group", "A Group:Ed Jones <joe@a.test>,joe@where.test;",
	    "{A Group;Ed Jones||joe|a.test;||joe|where.test;};" },
	{ "an empty group", "Undisclosed recipients:;", "{Undisclosed recipients;};" },
	{ "a group without end", "g: a@b", "{g;||a|b;};" },
	{ "after a group", "g:a@b;, c@d", "{g;||a|b;};||c|d;" },
	{ "a quoted local part", "\"a b\"@c", "||a b|c;" },
	{ "a comment as name", "a@b (Real (very) Name)", "Real (very) Name||a|b;" },
	{ "comments everywhere", "Pete(A nice chap) <pete(his)@silly.test(host)>",
	    "Pete||pete|silly.test;" },
	{ "a route", "Mary <@m.test,@n.test:mary@x.test>", "Mary|@m.test,@n.test|mary|x.test;" },
	{ "blanks around dots", "john . doe @ machine (c) . example",
	    "||john.doe|machine.example;" },
	{ "a literal", "a@[192.0.2.1]", "||a|[192.0.2.1];" },
	{ "an address as a name", "a@b <c@d>", "a@b||c|d;" },
	{ "words alone", "John Doe", "||John Doe|;" },
	{ "an empty angle", "Nobody <>", "Nobody|||;" },
	{ "no end of angle", "X <a@b", "X||a|b;" },
	{ "no end of quotes", "\"a", "||a|;" },
	{ "no end of comment", "a@b (c", "c||a|b;" },
	{ "two ats", "a@b@c, d@e", "||a|b;||d|e;" },
	{ "semicolons as commas", "a@b; c@d", "||a|b;||c|d;" },
	{ "UTF-8", "J\xc3\xb6rg <j\xc3\xb6rg@x>", "J\xc3\xb6rg||j\xc3\xb6rg|x;" },
	{ "a folded list", "a@b,\r\n c@d", "||a|b;||c|d;" },
	{ "words stay encoded", "=?utf-8?q?J=C3=B6rg?= <j@x>", "=?utf-8?q?J=C3=B6rg?=||j|x;" },
};

static void addresses_read_as_listed(void **state)
{
	struct address_iter *it = malloc(sizeof(*it));

	for (size_t i = 0; i < ROWS(lists); i++) {
		struct buf out = BUF_INIT(4096);
		struct address a;

		address_init(it, slice_str(lists[i].in));
		while (address_next(it, &a) == 0) {
			if (a.kind == ADDRESS_GROUP)
				buf_printf(&out, "{%.*s", SLICE_FMT(a.name));
			else if (a.kind == ADDRESS_GROUP_END)
				buf_putc(&out, '}');
			else
				buf_printf(&out, "%.*s|%.*s|%.*s|%.*s", SLICE_FMT(a.name),
				    SLICE_FMT(a.route), SLICE_FMT(a.local), SLICE_FMT(a.domain));
			buf_putc(&out, ';');
		}
		same(lists[i].name, buf_slice(&out), lists[i].want);
		buf_fini(&out);
	}
	free(it);
}

static void addresses_are_bounded(void **state)
{
	struct address_iter *it = malloc(sizeof(*it));
	struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(4096);
	struct address a;
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * ADDRESS_TEXT_MAX; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, "@y");
	for (unsigned i = 0; i < 2 * ADDRESS_COUNT_MAX; i++)
		buf_puts(&in, ",a@b");
	address_init(it, buf_slice(&in));
	assert_int_equal(address_next(it, &a), 0);
	assert_int_equal(a.local.n, ADDRESS_TEXT_MAX);
	while (address_next(it, &a) == 0)
		n++;
	assert_int_equal(n, ADDRESS_COUNT_MAX - 1);
	a = (struct address){
		.name = SLICE("A, \"B\""), .local = SLICE("c d"), .domain = SLICE("e")
	};
	address_print(&a, &out);
	same("printed", buf_slice(&out), "\"A, \\\"B\\\"\" <\"c d\"@e>");
	buf_fini(&in);
	buf_fini(&out);
	free(it);
}

static const struct {
	const char *name, *in, *want;
} words[] = {
	{ "plain text", "hello", "hello" },
	{ "Q", "=?iso-8859-1?Q?caf=E9_au?=", "caf\xc3\xa9 au" },
	{ "B", "=?UTF-8?b?w6RiYw==?=",
	    "\xc3\xa4"
	    "bc" },
	{ "blanks between words vanish", "=?utf-8?q?a?= \t =?utf-8?q?b?=", "ab" },
	{ "blanks beside text stay", "x =?utf-8?q?a?= y", "x a y" },
	{ "a character in two words", "=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "\xc3\xa4" },
	{ "different charsets", "=?utf-8?q?=C3=A4?= =?koi8-r?q?=C1?=", "\xc3\xa4\xd0\xb0" },
	{ "a language", "=?iso-8859-1*de?Q?=FC?=", "\xc3\xbc" },
	{ "an unknown charset stays", "=?x-none?Q?=41?=", "=?x-none?Q?=41?=" },
	{ "a blank inside stays", "=?utf-8?q?a b?=", "=?utf-8?q?a b?=" },
	{ "a word without its end", "=?utf-8?q?a", "=?utf-8?q?a" },
	{ "words without blanks between", "a=?utf-8?q?b?=c", "abc" },
	{ "a line end in a word becomes a blank", "=?utf-8?q?a=0D=0Ab=00?=", "a  b " },
	{ "bad UTF-8 outside",
	    "a\xff"
	    "b",
	    "a\xef\xbf\xbd"
	    "b" },
	{ "ISO-2022-JP", "=?iso-2022-jp?B?GyRCJDMbKEI=?=", "\xe3\x81\x93" },
	{ "Shift_JIS", "=?shift_jis?B?grE=?=", "\xe3\x81\x93" },
	{ "EUC-JP", "=?euc-jp?Q?=A4=B3?=", "\xe3\x81\x93" },
	{ "GB2312", "=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd" },
	{ "EUC-KR", "=?euc-kr?B?sK0=?=", "\xea\xb0\x95" },
	{ "Big5", "=?big5?B?p0E=?=", "\xe4\xbd\xa0" },
	{ "windows-1252", "=?windows-1252?q?=80?=", "\xe2\x82\xac" },
	{ "UTF-16", "=?utf-16?B?/v8A5A==?=", "\xc3\xa4" },
};

static void words_decode_as_listed(void **state)
{
	for (size_t i = 0; i < ROWS(words); i++) {
		struct buf out = BUF_INIT(256);

		word_decode(slice_str(words[i].in), &out);
		same(words[i].name, buf_slice(&out), words[i].want);
		buf_fini(&out);
	}
}

static void words_stop_whole_at_the_end(void **state)
{
	struct buf out = BUF_INIT(4);

	word_decode(SLICE("abc\xc3\xa4xyz"), &out);
	same("cut", buf_slice(&out), "abc");
	buf_fini(&out);
}

/* RFC 5256 2.1 */
static const struct {
	const char *name, *in, *want;
	bool reply;
} subjects[] = {
	{ "nothing", "", "", false },
	{ "a plain one", "hello there", "hello there", false },
	{ "Re:", "Re: hello", "hello", true },
	{ "many", "RE: re : Fwd: FW: hello", "hello", true },
	{ "a blob", "[list] hello", "hello", false },
	{ "a blob in the reply", "Re[2]: hello", "hello", true },
	{ "a blob before the reply", "[list] Re: [list] hello", "hello", true },
	{ "a trailer", "hello (fwd) (FWD) ", "hello", true },
	{ "a wrapped forward", "[fwd: Re: hello (fwd)]", "hello", true },
	{ "blobs alone", "[a] [b]", "[b]", false },
	{ "a reply to nothing", "Re: ", "", true },
	{ "a word that begins like one", "Really: no", "Really: no", false },
	{ "no colon", "re hello", "re hello", false },
	{ "an open bracket", "[fwd: x", "[fwd: x", false },
};

static void subjects_strip_as_listed(void **state)
{
	for (size_t i = 0; i < ROWS(subjects); i++) {
		bool reply;

		same(subjects[i].name, subject_base(slice_str(subjects[i].in), &reply),
		    subjects[i].want);
		if (reply != subjects[i].reply)
			fail_msg("%s: reply %d", subjects[i].name, reply);
	}
}

static void ids_are_normalised(void **state)
{
	struct slice in = SLICE("junk <a@b> (c <d) <\"x\\y\"@z> <nodomain> < q @ r >");
	struct buf out = BUF_INIT(256);

	while (thread_next_id(&in, &out))
		buf_putc(&out, ';');
	same("ids", buf_slice(&out), "a@b;xy@z;q@r;");
	buf_fini(&out);
}

static const struct {
	const char *name, *in;
	const char *type; /* NULL: not a type */
	const char *params;
} types[] = {
	{ "a type", "text/plain", "text/plain", "" },
	{ "a parameter", "text/plain; charset=utf-8", "text/plain", "charset=utf-8;" },
	{ "a comment", "text/plain (x); charset=us-ascii (Plain text)", "text/plain",
	    "charset=us-ascii;" },
	{ "quotes", "text/plain; a=\"b;\\\"c\"; d=e", "text/plain", "a=b;\"c;d=e;" },
	{ "blanks in a bare value", "a/b; name=my file.txt ; c=d", "a/b", "name=my file.txt;c=d;" },
	{ "continuations", "a/b; u*0=\"http://\"; u*1=\"x.test/\"; u*2=y", "a/b",
	    "u=http://x.test/y;!u*0=http://;!u*1=x.test/;!u*2=y;" },
	{ "continuations out of order", "a/b; u*1=b; u*0=a", "a/b", "u=ab;!u*1=b;!u*0=a;" },
	{ "a charset", "a/b; t*=us-ascii'en-us'This%20is%20%2A", "a/b",
	    "t=This is *;!t*=us-ascii'en-us'This%20is%20%2A;" },
	{ "a charset that is not UTF-8", "a/b; t*=iso-8859-1''%FC", "a/b",
	    "t=\xc3\xbc;!t*=iso-8859-1''%FC;" },
	{ "both", "a/b; t*0*=us-ascii'en'is%20; t*1*=%2A; t*2=\"fun!\"", "a/b",
	    "t=is *fun!;!t*0*=us-ascii'en'is%20;!t*1*=%2A;!t*2=fun!;" },
	{ "the extended one wins", "a/b; f=plain; f*=utf-8''%c3%bc", "a/b",
	    "f=\xc3\xbc;!f=plain;!f*=utf-8''%c3%bc;" },
	{ "the first of two", "a/b; f=1; F=2", "a/b", "f=1;" },
	{ "no type", "text", NULL, "" },
	{ "no subtype", "text/; a=b", NULL, "" },
	{ "three parts", "a/b/c", NULL, "" },
	{ "an open quote", "a/b; c=\"d", "a/b", "c=d;" },
	{ "empty places", "a/b;; c=d;", "a/b", "c=d;" },
	{ "junk", "a/b; =x; y; c=d", "a/b", "c=d;" },
};

static void types_read_as_listed(void **state)
{
	for (size_t i = 0; i < ROWS(types); i++) {
		struct slice type, subtype, rest, list;
		struct buf packed = BUF_INIT(MIME_PARAMS_MAX), out = BUF_INIT(512);
		struct mime_param p;
		bool ok = mime_type(slice_str(types[i].in), &type, &subtype, &rest);

		if (ok != (types[i].type != NULL))
			fail_msg("%s: %d", types[i].name, ok);
		if (ok) {
			buf_printf(&out, "%.*s/%.*s", SLICE_FMT(type), SLICE_FMT(subtype));
			same(types[i].name, buf_slice(&out), types[i].type);
			buf_reset(&out);
			assert_false(mime_params_pack(rest, &packed));
			for (list = buf_slice(&packed); mime_param_next(&list, &p) == 0;)
				buf_printf(&out, "%s%.*s=%.*s;", p.flags & PARAM_WRITTEN ? "!" : "",
				    SLICE_FMT(p.name), SLICE_FMT(p.value));
			same(types[i].name, buf_slice(&out), types[i].params);
		}
		buf_fini(&packed);
		buf_fini(&out);
	}
}

static const struct {
	const char *name, *in;
	enum transfer how;
	bool html;
	const char *want;
} previews[] = {
	{ "plain", "Hello,\r\n\r\n  you \t there\r\n", TRANSFER_PLAIN, false, "Hello, you there" },
	{ "quoted-printable", "caf=C3=A9 so=\r\nft", TRANSFER_QP, false, "caf\xc3\xa9 soft" },
	{ "base64", "SGVs\r\nbG8=", TRANSFER_BASE64, false, "Hello" },
	{ "html",
	    "<html><head><title>no</title></head><style>p{}</style><!-- no --><p>a&amp;b<br>c "
	    "&#228;&bogus;</p>",
	    TRANSFER_PLAIN, true, "a&b c \xc3\xa4&bogus;" },
	{ "an open tag", "a<b", TRANSFER_PLAIN, true, "a" },
};

static void previews_are_one_line(void **state)
{
	struct buf out = BUF_INIT(1024), in = BUF_INIT(4096);

	for (size_t i = 0; i < ROWS(previews); i++) {
		buf_reset(&out);
		preview_make(slice_str(previews[i].in), previews[i].how, SLICE("utf-8"),
		    previews[i].html, &out);
		same(previews[i].name, buf_slice(&out), previews[i].want);
	}
	for (unsigned i = 0; i < 500; i++)
		buf_puts(&in, "\xc3\xa4 ");
	buf_reset(&out);
	preview_make(buf_slice(&in), TRANSFER_PLAIN, SLICE("utf-8"), false, &out);
	assert_true(out.n > 250 && out.n <= 300); /* 200 characters, half of them of two octets */
	buf_fini(&out);
	buf_fini(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_read_as_listed),
		cmocka_unit_test(addresses_are_bounded),
		cmocka_unit_test(words_decode_as_listed),
		cmocka_unit_test(words_stop_whole_at_the_end),
		cmocka_unit_test(subjects_strip_as_listed),
		cmocka_unit_test(ids_are_normalised),
		cmocka_unit_test(types_read_as_listed),
		cmocka_unit_test(previews_are_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
