#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "protocols/imap/match.h"
#include "protocols/imap/parse.h"
#include "protocols/imap/view.h"
#include "protocols/imap/write.h"

/* ---- sets ---- */

static struct set parsed(const char *text)
{
	struct set s = { 0 };
	struct slice t = slice_str(text);
	struct parse p = { .begin = t.p, .p = t.p, .end = t.p + t.n };
	bool saved;

	parse_set(&p, &s, &saved);
	assert_true(parse_end(&p));
	set_norm(&s);
	return s;
}

static void assert_set(const struct set *s, const char *want)
{
	struct buf b = BUF_INIT(4096);
	struct writer w = writer(&b, false);

	write_ranges(&w, s);
	assert_string_equal(b.n > 0 ? buf_cstr(&b) : "", want);
	buf_fini(&b);
}

static void sets_are_joined_and_sorted(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "1", "1" },
		{ "3,1,2", "1:3" },
		{ "5:3", "3:5" },
		{ "1:3,2:9,9,10", "1:10" },
		{ "7,1,7", "1,7" },
		{ "4294967295", "4294967294" },
		{ "*,4294967294", "4294967294:4294967295" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct set s = parsed(cases[i].in);

		assert_set(&s, cases[i].want);
		set_fini(&s);
	}
}

static void sets_lose_what_is_removed(void **state)
{
	static const struct {
		const char *in;
		uint32_t first, last;
		const char *want;
	} cases[] = {
		{ "1:9", 4, 6, "1:3,7:9" },
		{ "1:9", 1, 9, "" },
		{ "1:9", 0, 3, "4:9" },
		{ "1:3,5:7,9", 2, 5, "1,6:7,9" },
		{ "1:3,5:7,9", 4, 4, "1:3,5:7,9" },
		{ "1:3,5:7,9", 3, 20, "1:2" },
		{ "1,3,5,7", 2, 6, "1,7" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct set s = parsed(cases[i].in);

		set_remove(&s, cases[i].first, cases[i].last);
		assert_set(&s, cases[i].want);
		for (uint32_t n = cases[i].first; n <= cases[i].last; n++)
			assert_false(set_has(&s, n));
		set_fini(&s);
	}
}

/* Every second message of a million goes: an hour, if each cost what it leaves behind. */
static void many_go_as_fast_as_few(void **state)
{
	static const char *const cases[][3] = {
		{ "1:9", "1,3:4,9", "2,5:8" },
		{ "1:3,5:7,9", "2:6", "1,7,9" },
		{ "1:3,5:7,9", "1:20", "" },
		{ "4:6", "1:3,7:9", "4:6" },
	};
	struct set s = { 0 }, gone = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s = parsed(cases[i][0]);
		gone = parsed(cases[i][1]);
		set_subtract(&s, &gone);
		assert_set(&s, cases[i][2]);
		set_fini(&s);
		set_fini(&gone);
	}
	alarm(30);
	set_add(&s, 1, 1000000);
	for (uint32_t n = 2; n <= 1000000; n += 2)
		set_add(&gone, n, n);
	set_subtract(&s, &gone);
	assert_int_equal(s.n, 500000);
	assert_true(set_has(&s, 999999) && !set_has(&s, 1000000));
	alarm(0);
	set_fini(&s);
	set_fini(&gone);
}

static void sets_are_cut_to_a_range(void **state)
{
	struct set s = parsed("1:3,5:7,9"), out = { 0 };

	set_clip(&s, 2, 6, &out);
	assert_set(&out, "2:3,5:6");
	assert_int_equal(set_count(&s), 7);
	assert_int_equal(set_count_from(&s, 6), 3);
	set_fini(&s);
	set_fini(&out);
}

/* ---- tokens ---- */

static struct parse cursor(struct arena *a, struct slice t)
{
	return (struct parse){ .begin = t.p, .p = t.p, .end = t.p + t.n, .arena = a };
}

static void strings_are_read_as_they_stand(void **state)
{
	static const struct {
		const char *in, *want; /* NULL: an error */
	} cases[] = {
		{ "abc]", "abc]" },
		{ "\"a b\"", "a b" },
		{ "\"a\\\"b\\\\\"", "a\"b\\" },
		{ "\"\"", "" },
		{ "{3}\r\na\r\n", "a\r\n" },
		{ "{3+}\r\nabc", "abc" },
		{ "{0}\r\n", "" },
		{ "{4}\r\nabc", NULL },
		{ "{x}\r\n", NULL },
		{ "\"a\\b\"", NULL },
		{ "\"a", NULL },
		{ "\"a\\", NULL },
		{ "", NULL },
		{ "(", NULL },
		{ "a b", NULL },
		{ "a%", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena a;
		struct parse p;
		struct slice got;

		arena_init(&a, 65536);
		p = cursor(&a, slice_str(cases[i].in));
		got = parse_astring(&p);
		assert_int_equal(parse_end(&p), cases[i].want != NULL);
		if (cases[i].want != NULL)
			assert_true(slice_eq(got, slice_str(cases[i].want)));
		arena_fini(&a);
	}
}

static void nothing_is_taken_after_an_error(void **state)
{
	struct parse p = cursor(NULL, SLICE("1 2"));
	struct set s = { 0 };
	bool saved;

	parse_char(&p, 'x');
	assert_false(parse_ok(&p));
	assert_int_equal(p.error_at, 0);
	assert_int_equal(parse_number(&p), 0);
	parse_set(&p, &s, &saved);
	assert_int_equal(s.n, 0);
	assert_int_equal(parse_atom(&p).n, 0);
	assert_false(parse_end(&p));
	assert_int_equal(p.error_at, 0);
}

static void dates_are_days(void **state)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: an error */
	} cases[] = {
		{ "1-Jan-1970", 0 },
		{ "\"2-jan-1970\"", 1 },
		{ "29-Feb-2000", 11016 },
		{ "29-Feb-1900", -1 },
		{ "31-Apr-2020", -1 },
		{ "0-Jan-2020", -1 },
		{ "1-Foo-2020", -1 },
		{ "1-Jan", -1 },
		{ "\"1-Jan-2020", -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct parse p = cursor(NULL, slice_str(cases[i].in));
		int64_t got = parse_date(&p);

		assert_int_equal(parse_end(&p) ? got : -1, cases[i].want);
	}
}

static void patterns_match_names(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool want;
	} cases[] = {
		{ "*", "a/b", true },
		{ "%", "a/b", false },
		{ "%", "a", true },
		{ "%/%", "a/b", true },
		{ "%/%", "a/b/c", false },
		{ "*%*", "a/b/c", true },
		{ "a*c", "abc/c", true },
		{ "a*c", "abcd", false },
		{ "inbox", "INBOX", true },
		{ "inbox", "Inbox2", false },
		{ "Inbox/%", "INBOX/a", true },
		{ "inb*", "INBOX/a", true },
		{ "inbox/A", "INBOX/a", false },
		{ "inb", "INB", false },
		{ "foo", "Foo", false },
		{ "", "", true },
		{ "", "a", false },
		{ "a/%", "a/", true },
		{ "*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(match_name(slice_str(cases[i].pattern), slice_str(cases[i].name)),
		    cases[i].want);
	assert_true(slice_eq(match_prefix(SLICE("foo/%")), SLICE("foo/")));
	assert_int_equal(match_prefix(SLICE("inb*")).n, 0);
	assert_true(slice_eq(match_prefix(SLICE("inbox/Sub/%")), SLICE("INBOX/")));
}

/* The work is bounded by both lengths, also where a wildcard follows the other. */
static void patterns_of_wildcards_cost_little(void **state)
{
	uint8_t stars[MATCH_PATTERN_MAX], name[1024];

	memset(stars, '*', sizeof(stars));
	stars[sizeof(stars) - 1] = 'b';
	memset(name, 'a', sizeof(name));
	alarm(20);
	for (unsigned i = 0; i < 200; i++)
		assert_false(
		    match_name(slice_of(stars, sizeof(stars)), slice_of(name, sizeof(name))));
	alarm(0);
}

/* ---- the view ---- */

static void load(struct view *v, const uint32_t *pairs, size_t n)
{
	struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < n; i++)
		wire_put_u32(&b, pairs[i]);
	v->loading = true;
	assert_true(view_load(v, buf_slice(&b)));
	assert_true(view_loaded(v, UINT32_MAX, UINT32_MAX));
	buf_fini(&b);
}

static void event(struct view *v, uint32_t what, uint32_t uid)
{
	uint8_t row[IPC_EVENT_BYTES] = { 0 };

	wire_store_u32(row, what);
	wire_store_u32(row + 4, uid);
	wire_store_u64(row + 24, 7);
	assert_true(view_events(v, slice_of(row, sizeof(row)), SLICE_NONE));
}

static void numbers_and_uids_are_one_list(void **state)
{
	static const uint32_t pairs[] = { 3, 5, 9, 9, 20, 30 };
	struct view v = { 0 };
	uint32_t seq = 0;

	load(&v, pairs, 6);
	assert_int_equal(v.count, 15);
	for (uint32_t uid = 1; uid < 40; uid++) {
		bool there = (uid >= 3 && uid <= 5) || uid == 9 || (uid >= 20 && uid <= 30);

		assert_int_equal(view_seq_from(&v, uid), seq + 1);
		assert_int_equal(view_seq(&v, uid), there ? seq + 1 : 0);
		seq += there;
		if (there)
			assert_int_equal(view_uid(&v, seq), uid);
	}
	assert_int_equal(view_uid(&v, 0), 0);
	assert_int_equal(view_uid(&v, 16), 0);
	view_fini(&v);
}

static void numbers_stay_until_the_client_is_told(void **state)
{
	static const uint32_t pairs[] = { 1, 10 };
	struct view v = { 0 };
	struct set gone;

	load(&v, pairs, 2);
	event(&v, IPC_EV_EXPUNGED, 5);
	event(&v, IPC_EV_EXPUNGED, 2);
	event(&v, IPC_EV_EXPUNGED, 5);
	event(&v, IPC_EV_NEW, 11);
	assert_int_equal(v.count, 10);
	assert_int_equal(view_seq(&v, 6), 6);
	assert_true(view_is_gone(&v, 5));
	assert_true(view_told_gone(&v, &gone));
	assert_set(&gone, "2,5");
	assert_int_equal(view_seq(&v, 5), 0);
	assert_int_equal(view_seq(&v, 6), 4);
	assert_int_equal(v.count, 8);
	assert_true(view_grow(&v));
	assert_int_equal(view_seq(&v, 11), 9);
	set_fini(&gone);
	view_fini(&v);
}

static void what_came_and_went_is_never_told(void **state)
{
	static const uint32_t pairs[] = { 1, 2 };
	struct view v = { 0 };

	load(&v, pairs, 2);
	event(&v, IPC_EV_NEW, 3);
	event(&v, IPC_EV_EXPUNGED, 3);
	assert_false(view_pending(&v, true));
	view_fini(&v);
}

static void all_may_go(void **state)
{
	static const uint32_t pairs[] = { 1, 3 };
	struct view v = { 0 };
	struct set gone;

	load(&v, pairs, 2);
	for (uint32_t uid = 1; uid <= 3; uid++)
		event(&v, IPC_EV_EXPUNGED, uid);
	assert_true(view_told_gone(&v, &gone));
	assert_int_equal(v.count, 0);
	assert_int_equal(view_seq_from(&v, 1), 1);
	event(&v, IPC_EV_NEW, 4);
	assert_true(view_grow(&v));
	assert_int_equal(view_uid(&v, 1), 4);
	set_fini(&gone);
	view_fini(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_joined_and_sorted),
		cmocka_unit_test(sets_lose_what_is_removed),
		cmocka_unit_test(many_go_as_fast_as_few),
		cmocka_unit_test(sets_are_cut_to_a_range),
		cmocka_unit_test(strings_are_read_as_they_stand),
		cmocka_unit_test(nothing_is_taken_after_an_error),
		cmocka_unit_test(dates_are_days),
		cmocka_unit_test(patterns_match_names),
		cmocka_unit_test(patterns_of_wildcards_cost_little),
		cmocka_unit_test(numbers_and_uids_are_one_list),
		cmocka_unit_test(numbers_stay_until_the_client_is_told),
		cmocka_unit_test(what_came_and_went_is_never_told),
		cmocka_unit_test(all_may_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
