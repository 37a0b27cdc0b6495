/* Compaction: nothing that lives is lost, in the store, in what a crash leaves at any moment, and
 * in what is rebuilt from the log; what does not live gives its space back. */
#include "compact-world.h"

static void test_space_comes_back(void **state)
{
	struct env *v = *state;
	struct engine_stats st;
	struct answer a = { .rc = WAITING };

	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	for (int k = 0; k < KEYS; k++)
		for (int i = 0; i < GROUPS; i++)
			put_one(v, i, k, 9000, (unsigned)(k + i));
	put_one(v, 0, 0, 1500000, 3);
	put_one(v, 0, 1, 1600000, 4);
	for (int k = 2; k < KEYS; k++)
		for (int i = 0; i < GROUPS; i++)
			if (k % 4 != 0)
				del_one(v, i, k);
	put_one(v, 0, 1, 100, 5);
	engine_measure(v->e, on_done, &a);
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, 0);
	engine_stats(v->e, &st);
	assert_true(st.file_bytes > 2 * st.live_bytes);
	compact_wait(v);
	engine_stats(v->e, &st);
	assert_int_equal(st.body_files, 1);
	assert_true(st.file_bytes <= st.live_bytes + st.live_bytes / 5 + (512 << 10));
	assert_true(v->told > 0);
	expect_all(v->e, v->g, v->row);
	expect_kept_places(v);
	expect_copy(v, false);
	expect_copy(v, true);
}

/* Work goes on while compactions run, one after the other; places are kept as stored keeps them. */
static void test_work_goes_on(void **state)
{
	struct env *v = *state;

	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	for (int round = 0; round < 12; round++) {
		struct answer a;

		for (int i = 0; i < 60; i++)
			random_step(v);
		compact_start(v, &a);
		while (a.rc == WAITING) {
			random_step(v);
			engine_dispatch(v->e, 0);
		}
		assert_int_equal(a.rc, 0);
		expect_kept_places(v);
		if (round % 4 == 0)
			expect_copy(v, round % 8 == 0);
		if (round % 4 == 3) {
			groups_close(v);
			engine_close(&v->e);
			v->e = store_open("lmdb", v->dir, &conf);
			groups_open(v);
			expect_all(v->e, v->g, v->row);
		}
	}
	expect_all(v->e, v->g, v->row);
	expect_copy(v, true);
}

static struct engine_sys real_sys;
static _Atomic long writes_left;

static ssize_t write_until_full(int fd, const struct iovec *v, int n, off_t off)
{
	if (writes_left-- <= 0) {
		errno = ENOSPC;
		return -1;
	}
	return real_sys.pwritev(fd, v, n, off);
}

/* A disk that fills up in the middle, at each point: what has moved has moved, the rest stays, and
 * the next compaction must not drop what one of two sharers still means by its old place. */
static void test_broken_off(void **state)
{
	struct env *v = *state;
	unsigned broken = 0;

	real_sys = engine_sys;
	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	for (int round = 0; round < 20; round++) {
		struct answer a;

		for (int k = 0; k < 40; k++) {
			put_one(v, 0, k, 9000, (unsigned)(k + round));
			put_one(v, 1, k, 12000, (unsigned)k);
		}
		for (int k = 0; k < 40; k++) { /* the second far behind in the walk */
			ref_one(v, 0, k, 2, KEYS - 1 - k, false);
			del_one(v, 1, k);
		}
		writes_left = 1 + round;
		engine_sys.pwritev = write_until_full;
		compact_start(v, &a);
		wait_for(v->e, &a.rc);
		engine_sys = real_sys;
		broken += a.rc == ENGINE_FULL;
		assert_true(a.rc == 0 || a.rc == ENGINE_FULL);
		expect_all(v->e, v->g, v->row);
		for (int k = 1; k < 40; k++) /* where they went is as good as empty */
			del_one(v, 0, k);
		compact_wait(v);
		expect_all(v->e, v->g, v->row);
		expect_kept_places(v);
	}
	assert_true(broken > 2);
	expect_copy(v, true);
}

/* An empty body takes no place, so the next one in the frame begins at the same. */
static void test_an_empty_body_beside_others(void **state)
{
	static const size_t bytes[] = { 0, 5000, 0, 5000, 900000 };
	enum { N = sizeof(bytes) / sizeof(*bytes) };
	struct env *v = *state;
	struct engine_body *body[N];
	struct engine_batch *b;

	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	b = engine_batch_new(v->g[0]);
	for (int k = 0; k < N; k++) {
		char key[16], val[16];

		key_of(k, key);
		snprintf(val, sizeof(val), "v%d", k);
		body[k] = body_make(v->e, bytes[k], (unsigned)k);
		assert_int_equal(engine_put_body(b, slice_str(key), slice_str(val), body[k]), 0);
		v->row[0][k] = (struct row){ true, true, (unsigned)k, bytes[k] };
	}
	assert_int_equal(commit(v->e, b), 0);
	for (int k = 0; k < N; k++) {
		assert_int_equal(engine_body_loc(body[k], &v->loc[0][k]), 0);
		engine_body_free(&body[k]);
	}
	del_one(v, 0, N - 1); /* most of the segment may go */
	put_one(v, 1, 0, 9000, 7);
	compact_wait(v);
	assert_true(v->told >= N - 1);
	expect_all(v->e, v->g, v->row);
	expect_kept_places(v);
	expect_copy(v, true);
}

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_space_comes_back),
		CASE(test_work_goes_on),
		CASE(test_broken_off),
		CASE(test_an_empty_body_beside_others),
	};

	log_init(-1, false, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
