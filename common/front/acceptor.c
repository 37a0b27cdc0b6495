/*
 * acceptor - listening sockets, limits, the channels of each new connection, and the end.
 */
#include "common/front/channels.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/front/figures.h"
#include "common/front/limits.h"
#include "common/sandbox/sandbox.h"
#include "common/tls/remote.h"
#include "common/tls/tls_ctx.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- accepting ------------------------------------------------------------------------------ */

void acceptor_turn_away(struct acceptor *a, int fd, uint32_t listen_flags, const struct addr *peer,
    const char *reply, const char *why)
{
	char ip[ADDR_TEXT_MAX];

	log_ev(LOG_NOTICE, "conn.limit", kv_s("peer", addr_ip_text(peer, ip)), kv_s("why", why));
	if ((listen_flags & IPC_LISTEN_TLS) == 0 &&
	    send(fd, reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_ev(LOG_DEBUG, "conn.lost", kv_s("why", "refusal"));
	fd_close(&fd);
}

/* NULL, or why the client is turned away. */
static const char *refusal(struct acceptor *a, const struct listener *l, const struct addr *peer)
{
	bool remote = peer->family != 1;

	if (remote && l->l->clients[0] != '\0' && !conf_nets_hold(slice_str(l->l->clients), peer))
		return FRONT_NOT_LISTED;
	if (counts_total(a->counts) >= a->max)
		return FRONT_ALL_IN_USE;
	if (remote && a->max_per_address > 0 && counts_of(a->counts, peer) >= a->max_per_address)
		return FRONT_TOO_MANY;
	return NULL;
}

void acceptor_serve(
    const struct listener *l, int fd, const struct addr *peer, const struct addr *claimed_local)
{
	struct acceptor *a = l->a;
	const char *why = refusal(a, l, peer);
	struct front_bundle b;
	bool ok;

	if (why != NULL) {
		acceptor_turn_away(a, fd, l->l->flags, peer,
		    strcmp(why, FRONT_NOT_LISTED) == 0 ? a->door->denied : a->door->busy, why);
		figures_refused(l, why);
		return;
	}
	channels_bundle(a, &b, l, fd, peer);
	if (claimed_local != NULL) {
		b.flags |= FRONT_BUNDLE_PROXIED;
		b.local = *claimed_local;
	}
	ok = channels_make(a, &b, l);
	if (ok)
		ok = a->per_process > 1 ? spawn_shared(a, &b) : spawn_one(a, &b);
	if (ok) {
		figures_accepted(a, l);
	} else {
		log_ev(LOG_WARNING, "conn.lost", kv_s("why", "no descriptors or processes left"));
		figures_refused(l, NULL);
	}
	front_bundle_close(&b);
}

static void accepting_set(struct acceptor *a, bool on)
{
	if (a->accepting == on)
		return;
	a->accepting = on;
	for (size_t i = 0; i < a->n_listeners; i++) {
		if (on)
			event_add(a->listeners[i].ev, NULL);
		else
			event_del(a->listeners[i].ev);
	}
}

/* Short of descriptors: the client waits in the queue instead of us turning round at once. */
static void accept_failed(struct acceptor *a, int err)
{
	struct timeval tv = { 0, FRONT_PAUSE_MS * 1000 };

	if (err == EAGAIN || err == ECONNABORTED || err == EINTR || err == EPROTO)
		return;
	log_ev(LOG_WARNING, "conn.lost", kv_s("why", strerror(err)));
	accepting_set(a, false);
	event_add(a->ev_pause, &tv);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	accepting_set(a, !a->stopping && !a->crashed);
}

static void on_connection(evutil_socket_t listen_fd, short what, void *arg)
{
	struct listener *l = arg;

	for (int i = 0; i < FRONT_ACCEPT_TURN && l->a->accepting; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t n = sizeof(ss);
		int fd =
		    accept4(listen_fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct addr peer;

		if (fd < 0) {
			accept_failed(l->a, errno);
			return;
		}
		peer = addr_from_sockaddr((struct sockaddr *)&ss, n);
		if (l->l->local.family == 1)
			peer = (struct addr){ .family = 1 };
		if ((l->l->flags & IPC_LISTEN_PROXY) != 0)
			proxied_begin(l, fd, &peer);
		else
			acceptor_serve(l, fd, &peer, NULL);
	}
}

/* ---- children and the end ------------------------------------------------------------------- */

static void finish_if_empty(struct acceptor *a)
{
	if (a->stopping && !spawn_any(a))
		proc_exit(a->proc, 0);
}

void acceptor_over(struct acceptor *a, uint64_t key)
{
	counts_remove(a->counts, key);
	finish_if_empty(a);
}

/*
 * A process of a connection was killed by a signal. If it crashed, somebody may be guessing at the
 * layout of its memory, which all its siblings share. No further fork of this process: it ends,
 * master starts it anew (after a while, longer each time), and the connections that run go on.
 */
static void child_crashed(struct acceptor *a, pid_t pid, int sig)
{
	if (a->stopping)
		return;
	figures_crashed(a);
	log_ev(LOG_ERR, "conn.crash", kv_i("pid", pid), kv_s("why", strsignal(sig)));
	if (!sandbox_crash_signal(sig))
		return;
	a->crashed = true;
	accepting_set(a, false);
	proc_exit(a->proc, 1);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(fd, &si, sizeof(si)) == sizeof(si))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!spawn_reap(a, pid))
			continue;
		if (WIFSIGNALED(status))
			child_crashed(a, pid, WTERMSIG(status));
	}
	finish_if_empty(a);
}

static void on_kill(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	spawn_kill_all(a);
	proc_exit(a->proc, 0);
}

static void on_stop(struct proc *p, void *arg, unsigned deadline_ms)
{
	struct acceptor *a = arg;
	unsigned ms = deadline_ms > 1000 ? deadline_ms - 500 : deadline_ms / 2;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	accepting_set(a, false);
	a->stopping = true;
	if (write(a->stop_pipe[1], "s", 1) != 1)
		spawn_kill_all(a);
	event_add(a->ev_kill, &tv);
	finish_if_empty(a);
}

/* ---- servers -------------------------------------------------------------------------------- */

/*
 * Takes the free pieces that the start-up left all over the heap and keeps them. A child then
 * allocates from one fresh region, instead of copying a page of ours for each piece it would have
 * used. Costs the acceptor what it had free anyway, once.
 */
static void heap_fill(void)
{
	static struct piece {
		struct piece *next;
	} * kept;
	uint8_t *end;

	malloc_trim(0);
	end = malloc(FRONT_HEAP_PIECE_MAX * 2);
	for (size_t n = FRONT_HEAP_PIECE_MAX; end != NULL && n >= sizeof(struct piece) * 3;
	     n -= 16) {
		struct piece *p;

		while ((p = malloc(n)) != NULL && (uint8_t *)p < end) {
			p->next = kept;
			kept = p;
		}
		free(p);
	}
	free(end);
}

static void start_when_ready(struct acceptor *a)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < a->n_listeners; i++)
		flags |= channels_flags(a, a->listeners[i].l->flags);
	for (enum ipc_end e = IPC_END_SIGN; e < IPC_ENDS; e++)
		if (channels_needed(a, e, flags) && channel_ends[e].role != IPC_ROLE_NONE &&
		    a->attach[e].chan == NULL)
			return;
	heap_fill();
	accepting_set(a, !a->stopping && !a->crashed);
}

/* Connections go on being accepted: what they need of this server is a temporary failure. */
static void on_server_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct attach *at = arg;

	ipc_chan_free(&at->chan);
	if (!at->a->stopping)
		log_ev(LOG_WARNING, "ipc.gone",
		    kv_s("peer", ipc_role_name(channel_ends[at->what].role)));
}

static void on_server_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

/* One handshake per certificate in memory: proves that the signer has the keys, and warms up what
 * every child would do first. */
static void try_tls(struct acceptor *a)
{
	struct ipc_sign_attach m = { .sid = proc_next_sid(a->proc) };
	size_t bad = 0;
	int fds[2], r;

	if (a->env.tls == NULL || a->tls_tried || ipc_pair(fds) != 0)
		return;
	a->tls_tried = true;
	ipc_send(a->attach[IPC_END_SIGN].chan, IPC_sign_attach, &m, &fds[1]);
	r = tls_remote_prepare(fds[0]);
	if (r == 0)
		r = tls_ctx_try(a->env.tls, fds[0], FRONT_TLS_TRY_MAX, &bad);
	if (r != 0)
		log_ev(LOG_ERR, "door.tls", kv_s("name", tls_ctx_cert_name(a->env.tls, bad)),
		    kv_s("why", tls_ctx_answer_text(r)));
	fd_close(&fds[0]);
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	static const struct ipc_ops ops = { .on_msg = on_server_msg, .on_gone = on_server_gone };
	struct acceptor *a = arg;

	for (enum ipc_end e = IPC_END_SIGN; e < IPC_ENDS; e++) {
		if (channel_ends[e].channel != peer->kind)
			continue;
		ipc_chan_free(&a->attach[e].chan);
		a->attach[e] = (struct attach){ .a = a, .what = e };
		a->attach[e].chan = proc_peer_open(p, peer, &ops, &a->attach[e]);
		if (e == IPC_END_SIGN && a->attach[e].chan != NULL)
			try_tls(a);
	}
	start_when_ready(a);
}

/* ---- start and reload ----------------------------------------------------------------------- */

/* A certificate that cannot be used is told and left out; the others serve. */
static void cert_add(struct tls_ctx *ctx, const struct proc_key *key, size_t *n_good)
{
	size_t cert;
	int r = tls_ctx_add_file(ctx, slice_str(key->name), key->fd, &cert);

	if (r != 0)
		log_ev(LOG_ERR, "door.tls", kv_s("name", key->name),
		    kv_s("why", tls_ctx_answer_text(r)));
	else
		++*n_good;
}

static void tls_make(struct acceptor *a)
{
	struct tls_ctx *ctx = NULL;
	struct proc_key *keys;
	size_t n, n_good = 0;

	keys = proc_keys(a->proc, &n);
	if (n == 0 || tls_ctx_new(&ctx) != 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (keys[i].what == IPC_KEY_CHAIN)
			cert_add(ctx, &keys[i], &n_good);
	if (n_good == 0) {
		tls_ctx_free(&ctx);
		return;
	}
	tls_ctx_free(&a->env.tls);
	a->env.tls = ctx;
	a->tls_tried = false;
}

static void configure(struct acceptor *a)
{
	const struct conf *c = proc_conf(a->proc);
	static char host[256];

	snprintf(host, sizeof(host), "%s", conf_get_str(c, CONF_host_name));
	if (host[0] == '\0' && gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "localhost");
	a->env.host = slice_str(host);
	a->per_process = (unsigned)conf_get_u64(c, CONF_connections_per_process);
	a->max = (unsigned)conf_get_u64(c, CONF_connections_max);
	a->max_per_address = conf_receives(CONF_connections_max_per_address, a->door->service)
				 ? (unsigned)conf_get_u64(c, CONF_connections_max_per_address)
				 : 0;
	a->env.log_level = log_level_parse(slice_str(conf_get_str(c, CONF_log_level)));
	a->door->configure(c, a->env.core_conf);
}

static int listeners_make(struct acceptor *a)
{
	size_t n;
	struct proc_listener *l = proc_listeners(a->proc, &n);

	for (size_t i = 0; i < n && i < FRONT_LISTENERS_MAX; i++) {
		struct listener *to = &a->listeners[a->n_listeners];

		if ((l[i].flags & IPC_LISTEN_TLS) != 0 && a->env.tls == NULL) {
			proc_fail(
			    a->proc, "a listener wants TLS and no certificate can be used", 0);
			return -ENOENT;
		}
		fd_nonblock(l[i].fd);
		channels_keep_alive(l[i].fd);
		to->a = a;
		to->l = &l[i];
		to->ev =
		    event_new(proc_base(a->proc), l[i].fd, EV_READ | EV_PERSIST, on_connection, to);
		if (to->ev == NULL)
			return -ENOMEM;
		a->n_listeners++;
	}
	return 0;
}

static int signals_make(struct acceptor *a)
{
	struct event_base *base = proc_base(a->proc);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a->sig_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (a->sig_fd < 0 || pipe2(a->stop_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
		return -errno;
	a->ev_signal = event_new(base, a->sig_fd, EV_READ | EV_PERSIST, on_signal, a);
	a->ev_pause = event_new(base, -1, 0, on_pause_over, a);
	a->ev_kill = event_new(base, -1, 0, on_kill, a);
	if (a->ev_signal == NULL || a->ev_pause == NULL || a->ev_kill == NULL)
		return -ENOMEM;
	return event_add(a->ev_signal, NULL) == 0 ? 0 : -ENOMEM;
}

static int on_warm_up(struct proc *p, void *arg)
{
	struct acceptor *a = arg;
	int r;

	a->proc = p;
	a->env.door = a->door;
	a->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	a->counts = counts_new();
	r = a->counts == NULL ? -ENOMEM : 0;
	configure(a);
	tls_make(a);
	if (r == 0)
		r = signals_make(a);
	if (r == 0)
		r = listeners_make(a);
	if (r == 0)
		r = sandbox_child_prepare(&sandbox_rows[a->door->child_row], &a->sandbox);
	return r;
}

static void on_reload(struct proc *p, void *arg, const struct conf *old)
{
	struct acceptor *a = arg;

	configure(a);
	tls_make(a);
	if (a->attach[IPC_END_SIGN].chan != NULL)
		try_tls(a);
}

int front_main(int argc, char **argv, const struct front_door *door)
{
	static struct acceptor a;
	struct proc_ops ops = { .role = door->role,
		.row = door->row,
		.warm_up = on_warm_up,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_count = figures_count,
		.on_scraped = figures_scraped,
		.on_stop = on_stop };

	a.door = door;
	a.stop_pipe[0] = a.stop_pipe[1] = a.sig_fd = -1;
	return proc_main(argc, argv, &ops, &a);
}
