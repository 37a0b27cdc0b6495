/* LMDB as the log's index. 0.9 rules: keys <= 511, NOTLS readers reset and renewed, no transaction
 * while the map grows, a batch that met MAP_FULL is applied again from the start. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	WARM_BYTES_MAX = 256 << 20,
	PACE_ROWS = 512,
	PACE_NS = 500000,
	INDEX_FIRST_BYTES = 8192, /* LMDB's two meta pages */
};

static MDB_val val_of(struct slice s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

/* None: as of an index that nothing was put into. */
static int meta_read(struct store *s, MDB_txn *t, struct index_meta *ret_m)
{
	MDB_val k = val_of(index_meta_key()), v;
	int r = mdb_get(t, s->dbi, &k, &v);

	*ret_m = (struct index_meta){ .off = SEG_HEAD, .seq = 1 };
	if (r != 0)
		return r == MDB_NOTFOUND ? 0 : index_rc(s, "index", r);
	switch (index_meta_decode(slice_of(v.mv_data, v.mv_size), ret_m)) {
	case META_OK:
		return 0;
	case META_NEWER:
		return ENGINE_VERSION;
	case META_BAD:
		break;
	}
	index_damaged(s, "the row of the checkpoint", SLICE_NONE);
	return ENGINE_CORRUPT;
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

/*
 * LMDB opens by path: the descriptor's name in /proc, while there still is a /proc. In the sandbox
 * there is none, and nobody else there who opens anything by a path.
 */
static int index_path(const struct store *s, char *ret_path, size_t n)
{
	struct stat st;

	snprintf(ret_path, n, "/proc/self/fd/%d", s->dir_fd);
	if (stat(ret_path, &st) == 0)
		return 0;
	snprintf(ret_path, n, ".");
	return fchdir(s->dir_fd) == 0 ? 0 : store_rc("index", errno);
}

static int index_read_first(struct store *s, struct log_pos *ret_pos, uint64_t *ret_store_id)
{
	struct index_meta meta;
	MDB_txn *t;
	int r;

	if ((r = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t)) != 0)
		return index_rc(s, "index", r);
	r = mdb_dbi_open(t, NULL, 0, &s->dbi);
	if (r == 0) {
		r = meta_read(s, t, &meta);
		*ret_pos = (struct log_pos){ meta.seg, meta.off, meta.seq };
		*ret_store_id = meta.store_id;
		/* Commit, not abort: the handle lives on. Nothing is written. */
		mdb_txn_commit(t);
		return r;
	}
	mdb_txn_abort(t);
	return index_rc(s, "index", r);
}

int index_open(struct store *s, struct log_pos *ret_pos, uint64_t *ret_store_id)
{
	bool fresh;
	char path[64];
	int fd, r;

	s->map_bytes = s->conf.map_bytes;
	if ((r = index_path(s, path, sizeof(path))) != 0 || (r = index_unborn(s, &fresh)) != 0)
		return r;
	if ((r = mdb_env_create(&s->env)) != 0)
		return store_rc("index", r);
	mdb_env_set_mapsize(s->env, s->map_bytes);
	if ((r = mdb_env_open(s->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0600)) != 0)
		return index_rc(s, "index", r);
	if (mdb_env_get_fd(s->env, &fd) == 0)
		fd_cloexec(fd, true); /* LMDB leaves it to us */
	if (fresh && (r = index_born(s)) != 0)
		return r;
	guard_reads(&s->guard);
	r = index_read_first(s, ret_pos, ret_store_id);
	guard_reads(NULL);
	return r;
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

	if (s->out && s->health == ENGINE_BROKEN)
		return ENGINE_IO; /* what is known to be damaged is not read any more */
	pthread_rwlock_rdlock(&s->map_lock);
	guard_reads(&s->guard);
	e = s->map_lost ? MDB_MAP_FULL : mdb_txn_renew(r->txn);
	if (e == 0 && (e = mdb_cursor_renew(r->txn, r->cur)) != 0)
		mdb_txn_reset(r->txn);
	if (e == 0)
		return 0;
	guard_reads(NULL);
	pthread_rwlock_unlock(&s->map_lock);
	return index_rc(s, "read", e);
}

void index_end(struct store *s, struct index_reader *r)
{
	mdb_txn_reset(r->txn);
	guard_reads(NULL);
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

/* One checkpoint's way into LMDB: rows come in the order of their keys, as a cursor likes it. */
struct apply {
	struct store *s;
	MDB_cursor *cur;
	struct row_totals totals;
};

/* What is overwritten or deleted goes out of the totals. That it is damaged changes nothing here:
 * the log is right about it. */
static void row_leaves(struct apply *a, const MDB_val *k, const MDB_val *v)
{
	struct slice sealed = slice_of(v->mv_data, v->mv_size), stored;

	if (!row_unseal(slice_of(k->mv_data, k->mv_size), sealed, a->s->log.store_id, &stored))
		index_damaged(a->s, "a row", slice_of(k->mv_data, k->mv_size));
	row_totals_sub(&a->totals, row_sum_there(sealed));
}

static int apply_range(struct apply *a, const struct map_range *range)
{
	MDB_val k = val_of(range->from), v;
	int r = mdb_cursor_get(a->cur, &k, &v, MDB_SET_RANGE);

	while (r == 0 && slice_cmp(slice_of(k.mv_data, k.mv_size), range->to) < 0) {
		row_leaves(a, &k, &v);
		r = mdb_cursor_del(a->cur, 0);
		if (r == 0)
			r = mdb_cursor_get(a->cur, &k, &v, MDB_GET_CURRENT);
		if (r == EINVAL || r == MDB_NOTFOUND)
			r = mdb_cursor_get(a->cur, &k, &v, MDB_NEXT);
	}
	return r == MDB_NOTFOUND ? 0 : r;
}

static int apply_ranges(struct apply *a, const struct map *m)
{
	int r = 0;

	for (size_t i = 0; i < m->n_ranges && r == 0; i++)
		r = apply_range(a, &m->ranges[i]);
	return r;
}

/*
 * A checkpoint is a burst of work on a machine whose cores commits and reads want too: it lets go
 * of its core for a moment every so often, unless a commit waits for it to end.
 */
static void pace(struct store *s, unsigned n)
{
	struct timespec t = { 0, PACE_NS };

	if (n % PACE_ROWS != PACE_ROWS - 1)
		return;
	store_works(s);
	if (!s->hurry)
		nanosleep(&t, NULL);
}

static int apply_point(struct apply *a, const struct map_node *n)
{
	struct slice stored = map_val(n);
	MDB_val k = val_of(map_key(n)), v;
	int r = mdb_cursor_get(a->cur, &k, &v, MDB_SET);

	if (r == 0)
		row_leaves(a, &k, &v);
	if (n->deleted)
		return r == 0 ? mdb_cursor_del(a->cur, 0) : r == MDB_NOTFOUND ? 0 : r;
	if (r != 0 && r != MDB_NOTFOUND)
		return r;
	k = val_of(map_key(n));
	v = (MDB_val){ stored.n + ROW_SUM_BYTES, NULL };
	r = mdb_cursor_put(a->cur, &k, &v, MDB_RESERVE);
	if (r == 0)
		row_totals_add(
		    &a->totals, row_seal(map_key(n), stored, a->s->log.store_id, v.mv_data));
	return r;
}

static int apply_points(struct apply *a, const struct map *m)
{
	unsigned count = 0;
	int r = 0;

	for (const struct map_node *n = m->head[0]; n != NULL && r == 0; n = n->next[0]) {
		pace(a->s, count++);
		r = apply_point(a, n);
	}
	return r;
}

static int apply_all(struct store *s, MDB_txn *t, const struct map *m, const struct log_pos *pos)
{
	struct apply a = { .s = s };
	struct index_meta meta;
	uint8_t sealed[INDEX_META_BYTES + ROW_SUM_BYTES];
	MDB_val k = val_of(index_meta_key()), v = { sizeof(sealed), sealed };
	int r = meta_read(s, t, &meta);

	if (r != 0)
		return MDB_CORRUPTED;
	a.totals = meta.totals;
	r = mdb_cursor_open(t, s->dbi, &a.cur);
	if (r != 0)
		return r;
	r = apply_ranges(&a, m);
	if (r == 0)
		r = apply_points(&a, m);
	mdb_cursor_close(a.cur);
	if (r != 0)
		return r;
	meta = (struct index_meta){ pos->seg, pos->off, pos->seq, s->log.store_id, a.totals };
	index_meta_encode(&meta, sealed);
	return mdb_put(t, s->dbi, &k, &v, 0);
}

static int apply_once(struct store *s, const struct map *m, const struct log_pos *pos)
{
	MDB_txn *t;
	int r = s->map_lost ? ENOMEM : mdb_txn_begin(s->env, NULL, 0, &t);

	if (r != 0)
		return r;
	guard_reads(&s->guard);
	r = apply_all(s, t, m, pos);
	if (r == 0)
		r = engine_sys.mdb_commit(t); /* frees it in any case */
	else
		mdb_txn_abort(t);
	guard_reads(NULL);
	return r;
}

/* Is there so much room for addresses? */
static bool map_fits(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p != MAP_FAILED && munmap(p, bytes) == 0;
}

/*
 * LMDB lets go of the old map before it asks for the new one, and has none when that fails: what it
 * read from is gone, and its next transaction would end the process. So we ask first; and where it
 * fails all the same, nobody enters it again, and only a restart helps.
 */
static int map_grow(struct store *s)
{
	size_t bytes = 2 * s->map_bytes;
	int r;

	if ((s->conf.map_max_bytes > 0 && bytes > s->conf.map_max_bytes) || !map_fits(bytes))
		return MDB_MAP_FULL;
	pthread_rwlock_wrlock(&s->map_lock);
	r = engine_sys.mdb_set_mapsize(s->env, bytes);
	s->map_lost = r != 0;
	pthread_rwlock_unlock(&s->map_lock);
	if (r == 0)
		s->map_bytes = bytes;
	else
		s->health = ENGINE_BROKEN;
	return r;
}

int index_apply(struct store *s, const struct map *m, const struct log_pos *pos)
{
	int r;

	index_readers(s);
	while ((r = apply_once(s, m, pos)) == MDB_MAP_FULL)
		if ((r = map_grow(s)) != 0)
			break;
	if (r ==
	    MDB_PANIC) /* the write of its root page failed: LMDB refuses reads too from now on */
		s->health = ENGINE_BROKEN;
	return index_rc(s, "checkpoint", r);
}
