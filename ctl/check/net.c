#include "ctl/check/check.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, WAIT_S = 15, IN_MAX = 64 << 20, RECEIVE_BYTES = 16384 };

static bool __attribute__((format(printf, 2, 3))) fail(struct net *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(n->why, sizeof(n->why), fmt, ap);
	va_end(ap);
	return false;
}

static bool connect_in_time(struct net *n, const struct sockaddr *sa, socklen_t len)
{
	struct pollfd p = { n->fd, POLLOUT, 0 };
	int err = 0;
	socklen_t size = sizeof(err);

	if (connect(n->fd, sa, len) == 0)
		return true;
	if (errno != EINPROGRESS && errno != EAGAIN)
		return fail(n, "%s", strerror(errno));
	if (poll(&p, 1, CONNECT_MS) <= 0)
		return fail(n, "no answer");
	getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &err, &size);
	return err == 0 || fail(n, "%s", strerror(err));
}

bool net_open(struct net *n, const struct place *p)
{
	const struct timeval tv = { .tv_sec = WAIT_S };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(sun);
	const struct sockaddr *sa = (const struct sockaddr *)&sun;

	*n = (struct net){ .fd = -1, .in = BUF_INIT(IN_MAX) };
	if (p->path != NULL) {
		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", p->path);
	} else {
		len = addr_to_sockaddr(&p->addr, &ss);
		sa = (const struct sockaddr *)&ss;
	}
	n->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd < 0)
		return fail(n, "%s", strerror(errno));
	if (!connect_in_time(n, sa, len))
		return false;
	fcntl(n->fd, F_SETFL, 0);
	setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return true;
}

/* What came and was not read yet. */
static struct slice pending(const struct net *n)
{
	return slice_from(buf_slice(&n->in), n->read);
}

/* Who is at the other end is known: whether its certificate is right is asked for by itself. */
bool net_tls(struct net *n, const char *name)
{
	char text[200];

	if (pending(n).n > 0)
		return fail(n, "it sent text where TLS should begin");
	n->ctx = SSL_CTX_new(TLS_client_method());
	n->ssl = n->ctx != NULL ? SSL_new(n->ctx) : NULL;
	if (n->ssl == NULL || SSL_set_fd(n->ssl, n->fd) != 1)
		return fail(n, "out of memory");
	SSL_set_tlsext_host_name(n->ssl, name);
	ERR_clear_error();
	if (SSL_connect(n->ssl) == 1)
		return true;
	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	return fail(n, "the TLS handshake failed: %s", text);
}

static ssize_t receive(struct net *n, uint8_t *room, size_t size)
{
	ssize_t got;

	if (n->ssl != NULL)
		return SSL_read(n->ssl, room, (int)size);
	do
		got = recv(n->fd, room, size, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

static bool receive_more(struct net *n)
{
	uint8_t *room;
	ssize_t got;

	/* Here, not with each line: most of what came would be moved for each. */
	buf_consume(&n->in, n->read);
	n->read = 0;
	room = buf_room(&n->in, RECEIVE_BYTES);
	got = room != NULL ? receive(n, room, RECEIVE_BYTES) : -1;
	if (got == 0)
		return fail(n, "it closed the connection");
	if (got < 0)
		return fail(n, errno == EAGAIN ? "no answer" : "the connection is lost");
	buf_wrote(&n->in, (size_t)got);
	return true;
}

bool net_line(struct net *n)
{
	size_t looked = 0;
	struct slice line;
	ptrdiff_t lf;

	/* What has no end of a line is not looked through again with each piece that comes. */
	while ((lf = slice_find(slice_from(pending(n), looked), '\n')) < 0) {
		looked = pending(n).n;
		if (!receive_more(n))
			return false;
	}
	line = slice_part(pending(n), 0, looked + (size_t)lf);
	n->read += line.n + 1;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	snprintf(n->line, sizeof(n->line), "%.*s", SLICE_FMT(line));
	return true;
}

bool net_read(struct net *n, size_t bytes, struct buf *out)
{
	while (pending(n).n < bytes)
		if (!receive_more(n))
			return false;
	buf_put(out, slice_part(pending(n), 0, bytes));
	n->read += bytes;
	return true;
}

bool net_put(struct net *n, struct slice bytes)
{
	bool sent = n->ssl != NULL ? SSL_write(n->ssl, bytes.p, (int)bytes.n) == (int)bytes.n
				   : io_write_all(n->fd, bytes) == 0;

	return sent || fail(n, "the connection is lost");
}

static bool __attribute__((format(printf, 2, 0)))
send_line(struct net *n, const char *fmt, va_list ap)
{
	char line[4096];
	int size = vsnprintf(line, sizeof(line) - 2, fmt, ap);

	if (size < 0 || (size_t)size >= sizeof(line) - 2)
		return fail(n, "a line of ours is too long");
	memcpy(line + size, "\r\n", 2);
	return net_put(n, slice_of(line, (size_t)size + 2));
}

bool net_send(struct net *n, const char *fmt, ...)
{
	va_list ap;
	bool sent;

	va_start(ap, fmt);
	sent = send_line(n, fmt, ap);
	va_end(ap);
	return sent;
}

bool net_want(struct net *n, const char *want)
{
	if (!net_line(n))
		return false;
	if (strncmp(n->line, want, strlen(want)) == 0)
		return true;
	return fail(n, "it says: %.200s", n->line);
}

bool net_ask(struct net *n, const char *want, const char *fmt, ...)
{
	va_list ap;
	bool sent;

	va_start(ap, fmt);
	sent = send_line(n, fmt, ap);
	va_end(ap);
	return sent && net_want(n, want);
}

void net_close(struct net *n)
{
	SSL_free(n->ssl);
	SSL_CTX_free(n->ctx);
	fd_close(&n->fd);
	buf_fini(&n->in);
	n->ssl = NULL;
	n->ctx = NULL;
}
