#include "common/tls/remote.h"

#include "common/ipc/codec.h"
#include "common/tls/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { REPLY_ROOM = TLS_SIG_BYTES + 64, ASK_ROOM = TLS_SIGN_TEXT_BYTES + 128 };

/* A provider's signature function gets no argument of ours, so the channel is a variable. Threads
 * of one process may each serve their own connections. */
static _Thread_local int channel_fd = -1;
static _Thread_local bool channel_failed;

int tls_remote_prepare(int signer_fd)
{
	const struct timeval wait = {
		.tv_sec = TLS_SIGNER_WAIT_MS / 1000,
		.tv_usec = TLS_SIGNER_WAIT_MS % 1000 * 1000,
	};
	int fl = fcntl(signer_fd, F_GETFL);

	if (fl < 0 || fcntl(signer_fd, F_SETFL, fl & ~O_NONBLOCK) < 0 ||
	    setsockopt(signer_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
	    setsockopt(signer_fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0)
		return -errno;
	return 0;
}

void tls_remote_use(int signer_fd)
{
	channel_fd = signer_fd;
	channel_failed = false;
}

bool tls_remote_failed(void)
{
	return channel_failed;
}

static int packet_send(struct slice packet)
{
	ssize_t n;

	do {
		n = send(channel_fd, packet.p, packet.n, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int packet_recv(uint8_t *p, size_t cap, size_t *ret_n)
{
	ssize_t n;

	do {
		n = recv(channel_fd, p, cap, MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0 || (size_t)n > cap)
		return -EPROTO;
	*ret_n = (size_t)n;
	return 0;
}

static int ask_send(const struct tls_sign_ask *ask)
{
	const struct ipc_sign_ask msg = {
		.key = slice_of(ask->key_ref, TLS_KEY_REF_BYTES),
		.alg = ask->scheme,
		.text = ask->text,
	};
	struct buf packet = BUF_INIT(ASK_ROOM);
	int r = ipc_encode(IPC_sign_ask, &msg, &packet) == 0 ? 0 : TLS_REMOTE_REFUSED;

	if (r == 0)
		r = packet_send(buf_slice(&packet));
	buf_fini(&packet);
	return r;
}

static int remote_ask(const struct tls_sign_ask *ask, uint8_t *sig, size_t cap, size_t *ret_n)
{
	uint8_t packet[REPLY_ROOM];
	union ipc_any msg;
	enum ipc_type type;
	size_t n;
	int r;

	if (channel_fd < 0)
		return TLS_REMOTE_NO_CHANNEL;
	r = ask_send(ask);
	if (r == 0)
		r = packet_recv(packet, sizeof(packet), &n);
	if (r != 0)
		return r;
	if (ipc_decode(slice_of(packet, n), &type, &msg) != 0 || type != IPC_sign_reply)
		return -EPROTO;
	if (msg.sign_reply.status != 0 || msg.sign_reply.sig.n == 0 || msg.sign_reply.sig.n > cap)
		return TLS_REMOTE_REFUSED;
	memcpy(sig, msg.sign_reply.sig.p, msg.sign_reply.sig.n);
	*ret_n = msg.sign_reply.sig.n;
	return 0;
}

int tls_remote_sign(const struct tls_sign_ask *ask, uint8_t *sig, size_t cap, size_t *ret_n)
{
	int r = remote_ask(ask, sig, cap, ret_n);

	if (r != 0)
		channel_failed = true;
	if (r < 0)
		channel_fd = -1; /* a late answer must not meet the next question */
	return r;
}
