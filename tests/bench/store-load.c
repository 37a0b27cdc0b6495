/*
 * store-load - what stored alone can do: deliveries per second by lock-step connections, and bodies
 * per second to one session, both through real sockets to a process of its own on the LMDB engine.
 *
 *     store-load DIR [seconds] [message bytes] [messages to read] [answers in a hundred] [FILE
 * [compress]]
 *
 * Messages are made of FILE's bytes, again and again, and compressed if the last word is there.
 * Answers refer to the message before and to the first of their connection: what threads cost.
 * GH_STORE_SPEC=3*lmdb in the environment: a store of three shards.
 * DIR is an empty directory on the disk to measure. Nothing of it is part of the test run.
 */
#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/engine/engine.h"
#include "common/ipc/chan.h"
#include "stored/store.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <signal.h>
#include <unistd.h>

enum { CONNS_MAX = 64, ACCOUNTS = 50, LATENCIES_MAX = 1 << 20 };

static void die(const char *why)
{
	fprintf(stderr, "store-load: %s\n", why);
	exit(1);
}

/* ---- the store's process ---- */

static void serve(int dir, const int fds[3])
{
	static const enum ipc_ch kinds[3] = { IPC_CH_AUTH_STORE, IPC_CH_ROUTE_STORE,
		IPC_CH_ATTACH_POST };
	struct store_conf conf = { .base = event_base_new() };
	const char *spec = getenv("GH_STORE_SPEC");
	struct store *st;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (engine_open(spec != NULL ? spec : "lmdb", dir, NULL, &conf.engine) != 0 ||
	    store_new(&conf, &st) != 0)
		die("cannot open the store");
	for (int i = 0; i < 3; i++)
		if (store_attach(st, fds[i], kinds[i], IPC_ROLE_NONE, 0) != 0)
			die("attach");
	event_base_dispatch(conf.base);
	exit(0);
}

/* ---- everybody else ---- */

struct conn {
	struct world *w;
	struct ipc_chan *chan;
	uint32_t tag, handle;
	int64_t start_ns;
};

struct world {
	struct event_base *base;
	struct ipc_chan *authd, *routerd, *acceptor, *session;
	struct conn conns[CONNS_MAX];
	pid_t pid;
	uint32_t seq, mbox, replies; /* replies: in a hundred messages */
	bool compress;
	int answers, fd;
	size_t message_bytes, n_latency;
	int64_t until_ns;
	unsigned running;
	uint64_t done, bytes;
	/* reading */
	uint32_t next_uid, last_uid, in_flight, depth;
	uint64_t consumed;
};

static uint8_t *message;
static uint32_t latency_us[LATENCIES_MAX];

/* Numbers of message ids as a front-end gives them. */
static struct slice thread_of(const struct conn *c, uint8_t *out)
{
	uint64_t first = ((uint64_t)c->handle + 1) << 40;
	bool answer = c->tag % 100 < c->w->replies && c->tag > 1;

	wire_store_u64(out, (first + c->tag) * 0x9e3779b97f4a7c15u);
	wire_store_u64(out + 8, (first + 1) * 0x9e3779b97f4a7c15u);
	wire_store_u64(out + 16, (first + c->tag - 1) * 0x9e3779b97f4a7c15u);
	return slice_of(out, answer ? 24 : 8);
}

static void post_next(struct conn *c)
{
	uint8_t handle[4];
	struct ipc_post_begin b = { ++c->tag, c->w->message_bytes, slice_of(handle, 4) };
	struct ipc_post_data d = { c->tag };
	uint8_t thread[8 * IPC_THREAD_NUMBERS];
	struct ipc_post_commit e = { c->tag, SLICE("facts"), thread_of(c, thread) };

	wire_store_u32(handle, c->handle);
	c->start_ns = clock_mono_ns();
	(void)ipc_send(c->chan, IPC_post_begin, &b, NULL);
	for (size_t at = 0; at < c->w->message_bytes; at += d.data.n) {
		d.data = slice_part(slice_of(message, c->w->message_bytes), at, 61440);
		(void)ipc_send(c->chan, IPC_post_data, &d, NULL);
	}
	(void)ipc_send(c->chan, IPC_post_commit, &e, NULL);
}

static void on_post(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct conn *k = arg;
	struct world *w = k->w;
	int64_t now = clock_mono_ns();

	if (type != IPC_post_result)
		return;
	if (m->post_result.status != IPC_ST_OK)
		die("a delivery was refused");
	if (w->n_latency < LATENCIES_MAX)
		latency_us[w->n_latency++] = (uint32_t)((now - k->start_ns) / 1000);
	w->done++;
	if (now < w->until_ns)
		post_next(k);
	else if (--w->running == 0)
		event_base_loopbreak(w->base);
}

static void body_ask(struct world *w)
{
	struct ipc_body_get q = { ++w->seq, w->mbox, w->next_uid++, 0, 0 };

	w->in_flight++;
	(void)ipc_send(w->session, IPC_body_get, &q, NULL);
}

static void on_session(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct world *w = arg;

	if (type == IPC_mbox_opened) {
		w->mbox = m->mbox_opened.mbox;
		w->last_uid = m->mbox_opened.uidnext - 1;
		event_base_loopbreak(w->base);
	}
	if (type != IPC_body_data)
		return;
	if (m->body_data.status != IPC_ST_OK)
		die("a body cannot be read");
	w->bytes += m->body_data.data.n;
	w->consumed += m->body_data.data.n;
	if (w->consumed >= IPC_WINDOW_BYTES / 4) {
		struct ipc_session_credit credit = { (uint32_t)w->consumed };

		w->consumed = 0;
		(void)ipc_send(w->session, IPC_session_credit, &credit, NULL);
	}
	if (!m->body_data.last)
		return;
	w->done++;
	w->in_flight--;
	while (w->in_flight < w->depth && w->next_uid <= w->last_uid)
		body_ask(w);
	if (w->in_flight == 0)
		event_base_loopbreak(w->base);
}

static void on_daemon(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct world *w = arg;

	if (type == IPC_policy_ask) { /* a question, not an answer */
		struct ipc_policy_is p = { .account = m->policy_ask.account,
			.suspend = 100,
			.undelete_s = 14 * 86400,
			.compress = w->compress };

		(void)ipc_send(c, IPC_policy_is, &p, NULL);
		return;
	}
	if ((type == IPC_account_done && m->account_done.status != IPC_ST_OK) ||
	    (type == IPC_post_target_done && m->post_target_done.status != IPC_ST_OK) ||
	    type == IPC_session_failed)
		die("refused");
	if (type == IPC_session_opened) {
		w->fd = fds[0];
		fds[0] = -1;
	}
	if (--w->answers == 0)
		event_base_loopbreak(w->base);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	die("stored is gone");
}

static const struct ipc_ops daemon_ops = { on_daemon, on_gone, NULL };
static const struct ipc_ops post_ops = { on_post, on_gone, NULL };
static const struct ipc_ops session_ops = { on_session, on_gone, NULL };

static void answers_wait(struct world *w, int n)
{
	w->answers = n;
	event_base_dispatch(w->base);
}

static double cpu_s(pid_t pid)
{
	char path[64], text[512];
	unsigned long user = 0, sys = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f == NULL || fgets(text, sizeof(text), f) == NULL)
		die("no /proc");
	fclose(f);
	if (sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&user, &sys) != 2)
		die("/proc format");
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void conn_init(struct world *w, unsigned i)
{
	struct conn *c = &w->conns[i];
	struct ipc_post_target t = { ++w->seq, 100 + i, 1, i % ACCOUNTS + 1, 0 };
	int fds[2];

	if (ipc_pair(fds) != 0)
		die("socketpair");
	c->w = w;
	c->handle = 1;
	c->chan = ipc_chan_new(w->base, fds[0], IPC_CH_POST, false, &post_ops, c);
	(void)ipc_send(w->acceptor, IPC_post_attach, &(struct ipc_post_attach){ 100 + i }, &fds[1]);
	(void)ipc_send(w->routerd, IPC_post_target, &t, NULL);
	answers_wait(w, 1);
}

static void measure_posts(struct world *w, unsigned n, double seconds)
{
	int64_t start = clock_mono_ns();
	double cpu = cpu_s(w->pid), took;

	w->until_ns = start + (int64_t)(seconds * 1e9);
	w->running = n;
	w->done = w->n_latency = 0;
	for (unsigned i = 0; i < n; i++)
		post_next(&w->conns[i]);
	event_base_dispatch(w->base);
	took = (double)(clock_mono_ns() - start) / 1e9;
	cpu = cpu_s(w->pid) - cpu;
	qsort(latency_us, w->n_latency, sizeof(latency_us[0]), by_value);
	printf("| deliver | %u | %.0f | %.2f | %.2f | %.1f |\n", n, (double)w->done / took,
	    latency_us[w->n_latency / 2] / 1e3, latency_us[w->n_latency * 99 / 100] / 1e3,
	    cpu * 1e6 / (double)w->done);
	fflush(stdout);
}

static void measure_reads(struct world *w, const char *name, unsigned depth, uint32_t count)
{
	int64_t start = clock_mono_ns();
	double cpu = cpu_s(w->pid), took;

	w->done = w->bytes = 0;
	w->depth = depth;
	w->next_uid = 1;
	if (w->last_uid > count)
		w->last_uid = count;
	while (w->in_flight < depth && w->next_uid <= w->last_uid)
		body_ask(w);
	event_base_dispatch(w->base);
	took = (double)(clock_mono_ns() - start) / 1e9;
	cpu = cpu_s(w->pid) - cpu;
	printf("| %s | %u | %.0f | %.2f | - | %.1f |\n", name, depth, (double)w->done / took,
	    took * 1e3 / (double)w->done, cpu * 1e6 / (double)w->done);
	fflush(stdout);
}

static void measure_making(struct world *w, uint32_t n)
{
	int64_t start = clock_mono_ns();
	double cpu = cpu_s(w->pid), took;

	for (uint32_t i = 0; i < n; i++)
		(void)ipc_send(w->routerd, IPC_account_make,
		    &(struct ipc_account_make){ ++w->seq, 1000 + i }, NULL);
	answers_wait(w, (int)n);
	took = (double)(clock_mono_ns() - start) / 1e9;
	cpu = cpu_s(w->pid) - cpu;
	printf("| make accounts | %u | %.0f | %.2f | - | %.1f |\n", n, n / took, took * 1e3 / n,
	    cpu * 1e6 / n);
	fflush(stdout);
}

static void session_start(struct world *w)
{
	struct ipc_session_open q = { ++w->seq, 7, 1, SLICE("u1@example.test"), SLICE("pop3"),
		SLICE_NONE };

	(void)ipc_send(w->authd, IPC_session_open, &q, NULL);
	answers_wait(w, 1);
	w->session = ipc_chan_new(w->base, w->fd, IPC_CH_SESSION, false, &session_ops, w);
	(void)ipc_send(w->session, IPC_mbox_open,
	    &(struct ipc_mbox_open){ ++w->seq, SLICE("INBOX"), IPC_MBOX_READONLY }, NULL);
	event_base_dispatch(w->base);
}

static double pss_kib(pid_t pid)
{
	char path[64], text[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	if (f == NULL)
		die("no smaps_rollup");
	while (fgets(text, sizeof(text), f) != NULL)
		if (sscanf(text, "Pss: %lu kB", &kib) == 1)
			break;
	fclose(f);
	return (double)kib;
}

/* Sessions of as many accounts, each with its INBOX open, that do nothing. */
static double measure_idle(struct world *w, uint32_t n)
{
	double before = pss_kib(w->pid);

	for (uint32_t i = 0; i < n; i++) {
		struct ipc_session_open q = { ++w->seq, 10000 + i, 1000 + i,
			SLICE("user@example.test"), SLICE("pop3"), SLICE_NONE };

		(void)ipc_send(w->authd, IPC_session_open, &q, NULL);
		answers_wait(w, 1);
		w->session = ipc_chan_new(w->base, w->fd, IPC_CH_SESSION, false, &session_ops, w);
		(void)ipc_send(w->session, IPC_mbox_open,
		    &(struct ipc_mbox_open){ ++w->seq, SLICE("INBOX"), 0 }, NULL);
		event_base_dispatch(w->base);
	}
	return (pss_kib(w->pid) - before) / n;
}

static void fill_inbox(struct world *w, uint32_t count)
{
	w->running = 1;
	w->until_ns = INT64_MAX;
	w->done = 0;
	post_next(&w->conns[0]);
	while (w->done < count)
		event_base_loop(w->base, EVLOOP_ONCE);
	w->until_ns = 0;
	event_base_dispatch(w->base);
}

static void message_make(size_t n, const char *path)
{
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	size_t got = 0;

	message = malloc(n);
	if (message == NULL || (path != NULL && f == NULL))
		die("no message");
	if (f != NULL) {
		got = fread(message, 1, n, f);
		fclose(f);
	}
	for (size_t i = got; i < n; i++)
		message[i] =
		    got > 0 ? message[i - got] : (uint8_t)(i % 72 == 71 ? '\n' : 'a' + i % 23);
}

int main(int argc, char **argv)
{
	static const unsigned conns[] = { 1, 10, 50 };
	double seconds = argc > 2 ? atof(argv[2]) : 3;
	uint32_t to_read = argc > 4 ? (uint32_t)atoi(argv[4]) : 10000;
	struct world w = { .message_bytes = argc > 3 ? (size_t)atol(argv[3]) : 6144,
		.replies = argc > 5 ? (uint32_t)atoi(argv[5]) : 0,
		.compress = argc > 7 };
	int pairs[3][2], far[3], dir;
	double pss, idle;

	if (argc < 2 || w.message_bytes < 1 || w.message_bytes > 200000)
		die("DIR [seconds] [message bytes] [messages to read]");
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die("cannot open DIR");
	message_make(w.message_bytes, argc > 6 ? argv[6] : NULL);
	for (int i = 0; i < 3; i++) {
		if (ipc_pair(pairs[i]) != 0)
			die("socketpair");
		far[i] = pairs[i][1];
	}
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 20000, 20000 });
	w.pid = fork();
	if (w.pid == 0) {
		for (int i = 0; i < 3; i++)
			close(pairs[i][0]);
		serve(dir, far);
	}
	for (int i = 0; i < 3; i++)
		close(far[i]);
	w.base = event_base_new();
	w.authd = ipc_chan_new(w.base, pairs[0][0], IPC_CH_AUTH_STORE, false, &daemon_ops, &w);
	w.routerd = ipc_chan_new(w.base, pairs[1][0], IPC_CH_ROUTE_STORE, false, &daemon_ops, &w);
	w.acceptor = ipc_chan_new(w.base, pairs[2][0], IPC_CH_ATTACH_POST, false, &daemon_ops, &w);
	for (unsigned i = 1; i <= ACCOUNTS; i++)
		(void)ipc_send(
		    w.routerd, IPC_account_make, &(struct ipc_account_make){ ++w.seq, i }, NULL);
	answers_wait(&w, ACCOUNTS);
	for (unsigned i = 0; i < 50; i++)
		conn_init(&w, i);
	pss = pss_kib(w.pid);
	printf("%zu bytes a message\n\n", w.message_bytes);
	printf("| what | connections or depth | per second | p50 ms | p99 ms | stored's CPU us "
	       "each |\n"
	       "|---|---|---|---|---|---|\n");
	measure_making(&w, 15000);
	pss = (pss_kib(w.pid) - pss) / 15000;
	idle = measure_idle(&w, 5000);
	for (size_t i = 0; i < sizeof(conns) / sizeof(conns[0]); i++)
		measure_posts(&w, conns[i], seconds);
	fill_inbox(&w, to_read);
	session_start(&w);
	measure_reads(&w, "read, first time", 50, to_read);
	measure_reads(&w, "read", 1, to_read);
	measure_reads(&w, "read", 50, to_read);
	printf("\n%.2f KiB of stored's memory for an account, %.2f for an idle session with INBOX "
	       "open\n",
	    pss, idle);
	kill(w.pid, SIGTERM);
	waitpid(w.pid, NULL, 0);
	return 0;
}
