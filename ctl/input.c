/* input - files and passwords that commands read. */
#include "ctl/ctl.h"

#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/conf/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { INPUT_MAX = 512 << 20 };

uint8_t *read_input(const char *path, size_t *ret_n)
{
	int fd = strcmp(path, "-") == 0 ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p = NULL;
	int r = fd < 0 ? -errno : io_slurp(fd, INPUT_MAX, &p, ret_n);

	fd_close(&fd);
	if (r == 0)
		return p;
	fprintf(stderr, "gatehousectl: cannot read %s: %s\n", path,
	    r > 0 ? "it is too large" : strerror(-r));
	return NULL;
}

bool read_conf(const struct ctl *c, struct conf *conf)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	size_t n = 0;
	uint8_t *text = read_input(c->conf, &n);
	int r = text != NULL ? conf_parse(conf, c->conf, slice_of(text, n), &errors) : -1;

	if (r != 0 && text != NULL)
		fprintf(stderr, "%.*s", SLICE_FMT(buf_slice(&errors)));
	buf_fini(&errors);
	free(text);
	return r == 0;
}

/* ---- passwords come from standard input, where no list of processes shows them ---- */

/* One line that is not shown while it is typed; NULL at the end of the input. The caller frees. */
static uint8_t *read_hidden_line(size_t *ret_n)
{
	struct termios shown, hidden;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (tcgetattr(0, &shown) != 0)
		return NULL;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(0, TCSAFLUSH, &hidden); /* before the prompt: it drops what is typed too early */
	fprintf(stderr, "password: ");
	n = getline(&line, &room, stdin);
	tcsetattr(0, TCSAFLUSH, &shown);
	fputc('\n', stderr);
	if (n < 0) {
		free(line);
		return NULL;
	}
	*ret_n = (size_t)n;
	return (uint8_t *)line;
}

/* More than a line is a mistake, and so is nothing. */
bool read_password(struct slice *ret, uint8_t **ret_p)
{
	size_t n = 0;
	struct slice s;

	*ret_p = isatty(0) ? read_hidden_line(&n) : read_input("-", &n);
	s = slice_of(*ret_p, *ret_p != NULL ? n : 0);
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	if (s.n > 0 && slice_find(s, '\n') < 0) {
		*ret = s;
		return true;
	}
	fprintf(stderr, "gatehousectl: a password is one line of standard input, not %s\n",
	    s.n == 0 ? "nothing" : "several");
	if (s.n > 0)
		secret_wipe(*ret_p, s.n);
	free(*ret_p);
	return false;
}
