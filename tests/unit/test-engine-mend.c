/* A shard whose index is damaged, or whose disk was away: the others go on, it is repaired beside
 * them and comes back with all that it had; and whose fault a death is. */
#include "shards-help.h"

#include "common/base/log.h"
#include "common/engine/lmdb/lmdb-private.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

enum { ROWS = 400, BACK_MS = 60000, AGAIN_MS = 20 };

static const struct engine_conf mends = { .mend = true, .again_ms = AGAIN_MS };

/* ---- a store of which everything is known ---- */

static void row_of(unsigned k, int i, char key[16], char val[300])
{
	size_t n = 20 + (size_t)(i * 31) % 250;

	snprintf(key, 16, "%06d", i);
	for (size_t c = 0; c < n; c++)
		val[c] = (char)('a' + (c + (size_t)i + k) % 26);
	val[n] = '\0';
}

static void fill(struct engine *e)
{
	char key[16], val[300];

	for (unsigned k = 0; k < SHARDS; k++) {
		struct engine_group *g = group_in(e, "g", k);

		for (int from = 0; from < ROWS; from += 50) {
			struct engine_batch *b = engine_batch_new(g);

			for (int i = from; i < from + 50; i++) {
				row_of(k, i, key, val);
				assert_int_equal(engine_put(b, slice_str(key), slice_str(val)), 0);
			}
			assert_int_equal(commit(e, b), 0);
		}
		engine_group_close(&g);
	}
}

static void expect_rows(struct engine *e, struct engine_group *g, unsigned k)
{
	char key[16], val[300], want[400];

	for (int i = 0; i < ROWS; i += 7) {
		row_of(k, i, key, val);
		snprintf(want, sizeof(want), "%s=%s ", key, val);
		assert_string_equal(get(e, g, key)->text, want);
	}
}

static void expect_all(struct engine *e, unsigned k)
{
	struct engine_group *g = group_in(e, "g", k);

	expect_rows(e, g, k);
	assert_int_equal(put(e, g, "more", "v"), 0);
	engine_group_close(&g);
}

static void make(void)
{
	struct engine *e = store_open("3*lmdb", dir, NULL);

	fill(e);
	engine_close(&e);
}

/* The others answer at every moment of it. */
static void wait_back(struct engine *e, unsigned shard)
{
	int64_t end = clock_mono_ms() + BACK_MS;

	while (engine_shard_away(e, shard) != NULL) {
		for (unsigned k = 0; k < SHARDS; k++)
			if (k != shard)
				expect_all(e, k);
		assert_true(clock_mono_ms() < end);
	}
	assert_int_equal(engine_health(e), ENGINE_HEALTHY);
}

static void wait_word(struct engine *e, unsigned shard, const char *word)
{
	int64_t end = clock_mono_ms() + BACK_MS;

	while (
	    engine_shard_away(e, shard) == NULL || strcmp(engine_shard_away(e, shard), word) != 0) {
		engine_dispatch(e, 0);
		poll(NULL, 0, 1);
		assert_true(clock_mono_ms() < end);
	}
}

static void expect_word(const struct engine *e, unsigned shard, const char *word)
{
	const char *away = engine_shard_away(e, shard);

	assert_string_equal(away != NULL ? away : "(it is there)", word);
}

static void expect_three(struct engine *e)
{
	for (unsigned k = 0; k < SHARDS; k++)
		expect_all(e, k);
}

/* ---- found at the start ---- */

static const char *const damages[] = {
	"head -c 8192 /dev/urandom | dd of=shard-1/data.mdb conv=notrunc status=none",
	"head -c 4096 /dev/zero | dd of=shard-1/data.mdb conv=notrunc status=none bs=4096 seek=3",
	"for p in 2 4 5 6 7; do head -c 4096 /dev/urandom | dd of=shard-1/data.mdb conv=notrunc "
	"status=none bs=4096 seek=$p; done",
	"truncate -s 12288 shard-1/data.mdb",
	"head -c 40000 /dev/urandom >shard-1/data.mdb",
};

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

static void spoil_rows(void)
{
	int fd;
	char path[128], *file;
	struct stat st;

	snprintf(path, sizeof(path), "%s/shard-1/data.mdb", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	file = malloc((size_t)st.st_size);
	assert_int_equal(pread(fd, file, (size_t)st.st_size, 0), st.st_size);
	for (off_t at = 8192; at + 8 <= st.st_size; at++)
		if (memcmp(file + at, "000007", 6) == 0) {
			uint8_t byte = (uint8_t)(file[at + 12] ^ 4);

			assert_int_equal(pwrite(fd, &byte, 1, at + 12), 1);
		}
	free(file);
	close(fd);
}

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
	g = group_in(e, "g", 1);
	if (how == 0)
		run("truncate -s 8192 shard-1/data.mdb");
	else
		abort();
	(void)get(e, g, "000007");
	_exit(0);
}

static void test_blame(void **state)
{
	for (int how = 0; how < 2; how++) {
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
		assert_int_equal(WTERMSIG(status), how == 0 ? SIGBUS : SIGABRT);
		/* Where nobody read an index no index is suspected. */
		run("test -e running -a -e shard-1/running -a -e shard-2/running");
		conf.crashes = how == 0 ? 2 : 0; /* which would be the end of all three */
		e = store_open("3*lmdb", dir, &conf);
		assert_null(engine_shard_away(e, 2));
		if (how == 0)
			expect_word(e, 1, "rebuilding");
		else
			assert_null(engine_shard_away(e, 1));
		wait_back(e, 1);
		expect_three(e);
		engine_close(&e);
		run("! ls data.mdb.damaged-* shard-2/data.mdb.damaged-* 2>/dev/null");
	}
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		CASE(test_damaged_while_stopped),
		CASE(test_the_first_is_waited_for),
		CASE(test_damaged_while_open),
		CASE(test_helpers_that_fail),
		CASE(test_killed_in_the_middle),
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
