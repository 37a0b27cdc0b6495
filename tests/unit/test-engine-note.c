/*
 * A batch that is written down in another group and read back does what it would have done, its
 * references to bodies included; and an engine without an atom over groups says so and takes one.
 */
#include "tests/unit/engine-help.h"

#include "common/base/wire.h"

#include <signal.h>
#include <sys/wait.h>

enum { PREFIX = 2, LONG = 100000 };

static const char *spec = "mem:one_group=1";

static char dir[64];
static struct engine *e;
static struct engine_group *here, *there;

static int begin(void **state)
{
	dir_make(dir);
	e = store_open(spec, dir, NULL);
	here = group_open(e, "here", ENGINE_CREATE, 0);
	there = group_open(e, "there", ENGINE_CREATE, 0);
	return 0;
}

static int end(void **state)
{
	engine_group_close(&here);
	engine_group_close(&there);
	engine_close(&e);
	dir_remove(dir);
	return 0;
}

/* Rows are valid in the callback only; so is what is done with them. */
static void redo_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct engine_batch *b = arg;

	assert_false(more);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(engine_redo(b, &rows[i], PREFIX), 0);
}

/* Takes the batch: what it says is done in `here`, by way of `there`. */
static void by_way_of_there(struct engine_batch *take_b)
{
	struct engine_batch *note = engine_batch_new(there), *redo;
	uint32_t n = 0;

	assert_int_equal(engine_note(note, SLICE("n:"), &n, take_b), 0);
	engine_batch_free(&take_b);
	assert_int_equal(commit(e, note), 0);
	assert_int_equal(scan(e, there, "n:", "n;", 0)->rows, n);
	redo = engine_batch_new(here);
	while (engine_scan_now(there, SLICE("n:"), SLICE("n;"), 0, redo_rows, redo) == ENGINE_AGAIN)
		;
	assert_int_equal(commit(e, redo), 0);
	note = engine_batch_new(there);
	assert_int_equal(engine_del_range(note, SLICE("n:"), SLICE("n;")), 0);
	assert_int_equal(commit(e, note), 0);
}

static void every_operation_comes_back(void **state)
{
	struct engine_body *first = body_make(e, 3000, 1), *second = body_make(e, LONG, 2);
	struct engine_batch *b;
	struct engine_loc loc;
	struct answer *a;

	b = engine_batch_new(here);
	assert_int_equal(engine_put_body(b, SLICE("body"), SLICE("old"), first), 0);
	assert_int_equal(engine_put(b, SLICE("gone"), SLICE("x")), 0);
	assert_int_equal(engine_put(b, SLICE("r1"), SLICE("x")), 0);
	assert_int_equal(engine_put(b, SLICE("r2"), SLICE("x")), 0);
	assert_int_equal(engine_put(b, SLICE("r3"), SLICE("x")), 0);
	assert_int_equal(commit(e, b), 0);
	assert_int_equal(engine_body_loc(first, &loc), 0);
	b = engine_batch_new(here);
	assert_int_equal(engine_put(b, SLICE("new"), SLICE("1")), 0);
	assert_int_equal(engine_put(b, SLICE("empty"), SLICE_NONE), 0);
	assert_int_equal(engine_put_body(b, SLICE("up1"), SLICE("u1"), second), 0);
	assert_int_equal(engine_put_ref(b, SLICE("ref"), SLICE("r"), &loc), 0);
	assert_int_equal(engine_put_body(b, SLICE("up2"), SLICE("u2"), second), 0);
	assert_int_equal(engine_del(b, SLICE("gone")), 0);
	assert_int_equal(engine_del_range(b, SLICE("r1"), SLICE("r3")), 0);
	assert_int_equal(engine_put(b, SLICE("new"), SLICE("2")), 0);
	by_way_of_there(b);
	engine_body_free(&first);
	engine_body_free(&second);
	assert_string_equal(
	    scan(e, here, "", "", 0)->text, "body=old empty= new=2 r3=x ref=r up1=u1 up2=u2 ");
	a = get(e, here, "ref");
	loc = a->loc;
	assert_true(a->has_loc);
	body_expect(e, &loc, 3000, 1);
	a = get(e, here, "up2");
	loc = a->loc;
	assert_true(a->has_loc);
	body_expect(e, &loc, LONG, 2);
}

static void a_range_to_the_end_and_a_whole_group(void **state)
{
	struct engine_batch *b;

	assert_int_equal(put(e, here, "a", "1"), 0);
	assert_int_equal(put(e, here, "b", "2"), 0);
	b = engine_batch_new(here);
	assert_false(engine_batch_ends_group(b));
	assert_true(slice_eq(engine_batch_group(b), SLICE("here")));
	assert_int_equal(engine_del_range(b, SLICE("b"), SLICE_NONE), 0);
	by_way_of_there(b);
	assert_string_equal(scan(e, here, "", "", 0)->text, "a=1 ");
	b = engine_batch_new(here);
	assert_int_equal(engine_del_range(b, SLICE_NONE, SLICE_NONE), 0);
	by_way_of_there(b);
	assert_string_equal(scan(e, here, "", "", 0)->text, "");
	assert_int_equal(put(e, here, "a", "1"), 0);
	b = engine_batch_new(here);
	assert_int_equal(engine_del_group(b), 0);
	assert_true(engine_batch_ends_group(b));
	by_way_of_there(b);
	engine_group_close(&here);
	group_open(e, "here", 0, ENGINE_NOTFOUND);
	here = group_open(e, "here", ENGINE_CREATE, 0);
}

static void what_does_not_fit_is_refused(void **state)
{
	static uint8_t val[32 << 10], key[400];
	struct engine_batch *b = engine_batch_new(here), *note = engine_batch_new(there);
	uint32_t n = 7;

	memset(key, 'k', sizeof(key));
	/* A value may be as long as any; a key leaves room for the prefix. */
	assert_int_equal(engine_put(b, SLICE("k"), slice_of(val, sizeof(val))), 0);
	assert_int_equal(engine_note(note, SLICE("n:"), &n, b), 0);
	assert_int_equal(n, 8);
	assert_int_equal(engine_put(b, slice_of(key, sizeof(key)), SLICE("v")), 0);
	assert_int_equal(engine_note(note, SLICE("n:"), &n, b), ENGINE_TOOBIG);
	assert_int_equal(engine_note(note, slice_of(key, 33), &n, b), ENGINE_TOOBIG);
	engine_batch_free(&b);
	engine_batch_free(&note);
}

static void what_is_no_such_row_is_refused(void **state)
{
	static const struct {
		const char *name;
		struct slice key;
	} cases[] = {
		{ "no number", SLICE("n:") },
		{ "no kind", SLICE("n:\0\0\0\0") },
		{ "kind 0", SLICE("n:\0\0\0\0\0k") },
		{ "kind 9", SLICE("n:\0\0\0\0\11k") },
		{ "a put without a key", SLICE("n:\0\0\0\0\1") },
		{ "a del without a key", SLICE("n:\0\0\0\0\2") },
	};
	struct engine_batch *b = engine_batch_new(here);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct engine_row row = { .key = cases[i].key };

		if (engine_redo(b, &row, PREFIX) != ENGINE_CORRUPT)
			fail_msg("%s", cases[i].name);
	}
	engine_batch_free(&b);
}

/* Nobody can count on an atom that is not there: the attempt ends the process. */
static void two_groups_are_no_commit(void **state)
{
	int status;
	pid_t pid;

	assert_false(engine_limits(e)->commit_atomic);
	assert_int_equal(engine_limits(e)->commit_batches, 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct engine_batch *b[2] = { engine_batch_new(here), engine_batch_new(there) };

		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		engine_commit(e, b, 2, NULL, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static int tests(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup_teardown(every_operation_comes_back, begin, end),
		cmocka_unit_test_setup_teardown(a_range_to_the_end_and_a_whole_group, begin, end),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_such_row_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(two_groups_are_no_commit, begin, end),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		spec = argv[1];
	return run_apart(tests);
}
