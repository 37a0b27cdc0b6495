#include "common/ipc/codec.h"

#include "common/base/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* One field table per message, then one row per message. */
#define MSG(name, channel, direction, when, fds) static const struct ipc_field fields_##name[] = {
#define FIELD(name, field, kind, max) \
	{ #field, IPC_KIND_##kind, max, offsetof(struct ipc_##name, field) },
#define END(name)                        \
	{                                \
		NULL, IPC_KIND_END, 0, 0 \
	}                                \
	}                                \
	;
#include "common/ipc/schema.def"

#define IN_START    IPC_IN_START
#define IN_SETUP    IPC_IN_SETUP
#define IN_RUN      IPC_IN_RUN
#define IN_IDLE     IPC_IN_IDLE
#define IN_DIALOGUE IPC_IN_DIALOGUE
#define IN_ANY      IPC_IN_ANY

static const struct ipc_desc descs[IPC_TYPES] = {
#define MSG(name, channel, direction, when, fds) \
	[IPC_##name] = { #name, IPC_CH_##channel, IPC_##direction, when, fds, fields_##name },
#include "common/ipc/schema.def"
};

const struct ipc_desc *ipc_desc(enum ipc_type type)
{
	return type > IPC_NONE && type < IPC_TYPES ? &descs[type] : NULL;
}

static void hash_words(XXH3_state_t *st, const char *name, const unsigned long *v, size_t n)
{
	XXH3_128bits_update(st, name, strlen(name) + 1);
	XXH3_128bits_update(st, v, n * sizeof(*v));
}

const uint8_t *ipc_schema_hash(void)
{
	static uint8_t hash[IPC_SCHEMA_HASH_BYTES];
	static bool made;
	XXH3_state_t st;

	if (made)
		return hash;
	for (unsigned half = 0; half < 2; half++) {
		XXH128_canonical_t c;

		XXH3_128bits_reset_withSeed(&st, half);
		for (unsigned t = IPC_NONE + 1; t < IPC_TYPES; t++) {
			const struct ipc_desc *d = &descs[t];
			unsigned long row[] = { t, d->channel, d->direction, d->when, d->fds };

			hash_words(&st, d->name, row, 5);
			for (const struct ipc_field *f = d->fields; f->kind != IPC_KIND_END; f++) {
				unsigned long col[] = { f->kind, f->max };

				hash_words(&st, f->name, col, 2);
			}
		}
		XXH128_canonicalFromHash(&c, XXH3_128bits_digest(&st));
		memcpy(hash + half * 16, c.digest, 16);
	}
	made = true;
	return hash;
}

static void field_write(struct buf *b, const struct ipc_field *f, const uint8_t *at)
{
	switch (f->kind) {
	case IPC_KIND_U32:
		wire_put_u32(b, *(const uint32_t *)at);
		break;
	case IPC_KIND_U64:
	case IPC_KIND_I64:
		wire_put_u64(b, *(const uint64_t *)at);
		break;
	default: {
		struct slice s = *(const struct slice *)at;

		if (s.n > f->max)
			b->overflow = true;
		else
			wire_put_bytes(b, s);
	}
	}
}

/* The bytes of a last field that are worth leaving where they are. */
static struct slice tail_of(const struct ipc_field *f, const uint8_t *at)
{
	struct slice s;

	if (f[1].kind != IPC_KIND_END || (f->kind != IPC_KIND_BYTES && f->kind != IPC_KIND_TEXT))
		return SLICE_NONE;
	s = *(const struct slice *)at;
	return s.n >= IPC_TAIL_MIN && s.n <= f->max ? s : SLICE_NONE;
}

int ipc_encode_parted(enum ipc_type type, const void *msg, struct buf *out, struct slice *ret_tail)
{
	const struct ipc_desc *d = ipc_desc(type);
	size_t before = out->n;
	struct slice tail = SLICE_NONE;

	assert(d != NULL);
	wire_put_u16(out, (uint16_t)type);
	wire_put_u16(out, 0);
	for (const struct ipc_field *f = d->fields; f->kind != IPC_KIND_END; f++) {
		const uint8_t *at = (const uint8_t *)msg + f->off;

		tail = tail_of(f, at);
		if (tail.n > 0)
			wire_put_u32(out, (uint32_t)tail.n);
		else
			field_write(out, f, at);
	}
	if (out->overflow || out->n - before + tail.n > IPC_PACKET_MAX) {
		buf_trunc(out, before);
		return -EMSGSIZE;
	}
	*ret_tail = tail;
	return 0;
}

int ipc_encode(enum ipc_type type, const void *msg, struct buf *out)
{
	size_t before = out->n;
	struct slice tail;
	int r = ipc_encode_parted(type, msg, out, &tail);

	if (r == 0 && buf_put(out, tail) != 0) {
		buf_trunc(out, before);
		r = -EMSGSIZE;
	}
	return r;
}

static void field_read(struct wire_reader *r, const struct ipc_field *f, uint8_t *at)
{
	switch (f->kind) {
	case IPC_KIND_U32:
		*(uint32_t *)at = wire_get_u32(r);
		break;
	case IPC_KIND_U64:
	case IPC_KIND_I64:
		*(uint64_t *)at = wire_get_u64(r);
		break;
	default: {
		struct slice s = wire_get_bytes(r, f->max);

		if (f->kind == IPC_KIND_TEXT && slice_find(s, 0) >= 0)
			r->bad = true;
		*(struct slice *)at = s;
	}
	}
}

int ipc_decode(struct slice packet, enum ipc_type *ret_type, union ipc_any *ret_msg)
{
	struct wire_reader r = wire_reader(packet);
	enum ipc_type type = wire_get_u16(&r);
	const struct ipc_desc *d = ipc_desc(type);

	if (wire_get_u16(&r) != 0 || r.bad || d == NULL)
		return 1;
	for (const struct ipc_field *f = d->fields; f->kind != IPC_KIND_END; f++)
		field_read(&r, f, (uint8_t *)ret_msg + f->off);
	if (!wire_done(&r))
		return 1;
	*ret_type = type;
	return 0;
}
