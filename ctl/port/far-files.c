/* far-files - what is opened for the reader: regular files and lists of names, below the source. */
#include "ctl/port/far.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAMES_BYTES = 61440 };

/* Looked at before it is opened: opening some devices does something. -1 and errno. */
static int open_below(int top, const char *path, mode_t kind, struct stat *ret_st)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int place = (int)syscall(SYS_openat2, top, path, &how, sizeof(how)), fd = -1, error;
	char self[40];

	if (place < 0)
		return -1;
	if (fstat(place, ret_st) != 0) {
		error = errno;
	} else if ((ret_st->st_mode & S_IFMT) != kind) {
		error = S_ISLNK(ret_st->st_mode) ? ELOOP : EINVAL;
	} else {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		error = errno;
	}
	fd_close(&place);
	errno = error;
	return fd;
}

static int send_error(struct far *f, int error)
{
	struct ipc_port_file_not m = { (uint32_t)error };

	return link_chan_send(f->chan, IPC_port_file_not, &m, NULL);
}

static int send_file(struct far *f, int take_fd, const struct stat *st)
{
	struct ipc_port_file_is m = { (uint64_t)st->st_size, st->st_mtime };

	return link_chan_send(f->chan, IPC_port_file_is, &m, &take_fd);
}

static int send_temp(struct far *f)
{
	struct stat st = { 0 };
	FILE *t = tmpfile();
	int fd = t != NULL ? fcntl(fileno(t), F_DUPFD_CLOEXEC, 0) : -1, error = errno;

	if (t != NULL)
		fclose(t);
	return fd >= 0 ? send_file(f, fd, &st) : send_error(f, error);
}

static uint8_t kind_of(int dir, const struct dirent *e)
{
	struct stat st;
	mode_t mode = 0;

	if (e->d_type != DT_UNKNOWN)
		mode = DTTOIF(e->d_type);
	else if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		mode = st.st_mode;
	return S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : S_ISLNK(mode) ? 'l' : 'o';
}

static int send_names(struct far *f, int take_dir)
{
	struct buf b = BUF_INIT(NAMES_BYTES);
	DIR *d = fdopendir(take_dir);
	struct dirent *e;
	int r = 0;

	if (d == NULL) {
		r = errno;
		fd_close(&take_dir);
		return send_error(f, r);
	}
	while (r == 0 && (e = readdir(d)) != NULL) {
		struct slice name = slice_str(e->d_name);

		if (slice_eq(name, SLICE(".")) || slice_eq(name, SLICE("..")))
			continue;
		if (b.n + name.n + 5 > NAMES_BYTES) {
			r = link_chan_send(f->chan, IPC_port_names,
			    &(struct ipc_port_names){ buf_slice(&b), 1 }, NULL);
			buf_reset(&b);
		}
		wire_put_u8(&b, kind_of(dirfd(d), e));
		wire_put_bytes(&b, name);
	}
	if (r == 0)
		r = link_chan_send(
		    f->chan, IPC_port_names, &(struct ipc_port_names){ buf_slice(&b), 0 }, NULL);
	closedir(d);
	buf_fini(&b);
	return r;
}

int far_file(struct far *f)
{
	const struct ipc_port_file_ask *q = &f->m.port_file_ask;
	bool names = q->what == IPC_PORT_NAMES;
	struct stat st;
	char *path;
	int fd;

	if (q->what == IPC_PORT_TEMP)
		return send_temp(f);
	if (f->top < 0 || (q->path.n > 0 && memchr(q->path.p, '\0', q->path.n) != NULL))
		return send_error(f, EINVAL);
	path = q->path.n > 0 ? strndup((const char *)q->path.p, q->path.n) : strdup(".");
	if (path == NULL)
		abort();
	fd = open_below(f->top, path, names ? S_IFDIR : S_IFREG, &st);
	free(path);
	if (fd < 0)
		return send_error(f, errno);
	return names ? send_names(f, fd) : send_file(f, fd, &st);
}

int far_empty_dir(char path[64], bool *ret_failed)
{
	int fd = -1;

	path[0] = '\0';
	*ret_failed = false;
	if (geteuid() != 0)
		return -1;
	snprintf(path, 64, "/tmp/gatehousectl-XXXXXX");
	if (mkdtemp(path) == NULL)
		path[0] = '\0';
	else
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	*ret_failed = fd < 0;
	return fd;
}
