/* What the LMDB engine does with system calls that fail, and with an index that cannot grow. */
#include "engine-env.h"

#include "common/base/log.h"

static _Atomic int fail_sync, fail_write, fail_cut, fail_index; /* calls that still fail */

static int sync_fails(int fd)
{
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return real_sys.fdatasync(fd);
}

/* Half of it is written before the disk is full. */
static ssize_t write_fails(int fd, const struct iovec *v, int n, off_t off)
{
	if (fail_write == 2) {
		struct iovec half = { v[0].iov_base, (v[0].iov_len + 1) / 2 };

		fail_write = 1;
		return real_sys.pwritev(fd, &half, 1, off);
	}
	if (fail_write > 0) {
		errno = ENOSPC;
		return -1;
	}
	return real_sys.pwritev(fd, v, n, off);
}

static int cut_fails(int fd, off_t size)
{
	if (fail_cut > 0) {
		errno = EIO;
		return -1;
	}
	return real_sys.ftruncate(fd, size);
}

static int index_fails(MDB_txn *t)
{
	if (fail_index > 0) {
		mdb_txn_abort(t);
		return ENOSPC;
	}
	return real_sys.mdb_commit(t);
}

static void faults_on(void)
{
	fail_sync = fail_write = fail_cut = fail_index = 0;
	engine_sys.pwritev = write_fails;
	engine_sys.fdatasync = sync_fails;
	engine_sys.ftruncate = cut_fails;
	engine_sys.mdb_commit = index_fails;
}

static void test_failed_sync_is_not_retried(void **state)
{
	struct env *v = *state;
	struct engine_group *g;
	struct answer a[3];
	struct engine *e;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	g = group_open(v->e, "g", 0, 0);
	fail_sync = 1;
	for (int i = 0; i < 3; i++) {
		struct engine_batch *b = engine_batch_new(g);

		assert_int_equal(engine_put(b, SLICE("x"), SLICE("lost")), 0);
		commit_start(v->e, b, &a[i]);
	}
	for (int i = 0; i < 3; i++)
		wait_for(v->e, &a[i].rc);
	assert_int_equal(a[0].rc, ENGINE_IO);
	for (int i = 1; i < 3; i++)
		assert_true(a[i].rc == ENGINE_IO || a[i].rc == ENGINE_CANCELLED);
	assert_int_equal(engine_health(v->e), ENGINE_HEALTHY);
	assert_int_equal(get(v->e, g, "x")->rc, ENGINE_NOTFOUND);
	engine_group_close(&g);
	e = store_open("lmdb", image_take(v), NULL);
	expect_frames(&e, v->image, FRAMES);
	engine_close(&e);
	/* goes on, in a new segment */
	expect_frames(&v->e, v->dir, FRAMES);
	assert_int_equal(count_files(v->dir, "log-"), 2);
}

static void test_outcome_unknown_until_recovered(void **state)
{
	struct env *v = *state;
	struct engine_group *g, *again;
	struct answer a;
	int64_t end;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	g = group_open(v->e, "g", 0, 0);
	fail_sync = 1;
	fail_cut = 1;
	commit_start(v->e, engine_batch_new(g), &a);
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, ENGINE_UNKNOWN);
	assert_int_equal(engine_health(v->e), ENGINE_RECOVERING);
	/* The old handle is of no use; a new one waits until the outcome is known. */
	assert_int_equal(put(v->e, g, "x", "y"), ENGINE_STALE);
	group_open(v->e, "g", 0, ENGINE_IO);
	again = group_open(v->e, "other", ENGINE_CREATE, 0);
	assert_int_equal(put(v->e, again, "x", "y"), ENGINE_IO);
	fail_cut = 0;
	end = clock_mono_ms() + 5000;
	while (put(v->e, again, "x", "y") != 0)
		assert_true(clock_mono_ms() < end);
	assert_int_equal(engine_health(v->e), ENGINE_HEALTHY);
	engine_group_close(&again);
	engine_group_close(&g);
	expect_frames(&v->e, v->dir, FRAMES);
}

static void test_disk_full_is_an_answer(void **state)
{
	struct env *v = *state;
	struct engine_group *g;
	struct engine *e;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	g = group_open(v->e, "g", 0, 0);
	for (int i = 0; i < 5; i++) {
		fail_write = 1 + (i & 1);
		assert_int_equal(put(v->e, g, "x", "no room"), ENGINE_FULL);
		e = store_open("lmdb", image_take(v), NULL);
		fail_write = 0;
		expect_frames(&e, v->image, FRAMES);
		engine_close(&e);
	}
	engine_group_close(&g);
	expect_frames(&v->e, v->dir, FRAMES);
}

static void test_spill_meets_full_disk(void **state)
{
	struct env *v = *state;
	static uint8_t piece[500000];
	struct answer room = { .rc = WAITING }, end = { .rc = WAITING };
	struct engine_body *b;
	int r = 0;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	b = engine_body_begin(v->e, 0, on_done, &room);
	fail_write = 1;
	for (int i = 0; i < 20 && r == 0; i++) {
		r = engine_body_append(b, slice_of(piece, sizeof(piece)));
		if (r == ENGINE_AGAIN) {
			wait_for(v->e, &room.rc);
			r = room.rc;
			room.rc = WAITING;
		}
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_int_equal(engine_body_end(b, on_done, &end), ENGINE_FULL);
	engine_body_free(&b);
	assert_int_equal(count_files(v->dir, "body-"), 0);
	fail_write = 0;
	fill(v->e, "g", 0, 1);
}

static void wait_health(struct engine *e, enum engine_health want)
{
	int64_t end = clock_mono_ms() + 8000;

	while (engine_health(e) != want) {
		assert_true(clock_mono_ms() < end);
		usleep(5000);
	}
}

static void test_stuck_index(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .overlay_bytes = 50000, .checkpoint_ms = NO_TIMER_MS };
	struct engine_group *g;
	uint8_t val[1000] = { 0 };
	int r = 0, n = 0;
	char key[16];

	faults_on();
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	fail_index = 1;
	while (r == 0) {
		struct engine_batch *b = engine_batch_new(g);

		snprintf(key, sizeof(key), "%06d", n);
		assert_int_equal(engine_put(b, slice_str(key), slice_of(val, sizeof(val))), 0);
		r = commit(v->e, b);
		n += r == 0;
		assert_true(n < 1000);
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_true(n > 90);
	assert_int_equal(engine_health(v->e), ENGINE_INDEX_STUCK);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, n);
	fail_index = 0;
	wait_health(v->e, ENGINE_HEALTHY);
	assert_int_equal(put(v->e, g, "z", "z"), 0);
	engine_group_close(&g);
	engine_close(&v->e);
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, n + 1);
	engine_group_close(&g);
}

static void test_map_grows_until_it_may_not(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = {
		.overlay_bytes = 100000, .map_bytes = 128 << 10, .map_max_bytes = 1 << 20
	};
	struct engine_group *g;
	uint8_t val[1000] = { 0 };
	int r = 0, n = 0;
	char key[16];

	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	while (r == 0) {
		struct engine_batch *b = engine_batch_new(g);

		for (int i = 0; i < 20; i++) {
			snprintf(key, sizeof(key), "%06d", n + i);
			assert_int_equal(
			    engine_put(b, slice_str(key), slice_of(val, sizeof(val))), 0);
		}
		r = commit(v->e, b);
		n += r == 0 ? 20 : 0;
		assert_true(n < 5000);
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_true(n > 500); /* more than the first map could hold */
	for (int i = 0; i < n; i += 97) {
		snprintf(key, sizeof(key), "%06d", i);
		assert_int_equal(get(v->e, g, key)->rc, 0);
	}
	engine_group_close(&g);
	/* the log has it all: a larger bound, and everything is there */
	engine_close(&v->e);
	conf.map_max_bytes = 0;
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_group_seq(g), n / 20);
	assert_int_equal(put(v->e, g, "z", "z"), 0);
	engine_group_close(&g);
}

/* As when there are no addresses left: LMDB has let go of the old map by then. */
static int no_addresses(MDB_env *env, size_t bytes)
{
	return mdb_env_set_mapsize(env, (size_t)1 << 60);
}

static void test_map_that_cannot_grow(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = {
		.overlay_bytes = 20000, .checkpoint_ms = NO_TIMER_MS, .map_bytes = 128 << 10
	};
	int64_t end = clock_mono_ms() + 60000;
	struct engine_group *g;
	int n = 0;

	v->e = store_open("lmdb", v->dir, &conf);
	fill(v->e, "g", 0, 50); /* into the first map */
	engine_close(&v->e);
	engine_sys.mdb_set_mapsize = no_addresses;
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "h", ENGINE_CREATE, 0);
	while (engine_health(v->e) != ENGINE_BROKEN) {
		char key[16], val[1000] = { 0 };

		memset(val, 'v', sizeof(val) - 1);
		snprintf(key, sizeof(key), "%06d", n);
		n += put(v->e, g, key, val) == 0;
		assert_true(clock_mono_ms() < end);
	}
	engine_group_close(&g);
	g = group_open(v->e, "g", 0, ENGINE_FULL);
	engine_close(&v->e);
	engine_sys.mdb_set_mapsize = mdb_env_set_mapsize;
	/* All that was answered is in the log. */
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "h", 0, 0);
	assert_int_equal(engine_group_seq(g), n);
	engine_group_close(&g);
	g = group_open(v->e, "g", 0, 0);
	engine_group_close(&g);
}

static int nothing_in_memory(void *p, size_t n, unsigned char *ret_in)
{
	memset(ret_in, 0, (n + 4095) / 4096);
	return 0;
}

/* The checkpointer looks what is in memory whenever it likes, so it must see the same each time. */
static void test_cold_reads_go_to_the_pool(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .overlay_bytes = 2000, .checkpoint_ms = NO_TIMER_MS };
	struct engine_stats st;
	struct engine_group *g;
	struct answer a = { .rc = WAITING };
	int64_t end;

	engine_sys.mincore = nothing_in_memory;
	v->e = store_open("lmdb", v->dir, &conf);
	fill(v->e, "g", 0, 50);
	end = clock_mono_ms() + 10000;
	do {
		assert_true(clock_mono_ms() < end);
		usleep(1000);
		engine_stats(v->e, &st);
	} while (st.checkpoint_rows < 20);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_get_now(g, SLICE("000001"), on_rows_now, &a), ENGINE_AGAIN);
	assert_string_equal(get(v->e, g, "000001")->text, "000001=row ");
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, 50);
	assert_int_equal(get(v->e, g, "nothing")->rc, ENGINE_NOTFOUND);
	engine_stats(v->e, &st);
	assert_true(st.reads_pool >= 3);
	engine_group_close(&g);
}

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_failed_sync_is_not_retried),
		CASE(test_outcome_unknown_until_recovered),
		CASE(test_disk_full_is_an_answer),
		CASE(test_spill_meets_full_disk),
		CASE(test_stuck_index),
		CASE(test_map_grows_until_it_may_not),
		CASE(test_map_that_cannot_grow),
		CASE(test_cold_reads_go_to_the_pool),
	};

	log_init(-1, false, LOG_EMERG); /* most cases make errors on purpose */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
