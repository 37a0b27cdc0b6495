#include "ctl/client.h"

#include "common/base/io.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_MAX = 32 << 20, REPLY_MEM_MAX = 256 << 20 };

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		fprintf(stderr, "gatehousectl: the socket's path is too long: %s\n", path);
		return -1;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		fprintf(stderr, "gatehousectl: cannot reach the server at %s: %s\n", path,
		    strerror(errno));
		if (errno == ENOENT || errno == ECONNREFUSED)
			fprintf(stderr, "  is it running? another server's socket is named by "
					"--socket or GATEHOUSE_SOCKET\n");
		else if (errno == EACCES)
			fprintf(stderr,
			    "  run it as root or as a user that the socket's mode lets in\n");
		fd_close(&fd);
	}
	return fd;
}

int client_open(struct client *c, const char *path)
{
	struct reply r;

	*c = (struct client){ .fd = connect_to(path), .passed = -1, .in = BUF_INIT(REPLY_MAX) };
	arena_init(&c->mem, REPLY_MEM_MAX);
	if (c->fd < 0)
		return 1;
	if (client_recv(c, &r) != 0)
		return 1;
	if (r.code != 200) {
		fprintf(stderr, "gatehousectl: the server says: %.*s\n", SLICE_FMT(r.text));
		return 1;
	}
	return client_ask(c, SLICE("INLINE"), &r);
}

void client_close(struct client *c)
{
	fd_close(&c->fd);
	fd_close(&c->passed);
	buf_fini(&c->in);
	arena_fini(&c->mem);
}

int client_send(struct client *c, struct slice line)
{
	struct buf b = BUF_INIT(line.n + 2);
	int r;

	buf_put(&b, line);
	buf_puts(&b, "\r\n");
	r = io_write_all(c->fd, buf_slice(&b));
	buf_fini(&b);
	if (r != 0)
		fprintf(stderr, "gatehousectl: the connection is lost: %s\n", strerror(-r));
	return r != 0;
}

/* As read(), and a descriptor may come along. */
static ssize_t read_some(struct client *c, void *room, size_t n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = { room, n };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)
	};
	ssize_t got;

	do
		got = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	for (struct cmsghdr *h = got >= 0 ? CMSG_FIRSTHDR(&mh) : NULL; h != NULL;
	     h = CMSG_NXTHDR(&mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS ||
		    h->cmsg_len != CMSG_LEN(sizeof(int)))
			continue;
		fd_close(&c->passed);
		memcpy(&c->passed, CMSG_DATA(h), sizeof(int));
	}
	return got;
}

/* One line without its end; false at the end of the connection. */
static bool read_line(struct client *c, struct slice *ret)
{
	size_t scanned = 0;
	ptrdiff_t lf;

	buf_consume(&c->in, c->used);
	c->used = 0;
	while ((lf = slice_find(slice_from(buf_slice(&c->in), scanned), '\n')) < 0) {
		uint8_t *room = buf_room(&c->in, 65536);
		ssize_t n;

		scanned = c->in.n;
		if (room == NULL)
			return false;
		n = read_some(c, room, 65536);
		if (n <= 0)
			return false;
		buf_wrote(&c->in, (size_t)n);
	}
	c->used = scanned + (size_t)lf + 1;
	*ret = slice_of(c->in.p, c->used - 1);
	if (ret->n > 0 && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

int client_recv(struct client *c, struct reply *ret)
{
	struct slice line, code;
	const char *why = NULL;
	uint64_t n;

	arena_reset(&c->mem);
	if (!read_line(c, &line)) {
		fprintf(stderr, "gatehousectl: the server closed the connection\n");
		return 1;
	}
	code = slice_take(&line, ' ');
	*ret = (struct reply){ .text = line };
	if (slice_u64(code, 999, &n) != 0) {
		fprintf(stderr, "gatehousectl: this does not speak the administration protocol\n");
		return 1;
	}
	ret->code = (unsigned)n;
	if (ret->code == 201)
		ret->data = data_parse(&c->mem, &line, &why);
	if (why != NULL) {
		fprintf(stderr, "gatehousectl: the answer cannot be read: %s\n", why);
		return 1;
	}
	return 0;
}

int client_ask(struct client *c, struct slice line, struct reply *ret)
{
	return client_send(c, line) != 0 || client_recv(c, ret) != 0;
}
