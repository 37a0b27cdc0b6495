/*
 * pack - a chunk of a body in fewer bytes, and back: zstd, one frame a chunk, with a sum of the raw
 * bytes. Pure, but for the memory that each thread keeps for it.
 *
 * Invariant: pack_open() writes the raw bytes, exactly as many as were asked for, or says that
 * there are none; whatever it reads, it writes no further and needs no more memory than for a
 * chunk.
 */
#pragma once

#include "common/base/slice.h"

/* How a chunk is stored. On the disk: a value that is not here is damage. */
enum pack_kind { PACK_PLAIN, PACK_ZSTD };

/* `raw` in fewer bytes, in `out`, which has room for raw.n. How many, or 0: it would not be worth
 * it (ENGINE_PACK_GAIN), or memory is out, and the chunk is to be stored as it is. */
size_t pack_make(struct slice raw, uint8_t *out);

/* What pack_make() was given: exactly n bytes. 0, ENGINE_CORRUPT, -ENOMEM. */
int pack_open(struct slice packed, uint8_t *to, size_t n) __attribute__((warn_unused_result));

/* This thread packs and opens nothing more. */
void pack_thread_end(void);
