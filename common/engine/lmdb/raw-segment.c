/* Segments of the log as files: which there are, what their headers say, their bytes. */
#include "common/engine/lmdb/raw-private.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 1 << 20, BLOCK = 4096 };

/* ---- which files there are ---- */

static int number_add(struct raw_numbers *l, uint64_t no)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		uint64_t *p = realloc(l->v, cap * sizeof(*p));

		if (p == NULL)
			return -ENOMEM;
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n++] = no;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void count_body(struct raw *r, const char *name)
{
	struct stat st;

	if (fstatat(r->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	r->stats.body_files++;
	r->stats.body_file_bytes += (uint64_t)st.st_size;
}

int raw_segments_list(struct raw *r, struct raw_numbers *ret)
{
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return ENGINE_IO;
	}
	while (rc == 0 && (de = readdir(d)) != NULL) {
		char *end;
		uint64_t no;

		if (strncmp(de->d_name, "body-", 5) == 0)
			count_body(r, de->d_name);
		if (strncmp(de->d_name, "log-", 4) != 0 || strlen(de->d_name) != 12)
			continue;
		no = strtoull(de->d_name + 4, &end, 16);
		if (*end == '\0' && (r->conf.until == NULL || no <= r->conf.until->segment))
			rc = number_add(ret, no);
	}
	closedir(d);
	if (rc == 0 && ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_number);
	return rc;
}

/* ---- a segment in memory ---- */

/* What the disk does not give is left as zeros, block by block. */
static void read_part(struct raw_segment *s, int fd, size_t off, size_t n)
{
	if (io_pread_all(fd, s->p + off, n, (off_t)off) == 0)
		return;
	for (size_t at = off; at < off + n; at += BLOCK) {
		size_t k = off + n - at < BLOCK ? off + n - at : BLOCK;

		if (io_pread_all(fd, s->p + at, k, (off_t)at) != 0) {
			memset(s->p + at, 0, k);
			s->unreadable = true;
		}
	}
}

int raw_segment_load(struct raw *r, struct raw_segment *s, uint64_t no)
{
	int fd = log_segment_open(r->dir_fd, no, O_RDONLY);
	struct stat st;
	int rc = 0;

	*s = (struct raw_segment){ .no = no, .p = s->p, .cap = s->cap, .head_rc = SEG_BAD };
	if (fd < 0 || fstat(fd, &st) != 0) {
		fd_close(&fd);
		return ENGINE_IO;
	}
	if ((size_t)st.st_size > s->cap) {
		free(s->p);
		s->cap = 0;
		s->p = malloc((size_t)st.st_size);
		if (s->p == NULL)
			rc = -ENOMEM;
		else
			s->cap = (size_t)st.st_size;
	}
	if (rc == 0) {
		s->n = (size_t)st.st_size;
		if (r->conf.until != NULL && no == r->conf.until->segment &&
		    r->conf.until->off < s->n)
			s->n = r->conf.until->off;
		for (size_t at = 0; at < s->n; at += READ_STEP)
			read_part(s, fd, at, s->n - at < READ_STEP ? s->n - at : READ_STEP);
		if (s->n >= SEG_HEAD)
			s->head_rc = seg_head_decode(s->p, &s->head);
	}
	close(fd);
	return rc;
}

/* ---- the id that seeds the sums ---- */

/* Compaction leaves old segments for the bodies in them: what their frames said is said again
 * later, and some of what followed them is gone. */
static uint64_t replay_from(const uint8_t head[SEG_HEAD])
{
	return wire_load_u64(head + 40);
}

/* Some header has it, or the index, or a header whose damage lies elsewhere. */
int raw_heads_read(struct raw *r, const struct raw_numbers *l)
{
	uint8_t p[SEG_HEAD];
	struct seg_head h;
	uint64_t maybe = 0;
	bool found = false;

	for (size_t i = 0; i < l->n; i++) {
		int fd = log_segment_open(r->dir_fd, l->v[i], O_RDONLY);
		int rc = fd < 0 ? 1 : io_pread_all(fd, p, sizeof(p), 0);

		fd_close(&fd);
		if (rc != 0)
			continue;
		switch (seg_head_decode(p, &h)) {
		case SEG_OK:
			if (!found)
				r->store_id = h.store_id;
			found = true;
			if (h.store_id == r->store_id && replay_from(p) > r->replay_from)
				r->replay_from = replay_from(p);
			break;
		case SEG_NEWER:
			return ENGINE_VERSION;
		case SEG_BAD:
			if (maybe == 0)
				maybe = wire_load_u64(p + 24);
		}
	}
	if (r->store_id == 0) /* no other header told it, nor the index */
		r->store_id = maybe;
	return 0;
}
