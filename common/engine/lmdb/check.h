/*
 * check - is an index whole? Every page that LMDB would follow, the order and the sum of every row,
 * the free pages, and the totals of the last checkpoint. Pure, but for page faults on `file`.
 *
 * Invariant: in an index that passes no search can miss a row or leave its pages, and every row is
 * the one that the last checkpoint left.
 */
#pragma once

#include "common/base/slice.h"
#include "common/engine/lmdb/pages.h"

/* All memory that a check needs, so that it can do without the kernel. */
struct check_room {
	struct pages_room pages;
	uint8_t *told; /* a bit for each page */
	size_t told_n;
};

int check_room_init(struct check_room *r, uint64_t file_bytes); /* 0 or -ENOMEM */
void check_room_fini(struct check_room *r);

struct check_result {
	const char *why; /* NULL: it is whole, or of a newer version */
	uint64_t rows;
};

void index_check(struct slice file, struct check_room *room, struct check_result *ret);
