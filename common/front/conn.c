#include "common/front/conn.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/front/limits.h"
#include "common/front/stream.h"
#include "common/ipc/chan.h"
#include "common/tls/tls_ctx.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

struct front_conn {
	struct front_env *env;
	struct front_conn *next, **prev;
	struct front_bundle bundle; /* what is not yet in use */
	struct stream stream;
	struct front_facts facts;
	struct front_port port;
	void *core;
	struct peer {
		struct front_conn *conn;
		struct ipc_chan *chan;
	} peers[FRONT_PEERS];
	int pass_fd; /* came for the client, or -1 */
	struct event *ev_read, *ev_write, *ev_timer, *ev_turn;
	struct buf in;
	size_t in_at;     /* consumed bytes at the front of `in` */
	size_t read_size; /* grows while reads fill it */
	bool in_full;     /* reading stopped because `in` is full */
	bool held;        /* compressed output that the socket has not taken */
	bool eof, dead, orphan;
	bool closing; /* the core is done; the client has a while to read the rest */
	int64_t began_ms, deadline_ms, timer_ms; /* 0: none */
};

static const enum ipc_ch peer_kinds[FRONT_PEERS] = {
	[FRONT_AUTH] = IPC_CH_DIALOGUE,
	[FRONT_SESSION] = IPC_CH_SESSION,
	[FRONT_RCPT] = IPC_CH_RCPT,
	[FRONT_POST] = IPC_CH_POST,
	[FRONT_DIR] = IPC_CH_ADMIN_DIR,
	[FRONT_SECRETS] = IPC_CH_ADMIN_AUTH,
	[FRONT_STORE] = IPC_CH_ADMIN_STORE,
	[FRONT_COUNTS] = IPC_CH_COUNTS,
};

static struct front_conn *of_port(struct front_port *p)
{
	return (struct front_conn *)((char *)p - offsetof(struct front_conn, port));
}

static const struct front_core *core_of(const struct front_conn *c)
{
	return c->env->door->core;
}

void front_bundle_close(struct front_bundle *b)
{
	fd_close(&b->client);
	fd_close(&b->sign);
	fd_close(&b->log);
	for (int i = 0; i < FRONT_PEERS; i++)
		fd_close(&b->ends[i]);
}

/* Lines that follow are this connection's: its own channel to the sink, its session id. */
static void conn_log(const struct front_conn *c)
{
	log_init(c->bundle.log, true, c->env->log_level);
	log_set_sid(c->facts.sid);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void conn_free(struct front_conn *c)
{
	for (int i = 0; i < FRONT_PEERS; i++)
		ipc_chan_free(&c->peers[i].chan);
	if (c->core != NULL)
		core_of(c)->free(c->core);
	if (c->ev_read != NULL)
		event_free(c->ev_read);
	if (c->ev_write != NULL)
		event_free(c->ev_write);
	if (c->ev_timer != NULL)
		event_free(c->ev_timer);
	if (c->ev_turn != NULL)
		event_free(c->ev_turn);
	stream_close(&c->stream);
	front_bundle_close(&c->bundle);
	fd_close(&c->pass_fd);
	buf_fini(&c->in);
	buf_fini(&c->port.out);
	free(c);
}

/* Marks it; the memory goes at the end of the loop's turn, never below a caller of ours. */
static void conn_end(struct front_conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	conn_log(c);
	if (!c->env->door->quiet)
		log_ev(LOG_INFO, "conn.end", kv_s("why", why), kv_u("sent", c->port.written),
		    kv_i("ms", clock_mono_ms() - c->began_ms));
	event_del(c->ev_read);
	event_del(c->ev_write);
	event_del(c->ev_timer);
	event_active(c->ev_turn, 0, 0);
}

static void conn_sweep(struct front_conn *c)
{
	struct front_env *env = c->env;
	uint64_t sid = c->facts.sid;

	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	conn_free(c);
	env->on_end(env, sid);
}

/* ---- the core's requests -------------------------------------------------------------------- */

static void timer_arm(struct front_conn *c, int64_t now_ms)
{
	int64_t in_ms = c->deadline_ms > now_ms ? c->deadline_ms - now_ms : 0;
	struct timeval tv = { in_ms / 1000, in_ms % 1000 * 1000 };

	c->timer_ms = c->deadline_ms;
	event_add(c->ev_timer, &tv);
}

/* Moving a deadline away costs nothing: the timer finds out when it fires. */
static void port_deadline(struct front_port *p, uint32_t ms)
{
	struct front_conn *c = of_port(p);
	int64_t now_ms = clock_mono_ms();

	c->deadline_ms = ms > 0 ? now_ms + ms : 0;
	if (ms > 0 && (c->timer_ms == 0 || c->deadline_ms < c->timer_ms))
		timer_arm(c, now_ms);
}

static int port_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	struct ipc_chan *chan = of_port(p)->peers[to].chan;

	if (chan == NULL)
		return 1;
	if (type == IPC_auth_start || type == IPC_auth_peer)
		ipc_chan_set_state(chan, IPC_IN_DIALOGUE);
	return ipc_send(chan, type, msg, NULL) == 0 ? 0 : 1;
}

static const struct front_port_ops port_ops = { port_send, port_deadline };

/* ---- turns ---------------------------------------------------------------------------------- */

static bool core_start(struct front_conn *c)
{
	c->port.want_tls = c->port.busy = c->closing = false;
	c->port.wall_s = clock_wall_s();
	c->core = core_of(c)->start(&c->port, c->env->core_conf);
	return c->core != NULL;
}

/* Some of the output; the descriptor for the client with the byte that it belongs to. */
static enum stream_answer write_some(struct front_conn *c, size_t *ret_n)
{
	struct front_port *p = &c->port;
	struct slice rest = slice_from(buf_slice(&p->out), p->sent);
	enum stream_answer a;

	if (!p->want_pass)
		return stream_write(&c->stream, rest, ret_n);
	if (p->sent < p->pass_at)
		return stream_write(&c->stream, slice_part(rest, 0, p->pass_at - p->sent), ret_n);
	a = stream_pass(&c->stream, rest, &c->pass_fd, ret_n);
	p->want_pass = a == STREAM_WANT_WRITE;
	return a;
}

/* Writes what there is; what the socket does not take waits for it. False when it is gone. */
static bool flush(struct front_conn *c)
{
	struct front_port *p = &c->port;
	enum stream_answer flushed;

	if (p->out.overflow)
		return false; /* a reply with a hole in it must not go out */
	while (p->sent < p->out.n) {
		size_t n = 0;
		enum stream_answer a = write_some(c, &n);

		if (a == STREAM_LOST || a == STREAM_EOF)
			return false;
		if (a == STREAM_WANT_WRITE)
			event_add(c->ev_write, NULL);
		if (a != STREAM_OK)
			break;
		p->sent += n;
		p->written += n;
	}
	flushed = stream_flush(&c->stream);
	if (flushed == STREAM_LOST || flushed == STREAM_EOF)
		return false;
	c->held = flushed != STREAM_OK;
	if (flushed == STREAM_WANT_WRITE)
		event_add(c->ev_write, NULL);
	if (p->sent == p->out.n) {
		p->sent = 0;
		buf_reset(&p->out);
		if (p->out.cap > FRONT_OUT_KEEP)
			buf_fini(&p->out);
	} else if (p->sent > FRONT_OUT_SHIFT) {
		buf_consume(&p->out, p->sent);
		if (p->want_pass)
			p->pass_at -= p->sent;
		p->sent = 0;
	}
	return true;
}

static void feed(struct front_conn *c)
{
	struct slice in = slice_from(buf_slice(&c->in), c->in_at);

	c->in_at += core_of(c)->feed(c->core, in);
	if (c->in_at == c->in.n) {
		c->in_at = 0;
		buf_reset(&c->in);
	}
}

static void tls_begin(struct front_conn *c);
static void conn_read(struct front_conn *c);

/* RFC 4978 3: the client says nothing between its command and our answer. */
static void deflate_begin(struct front_conn *c)
{
	c->port.want_deflate = false;
	if (c->in.n > 0)
		conn_end(c, "text before compression");
	else if (c->stream.zip != NULL || stream_deflate(&c->stream) != 0)
		conn_end(c, "memory");
}

/* What the core asked for by its flags, once the output is out. */
static void act(struct front_conn *c)
{
	if (front_pending(&c->port) > 0 || c->held) {
		if ((c->port.want_close || c->port.want_tls) && !c->closing) {
			c->closing = true;
			port_deadline(&c->port, FRONT_CLOSE_MS);
		}
		return;
	}
	if (c->port.want_close)
		conn_end(c, "done");
	else if (c->port.want_tls && c->in.n > 0)
		conn_end(
		    c, "text before TLS"); /* RFC 3207 5, RFC 2595 4: nothing is carried over */
	else if (c->port.want_tls)
		tls_begin(c);
	else if (c->port.want_deflate)
		deflate_begin(c);
	else if (c->eof && !c->port.busy)
		conn_end(c, "client closed");
}

static void turn_later(struct front_conn *c)
{
	if (!c->dead && c->core != NULL)
		event_active(c->ev_turn, 0, 0);
}

/* The core goes on until neither input nor room for output moves it. */
static void turn(struct front_conn *c)
{
	uint64_t written;

	c->port.wall_s = clock_wall_s();
	do {
		written = c->port.written;
		feed(c);
		if (!flush(c)) {
			conn_end(c, "client lost");
			return;
		}
	} while (c->port.written != written && !c->port.want_close && !c->port.want_tls);
	act(c);
	if (!c->dead && c->in_full && c->in.n - c->in_at < FRONT_IN_MAX / 2) {
		/* It may read the last bytes that the client sends: nothing else would feed them.
		 */
		conn_read(c);
		turn_later(c);
	}
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct front_conn *c = arg;

	if (c->dead) {
		conn_sweep(c);
		return;
	}
	conn_log(c);
	turn(c);
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static void tls_step(struct front_conn *c)
{
	enum stream_answer a = stream_handshake(&c->stream);

	if (a == STREAM_WANT_WRITE)
		event_add(c->ev_write, NULL);
	if (a == STREAM_WANT_READ || a == STREAM_WANT_WRITE)
		return;
	if (a != STREAM_OK) {
		conn_end(c, "no TLS");
		return;
	}
	fd_close(&c->bundle.sign);
	c->facts.tls = true;
	if (!core_start(c))
		conn_end(c, "memory");
	else
		turn_later(c);
}

/* New random state for the process, once. Not at the fork: it costs 50 KiB of copied pages, which a
 * connection without TLS does not need. */
static void random_renew(void)
{
	static bool renewed;

	if (!renewed)
		tls_ctx_after_fork();
	renewed = true;
}

static void tls_begin(struct front_conn *c)
{
	random_renew();
	if (c->core != NULL) {
		core_of(c)->free(c->core);
		c->core = NULL;
		c->facts.restarted = true;
	}
	port_deadline(&c->port, FRONT_TLS_MS);
	if (c->env->tls == NULL || stream_tls(&c->stream, c->env->tls, c->bundle.sign) != 0)
		conn_end(c, "no TLS");
	else
		tls_step(c);
}

/* ---- the client's socket -------------------------------------------------------------------- */

/* Room for the next read: what was consumed is moved away only when there is no other. */
static uint8_t *in_room(struct front_conn *c, size_t *ret_n)
{
	size_t held;

	if (c->in_at > 0) {
		buf_consume(&c->in, c->in_at);
		c->in_at = 0;
	}
	held = c->in.n;
	*ret_n = FRONT_IN_MAX - held < c->read_size ? FRONT_IN_MAX - held : c->read_size;
	return *ret_n > 0 ? buf_room(&c->in, *ret_n) : NULL;
}

static void in_idle(struct front_conn *c)
{
	if (c->in.n == 0 && c->in.cap > FRONT_READ_FIRST) {
		buf_fini(&c->in);
		c->read_size = FRONT_READ_FIRST;
	}
}

static void conn_read(struct front_conn *c)
{
	enum stream_answer a = STREAM_OK;
	size_t room = 0, n = 0;
	uint8_t *p = NULL;

	c->in_full = false;
	while (a == STREAM_OK && (p = in_room(c, &room)) != NULL) {
		a = stream_read(&c->stream, p, room, &n);
		if (a != STREAM_OK)
			break;
		buf_wrote(&c->in, n);
		if (n == room && c->read_size < FRONT_IN_MAX)
			c->read_size *= 2;
		else if (c->stream.tls == NULL && n < room)
			break; /* the socket is empty: asking again would only say so */
	}
	if (p == NULL) {
		c->in_full = true;
		event_del(c->ev_read);
	} else if (a != STREAM_EOF) {
		event_add(c->ev_read, NULL);
	}
	if (a == STREAM_LOST) {
		conn_end(c, "client lost");
		return;
	}
	if (a == STREAM_WANT_WRITE)
		event_add(c->ev_write, NULL);
	if (a == STREAM_EOF) {
		c->eof = true;
		event_del(c->ev_read);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct front_conn *c = arg;

	conn_log(c);
	if (c->stream.shaking) {
		tls_step(c);
		return;
	}
	conn_read(c);
	if (!c->dead)
		turn(c);
	if (!c->dead)
		in_idle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct front_conn *c = arg;

	conn_log(c);
	if (c->stream.shaking)
		tls_step(c);
	else
		turn(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct front_conn *c = arg;
	int64_t now_ms = clock_mono_ms();

	c->timer_ms = 0;
	if (c->deadline_ms == 0)
		return;
	if (now_ms < c->deadline_ms) {
		timer_arm(c, now_ms);
		return;
	}
	conn_log(c);
	c->deadline_ms = 0;
	if (c->core == NULL || c->closing) {
		conn_end(c, c->closing ? "client does not read" : "no TLS in time");
		return;
	}
	core_of(c)->on_event(c->core, FRONT_TIMEOUT);
	turn(c);
}

/* ---- channels ------------------------------------------------------------------------------- */

static enum front_peer peer_index(const struct peer *p)
{
	return (enum front_peer)(p - p->conn->peers);
}

static bool peer_open(struct front_conn *c, enum front_peer which, int *take_fd);

/* A grant brings channels of its own: true when all of them are open. */
static bool grant_open(struct front_conn *c, enum ipc_type type, int *fds)
{
	if (type == IPC_auth_granted)
		return peer_open(c, FRONT_SESSION, &fds[0]);
	if (type == IPC_auth_admin)
		return peer_open(c, FRONT_DIR, &fds[0]) && peer_open(c, FRONT_SECRETS, &fds[1]) &&
		       peer_open(c, FRONT_STORE, &fds[2]);
	return true;
}

static void on_peer_msg(
    void *arg, struct ipc_chan *chan, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct peer *p = arg;
	struct front_conn *c = p->conn;

	if (c->dead || c->core == NULL)
		return;
	conn_log(c);
	if (type == IPC_auth_refused)
		ipc_chan_set_state(chan, IPC_IN_IDLE);
	if (!grant_open(c, type, fds)) {
		conn_end(c, "memory");
		return;
	}
	if (type == IPC_sess_opened) {
		fd_close(&c->pass_fd);
		c->pass_fd = fds[0];
		fds[0] = -1;
	}
	c->port.wall_s = clock_wall_s();
	core_of(c)->on_msg(c->core, peer_index(p), type, m);
	if (type == IPC_auth_granted || type == IPC_auth_post || type == IPC_auth_admin)
		ipc_chan_free(&p->chan); /* one grant is all there is */
	turn_later(c);
}

static void on_peer_gone(void *arg, struct ipc_chan *chan, enum ipc_gone why)
{
	struct peer *p = arg;
	struct front_conn *c = p->conn;

	ipc_chan_free(&p->chan);
	if (c->dead || c->core == NULL)
		return;
	conn_log(c);
	core_of(c)->on_gone(c->core, peer_index(p));
	if (c->orphan)
		core_of(c)->on_event(c->core, FRONT_STOPPING);
	turn_later(c);
}

static bool peer_open(struct front_conn *c, enum front_peer which, int *take_fd)
{
	static const struct ipc_ops ops = { .on_msg = on_peer_msg, .on_gone = on_peer_gone };
	struct peer *p = &c->peers[which];
	int fd = *take_fd;

	*take_fd = -1;
	p->conn = c;
	p->chan = ipc_chan_new(c->env->base, fd, peer_kinds[which], false, &ops, p);
	if (p->chan != NULL && which == FRONT_AUTH)
		ipc_chan_set_state(p->chan, IPC_IN_IDLE);
	return p->chan != NULL;
}

/* ---- the beginning -------------------------------------------------------------------------- */

static bool events_make(struct front_conn *c)
{
	struct event_base *base = c->env->base;

	c->ev_read = event_new(base, c->stream.fd, EV_READ | EV_PERSIST, on_readable, c);
	c->ev_write = event_new(base, c->stream.fd, EV_WRITE, on_writable, c);
	c->ev_timer = event_new(base, -1, 0, on_timer, c);
	c->ev_turn = event_new(base, -1, 0, on_turn, c);
	return c->ev_read != NULL && c->ev_write != NULL && c->ev_timer != NULL &&
	       c->ev_turn != NULL;
}

static bool conn_begin(struct front_conn *c)
{
	if (!events_make(c))
		return false;
	for (int i = 0; i < FRONT_PEERS; i++)
		if (c->bundle.ends[i] >= 0 && !peer_open(c, (enum front_peer)i, &c->bundle.ends[i]))
			return false;
	if (event_add(c->ev_read, NULL) != 0)
		return false;
	return (c->bundle.flags & FRONT_BUNDLE_TLS) != 0 || core_start(c);
}

static void facts_fill(struct front_conn *c)
{
	const struct front_bundle *b = &c->bundle;

	c->facts = (struct front_facts){ .host = c->env->host,
		.peer = b->peer,
		.local = b->local,
		.sid = b->sid,
		.tls_offered = (b->flags & FRONT_BUNDLE_TLS_OFFERED) != 0,
		.plain_login = (b->flags & FRONT_BUNDLE_PLAIN_LOGIN) != 0,
		.lmtp = (b->flags & FRONT_BUNDLE_LMTP) != 0,
		.submission = (b->flags & FRONT_BUNDLE_SUBMISSION) != 0 };
}

bool front_conn_start(struct front_env *env, struct front_bundle *take_bundle)
{
	struct front_conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		front_bundle_close(take_bundle);
		return false;
	}
	c->env = env;
	c->bundle = *take_bundle;
	c->pass_fd = -1;
	c->stream.fd = c->bundle.client;
	c->bundle.client = -1;
	c->began_ms = clock_mono_ms();
	c->read_size = FRONT_READ_FIRST;
	buf_init(&c->in, FRONT_IN_MAX);
	facts_fill(c);
	c->port = (struct front_port){
		.ops = &port_ops, .facts = &c->facts, .out = BUF_INIT(FRONT_OUT_MAX)
	};
	for (int i = 0; i < FRONT_PEERS; i++)
		c->peers[i].conn = c;
	if (!conn_begin(c)) {
		conn_free(c);
		return false;
	}
	c->next = env->conns;
	c->prev = &env->conns;
	if (c->next != NULL)
		c->next->prev = &c->next;
	env->conns = c;
	if ((c->bundle.flags & FRONT_BUNDLE_TLS) != 0)
		tls_begin(c);
	else
		turn(c);
	return true;
}

void front_env_stop(struct front_env *env)
{
	for (struct front_conn *c = env->conns; c != NULL; c = c->next) {
		if (c->dead)
			continue;
		if (c->core == NULL) {
			conn_end(c, "stop");
			continue;
		}
		core_of(c)->on_event(c->core, FRONT_STOPPING);
		turn_later(c);
	}
}

void front_env_orphan(struct front_env *env)
{
	for (struct front_conn *c = env->conns; c != NULL; c = c->next)
		c->orphan = true;
}
