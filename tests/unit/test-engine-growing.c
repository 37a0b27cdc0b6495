/* How a store gets its shards, opens them, and closes them: beside others' files, other processes
 * and other versions, and when the process dies on the way. */
#include "shards-help.h"

#include "common/engine/lmdb/lmdb-private.h"

#include <sys/file.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* What is there already is nobody's to take; a crash may have left a shard half made. */
static void test_growing(void **state)
{
	struct engine *e = store_open("2*lmdb", dir, NULL);

	assert_int_equal(engine_shards(e), 2);
	engine_close(&e);
	run("mkdir shard-2 && touch shard-2/somebody");
	e = store_open("3*lmdb", dir, NULL);
	assert_int_equal(engine_shards(e), 2);
	engine_close(&e);
	run("rm shard-2/somebody && sed 's/^shard 1/shard 2/' shard-1/identity >shard-2/identity");
	e = store_open("3*lmdb", dir, NULL);
	assert_int_equal(engine_shards(e), 3);
	engine_close(&e);
	make_three();
	/* The first shard's own mark is damaged, or another's disk is mounted there. */
	run("echo >>identity");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(engine_open("3*lmdb", fd, NULL, &e), ENGINE_CORRUPT);
	close(fd);
}

/* ---- a process that dies while it makes them ---- */

static int calls_left;

static void die_at_last(void)
{
	if (calls_left-- == 0)
		_exit(1);
}

static ssize_t pwritev_or_die(int fd, const struct iovec *v, int n, off_t off)
{
	die_at_last();
	return pwritev(fd, v, n, off);
}

static int fdatasync_or_die(int fd)
{
	die_at_last();
	return fdatasync(fd);
}

/* False: it lived long enough. */
static bool dies_making(int calls)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct engine *e;

		calls_left = calls;
		engine_sys.pwritev = pwritev_or_die;
		engine_sys.fdatasync = fdatasync_or_die;
		if (engine_open("3*lmdb", fd, NULL, &e) == 0)
			_exit(0);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

static void test_a_crash_while_growing(void **state)
{
	static const char *const left[] = {
		"rm -r shard-1 shard-2",
		"rm -r shard-1 shard-2 && touch identity.new",
		"rm -r shard-1/* shard-2",
		"rm -r shard-1/* shard-2 && echo gatehouse >shard-1/identity.new",
		"rm shard-1/[!i]* && rm -r shard-2",
		"rm -r shard-2",
		"true",
	};
	int calls = 0;

	for (; dies_making(calls); calls++) {
		make_three();
		dir_remove(dir);
		dir_make(dir);
	}
	assert_true(calls > 3);
	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
		make_three();
		run("sed -i 's/^shards 3/shards 1/' identity");
		run(left[i]);
		make_three();
		expect_away("3*lmdb", NULL, NULL);
		dir_remove(dir);
		dir_make(dir);
	}
}

/* ---- two processes, two versions ---- */

static int open_rc(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct engine *e = NULL;

	r = engine_open("3*lmdb", fd, NULL, &e);
	close(fd);
	if (e != NULL)
		engine_close(&e);
	return r;
}

static int lock_of(const char *shard)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%slock", dir, shard);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One that ends has the others' locks no longer when the first one's is free. */
static void test_a_shard_still_open(void **state)
{
	int fd;

	make_three();
	for (unsigned k = 0; k < SHARDS; k++) {
		static const char *const shards[] = { "", "shard-1/", "shard-2/" };

		fd = lock_of(shards[k]);
		assert_true(fd >= 0);
		assert_int_equal(open_rc(), ENGINE_BUSY);
		close(fd);
		expect_away("3*lmdb", NULL, NULL);
	}
}

static bool first_was_free;
static unsigned closed;

static int look_at_lock(MDB_txn *t)
{
	int fd = lock_of("");

	closed++;
	first_was_free |= fd >= 0;
	if (fd >= 0)
		close(fd);
	return mdb_txn_commit(t);
}

static void test_the_first_one_closes_last(void **state)
{
	const struct engine_conf conf = { .checkpoint_ms = 1 << 30 }; /* all are left for the end */
	struct engine_sys was = engine_sys;
	struct engine *e = store_open("3*lmdb", dir, &conf);

	for (unsigned k = 0; k < SHARDS; k++) {
		struct engine_group *g = group_in(e, "g", k);

		assert_int_equal(put(e, g, "k", "v"), 0);
		engine_group_close(&g);
	}
	engine_sys.mdb_commit = look_at_lock;
	engine_close(&e);
	engine_sys = was;
	assert_true(closed >= SHARDS);
	assert_false(first_was_free);
}

static void test_a_newer_shard_refuses_the_store(void **state)
{
	make_three();
	run("sed -i 's/^gatehouse-shard 1/gatehouse-shard 2/' shard-1/identity");
	assert_int_equal(open_rc(), ENGINE_VERSION);
	run("sed -i 's/^gatehouse-shard 2/gatehouse-shard 1/' shard-1/identity");
	expect_away("3*lmdb", NULL, NULL);
}

/* 0: there is no such segment. */
static uint32_t version_of(const char *segment)
{
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, segment);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	assert_int_equal(seg_head_decode(head, &h), SEG_OK);
	return h.version;
}

/* A program that knows no shards refuses what is written in a store of several. */
static void test_the_version_says_so(void **state)
{
	struct engine *e = store_open("lmdb", dir, NULL);
	struct engine_group *g = group_in(e, "g", 0);

	assert_int_equal(put(e, g, "k", "v"), 0);
	engine_group_close(&g);
	engine_close(&e);
	assert_int_equal(version_of("log-00000000"), SEG_VERSION);
	assert_int_equal(version_of("log-00000001"), 0);
	make_three();
	for (int again = 0; again < 2; again++) {
		assert_int_equal(version_of("log-00000000"), SEG_VERSION);
		assert_int_equal(version_of("log-00000001"), SEG_VERSION_SHARDS);
		assert_int_equal(version_of("log-00000002"), 0);
		assert_int_equal(version_of("shard-2/log-00000001"), SEG_VERSION_SHARDS);
		expect_away("3*lmdb", NULL, NULL);
	}
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		CASE(test_growing),
		CASE(test_a_crash_while_growing),
		CASE(test_a_shard_still_open),
		CASE(test_the_first_one_closes_last),
		CASE(test_a_newer_shard_refuses_the_store),
		CASE(test_the_version_says_so),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
	return run_apart(tests);
}
