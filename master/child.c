/*
 * child - one process of the suite: started, led, buried.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_CONTROL_FD = 3, CHILD_LOG_FD = 4, ENV_MAX = 16 };

/* What of our environment a program may see: switches of the sanitizers, for tests. */
static void pick_env(const char *out[ENV_MAX + 1])
{
	static const char *const wanted[] = {
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "LLVM_PROFILE_FILE=", "TZ="
	};
	size_t n = 0;

	/* Room for the title that ps shows: it is written over argv and environment. */
	out[n++] = "GATEHOUSE_TITLE=                                        ";
	for (char **e = environ; *e != NULL && n < ENV_MAX; e++)
		for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
			if (strncmp(*e, wanted[i], strlen(wanted[i])) == 0)
				out[n++] = *e;
	out[n] = NULL;
}

/* Puts `fd` at `place`, without close-on-exec. The descriptors are above all places. */
static void place_fd(int fd, int place)
{
	if (dup2(fd, place) < 0)
		_exit(125);
}

/* In the child, between fork and exec. */
static void exec_program(struct child *c, int control_fd, int log_fd)
{
	const char *env[ENV_MAX + 1];
	char path[512];
	char *argv[] = { (char *)program_name(c->prog), NULL };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null_fd;

	snprintf(path, sizeof(path), "%s/%s", c->m->libexec, program_name(c->prog));
	pick_env(env);
	setsid(); /* a terminal's Ctrl-C is for us alone */
	/* Away from the places 0 to 4 before anything is put there. */
	control_fd = fcntl(control_fd, F_DUPFD_CLOEXEC, 16);
	log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 16);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, 16);
	place_fd(null_fd, 0);
	place_fd(null_fd, 1);
	if (!c->m->keep_stderr)
		place_fd(null_fd, 2);
	place_fd(control_fd, CHILD_CONTROL_FD);
	place_fd(log_fd, CHILD_LOG_FD);
	close_range(CHILD_LOG_FD + 1, ~0u, 0);
	sigaction(SIGPIPE, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, (char **)env);
	_exit(127);
}

static void on_control_gone(void *arg, struct ipc_chan *chan, enum ipc_gone why)
{
	struct child *c = arg;

	/* A process that sends us nonsense, or reads nothing, is no better than a dead one. */
	if (why != IPC_GONE_EOF)
		child_kill(c);
	ipc_chan_free(&c->control);
}

static void on_control_msg(
    void *arg, struct ipc_chan *chan, enum ipc_type type, const union ipc_any *msg, int *fds)
{
	struct child *c = arg;

	switch (type) {
	case IPC_ctl_ready:
		ipc_chan_set_state(chan, IPC_IN_RUN);
		master_on_ready(c, msg->ctl_ready.missing);
		break;
	case IPC_ctl_progress:
		watch_on_progress(c);
		break;
	case IPC_ctl_failed:
		snprintf(c->why, sizeof(c->why), "%.*s", SLICE_FMT(msg->ctl_failed.why));
		break;
	case IPC_ctl_pong:
		c->ping_at_ms = 0;
		break;
	case IPC_ctl_scrape:
		/* One that is no metrics door asks for what it has no business with. */
		if (c->prog->role == IPC_ROLE_METRICS)
			scrape_begin(c);
		else
			child_kill(c);
		break;
	case IPC_ctl_file_ask:
		if (c->prog->role == IPC_ROLE_SOURCE)
			helper_connect(c, msg->ctl_file_ask.name);
		else
			child_kill(c);
		break;
	case IPC_ctl_count:
		scrape_on_count(c, &msg->ctl_count);
		break;
	default:
		break;
	}
}

static const struct ipc_ops control_ops = { .on_msg = on_control_msg, .on_gone = on_control_gone };

/* Its last words lie in the socket still: the loop may see the death before them. */
static void hear_last_words(struct child *c)
{
	enum ipc_type type;
	union ipc_any msg;
	int fds[IPC_FDS_MAX];

	while (c->control != NULL && ipc_recv_wait(c->control, 0, &type, &msg, fds) == 0)
		on_control_msg(c, c->control, type, &msg, fds);
}

static void unwatch(struct child *c)
{
	if (c->ev_exit != NULL)
		event_free(c->ev_exit);
	c->ev_exit = NULL;
	fd_close(&c->pidfd);
}

static void bury(struct child *c)
{
	siginfo_t si = { 0 };

	if (waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOHANG) != 0 || si.si_pid == 0)
		return;
	unwatch(c);
	fd_close(&c->log_far_fd);
	groups_add(c->m, c->pid);
	hear_last_words(c);
	c->pid = 0;
	ipc_chan_free(&c->control);
	master_on_exit(c, si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	bury(arg);
}

void child_reap(struct child *c)
{
	if (c->pid > 0 && c->ev_exit == NULL)
		bury(c);
}

/* The loop will tell of its end: 0 or -errno. */
static int watch_exit(struct child *c)
{
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0)
		return -errno;
	fd_cloexec(c->pidfd, true);
	c->ev_exit = event_new(c->m->base, c->pidfd, EV_READ | EV_PERSIST, on_exit_event, c);
	if (c->ev_exit == NULL || event_add(c->ev_exit, NULL) != 0) {
		unwatch(c);
		return -ENOMEM;
	}
	return 0;
}

/* Registers the new process: 0 or -errno, then it is killed by the caller. */
static int adopt(struct child *c, int take_control_fd)
{
	int r = watch_exit(c);

	if (r != 0) {
		fd_close(&take_control_fd);
		return r;
	}
	c->control =
	    ipc_chan_new(c->m->base, take_control_fd, IPC_CH_CONTROL, true, &control_ops, c);
	if (c->control == NULL)
		return -ENOMEM;
	return ipc_chan_hello(
	    c->control, IPC_ROLE_MASTER, c->instance, c->prog->role, IPC_IN_SETUP);
}

static int fork_program(struct child *c)
{
	int control[2] = { -1, -1 }, logs[2] = { -1, -1 };
	int r = ipc_pair(control);

	if (r == 0)
		r = ipc_pair(logs);
	if (r == 0) {
		c->pid = fork();
		if (c->pid == 0)
			exec_program(c, control[0], logs[0]);
		r = c->pid < 0 ? -errno : 0;
	}
	fd_close(&control[0]);
	fd_close(&logs[0]);
	if (r != 0) {
		c->pid = 0;
		fd_close(&control[1]);
		fd_close(&logs[1]);
		return r;
	}
	c->log_far_fd = logs[1];
	return adopt(c, control[1]);
}

int child_start(struct child *c)
{
	int r;

	c->why[0] = '\0';
	c->restart_wanted = c->told_silent = false;
	c->ready_at_ms = c->ping_at_ms = 0;
	c->moved_at_ms = clock_mono_ms();
	c->instance = master_next_instance(c->m);
	metric_add(METRIC_process_restarts, program_name(c->prog), "", c->started ? 1 : 0);
	c->started = true;
	c->state = CHILD_STARTING;
	r = fork_program(c);
	if (r == 0)
		r = child_send_all(c);
	if (r < 0 && c->why[0] == '\0')
		snprintf(c->why, sizeof(c->why), "it cannot be set up: %s", strerror(-r));
	if (r != 0)
		child_kill(c);
	return r;
}

void child_kill(struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL); /* not yet reaped, so the number is still its */
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	log_ev(LOG_WARNING, "master.killed", kv_s("name", program_name(c->prog)),
	    kv_s("why", "did not stop in time"));
	child_kill(c);
}

void child_stop(struct child *c, unsigned deadline_ms)
{
	struct timeval tv = { deadline_ms / 1000, (deadline_ms % 1000) * 1000 };

	if (c->timer != NULL)
		event_free(c->timer);
	c->timer = NULL;
	if (c->pid == 0) {
		c->state = CHILD_OFF;
		return;
	}
	c->state = CHILD_STOPPING;
	c->moved_at_ms = clock_mono_ms();
	c->timer = event_new(c->m->base, -1, 0, on_deadline, c);
	if (c->timer != NULL)
		event_add(c->timer, &tv);
	if (c->control == NULL ||
	    ipc_send(c->control, IPC_ctl_stop, &(struct ipc_ctl_stop){ deadline_ms }, NULL) != 0)
		child_kill(c);
}

/* A damaged index may have been the cause, or the cause of an index that is damaged now. */
void child_count_crash(struct child *c, int status)
{
	const struct sandbox_restart *rule = &sandbox_rows[c->prog->row].restart;
	int signal = status > 128 ? status - 128 : 0;
	bool lived = c->ready_at_ms != 0 &&
		     clock_mono_ms() - c->ready_at_ms >= (int64_t)rule->good_after_s * 1000;

	if (lived)
		c->crashes = 0;
	if (signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT)
		c->crashes++;
	else
		c->crashes = 0;
}

void child_fini(struct child *c)
{
	ipc_chan_free(&c->control);
	if (c->ev_exit != NULL)
		event_free(c->ev_exit);
	if (c->timer != NULL)
		event_free(c->timer);
	fd_close(&c->pidfd);
	fd_close(&c->log_far_fd);
}
