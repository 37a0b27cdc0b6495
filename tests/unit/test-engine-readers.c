/*
 * Others that read the index by LMDB's table of readers: while one lives its pages are not used
 * again, and that is told; when it is killed in the middle the file grows no more.
 */
#include "engine-env.h"

#include "common/base/log.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ROWS = 300, ROUNDS = 24, ROW_BYTES = 2000 };

static const char *program;

/* ---- the reader: this program again ---- */

/* Says so when it reads, and reads until it is killed. */
static int read_for_ever(const char *path)
{
	MDB_env *env;
	MDB_txn *t;

	/* Where a case fails it is killed, too. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || mdb_env_create(&env) != 0 ||
	    mdb_env_open(env, path, MDB_RDONLY, 0) != 0 ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &t) != 0 || write(1, "r", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t reader_start(const char *path)
{
	char said;
	int p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(p[1], 1);
		execl(program, program, "--read", path, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	assert_int_equal(read(p[0], &said, 1), 1);
	close(p[0]);
	return pid;
}

static void reader_kill(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- the store ---- */

static uint64_t index_bytes(const struct env *v)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", v->dir);
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static struct engine_stats stats(const struct env *v)
{
	struct engine_stats st;

	engine_stats(v->e, &st);
	return st;
}

/* Every row anew, and a checkpoint of them all. */
static void rows_anew(struct env *v, struct engine_group *g, char fill)
{
	struct engine_batch *b = engine_batch_new(g);
	uint64_t before = stats(v).checkpoints;
	int64_t until = clock_mono_ms() + 60000;
	static char val[ROW_BYTES];

	memset(val, fill, sizeof(val));
	for (int i = 0; i < ROWS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%06d", i);
		assert_int_equal(engine_put(b, slice_str(key), slice_of(val, sizeof(val))), 0);
	}
	assert_int_equal(commit(v->e, b), 0);
	while (stats(v).checkpoints == before) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 1);
	}
}

static uint64_t rounds(struct env *v, struct engine_group *g)
{
	for (int i = 0; i < ROUNDS; i++)
		rows_anew(v, g, (char)('a' + i % 26));
	return index_bytes(v);
}

static void test_a_killed_reader_holds_no_pages(void **state)
{
	const struct engine_conf conf = { .checkpoint_ms = NO_TIMER_MS, .overlay_bytes = 1 };
	struct env *v = *state;
	struct engine_group *g;
	uint64_t alone, beside, after;
	pid_t pid;

	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	(void)rounds(v, g);
	alone = rounds(v, g);
	assert_int_equal(stats(v).reader_lag, 0);
	/* The same work without anybody needs hardly more. */
	assert_in_range(rounds(v, g), alone, 2 * alone);
	pid = reader_start(v->dir);
	beside = rounds(v, g);
	assert_true(beside > 3 * alone);
	/* A round is a checkpoint, but nobody promises that there are no others. */
	assert_in_range(stats(v).reader_lag, ROUNDS - 2, 2 * ROUNDS);
	rows_anew(v, g, '-');
	assert_in_range(stats(v).reader_lag, ROUNDS - 1, 2 * ROUNDS + 2);
	reader_kill(pid);
	rows_anew(v, g, '-');
	assert_int_equal(stats(v).reader_lag, 0);
	after = index_bytes(v);
	for (int i = 0; i < 3; i++)
		assert_in_range(rounds(v, g), after, after + alone);
	engine_group_close(&g);
	engine_close(&v->e);
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, ROWS);
	engine_group_close(&g);
}

/* Two of them: the one that began first counts, and when it ends the other one. */
static void test_the_oldest_reader_counts(void **state)
{
	const struct engine_conf conf = { .checkpoint_ms = NO_TIMER_MS, .overlay_bytes = 1 };
	struct env *v = *state;
	struct engine_group *g;
	uint64_t lag;
	pid_t pid[2];

	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	rows_anew(v, g, '-');
	pid[0] = reader_start(v->dir);
	for (int i = 0; i < 10; i++)
		rows_anew(v, g, '-');
	pid[1] = reader_start(v->dir);
	for (int i = 0; i < 5; i++)
		rows_anew(v, g, '-');
	lag = stats(v).reader_lag;
	assert_true(lag >= 13);
	reader_kill(pid[0]);
	rows_anew(v, g, '-');
	assert_in_range(stats(v).reader_lag, 4, lag - 5);
	reader_kill(pid[1]);
	rows_anew(v, g, '-');
	assert_int_equal(stats(v).reader_lag, 0);
	engine_group_close(&g);
}

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_a_killed_reader_holds_no_pages),
		CASE(test_the_oldest_reader_counts),
	};

	log_init(-1, false, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (argc == 3 && strcmp(argv[1], "--read") == 0)
		return read_for_ever(argv[2]);
	if (n <= 0)
		return 1;
	self[n] = '\0';
	program = self;
	return run_apart(all);
}
