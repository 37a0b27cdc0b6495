/*
 * child - one process of the suite: started, led, buried.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/conf/limits.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
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

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG) != 0 || si.si_pid == 0)
		return;
	event_free(c->ev_exit);
	c->ev_exit = NULL;
	fd_close(&c->pidfd);
	fd_close(&c->log_far_fd);
	groups_add(c->m, c->pid);
	hear_last_words(c);
	c->pid = 0;
	ipc_chan_free(&c->control);
	master_on_exit(c, si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status);
}

/* Registers the new process: 0 or -errno, then it is killed by the caller. */
static int adopt(struct child *c, int take_control_fd)
{
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0) {
		fd_close(&take_control_fd);
		return -errno;
	}
	fd_cloexec(c->pidfd, true);
	c->control =
	    ipc_chan_new(c->m->base, take_control_fd, IPC_CH_CONTROL, true, &control_ops, c);
	c->ev_exit = event_new(c->m->base, c->pidfd, EV_READ | EV_PERSIST, on_exit_event, c);
	if (c->control == NULL || c->ev_exit == NULL || event_add(c->ev_exit, NULL) != 0)
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

static void send_fd(struct child *c, enum ipc_type type, const void *msg, int take_fd)
{
	if (take_fd >= 0)
		ipc_send(c->control, type, msg, &take_fd);
}

/* An open file description of its own: readers must not move each other's position. */
static int reopen(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again >= 0)
		return again;
	lseek(fd, 0, SEEK_SET);
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void send_keys(struct child *c)
{
	bool signer = c->prog->role == IPC_ROLE_SIGNER;

	for (size_t i = 0; i < c->m->keys.n; i++) {
		const struct key_file *k = &c->m->keys.k[i];
		struct ipc_ctl_key msg = { .name = slice_str(k->name),
			.what = signer ? IPC_KEY_PRIVATE : IPC_KEY_CHAIN };

		send_fd(c, IPC_ctl_key, &msg, reopen(signer ? k->key_fd : k->chain_fd));
	}
}

static bool wants_keys(const struct child *c)
{
	return c->prog->role == IPC_ROLE_SIGNER || program_is_door(c->prog);
}

void child_send_log_file(struct child *c)
{
	const struct conf *conf = &c->m->conf;
	int fd = -1;

	if (conf_is_word(conf, CONF_log_target, "file"))
		fd = open(conf_get_str(conf, CONF_log_file),
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	else
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		log_ev(LOG_ERR, "proc.fail", kv_s("name", "logd"), kv_s("why", "log file"),
		    kv_err("err", errno));
	send_fd(c, IPC_ctl_file, &(struct ipc_ctl_file){ SLICE("log") }, fd);
}

void child_send_conf(struct child *c, bool reload)
{
	struct buf text = BUF_INIT(CONF_SLICE_MAX);

	conf_slice_for(&c->m->conf, program_name(c->prog), &text);
	ipc_send(c->control, IPC_ctl_conf, &(struct ipc_ctl_conf){ buf_slice(&text) }, NULL);
	buf_fini(&text);
	if (wants_keys(c))
		send_keys(c);
	if (c->prog->role == IPC_ROLE_LOGD)
		child_send_log_file(c);
	if (reload)
		ipc_send(c->control, IPC_ctl_reload, &(struct ipc_ctl_reload){}, NULL);
}

static void send_listeners(struct child *c)
{
	for (size_t i = 0; i < c->m->listeners.n; i++) {
		const struct listener *l = &c->m->listeners.l[i];
		struct buf local = BUF_INIT(ADDR_PACKED_MAX);
		struct ipc_ctl_listener msg = { .name = slice_str(l->name),
			.flags = l->flags,
			.clients = slice_str(l->clients),
			.proxies = slice_str(l->proxies) };

		if (l->role != c->prog->role)
			continue;
		addr_pack(&l->addr, &local);
		msg.local = buf_slice(&local);
		send_fd(c, IPC_ctl_listener, &msg, fcntl(l->fd, F_DUPFD_CLOEXEC, 0));
		buf_fini(&local);
	}
}

static int send_dirs(struct child *c)
{
	const char *user = sandbox_rows[c->prog->row].user;
	struct buf why = BUF_INIT(512);
	int fd;

	if (c->m->empty_fd >= 0)
		send_fd(c, IPC_ctl_dir, &(struct ipc_ctl_dir){ SLICE("empty") },
		    fcntl(c->m->empty_fd, F_DUPFD_CLOEXEC, 0));
	if (c->prog->dir == NULL)
		return 0;
	fd = files_data_dir(c->m, c->prog->dir, user, &why);
	if (fd < 0) {
		snprintf(c->why, sizeof(c->why), "%s", buf_cstr(&why));
		c->why[strcspn(c->why, "\n")] = '\0';
	} else {
		send_fd(c, IPC_ctl_dir, &(struct ipc_ctl_dir){ slice_str(c->prog->dir) }, fd);
	}
	buf_fini(&why);
	return fd < 0 ? fd : 0;
}

int child_start(struct child *c)
{
	int r;

	c->why[0] = '\0';
	c->restart_wanted = c->told_silent = false;
	c->ready_at_ms = c->ping_at_ms = 0;
	c->instance = master_next_instance(c->m);
	metric_add(METRIC_process_restarts, program_name(c->prog), "", c->started ? 1 : 0);
	c->started = true;
	c->state = CHILD_STARTING;
	r = fork_program(c);
	if (r == 0)
		r = send_dirs(c);
	if (r != 0) {
		child_kill(c);
		return r;
	}
	child_send_conf(c, false);
	send_listeners(c);
	if (c->prog->role == IPC_ROLE_LOGD)
		master_attach_logs(c);
	else
		master_attach_log(c);
	peers_connect(c);
	ipc_send(c->control, IPC_ctl_go, &(struct ipc_ctl_go){ c->crashes }, NULL);
	return 0;
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
