/*
 * How an index is set aside and made anew: how often, for whom, what stays where it cannot be; and
 * that an open says that it works.
 */
#include "index-help.h"

static void spoil(const char *dir)
{
	static const uint8_t noise[64] = { 0xff, 0xff };
	int fd = index_fd(dir);
	off_t size = index_size(dir);

	for (off_t at = 4096; at < size; at += 4096)
		assert_int_equal(pwrite(fd, noise, sizeof(noise), at), sizeof(noise));
	close(fd);
}

/* A new index gets its rows at once, not with the first checkpoint. */
static const struct engine_conf small_steps = { .checkpoint_ms = NO_TIMER_MS,
	.overlay_bytes = 20000 };

static const struct engine_conf asked = { .checkpoint_ms = NO_TIMER_MS, .fresh_index = true };

/* A crash leaves the files as they are: a copy of an open store's. */
static void crash_with_damage(struct env *v)
{
	v->e = store_open("lmdb", v->dir, &small_steps);
	run("cp -r % crashed", v->dir);
	engine_close(&v->e);
	run("rm -r % && mv crashed %", v->dir);
	spoil(v->dir);
}

static void test_rebuilds_are_bounded(void **state)
{
	struct env *v = *state;
	struct engine_stats st;

	make(v);
	for (int i = 0; i < 3; i++) {
		crash_with_damage(v);
		assert_int_equal(count_of(v->dir, "running"), 1);
	}
	v->e = store_open("lmdb", v->dir, &small_steps); /* the third */
	engine_stats(v->e, &st);
	assert_int_equal(st.index_rebuilds, 1);
	run("cp -r % crashed", v->dir);
	engine_close(&v->e);
	run("rm -r % && mv crashed %", v->dir);
	spoil(v->dir);
	run("cp -r % before", v->dir);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_rc(v->dir, &no_timer, &v->e), ENGINE_CORRUPT);
		run("diff -r before %", v->dir);
	}
	run("rm -r before", v->dir);
	/* What the operator does about it: a new index, and a stop in order, begin a new count. */
	v->e = store_open("lmdb", v->dir, &asked);
	all_there(v->e, 1);
	engine_close(&v->e);
	assert_int_equal(count_of(v->dir, "running"), 0);
	assert_int_equal(count_of(v->dir, "data.mdb.damaged-"), 1);
	v->e = store_open("lmdb", v->dir, &no_timer);
	engine_stats(v->e, &st);
	assert_int_equal(st.index_rebuilds, 0);
	all_there(v->e, 1);
}

/* What says that a store is open belongs to the one who has it open. */
static void test_in_use(void **state)
{
	struct env *v = *state;
	struct engine *e;

	make(v);
	v->e = store_open("lmdb", v->dir, &no_timer);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_rc(v->dir, i == 0 ? &no_timer : &asked, &e), ENGINE_BUSY);
		assert_int_equal(count_of(v->dir, "running"), 1);
	}
	all_there(v->e, 1);
}

static void test_deaths(void **state)
{
	static const struct {
		unsigned crashes, rebuilds;
	} cases[] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 0 } };
	struct env *v = *state;
	struct engine_stats st;

	make(v);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct engine_conf conf = { .crashes = cases[i].crashes };

		v->e = store_open("lmdb", v->dir, &conf);
		engine_stats(v->e, &st);
		assert_int_equal(st.index_rebuilds, cases[i].rebuilds);
		all_there(v->e, 1);
		engine_close(&v->e);
	}
}

/* The log has a gap: the index that is left is put back, and nothing else is touched. */
static void test_rebuild_that_fails(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .checkpoint_ms = NO_TIMER_MS, .segment_bytes = 100000 };
	char path[128];
	int fd;

	v->e = store_open("lmdb", v->dir, &conf);
	for (unsigned i = 0; i < 4; i++)
		fill(v->e, i, 0, ROWS);
	engine_close(&v->e);
	snprintf(path, sizeof(path), "%s/log-00000001", v->dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "damage", 6, 5000), 6);
	close(fd);
	spoil(v->dir);
	run("cp -r % before", v->dir);
	assert_int_equal(open_rc(v->dir, &conf, &v->e), ENGINE_CORRUPT);
	run("rm -f %/running %/lock.mdb before/lock.mdb; diff -r before %", v->dir);
	/* The same, and what was known of it before, when an operator asked. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_rc(v->dir, &asked, &v->e), ENGINE_CORRUPT);
		assert_int_equal(count_of(v->dir, "running"), i);
		run("rm -f %/lock.mdb; diff -r before %", v->dir);
		assert_int_equal(open_rc(v->dir, &conf, &v->e), ENGINE_CORRUPT); /* marks it */
		run("rm -fr %/lock.mdb before && cp -r % before", v->dir);
	}
	run("rm -r before", v->dir);
}

struct told {
	unsigned calls;
	uint64_t done, of;
};

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	struct told *t = arg;

	assert_true(of == 0 || done < of);
	assert_true(of == 0 || of >= t->of);
	t->calls++;
	t->done = done;
	t->of = of;
}

/* A supervisor ends who says nothing for long: not once a segment, but with every frame. */
static void test_open_says_that_it_works(void **state)
{
	struct env *v = *state;
	struct told t = { 0 };
	const struct engine_conf conf = {
		.fresh_index = true, .progress = on_progress, .progress_arg = &t
	};
	struct engine_stats st;
	unsigned calls;

	make(v);
	v->e = store_open("lmdb", v->dir, &conf);
	engine_stats(v->e, &st);
	assert_true(st.replayed_frames > 2);
	assert_in_range(t.calls, st.replayed_frames, 100 * st.replayed_frames);
	assert_int_equal(t.of, 1);
	calls = t.calls;
	fill(v->e, 1, 0, ROWS);
	engine_close(&v->e);
	assert_int_equal(t.calls, calls);
}

static int all(void)
{
	const struct CMUnitTest cases[] = {
		CASE(test_rebuilds_are_bounded),
		CASE(test_in_use),
		CASE(test_deaths),
		CASE(test_rebuild_that_fails),
		CASE(test_open_says_that_it_works),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
