/*
 * keycheck - certificates and keys, looked at by a program of its own before anything takes them.
 */
#include "master/master.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIXED_FDS = 2, EXIT_GOOD = 0, EXIT_WRONG = 1 };

/* The answer's end of the pipe, the empty directory, then chain and key of each. */
static void exec_program(const struct master *m, const struct key_files *k, int answer_fd)
{
	int *fds = calloc(FIXED_FDS + 2 * k->n, sizeof(*fds));
	char **argv = calloc(k->n + 2, sizeof(*argv));
	char *env[] = { NULL };
	char path[512];

	if (fds == NULL || argv == NULL)
		_exit(125);
	snprintf(path, sizeof(path), "%s/keycheck", m->libexec);
	argv[0] = (char *)"keycheck";
	fds[0] = answer_fd;
	fds[1] = m->empty_fd;
	for (size_t i = 0; i < k->n; i++) {
		argv[i + 1] = k->k[i].name;
		fds[FIXED_FDS + 2 * i] = k->k[i].chain_fd;
		fds[FIXED_FDS + 2 * i + 1] = k->k[i].key_fd;
	}
	apart_keep(fds, FIXED_FDS + 2 * k->n);
	execve(path, argv, env);
	_exit(127);
}

static int judge(const struct master *m, int status, struct buf *errors)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_GOOD)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_WRONG && errors->n > 0)
		return -EINVAL;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		buf_printf(errors, "there is no program %s/keycheck\n", m->libexec);
	else
		buf_puts(errors, "the process that looks at certificates and keys failed\n");
	return -EIO;
}

static int check(const struct master *m, const struct key_files *k, struct buf *errors)
{
	int fds[2], r, status = 0;
	pid_t pid;

	if (k->n == 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		exec_program(m, k, fds[1]);
	fd_close(&fds[1]);
	r = pid < 0 ? -errno : apart_answer(pid, fds[0], errors, &status);
	fd_close(&fds[0]);
	if (pid > 0 && r != 0)
		buf_puts(errors, "certificates and keys could not be looked at in time\n");
	return r != 0 ? r : judge(m, status, errors);
}

int key_files_take(
    const struct master *m, const struct conf *conf, struct key_files *ret, struct buf *errors)
{
	struct key_files k;
	int r = key_files_open(conf, &k, errors);

	if (r != 0)
		return r;
	r = check(m, &k, errors);
	if (r == 0)
		*ret = k;
	else
		key_files_fini(&k);
	return r;
}
