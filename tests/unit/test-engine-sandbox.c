/* The engine inside stored's sandbox: every path of it, and no system call that ends the process.
 */
#include "engine-help.h"

#include "common/base/log.h"
#include "common/engine/lmdb/lmdb-private.h"
#include "common/sandbox/sandbox.h"

#include <sys/wait.h>

enum { NOBODY = 65534 };

static struct engine_sys real_sys;
static _Atomic int fail_sync;

static int sync_fails(int fd)
{
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return real_sys.fdatasync(fd);
}

static void enter(const char *spec, const char *dir, const char *empty, struct engine **ret_e)
{
	struct engine_conf conf = { .hold_threads = true,
		.segment_bytes = 100000,
		.overlay_bytes = 4000,
		.checkpoint_ms = 20,
		.mend = true };
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int root_fd = open(empty, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sandbox_env env = { .root_fd = geteuid() == 0 ? root_fd : -1,
		.uid = geteuid() == 0 ? NOBODY : 0,
		.gid = geteuid() == 0 ? NOBODY : 0,
		.dir_fds = &dir_fd,
		.n_dirs = 1 };

	assert(engine_open(spec, dir_fd, &conf, ret_e) == 0);
	assert(sandbox_enter(&sandbox_rows[PROC_STORED], &env) == 0);
	assert(engine_start(*ret_e) == 0);
}

/* Commits, checkpoints, new segments, large bodies, cold reads, a failed sync. */
static void use(struct engine *e)
{
	struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);
	struct engine_stats st;
	int64_t end;
	char key[16];

	for (int i = 0; i < 60; i++) {
		struct engine_body *body = body_make(e, i == 30 ? 1500000 : 5000, (unsigned)i);
		struct engine_batch *b = engine_batch_new(g);

		snprintf(key, sizeof(key), "%04d", i);
		assert(engine_put_body(b, slice_str(key), SLICE("row"), body) == 0);
		if (i == 40)
			fail_sync = 1;
		assert(commit(e, b) == (i == 40 ? ENGINE_IO : 0));
		engine_body_free(&body);
	}
	end = clock_mono_ms() + 10000;
	do {
		engine_stats(e, &st);
		usleep(1000);
		assert(clock_mono_ms() < end);
	} while (st.checkpoint_rows < 30 || st.overlay_rows > 0 || !((struct store *)e)->resident);
	((struct store *)e)->resident = false;
	body_expect(e, &get(e, g, "0030")->loc, 1500000, 30);
	((struct store *)e)->resident = false;
	assert(scan(e, g, "", "", 0)->rows == 59);
	engine_stats(e, &st);
	assert(st.reads_pool > 0 && st.sync_failures == 1);
	engine_group_close(&g);
}

static int child(const char *dir, const char *empty)
{
	struct engine *e;

	real_sys = engine_sys;
	engine_sys.fdatasync = sync_fails;
	enter("lmdb", dir, empty, &e);
	use(e);
	engine_close(&e);
	return 0;
}

/* A shard's index is damaged, made anew, and opened: where nothing has a path. */
static int child_mends(const char *dir, const char *empty)
{
	int64_t end = clock_mono_ms() + 60000;
	struct engine *e;
	struct engine_group *g;

	enter("3*lmdb", dir, empty, &e);
	g = group_open(e, "g1", ENGINE_CREATE, 0);
	assert(shard_of(e, "g1") == 1);
	assert(put(e, g, "k", "v") == 0);
	index_damaged((struct store *)engine_shard(e, 1), "a test says so", SLICE_NONE);
	engine_dispatch(e, 0);
	assert(engine_shard_away(e, 1) != NULL && put(e, g, "k", "w") == ENGINE_IO);
	while (engine_shard_away(e, 1) != NULL) {
		engine_dispatch(e, 0);
		usleep(1000);
		assert(clock_mono_ms() < end);
	}
	assert(strcmp(get(e, g, "k")->text, "k=v ") == 0 && put(e, g, "k", "w") == 0);
	engine_group_close(&g);
	engine_close(&e);
	return 0;
}

static void lives(int (*child_of)(const char *dir, const char *empty))
{
	char dir[64], empty[64];
	int status;
	pid_t pid;

	dir_make(dir);
	dir_make(empty);
	assert_int_equal(chmod(empty, 0755), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	pid = fork();
	if (pid == 0)
		_exit(child_of(dir, empty));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		print_message("signal %d\n", WTERMSIG(status));
	assert_int_equal(status, 0);
	dir_remove(dir);
	dir_remove(empty);
}

static void test_lives_in_storeds_sandbox(void **state)
{
	lives(child);
}

static void test_mends_in_storeds_sandbox(void **state)
{
	lives(child_mends);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives_in_storeds_sandbox),
		cmocka_unit_test(test_mends_in_storeds_sandbox),
	};

	log_init(-1, false, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
