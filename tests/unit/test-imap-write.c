/* The response writer: every token, and that nothing put in makes an invalid one. */
#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "common/mail/date.h"
#include "common/mail/utf7.h"
#include "protocols/imap/set.h"
#include "protocols/imap/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void same(const char *name, const struct buf *got, const char *want)
{
	if (!slice_eq(buf_slice(got), slice_str(want)))
		fail_msg("%s: got '%.*s', want '%s'", name, SLICE_FMT(buf_slice(got)), want);
}

enum how { STRING, STRING_8, ASTRING, MAILBOX, MAILBOX_8, KEYWORD, TEXT, TEXT_8 };

static const struct {
	const char *name;
	enum how how;
	const char *in, *want;
} strings[] = {
	{ "an empty string is quoted", STRING, "", "\"\"" },
	{ "a plain string is quoted", STRING, "Hello (x) {3}", "\"Hello (x) {3}\"" },
	{ "quotes and backslashes are escaped", STRING, "a\"b\\c", "\"a\\\"b\\\\c\"" },
	{ "a line end makes a literal", STRING, "a\r\nb", "{4}\r\na\r\nb" },
	{ "a bare CR makes a literal", STRING, "a\rb", "{3}\r\na\rb" },
	{ "a tab is quoted", STRING, "a\tb", "\"a\tb\"" },
	{ "8-bit text makes a literal", STRING, "\xc3\xa4", "{2}\r\n\xc3\xa4" },
	{ "UTF-8 is quoted for who enabled it", STRING_8, "\xc3\xa4\"", "\"\xc3\xa4\\\"\"" },
	{ "what is no UTF-8 never is", STRING_8, "\xe4", "{1}\r\n\xe4" },
	{ "an overlong form is no UTF-8", STRING_8, "\xc0\x80", "{2}\r\n\xc0\x80" },
	{ "an atom needs no quotes", ASTRING, "Sent", "Sent" },
	{ "NIL as a string is quoted", ASTRING, "nil", "\"nil\"" },
	{ "an empty astring", ASTRING, "", "\"\"" },
	{ "a blank needs quotes", ASTRING, "a b", "\"a b\"" },
	{ "a wildcard needs quotes", ASTRING, "a*", "\"a*\"" },
	{ "a bracket needs quotes", ASTRING, "a]", "\"a]\"" },
	{ "DEL needs quotes", ASTRING, "\x7f", "\"\x7f\"" },
	{ "INBOX in any case", MAILBOX, "inbox", "INBOX" },
	{ "not what only begins so", MAILBOX, "inbox/x", "inbox/x" },
	{ "a name in modified UTF-7", MAILBOX,
	    "~peter/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac",
	    "~peter/&U,BTFw-/&ZeVnLA-" },
	{ "an ampersand", MAILBOX, "a&b", "a&-b" },
	{ "ampersand and blank", MAILBOX, "R & D", "\"R &- D\"" },
	{ "a broken name", MAILBOX, "a\xff", "a&,,0-" },
	{ "a name in UTF-8", MAILBOX_8, "\xc3\xa4", "\"\xc3\xa4\"" },
	{ "a broken name in UTF-8", MAILBOX_8, "\xff", "\"\xef\xbf\xbd\"" },
	{ "an ampersand in UTF-8", MAILBOX_8, "a&b", "a&b" },
	{ "a keyword", KEYWORD, "$Forwarded", "$Forwarded" },
	{ "a keyword that is no atom", KEYWORD, "a b", "" },
	{ "an empty keyword", KEYWORD, "", "" },
	{ "a keyword with a line end", KEYWORD, "a\r\n* BYE", "" },
	{ "text", TEXT, "done (1)", "done (1)" },
	{ "text with a line end", TEXT, "a\r\nb", "a??b" },
	{ "text like a code", TEXT, "[ALERT] x", "(ALERT] x" },
	{ "a character above 127 in text", TEXT, "a\xc3\xa4\xe2\x82\xac", "a??" },
	{ "the same for who enabled UTF-8", TEXT_8, "a\xc3\xa4\r", "a\xc3\xa4?" },
	{ "text that is no UTF-8", TEXT_8, "a\xff\xc3", "a??" },
};

static void write_one(struct writer *w, enum how how, struct slice in)
{
	switch (how) {
	case STRING:
	case STRING_8:
		write_string(w, in);
		return;
	case ASTRING:
		write_astring(w, in);
		return;
	case MAILBOX:
	case MAILBOX_8:
		write_mailbox(w, in);
		return;
	case KEYWORD:
		write_keyword(w, in);
		return;
	case TEXT:
	case TEXT_8:
		write_text(w, in);
		return;
	}
}

static void strings_are_safe(void **state)
{
	for (size_t i = 0; i < ROWS(strings); i++) {
		struct buf out = BUF_INIT(4096);
		struct writer w =
		    writer(&out, strings[i].how == STRING_8 || strings[i].how == MAILBOX_8 ||
				     strings[i].how == TEXT_8);

		write_one(&w, strings[i].how, slice_str(strings[i].in));
		same(strings[i].name, &out, strings[i].want);
		buf_fini(&out);
	}
}

static void special_strings(void **state)
{
	struct buf out = BUF_INIT(8192), longer = BUF_INIT(4096);
	struct writer w = writer(&out, true);

	write_string(&w, SLICE_NONE);
	write_string(&w, SLICE("a\0b"));
	same("NULL is NIL, NUL vanishes", &out, "NIL {2}\r\nab");
	buf_reset(&out);
	for (unsigned i = 0; i < 1100; i++)
		buf_putc(&longer, 'x');
	w = writer(&out, false);
	write_string(&w, buf_slice(&longer));
	assert_true(slice_starts(buf_slice(&out), SLICE("{1100}\r\nxxx")));
	assert_int_equal(out.n, 1108);
	buf_fini(&out);
	buf_fini(&longer);
}

static void lines_are_whole(void **state)
{
	struct buf out = BUF_INIT(4096);
	struct writer w = writer(&out, false);

	write_untagged(&w);
	write_number(&w, 12);
	write_atom(&w, "FETCH");
	write_open(&w);
	write_atom(&w, "FLAGS");
	write_open(&w);
	write_close(&w);
	write_atom(&w, "X");
	write_open(&w);
	write_open(&w);
	write_nil(&w);
	write_literal8(&w, 3);
	buf_put(&out, SLICE("abc"));
	write_close(&w);
	write_close(&w);
	write_literal(&w, 18446744073709551615u);
	write_close(&w);
	write_end(&w);
	same("FETCH", &out,
	    "* 12 FETCH (FLAGS () X ((NIL ~{3}\r\nabc)) {18446744073709551615}\r\n)\r\n");
	buf_reset(&out);
	write_reply(&w, SLICE("a.1"), "NO", "TRYCREATE", "no such mailbox");
	write_reply(&w, SLICE_NONE, "BYE", NULL, "good-bye");
	write_status(&w, SLICE("b"), "OK");
	write_code(&w, "UIDVALIDITY");
	write_number(&w, 7);
	write_code_end(&w);
	write_text(&w, SLICE("fine"));
	write_end(&w);
	write_continue(&w, "go on");
	write_challenge(&w, SLICE(""));
	write_challenge(&w, SLICE("YQ=="));
	same("status", &out,
	    "a.1 NO [TRYCREATE] no such mailbox\r\n* BYE good-bye\r\nb OK [UIDVALIDITY 7] fine\r\n"
	    "+ go on\r\n+ \r\n+ YQ==\r\n");
	buf_fini(&out);
}

static void flags_and_sets(void **state)
{
	const struct slice names[] = { SLICE("$Junk"), SLICE("bad name"), SLICE("Work") };
	struct buf out = BUF_INIT(4096), pairs = BUF_INIT(64);
	struct writer w = writer(&out, false);

	write_flags(&w, 0, (struct keyset){ 0 }, NULL, 0);
	write_flags(&w, IPC_FLAG_SEEN | IPC_FLAG_RECENT, (struct keyset){ .bits = 0x1f }, names, 3);
	write_flags(&w, IPC_FLAG_ANSWERED | IPC_FLAG_FLAGGED | IPC_FLAG_DELETED | IPC_FLAG_DRAFT,
	    (struct keyset){ 1ull << 63, SLICE("\x40\0\xff\x0f") }, names, 3);
	same("flags", &out,
	    "() (\\Seen \\Recent $Junk Work) (\\Answered \\Flagged \\Deleted \\Draft)");
	buf_reset(&out);
	wire_put_u32(&pairs, 1);
	wire_put_u32(&pairs, 3);
	wire_put_u32(&pairs, 7);
	wire_put_u32(&pairs, 7);
	wire_put_u32(&pairs, 4294967295u);
	wire_put_u32(&pairs, 4294967295u);
	w = writer(&out, false);
	write_atom(&w, "VANISHED");
	write_set(&w, buf_slice(&pairs));
	write_range(&w, 9, 8);
	write_nil(&w);
	write_range(&w, 1, 1);
	same("sets", &out, "VANISHED 1:3,7,4294967295,9:8 NIL 1");
	buf_fini(&out);
	buf_fini(&pairs);
}

static void codes_of_several_tokens(void **state)
{
	struct buf out = BUF_INIT(4096), made = BUF_INIT(4);
	struct set one = { 0 }, two = { 0 };
	struct writer w = writer(&out, false);
	size_t at;

	set_add(&one, 1, 3);
	set_add(&one, 7, 7);
	set_add(&two, 9, 9);
	write_status(&w, SLICE("a"), "OK");
	write_code(&w, "COPYUID");
	write_number(&w, 5);
	write_ranges(&w, &one);
	write_ranges(&w, &two);
	write_code_end(&w);
	write_code(&w, "MAILBOXID");
	write_object_id(&w, 'M', 0x123456789abcdef0);
	write_code_end(&w);
	write_flags(&w, IPC_FLAG_SEEN, (struct keyset){ 0 }, NULL, 0);
	write_flags_any(&w);
	at = write_place(&w);
	write_string(&w, SLICE("x"));
	write_nil(&w);
	write_repeat(&w, at + 4, at, 4);
	write_literal(&w, 2);
	buf_puts(write_sink(&w), "y");
	buf_puts(&made, "z");
	write_buf(&w, &made);
	write_end(&w);
	same("codes", &out,
	    "a OK [COPYUID 5 1:3,7 9] [MAILBOXID (M123456789abcdef0)] (\\Seen \\*) \"x\" \"x\" "
	    "{2}\r\nyz\r\n");
	buf_puts(&made, "zzzz");
	write_buf(&w, &made);
	assert_true(out.overflow);
	set_fini(&one);
	set_fini(&two);
	buf_fini(&made);
	buf_fini(&out);
}

static void dates_are_those_of_the_library(void **state)
{
	struct buf out = BUF_INIT(64), want = BUF_INIT(64);
	int64_t moments[] = { 0, 951782400, 951868799, 951868800, 4102444799, -1, 1709164800,
		1709251199, 1709251200, 253402300799 - 86400, -62135596800 + 86400 };
	uint64_t x = 88172645463325252u;

	for (unsigned i = 0; i < 20000; i++) {
		struct mail_date d = { 0 };
		struct writer w = writer(&out, false);

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		d.unix_s =
		    i < ROWS(moments) ? moments[i] : (int64_t)(x % 200000000000u) - 50000000000;
		buf_reset(&out);
		buf_reset(&want);
		write_date_time(&w, d.unix_s);
		buf_putc(&want, '"');
		mail_date_print_internal(&d, &want);
		buf_putc(&want, '"');
		if (!slice_eq(buf_slice(&out), buf_slice(&want)))
			fail_msg("%lld: %.*s, want %.*s", (long long)d.unix_s,
			    SLICE_FMT(buf_slice(&out)), SLICE_FMT(buf_slice(&want)));
	}
	buf_fini(&out);
	buf_fini(&want);
}

/* NULL: refused. */
static const struct {
	const char *name, *in, *want;
} names[] = {
	{ "plain", "Sent Items", "Sent Items" },
	{ "empty", "", "" },
	{ "ampersand", "a&-b", "a&b" },
	{ "the RFC's", "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
	    "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "a pair of surrogates", "&2D3eBA-", "\xf0\x9f\x98\x84" },
	{ "two letters of one run apart", "&AOQ-&APY-", NULL },
	{ "with something between", "&AOQ-x&APY-", "\xc3\xa4x\xc3\xb6" },
	{ "printable ASCII in a run", "&AGE-", NULL },
	{ "no end of run", "a&AOQ", NULL },
	{ "a lone ampersand", "a&b", NULL },
	{ "8-bit", "\xc3\xa4", NULL },
	{ "a control byte", "a\tb", NULL },
	{ "half a pair", "&2D0-", NULL },
	{ "the wrong half", "&3gQ-", NULL },
	{ "bits left over", "&AOR-", NULL },
	{ "a letter too many", "&AOQA-", NULL },
	{ "no letter of the alphabet", "&A/Q-", NULL },
};

static void names_decode(void **state)
{
	for (size_t i = 0; i < ROWS(names); i++) {
		struct buf out = BUF_INIT(256), again = BUF_INIT(256);
		int r = utf7_decode(slice_str(names[i].in), &out);

		if ((r == 0) != (names[i].want != NULL))
			fail_msg("%s: %d", names[i].name, r);
		same(names[i].name, &out, names[i].want != NULL ? names[i].want : "");
		if (r == 0) {
			utf7_encode(buf_slice(&out), &again);
			same(names[i].name, &again, names[i].in);
		}
		buf_fini(&out);
		buf_fini(&again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_safe),
		cmocka_unit_test(special_strings),
		cmocka_unit_test(lines_are_whole),
		cmocka_unit_test(flags_and_sets),
		cmocka_unit_test(codes_of_several_tokens),
		cmocka_unit_test(dates_are_those_of_the_library),
		cmocka_unit_test(names_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
