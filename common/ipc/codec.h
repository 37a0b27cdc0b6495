/*
 * codec - messages of schema.def to packets and back.
 *
 * A packet is the message's type (u16), 0 (u16), then its fields in order. Decoding refuses what is
 * short, long, out of bounds, of an unknown type or holds a NUL in a TEXT; it never reads outside
 * the packet, and what it yields points into the packet.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/types.h"

enum ipc_kind {
	IPC_KIND_END,
	IPC_KIND_U32,
	IPC_KIND_U64,
	IPC_KIND_I64,
	IPC_KIND_BYTES,
	IPC_KIND_TEXT
};

enum ipc_direction { IPC_UP = 1, IPC_DOWN = 2, IPC_BOTH = 3 };

struct ipc_field {
	const char *name;
	enum ipc_kind kind;
	uint32_t max;
	size_t off;
};

struct ipc_desc {
	const char *name;
	enum ipc_ch channel;
	enum ipc_direction direction;
	unsigned when;
	unsigned fds;
	const struct ipc_field *fields;
};

/* Row of a message; NULL for an unknown type. */
const struct ipc_desc *ipc_desc(enum ipc_type type);

enum { IPC_SCHEMA_HASH_BYTES = 32 };

/* A hash over everything schema.def says that the wire depends on (XXH3, not a secret). */
const uint8_t *ipc_schema_hash(void);

/*
 * `msg` is a struct ipc_NAME of `type`. 0, or -EMSGSIZE when a field is longer than the schema says
 * or the packet would pass IPC_PACKET_MAX: a bug or an unchecked length of the caller's.
 */
int ipc_encode(enum ipc_type type, const void *msg, struct buf *out);

/* Bytes from which on a last field need not be copied to be sent. */
enum { IPC_TAIL_MIN = 4096 };

/*
 * The same, but the bytes of the last field stay where they are if they are many: *ret_tail, which
 * follows `out` on the wire. Empty if all is in `out`.
 */
int ipc_encode_parted(enum ipc_type type, const void *msg, struct buf *out, struct slice *ret_tail);

/* 0, or 1 when the packet is not a message of the schema. */
int ipc_decode(struct slice packet, enum ipc_type *ret_type, union ipc_any *ret_msg);
