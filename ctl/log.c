/*
 * log - the lines of one session, or of an account, out of the log.
 *
 * A session's lines name it in front (its own process wrote them) or among the keys (another
 * process wrote about it). An account's sessions are known from the lines of its logins, so a file
 * is read twice.
 */
#include "ctl/ctl.h"

#include "common/base/io.h"
#include "common/conf/conf.h"
#include "common/conf/limits.h"
#include "ctl/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 64 << 10, READ_BYTES = 64 << 10, FOLLOW_MS = 200 };

struct sids {
	char (*v)[40];
	size_t n;
};

struct search {
	struct ctl *c;
	const char *path; /* NULL: the journal */
	pid_t journal;
	int fd;
	struct buf in;
	bool follow, shows; /* the first pass only learns */
	const char *account;
	struct sids sids;
	size_t shown;
};

/* ---- which lines ---- */

static bool sids_hold(const struct sids *s, struct slice sid)
{
	for (size_t i = 0; i < s->n; i++)
		if (slice_ieq(slice_str(s->v[i]), sid))
			return true;
	return false;
}

static void sids_add(struct sids *s, struct slice sid)
{
	char(*v)[40];

	if (sid.n == 0 || sid.n >= sizeof(*v) || sids_hold(s, sid))
		return;
	v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (v == NULL)
		return;
	s->v = v;
	snprintf(v[s->n++], sizeof(*v), "%.*s", SLICE_FMT(sid));
}

/* "ann" is the name of ann@example.org, too. */
static bool names_account(const struct search *s, struct slice name)
{
	struct slice whole = slice_str(s->account);

	if (slice_ieq(name, whole))
		return true;
	return slice_find(whole, '@') < 0 && slice_ieq(slice_take(&name, '@'), whole);
}

static bool key_names_account(const struct search *s, const struct logline *l, const char *key)
{
	struct slice keys = l->keys, k, raw;
	struct buf b = BUF_INIT(4096);
	bool found = false;

	while (!found && logline_key(&keys, &k, &raw)) {
		if (!slice_eq(k, slice_str(key)))
			continue;
		buf_reset(&b);
		logline_value(raw, &b);
		found = names_account(s, buf_slice(&b));
	}
	buf_fini(&b);
	return found;
}

static bool of_session(const struct search *s, const struct logline *l)
{
	struct slice keys = l->keys, k, raw;

	if (l->sid.n > 0 && sids_hold(&s->sids, l->sid))
		return true;
	while (logline_key(&keys, &k, &raw))
		if (slice_eq(k, SLICE("sid")) && sids_hold(&s->sids, raw))
			return true;
	return false;
}

/* Learns an account's sessions as they come by. */
static void learn(struct search *s, const struct logline *l)
{
	struct slice keys = l->keys, k, raw;

	if (s->account == NULL || !slice_eq(l->event, SLICE("auth.granted")) ||
	    !key_names_account(s, l, "user"))
		return;
	while (logline_key(&keys, &k, &raw))
		if (slice_eq(k, SLICE("sid")))
			sids_add(&s->sids, raw);
}

static bool wanted(const struct search *s, const struct logline *l)
{
	if (of_session(s, l))
		return true;
	return s->account != NULL &&
	       (key_names_account(s, l, "user") || key_names_account(s, l, "object"));
}

/* ---- showing ---- */

static void show_json(const struct logline *l)
{
	struct slice keys = l->keys, k, raw;
	struct buf b = BUF_INIT(8192);

	putchar('{');
	print_json_text("time", l->time);
	printf(", ");
	print_json_text("process", l->process);
	printf(", ");
	print_json_text("level", l->level);
	printf(", ");
	if (l->sid.n > 0) {
		print_json_text("session", l->sid);
		printf(", ");
	}
	print_json_text("event", l->event);
	printf(", \"keys\": {");
	for (const char *sep = ""; logline_key(&keys, &k, &raw); sep = ", ") {
		char name[64];

		buf_reset(&b);
		logline_value(raw, &b);
		snprintf(name, sizeof(name), "%.*s", SLICE_FMT(k));
		printf("%s", sep);
		print_json_text(name, buf_slice(&b));
	}
	printf("}}");
	buf_fini(&b);
}

static void on_line(struct search *s, struct slice line)
{
	struct logline l;

	if (!logline_parse(line, &l))
		return;
	learn(s, &l);
	if (!s->shows || !wanted(s, &l))
		return;
	/* One array of a whole log; when it goes on for ever, a line each. */
	if (s->c->json && !s->follow)
		printf(s->shown > 0 ? ",\n" : "[");
	s->shown++;
	if (s->c->json)
		show_json(&l);
	else
		print_text(line);
	if (!s->c->json || s->follow)
		putchar('\n');
}

/* ---- reading ---- */

static void take_lines(struct search *s)
{
	struct slice rest = buf_slice(&s->in);
	ptrdiff_t lf;

	while ((lf = slice_find(rest, '\n')) >= 0) {
		on_line(s, slice_part(rest, 0, (size_t)lf));
		rest = slice_from(rest, (size_t)lf + 1);
	}
	buf_consume(&s->in, s->in.n - rest.n);
	if (s->in.n >= LINE_BYTES_MAX)
		buf_reset(&s->in); /* no line of ours */
}

/* What is there to be read now: 0, or CTL_REFUSED after a message. */
static int read_all(struct search *s)
{
	for (;;) {
		uint8_t *room = buf_room(&s->in, READ_BYTES);
		ssize_t n = room != NULL ? read(s->fd, room, READ_BYTES) : -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ctl_refuse(s->c, "cannot read the log: %s", strerror(errno));
		if (n == 0)
			return CTL_DONE;
		buf_wrote(&s->in, (size_t)n);
		take_lines(s);
		if (s->journal != 0)
			fflush(stdout);
	}
}

static int open_file(struct search *s)
{
	fd_close(&s->fd);
	buf_reset(&s->in);
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		return ctl_refuse(s->c, "cannot read %s: %s; another log is named by --file",
		    s->path, strerror(errno));
	return CTL_DONE;
}

static bool was_rotated(const struct search *s)
{
	struct stat here, there;

	return fstat(s->fd, &here) == 0 && stat(s->path, &there) == 0 &&
	       (here.st_ino != there.st_ino || here.st_dev != there.st_dev ||
		   there.st_size < lseek(s->fd, 0, SEEK_CUR));
}

static int follow_file(struct search *s)
{
	int status = CTL_DONE;

	while (status == CTL_DONE && !ferror(stdout)) {
		fflush(stdout);
		usleep(FOLLOW_MS * 1000);
		status = read_all(s);
		if (status == CTL_DONE && was_rotated(s))
			status = open_file(s);
	}
	return status;
}

static int search_file(struct search *s)
{
	int status = open_file(s);

	if (status == CTL_DONE && s->account != NULL) {
		status = read_all(s);
		if (status == CTL_DONE && lseek(s->fd, 0, SEEK_SET) != 0)
			status = ctl_refuse(s->c, "%s is no file that can be read twice", s->path);
		buf_reset(&s->in);
	}
	s->shows = true;
	if (status == CTL_DONE)
		status = read_all(s);
	if (status == CTL_DONE && s->follow)
		status = follow_file(s);
	fd_close(&s->fd);
	return status;
}

/* ---- the journal ---- */

static int open_journal(struct search *s, bool follow)
{
	const char *const argv[] = { "journalctl", "--unit=gatehouse", "--no-pager", "--quiet",
		"--output=short-iso-precise", "--lines=all", follow ? "--follow" : NULL, NULL };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return ctl_refuse(s->c, "no pipe: %s", strerror(errno));
	s->journal = fork();
	if (s->journal == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	fd_close(&fds[1]);
	s->fd = fds[0];
	buf_reset(&s->in);
	return s->journal > 0 ? CTL_DONE : ctl_refuse(s->c, "no process: %s", strerror(errno));
}

static int close_journal(struct search *s, int status)
{
	int end = 0;

	fd_close(&s->fd);
	if (s->journal > 0)
		waitpid(s->journal, &end, 0);
	s->journal = 0;
	if (status == CTL_DONE && WIFEXITED(end) && WEXITSTATUS(end) != 0)
		return ctl_refuse(s->c, "journalctl failed; another log is named by --file");
	return status;
}

static int search_journal(struct search *s)
{
	int status = CTL_DONE;

	if (s->account != NULL) {
		status = open_journal(s, false);
		status = close_journal(s, status == CTL_DONE ? read_all(s) : status);
	}
	s->shows = true;
	if (status == CTL_DONE)
		status = open_journal(s, s->follow);
	if (status == CTL_DONE)
		status = close_journal(s, read_all(s));
	return status;
}

/* ---- where the log is ---- */

static int from_conf(struct search *s, struct conf *conf)
{
	if (!read_conf(s->c, conf))
		return ctl_refuse(s->c,
		    "the configuration does not say where the log is; --file=PATH "
		    "or --journal does");
	if (conf_is_word(conf, CONF_log_target, "stderr"))
		return ctl_refuse(s->c, "log_target is stderr: where that goes is known to who "
					"started the suite; name the "
					"file with --file=PATH");
	s->path =
	    conf_is_word(conf, CONF_log_target, "file") ? conf_get_str(conf, CONF_log_file) : NULL;
	return CTL_DONE;
}

int ctl_log(struct ctl *c)
{
	struct search s = { .c = c, .fd = -1, .in = BUF_INIT(LINE_BYTES_MAX + READ_BYTES) };
	struct conf conf;
	int status = CTL_DONE;

	s.account = ctl_opt(c, "account");
	s.follow = ctl_opt(c, "follow") != NULL;
	s.path = ctl_opt(c, "file");
	if ((c->argc == 0) == (s.account == NULL))
		return CTL_USAGE;
	if (c->argc > 0)
		sids_add(&s.sids, slice_str(c->argv[0]));
	if (conf_init(&conf, NULL) != 0)
		return ctl_refuse(c, "out of memory");
	if (s.path == NULL && ctl_opt(c, "journal") == NULL)
		status = from_conf(&s, &conf);
	if (status == CTL_DONE)
		status = s.path != NULL ? search_file(&s) : search_journal(&s);
	if (c->json && !s.follow && status == CTL_DONE)
		printf(s.shown > 0 ? "]\n" : "[]\n");
	if (s.shown == 0 && status == CTL_DONE && !s.follow && !c->json)
		fprintf(stderr, "no line of it is in the log\n");
	conf_fini(&conf);
	buf_fini(&s.in);
	free(s.sids.v);
	return status;
}
