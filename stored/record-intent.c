#include "stored/record.h"

#include "common/base/wire.h"

#include <assert.h>

/* The second version says where each group is; it is written only when that is not the first shard.
 */
enum { INTENT_HEAD = 12, APPLIED_AT = 4, CROSS_AT = 4, VERSION_SHARDS = 2, SHARDS_MAX = 16 };

static bool has_shards(const struct intent_rec *i)
{
	bool has = false;

	for (unsigned k = 0; k < i->n; k++)
		has |= i->to[k].shard != 0;
	return has;
}

size_t intent_pack(const struct intent_rec *i, uint8_t out[RECORD_INTENT_MAX])
{
	uint8_t *p = out + INTENT_HEAD;
	bool shards = has_shards(i);

	assert(i->n <= RECORD_INTENT_GROUPS);
	memset(out, 0, RECORD_INTENT_MAX);
	out[0] = shards ? VERSION_SHARDS : RECORD_VERSION;
	out[1] = (uint8_t)i->n;
	wire_store_u64(out + 4, i->id);
	for (unsigned k = 0; k < i->n; k++) {
		wire_store_u32(p, i->to[k].rows);
		p[4] = i->to[k].group.n;
		memcpy(p + 5, i->to[k].group.p, i->to[k].group.n);
		p += 5 + i->to[k].group.n;
		if (shards)
			*p++ = (uint8_t)i->to[k].shard;
	}
	return (size_t)(p - out);
}

int intent_unpack(struct slice v, struct intent_rec *ret)
{
	struct wire_reader r = wire_reader(v);
	struct intent_rec rec = { 0 };
	unsigned version = wire_get_u8(&r);

	if (version != RECORD_VERSION && version != VERSION_SHARDS)
		return 1;
	rec.n = wire_get_u8(&r);
	(void)wire_get_u16(&r);
	rec.id = wire_get_u64(&r);
	if (r.bad || rec.n > RECORD_INTENT_GROUPS)
		return 1;
	for (unsigned k = 0; k < rec.n; k++) {
		struct slice id;

		rec.to[k].rows = wire_get_u32(&r);
		id = wire_get_raw(&r, wire_get_u8(&r));
		if (r.bad || id.n == 0 || id.n > RECORD_KEY_MAX)
			return 1;
		memcpy(rec.to[k].group.p, id.p, id.n);
		rec.to[k].group.n = (uint8_t)id.n;
		if (version == VERSION_SHARDS)
			rec.to[k].shard = wire_get_u8(&r);
		if (rec.to[k].shard >= SHARDS_MAX)
			return 1;
	}
	if (!wire_done(&r) || has_shards(&rec) != (version == VERSION_SHARDS))
		return 1;
	*ret = rec;
	return 0;
}

void applied_pack(uint64_t intent, uint8_t out[RECORD_APPLIED_BYTES])
{
	memset(out, 0, RECORD_APPLIED_BYTES);
	out[0] = RECORD_VERSION;
	wire_store_u64(out + APPLIED_AT, intent);
}

int applied_unpack(struct slice v, uint64_t *ret_intent)
{
	if (v.n != RECORD_APPLIED_BYTES || v.p[0] != RECORD_VERSION)
		return 1;
	*ret_intent = wire_load_u64(v.p + APPLIED_AT);
	return 0;
}

size_t cross_pack(const struct cross_rec *c, uint8_t *out)
{
	memset(out, 0, CROSS_AT);
	out[0] = RECORD_VERSION;
	wire_store_u64(out + CROSS_AT, c->id);
	wire_store_u64(out + CROSS_AT + 8, c->from);
	wire_store_u64(out + CROSS_AT + 16, c->account);
	wire_store_u64(out + CROSS_AT + 24, c->to);
	memcpy(out + RECORD_CROSS_BYTES, c->uids.p, c->uids.n);
	return RECORD_CROSS_BYTES + c->uids.n;
}

/* Ascending and apart. */
static bool uids_good(struct slice uids)
{
	uint32_t behind = 0;

	for (size_t at = 0; at < uids.n; at += 8) {
		uint32_t first = wire_load_u32(uids.p + at), last = wire_load_u32(uids.p + at + 4);

		if (first <= behind || last < first || last == UINT32_MAX)
			return false;
		behind = last + 1;
	}
	return true;
}

int cross_unpack(struct slice v, struct cross_rec *ret)
{
	if (v.n <= RECORD_CROSS_BYTES || v.p[0] != RECORD_VERSION ||
	    (v.n - RECORD_CROSS_BYTES) % 8 != 0 || !uids_good(slice_from(v, RECORD_CROSS_BYTES)))
		return 1;
	*ret = (struct cross_rec){
		.id = wire_load_u64(v.p + CROSS_AT),
		.from = wire_load_u64(v.p + CROSS_AT + 8),
		.account = wire_load_u64(v.p + CROSS_AT + 16),
		.to = wire_load_u64(v.p + CROSS_AT + 24),
		.uids = slice_from(v, RECORD_CROSS_BYTES),
	};
	return 0;
}

void crossed_pack(uint64_t account, uint8_t out[RECORD_CROSSED_BYTES])
{
	memset(out, 0, RECORD_CROSSED_BYTES);
	out[0] = RECORD_VERSION;
	wire_store_u64(out + CROSS_AT, account);
}
