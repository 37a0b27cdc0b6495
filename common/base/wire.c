#include "common/base/wire.h"

uint32_t wire_get_u32(struct wire_reader *r)
{
	struct slice s = wire_get_raw(r, 4);

	return s.n == 4 ? wire_load_u32(s.p) : 0;
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	struct slice s = wire_get_raw(r, 8);

	return s.n == 8 ? wire_load_u64(s.p) : 0;
}

struct slice wire_get_bytes(struct wire_reader *r, size_t max)
{
	uint32_t n = wire_get_u32(r);

	if (n > max) {
		r->bad = true;
		return SLICE_NONE;
	}
	return wire_get_raw(r, n);
}

void wire_put_u8(struct buf *b, uint8_t v)
{
	buf_putc(b, v);
}

void wire_put_u16(struct buf *b, uint16_t v)
{
	uint8_t raw[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	buf_put(b, slice_of(raw, 2));
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	wire_store_u32(raw, v);
	buf_put(b, slice_of(raw, 4));
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	wire_store_u64(raw, v);
	buf_put(b, slice_of(raw, 8));
}

void wire_put_bytes(struct buf *b, struct slice s)
{
	if (s.n > UINT32_MAX) {
		b->overflow = true;
		return;
	}
	wire_put_u32(b, (uint32_t)s.n);
	buf_put(b, s);
}
