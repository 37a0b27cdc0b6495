#include "common/proc/proc-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/sandbox/leaks.h"
#include "common/sandbox/title.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int init(struct proc *p)
{
	int r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	log_init(PROC_LOG_FD, true, LOG_INFO);
	p->base = event_base_new();
	if (p->base == NULL)
		return -ENOMEM;
	fd_cloexec(PROC_CONTROL_FD, true);
	fd_cloexec(PROC_LOG_FD, true);
	r = proc_control_open(p);
	return r;
}

static void fini(struct proc *p)
{
	ipc_chan_free(&p->control);
	proc_listeners_fini(p);
	proc_keyring_fini(&p->keys);
	proc_keyring_fini(&p->next_keys);
	for (size_t i = 0; i < p->n_dirs; i++)
		fd_close(&p->dirs[i].fd);
	for (size_t i = 0; i < p->n_peers; i++)
		fd_close(&p->peers[i].fd);
	if (p->have_conf)
		conf_fini(&p->conf);
	if (p->have_next_conf)
		conf_fini(&p->next_conf);
	if (p->orphan_timer != NULL)
		event_free(p->orphan_timer);
}

int proc_main(int argc, char **argv, const struct proc_ops *ops, void *arg)
{
	struct proc p = { .ops = ops, .arg = arg };

	title_init(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", ipc_role_name(ops->role), GH_VERSION);
		return 0;
	}
	if (!is_socket(PROC_CONTROL_FD) || !is_socket(PROC_LOG_FD)) {
		fprintf(
		    stderr, "%s is started by gatehouse, not by hand\n", ipc_role_name(ops->role));
		return 2;
	}
	title_set(ipc_role_name(ops->role));
	if (init(&p) != 0)
		return 1;
	event_base_dispatch(p.base);
	fini(&p);
	/* The base is left to the kernel: peers' channels on it belong to the daemon. */
	return p.status;
}

struct event_base *proc_base(struct proc *p)
{
	return p->base;
}

const struct conf *proc_conf(const struct proc *p)
{
	return &p->conf;
}

uint64_t proc_instance(const struct proc *p)
{
	return p->in_child ? p->instance : ipc_chan_peer_instance(p->control);
}

unsigned proc_crashes(const struct proc *p)
{
	return p->crashes;
}

uint64_t proc_next_sid(struct proc *p)
{
	return proc_instance(p) << 32 | ++p->sid_count;
}

int proc_dir(const struct proc *p, const char *name)
{
	for (size_t i = 0; i < p->n_dirs; i++)
		if (strcmp(p->dirs[i].name, name) == 0)
			return p->dirs[i].fd;
	return -1;
}

struct proc_listener *proc_listeners(struct proc *p, size_t *ret_n)
{
	*ret_n = p->n_listeners;
	return p->listeners;
}

struct proc_key *proc_keys(struct proc *p, size_t *ret_n)
{
	*ret_n = p->keys.n;
	return p->keys.key;
}

struct ipc_chan *proc_peer_open(
    struct proc *p, struct proc_peer *peer, const struct ipc_ops *ops, void *arg)
{
	int fd = peer->fd;
	struct ipc_chan *c;

	peer->fd = -1;
	c = ipc_chan_new(p->base, fd, peer->kind, peer->upper, ops, arg);
	if (c != NULL)
		ipc_chan_expect_instance(c, peer->instance);
	if (c != NULL)
		ipc_chan_hello(c, p->ops->role, proc_instance(p), peer->role, IPC_IN_RUN);
	return c;
}

void proc_fail(struct proc *p, const char *why, int err)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s%s", why, err != 0 ? ": " : "",
	    err != 0 ? strerror(abs(err)) : "");
	log_ev(LOG_ERR, "proc.fail", kv_s("name", ipc_role_name(p->ops->role)), kv_s("why", why),
	    kv_err("err", err));
	if (p->control != NULL)
		ipc_send(
		    p->control, IPC_ctl_failed, &(struct ipc_ctl_failed){ slice_str(text) }, NULL);
}

void proc_progress(struct proc *p)
{
	int64_t now_ms = clock_mono_ms();

	if (p->running || p->control == NULL || now_ms - p->progress_ms < PROC_PROGRESS_MS)
		return;
	p->progress_ms = now_ms;
	ipc_send(p->control, IPC_ctl_progress, &(struct ipc_ctl_progress){}, NULL);
}

void proc_scrape(struct proc *p)
{
	if (p->control != NULL)
		ipc_send(p->control, IPC_ctl_scrape, &(struct ipc_ctl_scrape){}, NULL);
}

void proc_ask_file(struct proc *p, const char *name)
{
	struct ipc_ctl_file_ask m = { .name = slice_str(name) };

	if (p->control != NULL)
		ipc_send(p->control, IPC_ctl_file_ask, &m, NULL);
}

void proc_exit(struct proc *p, int status)
{
	p->status = status;
	event_base_loopbreak(p->base);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Everything from 3 on but the `n` of `keep`, which are sorted. */
static int close_others(const int *keep, size_t n)
{
	unsigned from = 3;

	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if ((unsigned)keep[i] > from && close_range(from, (unsigned)keep[i] - 1, 0) != 0)
			return -errno;
		from = (unsigned)keep[i] + 1;
	}
	return close_range(from, ~0u, 0) == 0 ? 0 : -errno;
}

int proc_child_init(struct proc *p, const int *keep, size_t n)
{
	int sorted[PROC_CHILD_KEEP_MAX], r;

	assert(n <= PROC_CHILD_KEEP_MAX);
	p->instance = proc_instance(p);
	p->in_child = true;
	ipc_child_init();
	memcpy(sorted, keep, n * sizeof(*keep));
	qsort(sorted, n, sizeof(*sorted), compare_fds);
	r = close_others(sorted, n);
	p->control = NULL;
	p->n_listeners = 0;
	p->n_dirs = 0;
	p->keys.n = 0;
	p->next_keys.n = 0;
	p->base = event_base_new();
	return r == 0 && p->base == NULL ? -ENOMEM : r;
}
