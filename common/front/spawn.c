/*
 * spawn - processes for connections: one each (isolated), or one for several (dense). The same
 * code serves the connection in both.
 */
#include "common/front/acceptor.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/front/limits.h"
#include "common/sandbox/sandbox.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

/* The acceptor's record of a process that serves several connections. */
struct worker {
	struct worker *next;
	struct acceptor *a;
	struct ipc_chan *chan;
	pid_t pid;
	struct counts *counts;
};

/* ---- in the child --------------------------------------------------------------------------- */

/* What a child is, made in the acceptor's memory before the fork. */
static struct child {
	struct acceptor *a;
	struct event *ev_stop;
	struct ipc_chan *chan;    /* dense: to the acceptor */
	struct front_bundle next; /* dense: what has come of the next connection */
	bool shared, stopping;
} child;

static void child_leave_if_idle(void)
{
	if (child.a->env.conns == NULL && (!child.shared || child.chan == NULL || child.stopping))
		event_base_loopbreak(child.a->env.base);
}

static void on_stop_pipe(evutil_socket_t fd, short what, void *arg)
{
	int n = 0;

	event_del(child.ev_stop);
	if (ioctl(fd, FIONREAD, &n) == 0 && n > 0) {
		child.stopping = true;
		front_env_stop(&child.a->env);
	} else {
		front_env_orphan(&child.a->env);
	}
	child_leave_if_idle();
}

static void on_conn_end(struct front_env *env, uint64_t sid)
{
	if (child.chan != NULL)
		ipc_send(child.chan, IPC_conn_over, &(struct ipc_conn_over){ sid }, NULL);
	child_leave_if_idle();
}

/* After fork: everything of the acceptor's is let go of, then the tighter sandbox. */
static void child_begin(struct acceptor *a, int *keep, size_t n)
{
	keep[n++] = a->stop_pipe[0];
	if (proc_child_init(a->proc, keep, n) != 0)
		_exit(1);
	a->env.base = proc_base(a->proc);
	a->env.on_end = on_conn_end;
	child.a = a;
	child.ev_stop =
	    event_new(a->env.base, a->stop_pipe[0], EV_READ | EV_PERSIST, on_stop_pipe, NULL);
	if (child.ev_stop == NULL || sandbox_child_enter(a->sandbox) != 0)
		_exit(1);
	event_add(child.ev_stop, NULL);
}

static void child_run(void)
{
	event_base_dispatch(child.a->env.base);
	_exit(0);
}

static size_t bundle_fds(const struct front_bundle *b, int *fds)
{
	size_t n = 0;

	fds[n++] = b->client;
	fds[n++] = b->sign;
	fds[n++] = b->log;
	for (int i = 0; i < FRONT_PEERS; i++)
		fds[n++] = b->ends[i];
	return n;
}

enum { KEEP_MAX = 3 + FRONT_PEERS + 3 };

/* ---- isolated ------------------------------------------------------------------------------- */

bool spawn_one(struct acceptor *a, struct front_bundle *take_bundle)
{
	int keep[KEEP_MAX];
	size_t n = bundle_fds(take_bundle, keep);
	pid_t pid = fork();

	if (pid == 0) {
		child_begin(a, keep, n);
		if (!front_conn_start(&a->env, take_bundle))
			_exit(1);
		child_run();
	}
	if (pid < 0)
		return false;
	if (counts_add_tagged(
		a->counts, (uint64_t)pid, &take_bundle->peer, take_bundle->listener) != 0)
		log_ev(LOG_WARNING, "conn.lost", kv_s("why", "not counted"));
	return true;
}

/* ---- dense: the process --------------------------------------------------------------------- */

static void bundle_clear(struct front_bundle *b)
{
	*b = (struct front_bundle){ .client = -1, .sign = -1, .log = -1 };
	for (int i = 0; i < FRONT_PEERS; i++)
		b->ends[i] = -1;
}

static int *end_of(struct front_bundle *b, uint32_t what)
{
	switch (what) {
	case IPC_END_SIGN:
		return &b->sign;
	case IPC_END_LOG:
		return &b->log;
	case IPC_END_AUTH:
		return &b->ends[FRONT_AUTH];
	case IPC_END_RCPT:
		return &b->ends[FRONT_RCPT];
	case IPC_END_POST:
		return &b->ends[FRONT_POST];
	case IPC_END_COUNTS:
		return &b->ends[FRONT_COUNTS];
	default:
		return NULL;
	}
}

static int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static void on_take(const struct ipc_conn_take *m, int *fd)
{
	struct front_bundle b = child.next;

	bundle_clear(&child.next);
	b.client = fd_take(fd);
	b.sid = m->sid;
	b.flags = m->flags;
	if (addr_unpack(m->peer, &b.peer) != 0 || addr_unpack(m->local, &b.local) != 0)
		front_bundle_close(&b);
	else if (front_conn_start(&child.a->env, &b))
		return;
	ipc_send(child.chan, IPC_conn_over, &(struct ipc_conn_over){ m->sid }, NULL);
}

static void on_acceptor_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_conn_end_of) {
		int *slot = end_of(&child.next, m->conn_end_of.what);

		if (slot != NULL)
			*slot = fd_take(&fds[0]);
	} else if (type == IPC_conn_take) {
		on_take(&m->conn_take, &fds[0]);
	}
}

static void on_acceptor_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&child.chan);
	child_leave_if_idle();
}

static void worker_main(struct acceptor *a, int fd)
{
	static const struct ipc_ops ops = { .on_msg = on_acceptor_msg,
		.on_gone = on_acceptor_gone };
	int keep[KEEP_MAX] = { fd };

	child.shared = true;
	bundle_clear(&child.next);
	child_begin(a, keep, 1);
	child.chan = ipc_chan_new(a->env.base, fd, IPC_CH_DENSE, false, &ops, NULL);
	if (child.chan == NULL)
		_exit(1);
	child_run();
}

/* ---- dense: the acceptor -------------------------------------------------------------------- */

static void on_worker_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct worker *w = arg;

	counts_remove(w->counts, m->conn_over.sid);
	acceptor_over(w->a, m->conn_over.sid);
}

static void on_worker_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct worker *w = arg;

	ipc_chan_free(&w->chan); /* no further connection; waitpid tells the rest */
}

static struct worker *worker_new(struct acceptor *a)
{
	static const struct ipc_ops ops = { .on_msg = on_worker_msg, .on_gone = on_worker_gone };
	struct worker *w = calloc(1, sizeof(*w));
	int fds[2] = { -1, -1 };

	if (w == NULL || (w->counts = counts_new()) == NULL || ipc_pair(fds) != 0)
		goto failed;
	w->pid = fork();
	if (w->pid == 0)
		worker_main(a, fds[1]);
	fd_close(&fds[1]);
	if (w->pid < 0)
		goto failed;
	w->a = a;
	w->chan = ipc_chan_new(proc_base(a->proc), fds[0], IPC_CH_DENSE, true, &ops, w);
	w->next = a->workers;
	a->workers = w;
	a->n_workers++;
	return w;
failed:
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	if (w != NULL)
		free(w->counts);
	free(w);
	return NULL;
}

/* The one with the fewest; another one while all are busy and there are processors for it. */
static struct worker *worker_pick(struct acceptor *a)
{
	struct worker *best = NULL;
	unsigned n;

	for (struct worker *w = a->workers; w != NULL; w = w->next)
		if (w->chan != NULL &&
		    (best == NULL || counts_total(w->counts) < counts_total(best->counts)))
			best = w;
	n = best != NULL ? counts_total(best->counts) : 0;
	if (best == NULL || n >= a->per_process ||
	    (n >= FRONT_DENSE_BUSY && (long)a->n_workers < a->cpus))
		best = worker_new(a);
	return best != NULL && best->chan != NULL ? best : NULL;
}

static void worker_give_end(struct worker *w, enum ipc_end what, int *fd)
{
	if (*fd >= 0)
		ipc_send(w->chan, IPC_conn_end_of, &(struct ipc_conn_end_of){ what }, fd);
}

bool spawn_shared(struct acceptor *a, struct front_bundle *take_bundle)
{
	struct front_bundle *b = take_bundle;
	struct buf peer = BUF_INIT(ADDR_PACKED_MAX), local = BUF_INIT(ADDR_PACKED_MAX);
	struct ipc_conn_take m = { .sid = b->sid, .flags = b->flags };
	struct worker *w = worker_pick(a);
	bool ok = w != NULL && counts_add_tagged(a->counts, b->sid, &b->peer, b->listener) == 0;

	if (ok && counts_add(w->counts, b->sid, &b->peer) == 0) {
		for (uint32_t e = IPC_END_SIGN; e < IPC_ENDS; e++)
			worker_give_end(w, (enum ipc_end)e, end_of(b, e));
		addr_pack(&b->peer, &peer);
		addr_pack(&b->local, &local);
		m.peer = buf_slice(&peer);
		m.local = buf_slice(&local);
		ipc_send(w->chan, IPC_conn_take, &m, &b->client);
	}
	buf_fini(&peer);
	buf_fini(&local);
	return ok;
}

static void forget(void *arg, uint64_t sid)
{
	counts_remove(arg, sid);
}

static void worker_lost(struct worker *w)
{
	struct acceptor *a = w->a;
	struct worker **at = &a->workers;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	a->n_workers--;
	counts_each(w->counts, forget, a->counts);
	counts_free(&w->counts);
	ipc_chan_free(&w->chan);
	free(w);
}

/* ---- both ----------------------------------------------------------------------------------- */

bool spawn_reap(struct acceptor *a, pid_t pid)
{
	for (struct worker *w = a->workers; w != NULL; w = w->next) {
		if (w->pid == pid) {
			worker_lost(w);
			return true;
		}
	}
	return counts_remove(a->counts, (uint64_t)pid);
}

static void kill_key(void *arg, uint64_t key)
{
	kill((pid_t)key, SIGKILL);
}

void spawn_kill_all(struct acceptor *a)
{
	for (struct worker *w = a->workers; w != NULL; w = w->next)
		kill(w->pid, SIGKILL);
	if (a->workers == NULL)
		counts_each(a->counts, kill_key, NULL);
}

bool spawn_any(const struct acceptor *a)
{
	return a->workers != NULL || counts_total(a->counts) > 0;
}
