/* Limits of the engine. Those that a user of the engine meets are also in engine_limits(). */
#pragma once

enum {
	ENGINE_GROUP_ID_MAX = 24,
	ENGINE_KEY_MAX = 400,
	ENGINE_KEY_ENCODED_MAX = 1 + ENGINE_GROUP_ID_MAX + ENGINE_KEY_MAX + 1, /* LMDB allows 511 */
	ENGINE_VALUE_MAX = 32 << 10,
	ENGINE_BATCH_BYTES_MAX = 24 << 20,
	ENGINE_BATCH_KEYS_MAX = 262144,
	ENGINE_COMMIT_BATCHES_MAX = 64,
	ENGINE_SCAN_ROWS_MAX = 1024,
	ENGINE_SCAN_BYTES_MAX =
	    1 << 20,                   /* values of one scan's answer, as soon as it has one row */
	ENGINE_BODY_CHUNK = 64 << 10,  /* bytes under one checksum */
	ENGINE_BODY_FIRST = 8 << 10,   /* those of a long body's begin, where its header is */
	ENGINE_BODY_PARTED = 32 << 10, /* longer than this is long */
	ENGINE_PACK_MIN = 1 << 10,     /* shorter bodies are not packed */
	ENGINE_PACK_GAIN = 8,          /* a chunk is packed that gets shorter by one in so many */
	ENGINE_PACK_LEVEL = 1,         /* zstd's */
	ENGINE_PACK_SPAN_MIN = 512,    /* what a packed body takes in a segment at least */
	ENGINE_UNPACK_NOW = 32 << 10,  /* bytes that the owner unpacks itself; more: the pool */
	ENGINE_BODY_BUFFERED_MAX = 1 << 20,
	ENGINE_BODY_APPEND_MAX = 512 << 10,
	ENGINE_BODY_READ_MAX = 256 << 10,
	ENGINE_CORE_BUCKETS = 4096,
};

/* A read of a part reads the sums of the whole, 8 bytes per 64 KiB. */
#define ENGINE_BODY_MAX ((uint64_t)4 << 30)
