/*
 * keyset - which keywords a message has, by their numbers in its mailbox.
 *
 * Numbers below 64 are bits; the others a list, ascending and apart. In rows of messages a set is
 * one word: bit 63 says that the rest is a place in a list of sets that goes along. So a set that
 * has a number from 63 on is never a plain word, and every other set always is.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>

enum {
	KEYSET_WORD_BITS = 63, /* numbers that a word has without a list */
	KEYSET_BITS = 64,
	KEYSET_NUMBERS_MAX = 4096,
	KEYSET_ENTRY_BYTES = 10, /* of a set in a list, and 2 for each number beyond the bits */
};

#define KEYSET_LISTED (UINT64_C(1) << 63)

struct keyset {
	uint64_t bits;
	struct slice more; /* u16 little endian each */
};

/* What a word means; `list`: what goes along. A place that is none is an empty set. */
struct keyset keyset_of(uint64_t word, struct slice list);
bool keyset_has(struct keyset k, unsigned number);
/* Takes the lowest number out; -1: there is none. */
int keyset_take(struct keyset *k);
bool keyset_is_empty(struct keyset k);
/* It has no number from `limit` on, and its list is in order. */
bool keyset_is_good(struct keyset k, unsigned limit);

/* A set in a list: u64 bits, u16 count, numbers. */
void keyset_put(struct buf *list, struct keyset k);
size_t keyset_entry_bytes(struct keyset k);

/* ---- sets to work on: one bit for each number ---- */

struct keyset_map {
	uint64_t v[KEYSET_NUMBERS_MAX / 64];
};

void keyset_map_add(struct keyset_map *m, struct keyset k);
void keyset_map_remove(struct keyset_map *m, struct keyset k);
static inline void keyset_map_set(struct keyset_map *m, unsigned number)
{
	m->v[number / 64] |= UINT64_C(1) << (number % 64);
}
/* The list is written into `room`. */
struct keyset keyset_map_pack(const struct keyset_map *m, uint8_t room[2 * KEYSET_NUMBERS_MAX]);
