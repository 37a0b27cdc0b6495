#include "tests/unit/signer-run.h"

#include "authd/signer/signer_serve.h"
#include "common/base/io.h"
#include "common/ipc/chan.h"
#include "common/tls/remote.h"

#include <assert.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_WAIT_MS = 2000 };

static int file_open(const char *dir, const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert(fd >= 0);
	return fd;
}

char *test_dir_make(const char *kind, const char *names)
{
	char dir[] = "/tmp/gatehouse-tls.XXXXXX", command[1024];
	int status;

	assert(mkdtemp(dir) != NULL);
	snprintf(command, sizeof(command), "%s %s %s %s", TEST_DEMO_CA, dir, kind, names);
	status = system(command);
	assert(status == 0);
	return strdup(dir);
}

void test_dir_remove(char **dir)
{
	static const char *const names[] = { "ca.pem", "cert.pem", "key.pem" };
	char path[512];

	if (*dir == NULL)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", *dir, names[i]);
		unlink(path);
	}
	rmdir(*dir);
	free(*dir);
	*dir = NULL;
}

struct slice test_file_read(const char *dir, const char *name)
{
	int fd = file_open(dir, name);
	uint8_t *p;
	size_t n;

	assert(io_slurp(fd, 1 << 20, &p, &n) == 0);
	close(fd);
	return slice_of(p, n);
}

static void signer_main(int take_fd, char *const *dirs, size_t n)
{
	struct event_base *base = event_base_new();
	struct signer_serve *serve;
	struct signer_keys *keys;
	uint8_t ref[TLS_KEY_REF_BYTES];
	bool locked;

	assert(signer_heap_init(n, &locked) == 0 && signer_keys_new(&keys) == 0);
	for (size_t i = 0; i < n; i++)
		assert(signer_keys_add_fd(keys, file_open(dirs[i], "key.pem"), ref) == 0);
	assert(signer_serve_new(base, keys, &serve) == 0);
	assert(signer_serve_attach(serve, take_fd, IPC_ROLE_POP3, 0, 1) == 0);
	while (signer_serve_count(serve) > 0)
		event_base_loop(base, EVLOOP_ONCE);
	signer_serve_free(&serve);
	event_base_free(base);
}

static void on_gone(void *arg, struct ipc_chan *chan, enum ipc_gone why)
{
}

static const struct ipc_ops attach_ops = { .on_gone = on_gone };

void signer_run_start(struct signer_run *run, char *const *dirs, size_t n)
{
	int pair[2];

	assert(ipc_pair(pair) == 0);
	fflush(NULL);
	run->pid = fork();
	assert(run->pid >= 0);
	if (run->pid == 0) {
		close(pair[1]);
		signer_main(pair[0], dirs, n);
		_exit(0);
	}
	close(pair[0]);
	run->attach = ipc_chan_new(NULL, pair[1], IPC_CH_ATTACH_SIGN, false, &attach_ops, NULL);
	assert(run->attach != NULL);
	assert(ipc_chan_hello(run->attach, IPC_ROLE_POP3, 1, IPC_ROLE_SIGNER, IPC_IN_RUN) == 0);
}

int signer_run_channel(struct signer_run *run)
{
	const struct ipc_sign_attach msg = { .sid = 1ull << 32 | 1 };
	int pair[2];

	assert(ipc_pair(pair) == 0 && tls_remote_prepare(pair[1]) == 0);
	assert(ipc_send(run->attach, IPC_sign_attach, &msg, &pair[0]) == 0);
	return pair[1];
}

int signer_run_stop(struct signer_run *run)
{
	int status = -1;

	ipc_chan_free(&run->attach);
	/* A test that failed has left channels open, for which the signer would wait. */
	for (int i = 0; i < STOP_WAIT_MS; i++) {
		if (waitpid(run->pid, &status, WNOHANG) == run->pid)
			return status;
		usleep(1000);
	}
	kill(run->pid, SIGKILL);
	waitpid(run->pid, &status, 0);
	return status;
}
