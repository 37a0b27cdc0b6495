#include "common/engine/tail.h"

#include "common/base/io.h"
#include "common/engine/lmdb/lmdb-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct tail {
	int dir_fd, fd;
	uint64_t store_id;
	struct tail_end end;
	uint8_t *rows;
	size_t cap;
};

bool tail_is_file(const char *name, struct tail_file *ret_f)
{
	bool segment = strncmp(name, "log-", 4) == 0;
	char canonical[32], *end;

	if (!segment && strncmp(name, "body-", 5) != 0)
		return false;
	ret_f->segment = segment;
	ret_f->no = strtoull(name + (segment ? 4 : 5), &end, 16);
	if (segment)
		snprintf(canonical, sizeof(canonical), "log-%08x", (unsigned)ret_f->no);
	else
		log_body_name(ret_f->no, canonical);
	return strcmp(name, canonical) == 0;
}

static int last_segment(int dir_fd, uint64_t *ret_no)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = ENGINE_NOTFOUND;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return ENGINE_IO;
	}
	*ret_no = 0;
	while ((de = readdir(d)) != NULL) {
		struct tail_file f;

		if (!tail_is_file(de->d_name, &f) || !f.segment)
			continue;
		rc = 0;
		if (f.no > *ret_no)
			*ret_no = f.no;
	}
	closedir(d);
	return rc;
}

/* Goes to the begin of a segment. ENGINE_NOTFOUND: it is not there, or is being made. */
static int segment_enter(struct tail *t, uint64_t no)
{
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	int fd = log_segment_open(t->dir_fd, no, O_RDONLY), rc;

	if (fd < 0)
		return fd == -ENOENT ? ENGINE_NOTFOUND : ENGINE_IO;
	rc = io_pread_all(fd, head, sizeof(head), 0);
	if (rc == 0) {
		enum seg_rc s = seg_head_decode(head, &h);

		rc = s == SEG_OK ? 0 : s == SEG_NEWER ? ENGINE_VERSION : ENGINE_NOTFOUND;
	} else {
		rc = rc > 0 ? ENGINE_NOTFOUND : ENGINE_IO;
	}
	if (rc == 0 && t->fd >= 0 && (h.store_id != t->store_id || h.first_seq != t->end.frame))
		rc = ENGINE_CORRUPT;
	if (rc != 0) {
		close(fd);
		return rc;
	}
	fd_close(&t->fd);
	t->fd = fd;
	t->store_id = h.store_id;
	t->end = (struct tail_end){ no, SEG_HEAD, h.first_seq };
	return 0;
}

int tail_open(int dir_fd, struct tail **ret_t)
{
	struct tail *t = calloc(1, sizeof(*t));
	uint64_t no = 0;
	int rc;

	if (t == NULL)
		return -ENOMEM;
	t->fd = -1;
	t->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	rc = t->dir_fd < 0 ? ENGINE_IO : last_segment(dir_fd, &no);
	if (rc == 0)
		rc = segment_enter(t, no);
	if (rc == ENGINE_NOTFOUND && no > 0)
		rc = segment_enter(t, no - 1); /* the last one is just being made */
	if (rc != 0)
		tail_close(&t);
	else
		*ret_t = t;
	return rc;
}

void tail_close(struct tail **t)
{
	if (*t == NULL)
		return;
	fd_close(&(*t)->fd);
	fd_close(&(*t)->dir_fd);
	free((*t)->rows);
	free(*t);
	*t = NULL;
}

/* 0: moved over a frame; ENGINE_NOTFOUND: there is no good one here (yet). */
static int frame_pass(struct tail *t)
{
	uint8_t head[FRAME_HEAD];
	struct frame_head h;
	int rc = io_pread_all(t->fd, head, sizeof(head), (off_t)t->end.off);

	if (rc != 0)
		return rc > 0 ? ENGINE_NOTFOUND : ENGINE_IO;
	if (!frame_head_decode(head, &h) || h.seq != t->end.frame)
		return ENGINE_NOTFOUND;
	if (t->cap < h.rows_n) {
		uint8_t *p = realloc(t->rows, h.rows_n);

		if (p == NULL)
			return -ENOMEM;
		t->rows = p;
		t->cap = h.rows_n;
	}
	rc = io_pread_all(t->fd, t->rows, h.rows_n, (off_t)(t->end.off + FRAME_HEAD));
	if (rc != 0)
		return rc > 0 ? ENGINE_NOTFOUND : ENGINE_IO;
	if (!frame_check(head, slice_of(t->rows, h.rows_n), t->store_id))
		return ENGINE_NOTFOUND;
	t->end.off += frame_bytes(&h);
	t->end.frame++;
	return 0;
}

int tail_read(struct tail *t, struct tail_end *ret_end)
{
	int rc;

	do {
		while ((rc = frame_pass(t)) == 0)
			;
		if (rc == ENGINE_NOTFOUND)
			rc = segment_enter(t, t->end.segment + 1);
	} while (rc == 0);
	if (rc != ENGINE_NOTFOUND)
		return rc;
	*ret_end = t->end;
	return 0;
}
