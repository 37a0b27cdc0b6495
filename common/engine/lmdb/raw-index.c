/* The index as a witness: where the checkpoint stands, rows that the log has lost, and whether it
 * says what the log says. */
#include "common/engine/lmdb/raw-private.h"

#include "common/base/io.h"
#include "common/engine/lmdb/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct look {
	struct raw *r;
	int fd;
	uint64_t rows, differ;
};

static int read_file(void *arg, uint64_t off, void *p, size_t n)
{
	const struct look *l = arg;

	return io_pread_all(l->fd, p, n, (off_t)off);
}

static int walk(struct look *l, const struct pages_ops *ops)
{
	struct stat st;
	int rc;

	l->fd = openat(l->r->dir_fd, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (l->fd < 0 || fstat(l->fd, &st) != 0) {
		fd_close(&l->fd);
		return PAGES_NONE;
	}
	l->r->stats.index_bytes = (uint64_t)st.st_size;
	rc = pages_walk(ops, l, (uint64_t)st.st_size);
	fd_close(&l->fd);
	return rc;
}

/* ---- where the checkpoint stands ---- */

static bool meta_row(void *arg, struct slice key, struct slice val)
{
	struct raw *r = ((struct look *)arg)->r;
	int order = slice_cmp(key, index_meta_key());
	struct index_meta m;

	if (order == 0 && index_meta_decode(val, &m) == META_OK) {
		r->checkpoint = (struct log_pos){ m.seg, m.off, m.seq };
		r->store_id = m.store_id;
	}
	return order < 0;
}

static void meta_damaged(void *arg, const char *why)
{
}

int raw_index_meta(struct raw *r)
{
	static const struct pages_ops ops = { read_file, meta_row, meta_damaged, NULL };
	struct look l = { .r = r };
	int rc = walk(&l, &ops);

	r->has_index = rc == 0;
	if (rc == PAGES_NONE && r->stats.index_bytes > 0)
		raw_tell(r, &(struct raw_finding){ .what = RAW_INDEX });
	return rc < 0 ? rc : 0;
}

/* The row as it was put; false: told. Without the store's id no sum can be asked. */
static bool unseal(struct raw *r, struct slice key, struct slice sealed, struct slice *ret_stored)
{
	if (row_unseal(key, sealed, r->store_id, ret_stored) ||
	    (r->store_id == 0 && sealed.n >= ROW_SUM_BYTES))
		return true;
	raw_tell(
	    r, &(struct raw_finding){ .what = RAW_INDEX_ROW, .why = "a row does not fit its sum" });
	return false;
}

/* ---- what the log has lost ---- */

static bool known(const struct map *m, struct slice key)
{
	return map_find(m, key) != NULL || map_covering(m, key) != NULL;
}

static bool is_newer(const struct raw *r, struct slice key, struct slice lo, struct slice index)
{
	struct engine_row a, b;

	if (!row_decode(index, &b))
		return false;
	if (r->conf.newer == NULL || !row_decode(lo, &a))
		return true;
	return r->conf.newer(r->conf.arg, slice_from(key, 1 + (size_t)key.p[0]), a.val, b.val);
}

/* A page of the index may be an old one, so frames before the gap are asked, too. */
static bool merge_row(void *arg, struct slice key, struct slice sealed)
{
	struct raw *r = ((struct look *)arg)->r;
	const struct map_node *lo;
	struct engine_row row;
	struct slice val;

	if (!raw_keeps(r, key) || known(&r->hi, key))
		return true;
	if (!unseal(r, key, sealed, &val)) {
		r->index_damaged = true;
		return true;
	}
	lo = map_find(&r->lo, key);
	if (lo == NULL && !row_decode(val, &row))
		return true;
	if (lo != NULL && slice_eq(map_val(lo), val))
		r->failed = map_put(&r->hi, key, val);
	else if (lo != NULL && !is_newer(r, key, map_val(lo), val))
		r->failed = raw_put_doubt(r, &r->hi, key, map_val(lo));
	else
		r->failed = raw_put_doubt(r, &r->hi, key, val);
	if (lo == NULL && r->failed == 0)
		r->failed = map_put(&r->strange, val, key);
	return r->failed == 0;
}

static void merge_damaged(void *arg, const char *why)
{
	struct raw *r = ((struct look *)arg)->r;

	r->index_damaged = true;
	raw_tell(r, &(struct raw_finding){ .what = RAW_INDEX_ROW, .why = why });
}

/* A row is gone, and its value stands in the index under a key that no frame ever had. */
static bool key_is_damaged(const struct raw *r)
{
	for (const struct map_node *n = r->lo.head[0]; n != NULL; n = n->next[0])
		if (!known(&r->hi, map_key(n)) && map_find(&r->strange, map_val(n)) != NULL)
			return true;
	return false;
}

/*
 * What the log had and the index has no more: the lost frames deleted it, or the index has lost it.
 * Where the index is damaged nobody can tell, and the row stays.
 */
static int merge_lo(struct raw *r)
{
	int rc = 0;

	if (!r->index_damaged && !key_is_damaged(r))
		return 0;
	for (const struct map_node *n = r->lo.head[0]; n != NULL && rc == 0; n = n->next[0]) {
		const struct map_node *strange = map_find(&r->strange, map_val(n));

		if (known(&r->hi, map_key(n)))
			continue;
		if (strange != NULL)
			rc = map_del(&r->hi, map_val(strange));
		if (rc == 0)
			rc = raw_put_doubt(r, &r->hi, map_key(n), map_val(n));
	}
	return rc;
}

int raw_index_merge(struct raw *r)
{
	static const struct pages_ops ops = { read_file, merge_row, merge_damaged, NULL };
	struct look l = { .r = r };
	int rc = r->has_index ? walk(&l, &ops) : PAGES_NONE;

	r->index_damaged |= rc == PAGES_NONE;
	if (rc >= 0 && r->failed == 0)
		r->failed = merge_lo(r);
	return rc < 0 ? rc : r->failed;
}

/* ---- does it say the same? ---- */

static bool same(const struct raw *r, struct slice key, struct slice val)
{
	const struct map_node *n = map_find(&r->hi, key);

	return n != NULL && !n->deleted && slice_eq(map_val(n), val);
}

static bool compare_row(void *arg, struct slice key, struct slice sealed)
{
	struct look *l = arg;
	struct slice val;

	if (key.n > 0 && key.p[0] != SYS_PREFIX && raw_keeps(l->r, key)) {
		l->rows++;
		l->differ += !unseal(l->r, key, sealed, &val) || !same(l->r, key, val);
	}
	return true;
}

static void compare_damaged(void *arg, const char *why)
{
	raw_tell(
	    ((struct look *)arg)->r, &(struct raw_finding){ .what = RAW_INDEX_ROW, .why = why });
}

int raw_index_compare(struct raw *r)
{
	static const struct pages_ops ops = { read_file, compare_row, compare_damaged, NULL };
	struct look l = { .r = r };
	uint64_t live = 0;
	int rc = walk(&l, &ops);

	r->compared = true;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	for (const struct map_node *n = r->hi.head[0]; n != NULL; n = n->next[0])
		live += !n->deleted && map_key(n).p[0] != SYS_PREFIX;
	if (l.rows - l.differ < live && l.differ == 0)
		l.differ = live - l.rows; /* rows that are only in the log */
	if (l.differ > 0)
		raw_tell(r, &(struct raw_finding){ .what = RAW_INDEX_ROWS, .count = l.differ });
	return 0;
}
