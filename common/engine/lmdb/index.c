/* LMDB as the log's index. 0.9 rules: keys <= 511, NOTLS readers reset and renewed, no transaction
 * while the map grows, a batch that met MAP_FULL is applied again from the start. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/io.h"
#include "common/base/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The engine's own row: where the checkpoint stands. */
static const uint8_t meta_key[] = { SYS_PREFIX, 'm' };

enum {
	META_BYTES = 4 + 4 + 8 + 8 + 8,
	META_VERSION = 1,
	WARM_BYTES_MAX = 256 << 20,
	PACE_ROWS = 512,
	PACE_NS = 500000,
	INDEX_FIRST_BYTES = 8192, /* LMDB's two meta pages */
};

bool index_is_meta(struct slice key)
{
	return slice_eq(key, slice_of(meta_key, sizeof(meta_key)));
}

static MDB_val val_of(struct slice s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

static void meta_encode(const struct log_pos *pos, uint64_t store_id, uint8_t p[META_BYTES])
{
	wire_store_u32(p, META_VERSION);
	wire_store_u32(p + 4, pos->seg);
	wire_store_u64(p + 8, pos->off);
	wire_store_u64(p + 16, pos->seq);
	wire_store_u64(p + 24, store_id);
}

static int meta_read(MDB_txn *t, MDB_dbi dbi, struct log_pos *ret_pos, uint64_t *ret_store_id)
{
	MDB_val k = { sizeof(meta_key), (void *)(uintptr_t)meta_key }, v;
	int r = mdb_get(t, dbi, &k, &v);
	const uint8_t *p = v.mv_data;

	*ret_pos = (struct log_pos){ 0, SEG_HEAD, 1 };
	*ret_store_id = 0;
	if (r == MDB_NOTFOUND)
		return 0;
	if (r != 0)
		return store_rc("index", r);
	if (v.mv_size < META_BYTES)
		return ENGINE_CORRUPT;
	if (wire_load_u32(p) != META_VERSION)
		return ENGINE_VERSION;
	*ret_pos =
	    (struct log_pos){ wire_load_u32(p + 4), wire_load_u64(p + 8), wire_load_u64(p + 16) };
	*ret_store_id = wire_load_u64(p + 24);
	return 0;
}

/*
 * LMDB writes the two pages that a new index begins with, and does not sync them. A kill in the
 * middle leaves part of them, and a power cut any part, or a file of zeros that has its length.
 * An index with rows has a page more, so nothing is lost with this one: it is emptied, and the log
 * is replayed from its start.
 */
static int index_unborn(struct store *s, bool *ret_new)
{
	static const uint8_t none[INDEX_FIRST_BYTES];
	uint8_t p[INDEX_FIRST_BYTES];
	struct stat st;
	int fd = openat(s->dir_fd, "data.mdb", O_RDWR | O_CLOEXEC | O_NOFOLLOW), r = 0;

	*ret_new = fd < 0 && errno == ENOENT;
	if (fd < 0)
		return *ret_new ? 0 : store_rc("index", errno);
	if (fstat(fd, &st) != 0)
		r = errno;
	*ret_new = r == 0;
	if (r == 0 && st.st_size > INDEX_FIRST_BYTES) {
		ssize_t n = pread(fd, p, sizeof(p), 0);

		if (n < 0)
			r = errno;
		*ret_new = n >= 0 && memcmp(p, none, (size_t)n) == 0;
	}
	if (r == 0 && *ret_new && st.st_size > 0 && ftruncate(fd, 0) != 0)
		r = errno;
	fd_close(&fd);
	return r == 0 ? 0 : store_rc("index", r);
}

/*
 * The first pages are durable before the log says anything that needs them. Their name need not be:
 * without it the index is made of the log again.
 */
static int index_born(struct store *s)
{
	int r = mdb_env_sync(s->env, 1);

	return r == 0 ? 0 : store_rc("index", r);
}

int index_open(struct store *s, struct log_pos *ret_pos, uint64_t *ret_store_id)
{
	bool fresh;
	char path[64];
	MDB_txn *t;
	int fd, r;

	/* LMDB opens by path: the descriptor's name in /proc, while there still is a /proc. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->dir_fd);
	s->map_bytes = s->conf.map_bytes;
	if ((r = index_unborn(s, &fresh)) != 0)
		return r;
	if ((r = mdb_env_create(&s->env)) != 0)
		return store_rc("index", r);
	mdb_env_set_mapsize(s->env, s->map_bytes);
	if ((r = mdb_env_open(s->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0600)) != 0)
		return store_rc("index", r);
	if (mdb_env_get_fd(s->env, &fd) == 0)
		fd_cloexec(fd, true); /* LMDB leaves it to us */
	if (fresh && (r = index_born(s)) != 0)
		return r;
	if ((r = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t)) != 0)
		return store_rc("index", r);
	r = mdb_dbi_open(t, NULL, 0, &s->dbi);
	if (r == 0) {
		r = meta_read(t, s->dbi, ret_pos, ret_store_id);
		/* Commit, not abort: the handle lives on. Nothing is written. */
		mdb_txn_commit(t);
		return r;
	}
	mdb_txn_abort(t);
	return store_rc("index", r);
}

void index_close(struct store *s)
{
	if (s->env != NULL)
		mdb_env_close(s->env);
	s->env = NULL;
}

/* ---- readers ---- */

int index_reader_new(struct store *s, struct index_reader **ret_r)
{
	struct index_reader *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return -ENOMEM;
	e = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &r->txn);
	if (e == 0 && (e = mdb_cursor_open(r->txn, s->dbi, &r->cur)) != 0)
		mdb_txn_abort(r->txn);
	if (e != 0) {
		free(r);
		return store_rc("reader", e);
	}
	mdb_txn_reset(r->txn);
	*ret_r = r;
	return 0;
}

void index_reader_free(struct index_reader **r)
{
	if (*r == NULL)
		return;
	mdb_cursor_close((*r)->cur);
	mdb_txn_abort((*r)->txn);
	free(*r);
	*r = NULL;
}

int index_begin(struct store *s, struct index_reader *r)
{
	int e;

	pthread_rwlock_rdlock(&s->map_lock);
	e = mdb_txn_renew(r->txn);
	if (e == 0 && (e = mdb_cursor_renew(r->txn, r->cur)) != 0)
		mdb_txn_reset(r->txn);
	if (e == 0)
		return 0;
	pthread_rwlock_unlock(&s->map_lock);
	return store_rc("read", e);
}

void index_end(struct store *s, struct index_reader *r)
{
	mdb_txn_reset(r->txn);
	pthread_rwlock_unlock(&s->map_lock);
}

/*
 * Is every page of data.mdb in memory? Then the owner may look without being held up by the disk. A
 * small file is asked for, so that a restart on a cold machine becomes warm by itself.
 */
void index_look(struct store *s)
{
	int fd = openat(s->dir_fd, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	bool all = false;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
		goto out;
	size_t size = (size_t)st.st_size, pages = (size + 4095) / 4096;
	unsigned char *in = malloc(pages);
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED && in != NULL && engine_sys.mincore(p, size, in) == 0)
		all = memchr(in, 0, pages) == NULL; /* other bits are reserved and zero */
	if (p != MAP_FAILED)
		munmap(p, size);
	free(in);
	if (!all && size <= WARM_BYTES_MAX)
		posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
out:
	fd_close(&fd);
	s->resident = all;
}

/* ---- writing ---- */

static int apply_ranges(MDB_txn *t, MDB_dbi dbi, const struct map *m)
{
	MDB_cursor *c;
	int r = 0;

	if (m->n_ranges == 0)
		return 0;
	if ((r = mdb_cursor_open(t, dbi, &c)) != 0)
		return r;
	for (size_t i = 0; i < m->n_ranges && r == 0; i++) {
		MDB_val k = val_of(m->ranges[i].from), v;

		r = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
		while (r == 0 && slice_cmp(slice_of(k.mv_data, k.mv_size), m->ranges[i].to) < 0) {
			r = mdb_cursor_del(c, 0);
			if (r == 0)
				r = mdb_cursor_get(c, &k, &v, MDB_GET_CURRENT);
			if (r == EINVAL || r == MDB_NOTFOUND)
				r = mdb_cursor_get(c, &k, &v, MDB_NEXT);
		}
		if (r == MDB_NOTFOUND)
			r = 0;
	}
	mdb_cursor_close(c);
	return r;
}

/*
 * A checkpoint is a burst of work on a machine whose cores commits and reads want too: it lets go
 * of its core for a moment every so often, unless a commit waits for it to end.
 */
static void pace(struct store *s, unsigned n)
{
	struct timespec t = { 0, PACE_NS };

	if (n % PACE_ROWS == PACE_ROWS - 1 && !s->hurry)
		nanosleep(&t, NULL);
}

static int apply_points(struct store *s, MDB_txn *t, const struct map *m)
{
	unsigned count = 0;
	int r = 0;

	for (const struct map_node *n = m->head[0]; n != NULL && r == 0; n = n->next[0]) {
		pace(s, count++);
		MDB_val k = val_of(map_key(n)), v = val_of(map_val(n));

		if (!n->deleted) {
			r = mdb_put(t, s->dbi, &k, &v, 0);
		} else {
			r = mdb_del(t, s->dbi, &k, NULL);
			if (r == MDB_NOTFOUND)
				r = 0;
		}
	}
	return r;
}

static int apply_once(struct store *s, const struct map *m, const struct log_pos *pos)
{
	uint8_t meta[META_BYTES];
	MDB_val k = { sizeof(meta_key), (void *)(uintptr_t)meta_key }, v = { sizeof(meta), meta };
	MDB_txn *t;
	int r = mdb_txn_begin(s->env, NULL, 0, &t);

	if (r != 0)
		return r;
	meta_encode(pos, s->log.store_id, meta);
	r = apply_ranges(t, s->dbi, m);
	if (r == 0)
		r = apply_points(s, t, m);
	if (r == 0)
		r = mdb_put(t, s->dbi, &k, &v, 0);
	if (r == 0)
		return engine_sys.mdb_commit(t); /* frees it in any case */
	mdb_txn_abort(t);
	return r;
}

static int map_grow(struct store *s)
{
	size_t bytes = 2 * s->map_bytes;
	int r;

	if (s->conf.map_max_bytes > 0 && bytes > s->conf.map_max_bytes)
		return MDB_MAP_FULL;
	pthread_rwlock_wrlock(&s->map_lock);
	r = mdb_env_set_mapsize(s->env, bytes);
	pthread_rwlock_unlock(&s->map_lock);
	if (r == 0)
		s->map_bytes = bytes;
	return r;
}

int index_apply(struct store *s, const struct map *m, const struct log_pos *pos)
{
	int r;

	while ((r = apply_once(s, m, pos)) == MDB_MAP_FULL)
		if ((r = map_grow(s)) != 0)
			break;
	if (r ==
	    MDB_PANIC) /* the write of its root page failed: LMDB refuses reads too from now on */
		s->health = ENGINE_BROKEN;
	return r == 0 ? 0 : store_rc("checkpoint", r);
}
