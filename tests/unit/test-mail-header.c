/* Header fields, the trace counter, and dates. */
#include "common/mail/date.h"
#include "common/mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct {
	const char *name, *in;
	const char *fields; /* name=value; for each */
	size_t size;
} headers[] = {
	{ "nothing", "", "", 0 },
	{ "an empty line first", "\r\nA: b\r\n", "", 2 },
	{ "one field", "A: b\r\n\r\nbody", "A=b;", 8 },
	{ "bare LF", "A: b\nB:c\n\nbody", "A=b;B=c;", 10 },
	{ "no empty line", "A: b\r\n", "A=b;", 6 },
	{ "no line end", "A: b", "A=b;", 4 },
	{ "a fold", "A: b\r\n\tc\r\nD: e\r\n\r\n", "A=b\tc;D=e;", 18 },
	{ "a blank line of blanks is a fold", "A: b\r\n \r\nC: d\r\n\r\n", "A=b;C=d;", 17 },
	{ "a blank before the colon", "A : b\r\n\r\n", "A=b;", 9 },
	{ "an empty value", "A:\r\n\r\n", "A=;", 6 },
	{ "no field is passed over", "what\r\n more: x\r\nA: b\r\n\r\n", "A=b;", 24 },
	{ "a From line is passed over", "From a@b Mon Jan\r\nA: b\r\n\r\n", "A=b;", 26 },
	{ "a fold first", " x: y\r\nA: b\r\n\r\n", "A=b;", 15 },
	{ "a bare CR becomes a blank", "A: b\rc\r\n\r\n", "A=b c;", 10 },
	{ "an empty name", ": b\r\nC: d\r\n\r\n", "C=d;", 13 },
	{ "8-bit in a name", "\xc3\xa4: b\r\nC: d\r\n\r\n", "C=d;", 15 },
};

static void headers_split_as_listed(void **state)
{
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct header_iter it = header_iter(slice_str(headers[i].in));
		struct buf got = BUF_INIT(4096);
		struct header_field f;

		while (header_next(&it, &f) == 0) {
			buf_put(&got, f.name);
			buf_putc(&got, '=');
			header_unfold(f.value, &got);
			buf_putc(&got, ';');
		}
		if (!slice_eq(buf_slice(&got), slice_str(headers[i].fields)) ||
		    it.at != headers[i].size)
			fail_msg(
			    "%s: %zu '%.*s'", headers[i].name, it.at, SLICE_FMT(buf_slice(&got)));
		buf_fini(&got);
	}
}

static const struct {
	const char *name, *in;
	unsigned received;
} traces[] = {
	{ "none", "A: b\r\n\r\n", 0 },
	{ "two", "Received: a\r\nreceived: b\r\n\r\n", 2 },
	{ "bare LF and a blank", "RECEIVED : a\nReceived:\n\n", 2 },
	{ "not in the body", "Received: a\r\n\r\nReceived: b\r\n", 1 },
	{ "not in a fold", "A: b\r\n Received: a\r\n\r\n", 0 },
	{ "not a longer name", "Received-SPF: a\r\nX-Received: b\r\nReceive: c\r\n\r\n", 0 },
	{ "not without a colon", "Received\r\nReceived \r\nReceived: x\r\n\r\n", 1 },
};

static void trace_counts_in_any_chunks(void **state)
{
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		struct slice in = slice_str(traces[i].in);

		for (size_t chunk = 1; chunk <= in.n; chunk++) {
			struct trace t = { 0 };

			for (size_t at = 0; at < in.n; at += chunk)
				trace_feed(&t, slice_part(in, at, chunk));
			if (t.received != traces[i].received || !t.done)
				fail_msg("%s (%zu): %u", traces[i].name, chunk, t.received);
		}
	}
}

static const struct {
	const char *in;
	int want;
	int64_t unix_s;
	int zone;
	const char *printed, *internal;
} dates[] = {
	{ "Fri, 21 Nov 1997 09:55:06 -0600", 0, 880127706, -360, "Fri, 21 Nov 1997 09:55:06 -0600",
	    "21-Nov-1997 09:55:06 -0600" },
	{ "1 Jan 1970 00:00 GMT", 0, 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000",
	    " 1-Jan-1970 00:00:00 +0000" },
	{ "Thu, 13 Feb 69 23:32 -0330 (Newfoundland Time)", 0, -27723480, -210,
	    "Thu, 13 Feb 1969 23:32:00 -0330", "13-Feb-1969 23:32:00 -0330" },
	{ "21 Nov 97 09:55:06 EST", 0, 880124106, -300, "Fri, 21 Nov 1997 09:55:06 -0500",
	    "21-Nov-1997 09:55:06 -0500" },
	{ "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 0, 880127706, -360,
	    "Fri, 21 Nov 1997 09:55:06 -0600", "21-Nov-1997 09:55:06 -0600" },
	{ "Tue, 29 Feb 2000 12:00:00 +0000", 0, 951825600, 0, "Tue, 29 Feb 2000 12:00:00 +0000",
	    "29-Feb-2000 12:00:00 +0000" },
	{ "29 Feb 1900 12:00:00 +0000", MAIL_DATE_BAD },
	{ "Sun, 06 Nov 1994 08:49:37 -0000", 0, 784111777, 0, "Sun, 6 Nov 1994 08:49:37 -0000",
	    " 6-Nov-1994 08:49:37 +0000" },
	{ "Mon Nov  7 08:48:06 1994", 0, 784198086, 0, "Mon, 7 Nov 1994 08:48:06 -0000",
	    " 7-Nov-1994 08:48:06 +0000" },
	{ "21-Nov-1997 09:55:06 -0600", 0, 880127706, -360, "Fri, 21 Nov 1997 09:55:06 -0600",
	    "21-Nov-1997 09:55:06 -0600" },
	{ "Wed, 31 Dec 2003 23:59:60 +0000", 0, 1072915200, 0, "Thu, 1 Jan 2004 00:00:00 +0000",
	    " 1-Jan-2004 00:00:00 +0000" },
	{ "", MAIL_DATE_BAD },
	{ "yesterday", MAIL_DATE_BAD },
	{ "21 Nov 1997", 0, 880070400, 0, "Fri, 21 Nov 1997 00:00:00 -0000",
	    "21-Nov-1997 00:00:00 +0000" },
	{ "32 Nov 1997 00:00:00 +0000", MAIL_DATE_BAD },
	{ "21 Nov 1997 24:00:00 +0000", 0, 880070400, 0, "Fri, 21 Nov 1997 00:00:00 +0000",
	    "21-Nov-1997 00:00:00 +0000" },
	{ "21 Nov 1997 00:00:00 +070", 0, 880070400, 0, "Fri, 21 Nov 1997 00:00:00 -0000",
	    "21-Nov-1997 00:00:00 +0000" },
	{ "21 Nov 1997 00:00:00 +0000 Central 5", 0, 880070400, 0,
	    "Fri, 21 Nov 1997 00:00:00 +0000", "21-Nov-1997 00:00:00 +0000" },
	{ "Nov 1997", MAIL_DATE_BAD },
};

static void dates_parse_and_print_as_listed(void **state)
{
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		struct mail_date d, again;
		struct buf a = BUF_INIT(64), b = BUF_INIT(64);
		int r = mail_date_parse(slice_str(dates[i].in), &d);

		if (r != dates[i].want)
			fail_msg("'%s': answer %d", dates[i].in, r);
		if (r != 0)
			continue;
		mail_date_print(&d, &a);
		mail_date_print_internal(&d, &b);
		if (d.unix_s != dates[i].unix_s || d.zone_min != dates[i].zone ||
		    !slice_eq(buf_slice(&a), slice_str(dates[i].printed)) ||
		    !slice_eq(buf_slice(&b), slice_str(dates[i].internal)))
			fail_msg("'%s': %lld %d '%.*s' '%.*s'", dates[i].in, (long long)d.unix_s,
			    d.zone_min, SLICE_FMT(buf_slice(&a)), SLICE_FMT(buf_slice(&b)));
		assert_int_equal(mail_date_parse(buf_slice(&a), &again), 0);
		assert_int_equal(again.unix_s, d.unix_s);
		assert_int_equal(mail_date_parse_internal(buf_slice(&b), &again), 0);
		assert_int_equal(again.unix_s, d.unix_s);
		assert_int_equal(again.zone_min, d.zone_min);
		buf_fini(&a);
		buf_fini(&b);
	}
}

static void internal_dates_have_one_form(void **state)
{
	struct mail_date d;

	assert_int_equal(mail_date_parse_internal(SLICE("1-Jan-1970 00:00:00 +0000"), &d), 1);
	assert_int_equal(mail_date_parse_internal(SLICE("01-Jan-1970 00:00:00 +0000"), &d), 0);
	assert_int_equal(mail_date_parse_internal(SLICE("01 Jan 1970 00:00:00 +0000"), &d), 1);
	assert_int_equal(mail_date_parse_internal(SLICE("01-Jan-1970 00:00:00  0000"), &d), 1);
	assert_int_equal(mail_date_parse_internal(SLICE("01-Foo-1970 00:00:00 +0000"), &d), 1);
	assert_int_equal(mail_date_parse_internal(SLICE("01-Jan-1970 25:00:00 +0000"), &d), 1);
	assert_int_equal(mail_date_parse_internal(SLICE("01-Jan-1970 00:00:00 +0060"), &d), 1);
	assert_int_equal(mail_date_parse_internal(SLICE("01-JAN-1970 00:00:00 -0000"), &d), 0);
	assert_int_equal(mail_date_parse_internal(SLICE("00-Jan-1970 00:00:00 +0000"), &d), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_split_as_listed),
		cmocka_unit_test(trace_counts_in_any_chunks),
		cmocka_unit_test(dates_parse_and_print_as_listed),
		cmocka_unit_test(internal_dates_have_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
