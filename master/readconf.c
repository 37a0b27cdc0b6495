/*
 * readconf - the configuration file, parsed by a process without rights.
 *
 * The file is opened here and passed; what comes back is packed values, or the list of errors. The
 * parsing process has no file, no socket, no name in it, and one answer to give.
 */
#include "master/master.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/conf/limits.h"
#include "common/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	ANSWER_MAX = CONF_PACK_MAX + 64,
};

/* In the child: u32 status, then the packed conf (0) or the errors (anything else). */
static void parse_and_answer(const char *path, int file_fd, struct buf *out)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	struct conf c;
	uint8_t *text;
	size_t n;
	int r = io_slurp(file_fd, CONF_FILE_MAX, &text, &n);

	if (r == 0)
		r = conf_init(&c, NULL);
	else
		buf_printf(&errors, "%s: %s\n", path,
		    r == 1 ? "is larger than a configuration may be" : strerror(-r));
	if (r == 0)
		r = conf_parse(&c, path, slice_of(text, n), &errors);
	wire_put_u32(out, (uint32_t)r);
	if (r == 0)
		conf_pack(&c, out);
	else
		buf_put(out, buf_slice(&errors));
}

enum { ANSWER_FD = 3, EMPTY_FD, FILE_FD, CHILD_FDS = 3 };

/* Nothing of ours goes along: at a reload we hold keys and sockets. */
static void child_main(const char *path, int file_fd, int answer_fd, int empty_fd)
{
	struct sandbox_env env = { .root_fd = empty_fd < 0 ? -1 : EMPTY_FD };
	struct buf out = BUF_INIT(ANSWER_MAX);

	log_init(STDERR_FILENO, false, LOG_NOTICE);
	apart_keep((int[CHILD_FDS]){ answer_fd, empty_fd, file_fd }, CHILD_FDS);
	if (sandbox_enter(&sandbox_rows[PROC_CONF], &env) != 0)
		_exit(1);
	parse_and_answer(path, FILE_FD, &out);
	_exit(out.overflow || io_write_all(ANSWER_FD, buf_slice(&out)) != 0);
}

static int take_answer(struct slice answer, struct conf *ret, struct buf *errors)
{
	struct wire_reader r = wire_reader(answer);
	uint32_t status = wire_get_u32(&r);
	struct slice rest = slice_from(answer, 4);
	int ret_r;

	if (r.bad) {
		buf_puts(
		    errors, "the configuration could not be parsed: its process ended early\n");
		return -EIO;
	}
	if (status != 0) {
		buf_put(errors, rest);
		return 1;
	}
	ret_r = conf_init(ret, NULL);
	if (ret_r == 0)
		ret_r = conf_unpack(ret, rest);
	if (ret_r != 0) {
		conf_fini(ret);
		buf_puts(errors, "the process that parsed the configuration gave a wrong answer\n");
	}
	return ret_r;
}

static int parse_apart(
    const char *path, int file_fd, int empty_fd, struct conf *ret, struct buf *errors)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	int fds[2], r, status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		fd_close(&fds[0]);
		child_main(path, file_fd, fds[1], empty_fd);
	}
	fd_close(&fds[1]);
	if (pid < 0) {
		fd_close(&fds[0]);
		return -errno;
	}
	r = apart_answer(pid, fds[0], &answer, &status);
	if (r != 0)
		buf_puts(errors, "the configuration could not be parsed in time\n");
	if (r == 0)
		r = take_answer(buf_slice(&answer), ret, errors);
	fd_close(&fds[0]);
	buf_fini(&answer);
	return r;
}

int readconf(const char *path, int empty_fd, struct conf *ret, struct buf *errors)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0) {
		r = -errno;
		buf_printf(errors, "%s: %s\n", path, strerror(errno));
		return r;
	}
	r = parse_apart(path, fd, empty_fd, ret, errors);
	fd_close(&fd);
	return r;
}
