#include "common/ipc/chan-private.h"

#include "common/base/io.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void ipc_fds_close(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fd_close(&fds[i]);
}

int ipc_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
		return -errno;
	return 0;
}

ssize_t ipc_packet_recv(int fd, uint8_t *p, int *fds, unsigned *ret_nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 4))];
	} ctl;
	struct iovec iov = { p, IPC_PACKET_MAX };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)
	};
	unsigned n = 0;
	bool too_many = false;
	ssize_t got;

	/*
	 * A peer that closes with something of ours unread gives ECONNRESET once, before what it
	 * wrote itself: its last words come after.
	 */
	do
		got = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h != NULL; h = CMSG_NXTHDR(&mh, h)) {
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int one;

			memcpy(&one, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (n < IPC_FDS_MAX) {
				fds[n++] = one;
			} else {
				close(one);
				too_many = true;
			}
		}
	}
	*ret_nfds = n;
	if (too_many || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		ipc_fds_close(fds, n);
		*ret_nfds = 0;
		return -EBADMSG;
	}
	return got;
}

int ipc_packet_send(int fd, struct slice head, struct slice tail, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} ctl = { 0 };
	struct iovec iov[2] = { { (void *)head.p, head.n }, { (void *)tail.p, tail.n } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = tail.n > 0 ? 2 : 1 };
	ssize_t r;

	if (nfds > 0) {
		struct cmsghdr *h;

		mh.msg_control = &ctl;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
	}
	do
		r = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}
