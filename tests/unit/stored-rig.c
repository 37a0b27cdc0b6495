#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig-private.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, UNDELETE_S = 14 * 86400, RESTORES = 10000 };

static void remove_tree(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && unlinkat(dir_fd, e->d_name, 0) != 0) {
			int sub = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (sub >= 0)
				remove_tree(sub);
			fd_close(&sub);
			unlinkat(dir_fd, e->d_name, AT_REMOVEDIR);
		}
	closedir(d);
}

static void store_start(struct rig *r);

static void daemons_start(struct rig *r)
{
	r->authd = rig_attach(r, IPC_CH_AUTH_STORE);
	r->routerd = rig_attach(r, IPC_CH_ROUTE_STORE);
	r->acceptor = rig_attach(r, IPC_CH_ATTACH_POST);
}

/* In the child: the descriptors where proc_main expects them. An ordinary user has an ordinary
 * user's sandbox. */
static void process_exec(const struct rig *r, int control, int log)
{
	int null = open("/dev/null", O_RDWR);

	/* Out of the way of 3 and 4 first. */
	control = fcntl(control, F_DUPFD, 10);
	log = fcntl(log, F_DUPFD, 10);
	for (int i = 0; i < 2; i++)
		dup2(null, i);
	dup2(control, 3);
	dup2(log, 4);
	close_range(5, ~0u, 0);
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
		_exit(126);
	execl(r->program, r->program, (char *)NULL);
	_exit(127);
}

static void dir_send(struct rig *r, const char *name, int fd)
{
	int dup = fcntl(fd, F_DUPFD_CLOEXEC, 5);

	assert_int_equal(
	    ipc_send(r->control->chan, IPC_ctl_dir, &(struct ipc_ctl_dir){ slice_str(name) }, &dup),
	    0);
}

static void process_start(struct rig *r)
{
	int control[2], log[2];
	enum ipc_type type;

	assert_int_equal(ipc_pair(control), 0);
	assert_int_equal(ipc_pair(log), 0);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0)
		process_exec(r, control[1], log[1]);
	fd_close(&control[1]);
	fd_close(&log[1]);
	fd_close(&r->log_fd);
	r->log_fd = log[0];
	r->control = rig_adopt_end(r, control[0], IPC_CH_CONTROL, true);
	ipc_chan_hello(r->control->chan, IPC_ROLE_MASTER, 1, IPC_ROLE_STORED, IPC_IN_SETUP);
	rig_send(r->control, IPC_ctl_conf, &(struct ipc_ctl_conf){ SLICE("engine = lmdb\n") });
	dir_send(r, "store", r->dir_fd);
	daemons_start(r);
	rig_send(r->control, IPC_ctl_go, &(struct ipc_ctl_go){});
	do
		if (rig_next(r->control, RIG_WAIT_MS, &type, NULL) == NULL)
			fail_msg("%s does not start", r->program);
	while (type == IPC_ctl_progress);
	assert_int_equal(type, IPC_ctl_ready);
}

void rig_kill(struct rig *r)
{
	int status;

	kill(r->pid, SIGKILL);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	r->pid = 0;
	while (r->clients != NULL)
		rig_client_close(r->clients);
}

void rig_init_process(struct rig *r, const char *program)
{
	char path[] = "/tmp/stored-test-XXXXXX";

	*r = (struct rig){ .dir_fd = -1,
		.log_fd = -1,
		.program = program,
		.undelete_s = UNDELETE_S,
		.restores = RESTORES,
		.compress = 1 };
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_ERR);
	assert_non_null(mkdtemp(path));
	r->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(r->dir_fd >= 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(r->dir_fd, NOBODY, NOBODY), 0);
	r->base = event_base_new();
	assert_non_null(r->base);
	store_start(r);
}

static void store_start(struct rig *r)
{
	struct store_conf conf = {
		.base = r->base, .engine = r->engine, .instance = 1, .undelete_s = r->undelete_s
	};

	if (r->program != NULL) {
		process_start(r);
	} else {
		assert_int_equal(store_new(&conf, &r->store), 0);
		daemons_start(r);
	}
}

void rig_init(struct rig *r, const char *spec)
{
	char path[] = "/tmp/stored-test-XXXXXX";

	*r = (struct rig){ .dir_fd = -1,
		.log_fd = -1,
		.undelete_s = UNDELETE_S,
		.restores = RESTORES,
		.compress = 1 };
	snprintf(r->spec, sizeof(r->spec), "%s", spec);
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_ERR);
	if (strstr(spec, "lmdb") != NULL) {
		assert_non_null(mkdtemp(path));
		r->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(r->dir_fd >= 0);
	}
	r->base = event_base_new();
	assert_non_null(r->base);
	assert_int_equal(engine_open(spec, r->dir_fd, NULL, &r->engine), 0);
	store_start(r);
}

static void store_end(struct rig *r)
{
	if (r->pid != 0)
		rig_kill(r);
	while (r->clients != NULL)
		rig_client_close(r->clients);
	store_free(&r->store);
}

void rig_restart(struct rig *r)
{
	store_end(r);
	if (r->dir_fd >= 0 && r->program == NULL) {
		engine_close(&r->engine);
		assert_int_equal(engine_open(r->spec, r->dir_fd, NULL, &r->engine), 0);
	}
	store_start(r);
}

bool rig_restart_amid(struct rig *r, const struct engine_faults *f)
{
	struct store_conf conf = {
		.base = r->base, .engine = r->engine, .instance = 1, .undelete_s = r->undelete_s
	};
	bool good;

	store_end(r);
	assert_int_equal(engine_faults_set(r->engine, f), 0);
	good = store_new(&conf, &r->store) == 0;
	assert_int_equal(engine_faults_set(r->engine, &(struct engine_faults){ .seed = 1 }), 0);
	if (good)
		daemons_start(r);
	return good;
}

void rig_crash(struct rig *r)
{
	store_end(r);
	assert_int_equal(engine_faults_set(r->engine, &(struct engine_faults){ .seed = 1 }), 0);
	store_start(r);
}

void rig_fini(struct rig *r)
{
	int fd = log_fd();

	store_end(r);
	engine_close(&r->engine);
	if (r->dir_fd >= 0) {
		char link[64], path[256] = { 0 };

		snprintf(link, sizeof(link), "/proc/self/fd/%d", r->dir_fd);
		assert_true(readlink(link, path, sizeof(path) - 1) > 0);
		remove_tree(r->dir_fd);
		fd_close(&r->dir_fd);
		rmdir(path);
	}
	fd_close(&r->log_fd);
	event_base_free(r->base);
	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
}

/* ---- one for each case ---- */

const char *rig_spec = "mem";

int rig_setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	rig_init(r, rig_spec);
	*state = r;
	return 0;
}

int rig_setup_account(void **state)
{
	rig_setup(state);
	return rig_account(*state, 7, IPC_account_make) == IPC_ST_OK ? 0 : -1;
}

int rig_teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}
