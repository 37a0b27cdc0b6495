/*
 * What the libraries of the suite ask of the kernel must be allowed where they are used. Each case
 * runs one of them inside the real sandbox of a row and has to come out with 0.
 */
#include "common/base/log.h"
#include "common/sandbox/sandbox.h"
#include "common/sandbox/title.h"

#include <crypt.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <gsasl.h>
#include <lmdb.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char top_path[] = "/tmp/gh-use-XXXXXX";
static char empty_path[64], data_path[64];
static int data_fd;
static struct event_base *loop; /* a child makes its loop before its filter */

/* ---- what runs inside ---- */

static void on_byte(evutil_socket_t fd, short what, void *arg)
{
	char c;

	if (what & EV_READ)
		*(int *)arg += read(fd, &c, 1) == 1;
	else
		event_base_loopbreak(loop);
}

static int use_loop(void)
{
	struct timeval soon = { 0, 20000 };
	struct evbuffer *buf = evbuffer_new();
	bool is_child = loop != NULL;
	int fds[2], got = 0;
	struct event *ev, *timer;

	if (!is_child)
		loop = event_base_new();
	if (loop == NULL || buf == NULL)
		return 1;
	timer = evtimer_new(loop, on_byte, &got);
	evtimer_add(timer, &soon);
	if (is_child || (sandbox_entered()->sys & SYS_PAIR) == 0)
		return event_base_dispatch(loop) < 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		return 2;
	ev = event_new(loop, fds[0], EV_READ | EV_PERSIST, on_byte, &got);
	event_add(ev, NULL);
	evbuffer_add(buf, "x", 1);
	if (evbuffer_write(buf, fds[1]) != 1 || event_base_dispatch(loop) < 0)
		return 3;
	return got == 1 ? 0 : 4;
}

static int use_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return 1;
	return signalfd(-1, &set, SFD_CLOEXEC) >= 0 ? 0 : 2;
}

static int use_openssl(void)
{
	uint8_t random[32], digest[EVP_MAX_MD_SIZE];
	unsigned n;
	EVP_PKEY *key = EVP_EC_gen((char[]){ "P-256" });

	if (key == NULL || RAND_poll() != 1 || RAND_bytes(random, sizeof(random)) != 1)
		return 1;
	EVP_PKEY_free(key);
	return EVP_Digest(random, sizeof(random), digest, &n, EVP_sha256(), NULL) == 1 ? 0 : 2;
}

static int use_hashes(void)
{
	static const char *const settings[] = { "$y$j9T$abcdefgh", "$6$abcdefgh",
		"$2b$04$abcdefghijklmnopqrstuu" };
	static struct crypt_data data;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		/* Not crypt_r(): the address sanitizer takes it for another libc's. */
		const char *out = crypt_rn("secret", settings[i], &data, sizeof(data));

		if (out == NULL || out[0] == '*')
			return 1 + (int)i;
	}
	return 0;
}

static int use_gsasl(void)
{
	Gsasl *ctx;
	Gsasl_session *session;
	char *out = NULL;
	size_t n = 0;
	int r;

	if (gsasl_init(&ctx) != GSASL_OK)
		return 1;
	if (gsasl_server_start(ctx, "SCRAM-SHA-256", &session) != GSASL_OK)
		return 2;
	gsasl_property_set(session, GSASL_PASSWORD, "secret");
	r = gsasl_step(session, "n,,n=user,r=abcdefgh", 20, &out, &n);
	return r == GSASL_NEEDS_MORE && n > 0 ? 0 : 3;
}

static void *thread_main(void *arg)
{
	void *p = malloc(1 << 20);

	memset(p, 1, 1 << 20);
	free(p);
	*(int *)arg = 1;
	return NULL;
}

static int use_threads(void)
{
	int done[4] = { 0 };
	pthread_t t[4];

	for (int i = 0; i < 4; i++) {
		if (pthread_create(&t[i], NULL, thread_main, &done[i]) != 0)
			return 1;
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		if (!done[i])
			return 2;
	}
	return 0;
}

static int use_lmdb(void)
{
	MDB_val key = { 1, (char[]){ 'k' } }, value = { 1, (char[]){ 'v' } };
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	if (fchdir(data_fd) != 0 || mdb_env_create(&env) != 0 ||
	    mdb_env_set_mapsize(env, 1 << 20) != 0)
		return 1;
	if (mdb_env_open(env, "test.mdb", MDB_NOSUBDIR | MDB_NOTLS, 0600) != 0)
		return 2;
	if (mdb_txn_begin(env, NULL, 0, &txn) != 0 || mdb_dbi_open(txn, NULL, 0, &dbi) != 0 ||
	    mdb_put(txn, dbi, &key, &value, 0) != 0 || mdb_txn_commit(txn) != 0)
		return 3;
	mdb_env_close(env);
	return 0;
}

static int use_files(void)
{
	int fd = openat(data_fd, "log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || mkdirat(data_fd, "sub", 0700) != 0)
		return 1;
	if (pwrite(fd, "abc", 3, 0) != 3 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536) != 0 ||
	    fdatasync(fd) != 0 || fstat(fd, &st) != 0 || st.st_size != 3)
		return 2;
	if (renameat(data_fd, "log", data_fd, "sub/log") != 0 ||
	    unlinkat(data_fd, "sub/log", 0) != 0 || unlinkat(data_fd, "sub", AT_REMOVEDIR) != 0)
		return 3;
	return 0;
}

static int use_qsort_and_time(void)
{
	static int numbers[100000];
	extern int compare_ints(const void *, const void *);
	struct tm tm;
	time_t now = time(NULL);

	for (size_t i = 0; i < 100000; i++)
		numbers[i] = (int)((i * 7919) % 100003);
	qsort(numbers, 100000, sizeof(numbers[0]), compare_ints);
	return gmtime_r(&now, &tm) != NULL && numbers[0] <= numbers[1] ? 0 : 1;
}

int compare_ints(const void *a, const void *b);
int compare_ints(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* ---- the cases ---- */

static const struct {
	const char *name;
	enum sandbox_proc who;
	int (*use)(void);
} cases[] = {
	{ "libevent in an acceptor", PROC_POP3, use_loop },
	{ "libevent in stored", PROC_STORED, use_loop },
	{ "libevent in the log sink", PROC_LOGD, use_loop },
	{ "signalfd in an acceptor", PROC_POP3, use_signalfd },
	{ "OpenSSL in the signer", PROC_SIGNER, use_openssl },
	{ "password hashes in a worker", PROC_WORKER, use_hashes },
	{ "SASL in a worker", PROC_WORKER, use_gsasl },
	{ "threads in stored", PROC_STORED, use_threads },
	{ "LMDB in stored", PROC_STORED, use_lmdb },
	{ "LMDB in routerd", PROC_ROUTERD, use_lmdb },
	{ "LMDB in authd", PROC_AUTHD, use_lmdb },
	{ "files in stored", PROC_STORED, use_files },
	{ "files in stored-external", PROC_EXTERNAL, use_files },
	{ "sorting and dates in the configuration child", PROC_CONF, use_qsort_and_time },
	{ "libevent in a pop3 child", PROC_POP3_CHILD, use_loop },
	{ "OpenSSL in a pop3 child", PROC_POP3_CHILD, use_openssl },
	{ "OpenSSL in an smtp child", PROC_SMTP_CHILD, use_openssl },
	{ "password hashes in a worker's child", PROC_WORKER_CHILD, use_hashes },
	{ "SASL in a worker's child", PROC_WORKER_CHILD, use_gsasl },
	{ "sorting and dates in a parser", PROC_PARSED_CHILD, use_qsort_and_time },
};

static int enter(const struct sandbox_row *row)
{
	uid_t id = 60000 + (uid_t)(row - sandbox_rows);
	struct sandbox_env env = { .root_fd = -1, .uid = id, .gid = id };

	if (geteuid() == 0)
		env.root_fd = open(empty_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (row->fs == FS_HELD_DIRS) {
		env.dir_fds = &data_fd;
		env.n_dirs = 1;
	}
	return sandbox_enter(row, &env);
}

/* As an acceptor does it: prepare, enter, fork, make the loop, enter. */
static int use_as_child(const struct sandbox_row *row, int (*use)(void))
{
	struct sandbox_child *child;
	int status;
	pid_t pid;

	if (sandbox_child_prepare(row, &child) != 0 || enter(&sandbox_rows[row->parent]) != 0)
		return 90;
	pid = fork();
	if (pid == 0) {
		loop = event_base_new();
		if (sandbox_child_enter(child) != 0)
			_exit(91);
		_exit(use());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 92;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sandbox_row *row = &sandbox_rows[cases[i].who];
		int status;
		pid_t pid;

		assert_int_equal(
		    fchown(data_fd, geteuid() == 0 ? 60000u + cases[i].who : (uid_t)-1, (gid_t)-1),
		    0);
		pid = fork();
		if (pid == 0) {
			log_init(2, false, LOG_WARNING);
			OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
			RAND_poll();
			if (row->parent != PROC_MASTER)
				_exit(use_as_child(row, cases[i].use));
			_exit(enter(row) == 0 ? cases[i].use() : 90);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFSIGNALED(status))
			fail_msg("%s: signal %d", cases[i].name, WTERMSIG(status));
		if (status != 0)
			fail_msg("%s: exit %d", cases[i].name, WEXITSTATUS(status));
		unlinkat(data_fd, "test.mdb", 0);
		unlinkat(data_fd, "test.mdb-lock", 0);
	}
}

static void test_title(void **state)
{
	static char block[64] = "./prog\0-x\0A=1";
	char *argv[] = { block, block + 7, NULL };
	char *envp[] = { block + 10, NULL };

	environ = envp;
	title_init(2, argv);
	title_set("pop3");
	assert_string_equal(block, "gatehouse: po"); /* cut to what was there: 14 bytes */
	assert_string_equal(getenv("A"), "1");
	assert_int_equal(block[14], 0);
}

static int setup(void **state)
{
	if (mkdtemp(top_path) == NULL || chmod(top_path, 0755) != 0)
		return -1;
	snprintf(empty_path, sizeof(empty_path), "%s/empty", top_path);
	snprintf(data_path, sizeof(data_path), "%s/data", top_path);
	if (mkdir(empty_path, 0555) != 0 || mkdir(data_path, 0700) != 0)
		return -1;
	data_fd = open(data_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return data_fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	rmdir(empty_path);
	rmdir(data_path);
	return rmdir(top_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_title),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
