#include "ctl/port/reach.h"

#include "common/base/wire.h"
#include "ctl/port/link.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_BYTES = 16384, WHY_BYTES = 1400 };

static struct ipc_chan *up;
static union ipc_any last;

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

void reach_begin(int take_fd)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };

	up = ipc_chan_new(NULL, take_fd, IPC_CH_PORT, false, &ops, NULL);
	if (up == NULL)
		_exit(1);
}

void reach_send(enum ipc_type type, const void *msg)
{
	if (link_chan_send(up, type, msg, NULL) != 0)
		_exit(1);
}

/* A descriptor that comes with it is the caller's. */
static enum ipc_type receive(int *ret_fd)
{
	int fds[IPC_FDS_MAX];
	enum ipc_type type;

	if (ipc_recv_wait(up, -1, &type, &last, fds) != 0)
		_exit(0);
	*ret_fd = fds[0];
	return type;
}

enum ipc_type reach_next(const union ipc_any **ret_m)
{
	int fd;

	*ret_m = &last;
	return receive(&fd);
}

static int ask(enum ipc_reader_wants what, struct slice path, enum ipc_type *ret_type)
{
	struct ipc_port_file_ask q = { .what = what, .path = path };
	int fd = -1;

	if (path.n > PATH_BYTES) {
		errno = ENAMETOOLONG;
		*ret_type = IPC_port_file_not;
		return -1;
	}
	reach_send(IPC_port_file_ask, &q);
	*ret_type = receive(&fd);
	if (*ret_type == IPC_port_file_not)
		errno = (int)last.port_file_not.error;
	return fd;
}

int reach_file(struct slice path, uint64_t *ret_size, int64_t *ret_mtime)
{
	enum ipc_type type;
	int fd = ask(IPC_PORT_FILE, path, &type);

	if (type != IPC_port_file_is)
		return -1;
	*ret_size = last.port_file_is.size;
	*ret_mtime = last.port_file_is.mtime;
	return fd;
}

int reach_temp(void)
{
	enum ipc_type type;

	return ask(IPC_PORT_TEMP, SLICE_NONE, &type);
}

/* ---- directories ---- */

static void names_take(struct slice packed, struct reach_name **v, size_t *n)
{
	struct wire_reader r = wire_reader(packed);

	while (wire_left(&r) > 0) {
		char kind = (char)wire_get_u8(&r);
		struct slice name = wire_get_bytes(&r, UINT32_MAX);

		if (r.bad)
			_exit(1);
		if ((*n & (*n - 1)) == 0)
			*v = reallocarray(*v, *n > 0 ? *n * 2 : 1, sizeof(**v));
		if (*v == NULL)
			abort();
		(*v)[*n] = (struct reach_name){ strndup((const char *)name.p, name.n), kind };
		if ((*v)[(*n)++].name == NULL)
			abort();
	}
}

static int by_name(const void *a, const void *b)
{
	const struct reach_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int reach_names(struct slice path, struct reach_name **ret_v, size_t *ret_n)
{
	enum ipc_type type;
	int fd;

	*ret_v = NULL;
	*ret_n = 0;
	(void)ask(IPC_PORT_NAMES, path, &type);
	while (type == IPC_port_names) {
		names_take(last.port_names.names, ret_v, ret_n);
		if (!last.port_names.more)
			break;
		type = receive(&fd);
	}
	if (type != IPC_port_names) {
		reach_names_free(*ret_v, *ret_n);
		*ret_v = NULL;
		*ret_n = 0;
		return errno;
	}
	/* In an order of their own, so that two runs see the same. */
	if (*ret_n > 0)
		qsort(*ret_v, *ret_n, sizeof(**ret_v), by_name);
	return 0;
}

void reach_names_free(struct reach_name *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}

void reach_tell(enum ipc_reader_tells kind, struct slice box, struct slice what, struct slice why)
{
	struct ipc_port_told m = { .kind = kind,
		.box = slice_part(box, 0, PATH_BYTES),
		.what = slice_part(what, 0, PATH_BYTES),
		.why = slice_part(why, 0, WHY_BYTES) };

	reach_send(IPC_port_told, &m);
}
