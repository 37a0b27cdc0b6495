/*
 * A body in chunks as it lies on the disk, packed or not: its place, its chunks, its table. Sums
 * are put right for most inputs, so that the fuzzer gets behind them: what opens a chunk must not
 * trust that we made it. And what is packed here opens to the same.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/base/wire.h"
#include "common/engine/engine-private.h"

enum { HEAD = 8, ENTRY = 16 };

static uint8_t raw[ENGINE_BODY_CHUNK], again[ENGINE_BODY_CHUNK];

/* Each chunk by its table; the sums of those that lie within the bytes are what they should be. */
static void sums_mend(struct loc_parts *p, struct slice stored, uint8_t *table)
{
	size_t n = body_table_bytes(p);
	struct body_piece c;

	for (uint64_t i = 0; p->packed && i < n / ENTRY; i++)
		if (body_piece(p, slice_of(table, n), i, &c) && c.at + c.stored <= stored.n)
			wire_store_u64(table + i * ENTRY, XXH3_64bits(stored.p + c.at, c.stored));
	p->sum = XXH3_64bits(table, n);
}

static void open_all(const struct loc_parts *p, struct slice stored, struct slice table)
{
	uint64_t end = 0;
	struct body_piece c;

	for (uint64_t i = 0; i < body_chunks(p); i++) {
		assert(body_chunk_at(p, i) <= p->size);
		if (!body_piece(p, table, i, &c) || c.at + c.stored > stored.n)
			continue;
		assert(c.raw <= ENGINE_BODY_CHUNK && c.stored <= c.raw);
		assert(!p->packed || c.at + c.stored <= body_span(p) - table.n);
		if (body_piece_open(&c, stored.p + c.at, raw) == 0)
			end += c.raw;
	}
	assert(end <= p->size);
	(void)body_check(p, 0, stored, table);
}

static void round_trip(struct slice s)
{
	size_t n;

	s = slice_part(s, 0, sizeof(raw));
	n = pack_make(s, raw);
	assert(n <= s.n);
	if (n == 0)
		return;
	assert(pack_open(slice_of(raw, n), again, s.n) == 0 && memcmp(again, s.p, s.n) == 0);
	assert(pack_open(slice_of(raw, n), again, s.n - 1) != 0);
	assert(pack_open(slice_of(raw, n - 1), again, s.n) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engine_loc loc = { { 0 } };
	struct loc_parts p, q;
	struct slice stored;
	uint8_t *table;
	size_t n;

	memcpy(loc.b, data, size < sizeof(loc.b) ? size : sizeof(loc.b));
	loc_decode(&loc, &p);
	if (body_place_ok(&p)) {
		loc_encode(&p, &loc);
		loc_decode(&loc, &q);
		assert(q.size == p.size && q.span == p.span && q.file == p.file && q.off == p.off);
	}
	if (size < HEAD)
		return 0;
	p = (struct loc_parts){ .kind = LOC_SEGMENT,
		.size = wire_load_u32(data) & 0xfffff,
		.span = (wire_load_u32(data + 3) & 0x1ffff) * 8,
		.parted = (data[7] & 1) != 0,
		.packed = (data[7] & 2) != 0 };
	stored = slice_of(data + HEAD, size - HEAD);
	round_trip(stored);
	n = body_table_bytes(&p);
	if (!body_place_ok(&p) || n > stored.n)
		return 0;
	table = malloc(n + 1);
	assert(table != NULL);
	memcpy(table, stored.p + stored.n - n, n);
	stored.n -= n;
	if ((data[7] & 4) == 0)
		sums_mend(&p, stored, table);
	open_all(&p, stored, slice_of(table, n));
	free(table);
	return 0;
}
