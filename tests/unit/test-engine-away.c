/* A shard that is away for a reason that may pass, and comes back by itself; damage that comes
 * back, and does not; and whose fault a death is. */
#include "mend-help.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

/* Damage that comes back is given up: the disk or the memory is at fault. */
static void test_bounded(void **state)
{
	struct engine *e;

	make();
	e = store_open("3*lmdb", dir, &mends);
	for (int i = 0; i < 4; i++) {
		struct engine_group *g = group_in(e, "g", 1);

		spoil_rows();
		assert_int_equal(get(e, g, "000007")->rc, ENGINE_CORRUPT);
		engine_group_close(&g);
		engine_dispatch(e, 0);
		if (i < 3)
			wait_back(e, 1);
		else
			wait_word(e, 1, "damaged");
		expect_all(e, 2);
	}
	engine_close(&e);
}

/* ---- what may pass ---- */

static void test_away_for_now(void **state)
{
	static const struct {
		const char *before, *word, *after;
	} cases[] = {
		{ "mv shard-1/lock aside; mkdir shard-1/lock", "io",
		    "rmdir shard-1/lock; mv aside shard-1/lock" },
		{ "mv shard-1 aside", "missing", "mv aside shard-1" },
		{ "mv shard-1 aside; mkdir shard-1", "not-mounted",
		    "rmdir shard-1; mv aside shard-1" },
	};

	make();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct engine *e;

		run(cases[i].before);
		e = store_open("3*lmdb", dir, &mends);
		expect_word(e, 1, cases[i].word);
		expect_all(e, 2);
		poll(NULL, 0, 3 * AGAIN_MS); /* it looks, and finds the same */
		engine_dispatch(e, 0);
		expect_word(e, 1, cases[i].word);
		run(cases[i].after);
		wait_back(e, 1);
		expect_three(e);
		engine_close(&e);
	}
}

static _Atomic bool disk_full;

static int sync_or_full(int fd)
{
	char name[64], path[512] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (disk_full && readlink(name, path, sizeof(path) - 1) > 0 &&
	    strstr(path, "/shard-1/") != NULL) {
		errno = ENOSPC;
		return -1;
	}
	return fdatasync(fd);
}

/* Whether the index is damaged, too, or not; and tries on a full disk are no new indexes. */
static void test_full_for_now(void **state)
{
	struct engine_sys was = engine_sys;

	make();
	engine_sys.fdatasync = sync_or_full;
	for (int damaged = 0; damaged < 2; damaged++) {
		struct engine *e;

		disk_full = true;
		if (damaged)
			run(damages[0]);
		e = store_open("3*lmdb", dir, &mends);
		for (int i = 0; i < 10; i++) {
			wait_word(e, 1, "full");
			assert_true(engine_mend(e));
			poll(NULL, 0, AGAIN_MS);
			expect_all(e, 2);
		}
		disk_full = false;
		wait_back(e, 1);
		expect_three(e);
		engine_close(&e);
	}
	engine_sys = was;
}

/* Somebody else has it open: only that one is waited for. */
static void test_busy_for_now(void **state)
{
	char path[128];
	struct engine *e;
	int fd;

	make();
	snprintf(path, sizeof(path), "%s/shard-1/lock", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	e = store_open("3*lmdb", dir, &mends);
	expect_word(e, 1, "busy");
	expect_all(e, 2);
	close(fd);
	wait_back(e, 1);
	expect_three(e);
	engine_close(&e);
}

/* ---- whose fault it is ---- */

static void die_reading(int how)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT };
	struct engine *e;
	struct engine_group *g;

	for (size_t i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
		(void)signal(deadly[i], SIG_DFL); /* cmocka's */
	engine_blame_signals();
	e = store_open("3*lmdb", dir, NULL);
	g = group_in(e, "g", how == 2 ? 0 : 1);
	if (how == 0)
		run("truncate -s 8192 shard-1/data.mdb");
	else if (how == 2)
		run("truncate -s 8192 data.mdb");
	else
		abort();
	(void)get(e, g, "000007");
	_exit(0);
}

static void test_blame(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct engine_conf conf = mends;
		struct engine *e;
		int status;
		pid_t pid;

		dir_remove(dir);
		dir_make(dir);
		make();
		pid = fork();
		if (pid == 0)
			die_reading(how);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), how == 1 ? SIGABRT : SIGBUS);
		/* Where nobody read an index no index is suspected. */
		run("test -e running -a -e shard-1/running -a -e shard-2/running");
		conf.crashes = how == 1 ? 0 : 2; /* which would be the end of all three */
		e = store_open("3*lmdb", dir, &conf);
		assert_null(engine_shard_away(e, 2));
		if (how == 0)
			expect_word(e, 1, "rebuilding");
		else
			assert_null(engine_shard_away(e, 1));
		wait_back(e, 1);
		expect_three(e);
		engine_close(&e);
		run("! ls shard-2/data.mdb.damaged-* 2>/dev/null");
		if (how == 2)
			run("! ls shard-1/data.mdb.damaged-* 2>/dev/null");
	}
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		CASE(test_bounded),
		CASE(test_away_for_now),
		CASE(test_full_for_now),
		CASE(test_busy_for_now),
		CASE(test_blame),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
	log_init(-1, false, LOG_EMERG);
	return run_apart(tests);
}
