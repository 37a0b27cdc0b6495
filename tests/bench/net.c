#include "net.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TURN_READS = 8 };

double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void net_init(struct net *n, const char *host, int port, bool tls, size_t in_bytes)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&n->peer;

	*n = (struct net){ .in_bytes = in_bytes };
	sin->sin_family = AF_INET;
	sin->sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &sin->sin_addr) != 1)
		errx(2, "%s is not an IPv4 address", host);
	n->peer_len = sizeof(*sin);
	n->base = event_base_new();
	if (n->base == NULL)
		errx(2, "no event base");
	if (!tls)
		return;
	n->tls = SSL_CTX_new(TLS_client_method());
	if (n->tls == NULL)
		errx(2, "no TLS context");
	SSL_CTX_set_verify(n->tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(n->tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(n->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
				     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				     SSL_MODE_RELEASE_BUFFERS);
}

void net_run(struct net *n)
{
	event_base_dispatch(n->base);
}

void net_stop(struct net *n)
{
	event_base_loopbreak(n->base);
}

static void conn_free(struct conn *c)
{
	event_free(c->readable);
	event_free(c->writable);
	SSL_free(c->ssl);
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

void conn_drop(struct conn *c)
{
	c->dead = true;
}

static void conn_end(struct conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	c->ops->on_end(c, why);
}

/* > 0 bytes, 0 orderly end, -1 try later, -2 broken. */
static ssize_t tls_result(struct conn *c, int r)
{
	if (r > 0)
		return r;
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return -2;
	}
}

static ssize_t plain_result(ssize_t r)
{
	if (r >= 0)
		return r;
	return errno == EAGAIN || errno == EINTR || errno == ENOTCONN ? -1 : -2;
}

static ssize_t conn_recv(struct conn *c, void *p, size_t n)
{
	if (c->ssl != NULL)
		return tls_result(c, SSL_read(c->ssl, p, (int)n));
	return plain_result(read(c->fd, p, n));
}

static ssize_t conn_send(struct conn *c, const void *p, size_t n)
{
	if (c->ssl != NULL)
		return tls_result(c, SSL_write(c->ssl, p, (int)n));
	return plain_result(send(c->fd, p, n, MSG_NOSIGNAL));
}

static void conn_flush(struct conn *c)
{
	while (!c->dead && c->out_off < c->out_len) {
		ssize_t r = conn_send(c, c->out + c->out_off, c->out_len - c->out_off);

		if (r == -1) {
			event_add(c->writable, NULL);
			return;
		}
		if (r <= 0) {
			conn_end(c, "write failed");
			return;
		}
		c->out_off += (size_t)r;
	}
	c->out_off = c->out_len = 0;
}

static void conn_fill(struct conn *c)
{
	for (int i = 0; i < TURN_READS && !c->dead; i++) {
		size_t room = c->net->in_bytes - c->in_len;
		size_t used;
		ssize_t r;

		if (room == 0) {
			conn_end(c, "a line longer than the read buffer");
			return;
		}
		r = conn_recv(c, c->in + c->in_len, room);
		if (r == -1)
			return;
		if (r <= 0) {
			conn_end(c, r == 0 ? NULL : "read failed");
			return;
		}
		c->in_len += (size_t)r;
		used = c->ops->on_data(c);
		memmove(c->in, c->in + used, c->in_len - used);
		c->in_len -= used;
		/* A short read emptied the socket: save the call that would say so. */
		if (c->ssl == NULL && (size_t)r < room)
			return;
	}
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	/* Under TLS either readiness may be what the library waits for. */
	if ((what & EV_READ) || c->ssl != NULL)
		conn_fill(c);
	/* TLS with data left inside the library gives no new event: read on at once. */
	while (!c->dead && c->ssl != NULL && SSL_pending(c->ssl) > 0)
		conn_fill(c);
	if (!c->dead)
		conn_flush(c);
	if (c->dead)
		conn_free(c);
}

struct conn *conn_open(struct net *n, const struct conn_ops *ops, void *user, unsigned serial)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (c == NULL || (c->in = malloc(n->in_bytes)) == NULL)
		errx(2, "out of memory");
	c->net = n;
	c->ops = ops;
	c->user = user;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(2, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (n->spread) {
		struct sockaddr_in from = { .sin_family = AF_INET };

		from.sin_addr.s_addr = htonl(0x7f000002u + serial % 250u);
		if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
			err(2, "bind");
	}
	c->readable = event_new(n->base, c->fd, EV_READ | EV_PERSIST, on_event, c);
	c->writable = event_new(n->base, c->fd, EV_WRITE, on_event, c);
	if (connect(c->fd, (struct sockaddr *)&n->peer, n->peer_len) < 0 && errno != EINPROGRESS)
		err(2, "connect");
	event_add(c->readable, NULL);
	if (n->tls != NULL) {
		c->ssl = SSL_new(n->tls);
		SSL_set_fd(c->ssl, c->fd);
		SSL_set_connect_state(c->ssl);
		/* SSL_read drives the handshake; it begins when the socket is up, so writable. */
		event_add(c->writable, NULL);
	}
	return c;
}

void conn_put(struct conn *c, const void *data, size_t n)
{
	if (c->out_len + n > c->out_cap) {
		c->out_cap = (c->out_len + n) * 2;
		c->out = realloc(c->out, c->out_cap);
		if (c->out == NULL)
			errx(2, "out of memory");
	}
	memcpy(c->out + c->out_len, data, n);
	c->out_len += n;
}

void conn_printf(struct conn *c, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		errx(2, "command too long");
	conn_put(c, line, (size_t)n);
}

size_t conn_line(const struct conn *c, size_t at)
{
	const uint8_t *nl = memchr(c->in + at, '\n', c->in_len - at);

	return nl == NULL ? 0 : (size_t)(nl - c->in) - at + 1;
}
