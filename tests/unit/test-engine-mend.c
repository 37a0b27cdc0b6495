/* A shard whose index is damaged: the others go on, it is repaired beside them and comes back with
 * all that it had. */
#include "mend-help.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- found at the start ---- */

static void test_damaged_while_stopped(void **state)
{
	make();
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct engine *e;

		run(damages[i]);
		e = store_open("3*lmdb", dir, &mends);
		expect_word(e, 1, "rebuilding");
		assert_null(engine_shard_away(e, 2));
		wait_back(e, 1);
		expect_three(e);
		engine_close(&e);
		run("ls shard-1/data.mdb.damaged-* >/dev/null; ! ls data.mdb.damaged-* "
		    "2>/dev/null");
	}
}

/* Without anybody who mends, and of the first shard, it is as it always was. */
static void test_the_first_is_waited_for(void **state)
{
	struct engine *e;

	make();
	run("head -c 8192 /dev/urandom | dd of=data.mdb conv=notrunc status=none");
	e = store_open("3*lmdb", dir, &mends);
	for (unsigned k = 0; k < SHARDS; k++)
		assert_null(engine_shard_away(e, k));
	expect_three(e);
	engine_close(&e);
}

/* ---- found while it is in use ---- */

static void test_damaged_while_open(void **state)
{
	struct engine_batch *b;
	struct engine_group *g, *other;
	struct engine_body *ended, *begun;
	struct engine *e;
	struct answer a[2];

	make();
	e = store_open("3*lmdb", dir, &mends);
	g = group_in(e, "g", 1);
	other = group_in(e, "g", 2);
	/* Uploads that are no row's yet: one in a file of its own, whole; one that goes on. */
	ended = body_make(e, 3000000, 5);
	begun = engine_body_begin(engine_shard(e, 1), 100, NULL, NULL);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("first"), SLICE("row"), ended), 0);
	assert_int_equal(commit(e, b), 0);
	engine_body_free(&ended);
	ended = body_make(engine_shard(e, 1), 3000000, 6);
	spoil_rows();
	assert_int_equal(get(e, g, "000007")->rc, ENGINE_CORRUPT);
	/* Commits of one group keep their order. */
	for (int i = 0; i < 2; i++) {
		b = engine_batch_new(g);
		assert_int_equal(engine_put(b, SLICE("never"), SLICE("v")), 0);
		commit_start(e, b, &a[i]);
	}
	for (int i = 0; i < 2; i++) {
		wait_for(e, &a[i].rc);
		assert_true(a[i].rc == ENGINE_IO || a[i].rc == ENGINE_CANCELLED);
	}
	assert_int_not_equal(engine_health(e), ENGINE_BROKEN);
	expect_word(e, 1, "rebuilding");
	assert_int_equal(get(e, g, "000014")->rc, ENGINE_IO);
	assert_int_equal(put(e, other, "more", "v"), 0);
	wait_back(e, 1);
	/* The same handles, places and uploads go on. */
	expect_rows(e, g, 1);
	assert_int_equal(get(e, g, "never")->rc, ENGINE_NOTFOUND);
	assert_int_equal(put(e, g, "later", "v"), 0);
	body_expect(e, &get(e, g, "first")->loc, 3000000, 5);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("second"), SLICE("row"), ended), 0);
	assert_int_equal(commit(e, b), 0);
	engine_body_free(&ended);
	engine_body_free(&begun);
	engine_group_close(&g);
	engine_group_close(&other);
	engine_close(&e);
	e = store_open("3*lmdb", dir, &mends);
	g = group_in(e, "g", 1);
	expect_rows(e, g, 1);
	assert_string_equal(get(e, g, "later")->text, "later=v ");
	body_expect(e, &get(e, g, "second")->loc, 3000000, 6);
	engine_group_close(&g);
	engine_close(&e);
}

/* ---- while it is made anew ---- */

struct gate {
	int dir_fd;
	_Atomic bool reached, open;
};

static int at_gate(void *arg, unsigned shard)
{
	struct gate *gate = arg;

	gate->reached = true;
	while (!gate->open)
		poll(NULL, 0, 1);
	return engine_shard_rebuild(gate->dir_fd, shard, NULL, NULL);
}

static void expect_io(struct engine *e, struct engine_group *g, const struct engine_loc *loc)
{
	struct engine *one = engine_shard(e, 1);
	struct engine_body *body = engine_body_begin(one, 0, NULL, NULL);
	struct engine_stats st;
	struct answer a = { .rc = WAITING };
	static uint8_t bytes[100000];
	int rc = 0;

	assert_int_equal(put(e, g, "never", "v"), ENGINE_IO);
	assert_int_equal(get(e, g, "000007")->rc, ENGINE_IO);
	assert_int_equal(scan(e, g, "", "", 0)->rc, ENGINE_IO);
	assert_int_equal(body_read(e, loc, 0, 100)->rc, ENGINE_IO);
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = engine_body_append(body, slice_of(bytes, sizeof(bytes)));
	assert_int_equal(rc, ENGINE_IO);
	engine_body_free(&body);
	engine_measure(one, on_done, &a);
	wait_for(e, &a.rc);
	assert_int_equal(a.rc, ENGINE_IO);
	engine_stats(one, &st);
	engine_group_open(e, SLICE("other"), 0, ENGINE_CREATE | ENGINE_IN(1), on_group, &a);
	a.rc = WAITING;
	wait_for(e, &a.rc);
	assert_int_equal(a.rc, ENGINE_IO);
}

static void test_meanwhile(void **state)
{
	struct gate gate = { .dir_fd = open(dir, O_RDONLY | O_DIRECTORY) };
	struct engine_conf conf = mends;
	struct engine_body *body;
	struct engine_batch *b;
	struct engine_group *g;
	struct engine_loc loc;
	struct engine *e;

	make();
	conf.rebuild = at_gate;
	conf.rebuild_arg = &gate;
	e = store_open("3*lmdb", dir, &conf);
	g = group_in(e, "g", 1);
	body = body_make(e, 200000, 3);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("first"), SLICE("row"), body), 0);
	assert_int_equal(commit(e, b), 0);
	engine_body_free(&body);
	loc = get(e, g, "first")->loc;
	index_damaged((struct store *)engine_shard(e, 1), "a test says so", SLICE_NONE);
	for (int i = 0; i < 3 || !gate.reached; i++) {
		engine_dispatch(e, 0);
		expect_word(e, 1, "rebuilding");
		expect_io(e, g, &loc);
		expect_all(e, 0);
		expect_all(e, 2);
	}
	expect_io(e, g, &loc);
	assert_true(engine_mend(e)); /* which changes nothing */
	gate.open = true;
	wait_back(e, 1);
	expect_rows(e, g, 1);
	body_expect(e, &loc, 200000, 3);
	assert_int_equal(get(e, g, "never")->rc, ENGINE_NOTFOUND);
	assert_int_equal(put(e, g, "later", "v"), 0);
	engine_group_close(&g);
	engine_close(&e);
	close(gate.dir_fd);
}

/* ---- who makes it anew dies of that, or cannot ---- */

struct helper {
	int dir_fd, answers[8];
	unsigned calls;
};

/* Negative: in its place something dies; positive: it cannot; 0: it does. */
static int help(void *arg, unsigned shard)
{
	struct helper *h = arg;
	int r = h->answers[h->calls++];

	return r != 0 ? r : engine_shard_rebuild(h->dir_fd, shard, NULL, NULL);
}

static void test_helpers_that_fail(void **state)
{
	static const struct {
		int answers[8];
		unsigned calls;
		const char *word;
	} cases[] = {
		{ { -1, -1, 0 }, 3, NULL },
		{ { -1, -1, -1, -1, -1, -1 }, 4, "rebuild-failed" },
		{ { ENGINE_CORRUPT }, 1, "damaged" },
		{ { ENGINE_FULL, ENGINE_IO, 0 }, 3, NULL },
	};

	make();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct helper h = { .dir_fd = open(dir, O_RDONLY | O_DIRECTORY) };
		struct engine_conf conf = mends;
		struct engine *e;

		memcpy(h.answers, cases[i].answers, sizeof(h.answers));
		conf.rebuild = help;
		conf.rebuild_arg = &h;
		run(damages[0]);
		e = store_open("3*lmdb", dir, &conf);
		if (cases[i].word == NULL) {
			wait_back(e, 1);
		} else {
			wait_word(e, 1, cases[i].word);
			expect_all(e, 2);
			/* An operator asks: it is looked at again. */
			memset(h.answers, 0, sizeof(h.answers));
			assert_true(engine_mend(e));
			wait_back(e, 1);
			h.calls--;
		}
		assert_int_equal(h.calls, cases[i].calls);
		expect_three(e);
		engine_close(&e);
		close(h.dir_fd);
	}
}

static unsigned frames;

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	if (++frames == *(const unsigned *)arg)
		(void)raise(SIGKILL);
}

/* Killed after so many steps. False: it came to its end before. */
static bool killed_at(unsigned step)
{
	int fd, status;
	pid_t pid = fork();

	if (pid == 0) {
		fd = open(dir, O_RDONLY | O_DIRECTORY);
		frames = 0;
		_exit(engine_shard_rebuild(fd, 1, on_progress, &step) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return status != 0;
}

/* And the index is damaged once more, as far as there is one. */
static void test_killed_in_the_middle(void **state)
{
	bool more = true;

	make();
	for (unsigned i = 0; more; i++) {
		struct engine *e;

		run(damages[2]);
		run("rm -f shard-1/running");
		e = store_open(
		    "3*lmdb", dir, &(struct engine_conf){ .mend = true, .hold_threads = true });
		expect_word(e, 1, "rebuilding");
		engine_close(&e);
		more = killed_at(1 + i * 3);
		if (i % 2 == 1)
			run("truncate -s 5000 shard-1/data.mdb");
		e = store_open("3*lmdb", dir, &mends);
		if (more)
			expect_word(e, 1, "rebuilding");
		wait_back(e, 1);
		expect_three(e);
		engine_close(&e);
		assert_true(i < 200);
	}
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		CASE(test_damaged_while_stopped),
		CASE(test_the_first_is_waited_for),
		CASE(test_damaged_while_open),
		CASE(test_meanwhile),
		CASE(test_helpers_that_fail),
		CASE(test_killed_in_the_middle),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
	log_init(-1, false, LOG_EMERG);
	return run_apart(tests);
}
