/* A store's directory without the engine: lock, rows in order, bodies. */
#include "common/engine/lmdb/raw-private.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

void raw_tell(struct raw *r, const struct raw_finding *f)
{
	struct raw_finding own = *f;

	own.shard = r->shard;
	if (r->conf.found != NULL)
		r->conf.found(r->conf.arg, &own);
}

static struct slice group_of(struct slice encoded)
{
	return encoded.n > 0 ? slice_part(encoded, 1, encoded.p[0]) : SLICE_NONE;
}

static struct slice key_of(struct slice encoded)
{
	return encoded.n > 0 ? slice_from(encoded, 1 + (size_t)encoded.p[0]) : SLICE_NONE;
}

bool raw_keeps(const struct raw *r, struct slice encoded_key)
{
	if (encoded_key.n == 0 || encoded_key.p[0] == SYS_PREFIX || key_of(encoded_key).n == 0)
		return false;
	return r->conf.keep == NULL ||
	       r->conf.keep(r->conf.arg, group_of(encoded_key), key_of(encoded_key));
}

int raw_put_doubt(struct raw *r, struct map *m, struct slice key, struct slice stored)
{
	const struct map_node *n = map_find(m, key);
	int rc = 0;

	if (n != NULL && !n->deleted && slice_eq(map_val(n), stored))
		return 0; /* it is there by itself */
	rc = map_put(&r->doubt, key, stored);
	return rc == 0 ? map_put(m, key, stored) : rc;
}

/* ---- opening ---- */

/* Without a file to lock nobody ever opened this store, or somebody copied it without: it is free.
 */
static int lock(struct raw *r)
{
	r->lock_fd = openat(r->dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->lock_fd < 0)
		return errno == ENOENT ? 0 : ENGINE_IO;
	if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? ENGINE_BUSY : ENGINE_IO;
	return 0;
}

static int load(struct raw *r)
{
	int rc = r->conf.until == NULL ? lock(r) : 0;

	if (rc == 0)
		rc = raw_index_meta(r);
	if (rc == 0)
		rc = raw_log_read(r);
	if (rc == 0 && r->has_lo)
		rc = raw_index_merge(r);
	map_fini(&r->lo);
	map_fini(&r->strange);
	return rc;
}

int raw_open_one(int dir_fd, const struct raw_conf *conf, unsigned shard, struct raw **ret_r)
{
	struct raw *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	r->conf = *conf;
	r->shard = shard;
	r->part[0] = r;
	r->n_parts = 1;
	r->lock_fd = r->file.fd = -1;
	map_init(&r->hi, true);
	map_init(&r->lo, false);
	map_init(&r->doubt, false);
	map_init(&r->strange, false);
	r->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	rc = r->dir_fd < 0 ? -errno : load(r);
	if (rc != 0)
		raw_close(&r);
	else
		*ret_r = r;
	return rc;
}

int raw_open(int dir_fd, const struct raw_conf *conf, struct raw **ret_r)
{
	struct raw *r;
	int rc = raw_open_one(dir_fd, conf, 0, &r);

	if (rc != 0)
		return rc;
	rc = raw_shards_open(r);
	if (rc != 0)
		raw_close(&r);
	else
		*ret_r = r;
	return rc;
}

void raw_close(struct raw **r)
{
	if (*r == NULL)
		return;
	for (unsigned i = 1; i < (*r)->n_parts; i++)
		raw_close(&(*r)->part[i]);
	map_fini(&(*r)->hi);
	map_fini(&(*r)->lo);
	map_fini(&(*r)->doubt);
	free((*r)->table);
	pack_thread_end();
	fd_close(&(*r)->file.fd);
	fd_close(&(*r)->lock_fd);
	fd_close(&(*r)->dir_fd);
	free(*r);
	*r = NULL;
}

unsigned raw_shards(const struct raw *r)
{
	return r->n_parts;
}

bool raw_shard_stats(const struct raw *r, unsigned shard, struct raw_stats *ret_s)
{
	const struct raw *p = shard < r->n_parts ? r->part[shard] : NULL;

	if (p == NULL)
		return false;
	*ret_s = p->stats;
	for (const struct map_node *n = p->hi.head[0]; n != NULL; n = n->next[0])
		ret_s->rows += !n->deleted;
	return true;
}

void raw_stats(const struct raw *r, struct raw_stats *ret_s)
{
	struct raw_stats s;

	(void)raw_shard_stats(r, 0, ret_s);
	for (unsigned i = 1; i < r->n_parts; i++) {
		if (!raw_shard_stats(r, i, &s))
			continue;
		ret_s->segments += s.segments;
		ret_s->log_bytes += s.log_bytes;
		ret_s->frames += s.frames;
		ret_s->gaps += s.gaps;
		ret_s->body_files += s.body_files;
		ret_s->body_file_bytes += s.body_file_bytes;
		ret_s->index_bytes += s.index_bytes;
		ret_s->rows += s.rows;
	}
}

/* ---- rows ---- */

/* The first row from this node on that is one. */
static bool settle(const struct raw *r, const struct map_node *n, struct raw_row *ret)
{
	struct engine_row row;

	for (; n != NULL; n = n->next[0]) {
		const struct map_node *d;

		if (n->deleted || map_key(n).p[0] == SYS_PREFIX || !row_decode(map_val(n), &row))
			continue;
		d = map_find(&r->doubt, map_key(n));
		*ret = (struct raw_row){ .group = group_of(map_key(n)),
			.key = key_of(map_key(n)),
			.val = row.val,
			.has_loc = row.has_loc,
			.loc = row.loc,
			.doubt = d != NULL && slice_eq(map_val(d), map_val(n)),
			.shard = r->shard,
			.at = n };
		return true;
	}
	return false;
}

/* The first row of all shards at `from`, or behind `behind`, which has that key. */
static bool first_of(
    const struct raw *r, struct slice from, const struct raw_row *behind, struct raw_row *ret_row)
{
	const struct map_node *self = behind != NULL ? behind->at : NULL;
	unsigned shard = behind != NULL ? behind->shard : 0;
	bool any = false;

	for (unsigned i = 0; i < r->n_parts; i++) {
		const struct raw *p = r->part[i];
		const struct map_node *n;
		struct raw_row row;

		if (p == NULL)
			continue;
		n = self != NULL && i == shard ? self->next[0] : map_seek(&p->hi, from);
		if (self != NULL && n != NULL && slice_eq(map_key(n), from))
			n = n->next[0];
		if (!settle(p, n, &row) ||
		    (any && slice_cmp(map_key(ret_row->at), map_key(row.at)) <= 0))
			continue;
		*ret_row = row;
		any = true;
	}
	return any;
}

static size_t encode(uint8_t *b, struct slice group, struct slice key)
{
	b[0] = (uint8_t)group.n;
	memcpy(b + 1, group.p, group.n);
	if (key.n > 0)
		memcpy(b + 1 + group.n, key.p, key.n);
	return 1 + group.n + key.n;
}

bool raw_seek(struct raw *r, struct slice group, struct slice key, struct raw_row *ret_row)
{
	uint8_t b[ENGINE_KEY_ENCODED_MAX + 1];
	struct slice from = SLICE_NONE;

	if (group.n > ENGINE_GROUP_ID_MAX || key.n > ENGINE_KEY_MAX)
		return false;
	if (group.n > 0)
		from = slice_of(b, encode(b, group, key));
	return first_of(r, from, NULL, ret_row);
}

bool raw_next(struct raw *r, const struct raw_row *row, struct raw_row *ret_row)
{
	return first_of(r, map_key(row->at), row, ret_row);
}

bool raw_get(struct raw *r, struct slice group, struct slice key, struct raw_row *ret_row)
{
	return raw_seek(r, group, key, ret_row) && slice_eq(ret_row->group, group) &&
	       slice_eq(ret_row->key, key);
}

/* ---- bodies ---- */

static int body_open(struct raw *r, const struct loc_parts *p)
{
	char name[32];

	if (r->file.fd >= 0 && r->file.kind == p->kind && r->file.no == p->file)
		return 0;
	fd_close(&r->file.fd);
	if (p->kind == LOC_SEGMENT) {
		r->file.fd = log_segment_open(r->dir_fd, p->file, O_RDONLY);
	} else {
		log_body_name(p->file, name);
		r->file.fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (r->file.fd < 0) {
		r->file.fd = -1;
		return ENGINE_NOTFOUND;
	}
	r->file.kind = p->kind;
	r->file.no = p->file;
	return 0;
}

/* The table as the disk gives it; empty when the disk does not, or the body has none. */
static int body_table(struct raw *r, const struct loc_parts *p, uint64_t base, struct slice *ret)
{
	size_t n = body_table_bytes(p);

	*ret = SLICE_NONE;
	if (n == 0)
		return 0;
	if (r->table_n < n) {
		free(r->table);
		r->table = malloc(n);
		r->table_n = r->table != NULL ? n : 0;
		if (r->table == NULL)
			return -ENOMEM;
	}
	if (io_pread_all(r->file.fd, r->table, n, (off_t)(base + body_span(p) - n)) == 0)
		*ret = slice_of(r->table, n);
	return 0;
}

/*
 * Chunk i in `to`, whatever can be had of it. A packed one whose bytes are damaged gives zeros:
 * what could be opened of it is anybody's guess. 0, ENGINE_CORRUPT, -ENOMEM.
 */
static int body_chunk(struct raw *r, const struct loc_parts *p, uint64_t base, struct slice table,
    uint64_t i, uint8_t *to)
{
	static uint8_t stored[ENGINE_BODY_CHUNK];
	uint64_t at = body_chunk_at(p, i);
	size_t n = body_chunk_at(p, i + 1) - at;
	bool known = true;
	struct body_piece c;
	int rc;

	if (!body_piece(p, table, i, &c)) {
		known = false;
		c = (struct body_piece){ .at = at, .raw = n, .stored = n };
	}
	if ((p->packed && !known) ||
	    io_pread_all(r->file.fd, stored, c.stored, (off_t)(base + c.at)) != 0) {
		memset(to, 0, n);
		return ENGINE_CORRUPT;
	}
	rc = known ? body_piece_open(&c, stored, to) : ENGINE_CORRUPT;
	if (rc == ENGINE_CORRUPT && c.kind == PACK_PLAIN)
		memcpy(to, stored, n);
	else if (rc == ENGINE_CORRUPT)
		memset(to, 0, n);
	return rc;
}

int raw_body(struct raw *r, const struct engine_loc *loc, raw_bytes_fn *fn, void *arg)
{
	static uint8_t chunk[ENGINE_BODY_CHUNK];
	struct loc_parts p;
	struct slice table;
	uint64_t base;
	bool good;
	int rc;

	loc_decode(loc, &p);
	r = p.shard < r->n_parts ? r->part[p.shard] : NULL;
	if (r == NULL || !body_place_ok(&p) || body_open(r, &p) != 0)
		return ENGINE_NOTFOUND;
	base = p.kind == LOC_SEGMENT ? p.off : SEG_HEAD;
	if ((rc = body_table(r, &p, base, &table)) != 0)
		return rc;
	good = body_table_ok(&p, table);
	for (uint64_t i = 0; i < body_chunks(&p); i++) {
		size_t n = body_chunk_at(&p, i + 1) - body_chunk_at(&p, i);

		rc = body_chunk(r, &p, base, table, i, chunk);
		if (rc < 0)
			return rc;
		good = good && rc == 0;
		if (n > 0 && (rc = fn(arg, slice_of(chunk, n))) != 0)
			return rc;
	}
	return good ? 0 : ENGINE_CORRUPT;
}
