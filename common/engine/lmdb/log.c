/* The shard's log as files: segments, one frame at a time, zeros ahead of it. */
#include "common/engine/lmdb/lmdb-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum { AHEAD_MIN = 16 << 10, AHEAD_MAX = 256 << 10 }; /* see docs/decisions/0001 */

static int mdb_commit(MDB_txn *t)
{
	return mdb_txn_commit(t);
}

struct engine_sys engine_sys = { pwritev, fdatasync, ftruncate, mdb_commit, mincore, unlinkat,
	fstatfs, mdb_env_set_mapsize };

static void segment_name(uint64_t no, char ret_name[32])
{
	snprintf(ret_name, 32, "log-%08x", (unsigned)no);
}

int log_segment_open(int dir_fd, uint64_t no, int flags)
{
	char name[32];
	int fd;

	segment_name(no, name);
	fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

void log_body_name(uint64_t no, char ret_name[32])
{
	snprintf(ret_name, 32, "body-%014llx", (unsigned long long)no);
}

void log_name_of(enum loc_kind kind, uint64_t no, char ret_name[32])
{
	if (kind == LOC_SEGMENT)
		segment_name(no, ret_name);
	else
		log_body_name(no, ret_name);
}

bool log_name_number(const char *name, enum loc_kind kind, uint64_t *ret_no)
{
	const char *dash = strchr(name, '-');
	char canonical[32];

	if (dash == NULL)
		return false;
	*ret_no = strtoull(dash + 1, NULL, 16);
	log_name_of(kind, *ret_no, canonical);
	return strcmp(canonical, name) == 0;
}

static int write_all(int fd, struct iovec *v, size_t n, uint64_t off)
{
	while (n > 0) {
		ssize_t w = engine_sys.pwritev(fd, v, n > 1024 ? 1024 : (int)n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : EIO;
		off += (uint64_t)w;
		for (; n > 0 && (size_t)w >= v->iov_len; v++, n--)
			w -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (uint8_t *)v->iov_base + w;
			v->iov_len -= (size_t)w;
		}
	}
	return 0;
}

/*
 * Makes segment pos.seg with its header, durable with its name, and writes there from now on. When
 * that cannot be made durable a header is there all the same, and says which frame comes next: no
 * frame may be written but there, so the next one tries again (fresh_segment).
 */
int log_segment_new(struct log *l)
{
	struct seg_head h = { SEG_LOG, l->pos.seg, l->store_id, l->pos.seq, l->replay_from,
		l->version };
	uint8_t head[SEG_HEAD];
	struct iovec v = { head, sizeof(head) };
	int fd, err = 0;

	if (h.store_id == 0 && getrandom(&h.store_id, sizeof(h.store_id), 0) != sizeof(h.store_id))
		return store_rc("segment", errno);
	if (l->store_id == 0) /* at open; later the checkpointer reads it */
		l->store_id = h.store_id;
	fd = log_segment_open(l->dir_fd, l->pos.seg, O_RDWR | O_CREAT | O_TRUNC);
	if (fd < 0)
		return store_rc("segment", -fd);
	seg_head_encode(&h, head);
	err = write_all(fd, &v, 1, 0);
	if (err == 0 && (engine_sys.fdatasync(fd) != 0 || fsync(l->dir_fd) != 0)) {
		err = errno;
		l->fresh_segment = true;
	}
	if (err != 0) {
		close(fd);
		return store_rc("segment", err);
	}
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
	l->pos.off = l->ahead = SEG_HEAD;
	l->fresh_segment = false;
	return 0;
}

int log_rotate(struct log *l)
{
	uint32_t seg = l->pos.seg;
	int r;

	l->pos.seg++;
	r = log_segment_new(l);
	if (r != 0)
		l->pos.seg = seg;
	return r;
}

void log_need(struct log *l, uint32_t version)
{
	if (l->version >= version)
		return;
	l->version = version;
	l->fresh_segment = true;
}

int log_begin(struct log *l, const struct frame_head *h)
{
	uint64_t end = l->pos.off + frame_bytes(h);

	l->n_iov = 1; /* the header's */
	if (!l->fresh_segment && (end <= l->segment_bytes || l->pos.off == SEG_HEAD))
		return 0;
	return log_rotate(l);
}

int log_add(struct log *l, const void *p, size_t n)
{
	if (n == 0)
		return 0;
	if (l->n_iov >= l->cap_iov) {
		size_t cap = l->cap_iov == 0 ? 256 : 2 * l->cap_iov;
		struct iovec *v = realloc(l->iov, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		l->iov = v;
		l->cap_iov = cap;
	}
	l->iov[l->n_iov++] = (struct iovec){ (void *)(uintptr_t)p, n };
	return 0;
}

/*
 * Zeros behind the frame when it comes to the end of those written before: the flush of a frame
 * that overwrites blocks need not commit the file system's journal. Before the frame's flush, which
 * covers both. A full disk is no reason to fail: the frame itself fits.
 */
static void write_zeros(struct log *l, uint64_t end)
{
	static const uint8_t zeros[AHEAD_MAX];
	uint64_t n = end < AHEAD_MIN ? AHEAD_MIN : end > AHEAD_MAX ? AHEAD_MAX : end;
	struct iovec v = { (void *)(uintptr_t)zeros, n };

	if (end <= l->ahead || end >= l->segment_bytes)
		return;
	l->ahead = write_all(l->fd, &v, 1, end) == 0 ? end + n : end;
}

/* Writes the frame begun with log_begin(), whose header is in iov[0], and flushes it. */
int log_write(struct log *l, const struct frame_head *h)
{
	uint64_t end = l->pos.off + frame_bytes(h);
	int err = write_all(l->fd, l->iov, l->n_iov, l->pos.off);

	if (err != 0)
		return store_rc("append", err);
	write_zeros(l, end);
	if (engine_sys.fdatasync(l->fd) != 0) {
		l->sync_rc = store_rc("sync", errno);
		return ENGINE_UNKNOWN; /* whatever the reason: the pages may be gone or written */
	}
	l->pos.off = end;
	l->pos.seq++;
	return 0;
}

/* Takes everything from `off` on away again. */
int log_cut(struct log *l, uint64_t off)
{
	l->ahead = off;
	if (engine_sys.ftruncate(l->fd, (off_t)off) != 0)
		return store_rc("cut", errno);
	return 0;
}

/*
 * After a failed sync: what the page cache says is worth nothing and the old descriptor may swallow
 * the next error. Opens the segment anew, reads the acknowledged frames from the device, cuts off
 * the failed one, and makes that durable. The next frame starts a new segment, on other blocks.
 */
int log_reopen(struct log *l)
{
	int fd = log_segment_open(l->dir_fd, l->pos.seg, O_RDWR), r;

	if (fd < 0)
		return store_rc("reopen", -fd);
	close(l->fd);
	l->fd = fd;
	r = log_cut(l, l->pos.off);
	if (r == 0 && engine_sys.fdatasync(fd) != 0)
		r = store_rc("reopen", errno);
	if (r == 0) {
		int direct = log_segment_open(l->dir_fd, l->pos.seg, O_RDONLY | O_DIRECT);

		if (direct < 0)
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		r = log_verify(direct < 0 ? fd : direct, SEG_HEAD, &l->pos, l->store_id);
		if (direct >= 0)
			close(direct);
	}
	if (r == 0)
		l->fresh_segment = true;
	return r;
}
