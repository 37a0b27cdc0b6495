#include "common/base/io.h"
#include "common/base/log.h"
#include "common/sandbox/filter.h"
#include "common/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define EXIT_NOT_ENTERED 99

static char empty_path[] = "/tmp/gh-empty-XXXXXX";

static int empty_dir(void)
{
	int fd = open(empty_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	return mkdtemp(empty_path) != NULL && chmod(empty_path, 0555) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(empty_path);
}

/* Users of the table need not exist on a test machine. */
static struct sandbox_env test_env(const struct sandbox_row *row)
{
	return (struct sandbox_env){
		.root_fd = geteuid() == 0 ? empty_dir() : -1,
		.uid = 60000 + (uid_t)(row - sandbox_rows),
		.gid = 60000 + (gid_t)(row - sandbox_rows),
	};
}

/* Runs `act` in the sandbox of `who` in a process of its own; returns what waitpid() says. */
static int run_in(enum sandbox_proc who, int (*act)(void))
{
	const struct sandbox_row *row = &sandbox_rows[who];
	struct sandbox_env env = test_env(row);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		log_init(2, false, LOG_WARNING);
		if (sandbox_enter(row, &env) != 0)
			_exit(EXIT_NOT_ENTERED);
		_exit(act());
	}
	if (env.root_fd >= 0)
		close(env.root_fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int act_nothing(void)
{
	return 0;
}

static int act_abort(void)
{
	abort();
}

static int act_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 2;
}

static int act_open(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? 1 : 2;
}

static int act_exec(void)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static int act_wx(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return 1;
}

static int act_fork(void)
{
	return fork() >= 0 ? 1 : 2;
}

static int act_fork_ok(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WEXITSTATUS(status) == 7 ? 0 : 2;
}

static int act_malloc(void)
{
	for (size_t n = 1; n < 1 << 24; n = n * 3 + 1) {
		char *p = malloc(n);

		if (p == NULL)
			return 1;
		memset(p, 1, n);
		p = realloc(p, n * 2);
		free(p);
	}
	return 0;
}

static int act_unknown_call(void)
{
	return syscall(__NR_getsid, 0) == -1 && errno == ENOSYS ? 0 : 1;
}

static int act_signal_parent(void)
{
	kill(getppid(), 0);
	return 1;
}

#define KILLED (-SIGSYS)
#if defined(__SANITIZE_ADDRESS__) /* its run-time opens and maps as it likes */
#define OPEN_ENDS 2
#define CODE_ENDS 1
#else
#define OPEN_ENDS KILLED
#define CODE_ENDS KILLED
#endif

static const struct {
	const char *name;
	enum sandbox_proc who;
	int (*act)(void);
	int want; /* exit code, or minus the signal */
} cases[] = {
	{ "a row can be entered and left", PROC_POP3_CHILD, act_nothing, 0 },
	{ "abort() ends by SIGABRT", PROC_POP3_CHILD, act_abort, -SIGABRT },
	{ "memory can be had", PROC_POP3_CHILD, act_malloc, 0 },
	{ "a call nobody listed is ENOSYS", PROC_POP3_CHILD, act_unknown_call, 0 },
	{ "a child cannot make a socket", PROC_POP3_CHILD, act_socket, KILLED },
	{ "a child cannot open a path", PROC_POP3_CHILD, act_open, OPEN_ENDS },
	{ "a child cannot run a program", PROC_POP3_CHILD, act_exec, KILLED },
	{ "a child cannot make code", PROC_POP3_CHILD, act_wx, CODE_ENDS },
	{ "a child cannot fork", PROC_POP3_CHILD, act_fork, KILLED },
	{ "a child cannot signal", PROC_POP3_CHILD, act_signal_parent, KILLED },
	{ "an acceptor can fork", PROC_POP3, act_fork_ok, 0 },
	{ "an acceptor cannot run a program", PROC_POP3, act_exec, KILLED },
	{ "an acceptor cannot make a socket", PROC_POP3, act_socket, KILLED },
	{ "stored opens nothing outside its directories", PROC_STORED, act_open, 2 },
	{ "stored cannot fork", PROC_STORED, act_fork, 2 },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = run_in(cases[i].who, cases[i].act);
		int got = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);

		if (got != cases[i].want)
			fail_msg("%s: got %d, want %d", cases[i].name, got, cases[i].want);
	}
}

static void test_table(void **state)
{
	for (unsigned i = 0; i < PROC_COUNT; i++) {
		const struct sandbox_row *row = &sandbox_rows[i];
		struct filter_program prog;

		if (row->name == NULL)
			fail_msg("process %u has no row", i);
		assert_int_equal(filter_compile(row, &prog), 0);
		filter_fini(&prog);
		if (i == PROC_MASTER)
			continue;
		assert_true(row->caps == CAPS_NONE);
		assert_int_equal(row->root, EMPTY_DIR);
		assert_int_equal(row->sys & SYS_HOST, 0);
		/* Only what writes for somebody takes its user from the caller. */
		if (i == PROC_EXPORT) {
			assert_null(row->user);
			continue;
		}
		assert_memory_equal(row->user, "gatehouse-", 10);
		if (row->parent != PROC_MASTER) {
			assert_string_equal(row->user, sandbox_rows[row->parent].user);
			assert_int_equal(row->sys & ~sandbox_rows[row->parent].sys, 0);
			continue;
		}
		assert_ptr_equal(sandbox_row_find(row->name), row);
		for (unsigned k = 0; k < i; k++) { /* no user for two programs */
			if (sandbox_rows[k].parent == PROC_MASTER && sandbox_rows[k].user != NULL)
				assert_string_not_equal(row->user, sandbox_rows[k].user);
		}
	}
	assert_null(sandbox_row_find("nobody"));
	assert_null(sandbox_row_find("pop3-child"));
}

static int enter_child_of_acceptor(void)
{
	const struct sandbox_row *row = &sandbox_rows[PROC_POP3];
	struct sandbox_env env = test_env(row);
	struct sandbox_child *child;
	struct timespec t0, t1;
	int status;
	pid_t pid;

	if (sandbox_child_prepare(&sandbox_rows[PROC_POP3_CHILD], &child) != 0 ||
	    sandbox_enter(row, &env) != 0)
		return EXIT_NOT_ENTERED;
	for (int i = 0; i < 5; i++) {
		pid = fork();
		if (pid == 0) {
			clock_gettime(CLOCK_MONOTONIC, &t0);
			if (sandbox_child_enter(child) != 0)
				_exit(EXIT_NOT_ENTERED);
			clock_gettime(CLOCK_MONOTONIC, &t1);
			dprintf(2, "# child enters in %ld us\n",
			    (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000);
			if (i == 0)
				kill(getppid(), SIGTERM); /* the acceptor's filter allowed this */
			if (i == 1)
				abort();
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		if (i == 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
			return 2;
		if (i == 1 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT))
			return 3;
		if (i > 1 && status != 0)
			return 4;
	}
	return 0;
}

static void test_child(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		log_init(2, false, LOG_WARNING);
		_exit(enter_child_of_acceptor());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* As root nothing may be missing: each of these must fail, and fail loudly. */
static void test_root_is_strict(void **state)
{
	const struct sandbox_row *row = &sandbox_rows[PROC_POP3_CHILD];
	static const struct {
		const char *name, *dir;
		uid_t uid;
	} bad[] = {
		{ "no root directory", NULL, 60001 },
		{ "a root directory with something in it", "/etc", 60001 },
		{ "a root directory that all may write", "/tmp", 60001 },
		{ "a user that does not exist", NULL, 0 },
	};

	if (geteuid() != 0) {
		/* An ordinary user is told what is missing instead; see test_cases. */
		return;
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			struct sandbox_env env = {
				.root_fd = -1, .uid = bad[i].uid, .gid = bad[i].uid
			};
			struct sandbox_row odd = *row;

			odd.user = "gatehouse-no-such-user";
			if (bad[i].dir != NULL)
				env.root_fd = open(bad[i].dir, O_RDONLY | O_DIRECTORY);
			log_init(open("/dev/null", O_WRONLY), false, LOG_WARNING);
			_exit(sandbox_enter(&odd, &env) < 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("%s was accepted", bad[i].name);
	}
}

/* Who can make a process die again and again must not keep everybody out by it. */
static void test_restarts(void **state)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE, SIGTRAP, SIGSYS };

	for (unsigned i = 0; i < PROC_COUNT; i++)
		if (sandbox_rows[i].name != NULL)
			assert_true(sandbox_rows[i].restart.max_ms <= 1000);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		assert_true(sandbox_crash_signal(crashes[i]));
	assert_false(sandbox_crash_signal(SIGKILL));
	assert_false(sandbox_crash_signal(SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_root_is_strict),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
