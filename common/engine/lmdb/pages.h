/*
 * pages - the rows of LMDB's file, read without LMDB: a flipped bit in it can end a process that
 * maps it, and here every number is checked before it is used. Pure: pages come from a function.
 *
 * Invariant: each page of the tree is read once at most, so that a damaged one costs no more than
 * its file. Rows are told in the order of their keys unless something is damaged, and then that is
 * told, too: what cannot be read, and whatever is not as LMDB leaves it.
 */
#pragma once

#include "common/base/slice.h"

struct pages_ops {
	/* Exactly n bytes at `off`: 0, or not. */
	int (*read)(void *arg, uint64_t off, void *p, size_t n);
	/* False: enough. */
	bool (*row)(void *arg, struct slice key, struct slice val);
	void (*damaged)(void *arg, const char *why);
	/*
	 * NULL: read what can be read. Else everything LMDB relies on is looked at, the free pages
	 * too; each run of pages in use, or free, is told once: false when one of them was told
	 * before.
	 */
	bool (*page)(void *arg, uint64_t no, uint64_t n);
};

enum { PAGES_NONE = 1 }; /* neither of the two first pages tells where the tree is */

/* Walks all. 0, PAGES_NONE or -ENOMEM. */
int pages_walk(const struct pages_ops *ops, void *arg, uint64_t file_bytes);

/* The same without asking for memory on the way. */
struct pages_room {
	uint8_t *levels, *big;
};

int pages_room_init(struct pages_room *r);
void pages_room_fini(struct pages_room *r);
int pages_walk_in(
    const struct pages_ops *ops, void *arg, uint64_t file_bytes, struct pages_room *room);
