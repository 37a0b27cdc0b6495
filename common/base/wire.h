/*
 * wire - little-endian integers in byte strings: messages, log frames, values in the store.
 *
 * A reader never passes its end: a short read sets `bad`, yields zero, and everything after it is
 * zero too, so that a decoder may look once at the end.
 */
#pragma once

#include "common/base/buf.h"

struct wire_reader {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct wire_reader wire_reader(struct slice s)
{
	return (struct wire_reader){ s.p, s.n > 0 ? s.p + s.n : s.p, false };
}

static inline size_t wire_left(const struct wire_reader *r)
{
	return (size_t)(r->end - r->p);
}

/* Nothing bad, and nothing left over. */
static inline bool wire_done(const struct wire_reader *r)
{
	return !r->bad && r->p == r->end;
}

static inline struct slice wire_get_raw(struct wire_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > wire_left(r)) {
		r->bad = true;
		return SLICE_NONE;
	}
	r->p += n;
	return slice_of(p, n);
}

static inline uint8_t wire_get_u8(struct wire_reader *r)
{
	struct slice s = wire_get_raw(r, 1);

	return s.n == 1 ? s.p[0] : 0;
}

static inline uint16_t wire_get_u16(struct wire_reader *r)
{
	struct slice s = wire_get_raw(r, 2);

	return s.n == 2 ? (uint16_t)(s.p[0] | s.p[1] << 8) : 0;
}

uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);

/* A u32 length, then that many bytes, of which at most `max` are accepted. */
struct slice wire_get_bytes(struct wire_reader *r, size_t max);

void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u16(struct buf *b, uint16_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_bytes(struct buf *b, struct slice s);

/* The same in place, for records of fixed layout. */
static inline uint32_t wire_load_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t wire_load_u64(const uint8_t *p)
{
	return wire_load_u32(p) | (uint64_t)wire_load_u32(p + 4) << 32;
}

static inline void wire_store_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline void wire_store_u64(uint8_t *p, uint64_t v)
{
	wire_store_u32(p, (uint32_t)v);
	wire_store_u32(p + 4, (uint32_t)(v >> 32));
}

/* Big-endian, for keys whose byte order must be the order of the numbers. */
static inline void wire_store_u32be(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void wire_store_u64be(uint8_t *p, uint64_t v)
{
	wire_store_u32be(p, (uint32_t)(v >> 32));
	wire_store_u32be(p + 4, (uint32_t)v);
}

static inline uint32_t wire_load_u32be(const uint8_t *p)
{
	return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

static inline uint64_t wire_load_u64be(const uint8_t *p)
{
	return (uint64_t)wire_load_u32be(p) << 32 | wire_load_u32be(p + 4);
}
