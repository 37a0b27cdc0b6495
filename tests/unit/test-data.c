/* common/data: values of the administration protocol in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/data/data.h"

static struct data *parse(struct arena *a, const char *text, const char **why)
{
	struct slice in = slice_str(text);
	struct data *d = data_parse(a, &in, why);

	data_skip_blanks(&in);
	if (d != NULL && in.n > 0) {
		*why = "rest";
		return NULL;
	}
	return d;
}

static void values_of_every_kind(void **state)
{
	struct arena a;
	const char *why;
	struct data *d;

	arena_init(&a, 1 << 20);
	d = parse(&a,
	    "{ Name = \"A \\\"b\\\" \\e\" \"c\\065\"; list=(one, \"\", (x)); Empty=(); n=#-12; "
	    "t=#T07-11-2011_16:53:05;"
	    " ip=#I[10.0.0.1]:25; ip6=#I[::1]; z=#NULL#; blk=[aGVs bG8=]; d={};}",
	    &why);
	assert_non_null(d);
	assert_true(slice_eq(data_get(d, "name")->text, SLICE("A \"b\" \ncA")));
	assert_true(slice_eq(data_get(d, "list")->first->next->text, SLICE("")));
	assert_int_equal(data_get(d, "list")->first->next->next->kind, DATA_ARRAY);
	assert_null(data_get(d, "Empty")->first);
	assert_int_equal(data_get(d, "n")->number, -12);
	assert_true(slice_eq(data_get(d, "t")->text, SLICE("07-11-2011_16:53:05")));
	assert_true(slice_eq(data_get(d, "ip")->text, SLICE("[10.0.0.1]:25")));
	assert_true(slice_eq(data_get(d, "ip6")->text, SLICE("[::1]")));
	assert_int_equal(data_get(d, "z")->kind, DATA_NULL);
	assert_true(slice_eq(data_get(d, "blk")->text, SLICE("hello")));
	assert_int_equal(data_get(d, "d")->kind, DATA_DICT);
	assert_null(data_get(d, "absent"));
	arena_fini(&a);
}

/* What is written of a value, and that reading it again makes the same. */
static void forms(void **state)
{
	static const char *const as[][2] = { { "abc9", "abc9" }, { "a.b", "\"a.b\"" },
		{ "\"ab\"  \"c\"", "abc" }, { "\"\"", "\"\"" },
		{ "\"\\e\\n\\r\\t\"", "\"\\e\\e\\r\\009\"" }, { "\"\\255\\000\"", "\"\xff\\000\"" },
		{ "a!#%:]_-@.", "\"a!#%:]_-@.\"" }, { "#-12", "#-12" }, { "#0", "#0" },
		{ "#9223372036854775807", "#9223372036854775807" },
		{ "#t07-11-2011_16:53:05", "#T07-11-2011_16:53:05" },
		{ "#T01-01-1970", "#T01-01-1970_00:00:00" },
		{ "#T29-02-2000", "#T29-02-2000_00:00:00" },
		{ "#T31-12-9999_23:59:59", "#T31-12-9999_23:59:59" },
		{ "#T01-01-0001_00:00:00", "#T01-01-0001_00:00:00" },
		{ "#T01-03-1900_00:00:01", "#T01-03-1900_00:00:01" },
		{ "#i[10.0.0.1]:25", "#I[10.0.0.1]:25" }, { "#I[10.0.0.1]", "#I[10.0.0.1]" },
		{ "#I[2001:DB8::1]:0", "#I[2001:db8::1]" }, { "#null#", "#NULL#" }, { "[]", "[]" },
		{ "[ aGVs bG8 ]", "[aGVsbG8=]" }, { "[/+8=]", "[/+8=]" }, { "[YQ]", "[YQ==]" },
		{ "(a,(\"b c\",()),{})", "(a,(\"b c\",()),{})" },
		{ "{ \"a b\" = 1 ; C= (x) ; }", "{\"a b\"=1;C=(x);}" },
		{ "{\"\"=x;}", "{\"\"=x;}" }, { "<a/>", "<a/>" },
		{ "<a><b c='>'>x &amp; y</b></a>", "<a><b c='>'>x &amp; y</b></a>" },
		{ "<?xml version=\"1.0\"?><a><!-- <b> --><![CDATA[</a>]]></a>",
		    "<?xml version=\"1.0\"?><a><!-- <b> --><![CDATA[</a>]]></a>" },
		{ "(<a>(</a>,\"b\")", "(<a>(</a>,b)" } };
	struct arena a;

	for (size_t i = 0; i < sizeof(as) / sizeof(as[0]); i++) {
		struct buf b = BUF_INIT(4096), c = BUF_INIT(4096);
		const char *why = NULL;
		struct data *d;
		struct slice in;

		arena_init(&a, 1 << 20);
		d = parse(&a, as[i][0], &why);
		if (d == NULL)
			fail_msg("%s: %s", as[i][0], why);
		data_put(&b, d);
		assert_string_equal(buf_cstr(&b), as[i][1]);
		in = buf_slice(&b);
		d = data_parse(&a, &in, &why);
		assert_non_null(d);
		data_put(&c, d);
		assert_string_equal(buf_cstr(&c), as[i][1]);
		buf_fini(&b);
		buf_fini(&c);
		arena_fini(&a);
	}
}

static void times_are_counted_in_seconds(void **state)
{
	struct arena a;
	const char *why;

	arena_init(&a, 1 << 20);
	assert_int_equal(parse(&a, "#T07-11-2011_16:53:05", &why)->number, 1320684785);
	assert_int_equal(parse(&a, "#T01-01-1970", &why)->number, 0);
	assert_int_equal(parse(&a, "#T31-12-1969_23:59:59", &why)->number, -1);
	assert_int_equal(parse(&a, "#T29-02-2024_12:00:00", &why)->number, 1709208000);
	for (int64_t s = -62135596800; s < 253402300800; s += 86400 * 97 + 12345) {
		struct buf b = BUF_INIT(100);

		data_put_stamp(&b, s);
		assert_int_equal(parse(&a, buf_cstr(&b), &why)->number, s);
		buf_fini(&b);
		arena_reset(&a);
	}
	arena_fini(&a);
}

static void malformed_values_say_why(void **state)
{
	static const char *const bad[] = { "", "(", "(a", "(a b)", "{", "{a}", "{a=}", "{a=b}",
		"{=b;}", "\"abc", "\"\\x\"", "\"\\99\"", "\"\\300\"", "[abc", "[a!]", "#", "#x",
		"#I[1", ",", "=", "{a=b;", "(a,)", "#I[x]", "#I[1.2.3.4]:65536", "#I[1.2.3.4]x",
		"#I[]", "#T", "#T31-02-2020", "#T29-02-2021_00:00:00", "#T07-11-2011_24:00:00",
		"#T7-11-2011", "#T07-11-2011_16:53", "#T07-11-2011_16:53:05Z", "#T07-11-0000",
		"[a]", "[ab", "[ab=c]", "[abcd===]", "[ab]c", "[aB]", "#NULL", "#nope",
		"#99999999999999999999", "<a>", "</a>", "<a", "<a></a", "<!DOCTYPE a><a/>",
		"<!-- x", "<a b='>", "<>", "<a><b></a>" };
	char deep[100];
	struct arena a;
	const char *why;

	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		if (parse(&a, bad[i], &why) != NULL || why == NULL)
			fail_msg("%s", bad[i]);
	}
	memset(deep, '(', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_null(parse(&a, deep, &why));
	assert_string_equal(why, "values are nested too deeply");
	arena_fini(&a);
}

static void what_is_written_is_read_again(void **state)
{
	uint8_t all[256];
	struct buf b = BUF_INIT(4096);
	struct arena a;
	const char *why;
	struct slice in;
	struct data *d;

	arena_init(&a, 1 << 20);
	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	data_put_string(&b, slice_of(all, sizeof(all)));
	in = buf_slice(&b);
	d = data_parse(&a, &in, &why);
	assert_non_null(d);
	assert_true(slice_eq(d->text, slice_of(all, sizeof(all))));
	buf_reset(&b);
	data_put_string(&b, SLICE("abc9"));
	assert_string_equal(buf_cstr(&b), "abc9");
	buf_reset(&b);
	data_put_string(&b, SLICE("a.b"));
	assert_string_equal(buf_cstr(&b), "\"a.b\"");
	buf_fini(&b);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_kind),
		cmocka_unit_test(malformed_values_say_why),
		cmocka_unit_test(forms),
		cmocka_unit_test(times_are_counted_in_seconds),
		cmocka_unit_test(what_is_written_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
