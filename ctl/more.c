/* more - the commands that do more than one line: input from files, pipelines, shaped output. */
#include "ctl/ctl.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { INPUT_MAX = 512 << 20, WINDOW = 200 };

int ctl_ask(struct ctl *c, struct buf *line, struct reply *ret)
{
	int r = client_ask(&c->client, buf_slice(line), ret);

	buf_fini(line);
	if (r != 0)
		return 3;
	if (ret->code == 200 || ret->code == 201)
		return 0;
	fprintf(stderr, "gatehousectl: %.*s\n", SLICE_FMT(ret->text));
	return 1;
}

int ctl_do(struct ctl *c, struct buf *line)
{
	struct reply r;

	return ctl_ask(c, line, &r);
}

int ctl_show(struct ctl *c, struct buf *line)
{
	struct reply r;
	int status = ctl_ask(c, line, &r);

	if (status != 0 || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	else
		print_plain(r.data);
	return 0;
}

int ctl_show_table(struct ctl *c, struct buf *line, const struct column *columns, size_t n)
{
	struct reply r;
	int status = ctl_ask(c, line, &r);

	if (status != 0 || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	else
		print_table(r.data, columns, n);
	return 0;
}

int ctl_account_list(struct ctl *c)
{
	struct buf b;
	struct reply r;
	int status;

	line_start(&b, "ListAccounts");
	if (c->argc > 0)
		line_word(&b, c->argv[0]);
	status = ctl_ask(c, &b, &r);
	if (status != 0 || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	for (const struct data *d = r.data->first; d != NULL && !c->json; d = d->next) {
		print_text(d->key);
		putchar('\n');
	}
	return 0;
}

/* A whole file or standard input; NULL after a message. The caller frees. */
static uint8_t *read_input(const char *path, size_t *ret_n)
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

/* False after a message: more than a line is a mistake, and so is nothing. */
static bool read_password(struct slice *ret, uint8_t **ret_p)
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

static int with_password(struct ctl *c, const char *verb, const char *method)
{
	struct slice password;
	struct buf b;
	uint8_t *p;
	int r;

	if (!read_password(&password, &p))
		return 1;
	line_start(&b, verb);
	line_word(&b, c->argv[0]);
	line_raw(&b, "PASSWORD ");
	data_put_string(&b, password);
	if (method != NULL) {
		line_raw(&b, "METHOD");
		line_word(&b, method);
	}
	r = ctl_do(c, &b);
	secret_wipe(p, password.n);
	free(p);
	return r;
}

int ctl_password_set(struct ctl *c)
{
	return with_password(c, "SetAccountPassword", c->argc > 1 ? c->argv[1] : NULL);
}

int ctl_password_check(struct ctl *c)
{
	return with_password(c, "VerifyAccountPassword", NULL);
}

/* ---- many accounts: a window of commands is always on its way ---- */

struct import {
	struct ctl *c;
	struct slice rest;
	struct slice names[WINDOW]; /* of the commands on their way, as a ring */
	size_t sent, done, failed, total;
	int64_t shown_ms;
};

static size_t count_lines(struct slice s)
{
	size_t n = s.n > 0 && s.p[s.n - 1] != '\n';

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static void show_progress(struct import *im, bool last)
{
	int64_t now = clock_mono_ms();

	if (im->c->quiet || !isatty(2) || (!last && now - im->shown_ms < 100))
		return;
	im->shown_ms = now;
	fprintf(stderr, "\r%zu of %zu accounts (%zu%%), %zu refused%s", im->done, im->total,
	    im->total > 0 ? im->done * 100 / im->total : 100, im->failed, last ? "\n" : "");
}

/* The next line's command, if it has one. 0, or 1 when the connection is lost. */
static int import_send(struct import *im)
{
	struct slice line = slice_trim(slice_take(&im->rest, '\n')), name;
	struct buf b;
	int r;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0 || line.p[0] == '#') {
		im->total--;
		return 0;
	}
	name = slice_take(&line, ':');
	line_start(&b, "CreateAccount ");
	data_put_string(&b, name);
	if (line.n > 0) {
		buf_puts(&b, " {PasswordHash=");
		data_put_string(&b, line);
		buf_puts(&b, ";}");
	}
	r = client_send(&im->c->client, buf_slice(&b));
	buf_fini(&b);
	im->names[im->sent++ % WINDOW] = name;
	return r;
}

static int import_recv(struct import *im)
{
	struct slice name = im->names[im->done % WINDOW];
	struct reply r;

	if (client_recv(&im->c->client, &r) != 0)
		return 1;
	im->done++;
	if (r.code != 200) {
		im->failed++;
		fprintf(stderr, "gatehousectl: %.*s: %.*s\n", SLICE_FMT(name), SLICE_FMT(r.text));
	}
	show_progress(im, false);
	return 0;
}

int ctl_account_import(struct ctl *c)
{
	struct import im = { .c = c };
	size_t n;
	uint8_t *p = read_input(c->argv[0], &n);
	int r = 0;

	if (p == NULL)
		return 1;
	im.rest = slice_of(p, n);
	im.total = count_lines(im.rest);
	while (r == 0 && (im.rest.n > 0 || im.done < im.sent)) {
		if (im.rest.n > 0 && im.sent - im.done < WINDOW)
			r = import_send(&im);
		else
			r = import_recv(&im);
	}
	show_progress(&im, true);
	if (c->json)
		printf("{\"made\": %zu, \"refused\": %zu}\n", im.done - im.failed, im.failed);
	else if (!c->quiet)
		printf("%zu accounts made, %zu refused\n", im.done - im.failed, im.failed);
	secret_wipe(p, n);
	free(p);
	return r != 0 ? 3 : im.failed > 0;
}

/* ---- routing ---- */

/* module, queue, address, result, then steps. */
static int show_route(struct ctl *c, struct buf *line)
{
	static const char *const names[] = { "module", "queue", "address", "result" };
	struct reply r;
	int status = ctl_ask(c, line, &r);
	const struct data *d;
	size_t i = 0;

	if (status != 0 || r.data == NULL)
		return status;
	if (c->json) {
		print_json(r.data);
		return 0;
	}
	for (d = r.data->first; d != NULL; d = d->next, i++) {
		printf("%-8s ", i < 4 ? names[i] : "step");
		print_text(d->text);
		putchar('\n');
	}
	return 0;
}

int ctl_route_test(struct ctl *c)
{
	struct buf b;

	line_start(&b, "RouteTrace");
	line_word(&b, c->argv[0]);
	if (c->argc > 1)
		line_word(&b, c->argv[1]);
	return show_route(c, &b);
}

int ctl_route_login(struct ctl *c)
{
	struct buf b;

	line_start(&b, "RouteLogin");
	line_word(&b, c->argv[0]);
	line_raw(&b, "LOCAL");
	line_word(&b, c->argv[1]);
	if (c->argc > 2) {
		line_raw(&b, "DOMAIN");
		line_word(&b, c->argv[2]);
	}
	return show_route(c, &b);
}

int ctl_router_show(struct ctl *c)
{
	struct buf b;
	struct reply r;
	int status;

	line_start(&b, "GetRouterTable");
	status = ctl_ask(c, &b, &r);
	if (status != 0 || r.data == NULL)
		return status;
	if (c->json) {
		print_json(r.data);
	} else if (r.data->text.n > 0) {
		fwrite(r.data->text.p, 1, r.data->text.n, stdout);
		putchar('\n');
	}
	return 0;
}

int ctl_router_set(struct ctl *c)
{
	struct buf b;
	size_t n;
	uint8_t *p = read_input(c->argv[0], &n);

	if (p == NULL)
		return 1;
	line_start(&b, "SetRouterTable ");
	data_put_string(&b, slice_of(p, n));
	free(p);
	if (b.overflow) {
		fprintf(stderr, "gatehousectl: the table is too long\n");
		buf_fini(&b);
		return 1;
	}
	return ctl_do(c, &b);
}

/* ---- the protocol itself ---- */

int ctl_cli(struct ctl *c)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	struct reply r = { .code = 200 };

	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct slice s = slice_of(line, (size_t)n);

		while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
			s.n--;
		if (s.n == 0)
			continue;
		if (client_ask(&c->client, s, &r) != 0)
			break;
		printf(
		    "%u %.*s\n", r.code, (int)r.text.n, r.text.n > 0 ? (const char *)r.text.p : "");
		fflush(stdout);
		if (slice_ieq(s, SLICE("QUIT")))
			break;
	}
	free(line);
	return r.code == 501;
}
