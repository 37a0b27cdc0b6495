/* Places of bodies, and the chunks that they are made of: where each begins, how it is stored,
 * whether its bytes are its own. Pure. */
#include "common/engine/engine-private.h"

#include "common/base/wire.h"

#include <xxhash.h>

enum {
	LOC_PARTED = 0x10,
	LOC_PACKED = 0x20,
	LOC_KIND = 0x03,
	SHARD_LOW = 0x03, /* of its number: at bit 2 of the top byte, the others at bit 6 */
	SPAN_UNIT = 8,
	SEGMENT_BITS = 32, /* of a segment's number; the span of a packed body is above it */
	SIZE_BITS = 33,    /* of the size in a file of its own; the same */
	ENTRY_BYTES = 16,  /* of a packed body's table */
	KIND_SHIFT = 56,
};

static const uint64_t number_mask = ((uint64_t)1 << KIND_SHIFT) - 1;

/* u64 kind, parted, packed and shard (the top byte) and file, u64 off << 32 | size or size alone,
 * u64 sum; the span of a packed one is in the bits left, see docs/engine.md
 */
void loc_encode(const struct loc_parts *p, struct engine_loc *ret_loc)
{
	uint64_t place = p->kind == LOC_SEGMENT ? p->off << 32 | p->size : p->size;

	uint64_t top = (uint64_t)p->kind | (p->parted ? LOC_PARTED : 0), file = p->file;

	top |= (uint64_t)(p->shard & SHARD_LOW) << 2 | (uint64_t)(p->shard >> 2) << 6;

	if (p->packed) {
		top |= LOC_PACKED;
		if (p->kind == LOC_SEGMENT)
			file |= p->span / SPAN_UNIT << SEGMENT_BITS;
		else
			place |= p->span / SPAN_UNIT << SIZE_BITS;
	}
	wire_store_u64(ret_loc->b, top << KIND_SHIFT | file);
	wire_store_u64(ret_loc->b + 8, place);
	wire_store_u64(ret_loc->b + 16, p->sum);
}

void loc_decode(const struct engine_loc *loc, struct loc_parts *ret_p)
{
	uint64_t file = wire_load_u64(loc->b), place = wire_load_u64(loc->b + 8);

	uint64_t top = file >> KIND_SHIFT;

	*ret_p = (struct loc_parts){
		.kind = (enum loc_kind)(top & LOC_KIND),
		.shard = (unsigned)((top >> 2 & SHARD_LOW) | top >> 6 << 2),
		.file = file & number_mask,
		.size = place,
		.sum = wire_load_u64(loc->b + 16),
		.parted = (top & LOC_PARTED) != 0,
		.packed = (top & LOC_PACKED) != 0,
	};
	if (ret_p->kind == LOC_SEGMENT) {
		ret_p->off = place >> 32;
		ret_p->size = place & UINT32_MAX;
	}
	if (!ret_p->packed)
		return;
	if (ret_p->kind == LOC_SEGMENT) {
		ret_p->span = (ret_p->file >> SEGMENT_BITS) * SPAN_UNIT;
		ret_p->file &= UINT32_MAX;
	} else {
		ret_p->span = (place >> SIZE_BITS) * SPAN_UNIT;
		ret_p->size = place & (((uint64_t)1 << SIZE_BITS) - 1);
	}
}

uint64_t engine_loc_bytes(const struct engine_loc *loc)
{
	struct loc_parts p;

	loc_decode(loc, &p);
	return p.size;
}

uint64_t engine_loc_stored(const struct engine_loc *loc)
{
	struct loc_parts p;

	loc_decode(loc, &p);
	return body_span(&p);
}

bool engine_loc_packed(const struct engine_loc *loc)
{
	struct loc_parts p;

	loc_decode(loc, &p);
	return p.packed;
}

bool body_is_parted(uint64_t size)
{
	return size > ENGINE_BODY_PARTED;
}

uint64_t body_chunk_at(const struct loc_parts *p, uint64_t i)
{
	uint64_t at = i * ENGINE_BODY_CHUNK;

	if (p->parted && i > 0)
		at = i == 1 ? ENGINE_BODY_FIRST : (i - 1) * ENGINE_BODY_CHUNK;
	return at < p->size ? at : p->size;
}

uint64_t body_chunk_of(const struct loc_parts *p, uint64_t off)
{
	return off / ENGINE_BODY_CHUNK + (p->parted && off >= ENGINE_BODY_FIRST);
}

uint64_t body_chunks(const struct loc_parts *p)
{
	return p->size == 0 ? 1 : body_chunk_of(p, p->size - 1) + 1;
}

size_t body_table_bytes(const struct loc_parts *p)
{
	uint64_t n = body_chunks(p);

	if (p->packed)
		return n * ENTRY_BYTES;
	return n > 1 ? n * 8 : 0;
}

static uint64_t pad8(uint64_t n)
{
	return (n + 7) & ~(uint64_t)7;
}

uint64_t body_span(const struct loc_parts *p)
{
	return p->packed ? p->span : pad8(p->size) + body_table_bytes(p);
}

bool body_place_ok(const struct loc_parts *p)
{
	if ((p->kind != LOC_SEGMENT && p->kind != LOC_FILE) || p->size > ENGINE_BODY_MAX)
		return false;
	return !p->packed ||
	       (p->size > 0 && p->span >= body_table_bytes(p) &&
		   p->span - body_table_bytes(p) <= pad8(p->size) + ENGINE_PACK_SPAN_MIN);
}

bool body_table_ok(const struct loc_parts *p, struct slice table)
{
	size_t n = body_table_bytes(p);

	return table.n == n && (n == 0 || XXH3_64bits(table.p, n) == p->sum);
}

/* u64 sum, u64 kind << 56 | end: the chunk's bytes lie between its own end and that of the one
 * before.
 */
static bool packed_piece(
    const struct loc_parts *p, struct slice table, uint64_t i, struct body_piece *c)
{
	const uint8_t *entry = table.p + i * ENTRY_BYTES;
	uint64_t end = wire_load_u64(entry + 8) & number_mask;

	c->sum = wire_load_u64(entry);
	c->kind = (enum pack_kind)(wire_load_u64(entry + 8) >> KIND_SHIFT);
	c->at = i > 0 ? wire_load_u64(entry - 8) & number_mask : 0;
	if (end <= c->at || end - c->at > c->raw || end > body_span(p) - table.n)
		return false;
	c->stored = end - c->at;
	return c->kind == PACK_ZSTD || (c->kind == PACK_PLAIN && c->stored == c->raw);
}

bool body_piece(
    const struct loc_parts *p, struct slice table, uint64_t i, struct body_piece *ret_piece)
{
	uint64_t at = body_chunk_at(p, i);
	struct body_piece *c = ret_piece;

	*c = (struct body_piece){ .at = at, .raw = body_chunk_at(p, i + 1) - at, .sum = p->sum };
	c->stored = c->raw;
	if (i >= body_chunks(p) || table.n != body_table_bytes(p))
		return false;
	if (p->packed)
		return packed_piece(p, table, i, c);
	if (table.n > 0)
		c->sum = wire_load_u64(table.p + i * 8);
	return true;
}

int body_piece_open(const struct body_piece *piece, const uint8_t *stored, uint8_t *to)
{
	if (XXH3_64bits(stored, piece->stored) != piece->sum)
		return ENGINE_CORRUPT;
	if (piece->kind == PACK_ZSTD)
		return pack_open(slice_of(stored, piece->stored), to, piece->raw);
	memcpy(to, stored, piece->raw);
	return 0;
}

bool body_check(const struct loc_parts *loc, uint64_t first, struct slice data, struct slice table)
{
	uint64_t n = body_chunks(loc);
	struct body_piece c;

	if (loc->size == 0)
		return data.n == 0 && XXH3_64bits(NULL, 0) == loc->sum;
	if (!body_table_ok(loc, table))
		return false;
	for (; data.n > 0; first++) {
		if (first >= n || !body_piece(loc, table, first, &c) || c.stored > data.n ||
		    XXH3_64bits(data.p, c.stored) != c.sum)
			return false;
		data = slice_from(data, c.stored);
	}
	return true;
}
