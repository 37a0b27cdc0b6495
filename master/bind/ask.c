/*
 * ask - both ends of a request: one packet with a packed address, one packet with an error number
 * (u32, 0 for none) and, when it is 0, the descriptor.
 */
#include "master/bind/bind.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4, TIMEOUT_S = 5, ERRNO_MAX = 4095 };

union fd_control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int bind_asker_open(const char *path, int *ret_asker_fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	size_t n = strlen(path);
	int fd, r = 0;

	if (n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* We wait for the answer, but not for ever. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0)
		r = -errno;
	if (r == 0)
		*ret_asker_fd = fd;
	else
		fd_close(&fd);
	return r;
}

/* The only descriptor that came with the packet, or -1. */
static int take_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int receive_answer(int asker_fd, int *ret_fd)
{
	uint8_t raw[ANSWER_BYTES];
	struct iovec iov = { raw, sizeof(raw) };
	union fd_control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.bytes) };
	struct wire_reader r;
	uint32_t err;
	ssize_t got;
	int fd;

	do
		got = recvmsg(asker_fd, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	fd = take_fd(&msg);
	r = wire_reader(slice_of(raw, (size_t)got));
	err = wire_get_u32(&r);
	if (r.bad || wire_left(&r) != 0 || err > ERRNO_MAX || (err == 0) != (fd >= 0)) {
		fd_close(&fd);
		return -EPROTO;
	}
	if (err != 0)
		return -(int)err;
	*ret_fd = fd;
	return 0;
}

int bind_ask(int asker_fd, const struct addr *a, int *ret_fd)
{
	struct buf packet = BUF_INIT(ADDR_PACKED_MAX);
	ssize_t sent;
	int r = 0;

	addr_pack(a, &packet);
	do
		sent = send(asker_fd, packet.p, packet.n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
	buf_fini(&packet);
	return r == 0 ? receive_answer(asker_fd, ret_fd) : r;
}

static int send_answer(int fd, int err, int socket_fd)
{
	struct buf packet = BUF_INIT(ANSWER_BYTES);
	union fd_control control = { 0 };
	struct msghdr msg = { .msg_iovlen = 1 };
	struct iovec iov;
	ssize_t sent;

	wire_put_u32(&packet, (uint32_t)err);
	iov = (struct iovec){ packet.p, packet.n };
	msg.msg_iov = &iov;
	if (socket_fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.bytes);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(socket_fd)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &socket_fd, sizeof(socket_fd));
	}
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	buf_fini(&packet);
	return sent < 0 ? -errno : 0;
}

int bind_answer(int fd)
{
	uint8_t raw[ADDR_PACKED_MAX + 1];
	struct addr a;
	int socket_fd = -1, r;
	ssize_t got;

	do
		got = recv(fd, raw, sizeof(raw), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got == 0)
		return 1;
	if (addr_unpack(slice_of(raw, (size_t)got), &a) != 0)
		return -EPROTO;
	r = bind_tcp(&a, &socket_fd);
	r = send_answer(fd, -r, socket_fd);
	fd_close(&socket_fd);
	return r;
}
