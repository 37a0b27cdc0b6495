/*
 * gatehouse-pam - a helper (docs/external.md) that asks PAM: for accounts with UseSysPassword.
 *
 * No process of the suite and no child of its master: systemd starts it for a connection, or it
 * listens by itself.
 *
 * Holds:    0 and 1 the connection (or a listening socket of its own).
 * May:      what root may without capabilities and network: PAM's modules decide what that is for.
 * Trusts:   who may connect to its socket: root and its own user.
 * If taken: the intruder reads what root can read on this machine, and has no network to send it.
 */
#include "authd/pam/check.h"
#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_S = 18, LIMIT_MAX_S = 3600, IN_BYTES = ASK_MAX_BYTES + 1 };

struct question {
	pid_t pid; /* 0: free */
	uint64_t number;
	int64_t until_ms;
};

struct server {
	struct pam_place place;
	const char *listen_path;
	bool network;
	int64_t limit_ms;
	int in_fd, out_fd, signal_fd;
	size_t in_n;
	uint8_t in[IN_BYTES];
	struct question questions[QUESTIONS_MAX];
};

static int answer(struct server *s, uint64_t number, enum line_status status, const char *facts)
{
	struct buf out = BUF_INIT(200);
	int r;

	line_put_answer(&out, number, status, facts);
	r = io_write_all(s->out_fd, buf_slice(&out));
	buf_fini(&out);
	return r;
}

static struct question *free_place(struct server *s)
{
	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		if (s->questions[i].pid == 0)
			return &s->questions[i];
	return NULL;
}

/* In the child: nothing of the connection, and an end when we end. */
static void child_main(struct server *s, struct line_question *q, pid_t parent)
{
	sigset_t none;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null_fd < 0)
		_exit(LINE_LATER);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	secret_wipe(s->in, sizeof(s->in));
	setsid(); /* what modules start goes with it */
	check_and_exit(&s->place, q);
}

static int begin(struct server *s, struct line_question *q)
{
	struct question *place = free_place(s);
	pid_t self = getpid(), pid = place != NULL ? fork() : -1;

	if (pid < 0)
		return answer(s, q->number, LINE_LATER, "");
	if (pid == 0)
		child_main(s, q, self);
	*place = (struct question){
		.pid = pid, .number = q->number, .until_ms = clock_mono_ms() + s->limit_ms
	};
	return 0;
}

static int on_line(struct server *s, struct slice line)
{
	struct line_question q;
	int r;

	if (line_read_question(line, &q) != 0) {
		fprintf(stderr, "gatehouse-pam: the other end does not speak our language\n");
		return 1;
	}
	if (q.verb == LINE_HELLO)
		r = answer(s, q.number, LINE_OK, " CHECK");
	else if (q.verb == LINE_CREATE)
		r = answer(s, q.number, LINE_UNKNOWN, "");
	else
		r = begin(s, &q);
	secret_wipe(&q, sizeof(q));
	return r;
}

/* 0; 1 at the end of the connection. */
static int on_readable(struct server *s)
{
	struct slice rest;
	ptrdiff_t end;
	ssize_t n = read(s->in_fd, s->in + s->in_n, IN_BYTES - s->in_n);
	int r = 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return 1;
	s->in_n += (size_t)n;
	rest = slice_of(s->in, s->in_n);
	while (r == 0 && (end = slice_find(rest, '\n')) >= 0) {
		r = on_line(s, slice_part(rest, 0, (size_t)end));
		rest = slice_from(rest, (size_t)end + 1);
	}
	memmove(s->in, rest.p, rest.n);
	secret_wipe(s->in + rest.n, s->in_n - rest.n);
	s->in_n = rest.n;
	return r != 0 || s->in_n == IN_BYTES;
}

static enum line_status from_exit(int status)
{
	bool known = WIFEXITED(status) && WEXITSTATUS(status) <= LINE_LATER;

	return known ? (enum line_status)WEXITSTATUS(status) : LINE_LATER;
}

static int on_ends(struct server *s)
{
	struct signalfd_siginfo si;
	int status, r = 0;
	pid_t pid;

	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < QUESTIONS_MAX; i++) {
			if (s->questions[i].pid != pid)
				continue;
			kill(-pid, SIGKILL); /* what a module has left behind */
			s->questions[i].pid = 0;
			r |= answer(s, s->questions[i].number, from_exit(status), "");
		}
	}
	return r;
}

/* Its end is its answer. The time until the next one, ms; -1: there is none. */
static int end_late_ones(struct server *s)
{
	int64_t now = clock_mono_ms(), least = -1;

	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		struct question *q = &s->questions[i];
		int64_t left = q->until_ms - now;

		if (q->pid == 0)
			continue;
		if (left <= 0) {
			kill(-q->pid, SIGKILL);
			kill(q->pid, SIGKILL);
			left = 1000;
		}
		if (least < 0 || left < least)
			least = left;
	}
	return (int)least;
}

/* One connection, to its end; nobody waits for the answers then. */
static void serve(struct server *s)
{
	int r = 0;

	s->in_n = 0;
	while (r == 0) {
		struct pollfd p[2] = { { .fd = s->in_fd, .events = POLLIN },
			{ .fd = s->signal_fd, .events = POLLIN } };

		if (poll(p, 2, end_late_ones(s)) < 0 && errno != EINTR)
			break;
		if (p[1].revents != 0)
			r = on_ends(s);
		if (r == 0 && p[0].revents != 0)
			r = on_readable(s);
	}
	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		if (s->questions[i].pid == 0)
			continue;
		kill(-s->questions[i].pid, SIGKILL);
		kill(s->questions[i].pid, SIGKILL);
		waitpid(s->questions[i].pid, NULL, 0);
		s->questions[i].pid = 0;
	}
}

/* Who may ask: whoever could look at the passwords anyway. */
static bool peer_fit(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(sun.sun_path))
		return -1;
	strcpy(sun.sun_path, path);
	unlink(path);
	umask(0077);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 || listen(fd, 16) != 0)
		fd_close(&fd);
	return fd;
}

static int accept_all(struct server *s)
{
	int listen_fd = listen_at(s->listen_path);

	if (listen_fd < 0) {
		perror(s->listen_path);
		return 1;
	}
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return 1;
		if (fd < 0)
			continue;
		s->in_fd = s->out_fd = fd;
		if (peer_fit(fd))
			serve(s);
		close(fd);
	}
}

/* Modules that read the shadow file need no more than to be root; libpam tells the audit. */
static int keep_caps(void)
{
	static const cap_value_t keep[] = { CAP_AUDIT_WRITE };
	cap_t want = cap_init();
	int r = want == NULL || cap_set_flag(want, CAP_PERMITTED, 1, keep, CAP_SET) != 0 ||
		cap_set_flag(want, CAP_EFFECTIVE, 1, keep, CAP_SET) != 0;

	for (cap_value_t c = 0; r == 0 && CAP_IS_SUPPORTED(c); c++)
		if (c != CAP_AUDIT_WRITE && cap_get_bound(c) == 1)
			r = cap_drop_bound(c) != 0;
	/* The unit may have taken it away before. */
	if (r == 0 && cap_get_bound(CAP_AUDIT_WRITE) != 1)
		r = cap_clear(want) != 0;
	if (r == 0)
		r = cap_set_proc(want) != 0;
	cap_free(want);
	return r;
}

static int walls(const struct server *s)
{
	if (geteuid() != 0) {
		fprintf(stderr, "gatehouse-pam: not root: modules that read the system's passwords "
				"will not know them, and the network stays open to them\n");
	} else if ((!s->network && unshare(CLONE_NEWNET) != 0) || keep_caps() != 0) {
		perror("gatehouse-pam: cannot give up its rights");
		return 1;
	}
	prctl(PR_SET_DUMPABLE, 0);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0;
}

static int signals_open(struct server *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0;
}

static int usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
	    "usage: gatehouse-pam [--listen SOCKET] [--service NAME] [--confdir DIR]\n"
	    "                     [--network] [--limit SECONDS]\n");
	return status;
}

static int options(struct server *s, int argc, char **argv)
{
	static const struct option all[] = { { "listen", required_argument, NULL, 'l' },
		{ "service", required_argument, NULL, 's' },
		{ "confdir", required_argument, NULL, 'c' }, { "network", no_argument, NULL, 'n' },
		{ "limit", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { 0 } };
	uint64_t seconds;

	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) >= 0;) {
		if (c == 'l')
			s->listen_path = optarg;
		else if (c == 's')
			s->place.service = optarg;
		else if (c == 'c')
			s->place.confdir = optarg;
		else if (c == 'n')
			s->network = true;
		else if (c == 't' && slice_u64(slice_str(optarg), LIMIT_MAX_S, &seconds) == 0)
			s->limit_ms = (int64_t)seconds * 1000;
		else if (c == 'h')
			exit(usage(0));
		else if (c == 'v')
			exit(printf("gatehouse-pam " GH_VERSION "\n") < 0);
		else
			return usage(2);
	}
	return optind < argc ? usage(2) : 0;
}

int main(int argc, char **argv)
{
	static struct server s = { .place.service = "gatehouse",
		.limit_ms = LIMIT_S * 1000,
		.in_fd = STDIN_FILENO,
		.out_fd = STDOUT_FILENO };
	int r = options(&s, argc, argv);

	if (r != 0)
		return r;
	if (signals_open(&s) != 0 || walls(&s) != 0)
		return 1;
	if (s.listen_path != NULL)
		return accept_all(&s);
	serve(&s);
	return 0;
}
