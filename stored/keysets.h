/*
 * keysets - the sets of keywords that messages of a mailbox have, one word each.
 *
 * Pure. Equal sets have equal words. What is not a plain word (common/base/keyset.h) is kept here
 * once, whatever the number of messages that have it; a word is good until keysets_fini().
 */
#pragma once

#include "common/base/keyset.h"

struct keysets {
	uint8_t *bytes; /* the sets as in a list */
	uint32_t *at;   /* where each begins */
	uint32_t *slot; /* hash table: index + 1 */
	uint32_t n, n_slots, cap_bytes, n_bytes;
	uint32_t swept; /* bytes that were left by the last cleaning */
	/* the last keysets_change() */
	uint64_t old, with, result;
	int op;
};

void keysets_fini(struct keysets *k);
/* What the word means; good until the next call for this `k`. */
struct keyset keysets_get(const struct keysets *k, uint64_t word);
/* The set's word: 0 or -ENOMEM. */
int keysets_word(struct keysets *k, struct keyset set, uint64_t *ret_word)
    __attribute__((warn_unused_result));
/* op: IPC_FLAGS_SET, _ADD, _REMOVE, of the sets of two words. 0 or -ENOMEM. */
int keysets_change(struct keysets *k, int op, uint64_t old, uint64_t with, uint64_t *ret_word)
    __attribute__((warn_unused_result));
/* So much is kept that looking for what is needed of it pays. */
bool keysets_is_bloated(const struct keysets *k);

/* A list for a message: sets that follow each other are told once. */
struct keysets_out {
	struct buf *list;
	uint64_t last, last_out;
};

/* The word as the list's reader sees it; false: the list has no room for it. */
bool keysets_out(struct keysets_out *o, const struct keysets *k, uint64_t word, uint64_t *ret_word);
