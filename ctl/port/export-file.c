/* export-file - files that are whole or not there: written beside, on the disk, then named. */
#include "ctl/port/export.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_FILES = 512, WAIT_BYTES = 64 << 20 };

int export_failed(const char *what)
{
	fprintf(stderr, "gatehousectl: cannot write %s: %s\n", what, strerror(errno));
	return -1;
}

bool export_too_long(struct export *e, struct slice path)
{
	size_t longest = 0;

	while (path.n > 0) {
		size_t n = slice_take(&path, '/').n;

		longest = n > longest ? n : longest;
	}
	if (longest > NAME_MAX)
		port_left(
		    &e->port, e->name, SLICE_NONE, "its name is too long for that of a file here");
	return longest > NAME_MAX;
}

int export_mkdir(int top, struct slice path)
{
	int dir = dup(top);

	while (dir >= 0 && path.n > 0) {
		struct slice name = port_dup(slice_take(&path, '/'));
		int next = -1, error;

		if (mkdirat(dir, (const char *)name.p, 0700) == 0 || errno == EEXIST)
			next = openat(dir, (const char *)name.p,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		error = errno;
		free((void *)name.p);
		fd_close(&dir);
		dir = next;
		errno = error;
	}
	return dir;
}

int export_write(int dir, const char *name, const struct buf *text)
{
	char part[300];
	int fd, r = -1;

	snprintf(part, sizeof(part), ".%s.part", name);
	fd = openat(dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && !text->overflow && io_write_all(fd, buf_slice(text)) == 0 &&
	    fsync(fd) == 0 && renameat(dir, part, dir, name) == 0 && fsync(dir) == 0)
		r = 0;
	if (r != 0)
		export_failed(name);
	fd_close(&fd);
	return r;
}

/* ---- files that wait for the disk ---- */

static void wait_forget(struct export *e)
{
	for (size_t i = 0; i < e->n_wait; i++) {
		free(e->wait[i].from);
		free(e->wait[i].to);
	}
	e->n_wait = 0;
	e->wait_bytes = 0;
}

/* One call brings all of them to the disk: a sync for each would take most of the time. */
int export_settle(struct export *e, int from, int to)
{
	int r = e->n_wait > 0 && syncfs(to) != 0 ? export_failed("to the disk") : 0;

	for (size_t i = 0; r == 0 && i < e->n_wait; i++)
		if (renameat(from, e->wait[i].from, to, e->wait[i].to) != 0)
			r = export_failed(e->wait[i].to);
	wait_forget(e);
	if (r == 0 && fsync(to) != 0)
		r = export_failed("the directory");
	return r;
}

void export_wait_for(struct export *e, const char *from, const char *to, uint64_t size)
{
	struct export_wait *v = reallocarray(e->wait, e->n_wait + 1, sizeof(*v));

	if (v == NULL)
		abort();
	e->wait = v;
	v[e->n_wait] = (struct export_wait){ strdup(from), strdup(to), size };
	if (v[e->n_wait].from == NULL || v[e->n_wait].to == NULL)
		abort();
	e->n_wait++;
	e->wait_bytes += size;
}

bool export_full(const struct export *e)
{
	return e->n_wait >= WAIT_FILES || e->wait_bytes >= WAIT_BYTES;
}

/* ---- files of an earlier run ---- */

void export_have_add(struct export *e, uint32_t uid, const char *name)
{
	struct export_have *v = e->have;

	if ((e->n_have & (e->n_have - 1)) == 0)
		e->have = v = reallocarray(v, e->n_have > 0 ? e->n_have * 2 : 1, sizeof(*v));
	if (v == NULL)
		abort();
	v[e->n_have] = (struct export_have){ uid, strdup(name) };
	if (v[e->n_have++].name == NULL)
		abort();
}

static int by_uid(const void *a, const void *b)
{
	const struct export_have *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

void export_have_sort(struct export *e)
{
	if (e->n_have > 0)
		qsort(e->have, e->n_have, sizeof(*e->have), by_uid);
}

const struct export_have *export_have_find(const struct export *e, uint32_t uid)
{
	struct export_have key = { .uid = uid };

	return e->n_have > 0 ? bsearch(&key, e->have, e->n_have, sizeof(key), by_uid) : NULL;
}

void export_forget(struct export *e)
{
	for (size_t i = 0; i < e->n_have; i++)
		free(e->have[i].name);
	free(e->have);
	wait_forget(e);
	free(e->wait);
	e->have = NULL;
	e->wait = NULL;
	e->n_have = 0;
	fd_close(&e->dir);
	fd_close(&e->tmp);
	fd_close(&e->cur);
	fd_close(&e->file);
	buf_reset(&e->out);
	buf_reset(&e->list);
}
