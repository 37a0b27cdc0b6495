/* Whatever call of a pass fails: nothing is lost, users are answered as before, and a later pass
 * does the work. */
#include "compact-world.h"

#include <sys/vfs.h>

enum { MAX_CALLS = 400 };

static struct engine_sys real_sys;
static _Atomic long left[6];
static _Atomic bool broken;

/* Of this kind of call the one that is due fails, and it alone. */
static bool due(int what)
{
	if (--left[what] != 0)
		return false;
	broken = true;
	return true;
}

static ssize_t bad_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	if (due(0)) {
		errno = ENOSPC;
		return -1;
	}
	return real_sys.pwritev(fd, v, n, off);
}

static int bad_fdatasync(int fd)
{
	if (due(1)) {
		errno = EIO;
		return -1;
	}
	return real_sys.fdatasync(fd);
}

static int bad_mdb_commit(MDB_txn *t)
{
	if (due(3)) {
		mdb_txn_abort(t);
		return ENOSPC;
	}
	return real_sys.mdb_commit(t);
}

static int bad_unlinkat(int dir_fd, const char *name, int flags)
{
	if (due(4)) {
		errno = EIO;
		return -1;
	}
	return real_sys.unlinkat(dir_fd, name, flags);
}

/* No room from then on. */
static int no_room(int fd, struct statfs *st)
{
	int r = real_sys.fstatfs(fd, st);

	if (--left[5] <= 0) {
		broken = true;
		st->f_bavail = st->f_blocks / 1000;
	}
	return r;
}

static void break_one(int what, long nth)
{
	for (int i = 0; i < 6; i++)
		left[i] = -1;
	broken = false;
	left[what] = nth;
	switch (what) {
	case 0:
		engine_sys.pwritev = bad_pwritev;
		break;
	case 1:
		engine_sys.fdatasync = bad_fdatasync;
		break;
	case 3:
		engine_sys.mdb_commit = bad_mdb_commit;
		break;
	case 4:
		engine_sys.unlinkat = bad_unlinkat;
		break;
	default:
		engine_sys.fstatfs = no_room;
	}
}

static void wait_healthy(struct env *v)
{
	int64_t end = clock_mono_ms() + 60000;
	struct engine_batch *b;

	while (engine_health(v->e) != ENGINE_HEALTHY) {
		struct timespec t = { 0, 5000000 };

		assert_true(clock_mono_ms() < end);
		/* A store that recovers does so when there is something to commit. */
		(void)put(v->e, v->g[2], "health", "v");
		nanosleep(&t, NULL);
	}
	b = engine_batch_new(v->g[2]);
	assert_int_equal(engine_del(b, SLICE("health")), 0);
	assert_int_equal(commit(v->e, b), 0);
}

/* A little of everything that a pass has to do. */
static void make_work(struct env *v, int round)
{
	put_one(v, 2, 60, 1200000, (unsigned)round);
	for (int k = 0; k < 25; k++) {
		put_one(v, 0, k, 9000, (unsigned)(k + round));
		put_one(v, 1, k, 12000, (unsigned)k);
	}
	for (int k = 0; k < 25; k++) {
		ref_one(v, 0, k, 2, KEYS - 1 - k, false);
		del_one(v, 1, k);
		if (k % 2 == 0)
			del_one(v, 0, k);
	}
	put_one(v, 2, 60, 100, 1);
}

/* Whether the call was made so often. */
static bool break_and_mend(struct env *v, int what, long nth)
{
	struct engine_stats before, after;
	struct answer a;
	bool was;

	make_work(v, (int)nth);
	engine_stats(v->e, &before);
	break_one(what, nth);
	compact_start(v, &a);
	wait_for(v->e, &a.rc);
	was = broken;
	engine_sys = real_sys;
	wait_healthy(v);
	expect_all(v->e, v->g, v->row);
	expect_kept_places(v);
	/* Users go on, and a crash now finds all, with and without the index. */
	put_one(v, 0, 90, 5000, (unsigned)nth);
	ref_one(v, 0, 90, 1, 91, nth % 2 == 0);
	expect_copy(v, false);
	expect_copy(v, true);
	compact_wait(v);
	engine_stats(v->e, &after);
	assert_true(after.file_bytes <= after.live_bytes + after.live_bytes / 5 + (512 << 10));
	assert_int_equal(after.body_files, 0);
	expect_all(v->e, v->g, v->row);
	return was;
}

static void break_each(struct env *v, int what, long step)
{
	unsigned n = 0;

	real_sys = engine_sys;
	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	for (long nth = 1; nth < MAX_CALLS && break_and_mend(v, what, nth); nth += step)
		n++;
	assert_true(n > 0);
	expect_copy(v, true);
}

static void test_writes(void **state)
{
	break_each(*state, 0, 1);
}

static void test_syncs(void **state)
{
	break_each(*state, 1, 1);
}

static void test_checkpoints(void **state)
{
	break_each(*state, 3, 1);
}

static void test_unlinks(void **state)
{
	break_each(*state, 4, 1);
}

static void test_room(void **state)
{
	break_each(*state, 5, 1);
}

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_writes),
		CASE(test_syncs),
		CASE(test_checkpoints),
		CASE(test_unlinks),
		CASE(test_room),
	};

	log_init(-1, false, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
