#pragma once
/*
 * net - client connections for the load programs: libevent loop, plain or TLS, bytes in and out.
 *
 * Invariant: a connection is freed only between loop turns of its own callbacks; after conn_drop()
 * nothing calls back for it. Nothing here blocks except the first connect of a local socket.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct event;
struct event_base;
struct conn;

struct conn_ops {
	/* Bytes are in c->in[0..in_len); returns how many were used up. */
	size_t (*on_data)(struct conn *c);
	/* The connection has ended; `why` is NULL for an orderly end by the peer. */
	void (*on_end)(struct conn *c, const char *why);
};

struct net {
	struct event_base *base;
	SSL_CTX *tls; /* NULL: plain */
	struct sockaddr_storage peer;
	socklen_t peer_len;
	bool spread; /* bind each connection to another loopback address */
	size_t in_bytes;
};

struct conn {
	struct net *net;
	const struct conn_ops *ops;
	void *user;
	int fd;
	SSL *ssl;
	struct event *readable, *writable;
	uint8_t *in, *out;
	size_t in_len, out_off, out_len, out_cap;
	bool dead;
};

/* Prepares the loop for peer host:port, numeric IPv4; in_bytes is each connection's read buffer. */
void net_init(struct net *n, const char *host, int port, bool tls, size_t in_bytes);
void net_run(struct net *n);
void net_stop(struct net *n);

/* Starts a connection; failure arrives through on_end. */
struct conn *conn_open(struct net *n, const struct conn_ops *ops, void *user, unsigned serial);
/* Queues bytes; they leave at the end of the callback. */
void conn_put(struct conn *c, const void *data, size_t n);
void conn_printf(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Closes from our side; no callback follows. */
void conn_drop(struct conn *c);
/* One CR LF line at offset `at` of c->in: length with line end, 0 when incomplete. */
size_t conn_line(const struct conn *c, size_t at);

double now_s(void);
