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

static void malformed_values_say_why(void **state)
{
	static const char *const bad[] = { "", "(", "(a", "(a b)", "{", "{a}", "{a=}", "{a=b}",
		"{=b;}", "\"abc", "\"\\x\"", "\"\\99\"", "\"\\300\"", "[abc", "[a!]", "#", "#x",
		"#I[1", ",", "=", "{a=b;", "(a,)" };
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
		cmocka_unit_test(what_is_written_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
