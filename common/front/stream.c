#include "common/front/stream-private.h"

#include "common/base/io.h"
#include "common/tls/tls_conn.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

int stream_tls(struct stream *s, struct tls_ctx *ctx, int signer_fd)
{
	s->shaking = true;
	return tls_conn_new(ctx, s->fd, signer_fd, &s->tls);
}

static enum stream_answer from_tls(enum tls_answer a)
{
	switch (a) {
	case TLS_DONE:
		return STREAM_OK;
	case TLS_WANT_READ:
		return STREAM_WANT_READ;
	case TLS_WANT_WRITE:
		return STREAM_WANT_WRITE;
	case TLS_CLOSED:
		return STREAM_EOF;
	default:
		return STREAM_LOST;
	}
}

enum stream_answer stream_handshake(struct stream *s)
{
	enum stream_answer a = from_tls(tls_conn_handshake(s->tls));

	s->shaking = a != STREAM_OK;
	return a;
}

enum stream_answer stream_read_raw(struct stream *s, void *p, size_t n, size_t *ret_n)
{
	ssize_t r;

	if (s->tls != NULL)
		return from_tls(tls_conn_read(s->tls, p, n, ret_n));
	do
		r = recv(s->fd, p, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		*ret_n = (size_t)r;
	if (r >= 0)
		return r > 0 ? STREAM_OK : STREAM_EOF;
	return errno == EAGAIN ? STREAM_WANT_READ : STREAM_LOST;
}

enum stream_answer stream_write_raw(struct stream *s, struct slice text, size_t *ret_n)
{
	ssize_t r;

	if (s->tls != NULL)
		return from_tls(tls_conn_write(s->tls, text, ret_n));
	do
		r = send(s->fd, text.p, text.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r >= 0) {
		*ret_n = (size_t)r;
		return STREAM_OK;
	}
	return errno == EAGAIN || errno == ENOBUFS ? STREAM_WANT_WRITE : STREAM_LOST;
}

enum stream_answer stream_write_pieces(struct stream *s, struct iovec *v, unsigned n, size_t *ret_n)
{
	struct msghdr mh = { .msg_iov = v, .msg_iovlen = n };
	ssize_t r;

	assert(stream_is_plain(s));
	do
		r = sendmsg(s->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r >= 0) {
		*ret_n = (size_t)r;
		return STREAM_OK;
	}
	return errno == EAGAIN || errno == ENOBUFS ? STREAM_WANT_WRITE : STREAM_LOST;
}

enum stream_answer stream_pass(struct stream *s, struct slice text, int *take_fd, size_t *ret_n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { (void *)text.p, text.n };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
	ssize_t r = -1;

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), take_fd, sizeof(int));
	errno = EBADF;
	if (s->tls == NULL && s->zip == NULL && *take_fd >= 0)
		do
			r = sendmsg(s->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return STREAM_WANT_WRITE;
	fd_close(take_fd);
	if (r < 0)
		return STREAM_LOST;
	*ret_n = (size_t)r;
	return STREAM_OK;
}

enum stream_answer stream_read(struct stream *s, void *p, size_t n, size_t *ret_n)
{
	return s->zip != NULL ? stream_zip_read(s, p, n, ret_n) : stream_read_raw(s, p, n, ret_n);
}

enum stream_answer stream_write(struct stream *s, struct slice text, size_t *ret_n)
{
	return s->zip != NULL ? stream_zip_write(s, text, ret_n) : stream_write_raw(s, text, ret_n);
}

void stream_close(struct stream *s)
{
	uint8_t rest[4096];

	if (s->fd < 0)
		return;
	if (s->tls != NULL && !s->shaking && tls_conn_shutdown(s->tls) != TLS_DONE) {
		/* The client learns the end from the socket then. */
	}
	stream_zip_free(&s->zip);
	tls_conn_free(&s->tls);
	/* Input that nobody read would turn the close into a reset, which may overtake the last
	 * reply on its way to the client. */
	shutdown(s->fd, SHUT_WR);
	for (int i = 0; i < 16 && recv(s->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	fd_close(&s->fd);
}
