/*
 * spike-tls - what the signer and one process per connection cost.
 *
 *   spike-tls rate --dir DIR [--key local|signer] [--per 0|1|N] [--tls 1.2|1.3]
 *                  [--clients N] [--seconds S]
 *   spike-tls hold --dir DIR [--key local|signer] [--per 1|N] [--tls 1.2|1.3] [--conns N]
 *
 * DIR holds cert.pem and key.pem (scripts/lib/demo-ca). --per is connections per process: 0 serves
 * all in one process, 1 forks for each, N forks a process for N. "rate" makes full handshakes for S
 * seconds; "hold" opens N connections, leaves them idle and counts memory. Server and clients share
 * the machine, so figures compare with each other only.
 */
#include "authd/signer/signer_keys.h"
#include "authd/signer/signer_serve.h"
#include "common/ipc/chan.h"
#include "common/tls/remote.h"
#include "common/tls/tls-private.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#define MAX_PIDS 8192

static struct {
	const char *dir;
	bool hold, local;
	int per, tls, clients, seconds, conns;
} opt = { .per = 1, .tls = TLS1_3_VERSION, .clients = 1, .seconds = 2, .conns = 300 };

static struct shared {
	_Atomic long handshakes, failures, n_pids, held;
	_Atomic double server_cpu, signer_cpu;
	_Atomic int pids[MAX_PIDS];
} * shared;

static int listen_fd, listen_port, signer_control = -1;
static struct tls_ctx *ctx;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

static double cpu_of(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_in_dir(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", opt.dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0, path);
	return fd;
}

/* ---- signer ---- */

/* The acceptor's end of its channel to the signer. */
static struct ipc_chan *attach;

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static void attach_open(void)
{
	static const struct ipc_ops ops = { .on_gone = on_gone };

	if (signer_control < 0)
		return;
	attach = ipc_chan_new(NULL, signer_control, IPC_CH_ATTACH_SIGN, false, &ops, NULL);
	must(attach != NULL &&
		 ipc_chan_hello(attach, IPC_ROLE_POP3, 1, IPC_ROLE_SIGNER, IPC_IN_RUN) == 0,
	    "hello");
}

static void signer_run(int take_fd)
{
	struct event_base *loop = event_base_new();
	struct signer_serve *serve;
	struct signer_keys *keys;
	uint8_t ref[TLS_KEY_REF_BYTES];
	bool locked;

	must(signer_heap_init(1, &locked) == 0 && signer_keys_new(&keys) == 0 &&
		 signer_keys_add_fd(keys, open_in_dir("key.pem"), ref) == 0 &&
		 signer_serve_new(loop, keys, &serve) == 0 &&
		 signer_serve_attach(serve, take_fd, IPC_ROLE_POP3, 0, 1) == 0,
	    "signer");
	while (signer_serve_count(serve) > 0)
		event_base_loop(loop, EVLOOP_ONCE);
	shared->signer_cpu = cpu_of(RUSAGE_SELF);
}

/* The signer reads its keys after this fork: nobody else ever has them. */
static pid_t signer_start(void)
{
	int pair[2];
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	pid = fork();
	if (pid == 0) {
		close(pair[1]);
		close(listen_fd);
		signer_run(pair[0]);
		_exit(0);
	}
	close(pair[0]);
	signer_control = pair[1];
	return pid;
}

static int signer_channel(void)
{
	struct ipc_sign_attach msg = { .sid = 1ull << 32 | 1 };
	int pair[2];

	if (attach == NULL)
		return -1;
	must(ipc_pair(pair) == 0 && tls_remote_prepare(pair[1]) == 0 &&
		 ipc_send(attach, IPC_sign_attach, &msg, &pair[0]) == 0,
	    "channel");
	return pair[1];
}

/* ---- server ---- */

static void ctx_make(void)
{
	static uint8_t pem[TLS_PEM_BYTES];
	ssize_t n = read(open_in_dir("cert.pem"), pem, sizeof(pem));
	size_t cert;
	int channel;

	must(n > 0 && tls_ctx_new(&ctx) == 0 &&
		 tls_ctx_add_cert(ctx, (struct slice){ pem, (size_t)n }, &cert) == 0,
	    "certificate");
	if (opt.local) {
		FILE *f = fdopen(open_in_dir("key.pem"), "r");

		EVP_PKEY_free(ctx->certs[0].key);
		ctx->certs[0].key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		must(ctx->certs[0].key != NULL, "key.pem");
		fclose(f);
	}
	channel = signer_channel();
	must(tls_ctx_try(ctx, channel, 1, &cert) == 0, "trial handshake");
	if (channel >= 0)
		close(channel);
}

struct served {
	struct tls_conn *tls;
	int fd, channel;
	bool ready;
};

static void served_close(struct served *s)
{
	tls_conn_free(&s->tls);
	close(s->fd);
	if (s->channel >= 0)
		close(s->channel);
	free(s);
}

static struct served *served_open(int fd)
{
	struct served *s = calloc(1, sizeof(*s));
	int on = 1;

	must(s != NULL, "calloc");
	s->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->channel = signer_channel();
	must(tls_conn_new(ctx, fd, s->channel, &s->tls) == 0, "tls_conn_new");
	return s;
}

/* Handshake, then echo. False when the connection is over. */
static bool served_step(struct served *s)
{
	char p[64];
	size_t n, done;
	enum tls_answer a;

	if (!s->ready) {
		a = tls_conn_handshake(s->tls);
		if (a != TLS_DONE)
			return a == TLS_WANT_READ || a == TLS_WANT_WRITE;
		s->ready = true;
	}
	while ((a = tls_conn_read(s->tls, p, sizeof(p), &n)) == TLS_DONE) {
		if (tls_conn_write(s->tls, (struct slice){ (uint8_t *)p, n }, &done) != TLS_DONE)
			return false;
	}
	return a == TLS_WANT_READ;
}

static volatile sig_atomic_t stop;

static void register_pid(void)
{
	long at = shared->n_pids++;

	if (at < MAX_PIDS)
		shared->pids[at] = getpid();
}

static int accept_one(void)
{
	return accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Accepts LIMIT connections (0: no limit), tells it by closing FULL_FD, serves them to their end.
 */
static void serve_many(int limit, int full_fd)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), taken = 0, open_now = 0;
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	epoll_ctl(ep, EPOLL_CTL_ADD, listen_fd, &ev);
	while (limit == 0 ? !stop : taken < limit || open_now > 0) {
		int n = epoll_wait(ep, &ev, 1, limit == 0 ? 100 : -1), fd;

		if (n < 0)
			return;
		if (n == 1 && ev.data.ptr != NULL) {
			if (!served_step(ev.data.ptr)) {
				served_close(ev.data.ptr);
				open_now--;
			}
		} else if (n == 1 && (fd = accept_one()) >= 0) {
			struct epoll_event conn = { .events = EPOLLIN };

			conn.data.ptr = served_open(fd);
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &conn);
			open_now++;
			if (++taken == limit) {
				epoll_ctl(ep, EPOLL_CTL_DEL, listen_fd, NULL);
				close(full_fd);
			}
		}
	}
}

static void serve_one(struct served *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	while (served_step(s) && poll(&p, 1, -1) > 0)
		;
	served_close(s);
}

static void on_term(int sig)
{
	stop = 1;
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void accept_and_fork(void)
{
	while (!stop) {
		int full[2], fd = opt.per == 1 ? accept_one() : -1;
		struct served *s = NULL;
		char c;

		if (opt.per == 1) {
			if (fd < 0) {
				struct pollfd p = { .fd = listen_fd, .events = POLLIN };

				poll(&p, 1, 100);
				reap();
				continue;
			}
			s = served_open(fd);
		}
		must(pipe2(full, O_CLOEXEC) == 0, "pipe");
		if (fork() == 0) {
			signal(SIGTERM, SIG_DFL);
			close(full[0]);
			tls_ctx_after_fork();
			register_pid();
			if (s != NULL)
				serve_one(s);
			else
				serve_many(opt.per, full[1]);
			_exit(0);
		}
		close(full[1]);
		if (s != NULL)
			served_close(s);
		else if (read(full[0], &c, 1) < 0 && stop)
			kill(shared->pids[shared->n_pids - 1], SIGTERM);
		close(full[0]);
		reap();
	}
	while (wait(NULL) > 0)
		;
}

static pid_t server_start(void)
{
	pid_t pid = fork();
	struct sigaction sa = { .sa_handler = on_term };

	if (pid != 0)
		return pid;
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
	attach_open();
	ctx_make();
	register_pid();
	if (opt.per == 0)
		serve_many(0, -1);
	else
		accept_and_fork();
	shared->server_cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN);
	_exit(0);
}

/* ---- client ---- */

static SSL_CTX *client_ctx(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	must(c != NULL, "SSL_CTX_new");
	SSL_CTX_set_min_proto_version(c, opt.tls);
	SSL_CTX_set_max_proto_version(c, opt.tls);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	return c;
}

static SSL *client_connect(SSL_CTX *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(listen_port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl;
	char p = 'x';
	int on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	ssl = SSL_new(c);
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, "localhost");
	if (SSL_connect(ssl) == 1 && SSL_write(ssl, &p, 1) == 1 && SSL_read(ssl, &p, 1) == 1)
		shared->handshakes++;
	else
		shared->failures++;
	return ssl;
}

static void client_close(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);
	struct linger hard = { 1, 0 }; /* leave no TIME_WAIT behind */

	SSL_free(ssl);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static void client_rate(double until)
{
	SSL_CTX *c = client_ctx();

	while (now_s() < until)
		client_close(client_connect(c));
}

/* ---- memory ---- */

static long field_of(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtol(line + strlen(name), NULL, 10);
	}
	if (f != NULL)
		fclose(f);
	return kib;
}

static pid_t signer_pid = -1;
static long signer_dirty; /* KiB of the signer before the connections */

static void report_memory(long available_before)
{
	long pss = 0, dirty = 0, pte = 0, n = shared->n_pids - 1;
	long dropped = available_before - field_of("/proc/meminfo", "MemAvailable:");
	char path[64];

	for (long i = 1; i <= n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", shared->pids[i]);
		pss += field_of(path, "Pss:");
		dirty += field_of(path, "Private_Dirty:");
		snprintf(path, sizeof(path), "/proc/%d/status", shared->pids[i]);
		pte += field_of(path, "VmPTE:");
	}
	if (opt.per == 0) { /* one process: what it has, less nothing */
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", shared->pids[0]);
		pss = field_of(path, "Pss:");
		dirty = field_of(path, "Private_Dirty:");
	}
	if (signer_pid > 0) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)signer_pid);
		printf("signer, per connection KiB: Private_Dirty %.1f\n",
		    (double)(field_of(path, "Private_Dirty:") - signer_dirty) / opt.conns);
	}
	printf("processes %ld  per connection KiB: PSS %.1f  Private_Dirty %.1f  page tables %.1f  "
	       "MemAvailable %.1f\n",
	    n, (double)pss / opt.conns, (double)dirty / opt.conns, (double)pte / opt.conns,
	    (double)dropped / opt.conns);
}

static void run_hold(void)
{
	pid_t client;
	SSL **held = calloc((size_t)opt.conns, sizeof(SSL *));
	SSL_CTX *c;
	long before;
	int done[2], go[2];
	char p;

	must(pipe(done) == 0 && pipe(go) == 0, "pipe");
	client = fork();
	if (client == 0) {
		c = client_ctx();
		client_close(client_connect(c));
		must(write(done[1], "r", 1) == 1 && read(go[0], &p, 1) == 1, "pipe");
		for (int i = 0; i < opt.conns; i++)
			held[i] = client_connect(c);
		must(write(done[1], "r", 1) == 1 && read(go[0], &p, 1) == 1, "pipe");
		_exit(0);
	}
	must(read(done[0], &p, 1) == 1, "client");
	usleep(300000);
	shared->n_pids = opt.per > 1 ? shared->n_pids : 1;
	if (signer_pid > 0) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)signer_pid);
		signer_dirty = field_of(path, "Private_Dirty:");
	}
	before = field_of("/proc/meminfo", "MemAvailable:");
	must(write(go[1], "g", 1) == 1 && read(done[0], &p, 1) == 1, "client");
	usleep(300000);
	report_memory(before);
	must(write(go[1], "g", 1) == 1, "client");
	waitpid(client, NULL, 0);
	free(held);
}

static void run_rate(void)
{
	double start = now_s(), until = start + opt.seconds;
	pid_t pids[64];

	for (int i = 0; i < opt.clients; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			client_rate(until);
			_exit(0);
		}
	}
	for (int i = 0; i < opt.clients; i++)
		waitpid(pids[i], NULL, 0);
	printf("handshakes/s %.0f  failures %ld", (double)shared->handshakes / (now_s() - start),
	    shared->failures);
}

static void listen_make(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(listen_fd >= 0 && bind(listen_fd, (struct sockaddr *)&at, n) == 0 &&
		 listen(listen_fd, 1024) == 0 &&
		 getsockname(listen_fd, (struct sockaddr *)&at, &n) == 0,
	    "listen");
	listen_port = ntohs(at.sin_port);
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "dir", 1, 0, 'd' },
		{ "key", 1, 0, 'k' },
		{ "per", 1, 0, 'p' },
		{ "tls", 1, 0, 't' },
		{ "clients", 1, 0, 'c' },
		{ "seconds", 1, 0, 's' },
		{ "conns", 1, 0, 'n' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			opt.dir = optarg;
			break;
		case 'k':
			opt.local = strcmp(optarg, "local") == 0;
			break;
		case 'p':
			opt.per = atoi(optarg);
			break;
		case 't':
			opt.tls = strcmp(optarg, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
			break;
		case 'c':
			opt.clients = atoi(optarg);
			break;
		case 's':
			opt.seconds = atoi(optarg);
			break;
		case 'n':
			opt.conns = atoi(optarg);
			break;
		default:
			exit(2);
		}
	}
	opt.hold = optind < argc && strcmp(argv[optind], "hold") == 0;
	if (opt.dir == NULL || optind >= argc || opt.clients > 64) {
		fprintf(stderr, "usage: spike-tls rate|hold --dir DIR ... (see the source)\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	pid_t server;

	options(argc, argv);
	setrlimit(RLIMIT_NOFILE, &files);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED, "mmap");
	listen_make();
	if (!opt.local)
		signer_pid = signer_start();
	server = server_start();
	if (signer_control >= 0)
		close(signer_control);
	while (shared->n_pids == 0)
		usleep(1000);
	if (opt.hold)
		run_hold();
	else
		run_rate();
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	if (signer_pid > 0)
		waitpid(signer_pid, NULL, 0);
	if (!opt.hold)
		printf("  CPU us per handshake: server %.0f signer %.0f\n",
		    shared->server_cpu * 1e6 / (double)shared->handshakes,
		    shared->signer_cpu * 1e6 / (double)shared->handshakes);
	return 0;
}
