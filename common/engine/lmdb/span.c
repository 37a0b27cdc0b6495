/* What to read for a part of a body, and reading it: whole chunks, checked, and opened where they
 * are packed. */
#include "common/engine/lmdb/lmdb-private.h"

#include <errno.h>

int span_of(const struct loc_parts *p, uint64_t off, size_t len, struct span *ret_sp)
{
	struct span sp = { .base = p->kind == LOC_SEGMENT ? p->off : SEG_HEAD };

	if (!body_place_ok(p) || off > p->size)
		return ENGINE_NOTFOUND;
	sp.want = len < p->size - off ? len : p->size - off;
	if (sp.want > 0) {
		sp.first = body_chunk_of(p, off);
		sp.end = body_chunk_of(p, off + sp.want - 1) + 1;
		sp.skip = off - body_chunk_at(p, sp.first);
		sp.n = body_chunk_at(p, sp.end) - body_chunk_at(p, sp.first);
	}
	*ret_sp = sp;
	return 0;
}

/* A packed body of one chunk is read at once, with what is between its chunk and its table. */
static size_t packed_room(const struct loc_parts *p, const struct span *sp)
{
	return body_chunks(p) == 1 ? body_span(p) : sp->n + body_table_bytes(p);
}

size_t span_rest(const struct loc_parts *p, const struct span *sp)
{
	return p->packed ? packed_room(p, sp) : body_table_bytes(p);
}

int read_flags(int fd, void *to, size_t n, uint64_t off, int flags)
{
	uint8_t *p = to;

	while (n > 0) {
		struct iovec v = { p, n };
		ssize_t r = preadv2(fd, &v, 1, (off_t)off, flags);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && flags != 0 && (errno == EAGAIN || errno == EOPNOTSUPP))
			return ENGINE_AGAIN;
		if (r < 0)
			return store_rc("body", errno);
		if (r == 0)
			return ENGINE_CORRUPT; /* the file is shorter than it was */
		p += r;
		off += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

/* The last bytes of a body, the padding and its table, in one call. False: that was not all. */
static bool tail_read(int fd, const struct span *sp, uint64_t at, uint64_t table_at, uint8_t *buf,
    uint8_t *table, size_t table_n, int flags)
{
	uint8_t pad[8];
	size_t pad_n = (size_t)(table_at - at - sp->n);
	struct iovec v[] = { { buf, sp->n }, { pad, pad_n }, { table, table_n } };
	ssize_t r = preadv2(fd, v, 3, (off_t)(sp->base + at), flags);

	return r >= 0 && (size_t)r == sp->n + pad_n + table_n;
}

static int plain_read(int fd, const struct loc_parts *p, const struct span *sp, uint8_t *buf,
    uint8_t *table, int flags)
{
	size_t table_n = body_table_bytes(p);
	uint64_t table_at = body_span(p) - table_n, at = body_chunk_at(p, sp->first);
	bool all = table_n > 0 && at + sp->n == p->size &&
		   tail_read(fd, sp, at, table_at, buf, table, table_n, flags);
	int r = all ? 0 : read_flags(fd, buf, sp->n, sp->base + at, flags);

	if (r == 0 && !all && table_n > 0)
		r = read_flags(fd, table, table_n, sp->base + table_at, flags);
	if (r != 0)
		return r;
	return body_check(p, sp->first, slice_of(buf, sp->n), slice_of(table, table_n))
		   ? 0
		   : ENGINE_CORRUPT;
}

/* ---- packed ---- */

/* The span's chunks in the file: from where, and how many bytes, never more than they are opened.
 */
static int packed_extent(const struct loc_parts *p, const struct span *sp, struct slice table,
    uint64_t *ret_at, size_t *ret_n)
{
	struct body_piece c;

	if (!body_table_ok(p, table))
		return ENGINE_CORRUPT;
	*ret_n = 0;
	for (uint64_t i = sp->first; i < sp->end; i++) {
		if (!body_piece(p, table, i, &c))
			return ENGINE_CORRUPT;
		if (i == sp->first)
			*ret_at = c.at;
		*ret_n += c.stored;
	}
	return 0;
}

static int packed_open(const struct loc_parts *p, const struct span *sp, struct slice table,
    const uint8_t *stored, uint8_t *to)
{
	struct body_piece c;
	int r = 0;

	for (uint64_t i = sp->first; i < sp->end && r == 0; i++) {
		if (!body_piece(p, table, i, &c))
			return ENGINE_CORRUPT;
		r = body_piece_open(&c, stored, to);
		stored += c.stored;
		to += c.raw;
	}
	return r;
}

static int packed_read(int fd, const struct loc_parts *p, const struct span *sp, uint8_t *buf,
    uint8_t *rest, int flags)
{
	uint64_t at = 0, table_at = body_span(p) - body_table_bytes(p);
	struct slice table = slice_of(rest, body_table_bytes(p));
	uint8_t *stored = rest + table.n;
	bool one = body_chunks(p) == 1;
	size_t n = 0;
	int r;

	if (one) {
		stored = rest;
		table.p = stored + table_at;
		r = read_flags(fd, stored, body_span(p), sp->base, flags);
	} else {
		r = read_flags(fd, rest, table.n, sp->base + table_at, flags);
	}
	if (r == 0)
		r = packed_extent(p, sp, table, &at, &n);
	if (r == 0 && !one)
		r = read_flags(fd, stored, n, sp->base + at, flags);
	return r == 0 ? packed_open(p, sp, table, stored, buf) : r;
}

int span_read(int fd, const struct loc_parts *p, const struct span *sp, uint8_t *buf, uint8_t *rest,
    int flags)
{
	if (sp->n == 0 && p->size > 0)
		return 0; /* at the end: nothing to check */
	return p->packed ? packed_read(fd, p, sp, buf, rest, flags)
			 : plain_read(fd, p, sp, buf, rest, flags);
}
