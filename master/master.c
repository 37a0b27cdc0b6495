/*
 * master - the life of the suite: start, restarts, reload, orderly stop.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/conf/limits.h"
#include "common/metrics/metrics.h"
#include "common/sandbox/sandbox.h"
#include "master/master-private.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { QUICK_DEATHS_TOLD = 3 }; /* deaths before ready in a row: say that it is configuration */

struct child *master_child(struct master *m, enum ipc_role role)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (m->children[i].prog->role == role)
			return &m->children[i];
	return NULL;
}

/* Never the same twice, not even for the next master on this machine. */
uint64_t master_next_instance(struct master *m)
{
	uint64_t now = (uint64_t)clock_wall_s() & 0xffffffff;

	m->last_instance = now > m->last_instance ? now : m->last_instance + 1;
	return m->last_instance;
}

bool master_wants(const struct master *m, const struct program *prog)
{
	if (prog->role == IPC_ROLE_SOURCE)
		return helper_any(&m->conf);
	return !program_is_door(prog) || listeners_any(&m->listeners, prog->role);
}

/* --- readiness --- */

static void say_ready(struct master *m)
{
	m->ready = true;
	log_ev(LOG_NOTICE, "master.ready", kv_s("version", GH_VERSION), kv_i("pid", getpid()));
	notify_state("READY=1");
	if (m->ready_fd >= 0 && io_write_all(m->ready_fd, SLICE("ready\n")) != 0)
		log_ev(LOG_WARNING, "proc.fail", kv_s("name", "master"), kv_s("why", "ready-fd"),
		    kv_err("err", EPIPE));
	fd_close(&m->ready_fd);
}

void master_on_ready(struct child *c, struct slice missing)
{
	struct master *m = c->m;

	c->ready_at_ms = clock_mono_ms();
	if (c->state == CHILD_STARTING)
		c->state = CHILD_READY;
	log_ev(LOG_INFO, "master.child", kv_s("name", program_name(c->prog)), kv_i("pid", c->pid),
	    kv_u("instance", c->instance), kv_str("missing", missing));
	if (m->ready || m->stopping)
		return;
	for (int i = 0; i < PROGRAMS; i++)
		if (master_wants(m, m->children[i].prog) && m->children[i].state != CHILD_READY)
			return;
	say_ready(m);
}

/* --- orderly stop --- */

static bool stage_over(const struct master *m, enum stop_stage stage)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (m->children[i].prog->stage == stage && m->children[i].pid != 0)
			return false;
	return true;
}

static void stop_stage(struct master *m)
{
	while (m->stage < STOP_STAGES && stage_over(m, m->stage)) {
		if (m->stage == STOP_DOORS) {
			groups_kill(m);
			if (m->n_groups > 0)
				return; /* SIGCHLD brings us back */
		}
		m->stage++;
		for (int i = 0; i < PROGRAMS && m->stage < STOP_STAGES; i++)
			if (m->children[i].prog->stage == m->stage)
				child_stop(&m->children[i], STOP_DEADLINE_MS);
	}
	if (m->stage >= STOP_STAGES)
		event_base_loopbreak(m->base);
}

static void master_stop(struct master *m, const char *why)
{
	if (m->stopping)
		return;
	m->stopping = true;
	log_ev(LOG_NOTICE, "proc.stop", kv_s("name", "master"), kv_s("why", why));
	notify_state("STOPPING=1");
	m->stage = STOP_DOORS;
	for (int i = 0; i < PROGRAMS; i++)
		if (m->children[i].prog->stage == STOP_DOORS ||
		    m->children[i].state == CHILD_WAITING)
			child_stop(&m->children[i], STOP_DEADLINE_MS);
	stop_stage(m);
}

/* --- deaths and restarts --- */

static void on_delay_over(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	if (c->state == CHILD_WAITING)
		master_start_child(c);
}

static void wait_for_restart(struct child *c)
{
	const struct sandbox_restart *rule = &sandbox_rows[c->prog->row].restart;
	struct timeval tv;

	if (c->delay_ms < rule->first_ms)
		c->delay_ms = rule->first_ms;
	tv = (struct timeval){ c->delay_ms / 1000, (c->delay_ms % 1000) * 1000 };
	c->delay_ms = c->delay_ms * 2 < rule->max_ms ? c->delay_ms * 2 : rule->max_ms;
	c->state = CHILD_WAITING;
	if (c->timer != NULL)
		event_free(c->timer);
	c->timer = event_new(c->m->base, -1, 0, on_delay_over, c);
	if (c->timer == NULL || event_add(c->timer, &tv) != 0)
		master_stop(c->m, "memory");
}

void master_start_child(struct child *c)
{
	int r = child_start(c);

	if (r == 0)
		return;
	log_ev(LOG_ERR, "proc.fail", kv_s("name", program_name(c->prog)), kv_s("why", c->why),
	    kv_err("err", r));
	/* With a process: its exit is seen and leads to the restart. */
	if (c->pid == 0)
		wait_for_restart(c);
}

static void describe_exit(const struct child *c, int status, char out[300])
{
	if (c->why[0] != '\0')
		snprintf(out, 300, "%s", c->why);
	else if (status == 127)
		snprintf(
		    out, 300, "there is no program %s/%s", c->m->libexec, program_name(c->prog));
	else if (status > 128)
		snprintf(out, 300, "ended by signal %d", status - 128);
	else
		snprintf(out, 300, "ended with status %d", status);
}

/* Death before ready: at the start of the suite that ends it; later it is told and tried again. */
static void on_early_death(struct child *c, const char *why)
{
	struct master *m = c->m;

	log_ev(LOG_ERR, "master.fault", kv_s("name", program_name(c->prog)), kv_s("why", why));
	c->quick_deaths++;
	if (!m->ready) {
		fprintf(stderr, "gatehouse: %s did not start: %s\n", program_name(c->prog), why);
		m->failed = true;
		master_stop(m, "a process did not start");
		return;
	}
	if (c->quick_deaths == QUICK_DEATHS_TOLD)
		log_ev(LOG_ERR, "master.fault", kv_s("name", program_name(c->prog)),
		    kv_s("why", "it dies before it is ready: look at the configuration"));
	wait_for_restart(c);
}

static void on_death(struct child *c, const char *why)
{
	const struct sandbox_restart *rule = &sandbox_rows[c->prog->row].restart;
	int64_t lived_ms = clock_mono_ms() - c->ready_at_ms;

	c->quick_deaths = 0;
	if (lived_ms >= (int64_t)rule->good_after_s * 1000)
		c->delay_ms = 0;
	log_ev(LOG_WARNING, "master.death", kv_s("name", program_name(c->prog)), kv_s("why", why),
	    kv_i("lived_ms", lived_ms),
	    kv_u("delay_ms", c->delay_ms > rule->first_ms ? c->delay_ms : rule->first_ms));
	wait_for_restart(c);
}

void master_on_exit(struct child *c, int status)
{
	struct master *m = c->m;
	bool was_ready = c->state == CHILD_READY;
	char why[300];

	describe_exit(c, status, why);
	child_count_crash(c, status);
	if (c->prog->role == IPC_ROLE_LOGD)
		master_logs_gone(m);
	if (c->timer != NULL)
		event_free(c->timer);
	c->timer = NULL;
	if (m->stopping) {
		c->state = CHILD_OFF;
		stop_stage(m);
	} else if (c->state == CHILD_STOPPING) {
		c->state = CHILD_OFF;
		if (c->restart_wanted)
			master_start_child(c);
	} else if (was_ready) {
		on_death(c, why);
	} else {
		on_early_death(c, why);
	}
}

/* --- signals --- */

static void on_orphan_end(struct master *m)
{
	for (int i = 0; i < PROGRAMS; i++)
		child_reap(&m->children[i]);
	groups_reap(m);
	if (m->stopping)
		stop_stage(m);
}

static void reopen_log(struct master *m)
{
	struct child *logd = master_child(m, IPC_ROLE_LOGD);

	if (logd->control != NULL)
		child_send_log_file(logd);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP && !m->stopping)
			master_reload(m);
		else if (si.ssi_signo == SIGUSR1)
			reopen_log(m);
		else if (si.ssi_signo == SIGCHLD)
			on_orphan_end(m);
		else if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
			master_stop(m, si.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	}
}

static int start_signals(struct master *m)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signal_fd < 0)
		return -errno;
	m->ev_signal = event_new(m->base, m->signal_fd, EV_READ | EV_PERSIST, on_signal, m);
	if (m->ev_signal == NULL || event_add(m->ev_signal, NULL) != 0)
		return -ENOMEM;
	return watch_start(m);
}

/* --- start --- */

static void start_all(struct master *m)
{
	for (int i = 0; i < PROGRAMS && !m->stopping; i++)
		if (master_wants(m, m->children[i].prog))
			master_start_child(&m->children[i]);
}

/* All that needs more rights than we keep: sockets, directories, keys, the lock. */
static int open_all(struct master *m, struct buf *why)
{
	struct listeners none = { 0 };
	int r = readconf(m->conf_path, m->empty_fd, &m->conf, why);

	if (r == 0)
		r = outside_check(&m->conf, why);
	if (r == 0)
		r = files_pid_open(m, why);
	for (int i = 0; i < PROGRAMS && r == 0; i++) {
		int fd;

		if (programs[i].dir == NULL)
			continue;
		fd = files_data_dir(m, programs[i].dir, sandbox_rows[programs[i].row].user, why);
		r = fd < 0 ? fd : 0;
		fd_close(&fd);
	}
	if (r == 0)
		r = key_files_take(m, &m->conf, &m->keys, why);
	if (r == 0)
		r = listeners_open(&m->conf, &m->sockets, &none, &m->listeners, why);
	return r;
}

static void fini(struct master *m)
{
	for (int i = 0; i < PROGRAMS; i++)
		child_fini(&m->children[i]);
	scrape_fini(m);
	master_logs_gone(m);
	listeners_fini(&m->listeners, NULL);
	passed_fini(&m->sockets);
	key_files_fini(&m->keys);
	if (m->ev_signal != NULL)
		event_free(m->ev_signal);
	if (m->ev_tick != NULL)
		event_free(m->ev_tick);
	fd_close(&m->signal_fd);
	files_pid_close(m);
	event_base_free(m->base);
	conf_fini(&m->conf);
}

int master_run(struct master *m)
{
	struct buf why = BUF_INIT(CONF_ERRORS_BYTES);
	struct sandbox_env env = { .root_fd = -1 };

	m->base = event_base_new();
	m->started_s = clock_wall_s();
	if (m->base == NULL)
		return 1;
	for (int i = 0; i < PROGRAMS; i++)
		m->children[i] =
		    (struct child){ .m = m, .prog = &programs[i], .pidfd = -1, .log_far_fd = -1 };
	if (passed_open(&m->sockets, &why) != 0 || open_all(m, &why) != 0) {
		fprintf(stderr, "%s", why.n > 0 ? buf_cstr(&why) : "gatehouse: out of memory\n");
		m->failed = true;
	}
	buf_fini(&why);
	if (!m->failed && sandbox_enter(&sandbox_rows[PROC_MASTER], &env) != 0)
		m->failed = true;
	if (!m->failed && start_signals(m) == 0) {
		groups_init(m);
		start_all(m);
		event_base_dispatch(m->base);
	}
	fini(m);
	return m->failed ? 1 : 0;
}
