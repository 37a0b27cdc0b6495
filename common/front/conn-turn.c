/*
 * What moves a connection: its client's socket, its deadline, and the turns of the core between
 * them.
 */
#include "common/front/conn-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/front/lent.h"
#include "common/front/limits.h"
#include "common/tls/tls_ctx.h"

#include <event2/event.h>

static void timer_arm(struct front_conn *c, int64_t now_ms)
{
	int64_t in_ms = c->deadline_ms > now_ms ? c->deadline_ms - now_ms : 0;
	struct timeval tv = { in_ms / 1000, in_ms % 1000 * 1000 };

	c->timer_ms = c->deadline_ms;
	event_add(c->ev_timer, &tv);
}

/* Moving a deadline away costs nothing: the timer finds out when it fires. */
void front_conn_deadline(struct front_port *p, uint32_t ms)
{
	struct front_conn *c = front_conn_of(p);
	int64_t now_ms = clock_mono_ms();

	c->deadline_ms = ms > 0 ? now_ms + ms : 0;
	if (ms > 0 && (c->timer_ms == 0 || c->deadline_ms < c->timer_ms))
		timer_arm(c, now_ms);
}

/* ---- turns ---- */

bool front_conn_core(struct front_conn *c)
{
	c->port.want_tls = c->port.busy = c->closing = false;
	c->port.wall_s = clock_wall_s();
	c->core = front_conn_ops(c)->start(&c->port, c->env->core_conf);
	return c->core != NULL;
}

/* Some of the output; the descriptor for the client with the byte that it belongs to. */
static enum stream_answer write_some(struct front_conn *c, size_t *ret_n)
{
	struct front_port *p = &c->port;
	struct slice rest = slice_from(buf_slice(&p->out), p->sent);
	enum stream_answer a;

	if (p->n_lent > 0)
		return front_lent_write(p, &c->stream, ret_n);
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
	while (front_pending(p) > 0) {
		size_t n = 0;
		enum stream_answer a = write_some(c, &n);

		if (a == STREAM_LOST || a == STREAM_EOF)
			return false;
		if (a == STREAM_WANT_WRITE)
			event_add(c->ev_write, NULL);
		if (a != STREAM_OK)
			break;
		front_lent_sent(p, n);
		p->written += n;
	}
	flushed = stream_flush(&c->stream);
	if (flushed == STREAM_LOST || flushed == STREAM_EOF)
		return false;
	c->held = flushed != STREAM_OK;
	if (flushed == STREAM_WANT_WRITE)
		event_add(c->ev_write, NULL);
	if (front_pending(p) == 0) {
		p->sent = p->n_lent = p->lent_sent = 0;
		buf_reset(&p->out);
		if (p->out.cap > FRONT_OUT_KEEP)
			buf_fini(&p->out);
	} else if (p->sent > FRONT_OUT_SHIFT && p->n_lent == 0) {
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

	c->in_at += front_conn_ops(c)->feed(c->core, in);
	if (c->in_at == c->in.n) {
		c->in_at = 0;
		buf_reset(&c->in);
	}
}

static void conn_read(struct front_conn *c);

/* RFC 4978 3: the client says nothing between its command and our answer. */
static void deflate_begin(struct front_conn *c)
{
	c->port.want_deflate = false;
	if (c->in.n > 0)
		front_conn_end(c, "text before compression");
	else if (c->stream.zip != NULL || stream_deflate(&c->stream) != 0)
		front_conn_end(c, "memory");
}

/* What the core asked for by its flags, once the output is out. */
static void act(struct front_conn *c)
{
	if (front_pending(&c->port) > 0 || c->held) {
		if ((c->port.want_close || c->port.want_tls) && !c->closing) {
			c->closing = true;
			front_conn_deadline(&c->port, FRONT_CLOSE_MS);
		}
		return;
	}
	if (c->port.want_close)
		front_conn_end(c, "done");
	else if (c->port.want_tls && c->in.n > 0)
		front_conn_end(
		    c, "text before TLS"); /* RFC 3207 5, RFC 2595 4: nothing is carried over */
	else if (c->port.want_tls)
		front_conn_tls(c);
	else if (c->port.want_deflate)
		deflate_begin(c);
	else if (c->eof && !c->port.busy)
		front_conn_end(c, "client closed");
}

void front_conn_turn_later(struct front_conn *c)
{
	if (!c->dead && c->core != NULL)
		event_active(c->ev_turn, 0, 0);
}

void front_conn_turn(struct front_conn *c)
{
	uint64_t written;

	c->port.wall_s = clock_wall_s();
	do {
		written = c->port.written;
		feed(c);
		if (!flush(c)) {
			front_conn_end(c, "client lost");
			return;
		}
	} while (c->port.written != written && !c->port.want_close && !c->port.want_tls);
	act(c);
	if (!c->dead && c->in_full && c->in.n - c->in_at < FRONT_IN_MAX / 2) {
		/* It may read the last bytes that the client sends: nothing else would feed them.
		 */
		conn_read(c);
		front_conn_turn_later(c);
	}
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct front_conn *c = arg;

	if (c->dead) {
		front_conn_sweep(c);
		return;
	}
	front_conn_log(c);
	front_conn_turn(c);
}

/* ---- TLS ---- */

static void tls_step(struct front_conn *c)
{
	enum stream_answer a = stream_handshake(&c->stream);

	if (a == STREAM_WANT_WRITE)
		event_add(c->ev_write, NULL);
	if (a == STREAM_WANT_READ || a == STREAM_WANT_WRITE)
		return;
	if (a != STREAM_OK) {
		front_conn_end(c, "no TLS");
		return;
	}
	fd_close(&c->bundle.sign);
	c->facts.tls = true;
	if (!front_conn_core(c))
		front_conn_end(c, "memory");
	else
		front_conn_turn_later(c);
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

void front_conn_tls(struct front_conn *c)
{
	random_renew();
	if (c->core != NULL) {
		front_conn_ops(c)->free(c->core);
		c->core = NULL;
		c->facts.restarted = true;
	}
	front_conn_deadline(&c->port, FRONT_TLS_MS);
	if (c->env->tls == NULL || stream_tls(&c->stream, c->env->tls, c->bundle.sign) != 0)
		front_conn_end(c, "no TLS");
	else
		tls_step(c);
}

/* ---- the client's socket ---- */

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
		front_conn_end(c, "client lost");
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

	front_conn_log(c);
	if (c->stream.shaking) {
		tls_step(c);
		return;
	}
	conn_read(c);
	if (!c->dead)
		front_conn_turn(c);
	if (!c->dead)
		in_idle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct front_conn *c = arg;

	front_conn_log(c);
	if (c->stream.shaking)
		tls_step(c);
	else
		front_conn_turn(c);
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
	front_conn_log(c);
	c->deadline_ms = 0;
	if (c->core == NULL || c->closing) {
		front_conn_end(c, c->closing ? "client does not read" : "no TLS in time");
		return;
	}
	front_conn_ops(c)->on_event(c->core, FRONT_TIMEOUT);
	front_conn_turn(c);
}

bool front_conn_events(struct front_conn *c)
{
	struct event_base *base = c->env->base;

	c->ev_read = event_new(base, c->stream.fd, EV_READ | EV_PERSIST, on_readable, c);
	c->ev_write = event_new(base, c->stream.fd, EV_WRITE, on_writable, c);
	c->ev_timer = event_new(base, -1, 0, on_timer, c);
	c->ev_turn = event_new(base, -1, 0, on_turn, c);
	return c->ev_read != NULL && c->ev_write != NULL && c->ev_timer != NULL &&
	       c->ev_turn != NULL;
}
