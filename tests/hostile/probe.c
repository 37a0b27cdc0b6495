/*
 * probe ROW - tries everything inside the sandbox of a row and prints what came of it:
 *
 *     allowed getpid            a system call that the filter lets through
 *     killed execve             one that ends the process; what is refused is not printed
 *     act refused: fork         a deed of acts.c
 *
 * probe --rows lists the rows. Started as root it uses a user id of its own for the row, else it
 * tries what the caller is. Exit status 1: the sandbox could not be entered as it must.
 */
#include "tests/hostile/probe.h"

#include "common/base/log.h"
#include "common/sandbox/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_UID    61000
#define ENTRY_FAILED 120

static struct probe_shared *shared;
static const struct sandbox_row *row;
static char top[] = "/tmp/gh-probe-XXXXXX";
static char outside[64], held[64], empty[64], abstract_name[64];
static struct probe_env penv = { .held_dir = -1 };
static struct sandbox_env senv = { .root_fd = -1 };

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- what there is to reach ---- */

static void make_file(const char *dir, const char *name, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	must(fd >= 0 && write(fd, "#!/bin/true\n", 12) == 12, path);
	must(fchmod(fd, mode) == 0 && fchown(fd, senv.uid, senv.gid) == 0, path);
	close(fd);
}

static void make_dirs(void)
{
	char path[128];

	must(mkdtemp(top) != NULL && chmod(top, 0755) == 0, "mkdtemp");
	snprintf(outside, sizeof(outside), "%s/outside", top);
	snprintf(held, sizeof(held), "%s/held", top);
	snprintf(empty, sizeof(empty), "%s/empty", top);
	must(mkdir(outside, 0755) == 0 && mkdir(held, 0755) == 0 && mkdir(empty, 0555) == 0, top);
	must(chown(outside, senv.uid, senv.gid) == 0 && chown(held, senv.uid, senv.gid) == 0, top);
	make_file(outside, "file", 0644);
	make_file(held, "file", 0644);
	make_file(held, "program", 0755);
	snprintf(path, sizeof(path), "%s/link", held);
	must(symlink("/etc/passwd", path) == 0, path);
	snprintf(path, sizeof(path), "%s/link-out", held);
	must(symlink("../outside/file", path) == 0, path);
	penv.dir = outside;
}

static uint16_t listen_ip(int type)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	must(fd >= 0 && bind(fd, (struct sockaddr *)&in, len) == 0, "bind");
	must(type != SOCK_STREAM || listen(fd, 64) == 0, "listen");
	must(getsockname(fd, (struct sockaddr *)&in, &len) == 0, "getsockname");
	return ntohs(in.sin_port);
}

static void listen_unix(const char *path, int type)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert(n < sizeof(un.sun_path));
	memcpy(un.sun_path, path, n);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	must(bind(fd, (struct sockaddr *)&un,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0,
	    path);
	must(type != SOCK_STREAM || listen(fd, 64) == 0, path);
	if (path[0] != '@')
		must(chmod(path, 0777) == 0, path);
}

static void make_world(void)
{
	char path[128];
	bool root = geteuid() == 0;

	senv.uid = root ? FIRST_UID + (uid_t)(row - sandbox_rows) : geteuid();
	senv.gid = root ? FIRST_UID + (gid_t)(row - sandbox_rows) : getegid();
	make_dirs();
	penv.tcp_port = listen_ip(SOCK_STREAM);
	penv.udp_port = listen_ip(SOCK_DGRAM);
	snprintf(path, sizeof(path), "%s/socket", outside);
	listen_unix(path, SOCK_STREAM);
	snprintf(abstract_name, sizeof(abstract_name), "@gh-probe-%d", getpid());
	listen_unix(abstract_name, SOCK_STREAM);
	penv.abstract = abstract_name;
	penv.outsider = getpid();
	if (root) {
		senv.root_fd = open(empty, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(senv.root_fd >= 0, empty);
	}
	if (row->fs == FS_HELD_DIRS) {
		penv.held_dir = open(held, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(penv.held_dir >= 0, held);
		senv.dir_fds = &penv.held_dir;
		senv.n_dirs = 1;
	}
}

static void remove_world(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	must(system(command) == 0, command);
}

/* ---- processes inside ---- */

static void enter_or_die(const struct sandbox_row *which)
{
	signal(SIGTERM, SIG_IGN); /* so that a sibling survives what must not arrive anyway */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGABRT, SIG_DFL);
	alarm(which->sys & SYS_HOST ? 1 : 20); /* master may pause() */
	if (sandbox_enter(which, &senv) != 0)
		_exit(ENTRY_FAILED);
}

static void be_sibling(void)
{
	shared->sibling = getpid();
	while (true)
		poll(NULL, 0, -1);
}

/*
 * In the sandbox of the row's parent: forks the sibling and the one that tries. Both are below the
 * acceptor's walls and their own, as in the suite.
 */
static void run_as_acceptor(void (*body)(void))
{
	struct sandbox_child *child;
	pid_t sibling, pid;
	int status;

	if (sandbox_child_prepare(row, &child) != 0)
		_exit(ENTRY_FAILED);
	enter_or_die(&sandbox_rows[row->parent]);
	sibling = fork();
	if (sibling == 0) {
		if (sandbox_child_enter(child) != 0)
			_exit(ENTRY_FAILED);
		be_sibling();
	}
	while (shared->sibling == 0)
		sched_yield();
	pid = fork();
	if (pid == 0) {
		if (sandbox_child_enter(child) != 0)
			_exit(ENTRY_FAILED);
		body();
		_exit(0);
	}
	if (sibling < 0 || pid < 0 || waitpid(pid, &status, 0) != pid)
		_exit(ENTRY_FAILED);
	kill(sibling, SIGKILL);
	waitpid(sibling, NULL, 0);
	shared->status = status;
	_exit(0);
}

/* Runs `body` inside; returns how its process ended. */
static int run_inside(void (*body)(void))
{
	bool is_child = row->parent != PROC_MASTER;
	bool is_host = row->sys & SYS_HOST;
	pid_t sibling = -1, pid;
	int status;

	shared->sibling = 0;
	shared->status = -1;
	if (!is_child && !is_host) {
		sibling = fork();
		if (sibling == 0) {
			enter_or_die(row);
			be_sibling();
		}
		while (shared->sibling == 0 && waitpid(sibling, NULL, WNOHANG) == 0)
			usleep(100);
		must(shared->sibling != 0, "the sibling could not enter");
	}
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		if (is_child)
			run_as_acceptor(body);
		enter_or_die(row);
		body();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	if (sibling > 0) {
		must(waitpid(sibling, NULL, WNOHANG) == 0, "the sibling died");
		kill(sibling, SIGKILL);
		waitpid(sibling, NULL, 0);
	}
	if (is_child) {
		must(status == 0, "the acceptor died");
		status = shared->status;
	}
	must(!(WIFEXITED(status) && WEXITSTATUS(status) == ENTRY_FAILED), "cannot enter");
	return status;
}

static size_t next_item, n_items;
static enum verdict (*try_item)(size_t i);

static enum verdict try_act(size_t i)
{
	penv.sibling = shared->sibling;
	return probe_acts[i].act(&penv) == 0 ? ALLOWED : REFUSED;
}

/* Goes on until one item ends the process; the driver starts the next one behind it. */
static void try_rest(void)
{
	for (size_t i = next_item; i < n_items; i++) {
		shared->verdicts[i] = TRYING;
		shared->verdicts[i] = (uint8_t)try_item(i);
	}
}

static void try_one(void)
{
	shared->verdicts[next_item] = TRYING;
	shared->verdicts[next_item] = (uint8_t)try_item(next_item);
}

/* `fresh`: a new process for every item, because items can change the process. */
static void try_all(size_t n, enum verdict (*try)(size_t i), bool fresh)
{
	must(n <= sizeof(shared->verdicts), "too many items");
	memset(shared->verdicts, NOT_TRIED, sizeof(shared->verdicts));
	n_items = n;
	try_item = try;
	for (next_item = 0; next_item < n; next_item++) {
		int status = run_inside(fresh ? try_one : try_rest);

		while (next_item < n && shared->verdicts[next_item] >= ALLOWED && !fresh)
			next_item++;
		if (next_item == n || shared->verdicts[next_item] != TRYING)
			continue;
		/* Ended by its own doing or by a signal of the kernel: it got through. */
		shared->verdicts[next_item] =
		    WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED : ALLOWED;
	}
}

static const char *const verdict_names[] = { "untried", "untried", "allowed", "refused", "killed" };

static int probe_row(const char *name)
{
	size_t n_calls, n_acts;

	for (row = sandbox_rows; row < sandbox_rows + PROC_COUNT; row++) {
		if (row->name != NULL && strcmp(row->name, name) == 0)
			break;
	}
	must(row < sandbox_rows + PROC_COUNT, name);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED, "mmap");
	log_init(2, false, LOG_ERR);
	probe_spares_machine = row->sys & SYS_HOST;
	make_world();
	/* Master is trusted with arguments and deeds; what counts is which calls are deadly. */
	n_calls = row->sys & SYS_HOST ? probe_numbers_count() : probe_calls_count();
	n_acts = row->sys & SYS_HOST ? 0 : probe_acts_count;
	try_all(n_calls, probe_call_try, false);
	for (size_t i = 0; i < n_calls; i++) {
		if (shared->verdicts[i] != REFUSED)
			printf("%s %s\n", verdict_names[shared->verdicts[i]], probe_call_name(i));
	}
	try_all(n_acts, try_act, true);
	for (size_t i = 0; i < n_acts; i++)
		printf("act %s: %s\n", verdict_names[shared->verdicts[i]], probe_acts[i].name);
	remove_world();
	return 0;
}

int main(int argc, char **argv)
{
	setlinebuf(stdout);
	if (argc == 2 && strcmp(argv[1], "--rows") == 0) {
		for (size_t i = 0; i < PROC_COUNT; i++)
			printf(
			    "%s\n", sandbox_rows[i].name != NULL ? sandbox_rows[i].name : "(none)");
		return 0;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: probe ROW | --rows\n");
		return 2;
	}
	return probe_row(argv[1]);
}
